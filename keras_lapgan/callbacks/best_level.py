import hashlib
import json
import math
import string
import warnings
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_lapgan.callbacks.save_error import save_errors
from keras_lapgan.utils.files import write_file

FIGURES = "best_levels.json"
_NEAREST = "nearest_draw"
#: Bands a call of a generator.
_ROWS = 128


class BestLevel(keras.callbacks.Callback):
    """Keeps, of each level, the weights with the best figure, as the paper did.

    Levels learn on their own, so each is chosen on its own. When training
    ends, every level gets its best weights back: generator, discriminator and
    average. The figure is taken after the first epoch, each `frequency`
    epochs and the last; in `logs` it stands at every epoch, the last one taken.
    A `fit` that is interrupted leaves the weights of its end: `put_back` gives
    the best.

    The default figure, `nearest_draw`, is logged as `nearest_draw_<k>`: the
    mean over held-out pictures of the L2 distance between the true band and
    the nearest of `draws` bands that the averaged generator draws given the
    true condition, in the model's normalised units. At the coarsest level the
    draws, shared by all pictures, are pictures (of each picture's class).
    Noise is the same each time. The released code chose by it after each
    epoch, with 200 pictures and 128 draws:
    `BestLevel(images, frequency=1, count=200, draws=128)`, which takes 11 % of
    the training of `lapgan_cifar10`; the default takes 0.3 %.

    The figure is not the whole of quality. Of a band that cannot be guessed,
    none at all is nearer to the truth than a lifelike other one: above the
    coarsest level it prefers early epochs, with too little detail. In a run
    of 40 epochs of `lapgan_cifar10_small` on 1,000 pictures the coarsest
    level went from 12.9 to 8.8; the others were best at epoch 2. Look at the
    samples.

    Args:
        images: uint8 array `(n, height, width, channels)`, what `fit` takes,
            of pictures that are not trained on. `count` of them, evenly
            spread, are used. None if `monitor` is an entry of the log.
        labels: int array `(n,)` beside them, for a class-conditional model.
            Defaults to None.
        frequency: int. Epochs from one figure to the next. Defaults to 5.
        count: int. Pictures. Defaults to 64.
        draws: int. Bands drawn for each picture. Defaults to 64.
        monitor: str. `"nearest_draw"`, or an entry of the log with the level
            left open, such as `"diversity_{level}"`. Defaults to
            `"nearest_draw"`.
        mode: str. `"min"` or `"max"`, which figure is best; an entry of the
            log needs it. Defaults to None, `"min"` for `nearest_draw`.
        folder: path or None. Keeps the best there too, in
            `best_level_<k>.weights.h5` and `best_levels.json`, each written
            whole or not at all, so that a run that is resumed knows them.
            What other pictures, arguments or networks left there is not
            taken. Defaults to None.
        restore: bool. Put the best weights back when `fit` ends. With False,
            for a run that takes more than one `fit`, call `put_back` after
            the last. Defaults to True.
        last: int or None. The last epoch, from 1, of a run that takes more
            than one `fit`. Defaults to None, the end of each `fit`.

    Raises:
        ValueError: pictures, labels or `mode` are missing or of a wrong kind;
            the log has no such entry. (One of a test, `val_...`, may come
            with some epochs only.)
        SaveError: `folder` cannot be written.

    Example:

    ```python
    best = BestLevel(held_out)
    model.fit(images, epochs=25, callbacks=[best])
    best.best[0]  # Best(value=5.21, epoch=20)
    ```

    Reference:
        - Denton et al., 2015, section 4, and the code released with it.
    """

    def __init__(
        self,
        images,
        labels=None,
        frequency=5,
        count=64,
        draws=64,
        monitor=_NEAREST,
        mode=None,
        folder=None,
        restore=True,
        last=None,
    ):
        super().__init__()
        for name, value in (
            ("frequency", frequency),
            ("count", count),
            ("draws", draws),
        ):
            check_positive(name, value)
        if mode is None and monitor == _NEAREST:
            mode = "min"
        if mode not in ("min", "max"):
            raise ValueError(
                '`mode` must say which figure is best, "min" or "max". '
                f"Received: mode={mode!r}, monitor={monitor!r}"
            )
        fields = [field for _, field, _, _ in string.Formatter().parse(monitor)]
        if monitor != _NEAREST and "level" not in fields:
            raise ValueError(
                f"`monitor` must be {_NEAREST!r}, or an entry of the log with "
                'the level left open, such as "diversity_{level}". '
                f"Received: monitor={monitor!r}"
            )
        if monitor == _NEAREST:
            check_images(images, count)
        self.images = images
        self.labels = labels
        self.frequency = frequency
        self.count = count
        self.draws = draws
        self.monitor = monitor
        self.mode = mode
        self.folder = None if folder is None else Path(folder)
        self.restore = restore
        self.last = last
        #: dict. A `Best(value, epoch)` by level index; epochs count from 1,
        #: as `fit` does.
        self.best = {}
        self._owner = None

    def on_train_begin(self, logs=None):
        check_model(self)
        self._begin()
        # Not what an earlier `fit` of other levels left.
        trained = {level.index for level in self.model.trained_levels()}
        self._latest = {k: x for k, x in self._latest.items() if k in trained}

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        self._due = self._due or is_due(self, epoch)
        if self._due and not self._awaits_test(logs):
            self._due = False
            for level in self.model.trained_levels():
                k = level.index
                value = self._figure(level, logs)
                self._latest[k] = value
                if self._is_better(k, value):
                    self._keep(level, Best(value, epoch + 1))
            self._write()
        if self.monitor == _NEAREST:
            logs.update({f"{_NEAREST}_{k}": x for k, x in self._latest.items()})

    def on_train_end(self, logs=None):
        if self._due and not self._latest:
            warnings.warn(
                f"BestLevel chose nothing: no epoch's log had "
                f"{self.monitor!r}. Give `fit` validation data, or leave "
                "`validation_freq` out",
                stacklevel=2,
            )
        if self.restore:
            self.put_back()

    def put_back(self):
        """Gives each level its best weights.

        Needs no `fit` of this process, only `folder` and `set_model`.
        """
        self._begin()
        for k in self.best:
            level = self.model.level(k)
            if k in self._states:
                self._states[k].put_back()
            else:
                level.load_weights(self._path(k))

    def _begin(self):
        """Makes itself ready for the model; forgets another one's best."""
        if self._owner is self.model:
            return
        self.best, self._states, self._latest = {}, {}, {}
        self._due = False
        self._held_out = None
        if self.monitor == _NEAREST:
            self._held_out = held_out_bands(
                self.model, self.images, self.labels, self.count
            )
        if self.folder is not None:
            self._read()
        self._owner = self.model

    def _awaits_test(self, logs):
        """Whether the entry is of a test that this epoch did not have."""
        return self.monitor.startswith("val_") and not any(
            self.monitor.format(level=level.index) in logs
            for level in self.model.trained_levels()
        )

    def _figure(self, level, logs):
        if self.monitor == _NEAREST:
            return nearest_draw(level, self._held_out[level.index], self.draws)
        name = self.monitor.format(level=level.index)
        if name not in logs:
            raise ValueError(
                f"The log has no {name!r}; a callback that adds it comes "
                "before this one in the list. "
                f"Received: monitor={self.monitor!r}, log of "
                f"{', '.join(sorted(logs))}"
            )
        return float(logs[name])

    def _is_better(self, k, value):
        if not math.isfinite(value):
            return False
        if k not in self.best:
            return True
        before = self.best[k].value
        return value < before if self.mode == "min" else value > before

    # === The best so far ===

    def _keep(self, level, best):
        k = level.index
        self.best[k] = best
        self._states[k] = LevelState(level)
        if self.folder is not None:
            with save_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                write_file(self._path(k), level.save_weights)

    def _write(self):
        if self.folder is None:
            return
        content = {
            "protocol": self._protocol(),
            "levels": {k: x._asdict() for k, x in self.best.items()},
            "latest": self._latest,
        }
        text = json.dumps(content, indent=1) + "\n"
        with save_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_file(
                self.folder / FIGURES, lambda path: path.write_text(text)
            )

    def _path(self, k):
        return self.folder / f"best_level_{k}.weights.h5"

    def _protocol(self):
        """What figures must share to be compared, JSON."""
        levels = self.model.trainable_levels()
        shapes = [[w.shape for w in level.weights] for level in levels]
        found = {
            "monitor": self.monitor,
            "mode": self.mode,
            "networks": _digest(repr(shapes).encode()),
        }
        if self.monitor == _NEAREST:
            found |= {"count": self.count, "draws": self.draws}
            given = [x for x in (self.images, self.labels) if x is not None]
            found["pictures"] = _digest(
                *(np.ascontiguousarray(x).tobytes() for x in given)
            )
        return found

    def _read(self):
        """Takes what an earlier run of this folder kept by the same figure."""
        path = self.folder / FIGURES
        try:
            content = json.loads(path.read_text())
            if content["protocol"] != self._protocol():
                return
            found = {int(k): Best(**x) for k, x in content["levels"].items()}
            self._latest = {int(k): x for k, x in content["latest"].items()}
        except FileNotFoundError:
            return
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{str(path)!r} is damaged. Remove its folder, and the best "
                "of each level is looked for anew."
            ) from error
        self.best = {k: x for k, x in found.items() if self._path(k).is_file()}


def _digest(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


class Best(NamedTuple):
    """The best figure of a level and its epoch, from 1."""

    value: float
    epoch: int


# === What callbacks that look at levels share ===


class LevelState:
    """A copy of what training changes of a level.

    Args:
        level: `LAPGANLevel`.
        optimizers: list of `keras.optimizers.Optimizer`. What they keep of
            the level's weights is copied too. Defaults to none.
    """

    def __init__(self, level, optimizers=()):
        self._variables = list(level.weights)
        for optimizer in optimizers:
            self._variables += _slots(optimizer, level.trainable_variables)
        # Torch's arrays are views of the weights.
        self._values = [
            np.array(keras.ops.convert_to_numpy(v)) for v in self._variables
        ]

    def put_back(self):
        """Makes the level what it was."""
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)


def _slots(optimizer, variables):
    """What an optimizer keeps of some of the variables that it moves.

    By place, as Keras' own optimizers find them: names need not be unique.
    """
    mine = {id(v) for v in variables}
    moved = optimizer._trainable_variables
    found = []
    for name, value in vars(optimizer).items():
        if (
            not isinstance(value, list)
            or len(value) != len(moved)
            or name in ("_variables", "_trainable_variables")
        ):
            continue
        for variable, slot in zip(moved, value, strict=True):
            if id(variable) in mine and isinstance(slot, keras.Variable):
                found.append(slot)
    return found


def check_positive(name, value):
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(
            f"`{name}` must be an int of at least 1. Received: {name}={value!r}"
        )


def check_model(callback):
    if not hasattr(callback.model, "levels"):
        raise ValueError(
            f"{type(callback).__name__} is for a `LAPGAN`, not for a level "
            "alone. Received: a model of type "
            f"{type(callback.model).__name__}"
        )


def check_images(images, count):
    shape, dtype = getattr(images, "shape", None), getattr(images, "dtype", "")
    if shape is None or len(shape) != 4 or dtype != "uint8":
        raise ValueError(
            "`images` must be a uint8 array (n, height, width, channels). "
            f"Received: shape={shape}, dtype={dtype or type(images).__name__}"
        )
    if shape[0] < count:
        raise ValueError(
            f"`images` must hold at least `count` pictures. Received: "
            f"{shape[0]} pictures, count={count}"
        )


def is_due(callback, epoch):
    """Whether a callback with a `frequency` looks after this epoch.

    After the first that it sees, each `frequency` and the last.
    """
    last = getattr(callback, "last", None)
    if last is None:
        last = (callback.params or {}).get("epochs")
    return (
        not callback._latest
        or (epoch + 1) % callback.frequency == 0
        or epoch + 1 == last
    )


def held_out_bands(model, images, labels, count):
    """The bands of `count` pictures, evenly spread over `images`.

    Returns:
        A dict from level index to `Bands` of numpy arrays.
    """
    # Many data sets are sorted by class.
    chosen = np.linspace(0, len(images) - 1, count).astype(int)
    data = np.asarray(images)[chosen]
    if model.num_classes:
        if labels is None or len(labels) != len(images):
            raise ValueError(
                "This model is class-conditional: give `labels` beside the "
                f"{len(images)} images. Received: "
                + ("no labels" if labels is None else f"{len(labels)} labels")
            )
        data = (data, np.asarray(labels)[chosen])
    return {
        k: type(bands)(
            *(
                None if x is None else np.array(keras.ops.convert_to_numpy(x))
                for x in bands
            )
        )
        for k, bands in model.bands(data, None, training=False).items()
    }


def draw_bands(generator, noise, condition=None, labels=None):
    """Bands that a network draws, as float32 numpy."""
    inputs = {"noise": noise, "condition": condition, "labels": labels}
    inputs = {name: x for name, x in inputs.items() if x is not None}
    rows = len(noise)
    size = min(_ROWS, rows)
    parts = []
    for start in range(0, rows, size):
        part = {name: x[start : start + size] for name, x in inputs.items()}
        missing = size - len(part["noise"])
        if missing:
            # One size, one compilation.
            part = {
                name: np.concatenate([x, np.repeat(x[-1:], missing, axis=0)])
                for name, x in part.items()
            }
        bands = np.asarray(generator.predict_on_batch(part), "float32")
        parts.append(bands[: size - missing])
    return np.concatenate(parts)


def nearest_draw(level, real, draws, seed=0):
    """Mean distance of real bands to the nearest of the bands drawn for them.

    Args:
        level: `LAPGANLevel`.
        real: `Bands` of numpy arrays.
        draws: int. Bands drawn for each.
        seed: int. Of the noise. Defaults to 0.

    Returns:
        A float.
    """
    noise = level.noise.draw(draws, seed, level.index)
    band, condition, labels, _ = real
    if condition is None:
        return _nearest_shared(level, band, labels, noise)
    total = 0.0
    group = max(1, _ROWS // draws)
    for start in range(0, len(band), group):
        rows = slice(start, start + group)
        n = len(band[rows])
        drawn = draw_bands(
            level.ema_generator,
            np.tile(noise, (n, *[1] * (noise.ndim - 1))),
            np.repeat(condition[rows], draws, axis=0),
            None if labels is None else np.repeat(labels[rows], draws, axis=0),
        )
        drawn = drawn.reshape(n, draws, *band.shape[1:])
        squares = np.square(drawn - band[rows, None]).sum((2, 3, 4))
        total += np.sqrt(squares.min(1)).sum()
    return float(total / len(band))


def _nearest_shared(level, band, labels, noise):
    """The same where the draws of a class are everybody's."""
    total = 0.0
    for label in [None] if labels is None else np.unique(labels):
        mine, drawn_labels = band, None
        if label is not None:
            mine = band[labels == label]
            drawn_labels = np.full(len(noise), label, labels.dtype)
        drawn = draw_bands(level.ema_generator, noise, labels=drawn_labels)
        for one in mine:
            squares = np.square(drawn - one).sum((1, 2, 3))
            total += math.sqrt(squares.min())
    return float(total / len(band))
