"""The paper's fully connected discriminator of one level."""

import keras
from keras import layers

from keras_lapgan.layers.dropout import StepDropout
from keras_lapgan.networks import network
from keras_lapgan.networks.initializers import normal


@keras.saving.register_keras_serializable("keras_lapgan")
class DenseDiscriminator(network.Network):
    """The fully connected discriminator of the coarsest level.

    The band, with the condition added to it where there is one, is flattened,
    joined with the one-hot label and passes through dense layers with ReLU and
    dropout, then through a linear layer. Kernels start from N(0,
    `kernel_stddev`), biases from zero.

    Args:
        size: int or pair of ints. Height and width of the band.
        channels: int. Channels of the band. Defaults to `3`.
        hidden_units: tuple of ints. Units of the hidden layers. Defaults to
            `(600, 600)`.
        dropout: float. Dropout rate after each hidden layer, in [0, 1).
            Defaults to `0.5`.
        kernel_stddev: float, above 0. Defaults to `0.005`, the paper's.
        num_classes: int. Number of classes, `0` for an unconditional network.
            Defaults to `0`.
        conditional: bool. Whether the network takes the upsampled coarser
            image as a condition. Defaults to `False`.
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

    Example:

    ```python
    import numpy as np

    from keras_lapgan.networks import DenseDiscriminator

    discriminator = DenseDiscriminator(8)
    logits = discriminator({"band": np.zeros((4, 8, 8, 3))})  # (4, 1)
    ```

    Reference:
        - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def __init__(
        self,
        size,
        channels=3,
        hidden_units=(600, 600),
        dropout=0.5,
        kernel_stddev=0.005,
        num_classes=0,
        conditional=False,
        dtype=None,
        name=None,
        **kwargs,
    ):
        pair = network.check_level(size, channels, num_classes)
        hidden_units = network.check_counts("hidden_units", hidden_units)
        network.check_dropout(dropout)
        network.check_stddev(kernel_stddev)

        # === Layers ===
        inputs = network.discriminator_inputs(
            pair, channels, num_classes, conditional
        )
        x = network.discriminator_image(inputs)
        x = layers.Flatten(dtype=dtype, name="flatten")(x)
        if num_classes:
            labels = network.one_hot(inputs["labels"], num_classes, dtype)
            x = layers.Concatenate(dtype=dtype, name="concat")([x, labels])
        for i, units in enumerate(hidden_units, start=1):
            x = layers.Dense(
                units,
                activation="relu",
                dtype=dtype,
                name=f"dense_{i}",
                **normal(kernel_stddev),
            )(x)
            x = StepDropout(dropout, dtype=dtype, name=f"dropout_{i}")(x)
        outputs = layers.Dense(
            1, dtype="float32", name="output", **normal(kernel_stddev)
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
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.kernel_stddev = kernel_stddev

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "hidden_units": self.hidden_units,
                "dropout": self.dropout,
                "kernel_stddev": self.kernel_stddev,
            }
        )
        return config
