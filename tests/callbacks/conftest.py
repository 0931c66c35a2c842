import keras
import numpy as np
import pytest


@pytest.fixture
def make_model():
    """Makes a small LAPGAN of sizes 16 and 8, the same each time."""

    def make(num_classes=0):
        from keras_lapgan import LAPGAN
        from keras_lapgan import LAPGANLevel
        from keras_lapgan import networks

        keras.utils.set_random_seed(0)
        levels = []
        for k, (size, conditional) in enumerate([(16, True), (8, False)]):
            shared = {"num_classes": num_classes, "conditional": conditional}
            levels.append(
                LAPGANLevel(
                    networks.DenseGenerator(
                        size, hidden_units=(8, 8), noise_dim=4, **shared
                    ),
                    networks.DenseDiscriminator(
                        size, hidden_units=(8, 8), **shared
                    ),
                    index=k,
                )
            )
        model = LAPGAN(levels)
        # A few steps take less time than to compile them; but JAX compiles
        # every operation.
        model.compile(run_eagerly=keras.backend.backend() != "jax")
        return model

    return make


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (24, 16, 16, 3), dtype="uint8")
