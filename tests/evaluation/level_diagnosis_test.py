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
        own = level.get("given_real", level["in_chain"])["fd_tiny"]
        assert level["excess"] == own["value"] / own["floor"]
        assert level["in_chain"]["fd_tiny"]["n"] == 40
    weakest = report["levels"][report["weakest"]]
    assert weakest["excess"] == max(x["excess"] for x in report["levels"])


def test_a_level_that_draws_nothing_is_perfect_given_what_it_would_add(
    tiny, diagnosed
):
    model = tiny.model(sizes=(16, 8))
    fine = model.level(0).ema_generator
    fine.set_weights([np.zeros_like(w) for w in fine.get_weights()])
    _, pictures = diagnosed(model)
    # Its band is 0: real pictures, blurred, so smooth where the chain's
    # coarse noise is not.
    given, chain = (pictures[0][name] for name in ("given_real", "in_chain"))
    assert abs(given.mean() - pictures[0]["real"].mean()) < 10
    assert np.abs(np.diff(given.astype(int), axis=1)).mean() < 20
    assert abs(chain.astype(int) - given).mean() > 20


def test_a_class_conditional_model_draws_the_classes_it_is_given(
    tiny, diagnosed
):
    model = tiny.model(sizes=(16, 8), num_classes=3)
    report, pictures = diagnosed(model)
    assert report["levels"][0]["in_chain"]["ms_ssim"]["n"] == 40
    assert pictures[1]["given_real"] is None


def test_a_plain_gan_has_one_level(tiny, diagnosed):
    report, pictures = diagnosed(tiny.model(sizes=(8,)))
    assert report["weakest"] == 0 and len(pictures) == 1


def test_without_features_patches_tell_which_is_weakest(tiny, diagnosed):
    report, _ = diagnosed(tiny.model(sizes=(8, 4)), extractor=None)
    fine, coarse = report["levels"]
    own = fine["given_real"]["swd"]["8"]
    assert fine["excess"] == own["value"] / own["floor"]
    # It is too small for a patch.
    assert coarse["excess"] is None
    assert report["weakest"] == 0 and report["excess_of"] == "swd"
    report, _ = diagnosed(tiny.model(sizes=(6, 4)), extractor=None)
    assert report["weakest"] is report["excess_of"] is None
