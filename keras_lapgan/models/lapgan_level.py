import keras
import numpy as np
from keras import ops

from keras_lapgan.layers.noise import UniformNoise
from keras_lapgan.models.adversarial_model import AdversarialModel
from keras_lapgan.models.adversarial_model import Bands
from keras_lapgan.training import replicas
from keras_lapgan.training.gradients import value_and_slope
from keras_lapgan.training.objectives import get_objective


@keras.saving.register_keras_serializable("keras_lapgan")
class LAPGANLevel(AdversarialModel):
    """One (conditional) GAN of a Laplacian pyramid, of one band.

    The generator turns noise, and at all levels but the coarsest the
    condition `l_k = u(I_{k+1})`, into a band `h_k`; the discriminator judges
    a band in the light of the condition. A third network, `ema_generator`,
    holds the moving average of the generator's weights and is the one that
    samples.

    A level is a model of its own: it can be saved, exported and trained by
    itself with `fit` on bands (and conditions), as well as inside a `LAPGAN`.

    Args:
        generator: `keras.Model` on a dict of `"noise"`, `"condition"` (not at
            the coarsest level) and `"labels"` (if class-conditional), to a
            float32 band `(batch, height, width, channels)`. It has attributes
            `size`, `channels`, `noise_shape`, `conditional` and
            `num_classes`; the classes in `keras_lapgan.networks` do.
        discriminator: `keras.Model` on a dict of `"band"`, `"condition"` and
            `"labels"` to logits `(batch, 1)`.
        index: int. The level's number in its pyramid, 0 the finest; it names
            the level's random streams. Defaults to 0.

    Call arguments:
        inputs: dict of the generator's inputs. Returns the bands that the
            averaged generator makes.

    Example:

    ```python
    level = LAPGANLevel(
        keras_lapgan.networks.DenseGenerator(8, hidden_units=(64, 64)),
        keras_lapgan.networks.DenseDiscriminator(8, hidden_units=(32, 32)),
    )
    level.compile()
    level.fit(bands, batch_size=16)  # float32 (n, 8, 8, 3)
    ```

    Reference:
        - Denton et al., 2015, section 2.3.
    """

    def __init__(self, generator, discriminator, index=0, **kwargs):
        # Bands and conditions stay float32 under every policy; what a network
        # casts is its own affair.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        for network, role in (
            (generator, "generator"),
            (discriminator, "discriminator"),
        ):
            if not isinstance(network, keras.Model):
                raise ValueError(
                    f"`{role}` must be a `keras.Model`. "
                    f"Received: {role}={network!r}"
                )
        for name in ("size", "channels", "conditional", "num_classes"):
            g, d = getattr(generator, name), getattr(discriminator, name)
            if g != d:
                raise ValueError(
                    "`generator` and `discriminator` must agree. Received: "
                    f"generator.{name}={g!r}, discriminator.{name}={d!r}"
                )
        self.index = index
        self.generator = generator
        self.discriminator = discriminator
        self.ema_generator = type(generator).from_config(
            {**generator.get_config(), "trainable": True}
        )
        self.ema_generator.set_weights(generator.get_weights())
        learned = {id(w) for w in self.ema_generator.trainable_weights}
        self._is_learned = tuple(
            id(w) in learned for w in self.ema_generator.weights
        )
        self.ema_generator.trainable = False
        # The steps that the average has seen, for its warm-up. A weight, so
        # that training on from a trained average keeps it.
        self.averaged_steps = self.add_weight(
            name="averaged_steps",
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="float32",
        )
        self.noise = UniformNoise(generator.noise_shape, name="noise")
        self.built = True

    @property
    def size(self):
        return self.generator.size

    @property
    def _pair(self):
        size = self.size
        return (size, size) if isinstance(size, int) else tuple(size)

    @property
    def conditional(self):
        return self.generator.conditional

    @property
    def num_classes(self):
        return self.generator.num_classes

    # === Sampling ===

    def call(self, inputs, training=False):
        return self.ema_generator(inputs, training=training)

    def sample_band(self, condition=None, labels=None, noise=None, seed=None):
        """Draws bands from the averaged generator.

        Args:
            condition: float tensor `(batch, height, width, channels)`, or
                None at the coarsest level.
            labels: int tensor `(batch,)`, for a class-conditional level.
            noise: float tensor `(batch, *noise_shape)`, or None to draw it.
            seed: int or None. For drawing noise.

        Returns:
            A float32 tensor `(batch, height, width, channels)`.
        """
        if noise is None:
            for given in (condition, labels):
                if given is not None:
                    noise = self.noise.draw(len(given), seed, self.index)
                    break
            else:
                raise ValueError(
                    "Without a condition or labels, pass `noise` of shape "
                    f"(batch, {', '.join(map(str, self.noise.shape))}): it "
                    "says how many bands. Received: noise=None"
                )
        return self(self._inputs("noise", noise, condition, labels))

    def score(self, band, condition=None, labels=None, training=False):
        """Logits of the discriminator, `(batch, 1)`: above 0 means real."""
        return self.discriminator(
            self._inputs("band", band, condition, labels), training=training
        )

    def _inputs(self, name, value, condition, labels):
        inputs = {name: value}
        if self.conditional:
            inputs["condition"] = condition
        if self.num_classes:
            inputs["labels"] = labels
        # Keras takes all tensors or none.
        return {
            key: ops.convert_to_tensor(x)
            if isinstance(x, (np.ndarray, list))
            else x
            for key, x in inputs.items()
        }

    # === Training ===

    def trainable_levels(self):
        return [self]

    def bands(self, data, random, training):
        if self._training.chained:
            raise ValueError(
                "A level by itself has no chain: compile it with `chained=0`, "
                f"or train a `LAPGAN`. Received: chained="
                f"{self._training.chained}"
            )
        x, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        band, condition = x, None
        if self.conditional:
            if not isinstance(x, (list, tuple)) or len(x) != 2:
                raise ValueError(
                    "A level above the coarsest trains on bands and "
                    "conditions: `fit((bands, conditions))`. Received: "
                    f"{type(x).__name__}"
                )
            band, condition = x
        channels = self.generator.channels
        for given in (band, condition):
            shape = (*self._pair, channels)
            if given is not None and tuple(given.shape)[1:] != shape:
                raise ValueError(
                    f"This level takes bands and conditions of shape (batch, "
                    f"{', '.join(map(str, shape))}). Received: "
                    f"shape={tuple(given.shape)}"
                )
        if self.num_classes and labels is None:
            raise ValueError(
                "This level is class-conditional: give it labels too, "
                "`fit(bands, labels)`. Received: no labels"
            )
        return {self.index: Bands(band, condition, labels)}

    def _scope(self, random):
        return random.at(f"level_{self.index}")

    def generated(self, batch, random, training=True):
        """Bands of the current generator for a batch of `Bands`."""
        random = self._scope(random).at("generator")
        noise = self.noise(batch.band, random=random)
        _, *context = batch.generated()
        with random.active():
            return self.generator(
                self._inputs("noise", noise, *context), training=training
            )

    def d_loss(
        self,
        batch,
        fake,
        objective,
        random,
        training=True,
        gradient_penalty=0.0,
    ):
        """The discriminator's loss on `batch` and `fake`, and measures of it.

        Returns:
            The loss and a dict of scalars: `d_accuracy`, and `logit_gap`, the
            mean logit on real bands less that on generated ones.
        """
        objective = get_objective(objective)
        band, *context = batch.twice(fake)

        def score(band):
            return self.score(band, *context, training=training)

        penalty = 0.0
        with self._scope(random).at("discriminator").active():
            if gradient_penalty:
                logits, slope = value_and_slope(
                    score, band, self.discriminator.variables
                )
                # R1 / 2 on the real bands and R2 / 2 on the generated ones.
                squares = ops.sum(ops.square(slope), axis=(1, 2, 3))
                penalty = gradient_penalty * ops.mean(squares)
            else:
                logits = score(band)
        real, fake = ops.split(logits, 2, axis=0)
        measures = {
            "d_accuracy": objective.accuracy(real, fake),
            "logit_gap": ops.cast(ops.mean(real) - ops.mean(fake), "float32"),
        }
        return objective.discriminator(real, fake) + penalty, measures

    def g_loss(self, batch, objective, random, training=True):
        """The generator's loss on freshly generated bands, and nothing."""
        objective = get_objective(objective)
        fake = self.generated(batch, random, training=training)
        real = None
        judged = batch.twice if objective.paired else batch.generated
        with self._scope(random).at("discriminator").active():
            fake = self.score(*judged(fake), training=training)
        if objective.paired:
            real, fake = ops.split(fake, 2, axis=0)
        return objective.generator(real, fake), ()

    def update_average(self, decay):
        """Moves `ema_generator` towards `generator`, after a step."""
        if not self.generator.trainable_weights:
            return
        n = ops.convert_to_tensor(self.averaged_steps)
        keep = ops.minimum(decay, (1.0 + n) / (10.0 + n))
        averages = self.ema_generator.weights

        def move(average, value, is_learned, keep):
            if is_learned:
                average.assign_sub((1.0 - keep) * (average - value))
            else:
                # Batch statistics are averages already.
                average.assign(value)

        replicas.update(
            move,
            averages,
            self.generator.weights,
            self._is_learned,
            [keep] * len(averages),
        )
        replicas.update(
            lambda steps: steps.assign_add(1.0), [self.averaged_steps]
        )

    @property
    def trainable(self):
        return keras.Model.trainable.fget(self)

    @trainable.setter
    def trainable(self, value):
        keras.Model.trainable.fset(self, value)
        # The average is never trained.
        if hasattr(self, "ema_generator"):
            self.ema_generator.trainable = False

    # === Config ===

    def get_config(self):
        return {
            **super().get_config(),
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(
                self.discriminator
            ),
            "index": self.index,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("generator", "discriminator"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
