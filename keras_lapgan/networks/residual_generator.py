"""A residual generator of one level, of this package's own design."""

import keras
from keras import layers

from keras_lapgan.networks import network
from keras_lapgan.networks.residual import Maps
from keras_lapgan.networks.residual import check_stages
from keras_lapgan.networks.residual import he_normal
from keras_lapgan.networks.residual import linear


@keras.saving.register_keras_serializable("keras_lapgan")
class ResidualGenerator(network.Network):
    """A residual convolutional generator of a level.

    At the coarsest level (`conditional=False`) a linear layer makes the maps
    of the coarsest resolution of a noise vector (and the one-hot label);
    residual blocks follow at each resolution, up to the band's. Above it, noise
    plane, class plane and condition are stacked as in `ConvolutionalGenerator`
    and go down through blocks to the coarsest resolution first, and what they
    were at each is added on the way up. So a band is drawn by what is all over
    the picture, where a pixel of the paper's sees eight around it, and with
    less work: of 28x28 pictures, 76 million multiplications each with
    `filters=(32, 64, 128)`, 662 million with the paper's 128 planes.

    Blocks are two 3x3 convolutions with leaky ReLU and no normalization; the
    output is linear.

    Args:
        size: int or pair of ints. Height and width of the band, a multiple of
            `2 ** (len(filters) - 1)`.
        channels: int. Channels of the band. Defaults to `3`.
        filters: tuple of ints. Maps at each resolution, finest first; each
            next has half the side. Defaults to `(64, 128)`.
        blocks: int. Residual blocks at each resolution on the way up; on the
            way down there is one. Defaults to `1`.
        noise_dim: int. Length of the noise vector, if not `conditional`.
            Defaults to `100`.
        num_classes: int. Number of classes, `0` for an unconditional network.
            Defaults to `0`.
        conditional: bool. Whether the network takes the upsampled coarser
            image as a condition. Defaults to `True`.
        dtype: dtype name or policy of the layers before the output. Defaults
            to `None`, Keras' global policy.
        name: str. Name of the model. Defaults to `None`.

    Call arguments:
        inputs: dict. `"noise"`, float32, U[-1, 1]: `(batch, height, width, 1)`
            if `conditional`, else `(batch, noise_dim)`; `"condition"`, float32
            `(batch, height, width, channels)`, only if `conditional`;
            `"labels"`, int32 `(batch,)`, only if `num_classes > 0`.

    Returns:
        The band, float32 `(batch, height, width, channels)`, unbounded.

    Raises:
        ValueError: If the band's side can't be halved for all of `filters`.

    Example:

    ```python
    import numpy as np

    from keras_lapgan.networks import ResidualGenerator

    generator = ResidualGenerator(8, num_classes=10, conditional=False)
    band = generator(
        {
            "noise": np.random.uniform(-1, 1, (4, 100)),
            "labels": np.array([3, 1, 4, 1]),
        }
    )  # (4, 8, 8, 3)
    ```

    Reference:
        - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
        - [He et al., 2016](https://arxiv.org/abs/1603.05027)
        - [Huang et al., 2024](https://arxiv.org/abs/2501.05441)
    """

    def __init__(
        self,
        size,
        channels=3,
        filters=(64, 128),
        blocks=1,
        noise_dim=100,
        num_classes=0,
        conditional=True,
        dtype=None,
        name=None,
        **kwargs,
    ):
        pair = network.check_level(size, channels, num_classes)
        filters = check_stages(pair, filters)
        network.check_count("blocks", blocks)
        network.check_count("noise_dim", noise_dim)

        # === Layers ===
        maps = Maps(dtype)
        finer = []
        if conditional:
            inputs = network.generator_inputs(
                pair, channels, num_classes, conditional
            )
            x = network.generator_maps(inputs, pair, num_classes, dtype)
            x = maps.convolve(x, filters[0], 3, he_normal())
            for width in filters[1:]:
                x = maps.block(x)
                finer.append(x)
                x = maps.halve(x, width)
        else:
            inputs = {
                "noise": keras.Input(
                    (noise_dim,), name="noise", dtype="float32"
                )
            }
            x = inputs["noise"]
            if num_classes:
                inputs["labels"] = network.label_input()
                labels = network.one_hot(inputs["labels"], num_classes, dtype)
                x = layers.Concatenate(dtype=dtype, name="concat")([x, labels])
            side = 2 ** (len(filters) - 1)
            shape = (pair[0] // side, pair[1] // side, filters[-1])
            x = layers.Dense(
                shape[0] * shape[1] * shape[2],
                kernel_initializer=he_normal(),
                dtype=dtype,
                name="dense",
            )(x)
            x = layers.Reshape(shape, dtype=dtype, name="reshape")(x)
        for i, width in enumerate(reversed(filters)):
            if i:
                x = maps.double(x, width)
            if i and finer:
                x = layers.Add(dtype=dtype, name=f"skip_{i}")([x, finer.pop()])
            for _ in range(blocks):
                x = maps.block(x)
        outputs = layers.Conv2D(
            channels,
            3,
            padding="same",
            data_format="channels_last",
            kernel_initializer=linear(),
            dtype="float32",
            name="output",
        )(maps.activate(x))
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
        self.noise_dim = noise_dim
        self.noise_shape = (*pair, 1) if conditional else (noise_dim,)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "blocks": self.blocks,
                "noise_dim": self.noise_dim,
            }
        )
        return config
