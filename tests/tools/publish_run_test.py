import json

import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.evaluation import RealPictures
from keras_lapgan.evaluation import ResultCache
from keras_lapgan.evaluation import evaluate_model
from keras_lapgan.evaluation import preset_metrics
from keras_lapgan.presets import registry
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.presets.preset_folder import serialized


@pytest.fixture
def published(tiny, monkeypatch, tmp_path):
    """A published preset of a small model, and a run of it."""
    model = tiny.model(num_classes=3, name="lapgan_tiny")

    class Tiny:
        name = "lapgan_tiny"
        license = "other"
        terms = "Tiny pictures: nobody's."
        hub = None
        data = "tiny"

        def config(self):
            return serialized(model)

    monkeypatch.setitem(registry._PRESETS, "lapgan_tiny", Tiny())
    run = tmp_path / "runs" / "a"
    model.save_to_preset(
        run, metadata={"data": "/home/me/tiny", "preset": "lapgan_tiny"}
    )
    (run / "log.csv").write_text("epoch\n1\n")
    (run / "command.txt").write_text("secret")
    return model, run, tmp_path / "presets" / "lapgan_tiny"


def test_a_run_becomes_a_preset(tool, published, tiny, tmp_path, capsys):
    model, run, target = published
    real = RealPictures.for_model(
        model, tiny.images(60), labels=tiny.labels(60)
    )
    report = evaluate_model(model, real, cache=ResultCache(False)).report
    (tmp_path / "e.json").write_text(json.dumps(report))
    arguments = [run, target, "--note", "Small.", "--evaluation"]
    for _ in range(2):
        tool("publish_run", *arguments, tmp_path / "e.json")
    assert "of 255" in capsys.readouterr().out
    assert {path.name for path in target.iterdir()} == {
        "NOTICE",
        "README.md",
        "config.json",
        "grid.png",
        "log.csv",
        "metadata.json",
        "model.weights.h5",
        "strip.png",
    }
    metadata = read_metadata(target)
    assert metadata["weights_dtype"] == "float16"
    assert metadata["license"] == "other" and metadata["data"] == "tiny"
    assert metadata["metrics"] == preset_metrics(report)
    assert metadata["note"] == "Small."
    assert "Tiny pictures: nobody's." in (target / "NOTICE").read_text()
    card = (target / "README.md").read_text()
    assert "| what | value | real pictures |\n|---|---|---|\n| SWD " in card
    assert "Detail at 8 px is too faint" in card
    assert 'from_preset("lapgan_tiny")' in card and "(grid.png)" in card
    difference = model.generate(6, seed=1).astype(int) - LAPGAN.from_preset(
        target
    ).generate(6, seed=1)
    assert abs(difference).max() <= 2


def test_what_somebody_wrote_in_its_card_stays(tool, published):
    _, run, target = published
    tool("publish_run", run, target)
    card = target / "README.md"
    card.write_text(card.read_text() + "\nMine.\n")
    tool("publish_run", run, target)
    assert card.read_text().endswith("\nMine.\n")


def test_another_architecture_is_refused(tool, published, tiny):
    _, run, target = published
    tiny.model().save_to_preset(run)
    with pytest.raises(SystemExit, match="not of the architecture"):
        tool("publish_run", run, target)
    assert not target.exists()


def test_half_precision_that_shows_is_refused(tool, published, monkeypatch):
    _, run, target = published
    whole = LAPGAN.generate

    def generate(model, *args, **kwargs):
        images = whole(model, *args, **kwargs)
        return np.zeros_like(images) if model.name == "half" else images

    load = LAPGAN.from_preset.__func__

    def from_preset(cls, preset, **kwargs):
        name = "half" if str(preset) != str(run) else "whole"
        return load(cls, preset, **{**kwargs, "name": name})

    monkeypatch.setattr(LAPGAN, "from_preset", classmethod(from_preset))
    monkeypatch.setattr(LAPGAN, "generate", generate)
    with pytest.raises(SystemExit, match="changes the pictures"):
        tool("publish_run", run, target)
    assert not target.exists()


def test_of_a_run_that_went_on_from_another(tool, published):
    model, run, target = published
    settings = {"epochs": 2, "chained": 0.5, "learning_rate_scale": 0.3}
    about = {"preset": "/home/me/whole", "data": "tiny", "seed": 1}
    model.save_to_preset(run, metadata={**about, **settings})
    tool("publish_run", run, target)
    metadata = read_metadata(target)
    assert metadata["seed"] == 1 and metadata["preset"] == "lapgan_tiny"
    # A command with these would train the last part alone.
    assert not set(settings) & set(metadata)
