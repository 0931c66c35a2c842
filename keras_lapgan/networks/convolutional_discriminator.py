"""The paper's convolutional discriminator of one level."""

import keras
from keras import layers

from keras_lapgan.layers.dropout import StepDropout
from keras_lapgan.networks import network
from keras_lapgan.networks.initializers import torch_uniform


@keras.saving.register_keras_serializable("keras_lapgan")
class ConvolutionalDiscriminator(network.Network):
    """The two-layer convolutional discriminator of a level.

    The condition is added to the band, so the network judges the image that
    the band makes; the class plane is stacked onto it. Two 'valid'
    convolutions with ReLU follow, the second of stride 2, then dropout and a
    linear layer. There is no normalization: batch normalization in the
    discriminator makes the training fail (Denton et al., 2015).

    Args:
        size: int or pair of ints. Height and width of the band, each at least
            `2 * kernel_size - 1`.
        channels: int. Channels of the band. Defaults to `3`.
        filters: int. Maps of the two convolutions. Defaults to `128`.
        kernel_size: int. Kernel size of the convolutions. Defaults to `5`.
        dropout: float. Dropout rate before the linear layer, in [0, 1).
            Defaults to `0.5`.
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
        training: bool. Whether dropout is active.

    Returns:
        Logits, float32 `(batch, 1)`, positive for real bands.

    Raises:
        ValueError: If `size` is too small for the 'valid' convolutions.

    Example:

    ```python
    import numpy as np

    from keras_lapgan.networks import ConvolutionalDiscriminator

    discriminator = ConvolutionalDiscriminator(28)
    logits = discriminator(
        {
            "band": np.zeros((4, 28, 28, 3)),
            "condition": np.zeros((4, 28, 28, 3)),
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
        filters=128,
        kernel_size=5,
        dropout=0.5,
        num_classes=0,
        conditional=True,
        dtype=None,
        name=None,
        **kwargs,
    ):
        pair = network.check_level(size, channels, num_classes)
        network.check_count("filters", filters)
        network.check_count("kernel_size", kernel_size)
        network.check_dropout(dropout)
        minimum = 2 * kernel_size - 1
        if min(pair) < minimum:
            raise ValueError(
                f"Two 'valid' convolutions with `kernel_size={kernel_size}` "
                f"need a `size` of at least {minimum}; use "
                f"`DenseDiscriminator` below that. Received: size={size}"
            )

        # === Layers ===
        inputs = network.discriminator_inputs(
            pair, channels, num_classes, conditional
        )
        x = network.discriminator_maps(inputs, pair, num_classes, dtype)
        for i, strides in enumerate((1, 2), start=1):
            x = layers.Conv2D(
                filters,
                kernel_size,
                strides=strides,
                activation="relu",
                data_format="channels_last",
                dtype=dtype,
                name=f"conv_{i}",
                **torch_uniform(kernel_size**2 * x.shape[-1]),
            )(x)
        x = layers.Flatten(dtype=dtype, name="flatten")(x)
        x = StepDropout(dropout, dtype=dtype, name="dropout")(x)
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

        # === Config ===
        self.filters = filters
        self.kernel_size = kernel_size
        self.dropout = dropout

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "dropout": self.dropout,
            }
        )
        return config
