"""The generator of one level that the authors released for LSUN."""

import keras
from keras import layers

from keras_lapgan.layers.dropout import StepDropout
from keras_lapgan.layers.grouped_convolution import GroupedConv2D
from keras_lapgan.layers.lp_pooling import PairwiseL2Pooling
from keras_lapgan.networks import network
from keras_lapgan.networks.initializers import torch_uniform
from keras_lapgan.training import replicas


@keras.saving.register_keras_serializable("keras_lapgan")
class LSUNGenerator(network.Network):
    """The five-layer generator of a level, in its released, grouped form.

    Four hidden 'same' convolutions of 64, 368, 128 and 224 maps, grouped from
    the second on, are each followed by ReLU and batch normalization without
    scale and offset. Dropout of whole maps follows the second and the fourth;
    neighbouring maps of the third are joined in pairs by their L2 norm. The
    last convolution is linear and batch normalized.

    Args:
        size: int or pair of ints. Height and width of the band.
        channels: int. Channels of the band. Defaults to `3`.
        num_classes: int. Number of classes, `0` for an unconditional network.
            Defaults to `0`.
        dropout: float. Dropout rate of whole maps, in [0, 1). Defaults to
            `0.5`.
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
        training: bool. Whether dropout is active and batch normalization uses
            the batch's statistics and updates the moving ones.

    Returns:
        The band, float32 `(batch, height, width, channels)`.

    Example:

    ```python
    import numpy as np

    from keras_lapgan.networks import LSUNGenerator

    generator = LSUNGenerator(16)
    band = generator(
        {
            "noise": np.random.uniform(-1, 1, (4, 16, 16, 1)),
            "condition": np.zeros((4, 16, 16, 3)),
        }
    )  # (4, 16, 16, 3)
    ```

    Reference:
        - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def __init__(
        self,
        size,
        channels=3,
        num_classes=0,
        dropout=0.5,
        conditional=True,
        dtype=None,
        name=None,
        **kwargs,
    ):
        pair = network.check_level(size, channels, num_classes)
        network.check_dropout(dropout)

        # === Layers ===
        def conv(x, filters, kernel_size, groups, name, **kwargs):
            kind = layers.Conv2D if groups == 1 else GroupedConv2D
            return kind(
                filters,
                kernel_size,
                padding="same",
                groups=groups,
                data_format="channels_last",
                name=name,
                **torch_uniform(kernel_size**2 * x.shape[-1] // groups),
                **kwargs,
            )(x)

        def batch_norm(x, name, dtype):
            # Torch's defaults, which the released network relies on.
            return layers.BatchNormalization(
                axis=-1,
                momentum=0.9,
                epsilon=1e-5,
                center=False,
                scale=False,
                # The batch is that of all replicas.
                synchronized=replicas.has_replicas(),
                dtype=dtype,
                name=name,
            )(x)

        inputs = network.generator_inputs(
            pair, channels, num_classes, conditional
        )
        x = network.generator_maps(inputs, pair, num_classes, dtype)
        for i, (filters, kernel_size, groups) in enumerate(
            [(64, 7, 1), (368, 7, 4), (128, 7, 4), (224, 5, 2)], start=1
        ):
            x = conv(
                x,
                filters,
                kernel_size,
                groups,
                name=f"conv_{i}",
                activation="relu",
                dtype=dtype,
            )
            x = batch_norm(x, f"norm_{i}", dtype)
            if i in (2, 4):
                x = StepDropout(
                    dropout,
                    noise_shape=(None, 1, 1, None),
                    dtype=dtype,
                    name=f"dropout_{i}",
                )(x)
            if i == 3:
                x = PairwiseL2Pooling(dtype=dtype, name="pool_3")(x)
        x = conv(x, channels, 7, 1, name="output", dtype="float32")
        outputs = batch_norm(x, "output_norm", "float32")
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
        self.dropout = dropout
        self.noise_shape = (*pair, 1)

    def get_config(self):
        config = super().get_config()
        config["dropout"] = self.dropout
        return config
