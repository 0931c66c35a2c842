import csv
import errno
import json
import os
import shutil
import signal
import sys
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
from keras_lapgan.utils.checkpoints import checkpoint_path
from keras_lapgan.utils.checkpoints import latest_checkpoint
from keras_lapgan.utils.checkpoints import list_checkpoints
from keras_lapgan.utils.checkpoints import read_notes


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


def fit(model, images, checkpoint, *others, epochs=1, initial_epoch=0):
    try:
        model.fit(
            images,
            batch_size=8,
            epochs=epochs,
            initial_epoch=initial_epoch,
            verbose=0,
            shuffle=False,
            callbacks=[*others, checkpoint],
        )
    finally:
        checkpoint.close()


def weights(model):
    return [keras.ops.convert_to_numpy(v) for v in model.weights]


def checkpoints(folder):
    return sorted(tuple(done) for _, *done in list_checkpoints(folder))


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
    assert checkpoints(folder) == [(1, 0), (2, 0)]
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
    assert checkpoint.saved and checkpoint.ended
    assert checkpoint.signal == number
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


def test_no_save_takes_more_room_than_was_asked_for(
    tmp_path, make_model, monkeypatch
):
    def size():
        return sum(p.stat().st_size for p in tmp_path.rglob("*.*"))

    def unlink(path):
        largest.append(size() - before)
        remove(path)

    asked, largest, remove = [], [], Path.unlink
    monkeypatch.setattr(
        run_checkpoint, "check_room", lambda _, needed: asked.append(needed)
    )
    monkeypatch.setattr(Path, "unlink", lambda p, **_: p.exists() and unlink(p))
    checkpoint = RunCheckpoint(tmp_path, 3)
    model = make_model()
    model.optimizer.build(model.trainable_variables)
    checkpoint.set_model(model)
    for epoch in range(4):
        before = size()
        checkpoint.on_epoch_end(epoch)
        largest.append(size() - before)
    assert len(asked) == 4
    # Names, and what HDF5 adds to arrays as small as these.
    assert max(largest) <= asked[0] + 300_000


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


def test_what_a_kill_left_half_written_goes(tmp_path, make_model, images):
    (tmp_path / "checkpoint").mkdir()
    rest = tmp_path / "checkpoint" / ".tmp_epoch_0000_step_000002.keras"
    rest.write_bytes(b"half")
    fit(make_model(), images, RunCheckpoint(tmp_path, 3))
    assert not rest.exists()


def test_a_damaged_checkpoint_is_not_the_one_that_is_kept(
    tmp_path, make_model, images
):
    model = make_model()
    fit(model, images, RunCheckpoint(tmp_path, 3), epochs=2)
    latest_checkpoint(tmp_path)[0].write_bytes(b"half")
    checkpoint = RunCheckpoint(tmp_path, 3)
    checkpoint.set_model(model)
    checkpoint.on_epoch_end(2)
    assert checkpoints(tmp_path) == [(1, 0), (3, 0)]
    checkpoint.on_epoch_end(3)
    assert checkpoints(tmp_path) == [(3, 0), (4, 0)]


@pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no os.fork"
)
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_a_save_that_is_killed_at_any_file(
    tmp_path, make_model, images, stride
):
    model = make_model()
    saved, folder = tmp_path / "saved", tmp_path / "killed"
    fit(model, images, RunCheckpoint(saved, 3), epochs=2)
    found = []
    while True:
        shutil.copytree(saved, folder)
        checkpoint = RunCheckpoint(folder, 3)
        checkpoint.set_model(model)
        pid = os.fork()
        if not pid:
            kill_at_file(folder, len(found) * stride + 1)
            checkpoint.on_epoch_end(2)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _, *done = latest_checkpoint(folder)
        if not code:
            break
        assert code == -signal.SIGKILL
        found.append(done)
        LAPGAN.from_preset(folder)
        # It and the next save leave no more than others do.
        checkpoint.on_epoch_end(2)
        assert temporary_files(folder) == []
        assert checkpoints(folder) == [(2, 0), (3, 0)]
        shutil.rmtree(folder)
    assert len(found) * stride > 20 and found == sorted(found)
    assert found[0] == [2, 0] and found[-1] == done == [3, 0]


def kill_at_file(folder, number):
    """Kills this process where it does that much to files of `folder`."""
    seen = []

    def hook(event, args):
        if event in ("open", "os.rename", "os.remove", "os.mkdir"):
            if str(folder) in str(args[0]):
                seen.append(event)
                if len(seen) == number:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


# === Within an epoch ===


class Saves(keras.callbacks.Callback):
    """What there is after each step."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        found = latest_checkpoint(self.folder)
        self.seen.append(found and found[1:])


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_saves_within_an_epoch(
    tmp_path, make_model, images, steps_per_execution
):
    if steps_per_execution > 1 and keras.backend.backend() == "torch":
        pytest.skip("Keras on torch has one step per execution")
    model = make_model()
    config = model.get_compile_config()
    model.compile(**{**config, "steps_per_execution": steps_per_execution})
    saves = Saves(tmp_path)
    checkpoint = RunCheckpoint(tmp_path, 6, save_steps=2)
    try:
        # Not the order in which `fit` of this file has them.
        model.fit(
            *(np.concatenate([images, images]), None, 8, 2),
            verbose=0,
            callbacks=[checkpoint, saves],
        )
    finally:
        checkpoint.close()
    epochs = [[(e, 2), (e, 2), (e, 4), (e, 4)] for e in (0, 1)]
    if steps_per_execution == 1:
        seen = [None, *epochs[0], (1, 0), *epochs[1]]
        assert saves.seen == [*seen[:5], (0, 4), *seen[5:], (1, 4)]
    else:
        assert saves.seen == [
            (0, 2), (0, 4), (0, 4), (1, 2), (1, 4), (1, 4)
        ]  # fmt: skip
    assert checkpoints(tmp_path) == [(1, 4), (2, 0)]


def test_save_steps_of_none(tmp_path):
    with pytest.raises(ValueError, match="Received: save_steps=0"):
        RunCheckpoint(tmp_path, 3, save_steps=0)


def test_the_line_of_a_resumed_epoch_is_of_the_whole_epoch(
    tmp_path, make_model, images
):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    fit(make_model(), images, RunCheckpoint(whole, 3), epochs=2)
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), images, RunCheckpoint(resumed, 3), Signal(1))
    model = keras.saving.load_model(latest_checkpoint(resumed)[0])
    checkpoint = RunCheckpoint(resumed, 3, skipped=1)
    fit(model, images[8:], checkpoint)
    fit(model, images, checkpoint, initial_epoch=1, epochs=2)
    assert read_log(resumed) == read_log(whole)


def test_notes_of_others_are_kept(tmp_path, make_model, images):
    checkpoint = RunCheckpoint(tmp_path, 3, notes=lambda: {"mine": [1, 2]})
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), images, checkpoint, Signal(4), epochs=2)
    within, at_end = (read_notes(x) for x, *_ in list_checkpoints(tmp_path))
    assert at_end == {"mine": [1, 2]}
    assert sorted(within) == ["means", "mine"]


def test_a_checkpoint_without_means(tmp_path, make_model, images):
    model = make_model()
    path = checkpoint_path(tmp_path, 0, 1)
    path.parent.mkdir()
    model.save(path)
    fit(model, images[8:], RunCheckpoint(tmp_path, 3, skipped=1))
    logged = read_log(tmp_path)[0]
    assert 0 < float(logged["d_loss_0"]) < 2


# === Signals while something else is done ===


class Busy(keras.callbacks.Callback):
    """Gets a signal at the end of the first epoch."""

    def on_epoch_end(self, epoch, logs=None):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("place", ["before", "after"])
def test_an_interrupt_at_the_end_of_an_epoch(
    tmp_path, make_model, images, place
):
    checkpoint = RunCheckpoint(tmp_path, 3)
    callbacks = [checkpoint, Busy()]
    model = make_model()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(
                *(images, None, 8, 2),
                verbose=0,
                callbacks=callbacks[:: 1 if place == "after" else -1],
            )
    finally:
        checkpoint.close()
    assert checkpoint.saved and checkpoint.signal == signal.SIGTERM
    assert latest_checkpoint(tmp_path)[1:] == (1, 0)
    assert int(model.optimizer.iterations) == 3


@pytest.mark.parametrize("signals", [1, 2])
def test_an_interrupt_of_a_save(
    tmp_path, make_model, images, monkeypatch, signals
):
    model = make_model()
    fit(model, images, RunCheckpoint(tmp_path, 3))
    save = type(model).save

    def slow(self, path):
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGTERM)
        save(self, path)

    monkeypatch.setattr(type(model), "save", slow)
    checkpoint = RunCheckpoint(tmp_path, 3)
    with pytest.raises(KeyboardInterrupt):
        fit(model, images, checkpoint, initial_epoch=1, epochs=3)
    # The second ends it at once.
    assert checkpoint.saved is checkpoint.ended is (signals == 1)
    assert latest_checkpoint(tmp_path)[1:] == (
        (2, 0) if signals == 1 else (1, 0)
    )
    assert temporary_files(tmp_path) == []
    assert isinstance(LAPGAN.from_preset(tmp_path), LAPGAN)


def test_a_second_interrupt_after_a_save(tmp_path, make_model, images):
    class Twice(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)

    checkpoint = RunCheckpoint(tmp_path, 3)
    try:
        with pytest.raises(KeyboardInterrupt):
            make_model().fit(
                images,
                batch_size=8,
                verbose=0,
                callbacks=[checkpoint, Twice()],
            )
    finally:
        checkpoint.close()
    # All is saved, but other workers would not know of the end.
    assert checkpoint.saved and not checkpoint.ended


# === The log ===


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


def test_what_was_saved_within_a_condemned_epoch_goes(
    tmp_path, make_model, images
):
    condemned = []
    checkpoint = RunCheckpoint(
        tmp_path, 4, save_steps=1, unless=lambda: condemned
    )
    model = make_model()
    model.fit(images, batch_size=4, callbacks=[checkpoint], verbose=0)
    kept = weights(model)
    condemned.append("yes")
    model.fit(
        *(images, None, 4, 2),
        initial_epoch=1,
        callbacks=[checkpoint],
        verbose=0,
    )
    path, *done = latest_checkpoint(tmp_path)
    assert done == [1, 0]
    for found in (keras.saving.load_model(path), LAPGAN.from_preset(tmp_path)):
        assert all(map(np.array_equal, weights(found), kept))


def test_weights_that_are_not_finite_are_not_saved(
    tmp_path, make_model, images
):
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kernel = self.model.level(0).generator.weights[0]
            kernel.assign(np.full(kernel.shape, np.nan))

    checkpoint = RunCheckpoint(tmp_path, 2, save_steps=1)
    model = make_model()
    model.fit(images, batch_size=8, callbacks=[checkpoint], verbose=0)
    before = latest_checkpoint(tmp_path)
    with pytest.raises(DivergenceError, match="is not finite after 1 epochs"):
        model.fit(
            *(images, None, 8, 2),
            initial_epoch=1,
            callbacks=[Spoil(), checkpoint],
            verbose=0,
        )
    checkpoint.close()
    assert latest_checkpoint(tmp_path) == before


def test_an_epoch_that_lacks_a_column_leaves_it_to_others(tmp_path):
    append_log(tmp_path, 1, {"d_loss": 1.0, "diversity_0": 0.5})
    append_log(tmp_path, 2, {"d_loss": 2.0})
    first, second = read_log(tmp_path)
    assert first["diversity_0"] == "0.5" and second["diversity_0"] == ""
    assert [row["d_loss"] for row in (first, second)] == ["1", "2"]
