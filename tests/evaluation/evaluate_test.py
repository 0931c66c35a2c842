import copy
import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_lapgan.evaluation import RealPictures
from keras_lapgan.evaluation import draw_evaluation
from keras_lapgan.evaluation import evaluate_model
from keras_lapgan.evaluation import evaluate_samples
from keras_lapgan.evaluation import named_figures
from keras_lapgan.evaluation import preset_metrics
from keras_lapgan.presets.schema import check_about


def test_samples_of_another_program(real, cache, extractor):
    pictures = real()
    samples = 255 - pictures.reference(50)[0]
    found = evaluate_samples(samples, pictures, cache=cache)
    assert found.report["swd"]["16"]["n"] == 50
    assert found.report["memorisation"]["n"] == 50
    assert "fd_tiny" not in found.report
    protocol = found.report["protocol"]
    assert protocol["crop"] == "corners" and protocol["extractor"] is None
    assert protocol["versions"]["backend"] == keras.backend.backend()
    found = evaluate_samples(
        samples, pictures, count=30, extractor=extractor, cache=cache
    )
    assert found.report["fd_tiny"]["n"] == 30
    assert found.report["swd"]["16"]["n"] == 30
    network = found.report["protocol"]["extractor"]
    assert network["name"] == "tiny"
    assert network["weights_sha256"] == extractor.weights_sha256


def test_the_same_again_gives_the_same(real, cache, extractor, tmp_path):
    samples = 255 - real().reference(50)[0]
    first = evaluate_samples(
        samples, real(), extractor=extractor, cache=cache
    ).report
    again = evaluate_samples(
        samples, real(), extractor=extractor, cache=cache
    ).report
    assert first == again
    assert json.loads(json.dumps(first)) == first


def test_real_pictures_are_at_the_floor(sample, cache, extractor):
    real = RealPictures(sample.subset(range(600)), size=(16, 16))
    samples = RealPictures(sample.subset(range(600, 1000)), size=(16, 16))
    samples = np.concatenate([samples.reference(200)[0], samples.other(100)[0]])
    report = evaluate_samples(
        samples, real, extractor=extractor, cache=cache
    ).report
    for figure in named_figures(report):
        floor = abs(figure.floor) + 0.5 * (figure.key == "kd_tiny")
        if figure.better == "lower":
            # Of so few, two draws of the floor are far apart.
            assert figure.value < 2 * floor, figure
        else:
            assert abs(figure.value - figure.floor) < 0.2 * floor, figure
    assert report["memorisation"]["share"] < 0.1


def test_too_few_or_too_many(real, cache):
    samples = real().reference(60)[0]
    with pytest.raises(
        ValueError, match="At most 60 can.*no more samples.*count=61"
    ):
        evaluate_samples(samples, real(), count=61, cache=cache)
    with pytest.raises(ValueError, match="At most 60.*more real.*count=70"):
        evaluate_samples(
            np.concatenate([samples, samples]), real(), count=70, cache=cache
        )
    with pytest.raises(ValueError, match="10 pictures at least.*9"):
        evaluate_samples(samples[:9], real(), cache=cache)
    with pytest.raises(ValueError, match=r"of one size.*\(14, 14, 3\)"):
        evaluate_samples(samples[:, :14, :14], real(), cache=cache)


def test_a_model(tiny, cache, extractor):
    model = tiny.model(sizes=(16, 8), source_size=18)
    images = tiny.images(80, size=18)
    real = RealPictures.for_model(model, images)
    found = evaluate_model(
        model, real, seed=4, extractor=extractor, cache=cache
    )
    drawn = model.generate(40, seed=4)
    np.testing.assert_array_equal(found.pictures["generated"], drawn)
    protocol = found.report["protocol"]
    assert protocol["seed"] == 4 and protocol["generators"] == "averaged"
    assert protocol["averaged_steps"] == [0, 0]
    assert not protocol["levels_stretch"]
    assert len(found.report["levels"]) == 2
    # A level is measured unstretched, whatever the whole is.
    stretched = evaluate_model(
        model,
        RealPictures.for_model(model, images, stretch=True),
        seed=4,
        extractor=extractor,
        cache=cache,
    )
    assert stretched.report["levels"] == found.report["levels"]
    assert stretched.report["swd"] != found.report["swd"]
    short = evaluate_model(model, real, levels=False, cache=cache)
    assert "levels" not in short.report


def test_diagnose(tiny, extractor, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_LAPGAN_CACHE", str(tmp_path / "cache"))
    model = tiny.model(sizes=(16, 8), num_classes=3)
    told = []
    report = model.diagnose(
        tiny.images(60, size=16),
        labels=tiny.labels(60),
        count=20,
        extractor=extractor,
        figure=tmp_path / "figure.png",
        progress=lambda *what: told.append(what[0]),
    )
    assert report["levels"][0]["given_real"]["swd"]["16"]["n"] == 20
    assert report["fd_tiny"]["n"] == 20
    assert any("level 1" in what for what in told)
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.width > 500 and figure.height > 500
    with pytest.raises(ValueError, match="extractor='vgg'"):
        model.diagnose(tiny.images(60, size=16), extractor="vgg")


def test_the_figure_shows_the_pictures(real, cache):
    pictures = real()
    samples = 255 - pictures.reference(50)[0]
    figure = draw_evaluation(evaluate_samples(samples, pictures, cache=cache))
    # 16 pixels, three times enlarged, in grids of 8 x 8.
    grid = 8 * (48 + 2) + 2
    top = left = 16
    top += 20 + 2
    for i, images in enumerate((pictures.reference(50)[0], samples)):
        start = left + i * (grid + 16) + 2
        shown = figure[top : top + 48 : 3, start : start + 48 : 3]
        np.testing.assert_array_equal(shown, images[0])


def test_figures_of_levels_for_a_card(real, cache, tiny):
    model = tiny.model()
    source = RealPictures.for_model(model, tiny.images(60), stretch=True)
    found = evaluate_model(model, source, cache=cache)
    rows = preset_metrics(found.report)
    check_about({"metrics": rows})
    levels = [row for row in rows if row["type"].startswith("level_")]
    assert [row["name"] for row in levels] == [
        "Level 0, given real: SWD x 1e3, 8 px",
        "Level 0, in the chain: SWD x 1e3, 8 px",
        "Level 0, given real: Deviation of the low-pass, 8 px",
        "Level 0, in the chain: Deviation of the low-pass, 8 px",
        "Level 1, in the chain: Deviation of the low-pass, 4 px",
    ]
    first = found.report["levels"][0]["given_real"]["swd"]["8"]
    assert levels[0]["value"] == pytest.approx(first["value"], rel=1e-3)
    assert levels[0]["type"] == "level_0_given_real_swd_8"
    # Levels are not stretched.
    assert "stretched" in rows[0]["protocol"]
    assert "stretched" not in levels[0]["protocol"]


def test_figures_for_a_card(real, cache, extractor):
    found = evaluate_samples(
        255 - real().reference(50)[0], real(), extractor=extractor, cache=cache
    )
    found.report["protocol"]["data"] = "/home/me/pictures"
    rows = preset_metrics(found.report)
    check_about({"metrics": rows})
    by_type = {row["type"]: row for row in rows}
    figure = found.report["kd_tiny"]
    row = by_type["kd_tiny"]
    assert row["value"] == pytest.approx(1000 * figure["value"], rel=1e-3)
    assert row["floor"] == pytest.approx(1000 * figure["floor"], rel=1e-3)
    assert row["name"] == "KD-Tiny x 1e3" and "authors" not in row
    assert row["dataset"] == "pictures"
    assert "n = 50" in row["protocol"] and "tiny" in row["protocol"]
    assert {"swd_16", "swd_8", "recall", "memorisation"} <= set(by_type)
    # Beside those of other samples, measured alike.
    other = copy.deepcopy(found.report)
    other["recall"]["value"] = 0.25
    beside = preset_metrics(found.report, other)
    check_about({"metrics": beside})
    values = {row["type"]: row["authors"] for row in beside}
    assert values["recall"] == 0.25
    other["protocol"]["stretch"] = True
    assert preset_metrics(found.report, other) == rows
