import random

import keras
import numpy as np
import pytest

from keras_lapgan.utils.checkpoints import checkpoint_path
from keras_lapgan.utils.checkpoints import is_whole
from keras_lapgan.utils.checkpoints import latest_checkpoint
from keras_lapgan.utils.checkpoints import list_checkpoints
from keras_lapgan.utils.checkpoints import read_notes
from keras_lapgan.utils.checkpoints import write_checkpoint

NOTES = {"means": {"d_loss": [0.1, 3.0]}}


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(50)])


@pytest.fixture(scope="module")
def content(model, tmp_path_factory):
    """The bytes of a checkpoint."""
    path = tmp_path_factory.mktemp("checkpoints") / "a.keras"
    write_checkpoint(path, model, NOTES)
    return path.read_bytes()


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    """The bytes of what Keras saves."""
    path = tmp_path_factory.mktemp("checkpoints") / "b.keras"
    model.save(path)
    return path.read_bytes()


def put(folder, *done, content=b""):
    path = checkpoint_path(folder, *done)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_newest_come_first(tmp_path):
    assert list_checkpoints(tmp_path) == []
    paths = {done: put(tmp_path, *done) for done in [(9, 7), (12_345, 7)]}
    for done in [(1, 0), (12_345, 40)]:
        paths[done] = put(tmp_path, *done)
    for name in (
        ".tmp_epoch_99999_step_000000.keras",
        "epoch_99999_step_000000.txt",
    ):
        (tmp_path / "checkpoint" / name).touch()
    assert list_checkpoints(tmp_path) == [
        (paths[done], *done)
        for done in [(12_345, 40), (12_345, 7), (9, 7), (1, 0)]
    ]


def test_latest_checkpoint(tmp_path, content):
    assert latest_checkpoint(tmp_path) is None
    first = put(tmp_path, 1, 40, content=content)
    second = put(tmp_path, 2, 0, content=content)
    assert latest_checkpoint(tmp_path) == (second, 2, 0)
    for before in [(2, 0), (1, 41)]:
        assert latest_checkpoint(tmp_path, before) == (first, 1, 40)
    assert latest_checkpoint(tmp_path, (1, 40)) is None
    put(tmp_path, 2, 0, content=content[:-1])
    assert latest_checkpoint(tmp_path) == (first, 1, 40)


def test_keras_loads_a_checkpoint(tmp_path, model):
    path = tmp_path / "a.keras"
    write_checkpoint(path, model, NOTES)
    loaded = keras.saving.load_model(path)
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert read_notes(path) == NOTES
    assert list(tmp_path.iterdir()) == [path]


def damaged(content):
    """`content` cut off, with zeros at its end, and with one bit changed."""
    moments = random.Random(0)
    size = len(content)
    places = {*range(size - 300, size), *moments.choices(range(size), k=300)}
    for i in sorted(places):
        yield content[:i]
        if any(content[i:]):
            yield content[:i] + bytes(size - i)
        bit = 1 << moments.randrange(8)
        yield content[:i] + bytes([content[i] ^ bit]) + content[i + 1 :]


def test_damage_is_noticed(tmp_path, content):
    path = tmp_path / "a.keras"
    path.write_bytes(content)
    assert is_whole(path)
    for bad in damaged(content):
        path.write_bytes(bad)
        assert not is_whole(path)
    path.write_bytes(content + b"\0")
    assert not is_whole(path)
    assert not is_whole(tmp_path / "none.keras")


def test_what_keras_saved_is_whole_too(tmp_path, model, plain):
    path = tmp_path / "a.keras"
    path.write_bytes(plain)
    assert is_whole(path)
    assert read_notes(path) == {}
    weights = model.get_weights()
    for bad in damaged(plain):
        path.write_bytes(bad)
        if is_whole(path):
            # Dates, and the zip's list of files.
            assert len(bad) == len(plain)
            try:
                found = keras.saving.load_model(path).get_weights()
            except (KeyError, ValueError):
                continue
            assert all(map(np.array_equal, found, weights))
