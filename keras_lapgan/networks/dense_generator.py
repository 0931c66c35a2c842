"""The paper's fully connected generator of one level."""

import math

import keras
from keras import layers

from keras_lapgan.networks import network
from keras_lapgan.networks.initializers import normal


@keras.saving.register_keras_serializable("keras_lapgan")
class DenseGenerator(network.Network):
    """The fully connected generator of the coarsest level.

    The noise vector, the flattened condition (if there is one) and the one-hot
    label are joined in this order and pass through dense layers; the linear
    output is reshaped into the band. Kernels start from N(0, 0.05), biases
    from zero.

    Args:
        size: int or pair of ints. Height and width of the band.
        channels: int. Channels of the band. Defaults to `3`.
        hidden_units: tuple of ints. Units of the hidden layers. Defaults to
            `(1200, 1200)`.
        noise_dim: int. Length of the noise vector. Defaults to `100`.
        num_classes: int. Number of classes, `0` for an unconditional network.
            Defaults to `0`.
        conditional: bool. Whether the network takes the upsampled coarser
            image as a condition. Defaults to `False`.
        activations: str or tuple of str. Activation of the hidden layers, one
            for all or one for each. Defaults to `"relu"`.
        dtype: dtype name or policy of the layers before the output. Defaults
            to `None`, Keras' global policy.
        name: str. Name of the model. Defaults to `None`.

    Call arguments:
        inputs: dict. `"noise"`, float32 `(batch, noise_dim)`, U[-1, 1] in the
            paper; `"condition"`, float32 `(batch, height, width, channels)`,
            only if `conditional`; `"labels"`, int32 `(batch,)`, only if
            `num_classes > 0`.

    Returns:
        The band, float32 `(batch, height, width, channels)`, unbounded.

    Example:

    ```python
    import numpy as np

    from keras_lapgan.networks import DenseGenerator

    generator = DenseGenerator(8, num_classes=10)
    band = generator(
        {
            "noise": np.random.uniform(-1, 1, (4, 100)),
            "labels": np.array([3, 1, 4, 1]),
        }
    )  # (4, 8, 8, 3)
    ```

    Reference:
        - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def __init__(
        self,
        size,
        channels=3,
        hidden_units=(1200, 1200),
        noise_dim=100,
        num_classes=0,
        conditional=False,
        activations="relu",
        dtype=None,
        name=None,
        **kwargs,
    ):
        pair = network.check_level(size, channels, num_classes)
        hidden_units = network.check_counts("hidden_units", hidden_units)
        network.check_count("noise_dim", noise_dim)
        per_layer = activations
        if isinstance(activations, str):
            per_layer = (activations,) * len(hidden_units)
        if not isinstance(per_layer, tuple | list) or len(per_layer) != len(
            hidden_units
        ):
            raise ValueError(
                "`activations` should be a name, or one name for each of the "
                f"{len(hidden_units)} hidden layers. "
                f"Received: activations={activations!r}"
            )

        # === Layers ===
        inputs = {
            "noise": keras.Input((noise_dim,), name="noise", dtype="float32")
        }
        vectors = [inputs["noise"]]
        if conditional:
            inputs["condition"] = network.image_input(
                "condition", pair, channels
            )
            flatten = layers.Flatten(dtype=dtype, name="flatten")
            vectors.append(flatten(inputs["condition"]))
        if num_classes:
            inputs["labels"] = network.label_input()
            vectors.append(
                network.one_hot(inputs["labels"], num_classes, dtype)
            )
        x = vectors[0]
        if len(vectors) > 1:
            x = layers.Concatenate(dtype=dtype, name="concat")(vectors)
        for i, (units, activation) in enumerate(
            zip(hidden_units, per_layer, strict=True), start=1
        ):
            x = layers.Dense(
                units,
                activation=activation,
                dtype=dtype,
                name=f"dense_{i}",
                **normal(0.05),
            )(x)
        x = layers.Dense(
            math.prod(pair) * channels,
            dtype="float32",
            name="output",
            **normal(0.05),
        )(x)
        outputs = layers.Reshape(
            (*pair, channels), dtype="float32", name="band"
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
        self.noise_dim = noise_dim
        self.activations = (
            activations if isinstance(activations, str) else tuple(activations)
        )
        self.noise_shape = (noise_dim,)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "hidden_units": self.hidden_units,
                "noise_dim": self.noise_dim,
                "activations": self.activations,
            }
        )
        return config
