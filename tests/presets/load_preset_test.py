import json
import warnings

import keras
import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError


def changed(folder, **model):
    """Changes the model's arguments in a folder's config.json."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["config"].update(model)
    path.write_text(json.dumps(config))


def test_round_trip(tiny, saved):
    model, folder = saved
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
    # The optimizers start afresh.
    assert not copy.optimizer.built
    copy.compile(**tiny.quick)
    tiny.steps(copy, tiny.images(size=10), tiny.labels())


def test_no_weights_asked_for(tiny, saved):
    model, folder = saved
    (folder / "model.weights.h5").unlink()
    copy = LAPGAN.from_preset(folder, load_weights=False)
    assert copy.sizes == model.sizes
    assert not tiny.same(tiny.arrays(copy), tiny.arrays(model))
    with pytest.raises(PresetError, match="model.weights.h5 is missing"):
        LAPGAN.from_preset(folder)


def test_a_few_lines_are_not_made_gigabytes_of(saved):
    _, folder = saved
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for role in ("generator", "discriminator"):
        network = config["config"]["levels"][1]["config"][role]["config"]
        network["hidden_units"] = [60_000, 60_000]
    path.write_text(json.dumps(config))
    with pytest.raises(PresetError, match="at most 200,000,000 are built"):
        LAPGAN.from_preset(folder, load_weights=False)
    with pytest.raises(PresetError, match="do not belong together"):
        LAPGAN.from_preset(folder)


def test_a_pyramid_of_large_levels_is_not_built(tiny, saved):
    _, folder = saved
    path = folder / "config.json"
    config = json.loads(path.read_text())
    first, last = config["config"]["levels"]
    levels = []
    for k in range(16):
        level = json.loads(json.dumps(first if k < 15 else last))
        level["config"]["index"] = k
        for role in ("generator", "discriminator"):
            level["config"][role]["config"]["size"] = [1024 - k, 4]
        levels.append(level)
    config["config"] |= {"levels": levels, "source_size": None}
    path.write_text(json.dumps(config))
    with pytest.raises(PresetError, match="too many large levels"):
        LAPGAN.from_preset(folder, load_weights=False)


@pytest.mark.parametrize(
    "override",
    [
        {"crop": "center", "flip": True},
        {"class_names": ("x", "y", "z")},
        {"name": "another"},
        {"source_size": 12},
    ],
)
def test_changes_that_weights_allow(tiny, saved, override):
    model, folder = saved
    copy = LAPGAN.from_preset(folder, **override)
    config = copy.get_config()
    for name, value in override.items():
        assert config[name] == (list(value) if name == "class_names" else value)
    assert tiny.same(tiny.arrays(copy), tiny.arrays(model))


@pytest.mark.parametrize(
    "override, message",
    [
        ({"num_classes": 5}, "trained with another `num_classes`.*anew"),
        ({"normalization": "unit"}, "trained with another `normalization`"),
        ({"down": "burt"}, "trained with another `down`.*Received: down='bu"),
        ({"sizes": (8, 4)}, "build a `LAPGAN` of levels. Received: sizes="),
        ({"crop": "left"}, "changed:.config.crop must be one of"),
        ({"flip": "yes"}, "changed:.config.flip must be one of True, False"),
        ({"class_names": ["a"]}, "must name 3 classes"),
        ({"source_size": 4}, "must not be smaller"),
        ({"name": object()}, "numbers, texts and lists"),
        ({"name": " "}, "config.name must be a name"),
        ({"load_weights": "no"}, "must be True or False"),
    ],
)
def test_changes_that_are_refused(saved, override, message):
    _, folder = saved
    with pytest.raises(PresetError, match=message):
        LAPGAN.from_preset(folder, **override)


def test_changes_for_fresh_weights(saved):
    _, folder = saved
    model = LAPGAN.from_preset(
        folder, load_weights=False, num_classes=5, normalization="unit"
    )
    assert model.num_classes == 5 and model.class_names is None
    assert model.normalization.mode == "unit"
    assert model.generate(5, labels=4).shape == (5, 8, 8, 3)
    with pytest.raises(PresetError, match="num_classes must be a whole number"):
        LAPGAN.from_preset(folder, load_weights=False, num_classes="many")


def test_dtype(saved):
    model, folder = saved

    def policies(model):
        return {
            network.dtype_policy.name
            for level in model.levels
            for network in (level.generator, level.discriminator)
        }

    half = LAPGAN.from_preset(folder, dtype="mixed_bfloat16")
    assert policies(half) == {"mixed_bfloat16"}
    difference = half.generate(4, seed=1, dtype="float32") - model.generate(
        4, seed=1, dtype="float32"
    )
    assert 0 < abs(difference).max() < 20
    # What was saved is not what is in use later.
    half.save_to_preset(folder)
    assert policies(LAPGAN.from_preset(folder)) == {"float32"}
    for dtype, message in (
        ("mixed_float16", "needs scaled losses"),
        ("int8", "`dtype` must be one of 'float32'"),
        (16, "`dtype` must be one of"),
    ):
        with pytest.raises(PresetError, match=message):
            LAPGAN.from_preset(folder, dtype=dtype)


@pytest.mark.parametrize(
    "model, message",
    [
        ({"levels": []}, "levels must be a list of 1 to 16"),
        ({"unknown": 1}, "has an unknown entry 'unknown'"),
        ({"source_size": 2}, "can be built: .*must not be smaller"),
        ({"class_names": ["a"]}, "can be built: .*must name 3 classes"),
    ],
)
def test_a_config_that_cannot_be_built(saved, model, message):
    _, folder = saved
    changed(folder, **model)
    with pytest.raises(PresetError, match=message) as caught:
        LAPGAN.from_preset(folder)
    assert len(str(caught.value)) < 800


def test_a_class_of_one_s_own(saved):
    _, folder = saved

    class Mine(LAPGAN):
        pass

    with pytest.raises(PresetError, match="holds a LAPGAN, not a Mine"):
        Mine.from_preset(folder)


def test_no_code_runs_from_a_config(saved, tmp_path):
    _, folder = saved
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["config"]["levels"][0]["config"]["generator"] = {
        "module": "os",
        "class_name": "mkdir",
        "config": {"path": str(tmp_path / "made")},
        "registered_name": None,
    }
    path.write_text(json.dumps(config))
    with pytest.raises(PresetError, match="Received: 'mkdir'"):
        LAPGAN.from_preset(folder)
    assert not (tmp_path / "made").exists()


def test_keras_objects_still_differ_by_policy(saved):
    """The policy in use decides, as for any Keras model that is made."""
    _, folder = saved
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = LAPGAN.from_preset(folder)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.level(0).generator.dtype_policy.name == "mixed_bfloat16"


def test_the_policy_of_its_training_does_not_stay(tiny, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny.model()
    finally:
        keras.config.set_dtype_policy("float32")
    model.save_to_preset(tmp_path / "half")
    again = LAPGAN.from_preset(tmp_path / "half")
    for part in (again, *again.levels, again.level(0).generator):
        assert part.dtype_policy.name == "float32", part.name


def test_optimizers_are_the_same_on_every_backend(saved):
    _, folder = saved
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name in ("d_optimizer", "g_optimizer"):
        optimizer = config["compile_config"][name]
        assert optimizer["module"] == "keras.optimizers"
        assert optimizer["registered_name"] is None
        # As Keras writes it on torch.
        optimizer["module"] = "keras.src.backend.torch.optimizers.torch_adam"
        optimizer["registered_name"] = "Adam"
    path.write_text(json.dumps(config))
    recipe = LAPGAN.from_preset(folder).get_compile_config()
    assert recipe["d_optimizer"]["class_name"] == "Adam"
