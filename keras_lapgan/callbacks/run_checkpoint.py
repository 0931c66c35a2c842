import csv
import math
import signal
import threading
from pathlib import Path

import keras
import numpy as np

from keras_lapgan.callbacks.divergence_error import DivergenceError
from keras_lapgan.callbacks.save_error import save_errors
from keras_lapgan.presets.preset_folder import is_preset_folder
from keras_lapgan.presets.preset_folder import save_preset
from keras_lapgan.utils.checkpoints import checkpoint_path
from keras_lapgan.utils.checkpoints import is_whole
from keras_lapgan.utils.checkpoints import latest_checkpoint
from keras_lapgan.utils.checkpoints import list_checkpoints
from keras_lapgan.utils.checkpoints import read_notes
from keras_lapgan.utils.checkpoints import write_checkpoint
from keras_lapgan.utils.files import check_room
from keras_lapgan.utils.files import write_file

LOG = "log.csv"
#: Several workers ask each other after so many steps whether to end.
_STEPS_TO_AGREE = 10


class RunCheckpoint(keras.callbacks.Callback):
    """Keeps a run folder loadable and resumable.

    After each epoch: a line of `log.csv`, in `checkpoint/` the whole model
    with its optimizers, then the preset files (`config.json`,
    `metadata.json`, `model.weights.h5`). Each file is replaced when the new
    one is complete, so a save that fails leaves what the one before it wrote,
    and the checkpoint is never behind the preset files. The checkpoint before
    stays too: `latest_checkpoint` takes it where the newest is damaged.

    In the main thread, an interrupt (Ctrl-C or SIGTERM) lets the step under
    way finish, saves, and ends training with `KeyboardInterrupt`; a second
    one ends it at once. Call `close` after a `fit` that raised: Keras tells
    callbacks nothing of exceptions, and the signals would stay caught.

    Args:
        folder: path. The run folder, made if missing.
        steps_per_epoch: int. Steps of a whole epoch.
        metadata: dict for `metadata.json`. Defaults to None.
        skipped: int. Steps of the first epoch that a resumed run has behind
            it. The losses that the folder's checkpoint of this step noted
            count in the epoch's means. Defaults to 0.
        unless: callable or None. Called after each epoch; if what it returns
            is true, the epoch gets its line in `log.csv`, but what was saved
            before stays. Defaults to None.
        save_steps: int or None. Save within epochs too, after so many steps,
            so that whatever ends the process costs no more than these. A
            save takes about 0.7 s for `lapgan_cifar10` (105 MB) and 0.6 s for
            `lapgan_cifar10_small` (56 MB). Defaults to None.
        agree: callable or None. Of several workers, each of which saves to a
            folder of its own: takes whether this one was interrupted, and
            returns whether any was. They ask at the same steps, so that all
            end after the same. Defaults to None.
        notes: callable or None. What it returns, a dict for JSON, each
            checkpoint keeps; `keras_lapgan.utils.checkpoints.read_notes` gives
            it. Defaults to None.

    Raises:
        SaveError: an OSError; nothing was overwritten with less.
        DivergenceError: a loss of the epoch is not finite; nothing was
            written.

    Example:

    ```python
    checkpoint = RunCheckpoint("runs/a", steps_per_epoch=len(batches))
    try:
        model.fit(batches, epochs=5, callbacks=[checkpoint])
    finally:
        checkpoint.close()
    ```
    """

    def __init__(
        self,
        folder,
        steps_per_epoch,
        metadata=None,
        skipped=0,
        unless=None,
        save_steps=None,
        agree=None,
        notes=None,
    ):
        super().__init__()
        if save_steps is not None and save_steps < 1:
            raise ValueError(
                "`save_steps` must be at least 1, or None. "
                f"Received: save_steps={save_steps!r}"
            )
        self.folder = Path(folder)
        self.steps_per_epoch = steps_per_epoch
        self.metadata = metadata or {}
        self.skipped = skipped
        self.unless = unless
        self.save_steps = save_steps
        self.agree = agree
        self.notes = notes
        #: The signal that asked training to end, or None.
        self.signal = None
        #: Whether all steps done so far are saved.
        self.saved = False
        #: Whether it ended training so, each of several workers alike.
        self.ended = False
        self._handlers = {}

    def on_train_begin(self, logs=None):
        # Python allows no other thread to catch signals.
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            if number not in self._handlers:
                self._handlers[number] = signal.signal(number, self._on_signal)

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Gives the signals back."""
        while self._handlers:
            number, handler = self._handlers.popitem()
            # None: installed from C, so Python cannot put it back.
            signal.signal(number, handler or signal.SIG_DFL)

    def _on_signal(self, number, frame):
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._saved_step = self.skipped
        if self.skipped:
            self._put_means_back()
        # An interrupt while the last epoch was saved, or its samples drawn.
        self._stop_if(self._is_asked())

    def on_train_batch_end(self, batch, logs=None):
        self.saved = False
        step = self.skipped + batch + 1
        is_asked = self._is_asked(step)
        is_due = is_asked or (
            self.save_steps is not None
            and step - self._saved_step >= self.save_steps
        )
        # After the last step of an epoch, the epoch's end saves.
        if is_due and step < self.steps_per_epoch:
            self._save(self._epoch, step, with_preset=is_asked)
            self._saved_step = step
            self._stop_if(is_asked)

    def on_epoch_end(self, epoch, logs=None):
        self.skipped = 0
        logs = logs or {}
        if self.unless is not None and self.unless():
            with save_errors(self.folder):
                self._check_room()
                append_log(self.folder, epoch + 1, logs)
                # What was saved on the way here.
                for path, done, steps in list_checkpoints(self.folder):
                    if done == epoch and steps:
                        path.unlink()
            return
        self._check_finite(epoch + 1, logs)
        self._save(epoch + 1, 0, logs)

    def _is_asked(self, step=0):
        """Whether training is to end."""
        is_asked = self.signal is not None
        if self.agree is None:
            return is_asked
        return step % _STEPS_TO_AGREE == 0 and self.agree(is_asked)

    def _stop_if(self, is_asked):
        if is_asked and self.saved:
            self.ended = True
            self.close()
            raise KeyboardInterrupt

    def _save(self, epoch, step, logs=None, with_preset=True):
        self._check_weights(epoch, step)
        with save_errors(self.folder):
            self._check_room()
            if logs is not None:
                append_log(self.folder, epoch, logs)
            path = checkpoint_path(self.folder, epoch, step)
            path.parent.mkdir(exist_ok=True)
            notes = self.notes() if self.notes else {}
            if step:
                notes["means"] = self._means()
            write_checkpoint(path, self.model, notes)
            self.remove_older(epoch, step)
            if with_preset or not is_preset_folder(self.folder):
                save_preset(
                    self.model,
                    self.folder,
                    {**self.metadata, "epochs": epoch, "steps": step},
                )
        self.saved = True

    def remove_older(self, epoch, step):
        """Removes checkpoints that one makes needless."""
        kept = {
            latest_checkpoint(self.folder, before=before)
            # The one before, and the last that is of an epoch's end.
            for before in ((epoch, step), (epoch, 1))
        }
        path = checkpoint_path(self.folder, epoch, step)
        kept = {path, *(found[0] for found in kept if found)}
        # Those that a kill left half-written, too.
        for old in path.parent.glob("*.keras"):
            if old not in kept:
                old.unlink()

    def _means(self):
        """The state of the means over the epoch so far, JSON."""
        return {
            metric.name: [
                float(keras.ops.convert_to_numpy(v)) for v in metric.variables
            ]
            for metric in self.model.metrics
        }

    def _put_means_back(self):
        path = checkpoint_path(self.folder, self._epoch, self.skipped)
        if not is_whole(path):
            return
        means = read_notes(path).get("means", {})
        for metric in self.model.metrics:
            values = means.get(metric.name, [])
            for variable, value in zip(metric.variables, values, strict=False):
                variable.assign(value)

    def _check_finite(self, epoch, logs):
        for name, value in logs.items():
            # One gradient may overflow, and what others log may be missing.
            if "loss" in name and not math.isfinite(float(value)):
                self._diverged(f"{name} is {float(value)} at epoch {epoch}")

    def _check_weights(self, epoch, step):
        for variable in self.model.weights:
            values = keras.ops.convert_to_numpy(variable)
            if not np.isfinite(values.astype("float32")).all():
                self._diverged(
                    f"{variable.path} is not finite after {epoch} epochs"
                    + (f" and {step} steps" if step else "")
                )

    def _diverged(self, what):
        found = latest_checkpoint(self.folder)
        kept = (
            f"the checkpoint before is kept, {str(found[0])!r}."
            if found
            else "nothing was saved yet."
        )
        raise DivergenceError(f"Training diverged: {what}; {kept}")

    def _check_room(self):
        """Refuses a disk that is too full before HDF5 meets its end.

        HDF5 can crash the process when it closes a file that it could not
        finish.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # Keras writes the state of inner optimizers twice.
        variables = [
            *self.model.variables,
            *self.model.optimizer.variables,
            *self.model.optimizer.variables,
        ]
        # In 4 bytes each; once as the weights, once as the checkpoint.
        needed = 2 * 4 * sum(math.prod(v.shape) for v in variables)
        check_room(self.folder, needed)


def append_log(folder, epoch, logs):
    """Adds an epoch's line to `log.csv`, in place of an older one of it."""
    path = Path(folder) / LOG
    rows = []
    if path.is_file():
        rows = [row for row in read_log(folder) if int(row["epoch"]) < epoch]
    rows.append(
        {"epoch": epoch, **{k: f"{float(v):.6g}" for k, v in logs.items()}}
    )

    def write(temporary):
        with open(temporary, "w", newline="") as file:
            # An epoch may lack what others have, and they keep it.
            names = dict.fromkeys(n for row in [rows[-1], *rows] for n in row)
            writer = csv.DictWriter(file, list(names), restval="")
            writer.writeheader()
            writer.writerows(rows)

    write_file(path, write)


def read_log(folder):
    """Returns the lines of a run's `log.csv`, dicts of str."""
    with open(Path(folder) / LOG, newline="") as file:
        return list(csv.DictReader(file))
