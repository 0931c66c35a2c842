import numpy as np
import pytest
from PIL import Image

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.publishing import public_preset
from keras_lapgan.publishing.public_preset import without_paths


def test_what_goes_public(run, tmp_path):
    public_preset(run, tmp_path, "hf://alice/mine")
    assert {path.name for path in tmp_path.iterdir()} == {
        "README.md",
        "config.json",
        "grid.png",
        "log.csv",
        "metadata.json",
        "model.weights.h5",
        "strip.png",
    }
    for path in tmp_path.iterdir():
        assert b"/home/me" not in path.read_bytes()
    card = (tmp_path / "README.md").read_text()
    assert 'LAPGAN.from_preset("hf://alice/mine")' in card
    assert "(grid.png)" in card and "(strip.png)" in card
    # A row of 3 classes, 8 of each: pictures, neither blank nor of one colour.
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.std() > 5 and grid.shape[0] > 2 * grid.shape[1]
    model = LAPGAN.from_preset(tmp_path)
    expected = LAPGAN.from_preset(run).generate(3, seed=1)
    np.testing.assert_array_equal(model.generate(3, seed=1), expected)


def test_pictures_that_are_there_are_kept(run, tmp_path):
    public_preset(run, tmp_path, "hf://alice/mine")
    (tmp_path / "grid.png").write_bytes(b"mine")
    (tmp_path / "again").mkdir()
    public_preset(tmp_path, tmp_path / "again", "hf://alice/mine")
    assert (tmp_path / "again" / "grid.png").read_bytes() == b"mine"


def test_the_run_is_left_as_it_was(run, tmp_path):
    before = {p.name: p.stat().st_mtime_ns for p in run.iterdir()}
    public_preset(run, tmp_path, "hf://alice/mine")
    assert {p.name: p.stat().st_mtime_ns for p in run.iterdir()} == before


def test_a_folder_without_weights(run, tmp_path):
    for name in ("config.json", "metadata.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / "new").mkdir()
    with pytest.raises(PresetError, match="has no model.weights.h5: train it"):
        public_preset(tmp_path, tmp_path / "new", "hf://alice/mine")


@pytest.mark.parametrize(
    "text, public",
    [
        ("/home/me/pictures", "pictures"),
        ("~/pictures/", "pictures"),
        ("../pictures", "pictures"),
        (r"C:\Users\me\pictures", "pictures"),
        ("/", "data"),
        ("cifar10", "cifar10"),
        ("lsun/tower", "lsun/tower"),
        ("hf://alice/x@v1", "hf://alice/x@v1"),
        (None, None),
    ],
)
def test_paths_become_names(text, public):
    assert without_paths({"data": text, "seed": 1}) == {
        "data": public,
        "seed": 1,
    }
