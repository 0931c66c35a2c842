import numpy as np
import pytest

from keras_lapgan.evaluation import RealPictures
from keras_lapgan.evaluation import diagnose_levels
from keras_lapgan.evaluation.level_diagnosis import draw
from keras_lapgan.evaluation.level_diagnosis import stages_of


@pytest.fixture
def diagnosed(tiny, cache, extractor, source_of):
    def make(model, count=40, **kwargs):
        images = tiny.images(2 * count, size=model.sizes[0][0])
        labels = tiny.labels(2 * count) if model.num_classes else None
        real = RealPictures(
            source_of(images, labels), size=model.sizes[0], crop="center"
        )
        kwargs = {"extractor": extractor, "cache": cache} | kwargs
        return diagnose_levels(model, real, count=count, **kwargs)

    return make


def test_samples_in_parts_are_those_of_generate(tiny):
    model = tiny.model(num_classes=3)
    labels = tiny.labels(600)
    parts = draw(model, 600, 5, labels)
    whole = model.generate(600, seed=5, labels=labels, return_pyramid=True)
    for part, stage in zip(parts, whole, strict=True):
        np.testing.assert_array_equal(part, stage)


def test_real_stages_are_the_pyramids(tiny):
    model = tiny.model(sizes=(8, 4))
    images = tiny.images(20)
    fine, coarse = stages_of(model, images)
    np.testing.assert_allclose(fine, images, atol=1e-3)
    means = images.reshape(20, 4, 2, 4, 2, 3).mean((2, 4))
    np.testing.assert_allclose(coarse, means, atol=1e-3)


def test_a_level_is_measured_given_real_pictures_and_in_the_chain(
    tiny, diagnosed
):
    model = tiny.model(sizes=(32, 16, 8))
    report, pictures = diagnosed(model, seed=3)
    assert [level["level"] for level in report["levels"]] == [0, 1, 2]
    assert [level["size"] for level in report["levels"]] == [
        [32, 32],
        [16, 16],
        [8, 8],
    ]
    assert ["given_real" in level for level in report["levels"]] == [
        True,
        True,
        False,
    ]
    chain = model.generate(40, seed=3, return_pyramid=True)
    for stage, shown in zip(chain, pictures, strict=True):
        np.testing.assert_array_equal(shown["in_chain"], stage)
    for level in report["levels"]:
        own = level.get("given_real", level["in_chain"])["kd_tiny"]
        assert level["excess"] == own["value"] - own["floor"]
        assert level["in_chain"]["fd_tiny"]["n"] == 40
    weakest = report["levels"][report["weakest"]]
    assert weakest["excess"] == max(x["excess"] for x in report["levels"])


def test_what_is_shown_of_a_level(tiny, diagnosed):
    model = tiny.model(sizes=(16, 8))
    fine = model.level(0).ema_generator
    fine.set_weights([np.zeros_like(w) for w in fine.get_weights()])
    _, (shown, coarsest) = diagnosed(model)
    # It adds nothing to what it is given.
    count = len(shown["given"])
    difference = shown["given"].astype(int) - shown["given_real"][:count]
    assert np.abs(difference).max() <= 1
    means = shown["real"].mean((1, 2)) - shown["given"].mean((1, 2))
    assert np.abs(means).max() < 2
    assert set(coarsest) == {"in_chain"}


@pytest.mark.parametrize("seed", range(3))
def test_the_level_that_is_broken_is_weakest(tiny, diagnosed, seed):
    model = tiny.model(sizes=(16, 8))
    fine, coarse = (level.ema_generator for level in model.levels)
    # The finer one adds nothing, as its pictures want; the other draws black.
    fine.set_weights([np.zeros_like(w) for w in fine.get_weights()])
    weights = [np.zeros_like(w) for w in coarse.get_weights()]
    weights[-1] -= 10
    coarse.set_weights(weights)
    report, _ = diagnosed(model, seed=seed)
    assert report["weakest"] == 1
    assert report["levels"][1]["excess"] > 2 * report["levels"][0]["excess"]


def test_a_class_conditional_model_draws_the_classes_it_is_given(
    tiny, cache, source_of, monkeypatch
):
    model = tiny.model(sizes=(16, 8), num_classes=3)
    asked = []

    def noted(name):
        drawn = getattr(model, name)

        def draw(*args, **kwargs):
            asked.append(kwargs["labels"].tolist())
            return drawn(*args, **kwargs)

        monkeypatch.setattr(model, name, draw)

    noted("generate")
    noted("generate_from")
    images, labels = tiny.images(80, size=16), tiny.labels(80)
    real = RealPictures(source_of(images, labels), size=(16, 16))
    report, _ = diagnose_levels(
        model, real, count=40, extractor=None, cache=cache
    )
    assert asked == [
        real.reference(40)[1].tolist(),
        real.other(40)[1].tolist(),
    ]
    assert report["levels"][0]["in_chain"]["ms_ssim"]["within_classes"]


def test_a_plain_gan_has_one_level(tiny, diagnosed):
    report, pictures = diagnosed(tiny.model(sizes=(8,)))
    assert report["weakest"] == 0 and len(pictures) == 1


def test_without_features_no_level_is_called_weakest(tiny, diagnosed):
    report, _ = diagnosed(tiny.model(sizes=(8, 4)), extractor=None)
    fine, coarse = report["levels"]
    assert fine["excess"] is coarse["excess"] is report["weakest"] is None
    # It is too small for a patch.
    assert "swd" in fine["in_chain"] and "swd" not in coarse["in_chain"]
