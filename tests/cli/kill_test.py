"""Runs whose process is killed, and which go on as if nothing had been.

As a program this file is `keras-lapgan` that kills itself: at the end of a
training step, or where something is done to a file of its run.
"""

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import pytest

from keras_lapgan.utils.checkpoints import read_notes

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="this system has no SIGKILL"
)

BEGIN = ("--data", "sample", "--batch-size", "4", "--steps-per-epoch", "5")
BEGIN += ("--epochs", "3", "--save-steps", "2", "--best-levels")
_PATIENCE = 300
_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")


# === The killed process ===


class Killer:
    """Ends this process at an event.

    Args:
        number: int. Of the event, from 1; 0 kills nothing.
        steps_only: bool. Whether ends of steps are all that counts.
    """

    def __init__(self, number, steps_only, root):
        self.number = number
        self.steps_only = steps_only
        self.root = root
        self.count = 0

    def count_one(self):
        self.count += 1
        if self.count == self.number:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_audit(self, event, args):
        if event in _EVENTS and isinstance(args[0], (str, Path)):
            if os.path.abspath(args[0]).startswith(self.root):
                self.count_one()

    def watch(self):
        from keras_lapgan.callbacks import TrainingProgress

        end = TrainingProgress.on_train_batch_end

        def on_train_batch_end(callback, batch, logs=None):
            end(callback, batch, logs)
            self.count_one()

        TrainingProgress.on_train_batch_end = on_train_batch_end
        if not self.steps_only:
            sys.addaudithook(self.on_audit)


def main(number, what, *args):
    from keras_lapgan.cli.main import main

    killer = Killer(int(number), what == "step", os.path.abspath("a"))
    killer.watch()
    sys.argv = ["keras-lapgan", *args]
    try:
        main()
    finally:
        Path("events.txt").write_text(str(killer.count))


# === Tests ===


def start(folder, preset, number=0, what="event"):
    """Begins a run in a working folder, or goes on with it."""
    folder.mkdir(exist_ok=True)
    if is_resumable(folder):
        args = ["--resume"]
    else:
        args = [*BEGIN, "--overwrite"]
    command = [sys.executable, __file__, str(number), what]
    with open(folder / "output.txt", "w") as output:
        return subprocess.Popen(
            [*command, "train", str(preset), "--output", "a", *args],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def is_resumable(folder):
    checkpoints = (folder / "a" / "checkpoint").glob("epoch_*.keras")
    return any(checkpoints) and (folder / "a" / "metadata.json").is_file()


def end(folder, process):
    """Waits for a run; whether it came to its end."""
    code = process.wait(_PATIENCE)
    assert code in (0, -signal.SIGKILL), (folder / "output.txt").read_text()
    return code == 0


def files(folder):
    """What a run has left, by name."""
    found = {}
    for path in sorted((folder / "a").rglob("*")):
        name = str(path.relative_to(folder / "a"))
        if path.is_dir() or name == "command.txt":
            continue
        if path.suffix == ".keras":
            found[name] = read_notes(path), arrays(path)
        else:
            found[name] = path.read_bytes()
    return found


def arrays(path):
    """The bytes of each array of a checkpoint, by name.

    (In its other files Keras keeps the date and places in memory.)
    """
    found = {}

    def add(name, array):
        if isinstance(array, h5py.Dataset):
            found[name] = array.dtype, array.shape, array[()].tobytes()

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(add)
    return found


def check_same(folder, expected):
    found = files(folder)
    assert list(found) == list(expected)
    assert [name for name in found if found[name] != expected[name]] == []


@pytest.fixture
def whole(tmp_path, preset):
    """The folder of an uninterrupted run."""
    folder = tmp_path / "whole"
    assert end(folder, start(folder, preset))
    return folder


def test_a_killed_run_goes_on_bit_for_bit(tmp_path, preset, whole):
    expected = files(whole)
    assert {
        "best_levels/best_levels.json",
        "best_levels/best_level_1.weights.h5",
        "checkpoint/epoch_0002_step_000004.keras",
        "checkpoint/epoch_0003_step_000000.keras",
        "log.csv",
        "model.weights.h5",
        "samples/epoch_0003_stage_1.png",
    } <= set(expected)
    optimizer = [
        name
        for name in expected["checkpoint/epoch_0003_step_000000.keras"][1]
        if name.startswith("optimizer/")
    ]
    assert len(optimizer) > 10
    folder = tmp_path / "killed"
    # The third step of the second epoch; the second was saved.
    assert not end(folder, start(folder, preset, 8, "step"))
    names = [path.name for path in (folder / "a" / "checkpoint").iterdir()]
    assert sorted(names) == [
        "epoch_0001_step_000000.keras",
        "epoch_0001_step_000002.keras",
    ]
    assert end(folder, start(folder, preset))
    check_same(folder, expected)


@pytest.mark.slow
def test_runs_that_are_killed_twenty_times(tmp_path, preset, whole):
    expected = files(whole)
    events = int((whole / "events.txt").read_text())
    folder = tmp_path / "killed"
    moments = random.Random(0)
    kills = ends = 0
    while kills < 20 or folder.exists():
        # At an event, most of which are of saves, or at any time.
        number = moments.randint(1, events // 2)
        seconds = moments.uniform(0, 2) if kills % 2 else None
        if kills >= 20:
            number, seconds = 0, None
        process = start(folder, preset, 0 if seconds else number)
        if seconds:
            killed_after(folder, process, seconds)
        if not end(folder, process):
            kills += 1
            continue
        check_same(folder, expected)
        shutil.rmtree(folder)
        ends += 1
    print(f"{kills} kills, {ends} runs, {events} events")


def killed_after(folder, process, seconds):
    """Kills a run so long after it began to train."""
    commands = folder / "a" / "command.txt"

    def size():
        return commands.stat().st_size if commands.is_file() else 0

    before, begun = size(), time.monotonic()
    while size() == before and process.poll() is None:
        assert time.monotonic() < begun + _PATIENCE
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
