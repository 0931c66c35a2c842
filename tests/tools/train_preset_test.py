import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from tfds_folder import write_tfds

from keras_lapgan import LAPGAN
from keras_lapgan.presets import published_folder
from keras_lapgan.presets.preset_folder import read_metadata

NAME = "lapgan_cifar10_small"
#: Of the paper's presets; a data set has one at least.
BATCH = 128


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
        (["--epochs", "10,12"], "or 3 with commas"),
        (["--epochs", "ten"], "Received: ten"),
        (["--epochs", "10,12,0"], "1 or more. Received: 10,12,0"),
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


@pytest.mark.slow
def test_a_wide_preset_begins_as_a_narrow_one(
    tool, pictures, tmp_path, monkeypatch
):
    if published_folder(NAME) is None:
        pytest.skip(f"{NAME} has no published weights here")
    monkeypatch.setenv("KERAS_LAPGAN_CACHE", str(tmp_path / "cache"))
    wide = NAME.removesuffix("_small")
    runs, presets = tmp_path / "runs", tmp_path / "presets"
    folders = ["--runs", runs, "--presets", presets, "--data", pictures]
    tool("train_preset", wide, "--epochs", "0,1,0", *folders)
    about = read_metadata(presets / wide)
    assert f"Begun as {NAME}, widened" in about["note"]
    assert "level 1 1 epochs. Level 0, 2 as it was. Then all" in about["note"]
    with open(presets / wide / "log.csv", newline="") as file:
        first, *others = csv.DictReader(file)
    assert float(first["d_loss_1"]) > 0 and not first["d_loss_0"]
    assert others and all(float(row["d_loss_0"]) > 0 for row in others)
    models = [LAPGAN.from_preset(x) for x in (NAME, runs / wide / "whole")]
    small, large = (x.generate(2, seed=0, return_pyramid=True) for x in models)
    np.testing.assert_array_equal(small[2], large[2])
    assert np.any(small[1] != large[1])


def train_one_epoch(level, k, pictures):
    from click.testing import CliRunner

    from keras_lapgan.cli.main import cli

    options = ["--data", pictures, "--epochs", 1, "--levels", k, "--flip"]
    result = CliRunner().invoke(
        cli, list(map(str, ["train", NAME, *options, "--output", level]))
    )
    assert result.exit_code == 0, result.output


@pytest.fixture
def stl10(tiny, tmp_path, monkeypatch):
    """A batch in the form of TFDS' STL-10; options that name it: none."""
    pytest.importorskip("tensorflow_datasets")

    def shards(labels, seed):
        images = tiny.images(len(labels), size=96, seed=seed)
        pairs = zip(images, labels, strict=True)
        return [[{"image": image, "label": label} for image, label in pairs]]

    splits = {
        "train": shards(range(10), 1),
        "test": shards(range(10), 2),
        "unlabelled": shards([-1] * BATCH, 3),
    }
    names = "airplane bird car cat deer dog horse monkey ship truck".split()
    folder = tmp_path / "tfds" / "stl10" / "1.0.0"
    write_tfds(folder, splits, names, name="stl10")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return []


@pytest.fixture
def towers(tiny, tmp_path):
    """A batch in the form of LSUN's towers; options that name it."""
    lmdb = pytest.importorskip("lmdb")
    path = tmp_path / "tower_train_lmdb"
    with lmdb.open(str(path), map_size=2**24) as environment:
        with environment.begin(write=True) as transaction:
            for i, image in enumerate(tiny.images(BATCH, size=80)):
                file = io.BytesIO()
                Image.fromarray(image[:70]).save(file, "webp")
                transaction.put(b"%040x" % i, file.getvalue())
    return ["--data", path]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, data, size",
    [("lapgan_stl10", "stl10", 96), ("lapgan_lsun_tower", "towers", 64)],
)
def test_recipes_of_data_that_few_have(
    tool, tmp_path, monkeypatch, request, name, data, size
):
    monkeypatch.setenv("KERAS_LAPGAN_CACHE", str(tmp_path / "cache"))
    folders = ["--runs", tmp_path / "runs", "--presets", tmp_path / "presets"]
    data = request.getfixturevalue(data)
    tool("train_preset", name, "--epochs", 1, *folders, *data)
    published = tmp_path / "presets" / name
    assert read_metadata(published)["images"] == BATCH
    model = LAPGAN.from_preset(published)
    assert model.generate(2, seed=0).shape == (2, size, size, 3)
