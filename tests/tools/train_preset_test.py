import csv
import json

import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.presets.preset_folder import read_metadata

NAME = "lapgan_cifar10_small"


@pytest.fixture
def pictures(tiny, tmp_path):
    images = tiny.images(96, size=32)
    np.savez(tmp_path / "pictures.npz", images=images)
    return tmp_path / "pictures.npz"


@pytest.mark.parametrize(
    "options, message",
    [
        (["--levels", "3"], "Received: 3"),
        (["--levels", "2-1"], "Received: 2-1"),
        (["--minutes", "0"], "Received: 0"),
    ],
)
def test_what_cannot_be_meant(tool, capsys, options, message):
    with pytest.raises(SystemExit):
        tool("train_preset", NAME, *options)
    assert message in capsys.readouterr().err


def test_nothing_to_finish(tool, tmp_path):
    with pytest.raises(SystemExit, match="not trained yet: .*level_0"):
        tool("train_preset", NAME, "--finish", "--runs", tmp_path)


def test_what_is_not_a_preset(tool, capsys):
    with pytest.raises(SystemExit):
        tool("train_preset", "lapgan_cifar")
    assert "Did you mean" in capsys.readouterr().err


@pytest.mark.slow
def test_a_preset_from_start_to_end(
    tool, pictures, tmp_path, monkeypatch, capsys
):
    runs, presets = tmp_path / "runs", tmp_path / "presets"
    arguments = [NAME, "--runs", runs, "--presets", presets, "--data", pictures]
    monkeypatch.setenv("KERAS_LAPGAN_CACHE", str(tmp_path / "cache"))
    # A slice that is over before the first epoch leaves the level to go on.
    tool("train_preset", *arguments, "--minutes", "0.3")
    assert "goes on" in capsys.readouterr().out
    # Published as far as it has come, with one epoch of each level.
    for k in (2, 1, 0):
        level = runs / NAME / f"level_{k}"
        if not (level / "metadata.json").is_file():
            train_one_epoch(level, k, pictures)
    tool("train_preset", *arguments, "--finish", "--note", "Two cores.")
    published = presets / NAME
    assert "apart" in read_metadata(published)["note"]
    with open(published / "log.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert all(float(row[f"d_loss_{k}"]) > 0 for k in range(3))
    assert "swd" in json.dumps(read_metadata(published)["metrics"])
    model = LAPGAN.from_preset(published)
    assert model.generate(2, seed=0).shape == (2, 28, 28, 3)


def train_one_epoch(level, k, pictures):
    from click.testing import CliRunner

    from keras_lapgan.cli.main import cli

    options = ["--data", pictures, "--epochs", 1, "--levels", k, "--flip"]
    result = CliRunner().invoke(
        cli, list(map(str, ["train", NAME, *options, "--output", level]))
    )
    assert result.exit_code == 0, result.output
