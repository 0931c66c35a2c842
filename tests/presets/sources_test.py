import os
from pathlib import Path

import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.presets import registry
from keras_lapgan.presets import sources
from keras_lapgan.presets.sources import find_preset


def test_a_published_name_wins_over_a_folder(saved, monkeypatch):
    _, folder = saved
    name = "lapgan_cifar10_small"
    folder.rename(folder.parent / name)
    monkeypatch.chdir(folder.parent)
    model = LAPGAN.from_preset(name, load_weights=False)
    assert model.sizes[0] == (28, 28)
    for mine in (f"./{name}", Path(name)):
        assert LAPGAN.from_preset(mine).sizes[0] == (8, 8)


def test_where_it_was_found(saved):
    _, folder = saved
    source = find_preset(folder)
    assert source.has_weights and source.folder == folder
    assert str(folder) in source.origin
    assert source.metadata()["has_optimizer"] is False
    published = find_preset("lapgan_lsun_tower")
    assert not published.has_weights and published.metadata() == {}
    assert published.origin == "this package"
    assert published.config()["config"]["name"] == "lapgan_lsun_tower"


@pytest.mark.parametrize(
    "preset, message",
    [
        ("./nowhere", "There is no folder './nowhere'"),
        (f"{os.sep}nowhere{os.sep}a", "There is no folder '/nowhere/a'"),
        ("a" * 300, "no preset and no folder"),
        ("user/name", "On the Hub it would be hf://user/name"),
        ("", "Received: ''"),
        (None, "Received: None"),
        (7, "Received: 7"),
        ("hf://user", "is written hf://user/name"),
        ("https://example.com/a/b", "is not on the Hub"),
        ("lapgan_cifar", "Did you mean lapgan_cifar10"),
    ],
)
def test_what_there_is_not(preset, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PresetError, match=message):
        find_preset(preset)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(PresetError, match="not a preset folder.*config.json"):
        LAPGAN.from_preset(tmp_path)


def test_revisions_are_of_the_hub(saved):
    _, folder = saved
    with pytest.raises(PresetError, match="for presets on the Hub.*'v1'"):
        LAPGAN.from_preset(folder, revision="v1")


def test_a_save_that_was_interrupted_is_ended_first(saved, tmp_path):
    _, folder = saved
    ready = folder / ".keras_lapgan_ready"
    ready.mkdir()
    (folder / "config.json").rename(ready / "config.json")
    (folder / "config.json").write_text("half")
    assert LAPGAN.from_preset(folder).sizes[0] == (8, 8)
    assert not ready.exists()


@pytest.fixture
def remote(saved, tmp_path, monkeypatch):
    """A published preset whose weights are on the Hub, and that repository."""
    from loopback_hub import LoopbackHub

    model, folder = saved
    config = sources.read_config(folder)
    weights_sha256 = sources.read_metadata(folder)["weights_sha256"]

    class Large:
        name = "lapgan_large"

        def config(self):
            return config

    with LoopbackHub(tokens={}) as hub:
        hub.patch(monkeypatch, tmp_path / "home")
        files = {p.name: p.read_bytes() for p in folder.iterdir()}
        commit = hub.add_repo("team/large", files)
        hub.add_repo("team/large", {**files, "config.json": b"later"})
        preset = Large()
        preset.hub = f"hf://team/large@{commit}"
        preset.weights_sha256 = weights_sha256
        preset.requests = hub.requests
        monkeypatch.setitem(registry._PRESETS, preset.name, preset)
        yield model, preset


def test_weights_too_large_for_the_wheel_come_from_the_hub(remote, tiny):
    model, preset = remote
    copy = LAPGAN.from_preset("lapgan_large")
    assert tiny.same(tiny.arrays(copy), tiny.arrays(model))
    assert "team/large" in find_preset("lapgan_large").origin
    # For fresh ones nothing is fetched.
    before = len(preset.requests)
    assert LAPGAN.from_preset("lapgan_large", load_weights=False)
    assert len(preset.requests) == before


def test_weights_larger_than_their_model_are_not_fetched(
    saved, tmp_path, monkeypatch
):
    from loopback_hub import LoopbackHub

    _, folder = saved
    with LoopbackHub(tokens={}) as hub:
        hub.patch(monkeypatch, tmp_path / "home")
        files = {p.name: p.read_bytes() for p in folder.iterdir()}
        files["model.weights.h5"] = bytes(3_000_000)
        hub.add_repo("team/large", files)
        with pytest.raises(PresetError, match="model.weights.h5 has 3,000,000"):
            LAPGAN.from_preset("hf://team/large")
        assert not any(path.endswith(".h5") for _, path in hub.requests)
        # Without them, the rest is enough.
        assert LAPGAN.from_preset("hf://team/large", load_weights=False)


def test_and_must_be_those_that_this_version_names(remote):
    _, preset = remote
    preset.weights_sha256 = "0" * 64
    with pytest.raises(PresetError, match="Tell its maintainers"):
        LAPGAN.from_preset("lapgan_large")
