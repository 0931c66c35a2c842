"""The README's commands and snippets, run in a smaller form."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from loopback_hub import LoopbackHub

from keras_lapgan.cli.main import cli
from keras_lapgan.datasets import load_images
from keras_lapgan.presets import published_folder

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="the README runs on the default backend, tensorflow",
)
README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language):
    found = re.findall(
        r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE
    )
    return [text for name, text in found if name == language]


def commands():
    lines = "".join(blocks("")).splitlines()
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(p, comments=True) for p in parts if p]


def test_first_two_commands():
    install, train, test = commands()[:3]
    assert install == ["pip", "install", "-e", ".[test]"]
    assert train[:3] == ["keras-lapgan", "train", "lapgan_cifar10_small"]
    assert "sample" in train
    assert test == ["python", "-m", "pytest"]


@pytest.fixture
def hub(monkeypatch, tmp_path_factory):
    """A Hub on this machine, where we are `me`."""
    with LoopbackHub(tokens={"hf_me": "me"}) as hub:
        home = tmp_path_factory.mktemp("home")
        hub.patch(monkeypatch, home, token="hf_me")
        yield hub


def test_commands_run(tmp_path, monkeypatch, hub):
    monkeypatch.chdir(tmp_path)
    tiny = ["--data", "sample", "--steps-per-epoch", "1", "--batch-size", "4"]
    # The README goes on with a run for which its first command has no time.
    for command in commands():
        if command[0] != "keras-lapgan":
            continue
        arguments = command[1:]
        if arguments[0] == "train":
            epochs = "2" if "--resume" in arguments else "1"
            arguments += [*tiny, "--epochs", epochs]
        if arguments[0] == "evaluate":
            arguments += ["--data", "sample", "--count", "20"]
            arguments += ["--extractor", "none"]
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "grid.png").is_file()
    assert (tmp_path / "evaluation.png").is_file()
    assert (tmp_path / "strip.png").is_file()
    assert (tmp_path / "pictures.png").is_file()
    script = [sys.executable, "exported/run.py", "--seed", "42"]
    told = subprocess.run(script, check=True, capture_output=True, text=True)
    assert told.stdout == "64 pictures of seed 42: samples.png\n"
    assert "grid.png" in hub.files("me/pictures")
    assert (tmp_path / "runs/first/samples/epoch_0001_stage_0.png").is_file()


def test_snippets_run(tmp_path, monkeypatch, hub):
    monkeypatch.chdir(tmp_path)
    if published_folder("lapgan_cifar10_small") is None:
        pytest.skip("lapgan_cifar10_small has no published weights here")
    names = {
        "images": load_images("sample").read(np.arange(8)),
        "thumbnails": np.full((2, 8, 8, 3), 128, "uint8"),
    }
    for block in blocks("python"):
        exec(block.replace("epochs=5", "epochs=1, verbose=0"), names)
    assert names["pictures"].shape == (16, 28, 28, 3)
    assert [s.shape[1] for s in names["stages"]] == [28, 14, 8]
    assert names["finer"].shape == (2, 28, 28, 3)
    assert (tmp_path / "mine/model.weights.h5").is_file()
    assert isinstance(names["model"], keras.Model)
