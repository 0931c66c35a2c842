import os

import numpy as np
import pytest

from keras_lapgan import ExportError
from keras_lapgan.export import FORMATS
from keras_lapgan.export import request
from keras_lapgan.export.request import check_request

ASKED = {
    "level": None,
    "stages": False,
    "batch": "dynamic",
    "precision": "float32",
    "dtype": "uint8",
    "overwrite": False,
}


@pytest.fixture(autouse=True)
def everything_installed(monkeypatch):
    missing(monkeypatch)


def missing(monkeypatch, *names):
    monkeypatch.setattr(
        request, "find_spec", lambda name: None if name in names else "found"
    )


@pytest.fixture
def refused(tmp_path):
    """A request that must be refused; gives the message."""

    def refused(path="out", format="onnx", **kwargs):
        with pytest.raises(ExportError) as error:
            check_request(tmp_path / path, format, **{**ASKED, **kwargs})
        return str(error.value)

    return refused


@pytest.mark.parametrize("format", FORMATS)
def test_what_can_be_asked_for(tmp_path, format):
    known = FORMATS[format]
    asked = [{"level": 1, "dtype": "float32"}, {"stages": True}]
    asked += [{"precision": precision} for precision in known.precisions]
    if known.fixed_batch:
        asked += [{"batch": 1}, {"batch": np.int64(3)}]
    for kwargs in asked:
        check_request(tmp_path / "a/b", format, **{**ASKED, **kwargs})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("format", ["onxx", "", None, ["onnx"]])
def test_unknown_formats(refused, format):
    assert refused(format=format) == (
        "`format` must be one of tf_saved_model, onnx, openvino, litert, "
        f"torch, keras, safetensors. Received: format={format!r}"
    )


def test_stages_of_one_level(refused):
    message = refused(level=0, stages=True)
    assert "leave out `stages` or `level`" in message
    assert message.endswith("Received: stages=True, level=0")


@pytest.mark.parametrize(
    "batch", [0, -1, 1.0, True, "7", "Dynamic", None, np.float32(3)]
)
def test_batches(refused, batch):
    message = refused(batch=batch)
    assert 'at least 1, or "dynamic"' in message
    assert message.endswith(f"Received: batch={batch!r}")


@pytest.mark.parametrize("format", ["keras", "safetensors"])
def test_a_fixed_batch_where_there_is_none(refused, format):
    message = refused(format=format, batch=4)
    assert f"{format} takes any number of pictures: leave out" in message
    assert message.endswith("Received: batch=4")


@pytest.mark.parametrize(
    "format, precision, known",
    [
        ("onnx", "bfloat16", "float32 or float16 or int8"),
        ("torch", "float16", "float32"),
        ("safetensors", "int8", "float32 or float16"),
        ("keras", None, "float32"),
    ],
)
def test_precisions(refused, format, precision, known):
    message = refused(format=format, precision=precision)
    assert f"The format {format} is written in {known}. " in message
    assert message.endswith(f"Received: precision={precision!r}")


@pytest.mark.parametrize("dtype", ["float16", "int8", None])
def test_dtypes(refused, dtype):
    message = refused(dtype=dtype)
    assert message.endswith(
        f'must be "uint8" or "float32". Received: dtype={dtype!r}'
    )


# === The path ===


def test_something_is_there(refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "empty", "link"):
        place = repr(str(tmp_path / name))
        message = refused(name)
        assert message.startswith(f"{place} exists. Choose another")
        message = refused(name, overwrite=True)
        assert message.startswith(f"{place} is no earlier export")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "signature", ["", "[]", "{}", "5", '{"sha256": 5}', '{"sha256": [[]]}']
)
def test_a_signature_of_somebody_else(refused, tmp_path, signature):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/signature.json").write_text(signature)
    assert "is no earlier export" in refused(overwrite=True)


def test_an_earlier_export(refused, tmp_path):
    folder = tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/a.bin").write_text("a")
    text = '{"keras_lapgan_export": 1, "sha256": {"deep/a.bin": "0"}}'
    (folder / "signature.json").write_text(text)
    # Python leaves it where run.py was imported.
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/run.pyc").write_text("")
    asked = {**ASKED, "overwrite": True}
    check_request(folder, "onnx", **asked)
    assert "exists" in refused()
    (folder / "deep/mine.txt").write_text("mine")
    assert "holds 'deep/mine.txt', which no export" in refused(overwrite=True)


def test_a_file_on_the_way(refused, tmp_path):
    (tmp_path / "file").write_text("")
    message = refused("file/a/out")
    place = repr(str(tmp_path / "file"))
    assert message.startswith(f"{place} is a file, not a folder. Received: ")


def test_a_folder_that_cannot_be_written(refused, tmp_path, monkeypatch):
    # Root may write anywhere.
    monkeypatch.setattr(request.os, "access", lambda path, mode: False)
    message = refused("a/b/out")
    assert message.startswith(f"The folder {str(tmp_path)!r} is not writable.")


# === Packages ===


@pytest.mark.parametrize(
    "format, precision, names, message",
    [
        (
            "onnx",
            "float32",
            ["tf2onnx"],
            "The format onnx needs tf2onnx, which is not installed: "
            'pip install "keras-lapgan[onnx]"',
        ),
        (
            "onnx",
            "float32",
            ["tensorflow", "tf2onnx", "onnxruntime"],
            "The format onnx needs tensorflow and tf2onnx and onnxruntime, "
            "which are not installed: "
            'pip install "tensorflow" "keras-lapgan[onnx]"',
        ),
        (
            "openvino",
            "int8",
            ["nncf"],
            "The format openvino needs nncf, which is not installed: "
            'pip install "keras-lapgan[openvino]"',
        ),
        (
            "litert",
            "float32",
            ["ai_edge_litert"],
            "The format litert needs ai_edge_litert, which is not installed: "
            'pip install "keras-lapgan[litert]"',
        ),
        (
            "safetensors",
            "float32",
            ["safetensors"],
            "The format safetensors needs safetensors, which is not "
            'installed: pip install "keras-lapgan[safetensors]"',
        ),
        (
            "torch",
            "float32",
            ["torch"],
            "The format torch needs torch, which is not installed: "
            'pip install "torch"',
        ),
    ],
)
def test_missing_packages(
    refused, monkeypatch, format, precision, names, message
):
    missing(monkeypatch, *names)
    assert refused(format=format, precision=precision) == message


def test_what_is_not_needed_may_be_missing(tmp_path, monkeypatch):
    missing(monkeypatch, "nncf", "onnxruntime", "torch")
    check_request(tmp_path / "a", "openvino", **ASKED)
    check_request(tmp_path / "a", "keras", **ASKED)
