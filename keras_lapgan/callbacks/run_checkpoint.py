import csv
import re
import signal
from pathlib import Path

import keras

from keras_lapgan.presets.preset_folder import save_preset
from keras_lapgan.presets.preset_folder import write_file

_NAME = re.compile(r"epoch_(\d+)_step_(\d+)\.keras")
LOG = "log.csv"


class RunCheckpoint(keras.callbacks.Callback):
    """Keeps a run folder loadable and resumable.

    After each epoch: the preset files (`config.json`, `metadata.json`,
    `model.weights.h5`), a line of `log.csv`, and in `checkpoint/` the whole
    model with its optimizers. An interrupt (Ctrl-C or SIGTERM) lets the step
    under way finish, saves, and ends training with `KeyboardInterrupt`; a
    second one ends it at once.

    Args:
        folder: path. The run folder.
        steps_per_epoch: int.
        metadata: dict for `metadata.json`. Defaults to None.
        skipped: int. Steps of the first epoch that a resumed run has behind
            it. Defaults to 0.
    """

    def __init__(self, folder, steps_per_epoch, metadata=None, skipped=0):
        super().__init__()
        self.folder = Path(folder)
        self.steps_per_epoch = steps_per_epoch
        self.metadata = metadata or {}
        self._step = skipped
        self._interrupted = False

    def on_train_begin(self, logs=None):
        self._handlers = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def on_train_end(self, logs=None):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _on_signal(self, number, frame):
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        if self._interrupted:
            epochs, step = divmod(self._step, self.steps_per_epoch)
            self._save(self._epoch + epochs, step)
            self.on_train_end()
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        self._step = 0
        append_log(self.folder, epoch + 1, logs or {})
        self._save(epoch + 1, 0)

    def _save(self, epoch, step):
        save_preset(
            self.model,
            self.folder,
            {**self.metadata, "epochs": epoch, "steps": step},
        )
        checkpoints = self.folder / "checkpoint"
        checkpoints.mkdir(exist_ok=True)
        path = checkpoints / f"epoch_{epoch:04d}_step_{step:06d}.keras"
        write_file(path, lambda temporary: self.model.save(temporary))
        for old in checkpoints.iterdir():
            if old != path:
                old.unlink()


def append_log(folder, epoch, logs):
    """Adds an epoch's line to `log.csv`, in place of an older one of it."""
    path = Path(folder) / LOG
    rows = []
    if path.is_file():
        with open(path, newline="") as file:
            rows = [
                row for row in csv.DictReader(file) if int(row["epoch"]) < epoch
            ]
    rows.append(
        {"epoch": epoch, **{k: f"{float(v):.6g}" for k, v in logs.items()}}
    )

    def write(temporary):
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[-1], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    write_file(path, write)


def latest_checkpoint(folder):
    """Returns `(path, epochs done, steps done of the next)`, or None."""
    found = [
        (int(match[1]), int(match[2]), path)
        for path in (Path(folder) / "checkpoint").glob("*.keras")
        if (match := _NAME.fullmatch(path.name))
    ]
    if not found:
        return None
    epoch, step, path = max(found)
    return path, epoch, step
