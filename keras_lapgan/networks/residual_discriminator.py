"""A residual discriminator of one level, of this package's own design."""

import keras
from keras import layers
from keras import ops

from keras_lapgan.networks import network
from keras_lapgan.networks.residual import Maps
from keras_lapgan.networks.residual import check_stages
from keras_lapgan.networks.residual import he_normal
from keras_lapgan.networks.residual import linear


@keras.saving.register_keras_serializable("keras_lapgan")
class ResidualDiscriminator(network.Network):
    """A residual convolutional discriminator of a level.

    The condition is added to the band, so the network judges the image that
    the band makes, all of it: residual blocks at each resolution, then a dense
    layer. Of its last one, with an output for each class, the label chooses:
    projection (Miyato & Koyama, 2018) without the part that classes share.
    Blocks are two 3x3 convolutions with leaky ReLU and no normalization.

    Args:
        size: int or pair of ints. Height and width of the band, a multiple of
            `2 ** (len(filters) - 1)`.
        channels: int. Channels of the band. Defaults to `3`.
        filters: tuple of ints. Maps at each resolution, finest first; each
            next has half the side. Defaults to `(64, 128)`.
        blocks: int. Residual blocks at each resolution. Defaults to `1`.
        units: int. Units of the dense layer. Defaults to `256`.
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
        ValueError: If the band's side can't be halved for all of `filters`.

    Example:

    ```python
    import numpy as np

    from keras_lapgan.networks import ResidualDiscriminator

    discriminator = ResidualDiscriminator(8, conditional=False)
    logits = discriminator({"band": np.zeros((4, 8, 8, 3))})  # (4, 1)
    ```

    Reference:
        - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
        - [Miyato & Koyama, 2018](https://arxiv.org/abs/1802.05637)
        - [Huang et al., 2024](https://arxiv.org/abs/2501.05441)
    """

    def __init__(
        self,
        size,
        channels=3,
        filters=(64, 128),
        blocks=1,
        units=256,
        num_classes=0,
        conditional=True,
        dtype=None,
        name=None,
        **kwargs,
    ):
        pair = network.check_level(size, channels, num_classes)
        filters = check_stages(pair, filters)
        network.check_count("blocks", blocks)
        network.check_count("units", units)

        # === Layers ===
        inputs = network.discriminator_inputs(
            pair, channels, num_classes, conditional
        )
        maps = Maps(dtype)
        x = network.discriminator_image(inputs)
        x = maps.convolve(x, filters[0], 3, he_normal())
        for i, width in enumerate(filters):
            if i:
                x = maps.halve(x, width)
            for _ in range(blocks):
                x = maps.block(x)
        x = layers.Flatten(dtype=dtype, name="flatten")(maps.activate(x))
        x = layers.Dense(
            units, kernel_initializer=he_normal(), dtype=dtype, name="dense"
        )(x)
        outputs = layers.Dense(
            num_classes or 1,
            kernel_initializer=linear(),
            dtype="float32",
            name="output",
        )(maps.activate(x))
        if num_classes:
            labels = network.one_hot(inputs["labels"], num_classes, "float32")
            outputs = ops.sum(outputs * labels, axis=-1, keepdims=True)
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
        self.blocks = blocks
        self.units = units

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "blocks": self.blocks,
                "units": self.units,
            }
        )
        return config
