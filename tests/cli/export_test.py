import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.cli import export
from keras_lapgan.export import FORMATS
from keras_lapgan.export import request
from keras_lapgan.export import writers
from keras_lapgan.export.script import load_script

QUICK = ("--format", "safetensors")
DRAWS = "Checked on 1 and 7 pictures: as Keras draws"


def test_all_formats_are_offered():
    (option,) = [p for p in export.command.params if p.name == "format"]
    assert list(option.type.choices) == list(FORMATS)


def test_an_export_draws(run, preset, capfd, tmp_path):
    result = run("export", preset, "a/out", *QUICK)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"a/out/model\.safetensors: \d\.\d MB", lines[0])
    assert lines[1].startswith(DRAWS)
    assert lines[2:] == ["Draw: python a/out/run.py --seed 42"]
    # The command's own words go to the terminal, what others print nowhere.
    assert capfd.readouterr() == (
        "",
        "Writing model.safetensors\n"
        "Comparing what model.safetensors and Keras draw\n",
    )
    model = LAPGAN.from_preset(preset)
    drawn = load_script(tmp_path / "a/out").Sampler()(9, seed=4)["images_0"]
    wanted = model.generate(9, seed=4, dtype="float32")
    assert np.abs(drawn - wanted).max() < 0.51


def test_every_option(run, class_preset, tmp_path):
    result = run(
        *("export", class_preset, "out", *QUICK, "--stages"),
        *("--precision", "float16", "--dtype", "float32"),
    )
    assert result.exit_code == 0, result.output
    signature = json.loads((tmp_path / "out/signature.json").read_text())
    assert [spec["dtype"] for spec in signature["outputs"]] == ["float32"] * 2
    assert signature["precision"] == "float16"
    assert signature["classes"][:2] == ["cat", "big dog"]
    first, second, _ = result.stdout.splitlines()
    assert re.search(r"; its weights would be \d\.\d MB in float32$", first)
    number = r"\d[.\de-]*"
    assert re.fullmatch(
        rf"Checked on 1, 7 and 10 pictures: pixels change by {number} of "
        rf"255 grey levels on average, at most by {number}",
        second,
    )


def test_one_level(run, preset):
    result = run("export", preset, "out", *QUICK, "--level", 0)
    assert result.stdout.splitlines()[-1] == (
        "Draw: python out/run.py --seed 42 --images coarse.png"
    )
    result = run("export", preset, "top", *QUICK, "--level", 1)
    assert result.stdout.splitlines()[-1] == (
        "Draw: python top/run.py --seed 42"
    )


def test_a_fixed_batch(run, preset, tmp_path):
    format = {"tensorflow": "tf_saved_model", "torch": "torch"}.get(
        keras.backend.backend()
    )
    if format is None:
        pytest.skip("JAX writes no format with a fixed batch")
    result = run("export", preset, "out", "--format", format, "--batch", 5)
    assert "Checked on 5 pictures: as Keras draws" in result.stdout
    signature = json.loads((tmp_path / "out/signature.json").read_text())
    assert signature["batch"] == 5


def test_overwriting(run, fails, preset, tmp_path):
    args = ("export", preset, "out", *QUICK)
    run(*args)
    assert "'out' exists" in fails(*args, code=2)
    assert run(*args, "--level", 1, "--overwrite").exit_code == 0
    signature = json.loads((tmp_path / "out/signature.json").read_text())
    assert signature["level"] == 1
    (tmp_path / "out/mine.txt").write_text("mine")
    assert "holds 'mine.txt'" in fails(*args, "--overwrite", code=2)


def test_a_run(run, trained):
    result = run("export", "a", "out", *QUICK)
    assert result.exit_code == 0, result.output
    assert DRAWS in result.stdout


def test_random_weights(run, fails, preset, tmp_path):
    args = ("export", "lapgan_stl10", "out", *QUICK)
    error = fails(*args, code=2)
    assert "no trained weights yet. Train it, `keras-lapgan train" in error
    assert error.endswith("or export untrained ones with --random-weights.")
    for name in "ab":
        args = ("export", preset, name, *QUICK, "--random-weights")
        assert run(*args).exit_code == 0
    first, second = (
        load_script(tmp_path / name).Sampler()(4, seed=1)["images_0"]
        for name in "ab"
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "args, code, message",
    [
        (["lapgan_cifar1", "out", *QUICK], 1, "Did you mean lapgan_cifar10"),
        (["EMPTY", "out", *QUICK], 1, "is not a preset folder: it has no conf"),
        (["TINY", *QUICK], 2, "Missing argument 'OUT'"),
        (["TINY", "out", "--format", "onx"], 2, "'onx' is not one of"),
        (["TINY", "empty", *QUICK], 2, "'empty' exists. Choose another"),
        (["TINY", "empty", *QUICK, "--overwrite"], 2, "no earlier export"),
        (["TINY", "file/out", *QUICK], 2, "is a file, not a folder"),
        (["TINY", "out", *QUICK, "--level", "9"], 1, "0 (finest) to 1"),
        (["TINY", "out", *QUICK, "--level", "-1"], 2, "'--level'"),
        (
            ["TINY", "out", *QUICK, "--level", "1", "--stages"],
            2,
            "leave out `stages` or `level`",
        ),
        (["TINY", "out", *QUICK, "--batch", "0"], 2, "'0' is neither a number"),
        (["TINY", "out", *QUICK, "--batch", "some"], 2, "nor 'dynamic'"),
        (["TINY", "out", *QUICK, "--batch", "3"], 2, "leave out `batch`"),
        (
            ["TINY", "out", *QUICK, "--precision", "int8"],
            2,
            "written in float32 or float16",
        ),
        (["TINY", "out", *QUICK, "--precision", "int4"], 2, "'int4'"),
        (["TINY", "out", *QUICK, "--dtype", "int8"], 2, "'int8'"),
        (["TINY", "out", *QUICK, "--revision", "v1"], 1, "`revision` is for"),
    ],
)
def test_mistakes_end_in_one_line(fails, preset, tmp_path, args, code, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    places = {"TINY": preset, "EMPTY": "empty"}
    args = [places.get(arg, arg) for arg in args]
    assert message in fails("export", *args, code=code)


def test_a_missing_format_lists_all(run, preset):
    result = run("export", preset, "out")
    assert result.exit_code == 2
    _, told = result.stderr.split("Error: Missing option '--format'")
    assert all(f"\t{format}" in told for format in FORMATS)


def test_a_missing_package(fails, preset, monkeypatch):
    monkeypatch.setattr(request, "find_spec", lambda name: None)
    assert fails("export", preset, "out", *QUICK, code=2) == (
        "Error: The format safetensors needs safetensors, which is not "
        'installed: pip install "keras-lapgan[safetensors]"'
    )


@pytest.mark.parametrize(
    "error, code, message",
    [
        (
            RuntimeError("no\nsuch op"),
            1,
            "Error: The model could not be written as safetensors: "
            "RuntimeError: no such op",
        ),
        (
            OSError(28, "No space left on device", "a"),
            1,
            "Error: 'a': No space left on device.",
        ),
    ],
)
def test_failures_end_in_one_line(
    fails, preset, monkeypatch, error, code, message
):
    def failing(plain, path, signature):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setitem(writers._WRITERS, "safetensors", failing)
    assert fails("export", preset, "out", *QUICK, code=code) == message


def test_an_interruption(run, preset, monkeypatch):
    def interrupted(plain, path, signature):
        raise KeyboardInterrupt

    monkeypatch.setitem(writers._WRITERS, "safetensors", interrupted)
    result = run("export", preset, "out", *QUICK)
    assert result.exit_code == 130
    assert result.stderr == "\nInterrupted.\n"
    assert os.listdir() == []


# === In a shell ===

once = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="runs once, on tensorflow"
)


def shell(*args, backend, cwd, more=""):
    command = [sys.executable, "-m", "keras_lapgan.cli.main", "export", *args]
    return subprocess.run(
        shlex.join(map(str, command)) + more,
        shell=True,
        cwd=cwd,
        env={**os.environ, "KERAS_BACKEND": backend, "KERAS_LAPGAN_DEBUG": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )


@once
@pytest.mark.skipif(
    not all(map(find_spec, [*FORMATS["onnx"].modules, "jax"])),
    reason="needs jax, tensorflow, tf2onnx, onnxruntime",
)
def test_another_backend_writes_and_nobody_else_speaks(preset, tmp_path):
    done = shell(
        *(preset, "out", "--format", "onnx"), backend="jax", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"out/model\.onnx: \d\.\d MB\n{DRAWS}.*\n"
        r"Draw: python out/run\.py --seed 42\n",
        done.stdout,
    )
    assert done.stderr == (
        "Writing model.onnx\nComparing what model.onnx and Keras draw\n"
    )
    assert os.listdir(tmp_path) == ["out"]


@once
def test_nobody_listens(preset, tmp_path):
    done = shell(
        *(preset, "out", *QUICK),
        backend=keras.backend.backend(),
        cwd=tmp_path,
        more=" 2>&-",
    )
    assert done.returncode == 0, done.stdout
    assert DRAWS in done.stdout and (tmp_path / "out/run.py").exists()
