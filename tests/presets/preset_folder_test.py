import json
import shutil
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.presets import preset_folder
from keras_lapgan.presets import save_preset
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.presets.preset_folder import sha256


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A trained model and its folder, for all tests."""
    model = tiny.model(
        num_classes=3,
        source_size=10,
        normalization="per_pixel",
        class_names=["a", "b", "c"],
    )
    model.compile("adam", "adam", objective="hinge", **tiny.quick)
    tiny.steps(model, tiny.images(size=10), tiny.labels())
    folder = tmp_path_factory.mktemp("preset") / "mine"
    model.save_to_preset(folder)
    return model, folder


@pytest.fixture
def saved(trained, tmp_path):
    """The trained model and a folder of one's own, to spoil."""
    model, folder = trained
    return model, shutil.copytree(folder, tmp_path / "mine")


def test_round_trip(tiny, saved):
    model, folder = saved
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]
    for preset in (folder, str(folder)):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Skipping")
            copy = LAPGAN.from_preset(preset)
        assert tiny.same(tiny.arrays(copy), tiny.arrays(model))
        np.testing.assert_array_equal(
            copy.generate(4, seed=1), model.generate(4, seed=1)
        )
    assert copy.get_config() == model.get_config()
    config, expected = copy.get_compile_config(), model.get_compile_config()
    assert config["objective"] == "hinge"
    assert config.keys() == expected.keys()
    copy.compile(**tiny.quick)
    tiny.steps(copy, tiny.images(size=10), tiny.labels())


def test_no_weights_asked_for(tiny, saved):
    model, folder = saved
    (folder / "model.weights.h5").unlink()
    copy = LAPGAN.from_preset(folder, load_weights=False, flip=True)
    assert copy.flip and copy.sizes == model.sizes
    assert not tiny.same(tiny.arrays(copy), tiny.arrays(model))
    with pytest.raises(PresetError, match="no trained weights"):
        LAPGAN.from_preset(folder)


def test_metadata(tiny, saved):
    model, folder = saved
    metadata = read_metadata(folder)
    assert metadata["format_version"] == 1
    assert metadata["keras_version"] == keras.__version__
    # What the paper counts: no moving averages, no statistics.
    assert metadata["parameter_count"] == sum(
        network.count_params()
        for level in model.levels
        for network in (level.generator, level.discriminator)
    )
    assert metadata["weights_sha256"] == sha256(folder / "model.weights.h5")
    save_preset(model, folder, {"data": "cifar10", "epochs": 3})
    assert read_metadata(folder)["epochs"] == 3


@pytest.mark.filterwarnings("ignore:Skipping variable loading")
def test_keras_opens_it(tiny, saved):
    model, folder = saved
    copy = keras.saving.load_model(folder)
    assert type(copy) is LAPGAN
    assert tiny.same(tiny.arrays(copy), tiny.arrays(model))
    # A preset is trained anew: the optimizers are not in its file.
    assert int(ops.convert_to_numpy(copy.optimizer.iterations.value)) == 0
    assert int(ops.convert_to_numpy(model.optimizer.iterations.value)) > 0


def test_other_weights_than_metadata_says(saved):
    model, folder = saved
    model.save_weights(folder / "model.weights.h5")
    metadata = read_metadata(folder)
    metadata["weights_sha256"] = "0" * 64
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(PresetError, match="its sha256 differs"):
        LAPGAN.from_preset(folder)


@pytest.mark.parametrize("with_metadata", [True, False])
def test_weights_cut_off(saved, with_metadata):
    _, folder = saved
    weights = folder / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:3000])
    if not with_metadata:
        (folder / "metadata.json").unlink()
    message = "sha256 differs" if with_metadata else "does not fit config.json"
    with pytest.raises(PresetError, match=message):
        LAPGAN.from_preset(folder)


@pytest.mark.filterwarnings("ignore:Skipping")
def test_weights_of_another_model(tiny, saved):
    _, folder = saved
    (folder / "metadata.json").unlink()
    tiny.model((9, 4)).save_weights(folder / "model.weights.h5")
    with pytest.raises(PresetError, match="does not fit config.json"):
        LAPGAN.from_preset(folder)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "is not JSON"),
        ("{}", "is not a preset"),
        ("[]", "is not a preset"),
        ('{"class_name": "Nothing", "config": {}}', "is not a preset"),
        ('{"class_name": "LAPGAN", "config": [1]}', "holds no model"),
        ('{"config": null}', "holds no model"),
    ],
)
def test_bad_config(saved, text, message):
    _, folder = saved
    (folder / "config.json").write_text(text)
    with pytest.raises(PresetError, match=message):
        LAPGAN.from_preset(folder)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"config": {"levels": []}}, "can be built: .*must not be empty"),
        ({"config": {"levels": 5}}, "can be built"),
        ({"config": {"unknown": 1}}, "can be built"),
        ({"class_name": "Gone", "registered_name": None}, "can be built"),
        ({"compile_config": {"d_optimizer": "nothing"}}, "can be built"),
        ({"compile_config": {"unknown": 1}}, "can be built: .*unknown"),
        ({"compile_config": [1]}, "can be built"),
    ],
)
def test_a_config_that_cannot_be_built(saved, change, message):
    _, folder = saved
    config = json.loads((folder / "config.json").read_text())
    inner = {**config["config"], **change.get("config", {})}
    config = {**config, **change, "config": inner}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(PresetError, match=message) as caught:
        LAPGAN.from_preset(folder)
    assert len(str(caught.value)) < 800


def test_a_published_name_wins_over_a_folder(saved, monkeypatch):
    _, folder = saved
    name = "lapgan_cifar10_small"
    folder.rename(folder.parent / name)
    monkeypatch.chdir(folder.parent)
    model = LAPGAN.from_preset(name, load_weights=False)
    assert model.sizes[0] == (28, 28)
    for mine in (f"./{name}", Path(name)):
        assert LAPGAN.from_preset(mine).sizes[0] == (8, 8)
    monkeypatch.setattr(preset_folder, "published_folder", lambda name: None)
    message = f"no trained weights.*The folder of that name is './{name}'"
    with pytest.raises(PresetError, match=message):
        LAPGAN.from_preset(name)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(PresetError, match="not a preset folder.*config.json"):
        LAPGAN.from_preset(tmp_path)
    with pytest.raises(PresetError, match="There is no folder './nowhere'"):
        LAPGAN.from_preset("./nowhere")


def test_another_model_s_folder(tiny, tmp_path):
    config = keras.saving.serialize_keras_object(tiny.level(4))
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(PresetError, match="holds a LAPGANLevel, not a LAPGAN"):
        LAPGAN.from_preset(tmp_path, load_weights=False)


def test_no_code_runs_from_a_config(saved, tmp_path):
    _, folder = saved
    config = json.loads((folder / "config.json").read_text())
    config["config"]["levels"][0]["config"]["generator"] = {
        "module": "os",
        "class_name": "mkdir",
        "config": {"path": str(tmp_path / "made")},
        "registered_name": None,
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(PresetError):
        LAPGAN.from_preset(folder)
    assert not (tmp_path / "made").exists()


def test_a_full_disk_leaves_the_old_preset(tiny, saved, monkeypatch):
    model, folder = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def save_weights(self, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    optimizer = model.optimizer
    monkeypatch.setattr(LAPGAN, "save_weights", save_weights)
    with pytest.raises(OSError, match="No space left"):
        model.save_to_preset(folder)
    assert model.optimizer is optimizer
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_metadata_that_cannot_be_written_leaves_the_old_weights(saved):
    model, folder = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(TypeError):
        save_preset(model, folder, {"data": object()})
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
