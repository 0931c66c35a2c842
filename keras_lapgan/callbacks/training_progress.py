import sys
import time

import keras


class TrainingProgress(keras.callbacks.Callback):
    """Shows how far a run is, its losses and the time left.

    A bar on a terminal; elsewhere a line each epoch and each `interval`. All
    of it goes to stderr. Call `close` after the last `fit`: a run may take
    two, and Keras tells callbacks nothing of an exception.

    Args:
        steps: int. Steps of the whole run.
        steps_per_epoch: int. Steps of a whole epoch.
        done: int. Steps done before, by the run that is resumed. Defaults to
            0.
        interval: float. Seconds between lines where there is no terminal.
            Defaults to 60.
    """

    def __init__(self, steps, steps_per_epoch, done=0, interval=60.0):
        super().__init__()
        self.steps = steps
        self.steps_per_epoch = steps_per_epoch
        self.done = self.start = done
        self.interval = interval
        self._began = None
        self._bar = None

    def on_train_begin(self, logs=None):
        if self._began is None:
            self._began = self._printed = time.monotonic()
        if self._bar is None and sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.fields[epoch]}"),
                progress.BarColumn(bar_width=None),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[losses]}"),
                progress.TextColumn("{task.fields[left]} left"),
                console=Console(stderr=True),
                expand=True,
            )
            self._task = self._bar.add_task("", total=self.steps)
            self._update(logs)
            self._bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        # What `on_train_batch_end` adds to; `batch` counts from 0 each epoch.
        self._before = self.done

    def on_train_batch_end(self, batch, logs=None):
        self.done = self._before + batch + 1
        if self._bar:
            self._update(logs)
        elif time.monotonic() - self._printed >= self.interval:
            self._print(logs)

    def on_epoch_end(self, epoch, logs=None):
        if self._bar:
            self._bar.print(f"epoch {epoch + 1}: {_losses(logs)}")
        else:
            self._print(logs)

    def close(self):
        """Ends the bar."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _pace(self):
        """Seconds a step, of this run."""
        steps = self.done - self.start
        return (time.monotonic() - self._began) / steps if steps else 0.0

    def _left(self):
        if self.done == self.start:
            return "-:--:--"
        return _clock((self.steps - self.done) * self._pace())

    def _update(self, logs):
        epoch = min(self.done, self.steps - 1) // self.steps_per_epoch + 1
        self._bar.update(
            self._task,
            completed=self.done,
            epoch=f"epoch {epoch}",
            losses=_losses(logs),
            left=self._left(),
        )

    def _print(self, logs):
        self._printed = time.monotonic()
        epoch = self.done / self.steps_per_epoch
        print(
            f"step {self.done}/{self.steps} (epoch {epoch:.2f}) "
            f"{_losses(logs)} {self._pace():.2f} s/step, {self._left()} left",
            file=sys.stderr,
            flush=True,
        )


def _losses(logs):
    logs = logs or {}
    return " ".join(
        f"{name} {float(logs[name]):.3f}"
        for name in ("d_loss", "g_loss")
        if name in logs
    )


def _clock(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
