import io
import os

import numpy as np
import pytest

from keras_lapgan.evaluation import ResultCache
from keras_lapgan.evaluation import result_cache

images = np.arange(24, dtype="uint8").reshape(2, 2, 2, 3)


def files(folder):
    return list((folder / "evaluation").iterdir())


class Counted:
    def __init__(self, result):
        self.result = result
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.result


def test_arrays_are_computed_once(tmp_path):
    compute = Counted({"features": np.arange(3.0), "logits": np.ones((1, 2))})
    for _ in range(2):
        found = ResultCache(tmp_path).arrays("features", [images], compute)
        np.testing.assert_array_equal(found["features"], [0, 1, 2])
        assert set(found) == {"features", "logits"}
    assert compute.calls == 1


def test_figures_are_computed_once_and_to_the_last_digit(tmp_path):
    compute = Counted({"28": 0.1 + 0.2})
    for _ in range(2):
        found = ResultCache(tmp_path).figures("swd", [images], compute)
        assert found == {"28": 0.1 + 0.2}
    assert compute.calls == 1


@pytest.mark.parametrize(
    ("what", "of"),
    [
        ("other", [images]),
        ("what", [images + 1]),
        ("what", [images.reshape(1, 4, 2, 3)]),
        ("what", [images.astype("int64")]),
        ("what", [images, images]),
    ],
)
def test_what_differs_is_computed(tmp_path, what, of):
    cache = ResultCache(tmp_path)
    cache.figures("what", [images], Counted({"a": 1}))
    assert cache.figures(what, of, Counted({"a": 2})) == {"a": 2}


def test_what_cannot_be_named_is_not_kept(tmp_path):
    cache = ResultCache(tmp_path)
    cache.figures(None, [images], Counted({"a": 1}))
    assert cache.figures(None, [images], Counted({"a": 2})) == {"a": 2}
    assert not list(tmp_path.iterdir())


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = ResultCache(False)
    cache.figures("a", [images], Counted({"a": 1}))
    assert cache.figures("a", [images], Counted({"a": 2})) == {"a": 2}
    assert not list(tmp_path.iterdir())


def npy():
    file = io.BytesIO()
    np.save(file, np.ones(2))
    return file.getvalue()


@pytest.mark.parametrize(
    "damage",
    [b"", b"PK\x03\x04 no zip", b"{", b"null", b"[]", b"{}", b"NaN", npy()],
)
def test_a_damaged_file_is_computed_again(tmp_path, damage):
    cache = ResultCache(tmp_path)
    for ask, result in (
        (cache.arrays, {"a": np.ones(2)}),
        (cache.figures, {"a": 1}),
    ):
        ask("x", [images], Counted(result))
        for file in files(tmp_path):
            file.write_bytes(damage)
        again = Counted(result)
        ask("x", [images], again)
        ask("x", [images], again)
        assert again.calls == 1


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path):
    (tmp_path / "file").write_text("")
    cache = ResultCache(tmp_path / "file")
    assert cache.figures("a", [images], Counted({"a": 1})) == {"a": 1}


def test_the_longest_unused_goes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(result_cache, "_MOST_BYTES", 5000)
    cache = ResultCache(tmp_path)
    ask = {name: Counted({"a": np.zeros(2000, "uint8")}) for name in ("a", "b")}
    for i, name in enumerate("ab"):
        cache.arrays(name, [images], ask[name])
        for file in files(tmp_path):
            os.utime(file, (i, i))
    # Used again, so now the newer one.
    cache.arrays("a", [images], ask["a"])
    cache.arrays("c", [images], Counted({"a": np.zeros(2000, "uint8")}))
    cache.arrays("a", [images], ask["a"])
    cache.arrays("b", [images], ask["b"])
    assert (ask["a"].calls, ask["b"].calls) == (1, 2)


def test_nobody_elses_files_go(tmp_path, monkeypatch):
    monkeypatch.setattr(result_cache, "_MOST_BYTES", 10)
    folder = tmp_path / "evaluation"
    folder.mkdir()
    for path in (tmp_path / "a.npz", folder / "thesis.json"):
        path.write_bytes(bytes(100))
    cache = ResultCache(tmp_path)
    for name in "ab":
        cache.figures(name, [images], Counted({"a": 1}))
    assert (tmp_path / "a.npz").exists() and (folder / "thesis.json").exists()


def test_the_folder_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_LAPGAN_CACHE", str(tmp_path / "mine"))
    ResultCache().figures("a", [images], Counted({"a": 1}))
    assert len(files(tmp_path / "mine")) == 1
    # As if it were not set.
    monkeypatch.setenv("KERAS_LAPGAN_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    ResultCache().figures("a", [images], Counted({"a": 1}))
    assert len(files(tmp_path / "xdg" / "keras-lapgan")) == 1
