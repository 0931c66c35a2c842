import re

import keras
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan import list_presets
from keras_lapgan.presets import Preset
from keras_lapgan.presets import get_preset
from keras_lapgan.presets import registry

PRESETS = list_presets()
# Built in a second; 75 million parameters are not.
QUICK = (
    "lapgan_cifar10",
    "lapgan_cifar10_class_conditional",
    "lapgan_cifar10_small",
    "lapgan_cifar10_class_conditional_small",
    "lapgan_cifar10_residual",
    "lapgan_cifar10_paper",
    "lapgan_cifar10_class_conditional_paper",
    "gan_cifar10",
    "lapgan_scenes_small",
)
SLOW = ("lapgan_stl10", "lapgan_lsun_tower", "lapgan_scenes")


def test_what_there_is():
    lsun = [name for name in PRESETS if name.startswith("lapgan_lsun_")]
    assert len(lsun) == 10 and "lapgan_lsun_church_outdoor" in lsun
    assert set(PRESETS) - set(lsun) == {
        *QUICK,
        "lapgan_cifar10_release",
        "lapgan_stl10",
        "lapgan_scenes",
    }
    for name, preset in PRESETS.items():
        assert isinstance(preset, Preset) and preset.name == name


def test_the_paper_s_pyramids():
    def sizes(name):
        return PRESETS[name].sizes

    assert sizes("lapgan_cifar10") == (28, 14, 8)
    assert sizes("lapgan_cifar10_release") == (32, 16)
    assert sizes("gan_cifar10") == (28,)
    assert sizes("lapgan_stl10") == (96, 64, 32, 16, 8)
    assert sizes("lapgan_lsun_tower") == (64, 32, 16, 8, 4)
    assert PRESETS["lapgan_cifar10_class_conditional"].num_classes == 10
    assert PRESETS["lapgan_scenes"].num_classes == 24


def test_nobody_can_change_the_list():
    list_presets().clear()
    assert list_presets() == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_configs_are_plain_data(name):
    import json

    preset = PRESETS[name]
    config = json.loads(json.dumps(preset.config()))
    assert config["registered_name"] == "keras_lapgan>LAPGAN"
    assert config["config"]["name"] == name
    levels = config["config"]["levels"]
    assert [level["config"]["index"] for level in levels] == list(
        range(len(preset.sizes))
    )
    for level, size in zip(levels, preset.sizes, strict=True):
        for role in ("generator", "discriminator"):
            network = level["config"][role]["config"]
            assert network["size"] == size
            assert network["num_classes"] == preset.num_classes
    assert preset.source_size >= preset.sizes[0]
    assert preset.description.endswith(".") and preset.data


def counted(model):
    return sum(
        network.count_params()
        for level in model.levels
        for network in (level.generator, level.discriminator)
    )


def check_built(name):
    preset = PRESETS[name]
    model = LAPGAN.from_preset(name, load_weights=False)
    assert counted(model) == preset.parameters
    assert model.name == name
    assert [size for size, _ in model.sizes] == list(preset.sizes)
    assert model.num_classes == preset.num_classes
    assert model.class_names == (list(preset.class_names) or None)
    config = model.get_compile_config()
    for name in ("d_optimizer", "g_optimizer"):
        asked, made = preset.compile_config()[name], config[name]
        if not isinstance(asked, list):
            asked, made = [asked], [made]
        for a, b in zip(asked, made, strict=True):
            rate = a["config"]["learning_rate"]
            assert b["class_name"] == a["class_name"]
            assert b["config"]["learning_rate"] == pytest.approx(rate)
    assert config["objective"] == preset.compile_config()["objective"]
    penalty = preset.compile_config().get("gradient_penalty", 0.0)
    assert config["gradient_penalty"] == penalty
    # The other way round a name is never resolved again.
    again = keras.saving.serialize_keras_object(model)["config"]
    assert [level["config"]["index"] for level in again["levels"]] == list(
        range(len(preset.sizes))
    )


@pytest.mark.parametrize("name", QUICK)
def test_build(name):
    check_built(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_build_the_large_ones(name):
    check_built(name)


def test_the_counts_of_the_paper_s_networks():
    model = LAPGAN.from_preset("lapgan_cifar10", load_weights=False)
    assert model.level(0).generator.count_params() == 837_763
    assert model.level(0).discriminator.count_params() == 432_257


@pytest.mark.parametrize(
    "name, nearest",
    [
        ("lapgan_cifar", "lapgan_cifar10"),
        ("lapgan_lsun_towers", "lapgan_lsun_tower"),
        ("stl10", "lapgan_stl10"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name, nearest):
    message = rf"called '{name}'. Did you mean .*{nearest}\b.*keras-lapgan pres"
    with pytest.raises(PresetError, match=message):
        get_preset(name)
    with pytest.raises(ValueError, match=message):
        LAPGAN.from_preset(name)


def test_a_name_like_none():
    with pytest.raises(PresetError) as error:
        get_preset("qqqq")
    assert "Did you mean" not in str(error.value)


def test_a_name_without_weights_says_so(monkeypatch):
    from keras_lapgan.presets import sources

    monkeypatch.setattr(sources, "published_folder", lambda name: None)
    message = re.escape("no trained weights yet") + ".*load_weights=False"
    with pytest.raises(PresetError, match=message):
        LAPGAN.from_preset("lapgan_cifar10_small")


def test_published_folder(tmp_path, monkeypatch):
    package = tmp_path / "keras_lapgan" / "presets"
    monkeypatch.setattr(registry, "__file__", str(package / "registry.py"))
    assert registry.published_folder("mine") is None
    checkout, wheel = tmp_path / "presets" / "mine", package / "published/mine"
    for folder in (checkout, wheel):
        folder.mkdir(parents=True)
        assert registry.published_folder("mine") != folder
        (folder / "model.weights.h5").touch()
        assert registry.published_folder("mine") == folder
