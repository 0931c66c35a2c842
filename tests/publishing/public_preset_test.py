import shutil

import numpy as np
import pytest
from PIL import Image

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.presets.card import without_paths
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.publishing import public_preset


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


def test_old_pictures_are_drawn_anew(run, tmp_path):
    public_preset(run, tmp_path, "hf://alice/mine")
    (tmp_path / "grid.png").write_bytes(b"of another model")
    (tmp_path / "again").mkdir()
    public_preset(tmp_path, tmp_path / "again", "hf://alice/mine")
    assert (tmp_path / "again" / "grid.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("name", ["NOTICE", "log.csv", "README.md"])
def test_what_a_link_leads_to_is_not_published(run, tmp_path, name):
    folder = shutil.copytree(run, tmp_path / "run")
    (tmp_path / "secret").write_text("secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "secret")
    (tmp_path / "new").mkdir()
    with pytest.raises(PresetError, match="is a link"):
        public_preset(folder, tmp_path / "new", "hf://alice/mine")


def test_optimizers_stay_at_home(run, tmp_path):
    model = LAPGAN.from_preset(run)
    model.save_to_preset(
        tmp_path / "a", metadata={"epochs": 5}, include_optimizer=True
    )
    (tmp_path / "new").mkdir()
    public_preset(tmp_path / "a", tmp_path / "new", "hf://alice/mine")
    metadata = read_metadata(tmp_path / "new")
    assert not metadata["has_optimizer"] and metadata["epochs"] == 5
    old, new = (tmp_path / n / "model.weights.h5" for n in ("a", "new"))
    assert new.stat().st_size < old.stat().st_size
    assert (
        'from_preset("hf://alice/mine")'
        in (tmp_path / "new" / "README.md").read_text()
    )


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
        ("clients/acme", "acme"),
        ("hf://alice/x@v1", "hf://alice/x@v1"),
        (None, None),
    ],
)
def test_paths_become_names(text, public):
    assert without_paths({"data": text, "seed": 1}) == {
        "data": public,
        "seed": 1,
    }
