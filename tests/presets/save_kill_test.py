"""Processes that are killed while they save a preset."""

import collections
import os
import random
import select
import shutil
import signal
import time
import traceback

import keras
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.utils import folder_swap

pytestmark = [
    pytest.mark.skipif(
        not hasattr(os, "fork"), reason="this system has no os.fork"
    ),
    # Threads of the backend, which the forked process does not need.
    pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping variable loading"),
]

_PATIENCE = 60


@pytest.fixture(scope="module")
def models(tiny):
    """Two models by their names, known apart by their weights too."""
    return {
        name: tiny.model(seed=seed, name=name)
        for seed, name in enumerate(("one", "two"))
    }


@pytest.mark.parametrize(
    "kills", [3, pytest.param(100, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kind", ["new", "exchanged", "sub_folder"])
def test_a_killed_save_leaves_a_whole_preset(
    tiny, models, tmp_path, kind, kills
):
    folder = tmp_path / "mine"
    first, *_ = models.values()
    if kind != "new":
        first.save_to_preset(folder)
    if kind == "sub_folder":
        (folder / "runs").mkdir()
    seconds = duration(first, tmp_path / "measured")
    expected = ["README.md", "config.json", "metadata.json", "model.weights.h5"]
    expected += ["runs"] if kind == "sub_folder" else []
    moments = random.Random(1)
    counts = collections.Counter()
    for kill in range(kills):
        if kind == "new":
            shutil.rmtree(folder, ignore_errors=True)
        inside = killed_while_saving(
            models.values(), folder, moments.uniform(0, 2 * seconds)
        )
        counts["inside a save" if inside else "between saves"] += 1
        counts["with rests"] += has_rests(folder)
        if kind == "new" and not folder.exists():
            counts["nothing yet"] += 1
        else:
            loaded = LAPGAN.from_preset(folder)
            counts[same_as_before(tiny, models, loaded)] += 1
            if kind != "sub_folder":
                same_as_before(tiny, models, keras.saving.load_model(folder))
        list(models.values())[kill % 2].save_to_preset(folder)
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]
        assert sorted(path.name for path in folder.iterdir()) == expected
    print(f"{kind}: {kills} kills, {dict(counts)}")
    assert counts["inside a save"] > 0


def duration(model, folder):
    """Seconds that a save takes."""
    start = time.perf_counter()
    model.save_to_preset(folder)
    shutil.rmtree(folder)
    return time.perf_counter() - start


def killed_while_saving(models, folder, delay):
    """Kills a process that saves the models in turn, over and over.

    Args:
        models: iterable of models.
        folder: path.
        delay: float. Seconds from the first save's start to the kill.

    Returns:
        Whether it was inside a save.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            while True:
                for model in models:
                    os.write(writer, b"<")
                    model.save_to_preset(folder)
                    os.write(writer, b">")
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(1)
    os.close(writer)
    try:
        started, _, _ = select.select([reader], [], [], _PATIENCE)
        time.sleep(delay)
    finally:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    with os.fdopen(reader) as log:
        log = log.read()
    assert started, "the forked process did not come to save"
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, log
    return log.endswith("<")


def has_rests(folder):
    return folder_swap._beside(folder).exists() or any(
        (folder / name).exists()
        for name in (folder_swap._NEW, folder_swap._READY)
    )


def same_as_before(tiny, models, loaded):
    """Checks what was loaded; returns its name."""
    assert tiny.same(tiny.arrays(loaded), tiny.arrays(models[loaded.name]))
    return loaded.name
