"""The discriminator of one level that the authors released for LSUN."""

import keras
from keras import layers

from keras_lapgan.layers.grouped_convolution import GroupedConv2D
from keras_lapgan.networks import network
from keras_lapgan.networks.initializers import torch_uniform


@keras.saving.register_keras_serializable("keras_lapgan")
class LSUNDiscriminator(network.Network):
    """The three-layer discriminator of a level, in its released, grouped form.

    The condition is added to the band, so the network judges the image that
    the band makes; the class plane is stacked onto it. Three 'valid'
    convolutions of 48, 448 and 416 maps with ReLU, grouped from the second on,
    and a linear layer follow. There is no normalization and no dropout.

    Args:
        size: int or pair of ints. Height and width of the band, each at least
            `13`.
        channels: int. Channels of the band. Defaults to `3`.
        num_classes: int. Number of classes, `0` for an unconditional network.
            Defaults to `0`.
        conditional: bool. Whether the network takes the upsampled coarser
            image as a condition. Defaults to `True`.
        dtype: dtype name or policy of the layers between the sum of band and
            condition and the output. Defaults to `None`, Keras' global policy.
        name: str. Name of the model. Defaults to `None`.

    Call arguments:
        inputs: dict. `"band"`, float32 `(batch, height, width, channels)`;
            `"condition"`, of the same shape, only if `conditional`;
            `"labels"`, int32 `(batch,)`, only if `num_classes > 0`.

    Returns:
        Logits, float32 `(batch, 1)`, positive for real bands.

    Raises:
        ValueError: If `size` is too small for the 'valid' convolutions.

    Example:

    ```python
    import numpy as np

    from keras_lapgan.networks import LSUNDiscriminator

    discriminator = LSUNDiscriminator(16)
    logits = discriminator(
        {
            "band": np.zeros((4, 16, 16, 3)),
            "condition": np.zeros((4, 16, 16, 3)),
        }
    )  # (4, 1)
    ```

    Reference:
        - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def __init__(
        self,
        size,
        channels=3,
        num_classes=0,
        conditional=True,
        dtype=None,
        name=None,
        **kwargs,
    ):
        pair = network.check_level(size, channels, num_classes)
        convolutions = [(48, 3, 1), (448, 5, 4), (416, 7, 16)]
        minimum = 1 + sum(kernel - 1 for _, kernel, _ in convolutions)
        if min(pair) < minimum:
            raise ValueError(
                "The 'valid' convolutions of `LSUNDiscriminator` need a "
                f"`size` of at least {minimum}; use `DenseDiscriminator` "
                f"below that. Received: size={size}"
            )

        # === Layers ===
        inputs = network.discriminator_inputs(
            pair, channels, num_classes, conditional
        )
        x = network.discriminator_maps(inputs, pair, num_classes, dtype)
        for i, (filters, kernel_size, groups) in enumerate(
            convolutions, start=1
        ):
            kind = layers.Conv2D if groups == 1 else GroupedConv2D
            x = kind(
                filters,
                kernel_size,
                groups=groups,
                activation="relu",
                data_format="channels_last",
                dtype=dtype,
                name=f"conv_{i}",
                **torch_uniform(kernel_size**2 * x.shape[-1] // groups),
            )(x)
        x = layers.Flatten(dtype=dtype, name="flatten")(x)
        outputs = layers.Dense(
            1, dtype="float32", name="output", **torch_uniform(x.shape[-1])
        )(x)
        super().__init__(
            inputs,
            outputs,
            size=size,
            channels=channels,
            num_classes=num_classes,
            conditional=conditional,
            dtype=dtype,
            name=name,
            **kwargs,
        )
