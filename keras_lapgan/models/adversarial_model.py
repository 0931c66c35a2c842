import numbers
from typing import NamedTuple

import keras
from keras import ops

from keras_lapgan.layers.noise import checked_seed
from keras_lapgan.layers.randomness import StepRandom
from keras_lapgan.training import replicas
from keras_lapgan.training import shares
from keras_lapgan.training.damped_sgd import DampedSGD
from keras_lapgan.training.gradients import apply_gradients
from keras_lapgan.training.gradients import stateful_steps
from keras_lapgan.training.gradients import value_and_gradients
from keras_lapgan.training.objectives import get_objective

#: What is logged of each trained level; what a test does not know comes last,
#: so that its values fit the first of the names.
_TESTED_NAMES = ("d_loss", "g_loss", "d_accuracy", "logit_gap")
_TRAINED_NAMES = ("d_gradient_norm", "g_gradient_norm")


class Bands(NamedTuple):
    """What one level learns from: a batch of real bands and their context.

    Attributes:
        band: float32 tensor `(batch, height, width, channels)`.
        condition: tensor of the same shape, or None at the coarsest level.
        labels: int tensor `(batch,)`, or None.
        drawn_condition: like `condition`, what generated bands are drawn on
            where that is another than the real ones'; else None.
    """

    band: object
    condition: object = None
    labels: object = None
    drawn_condition: object = None

    def generated(self, fake=None):
        """The `fake` bands and their context, a tuple of three."""
        condition = self.drawn_condition
        if condition is None:
            condition = self.condition
        return fake, condition, self.labels

    def twice(self, fake):
        """The real bands followed by the `fake` ones, as `generated`."""

        def both(real, fake):
            if real is None:
                return None
            return ops.concatenate([real, fake], axis=0)

        return tuple(map(both, self, self.generated(fake)))


class _Training:
    """What `compile` decides, kept out of the weights file's tree."""

    def __init__(
        self,
        d_optimizers,
        g_optimizers,
        objectives,
        penalties,
        levels,
        ema_decay,
        chained,
        seed,
    ):
        # By level index.
        self.d_optimizers = d_optimizers
        self.g_optimizers = g_optimizers
        self.objectives = objectives
        self.penalties = penalties
        self.levels = levels
        self.ema_decay = ema_decay
        self.chained = chained
        self.seed = seed
        names = ["d_loss", "g_loss"]
        for measures in (_TESTED_NAMES, _TRAINED_NAMES):
            for k in levels:
                names += [f"{name}_{k}" for name in measures]
        self.means = {name: keras.metrics.Mean(name=name) for name in names}


class _OptimizerOf(keras.optimizers.OptimizerMap):
    """Sends a variable to its optimizer by the variable's identity.

    Paths would do as well if they were unique, which those of a user's own
    networks need not be.

    Args:
        pairs: list of `(optimizer, variables)`.
    """

    def __init__(self, pairs):
        distinct = list({id(o): o for o, _ in pairs}.values())
        super().__init__(
            distinct[-1], {str(i): o for i, o in enumerate(distinct[:-1])}
        )
        self._by_variable = {id(v): o for o, vs in pairs for v in vs}

    def __call__(self, variable):
        return self._by_variable.get(id(variable), self.default_optimizer)


@stateful_steps
class AdversarialModel(keras.Model):
    """Training shared by `LAPGAN` and `LAPGANLevel`.

    A subclass says which levels it has (`trainable_levels()`, a list of
    `LAPGANLevel`) and how a batch of its data becomes `Bands` for each
    (`bands(data, random, training)`, a dict from level index to `Bands`).

    One step, for all levels at once: draw noise, make generated bands; one
    gradient of the sum of the levels' D losses and one step of D's optimizer;
    draw fresh noise; the same for G. The levels share no variable, so the sum
    trains each as if it were alone; only where `compile` says `chained` does a
    level see what the coarser ones draw.

    Logs are means over the epoch: `d_loss` and `g_loss` over all levels; of
    each level k `d_loss_k`, `g_loss_k`, `d_accuracy_k`, `logit_gap_k` (D's mean
    logit on real bands less that on generated ones) and, in training,
    `d_gradient_norm_k` and `g_gradient_norm_k` (L2 over all weights of one
    network of the level). Under `"relativistic"` the accuracy is the share of
    pairs that D puts in the right order. A gradient penalty is part of
    `d_loss`, but not of a test's.
    """

    def compile(
        self,
        d_optimizer="auto",
        g_optimizer="auto",
        objective="non_saturating",
        gradient_penalty=0.0,
        levels=None,
        ema_decay=0.999,
        chained=0.0,
        seed=0,
        **kwargs,
    ):
        """Configures training.

        Args:
            d_optimizer: `keras.optimizers.Optimizer`, its config or its name,
                for all discriminators, or a list of one a level, finest
                first. `"auto"` is the paper's, `DampedSGD()`. Defaults to
                `"auto"`.
            g_optimizer: the same for the generators. Defaults to `"auto"`.
            objective: str. `"non_saturating"` (the paper's practice),
                `"minimax"` (its equations 1 and 2), `"least_squares"`,
                `"hinge"` or `"relativistic"` (pairs of a real and a generated
                picture), or a list of one a level, finest first. Defaults to
                `"non_saturating"`.
            gradient_penalty: float from 0 to 1e6, or a list of one a level,
                finest first. D's loss in training has it / 2 times the mean
                squared L2 norm of D's gradient, with respect to the band: of
                real ones (R1) and of generated ones (R2). With
                `"relativistic"` it is what keeps D from overfitting, in place
                of dropout. Defaults to 0.0, none.
            levels: iterable of int, or None. Train only these levels. None
                trains all. Defaults to None.
            ema_decay: float in [0, 1). Sampling uses an exponential moving
                average of each generator's weights, with this decay a step,
                warmed up as `min(ema_decay, (1 + t) / (10 + t))`. 0 samples
                with the current weights. Defaults to 0.999.
            chained: float in [0, 1]. Share of the generated bands that are
                drawn, in training, on what the averaged generators of the
                coarser levels draw, as in sampling; the others on real
                pictures' `condition`, as all are in the paper. Once each
                level is trained it closes the gap between the two. Defaults
                to 0.0.
            seed: int. Noise, dropout masks and crops are functions of it and
                of the step's number. Defaults to 0.
            **kwargs: `jit_compile`, `steps_per_execution` and `run_eagerly`
                of `keras.Model.compile`.

        Raises:
            ValueError: an unknown objective, a level that does not exist, a
                decay, share or penalty out of range, an optimizer given
                twice.

        Reference:
            - Mescheder et al., [Which Training Methods for GANs do actually
              Converge?](https://arxiv.org/abs/1801.04406), 2018: R1 and R2.
            - Jolicoeur-Martineau, [The relativistic discriminator](
              https://arxiv.org/abs/1807.00734), 2019.
            - Huang et al., [The GAN is dead; long live the GAN!](
              https://arxiv.org/abs/2501.05441), 2024: the three together.
            - Bengio et al., [Scheduled Sampling](
              https://arxiv.org/abs/1506.03099), 2015: training on one's own
              draws.
        """
        if not 0 <= ema_decay < 1:
            raise ValueError(
                "`ema_decay` must be in [0, 1). "
                f"Received: ema_decay={ema_decay!r}"
            )
        is_share = isinstance(chained, numbers.Real) and chained is not True
        if not (is_share and 0 <= chained <= 1):
            raise ValueError(
                "`chained` must be a share, from 0 to 1. "
                f"Received: chained={chained!r}"
            )
        unexpected = set(kwargs) - {
            "jit_compile",
            "steps_per_execution",
            "run_eagerly",
        }
        if unexpected:
            raise ValueError(
                "`compile` of a GAN takes `d_optimizer`, `g_optimizer` and "
                "`objective` where other models take an optimizer, a loss "
                f"and metrics. Received: {', '.join(sorted(unexpected))}"
            )
        if keras.config.dtype_policy().name == "mixed_float16":
            raise ValueError(
                "mixed_float16 needs scaled losses, which two optimizers in "
                "one step do not get. Use `mixed_bfloat16`. "
                "Received: dtype_policy='mixed_float16'"
            )
        seed = checked_seed(seed)
        if isinstance(levels, int):
            levels = (levels,)
        known = [level.index for level in self.trainable_levels()]
        chosen = known if levels is None else sorted(set(levels))
        if not chosen or not set(chosen) <= set(known):
            raise ValueError(
                f"`levels` must be some of {known} (0 is the finest). "
                f"Received: levels={levels!r}"
            )
        objectives = self._one_a_level("objective", objective)
        for one in objectives.values():
            get_objective(one)
        penalties = self._one_a_level("gradient_penalty", gradient_penalty)
        for one in penalties.values():
            is_number = isinstance(one, numbers.Real) and one is not True
            if not (is_number and 0 <= one <= 1e6):
                raise ValueError(
                    "`gradient_penalty` must be a number from 0 to 1e6, or "
                    "a list of one a level. "
                    f"Received: gradient_penalty={gradient_penalty!r}"
                )
        penalties = {k: float(one) for k, one in penalties.items()}
        d_optimizers = self._optimizers("d_optimizer", d_optimizer)
        g_optimizers = self._optimizers("g_optimizer", g_optimizer)
        if {id(o) for o in d_optimizers.values()} & {
            id(o) for o in g_optimizers.values()
        }:
            raise ValueError(
                "`d_optimizer` and `g_optimizer` must be two objects: one "
                "optimizer cannot count the steps of both. "
                f"Received: {d_optimizer!r} for both"
            )
        pairs = []
        for level in self.trainable_levels():
            k = level.index
            pairs.append((d_optimizers[k], level.discriminator.variables))
            pairs.append((g_optimizers[k], level.generator.variables))
        self._training = _Training(
            d_optimizers,
            g_optimizers,
            objectives,
            penalties,
            chosen,
            float(ema_decay),
            float(chained),
            seed,
        )
        # `compile` resolves "auto"; what was asked is what gets saved.
        self._training.jit_compile = kwargs.get("jit_compile", "auto")
        super().compile(
            optimizer=keras.optimizers.MultiOptimizer(_OptimizerOf(pairs)),
            **kwargs,
        )

    def get_compile_config(self):
        if not self.compiled:
            return None
        return {
            "d_optimizer": _serialize(self._training.d_optimizers),
            "g_optimizer": _serialize(self._training.g_optimizers),
            "objective": _alone_if_equal(self._training.objectives),
            "gradient_penalty": _alone_if_equal(self._training.penalties),
            "levels": list(self._training.levels),
            "ema_decay": self._training.ema_decay,
            "chained": self._training.chained,
            "seed": self._training.seed,
            "jit_compile": self._training.jit_compile,
            "steps_per_execution": self.steps_per_execution,
            "run_eagerly": self.run_eagerly,
        }

    def compile_from_config(self, config):
        self.compile(**config)
        # Keras loads an optimizer's weights only into one that is built.
        self.optimizer.build(self.trainable_variables)

    def level_indices(self):
        """Returns the numbers of all levels, also of those not built."""
        return [level.index for level in self.trainable_levels()]

    def _optimizers(self, name, identifier):
        """The optimizer of each level index; one given for all is shared."""
        if not isinstance(identifier, (list, tuple)):
            return self._one_a_level(name, _get_optimizer(identifier))
        chosen = self._one_a_level(name, identifier)
        chosen = {k: _get_optimizer(one) for k, one in chosen.items()}
        if len({id(one) for one in chosen.values()}) < len(chosen):
            raise ValueError(
                f"`{name}` must list {len(chosen)} different objects; to "
                "share one among all levels pass it alone. "
                f"Received: {identifier!r}"
            )
        return chosen

    def _one_a_level(self, name, value):
        """By level index: the items of a list, or what is given for all."""
        known = self.level_indices()
        if not isinstance(value, (list, tuple)):
            return dict.fromkeys(known, value)
        if len(value) != len(known):
            raise ValueError(
                f"`{name}` must be one for all levels or a list of "
                f"{len(known)}, one a level, finest first. "
                f"Received: {name}={value!r}"
            )
        return dict(zip(known, value, strict=True))

    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
        """Trains, as `keras.Model.fit`.

        Over several devices `batch_size` is that of all together, and each
        takes an equal part. What is left over of a last batch, fewer than
        there are devices, is left out.
        """
        sharing = replicas.sharing_of(self)
        if sharing.parts == 1:
            return super().fit(x, y, batch_size, *args, **kwargs)
        self._check_shared()
        if kwargs.get("validation_split"):
            raise ValueError(
                "Over several devices pass `validation_data`. Received: "
                f"validation_split={kwargs['validation_split']!r}"
            )
        held_out = kwargs.get("validation_data")
        if held_out is not None:
            held_x, held_y, _ = keras.utils.unpack_x_y_sample_weight(held_out)
            size = kwargs.get("validation_batch_size") or batch_size
            held_x, held_y = shares.shared(sharing, held_x, held_y, size)
            kwargs["validation_data"] = (
                held_x if held_y is None else (held_x, held_y)
            )
        shuffle = kwargs.get("shuffle", True)
        seed = self._training.seed
        epoch = kwargs.get("initial_epoch", 0)
        x, y = shares.shared(sharing, x, y, batch_size, shuffle, seed, epoch)
        if isinstance(x, keras.utils.PyDataset) and sharing.processes > 1:
            # Keras would shuffle its batches, differently in each process.
            kwargs["shuffle"] = False
        with replicas.own_data(sharing):
            return super().fit(x, y, batch_size, *args, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, *args, **kwargs):
        """Losses of all trained levels, as `keras.Model.evaluate`."""
        sharing = replicas.sharing_of(self)
        # What `fit` evaluates on it has shared out.
        if sharing.parts > 1 and not kwargs.get("_use_cached_eval_dataset"):
            self._check_shared()
            x, y = shares.shared(sharing, x, y, batch_size)
        with replicas.own_data(sharing):
            return super().evaluate(x, y, batch_size, *args, **kwargs)

    def _check_shared(self):
        """Raises ValueError for what replicas cannot do together."""
        if keras.backend.backend() != "tensorflow":
            return
        for name, value, needed in (
            ("jit_compile", self.jit_compile, False),
            ("steps_per_execution", self.steps_per_execution, 1),
            *(
                ("gradient_accumulation_steps", steps, None)
                for steps in (
                    o.gradient_accumulation_steps
                    for o in self.optimizer.optimizers
                )
            ),
        ):
            if value != needed:
                raise ValueError(
                    f"Several replicas need {name}={needed}: compile the "
                    "model so, or train on one device. "
                    f"Received: {name}={value!r}"
                )

    @property
    def metrics(self):
        if not self.compiled:
            return []
        return list(self._training.means.values())

    def trained_levels(self):
        """Returns those levels that `compile` chose to train, a list."""
        # No property: Keras would look for weights in it.
        return [
            level
            for level in self.trainable_levels()
            if level.index in self._training.levels
        ]

    def level_optimizers(self, k):
        """Returns level `k`'s optimizers, D's and G's. Levels may share."""
        training = self._training
        return training.d_optimizers[k], training.g_optimizers[k]

    def _train(self, data):
        optimizer = self.optimizer
        if not optimizer.built:
            optimizer.build(self.trainable_variables)
        # A tensor, not the variable: the loss functions below run in a scope
        # that does not hold the optimizer's state.
        step = ops.convert_to_tensor(optimizer.iterations)
        random = StepRandom(
            self._training.seed, step, replica=replicas.replica_number()
        )
        bands = self.bands(data, random.at("data"), training=True)
        levels = self.trained_levels()
        d_variables = {
            level.index: level.discriminator.trainable_weights
            for level in levels
        }
        g_variables = {
            level.index: level.generator.trainable_weights for level in levels
        }
        network_variables = (
            self.trainable_variables + self.non_trainable_variables
        )

        def turn(loss_of, variables_of, optimizers):
            """One half of the step: the discriminators' or generators'."""

            def summed():
                parts = [loss_of(level) for level in levels]
                return sum(loss for loss, _ in parts), parts

            variables = [v for vs in variables_of.values() for v in vs]
            chosen = {id(v) for v in variables}
            state = [v for v in network_variables if id(v) not in chosen]
            _, parts, gradients = value_and_gradients(summed, variables, state)
            gradient_of = dict(zip(map(id, variables), gradients, strict=True))
            for one in {id(o): o for o in optimizers.values()}.values():
                mine = [
                    v
                    for k, vs in variables_of.items()
                    if optimizers[k] is one
                    for v in vs
                ]
                apply_gradients(one, [gradient_of[id(v)] for v in mine], mine)
            return parts, {
                k: _norm(gradient_of[id(v)] for v in vs)
                for k, vs in variables_of.items()
            }

        fakes = {
            level.index: ops.stop_gradient(
                level.generated(bands[level.index], random.at("d"))
            )
            for level in levels
        }
        d_parts, d_norms = turn(
            lambda level: level.d_loss(
                bands[level.index],
                fakes[level.index],
                self._training.objectives[level.index],
                random.at("d"),
                gradient_penalty=self._training.penalties[level.index],
            ),
            d_variables,
            self._training.d_optimizers,
        )
        g_parts, g_norms = turn(
            lambda level: level.g_loss(
                bands[level.index],
                self._training.objectives[level.index],
                random.at("g"),
            ),
            g_variables,
            self._training.g_optimizers,
        )
        for level in levels:
            level.update_average(self._training.ema_decay)
        optimizer.iterations.assign_add(1)
        norms = {f"d_gradient_norm_{k}": norm for k, norm in d_norms.items()}
        norms |= {f"g_gradient_norm_{k}": norm for k, norm in g_norms.items()}
        return self._log(levels, d_parts, g_parts, norms)

    def _test(self, data):
        # The number of batches tested so far stands for the step, so that
        # testing the same weights twice gives the same losses.
        seen = ops.convert_to_tensor(self._training.means["d_loss"].count)
        random = StepRandom(
            self._training.seed, seen, replica=replicas.replica_number()
        ).at("test")
        bands = self.bands(data, random.at("data"), training=False)
        levels = self.trained_levels()
        d_parts, g_parts = [], []
        for level in levels:
            batch = bands[level.index]
            objective = self._training.objectives[level.index]
            fake = level.generated(batch, random.at("d"), training=False)
            d_parts.append(
                level.d_loss(
                    batch, fake, objective, random.at("d"), training=False
                )
            )
            g_parts.append(
                level.g_loss(batch, objective, random.at("g"), training=False)
            )
        return self._log(levels, d_parts, g_parts)

    def _log(self, levels, d_parts, g_parts, norms=None):
        count = len(levels)
        values = {
            "d_loss": sum(loss for loss, _ in d_parts) / count,
            "g_loss": sum(loss for loss, _ in g_parts) / count,
            **(norms or {}),
        }
        for level, (d_loss, measures), (g_loss, _) in zip(
            levels, d_parts, g_parts, strict=True
        ):
            found = {"d_loss": d_loss, "g_loss": g_loss, **measures}
            values |= {f"{name}_{level.index}": x for name, x in found.items()}
        means = self._training.means
        for name, value in values.items():
            means[name].update_state(value)
        # In the order of `metrics`; without what a test does not know.
        return {
            name: replicas.logged(means[name].result())
            for name in means
            if name in values
        }


def _norm(gradients):
    """L2 norm over all of them, float32; None (no gradient) counts 0."""
    squares = [
        # Of an embedding TensorFlow gives rows, some of them twice.
        ops.sum(
            ops.square(ops.cast(ops.convert_to_tensor(gradient), "float32"))
        )
        for gradient in gradients
        if gradient is not None
    ]
    return ops.sqrt(sum(squares)) if squares else ops.zeros(())


def _get_optimizer(identifier):
    if isinstance(identifier, str) and identifier == "auto":
        return DampedSGD()
    return keras.optimizers.get(identifier)


def _alone_if_equal(values):
    """One value if all levels have it, else a list of them."""
    chosen = list(values.values())
    return chosen[0] if len(set(chosen)) == 1 else chosen


def _serialize(optimizers):
    """One config if all levels share an optimizer, else a list of them."""
    chosen = list(optimizers.values())
    configs = [keras.optimizers.serialize(o) for o in chosen]
    return configs[0] if len({id(o) for o in chosen}) == 1 else configs
