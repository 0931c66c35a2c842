import shutil

import pytest


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
