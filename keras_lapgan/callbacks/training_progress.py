import sys
import time

import keras


class TrainingProgress(keras.callbacks.Callback):
    """Shows how far a run is, its losses and the time left.

    A bar on a terminal; elsewhere a line each epoch and each `interval`.

    Args:
        steps: int. Steps of the whole run.
        done: int. Steps done before, by the run that is resumed. Defaults to
            0.
        steps_per_epoch: int.
        interval: float. Seconds between lines where there is no terminal.
            Defaults to 60.
    """

    def __init__(self, steps, steps_per_epoch, done=0, interval=60.0):
        super().__init__()
        self.steps = steps
        self.steps_per_epoch = steps_per_epoch
        self.done = self.start = done
        self.interval = interval
        self._bar = None

    def on_train_begin(self, logs=None):
        if self.done == self.start:
            self._began = self._printed = time.monotonic()
        if self._bar is None and sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[losses]}"),
                progress.TimeElapsedColumn(),
                progress.TextColumn("left"),
                progress.TimeRemainingColumn(elapsed_when_finished=False),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(
                "training", total=self.steps, completed=self.done, losses=""
            )
            self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if self._bar:
            self._bar.update(
                self._task, completed=self.done, losses=_losses(logs)
            )
        elif time.monotonic() - self._printed >= self.interval:
            self._print(logs)

    def on_epoch_end(self, epoch, logs=None):
        if self._bar:
            self._bar.print(f"epoch {epoch + 1}: {_losses(logs)}")
        else:
            self._print(logs)

    def close(self):
        """Ends the bar; Keras tells callbacks nothing of an exception."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _print(self, logs):
        now = self._printed = time.monotonic()
        pace = (now - self._began) / max(1, self.done - self.start)
        left = (self.steps - self.done) * pace
        epoch = self.done / self.steps_per_epoch
        print(
            f"step {self.done}/{self.steps} (epoch {epoch:.2f}) "
            f"{_losses(logs)} {pace:.2f} s/step, {_clock(left)} left",
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
