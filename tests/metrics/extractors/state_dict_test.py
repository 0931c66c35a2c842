import hashlib
import json
import struct
import sys

import numpy as np
import pytest

from keras_lapgan.metrics.extractors import ExtractorError
from keras_lapgan.metrics.extractors.state_dict import StateDict

ARRAYS = {
    "a": np.arange(6, dtype="float32").reshape(2, 3),
    "b.c": np.float64([[1.5]]),
    "half": np.float16([1, 2]),
    "count": np.int64(7),
}


def safetensors(header, data=b""):
    header = (
        header if isinstance(header, bytes) else json.dumps(header).encode()
    )
    return struct.pack("<Q", len(header)) + header + data


@pytest.fixture
def file(tmp_path):
    def file(data, name="weights"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return file


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_containers(tmp_path, kind):
    path = tmp_path / "weights"
    if kind == "npz":
        with open(path, "wb") as stream:
            np.savez(stream, **ARRAYS)
    else:
        library = pytest.importorskip("safetensors.numpy")
        arrays = {k: np.asarray(v) for k, v in ARRAYS.items()}
        library.save_file(arrays, path, metadata={"format": "np"})
    state = StateDict(path)
    assert state.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert state.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(state.arrays[name], array)
    assert state.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_safetensors_without_its_package(file, monkeypatch):
    path = file(safetensors({"a": F32}, bytes(8)))
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ExtractorError, match=r"keras-lapgan\[safetensors\]"):
        StateDict(path)


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        bytes(100),
        struct.pack("<Q", 2**63) + b"{}",
        safetensors({"a": F32}),
        safetensors({"a": F32}, bytes(7)),
        safetensors({"a": F32, "b": F32}, bytes(8)),
        safetensors({"a": {**F32, "shape": [3]}}, bytes(8)),
        safetensors({"a": {**F32, "shape": [-1, -2]}}, bytes(8)),
        safetensors({"a": {**F32, "shape": [2**40]}}, bytes(8)),
        safetensors({"a": {**F32, "shape": "ab"}}, bytes(8)),
        safetensors({"a": {**F32, "shape": [2.0]}}, bytes(8)),
        safetensors({"a": {**F32, "dtype": "O"}}, bytes(8)),
        safetensors({"a": {**F32, "data_offsets": [-8, 0]}}, bytes(8)),
        safetensors({"a": {**F32, "data_offsets": [0, 8, 8]}}, bytes(8)),
        safetensors({"a": {"dtype": "F32"}}, bytes(8)),
        safetensors({"a": 3}),
        safetensors([F32]),
        safetensors(b"[" * 100_000),
        safetensors(b"\xff\xff"),
    ],
)
def test_damaged_files(file, data):
    with pytest.raises(
        ExtractorError, match="cannot be read.*Received.*weight"
    ):
        StateDict(file(data))


def test_npz_of_objects_and_bombs(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(ExtractorError, match="cannot be read"):
        StateDict(path)
    np.savez_compressed(path, a=np.zeros(2**22, "float32"))
    with pytest.raises(ExtractorError, match="compressed"):
        StateDict(path)


def test_files_that_are_not_there_or_others(tmp_path, file):
    with pytest.raises(ExtractorError, match="Received: .*nothing.pth"):
        StateDict(tmp_path / "nothing.pth")
    with pytest.raises(ExtractorError, match="cannot be read"):
        StateDict(tmp_path)
    path = file(safetensors({"a": F32}, bytes(8)))
    sha256 = StateDict(path).sha256
    assert list(StateDict(path, sha256).arrays) == ["a"]
    with pytest.raises(ExtractorError, match=f"{sha256}, not 0000"):
        StateDict(path, "0" * 64)


def test_taking_arrays(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, bad=np.float32([1, np.nan]), **ARRAYS)
    state = StateDict(path)
    half = state.take("half", (2,))
    assert half.dtype == "float32" and half.tolist() == [1, 2]
    for name, shape, message in (
        ("d", (2,), r"expected floats \(2,\) as 'd'. Received: nothing"),
        ("a", (3, 2), r"Received: float32 \(2, 3\)"),
        ("count", (), "Received: int64"),
        ("bad", (2,), "finite.*NaN or infinite values as 'bad'"),
    ):
        with pytest.raises(ExtractorError, match=message):
            state.take(name, shape)


def test_a_convolution_and_its_normalisation(tmp_path):
    rng = np.random.default_rng(0)
    w = {
        "c.weight": rng.normal(size=(4, 3, 1, 2)),
        "n.weight": rng.normal(size=4),
        "n.bias": rng.normal(size=4),
        "n.running_mean": rng.normal(size=4),
        "n.running_var": rng.uniform(0, 2, 4),
    }
    path = tmp_path / "x.npz"
    np.savez(path, **w)
    kernel, bias = StateDict(path).convolution("c", "n", (4, 3, 1, 2))
    assert kernel.shape == (1, 2, 3, 4)
    x = rng.normal(size=(1, 2, 3))
    y = np.einsum("hwi,oihw->o", x, w["c.weight"])
    y = (y - w["n.running_mean"]) / np.sqrt(w["n.running_var"] + 1e-3)
    y = y * w["n.weight"] + w["n.bias"]
    np.testing.assert_allclose(
        np.einsum("hwi,hwio->o", x, kernel) + bias, y, rtol=1e-4
    )
