import re
import sys

import pytest

from keras_lapgan.callbacks import TrainingProgress
from keras_lapgan.callbacks import training_progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(training_progress, "time", clock)
    return clock


def run(callback, epochs, steps, clock, seconds=2.0, first=0):
    callback.on_train_begin()
    for epoch in range(first, epochs):
        callback.on_epoch_begin(epoch)
        for batch in range(steps):
            clock.now += seconds
            callback.on_train_batch_end(batch, {"d_loss": 0.5, "g_loss": 0.25})
        callback.on_epoch_end(epoch, {"d_loss": 0.5, "g_loss": 0.25})
    callback.on_train_end()


def test_a_line_an_epoch_with_the_time_left(clock, capsys):
    run(TrainingProgress(12, 4), 3, 4, clock)
    assert capsys.readouterr().err.splitlines() == [
        "step 4/12 (epoch 1.00) d_loss 0.500 g_loss 0.250 2.00 s/step, "
        "0:00:16 left",
        "step 8/12 (epoch 2.00) d_loss 0.500 g_loss 0.250 2.00 s/step, "
        "0:00:08 left",
        "step 12/12 (epoch 3.00) d_loss 0.500 g_loss 0.250 2.00 s/step, "
        "0:00:00 left",
    ]


def test_a_line_each_interval(clock, capsys):
    run(TrainingProgress(4, 4, interval=4000), 1, 4, clock, seconds=3000)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" d_loss")[0] for line in lines] == [
        "step 2/4 (epoch 0.50)",
        "step 4/4 (epoch 1.00)",
        "step 4/4 (epoch 1.00)",
    ]
    assert lines[0].endswith("3000.00 s/step, 1:40:00 left")


def test_a_resumed_run_counts_on_in_two_fits(clock, capsys):
    callback = TrainingProgress(12, 4, done=6)
    run(callback, 2, 2, clock, first=1)
    run(callback, 3, 4, clock, first=2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("step 8/12 (epoch 2.00)")
    # The pace is of this run's steps alone.
    assert lines[0].endswith("2.00 s/step, 0:00:08 left")
    assert lines[1].startswith("step 12/12 (epoch 3.00)")


def test_a_bar_on_a_terminal(clock, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    callback = TrainingProgress(8, 4, done=2)
    callback.on_train_begin()
    assert callback._bar.tasks[0].completed == 2
    run(callback, 2, 2, clock, first=1)
    task = callback._bar.tasks[0]
    assert (task.completed, task.total) == (4, 8)
    assert task.fields["left"] == "0:00:08"
    assert task.fields["epoch"] == "epoch 2"
    callback.close()
    callback.close()
    printed = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "epoch 2: d_loss 0.500 g_loss 0.250" in printed


def test_steps_of_a_real_fit(make_model, images, capsys):
    callback = TrainingProgress(4, 2)
    make_model().fit(
        images, batch_size=12, epochs=2, verbose=0, callbacks=[callback]
    )
    assert callback.done == 4
    assert "step 4/4 (epoch 2.00) d_loss" in capsys.readouterr().err
