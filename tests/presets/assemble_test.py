import json
import random

import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.presets.assemble import assemble_presets
from keras_lapgan.presets.registry import published_folder

SMALL = "lapgan_cifar10_small"
ABOUT = {"preset": SMALL, "data": "sample", "images": 16, "epochs": 1}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (16, 32, 32, 3), dtype="uint8")


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    """Folders of three levels trained apart, and of the three together."""
    home = tmp_path_factory.mktemp("trained")
    for levels in ([0], [1], [2], None):
        random.seed(3)
        model = LAPGAN.from_preset(SMALL, load_weights=False, levels=levels)
        model.fit(images, batch_size=8, epochs=2, shuffle=False, verbose=0)
        name = "all" if levels is None else str(levels[0])
        model.save_to_preset(home / name, metadata=ABOUT)
    return home


def test_levels_trained_apart_draw_like_those_trained_together(trained):
    joint = LAPGAN.from_preset(trained / "all")
    found = LAPGAN.assemble([trained / str(k) for k in (2, 0, 1)])
    for a, b in zip(found.get_weights(), joint.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        found.generate(4, seed=1, dtype="float32"),
        joint.generate(4, seed=1, dtype="float32"),
        atol=1e-2,
    )
    assert found.is_complete
    assert [x.index for x in found.trained_levels()] == [0, 1, 2]


def test_the_last_of_several_counts(trained, tmp_path):
    other = LAPGAN.from_preset(trained / "1")
    weights = [w + 1 for w in other.level(1).get_weights()]
    other.level(1).set_weights(weights)
    other.save_to_preset(tmp_path, metadata={**ABOUT, "epochs": 7})
    model, about, parts = assemble_presets([trained / "all", tmp_path], LAPGAN)
    assert np.array_equal(model.level(1).get_weights()[0], weights[0])
    assert [(part.level, part.epochs) for part in parts] == [
        (0, 1),
        (1, 7),
        (2, 1),
    ]
    assert about == {"preset": SMALL, "data": "sample", "images": 16}


def test_what_a_run_only_drew_on_does_not_count(trained, tmp_path):
    whole = LAPGAN.from_preset(trained / "all")
    for k in (0, 1):
        part = LAPGAN.from_preset(trained / "all")
        part.compile(levels=[k])
        for level in part.levels:
            level.set_weights([w + k + 1 for w in level.get_weights()])
        part.save_to_preset(tmp_path / str(k))
    model = LAPGAN.assemble([trained / "all", tmp_path / "1", tmp_path / "0"])
    for k, more in ((0, 1), (1, 2), (2, 0)):
        found, before = (x.level(k).get_weights()[0] for x in (model, whole))
        np.testing.assert_array_equal(found, before + more)
    # Nobody trained level 2 here.
    model = LAPGAN.assemble([tmp_path / "1", tmp_path / "0"])
    found, before = (x.level(2).get_weights()[0] for x in (model, whole))
    np.testing.assert_array_equal(found, before + 1)


def test_a_level_put_back_into_a_published_preset(images, tmp_path):
    if published_folder(SMALL) is None:
        pytest.skip(f"{SMALL} has no published weights here")
    level = LAPGAN.from_preset(SMALL, levels=[1])
    level.fit(images, batch_size=8, verbose=0)
    level.save_to_preset(tmp_path)
    model, before = (
        LAPGAN.assemble([SMALL, tmp_path]),
        LAPGAN.from_preset(SMALL),
    )
    for k in range(3):
        pairs = zip(
            model.level(k).generator.get_weights(),
            (level if k == 1 else before).level(k).generator.get_weights(),
            strict=True,
        )
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert model.terms == before.terms


def test_terms_go_along_and_must_agree(trained, tmp_path):
    for k, license in enumerate(("mit", None, "other")):
        part = LAPGAN.from_preset(trained / str(k))
        part.terms = (license, f"Under {license}." if license else None)
        part.save_to_preset(tmp_path / str(k))
    one, none, other = (tmp_path / str(k) for k in range(3))
    model = LAPGAN.assemble([none, one, trained / "2"])
    assert model.terms == ("mit", "Under mit.")
    with pytest.raises(PresetError, match=r"terms.*\(mit\), '.*2' \(other\)"):
        LAPGAN.assemble([none, one, other])


def test_classes_in_another_order(tmp_path):
    names = ["a", "b", "c"]
    for k, classes in ((0, names), (1, names[::-1])):
        random.seed(0)
        LAPGAN.from_preset(
            "lapgan_cifar10_class_conditional_small",
            load_weights=False,
            levels=[k] if k else [0, 2],
            num_classes=3,
        ).save_to_preset(tmp_path / str(k))
        path = tmp_path / str(k) / "config.json"
        config = json.loads(path.read_text())
        config["config"]["class_names"] = classes
        path.write_text(json.dumps(config))
    with pytest.raises(PresetError, match=r"they differ in classes\. Received"):
        LAPGAN.assemble([tmp_path / "0", tmp_path / "1"])


def test_the_same_folder_elsewhere_is_the_same_data(trained, tmp_path):
    for k, data in enumerate(("./pictures", "/mnt/pictures", "/a/b")):
        LAPGAN.from_preset(trained / str(k)).save_to_preset(
            tmp_path / str(k), metadata={"data": data}
        )
    model = LAPGAN.assemble([tmp_path / str(k) for k in range(3)])
    assert model.is_complete


def test_a_level_that_is_missing(trained):
    with pytest.raises(PresetError, match="Levels 0, 2 of 0 to 2 are in none"):
        LAPGAN.assemble([trained / "1"])
    with pytest.raises(PresetError, match="Level 2 of 0 to 2 is in none of"):
        LAPGAN.assemble([trained / "0", trained / "1"])
    with pytest.raises(PresetError, match="takes a list of presets"):
        LAPGAN.assemble(str(trained / "1"))


def test_other_data_or_networks(trained, tmp_path):
    model = LAPGAN.from_preset(trained / "1")
    model.save_to_preset(tmp_path, metadata={**ABOUT, "data": "stl10"})
    with pytest.raises(PresetError, match=r"they differ in data\. Received: "):
        LAPGAN.assemble([trained / "0", tmp_path])
    config = json.loads((trained / "1" / "config.json").read_text())
    units = config["config"]["levels"][2]["config"]["generator"]["config"]
    assert units["hidden_units"]
    units["hidden_units"] = [7, 7]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(PresetError, match="they differ in their networks"):
        LAPGAN.assemble([trained / "0", tmp_path])


def test_pictures_normalised_differently(trained, tmp_path):
    model = LAPGAN.from_preset(trained / "1")
    mean, *others = model.normalization.get_weights()
    model.normalization.set_weights([mean + 1, *others])
    model.save_to_preset(tmp_path, metadata=ABOUT)
    presets = [trained / "0", tmp_path, trained / "2"]
    with pytest.raises(PresetError, match="normalised differently"):
        LAPGAN.assemble(presets)
