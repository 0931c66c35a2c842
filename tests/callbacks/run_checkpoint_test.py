import csv
import errno
import json
import os
import shutil
import signal
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.callbacks import DivergenceError
from keras_lapgan.callbacks import RunCheckpoint
from keras_lapgan.callbacks import SaveError
from keras_lapgan.callbacks import run_checkpoint
from keras_lapgan.callbacks.run_checkpoint import append_log
from keras_lapgan.callbacks.run_checkpoint import read_log
from keras_lapgan.presets import preset_folder
from keras_lapgan.utils.checkpoints import latest_checkpoint


class Signal(keras.callbacks.Callback):
    """Sends this process a signal after some steps."""

    def __init__(self, *steps, number=signal.SIGINT):
        super().__init__()
        self.steps = steps
        self.number = number
        self.seen = 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen in self.steps:
            os.kill(os.getpid(), self.number)


def fit(model, images, checkpoint, *others, epochs=1):
    try:
        model.fit(
            images,
            batch_size=8,
            epochs=epochs,
            verbose=0,
            shuffle=False,
            callbacks=[*others, checkpoint],
        )
    finally:
        checkpoint.close()


def weights(model):
    return [keras.ops.convert_to_numpy(v) for v in model.weights]


def temporary_files(folder):
    return [str(p) for p in Path(folder).rglob("*") if ".tmp" in p.name]


@pytest.fixture(autouse=True)
def signals_given_back():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    yield
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert after == before


def test_an_epoch_leaves_a_preset_a_checkpoint_and_a_log(
    tmp_path, make_model, images
):
    folder = tmp_path / "runs" / "a"
    model = make_model()
    checkpoint = RunCheckpoint(folder, 3, {"data": "noise"})
    fit(model, images, checkpoint, epochs=2)
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["data"] == "noise"
    assert (metadata["epochs"], metadata["steps"]) == (2, 0)
    names = [file.name for file in (folder / "checkpoint").iterdir()]
    assert names == ["epoch_0002_step_000000.keras"]
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["d_loss_0"]) > 0
    expected = model.generate(2, seed=1)
    from_preset = LAPGAN.from_preset(folder)
    np.testing.assert_array_equal(from_preset.generate(2, seed=1), expected)
    loaded = keras.saving.load_model(latest_checkpoint(folder)[0])
    assert all(map(np.array_equal, weights(loaded), weights(model)))
    assert int(loaded.optimizer.iterations) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_after_the_step(
    tmp_path, make_model, images, number
):
    model = make_model()
    checkpoint = RunCheckpoint(tmp_path, 3)
    with pytest.raises(KeyboardInterrupt):
        fit(model, images, checkpoint, Signal(5, number=number), epochs=3)
    assert checkpoint.saved and checkpoint.signal == number
    path, epochs, steps = latest_checkpoint(tmp_path)
    assert (epochs, steps) == (1, 2)
    loaded = keras.saving.load_model(path)
    assert all(map(np.array_equal, weights(loaded), weights(model)))
    assert int(loaded.optimizer.iterations) == 5


def test_an_interrupt_in_the_last_step_of_an_epoch_ends_it(
    tmp_path, make_model, images
):
    checkpoint = RunCheckpoint(tmp_path, 3)
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), images, checkpoint, Signal(3), epochs=2)
    assert checkpoint.saved
    assert latest_checkpoint(tmp_path)[1:] == (1, 0)
    assert (tmp_path / "log.csv").read_text().count("\n") == 2


def test_an_interrupt_in_the_last_step_of_all_is_too_late(
    tmp_path, make_model, images
):
    checkpoint = RunCheckpoint(tmp_path, 3)
    fit(make_model(), images, checkpoint, Signal(3))
    assert latest_checkpoint(tmp_path)[1:] == (1, 0)


def test_a_second_interrupt_ends_at_once(tmp_path, make_model, images):
    class Twice(Signal):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch)
            super().on_train_batch_end(batch)

    checkpoint = RunCheckpoint(tmp_path, 3)
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), images, checkpoint, Twice(1, 2))
    assert not checkpoint.saved
    assert latest_checkpoint(tmp_path) is None


def test_the_first_epoch_of_a_resumed_run_counts_what_was_skipped(
    tmp_path, make_model, images
):
    checkpoint = RunCheckpoint(tmp_path, 5, skipped=2)
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), images, checkpoint, Signal(2), epochs=2)
    assert latest_checkpoint(tmp_path)[1:] == (0, 4)


def test_another_thread_trains_without_signals(tmp_path, make_model, images):
    errors = []

    def train():
        try:
            fit(make_model(), images, RunCheckpoint(tmp_path, 3))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert errors == []
    assert latest_checkpoint(tmp_path)[1:] == (1, 0)


@pytest.mark.parametrize("method", ["save", "write_weights"])
@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_a_save_that_fails_half_way_keeps_the_one_before(
    tmp_path, make_model, images, monkeypatch, method, error
):
    model = make_model()
    fit(model, images, RunCheckpoint(tmp_path, 3))
    if method == "save":
        kept = latest_checkpoint(tmp_path)[0]
    else:
        kept = tmp_path / "model.weights.h5"
    content = kept.read_bytes()
    line = "file write\nfailed, errno = 28"

    def fails(*args, **kwargs):
        # Of `save`, the model comes first.
        Path(args[method == "save"]).write_bytes(b"half")
        raise error(line)

    home = type(model) if method == "save" else preset_folder
    monkeypatch.setattr(home, method, fails)
    with pytest.raises(SaveError, match="Could not save.*write failed, errno"):
        fit(model, images, RunCheckpoint(tmp_path, 3), epochs=1)
    assert kept.read_bytes() == content
    assert temporary_files(tmp_path) == []
    monkeypatch.undo()
    assert isinstance(LAPGAN.from_preset(tmp_path), LAPGAN)


def test_a_disk_too_full_is_seen_before_anything_is_written(
    tmp_path, make_model, images, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage._replace(free=1000)
    )
    with pytest.raises(SaveError, match="MB are needed and 0 MB are free"):
        fit(make_model(), images, RunCheckpoint(tmp_path / "a", 3))
    assert list((tmp_path / "a").iterdir()) == []


def test_the_room_that_is_asked_for_is_what_a_save_takes(
    tmp_path, make_model, images, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)
    model = make_model()
    fit(model, images, RunCheckpoint(tmp_path, 3))
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage._replace(free=0)
    )
    checkpoint = RunCheckpoint(tmp_path, 3)
    checkpoint.set_model(model)
    with pytest.raises(OSError) as caught:
        checkpoint._check_room()
    assert caught.value.errno == errno.ENOSPC
    values = sum(v.size for v in weights(model))
    assert float(caught.value.strerror.split()[0]) >= 8 * values // 10**6


def test_a_user_s_file_beside_the_checkpoint_stays(
    tmp_path, make_model, images
):
    (tmp_path / "checkpoint").mkdir(parents=True)
    (tmp_path / "checkpoint" / "notes.txt").write_text("mine")
    (tmp_path / "checkpoint" / "epoch_0009_step_000000.keras").touch()
    fit(make_model(), images, RunCheckpoint(tmp_path, 3))
    assert sorted(f.name for f in (tmp_path / "checkpoint").iterdir()) == [
        "epoch_0001_step_000000.keras",
        "notes.txt",
    ]


def test_a_log_s_epoch_done_again_replaces_its_line(tmp_path):
    for epoch, loss in ((1, 0.5), (2, 0.25), (3, 0.125), (2, 1.0)):
        append_log(tmp_path, epoch, {"d_loss": loss})
    assert (tmp_path / "log.csv").read_text().split() == [
        "epoch,d_loss",
        "1,0.5",
        "2,1",
    ]


def test_the_checkpoint_is_never_behind_the_preset_files(
    tmp_path, make_model, images, monkeypatch
):
    model = make_model()
    fit(model, images, RunCheckpoint(tmp_path, 3))

    def no_room(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_checkpoint, "save_preset", no_room)
    checkpoint = RunCheckpoint(tmp_path, 3)
    checkpoint.set_model(model)
    with pytest.raises(SaveError, match="No space left"):
        checkpoint.on_epoch_end(1)
    assert not checkpoint.saved
    assert latest_checkpoint(tmp_path)[1:] == (2, 0)
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert metadata["epochs"] == 1
    assert isinstance(LAPGAN.from_preset(tmp_path), LAPGAN)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_diverged_training_overwrites_nothing(
    tmp_path, make_model, images, value
):
    def files():
        paths = [p for p in tmp_path.rglob("*") if p.is_file()]
        return {path: path.read_bytes() for path in paths}

    checkpoint = RunCheckpoint(tmp_path, 3)
    model = make_model()
    checkpoint.set_model(model)
    logs = {"d_loss_0": 0.5, "g_loss_0": np.float32(value)}
    message = f"g_loss_0 is {value} at epoch 1; nothing was saved"
    with pytest.raises(DivergenceError, match=message):
        checkpoint.on_epoch_end(0, logs)
    assert files() == {}
    fit(model, images, checkpoint)
    before = files()
    message = f"g_loss_0 is {value} at epoch 2; the checkpoint before is kept"
    with pytest.raises(DivergenceError, match=message):
        checkpoint.on_epoch_end(1, logs)
    assert files() == before


def test_an_epoch_that_is_not_kept(tmp_path, make_model, images):
    condemned = []
    checkpoint = RunCheckpoint(tmp_path, 2, unless=lambda: condemned)
    model = make_model()
    model.fit(images, batch_size=8, callbacks=[checkpoint], verbose=0)
    before = latest_checkpoint(tmp_path)[0].read_bytes()
    condemned.append("yes")
    model.fit(
        *(images, None, 8, 2),
        initial_epoch=1,
        callbacks=[checkpoint],
        verbose=0,
    )
    path, *done = latest_checkpoint(tmp_path)
    assert done == [1, 0] and path.read_bytes() == before
    assert preset_folder.read_metadata(tmp_path)["epochs"] == 1
    assert [row["epoch"] for row in read_log(tmp_path)] == ["1", "2"]


def test_an_epoch_that_lacks_a_column_leaves_it_to_others(tmp_path):
    append_log(tmp_path, 1, {"d_loss": 1.0, "diversity_0": 0.5})
    append_log(tmp_path, 2, {"d_loss": 2.0})
    first, second = read_log(tmp_path)
    assert first["diversity_0"] == "0.5" and second["diversity_0"] == ""
    assert [row["d_loss"] for row in (first, second)] == ["1", "2"]
