import math
import statistics
import sys
from typing import NamedTuple

import keras
import numpy as np

from keras_lapgan.callbacks.best_level import LevelState
from keras_lapgan.callbacks.best_level import check_images
from keras_lapgan.callbacks.best_level import check_model
from keras_lapgan.callbacks.best_level import check_positive
from keras_lapgan.callbacks.best_level import held_out_bands
from keras_lapgan.callbacks.best_level import is_due

COLLAPSES = "collapses"
SATURATES = "saturates"
DIVERGES = "diverges"
IGNORES_NOISE = "ignores its noise"

#: Below this share of the distance between real bands, a level collapses ...
LEAST_DIVERSITY = 0.1
#: ... if it has been above this one, or after so many times the warm-up: there
#: are networks that begin with all bands alike.
ALIVE_DIVERSITY = 0.2
LONG_WARM_UP = 10
#: ... or at once, if its bands are alike but not small: of this share of their
#: own deviation (fresh networks of five presets had .25 or more).
LEAST_OWN_DIVERSITY = 0.05
#: Above this accuracy D has won, if also ...
MOST_ACCURACY = 0.98
#: ... its logits lie so far apart, or ...
MOST_LOGIT_GAP = 12.0
#: ... G's gradient is less than this share of its running median.
LEAST_GRADIENT = 0.02
#: A gradient above so many times its running median explodes, if it is not
#: one of a network that begins to learn.
MOST_GRADIENT = 20.0
LEAST_EXPLOSION = 10.0
#: Bands of more than so many times the real deviation diverge.
MOST_BAND_STD = 4.0
#: Fresh networks may draw bands of 5 times the deviation of smooth pictures:
#: in the warm-up the limit is so many times as high.
FRESH = 2
#: Below this share of its band, noise is ignored.
LEAST_NOISE_EFFECT = 0.03
#: Checks before there is a median, and those that it is of.
_LEAST_HISTORY, _MOST_HISTORY = 5, 20
#: How often a level is put back before training stops.
MOST_RESTORES = 3

_ACTIONS = ("warn", "stop", "restore")
_NORMS = ("d_gradient_norm", "g_gradient_norm")
#: Others may log what ends in a level's number, too.
_WATCHED = (
    "d_loss",
    "g_loss",
    "d_accuracy",
    "logit_gap",
    *_NORMS,
    "diversity",
    "band_std",
    "noise_effect",
)


class Trouble(NamedTuple):
    """What a check found: at an epoch (from 1), of a level, in words."""

    epoch: int
    level: int
    kind: str
    message: str


class LevelMonitor(keras.callbacks.Callback):
    """Watches each trained level, and says when one goes wrong.

    After the first epoch, each `frequency` epochs, the last, and each whose
    losses are not finite, every level draws bands with its current generator
    given the conditions of held-out pictures. Entries of `logs`, at every
    epoch the last ones taken, so that callbacks after this one see them:

    - `diversity_<k>`: mean distance between the drawn bands, as a share of
      that between the real ones;
    - `band_std_<k>`: their standard deviation, as a share of the real one;
    - `noise_effect_<k>`, above the coarsest level: root mean square of what
      noise changes in the band of one condition, as a share of the band's
      deviation.

    A level *collapses* if its diversity is far below the real one;
    *saturates* if D is nearly always right and its logits lie far apart or
    G's gradient is nearly gone; *diverges* if a figure is not finite, a
    gradient explodes against its own running median, or bands are several
    times too large; and *ignores its noise*, which is told once and nothing
    else. Each is told once until the level recovers, with figures and what to
    try.

    The limits are the constants of this file. Three healthy runs of
    `lapgan_cifar10_small` (1,000 pictures, batch 32, 40 epochs) had, after
    100 steps, diversities of 0.22 to 2.1, bands of 0.38 to 2.2 times the real
    deviation, accuracies to 0.93, logit gaps to 6.5, gradients of 0.4 to 10
    times their running median, none above 9, and after 1,000 steps noise
    effects from 0.33. With the paper's recipe the coarsest level's
    discriminator was right every time for ten epochs, with logits less than 1
    apart and a gradient that grew, before its generator began to learn.

    Args:
        images: uint8 array `(n, height, width, channels)`, what `fit` takes,
            of pictures that are not trained on. `count` of them, evenly
            spread, are used.
        labels: int array `(n,)` beside them, for a class-conditional model.
            Defaults to None.
        count: int of at least 2. Bands drawn of each level. Defaults to 64.
        frequency: int. Epochs from one check to the next. Defaults to 1.
        action: str. What is done beside telling: `"warn"`, nothing; `"stop"`
            ends training after the epoch; `"restore"` puts the level (both
            networks, average, and what the optimizers keep of them) back to
            its last healthy check, or to what a trained model was when `fit`
            began, up to three times, then ends training. The other levels go
            on as they are. Defaults to `"warn"`.
        warm_up: int. Steps of the model before collapse and saturation are
            judged: fresh networks look like that. A level that has not come
            to life, and noise, get ten times as many. Defaults to 100.
        report: callable or None. Takes a message, a str of one line. Defaults
            to None, a line on stderr.

    Raises:
        ValueError: pictures or labels are missing or of a wrong kind; an
            unknown action.

    Example:

    ```python
    monitor = LevelMonitor(held_out, action="stop")
    model.fit(images, epochs=25, callbacks=[monitor])  # the first of them
    for trouble in monitor.troubles:
        print(trouble.epoch, trouble.level, trouble.kind)
    ```
    """

    def __init__(
        self,
        images,
        labels=None,
        count=64,
        frequency=1,
        action="warn",
        warm_up=100,
        report=None,
    ):
        super().__init__()
        check_positive("count", count)
        check_positive("frequency", frequency)
        if count < 2:
            raise ValueError(
                "`count` must be at least 2: bands are compared with each "
                f"other. Received: count={count}"
            )
        if action not in _ACTIONS:
            raise ValueError(
                f"`action` must be one of {', '.join(map(repr, _ACTIONS))}. "
                f"Received: action={action!r}"
            )
        check_images(images, count)
        self.images = images
        self.labels = labels
        self.count = count
        self.frequency = frequency
        self.action = action
        self.warm_up = warm_up
        self.report = report or self._print
        #: list of `Trouble`. What was told.
        self.troubles = []
        #: str or None. Why training was ended.
        self.stopped = None
        #: bool. Whether it was ended with a level left as it was found.
        self.condemned = False
        self._owner = None
        self._kept = {}
        self._recall(self._kept)

    def state(self):
        """Returns what it remembers of its checks, for JSON to keep."""
        return {
            "alive": sorted(self._alive),
            "told": sorted(self._told),
            "history": [[*key, [*x]] for key, x in self._history.items()],
            "latest": dict(self._latest),
            "healthy": [
                [k, epoch, entries]
                for k, (epoch, _, entries) in self._healthy.items()
            ],
            "restores": sorted(self._restores.items()),
        }

    def go_on(self, state):
        """Begins the next `fit` with what `state` returned in another process.

        With `action="restore"`, what the model is then is its last healthy
        check. Of a save within an epoch, that check was made before these
        weights: the epoch that is told when they are put back is its own.
        """
        self._kept = state or {}

    def _recall(self, kept):
        """Remembers what `state` returned, or nothing."""
        self._alive = set(kept.get("alive", ()))
        self._told = {(k, kind) for k, kind in kept.get("told", ())}
        self._history = {(k, n): list(x) for k, n, x in kept.get("history", ())}
        self._latest = dict(kept.get("latest", ()))
        self._restores = dict(kept.get("restores", ()))
        self._healthy = {}

    def on_train_begin(self, logs=None):
        check_model(self)
        trained = self.model.trained_levels()
        if self._owner is not self.model:
            self._begin(trained)
        self._draws = _Draws(trained)
        # Not what an earlier `fit` of other levels left.
        ends = tuple(f"_{level.index}" for level in trained)
        self._latest = {
            name: x for name, x in self._latest.items() if name.endswith(ends)
        }

    def _begin(self, trained):
        """Makes itself ready for a model, whatever it watched before."""
        kept, self._kept = self._kept, {}
        self._recall(kept)
        healthy = {k: x for k, *x in kept.get("healthy", ())}
        self._held_out = held_out_bands(
            self.model, self.images, self.labels, self.count
        )
        self._owner = self.model
        if self.model.optimizer.built and self._steps():
            # A run that goes on: what it saved was put back before, if it
            # had to be.
            for level in trained:
                self._remember(level, *healthy.get(level.index, (None, {})))

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        levels = self.model.trained_levels()
        is_finite = all(
            math.isfinite(x)
            for level in levels
            for x in _entries(level.index, logs).values()
        )
        if is_due(self, epoch) or not is_finite:
            figures = self._figures()
            ends = [
                self._check(level, epoch + 1, logs, figures[level.index])
                for level in levels
            ]
            ends = [end for end in ends if end]
            if ends:
                self.stopped = f"epoch {epoch + 1}: {'; '.join(ends)}"
                self.report(f"{self.stopped}. Training ends here.")
                self.model.stop_training = True
        logs.update(self._latest)

    def _steps(self):
        # Of several replicas there are as many counters.
        steps = keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        return int(steps)

    def _print(self, message):
        # Keras' own bar leaves its line open.
        shown = (self.params or {}).get("verbose") in (1, "auto")
        print("\n" * shown + message, file=sys.stderr, flush=True)

    def _name(self, level):
        height, width = self.model.sizes[level.index]
        return f"level {level.index} ({height}x{width})"

    # === A check ===

    def _check(self, level, epoch, logs, drawn):
        """Judges a level; why training should end, or None."""
        k = level.index
        self._latest.update({f"{name}_{k}": x for name, x in drawn.items()})
        found = self._judge(k, drawn, logs)
        for kind, text in found.items():
            if (k, kind) not in self._told:
                self._tell(epoch, level, kind, text)
        # What is over may be told again; of noise, once is enough.
        self._told -= {
            (k, kind)
            for kind in (COLLAPSES, SATURATES, DIVERGES)
            if kind not in found
        }
        serious = [kind for kind in found if kind != IGNORES_NOISE]
        if not serious:
            entries = _entries(k, {**logs, **self._latest})
            self._remember(level, epoch, entries)
            return None
        what = f"{self._name(level)} {' and '.join(serious)}"
        if self.action == "restore":
            return self._restore(level, epoch, logs, what)
        self.condemned = self.action == "stop"
        return what if self.condemned else None

    def _tell(self, epoch, level, kind, text):
        message = f"epoch {epoch}: {self._name(level)} {kind}: {text}"
        self._told.add((level.index, kind))
        self.troubles.append(Trouble(epoch, level.index, kind, message))
        self.report(message)

    def _figures(self):
        """Figures of drawn bands, a dict from level index to a dict."""
        first, second = (
            self._draws.draw(self._held_out, i * self.count) for i in (0, 1)
        )
        # What is not finite is told, not warned of.
        with np.errstate(all="ignore"):
            return {
                k: _compare(self._held_out[k], first[k], second[k])
                for k in first
            }

    def _judge(self, k, drawn, logs):
        """What is wrong with a level, a dict from kind to words."""
        figures = {**_entries(k, logs), **drawn}
        found = {}
        steps = self._steps()
        bad = [n for n, x in figures.items() if not math.isfinite(x)]
        exploded = []
        for name in _NORMS:
            median = self._median(k, name)
            limit = MOST_GRADIENT * (median or math.inf)
            if figures.get(name, 0.0) > max(limit, LEAST_EXPLOSION):
                exploded.append(
                    f"{name}_{k} is {figures[name]:.3g}, its median "
                    f"{median:.3g}"
                )
        if bad:
            found[DIVERGES] = (
                f"{', '.join(f'{n}_{k}' for n in bad)} "
                f"{'is' if len(bad) == 1 else 'are'} not finite. Its weights "
                "are lost. Go back to an earlier checkpoint, with a lower "
                "learning rate of this level or `clipnorm`."
            )
            return found
        if exploded:
            found[DIVERGES] = (
                f"{', '.join(exploded)}. One batch can undo what many did. Try "
                "a lower learning rate of this level, or `clipnorm`."
            )
        elif figures.get("band_std", 0.0) > MOST_BAND_STD * (
            1 if steps >= self.warm_up else FRESH
        ):
            found[DIVERGES] = (
                f"its bands have {figures['band_std']:.1f} times the real "
                "standard deviation. Its pictures are noise, and so are those "
                "of finer levels. Try a lower learning rate of its generator."
            )
        self._remember_norms(k, figures)
        diversity = figures.get("diversity", 1.0)
        if diversity >= ALIVE_DIVERSITY or steps >= LONG_WARM_UP * self.warm_up:
            self._alive.add(k)
        if steps < self.warm_up:
            return found
        alike = diversity < LEAST_OWN_DIVERSITY * figures.get("band_std", 0.0)
        if diversity < LEAST_DIVERSITY and (alike or k in self._alive):
            found[COLLAPSES] = (
                f"its bands differ by {diversity:.1%} of what real "
                f"ones do, with {figures['band_std']:.0%} of their standard "
                "deviation. It draws nearly the same each time. Try a lower "
                "learning rate of its generator, or a larger batch."
            )
        gap, norm = figures.get("logit_gap", 0.0), figures.get(_NORMS[1], 0.0)
        median = self._median(k, _NORMS[1])
        gone = bool(median) and norm < LEAST_GRADIENT * median
        if figures.get("d_accuracy", 0.0) >= MOST_ACCURACY and (
            gap > MOST_LOGIT_GAP or gone
        ):
            found[SATURATES] = (
                f"its discriminator is right {figures['d_accuracy']:.1%} of "
                f"the time, the mean logits of real and generated lie "
                f"{gap:.3g} apart, the generator's gradient is {norm:.3g}. "
                "The generator learns little from it. Try a lower learning "
                "rate of the discriminator, more dropout in it, or "
                "`gradient_penalty`."
            )
        effect = figures.get("noise_effect", 1.0)
        if (
            effect < LEAST_NOISE_EFFECT
            and diversity >= LEAST_DIVERSITY
            and steps >= LONG_WARM_UP * self.warm_up
        ):
            found[IGNORES_NOISE] = (
                f"noise changes {effect:.1%} of its band. It draws one and the "
                "same detail for a coarser picture, which may be what is "
                "wanted. Try a lower learning rate of its discriminator, or "
                "train longer."
            )
        return found

    def _median(self, k, name):
        history = self._history.get((k, name), [])
        if len(history) < _LEAST_HISTORY:
            return None
        return statistics.median(history)

    def _remember_norms(self, k, figures):
        for name in _NORMS:
            if name in figures:
                history = self._history.setdefault((k, name), [])
                history.append(figures[name])
                del history[:-_MOST_HISTORY]

    # === Putting back ===

    def _remember(self, level, epoch, entries):
        if self.action == "restore":
            self._healthy[level.index] = (
                epoch,
                LevelState(level, self.model.level_optimizers(level.index)),
                entries,
            )

    def _restore(self, level, epoch, logs, what):
        """Puts a level back; why training should end, or None."""
        k = level.index
        if k not in self._healthy:
            self.condemned = True
            return f"{what}, and no check of it was healthy"
        count = self._restores.get(k, 0)
        healthy, state, entries = self._healthy[k]
        then = f"epoch {healthy}" if healthy else "where training began"
        state.put_back()
        self._told -= {(k, kind) for kind in (COLLAPSES, SATURATES, DIVERGES)}
        # The level is what it was then, and has the finite figures of then.
        for found in (logs, self._latest):
            for name, value in entries.items():
                full = f"{name}_{k}"
                if full in found and not math.isfinite(found[full]):
                    found[full] = value
        self._mean_again(logs)
        if count == MOST_RESTORES:
            return (
                f"{what} after it was put back {count} times; it has the "
                f"weights of {then}"
            )
        self._restores[k] = count + 1
        self.report(
            f"epoch {epoch}: {self._name(level)} is put back to {then} "
            f"({count + 1} of at most {MOST_RESTORES} times)."
        )
        return None

    def _mean_again(self, logs):
        """Losses over all levels, where the mean was not finite."""
        for name in ("d_loss", "g_loss", "val_d_loss", "val_g_loss"):
            if name in logs and not math.isfinite(logs[name]):
                logs[name] = statistics.fmean(
                    logs[f"{name}_{level.index}"]
                    for level in self.model.trained_levels()
                )


class _Draws(keras.Model):
    """The current bands of several levels, one function to compile."""

    def __init__(self, levels):
        super().__init__(name="level_draws", autocast=False)
        self.levels = levels
        self.built = True

    def call(self, values, training=False):
        return [
            level.generator(inputs, training=False)
            for level, inputs in zip(self.levels, values, strict=True)
        ]

    def draw(self, real, start):
        """Bands by level index, for its real `Bands`, as numpy."""
        values = []
        for level in self.levels:
            band, condition, labels, _ = real[level.index]
            inputs = {
                "noise": level.noise.draw(len(band), 0, level.index, start),
                "condition": condition,
                "labels": labels,
            }
            values.append({n: x for n, x in inputs.items() if x is not None})
        bands = self.predict_on_batch(values)
        return {
            level.index: np.asarray(x, "float32")
            for level, x in zip(self.levels, bands, strict=True)
        }


def _compare(real, bands, others):
    """Figures of drawn bands; `others` are drawn from other noise."""
    spread = _spread(real.band)
    if not spread:
        # Pictures that are all the same tell nothing.
        return {}
    deviation = float(bands.std())
    figures = {
        "diversity": _spread(bands) / spread,
        "band_std": deviation / float(real.band.std()),
    }
    if real.condition is not None:
        # Of two draws each: their variance is half the square.
        change = math.sqrt(np.square(bands - others).mean() / 2)
        figures["noise_effect"] = change / deviation if deviation else 0.0
    return figures


def _entries(k, logs):
    """The log's entries of a level, without its number."""
    names = {f"{name}_{k}": name for name in _WATCHED}
    return {
        names[name]: float(value)
        for name, value in logs.items()
        if name in names
    }


def _spread(bands):
    """Mean distance between any two of them."""
    flat = bands.reshape(len(bands), -1).astype("float64")
    flat = flat - flat.mean(0)
    squares = np.square(flat).sum(1)
    distances = np.sqrt(
        np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0)
    )
    np.fill_diagonal(distances, 0.0)
    return float(distances.sum() / (len(bands) * (len(bands) - 1)))
