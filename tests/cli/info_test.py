import json

import pytest

from keras_lapgan.presets import published_folder


def test_a_published_preset_with_weights(run):
    folder = published_folder("lapgan_cifar10_small")
    if folder is None:
        pytest.skip("lapgan_cifar10_small has no published weights here")
    out = run("info", "lapgan_cifar10_small").stdout
    for text in (
        "lapgan_cifar10_small, from this package\n",
        f"folder: {folder}\n",
        "0  28x28  Convolutional 32      58,915  Convolutional 32      31,265",
        "D by:      Adam 0.0006, Adam 0.0006, Adam 0.0008",
        "objective: relativistic",
        "gradient penalty: 0.02, 0.02, 0.03",
        "level 2 30 epochs.",
        "weights:   8.8 MB of float16",
        "licence:   other, see NOTICE in the folder",
        "measured:",
    ):
        assert text in out


def test_a_published_preset_without(run):
    out = run("info", "lapgan_scenes").stdout
    for text in ("4  4x4    Dense 1200/1200", "24: alp, altar", "none yet"):
        assert text in out
    assert "licence" not in out


def test_a_run(run, trained):
    out = run("info", "a").stdout
    for text in (
        "from the folder 'a'",
        "trained:   data sample",
        "of float32",
        "licence:   not stated",
    ):
        assert text in out


def test_nothing_is_built(run, trained, monkeypatch):
    import keras

    monkeypatch.setattr(keras.Model, "__init__", None)
    assert run("info", "a").exit_code == 0


def test_mistakes_end_in_one_line(fails, trained):
    assert "There is no folder './b'" in fails("info", "./b", code=1)
    assert "Did you mean" in fails("info", "lapgan_cifar", code=1)
    with open("a/metadata.json") as file:
        metadata = json.load(file)
    metadata["weights_sha256"] = "0" * 64
    with open("a/metadata.json", "w") as file:
        json.dump(metadata, file)
    assert "sha256 differs" in fails("info", "a", code=1)
