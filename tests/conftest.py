"""Small models and data, for all tests that train or sample."""

import keras
import numpy as np
import pytest


class Tiny:
    """Makes models that train a step in milliseconds.

    Attributes:
        quick: dict. Arguments of `compile` for the shortest way to the first
            few steps. JAX's single operations take longer to compile than
            the whole step; TensorFlow's XLA takes seconds.
        compiled: dict. The same for steps that are surely compiled.
    """

    def __init__(self):
        backend = keras.backend.backend()
        self.quick = {} if backend == "jax" else {"run_eagerly": True}
        self.compiled = {"jit_compile": False} if backend != "jax" else {}

    def level(self, size, index=0, num_classes=0, conditional=False, **kwargs):
        """A level of dense networks; with `filters`, of convolutions."""
        from keras_lapgan import LAPGANLevel
        from keras_lapgan import networks

        shared = {"num_classes": num_classes, "conditional": conditional}
        filters = kwargs.pop("filters", None)
        if filters:
            generator = networks.ConvolutionalGenerator(
                size, filters=filters, **shared
            )
            discriminator = networks.ConvolutionalDiscriminator(
                size, filters=filters, **shared
            )
        else:
            generator = networks.DenseGenerator(
                size, hidden_units=(16, 16), noise_dim=10, **shared
            )
            discriminator = networks.DenseDiscriminator(
                size, hidden_units=(16, 16), **shared
            )
        return LAPGANLevel(generator, discriminator, index=index, **kwargs)

    def model(
        self, sizes=(8, 4), num_classes=0, seed=0, filters=None, **kwargs
    ):
        """A LAPGAN, the same for the same arguments."""
        from keras_lapgan import LAPGAN

        keras.utils.set_random_seed(seed)
        levels = []
        for k, size in enumerate(sizes):
            finer = k < len(sizes) - 1
            levels.append(
                self.level(
                    size,
                    index=k,
                    num_classes=num_classes,
                    conditional=finer,
                    # The discriminator's convolutions want 9 pixels.
                    filters=filters if finer and size >= 9 else None,
                )
            )
        return LAPGAN(levels, **kwargs)

    def images(self, count=16, size=8, seed=0):
        """uint8 pictures, each of another brightness."""
        rng = np.random.default_rng(seed)
        images = rng.normal(0, 30, (count, size, size, 3))
        images += rng.uniform(60, 200, (count, 1, 1, 1))
        return np.clip(images, 0, 255).astype("uint8")

    def labels(self, count=16, num_classes=3):
        return np.arange(count) % num_classes

    def noise(self, model, count=4, seed=0):
        """One float32 array a level."""
        rng = np.random.default_rng(seed)
        return [
            rng.uniform(-1, 1, (count, *level.noise.shape)).astype("float32")
            for level in model.levels
        ]

    def arrays(self, layer):
        """The weights of `layer`, as numpy."""
        return [keras.ops.convert_to_numpy(v) for v in layer.weights]

    def same(self, left, right):
        """Whether two lists of arrays are equal, bit by bit."""
        return len(left) == len(right) and all(
            np.array_equal(a, b) for a, b in zip(left, right, strict=True)
        )

    def steps(self, model, x, y=None, count=1, batch_size=8, **kwargs):
        """`fit` for `count` steps on successive batches, without shuffling."""
        n = count * batch_size
        repeats = -(-n // len(x))
        x = np.concatenate([x] * repeats)[:n]
        if y is not None:
            y = np.concatenate([y] * repeats)[:n]
        return model.fit(
            x, y, batch_size=batch_size, shuffle=False, verbose=0, **kwargs
        )


@pytest.fixture(scope="session")
def tiny():
    return Tiny()
