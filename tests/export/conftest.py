"""Small models of every kind, with pictures that are far from grey."""

import keras
import numpy as np
import pytest


class Models:
    """Makes LAPGANs whose weights are drawn, not initialised."""

    def lapgan(self, *generators, seed=0, **kwargs):
        """A LAPGAN of these generators, finest first."""
        from keras_lapgan import LAPGAN
        from keras_lapgan import LAPGANLevel
        from keras_lapgan import networks

        levels = []
        for k, generator in enumerate(generators):
            judge = networks.DenseDiscriminator(
                generator.size,
                channels=generator.channels,
                hidden_units=(4,),
                num_classes=generator.num_classes,
                conditional=generator.conditional,
            )
            levels.append(LAPGANLevel(generator, judge, index=k))
        model = LAPGAN(levels, **kwargs)
        self.draw_weights(model, seed)
        return model

    def draw_weights(self, model, seed=0):
        """Gives the averaged generators weights that make contrast."""
        rng = np.random.default_rng(seed)
        for level in model.levels:
            drawn = []
            for variable in level.ema_generator.weights:
                shape = tuple(variable.shape)
                if "variance" in variable.name:
                    value = rng.uniform(0.3, 3, shape)
                else:
                    fan_in = np.prod(shape[:-1]) if len(shape) > 1 else 16
                    value = rng.normal(0, 1.5 / np.sqrt(fan_in), shape)
                drawn.append(value.astype("float32"))
            level.ema_generator.set_weights(drawn)

    def dense(self, size, **kwargs):
        from keras_lapgan import networks

        kwargs = {"hidden_units": (16,), "noise_dim": 10, **kwargs}
        return networks.DenseGenerator(size, **kwargs)

    def convolutional(self, size, **kwargs):
        from keras_lapgan import networks

        kwargs = {"filters": 4, **kwargs}
        return networks.ConvolutionalGenerator(size, **kwargs)

    def residual(self, size, **kwargs):
        from keras_lapgan import networks

        kwargs = {"filters": (4, 6), "blocks": 1, "noise_dim": 5, **kwargs}
        return networks.ResidualGenerator(size, **kwargs)

    def own(self, body, size=8, noise_shape=(6,), num_classes=0):
        """A functional model as a user writes it, for the coarsest level."""
        inputs = {"noise": keras.Input(noise_shape, name="noise")}
        if num_classes:
            inputs["labels"] = keras.Input((), dtype="int32", name="labels")
        return self.as_generator(
            keras.Model(inputs, body(inputs)), size, noise_shape, num_classes
        )

    def as_generator(self, network, size=8, noise_shape=(6,), num_classes=0):
        network.size = size
        network.channels = 3
        network.conditional = False
        network.num_classes = num_classes
        network.noise_shape = noise_shape
        return network

    def chain(self, num_classes=0, **kwargs):
        """Three levels: two of convolutions, the coarsest dense."""
        shared = {"num_classes": num_classes}
        return self.lapgan(
            self.convolutional(12, **shared),
            self.convolutional(8, **shared),
            self.dense(4, **shared),
            **kwargs,
        )


@pytest.fixture(scope="session")
def models():
    return Models()
