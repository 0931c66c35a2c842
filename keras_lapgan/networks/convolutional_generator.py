"""The paper's convolutional generator of one level."""

import keras
from keras import layers

from keras_lapgan.networks import network
from keras_lapgan.networks.initializers import torch_uniform


@keras.saving.register_keras_serializable("keras_lapgan")
class ConvolutionalGenerator(network.Network):
    """The three-layer convolutional generator of a level above the coarsest.

    The noise plane, the class plane and the condition are stacked as maps in
    this order and pass through three 'same' convolutions of stride 1. ReLU
    follows the hidden ones; the output is linear. There is no normalization
    and no `tanh`: the band is a difference of images and has no fixed range.

    With `conditional=False` the network sees the noise plane (and the class
    plane) alone, which makes it the generator of a plain GAN on whole images.

    Args:
        size: int or pair of ints. Height and width of the band.
        channels: int. Channels of the band. Defaults to `3`.
        filters: int. Maps of the two hidden convolutions. Defaults to `128`.
        kernel_sizes: tuple of 3 ints. Kernel sizes of the convolutions.
            Defaults to `(7, 7, 5)`.
        num_classes: int. Number of classes, `0` for an unconditional network.
            Defaults to `0`.
        conditional: bool. Whether the network takes the upsampled coarser
            image as a condition. Defaults to `True`.
        dtype: dtype name or policy of the layers before the output. Defaults
            to `None`, Keras' global policy.
        name: str. Name of the model. Defaults to `None`.

    Call arguments:
        inputs: dict. `"noise"`, float32 `(batch, height, width, 1)`, U[-1, 1]
            in the paper; `"condition"`, float32
            `(batch, height, width, channels)`, only if `conditional`;
            `"labels"`, int32 `(batch,)`, only if `num_classes > 0`.

    Returns:
        The band, float32 `(batch, height, width, channels)`, unbounded.

    Example:

    ```python
    import numpy as np

    from keras_lapgan.networks import ConvolutionalGenerator

    generator = ConvolutionalGenerator(28, num_classes=10)
    band = generator(
        {
            "noise": np.random.uniform(-1, 1, (4, 28, 28, 1)),
            "condition": np.zeros((4, 28, 28, 3)),
            "labels": np.array([3, 1, 4, 1]),
        }
    )  # (4, 28, 28, 3)
    ```

    Reference:
        - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def __init__(
        self,
        size,
        channels=3,
        filters=128,
        kernel_sizes=(7, 7, 5),
        num_classes=0,
        conditional=True,
        dtype=None,
        name=None,
        **kwargs,
    ):
        pair = network.check_level(size, channels, num_classes)
        network.check_count("filters", filters)
        kernel_sizes = network.check_counts("kernel_sizes", kernel_sizes)
        if len(kernel_sizes) != 3:
            raise ValueError(
                "`kernel_sizes` should have one size for each of the 3 "
                f"convolutions. Received: kernel_sizes={kernel_sizes}"
            )

        # === Layers ===
        inputs = network.generator_inputs(
            pair, channels, num_classes, conditional
        )
        x = network.generator_maps(inputs, pair, num_classes, dtype)
        for i, kernel_size in enumerate(kernel_sizes[:2], start=1):
            x = layers.Conv2D(
                filters,
                kernel_size,
                padding="same",
                activation="relu",
                data_format="channels_last",
                dtype=dtype,
                name=f"conv_{i}",
                **torch_uniform(kernel_size**2 * x.shape[-1]),
            )(x)
        outputs = layers.Conv2D(
            channels,
            kernel_sizes[2],
            padding="same",
            data_format="channels_last",
            dtype="float32",
            name="output",
            **torch_uniform(kernel_sizes[2] ** 2 * filters),
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
        self.kernel_sizes = kernel_sizes
        self.noise_shape = (*pair, 1)

    def get_config(self):
        config = super().get_config()
        config.update(
            {"filters": self.filters, "kernel_sizes": self.kernel_sizes}
        )
        return config
