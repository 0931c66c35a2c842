from types import SimpleNamespace

import pytest
from loopback_hub import LoopbackHub

from keras_lapgan import LAPGAN
from keras_lapgan.presets import registry

NAMES = ("lapgan_one", "lapgan_two")


@pytest.fixture
def presets(tiny, monkeypatch, tmp_path):
    """A folder with two published presets."""
    for i, name in enumerate(NAMES):
        model = tiny.model(seed=i, name=name)
        model.save_to_preset(tmp_path / "presets" / name)
        monkeypatch.setitem(
            registry._PRESETS, name, SimpleNamespace(data="tiny", hub=None)
        )
    (tmp_path / "presets" / "README.md").touch()
    return tmp_path / "presets"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with LoopbackHub(tokens={"hf_team": "team"}) as hub:
        hub.skip_waits(monkeypatch)
        hub.patch(monkeypatch, tmp_path / "home", token="hf_team")
        yield hub


def run(tool, *args):
    with pytest.raises(SystemExit) as end:
        tool("upload_presets", *args)
    return int(end.value.code)


def test_a_dry_run(tool, presets, hub, capsys):
    assert run(tool, "--owner", "team", "--presets", presets) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"hf://team/{name}" for name in NAMES
    ]
    assert all("would go up" in line for line in lines)
    assert hub.requests == []


def test_all_or_one(tool, presets, hub, capsys):
    arguments = ["--owner", "team", "--presets", presets, "--upload"]
    assert run(tool, "lapgan_two", *arguments) == 0
    assert set(hub.repos) == {"team/lapgan_two"}
    before = len(hub.requests)
    assert run(tool, *arguments) == 0
    # The one that is up already sends no weights again.
    sent = [path for method, path in hub.requests[before:] if method == "PUT"]
    assert len(sent) == 1
    out = capsys.readouterr().out
    assert out.count("sha256 ") == 3
    for name in NAMES:
        assert LAPGAN.from_preset(f"hf://team/{name}").name == name


def test_one_that_fails_keeps_nobody_back(tool, presets, hub, capsys):
    (presets / "lapgan_one" / "config.json").write_text("{}")
    arguments = ["--owner", "team", "--presets", presets, "--upload"]
    assert run(tool, *arguments) == 1
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert "lapgan_one: FAILED: " in first and "config.json must" in first
    assert second.startswith("hf://team/lapgan_two: http")
