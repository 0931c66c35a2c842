import numpy as np
import pytest

from keras_lapgan import metrics
from keras_lapgan.evaluation import Comparison
from keras_lapgan.evaluation import ResultCache
from keras_lapgan.evaluation.comparison import memorisation
from keras_lapgan.evaluation.comparison import nearest_training

FEATURES = ("fd_tiny", "kd_tiny", "is_tiny")
MANIFOLD = ("precision", "recall", "density", "coverage")


@pytest.fixture
def sets(real):
    pictures = real()
    return pictures.reference(50)[0], pictures.other(50)[0]


def test_each_figure_is_its_metric(sets, cache, extractor):
    reference, other = sets
    generated = reference[::-1] // 2
    found = Comparison(
        reference, other, cache=cache, feature_count=40, extractor=extractor
    ).of(generated)
    swd = metrics.sliced_wasserstein(reference, generated)
    floor = metrics.sliced_wasserstein(reference, other)
    assert found["swd"] == {
        str(side): {"n": 50, "value": swd[side], "floor": floor[side]}
        for side in (16, 8)
    }
    levels = metrics.band_statistics(generated)["levels"]
    real_levels = metrics.band_statistics(other)["levels"]
    assert found["bands"]["8"]["std"] == {
        "n": 50,
        "value": levels[8]["std"],
        "floor": real_levels[8]["std"],
    }
    assert len(found["channels"]["mean"]["value"]) == 3
    features = {
        name: extractor.extract(images[:40])
        for name, images in (
            ("real", reference),
            ("other", other),
            ("generated", generated),
        )
    }
    for key, name in (("value", "generated"), ("floor", "other")):
        pair = features["real"].features, features[name].features
        expected = {
            "fd_tiny": metrics.frechet_distance(*pair),
            "kd_tiny": metrics.polynomial_mmd(*pair),
            "is_tiny": metrics.inception_score(
                features[name].logits, from_logits=True
            )["mean"],
            **metrics.precision_recall(*pair),
        }
        for measure, value in expected.items():
            assert found[measure]["n"] == 40
            assert found[measure][key] == pytest.approx(value, rel=1e-5)
    assert found["ms_ssim"]["value"] == pytest.approx(
        metrics.ms_ssim_diversity(generated)["mean"]
    )


def test_the_class_asked_for(sets, cache, extractor):
    reference, other = sets
    labels = np.random.default_rng(0).integers(0, 3, (3, 50))
    comparison = Comparison(
        reference,
        other,
        reference_labels=labels[0],
        cache=cache,
        feature_count=40,
        extractor=extractor,
    )
    generated = reference[::-1]
    found = comparison.of(generated, labels[1], labels[2])["class_agreement"]
    real = extractor.extract(reference[:40]).features, labels[0][:40]
    for key, images, asked in (
        ("value", generated, labels[1]),
        ("floor", other, labels[2]),
    ):
        features = extractor.extract(images[:40]).features
        expected = metrics.class_agreement(*real, features, asked[:40])
        assert found[key] == expected
    assert found["n"] == 40
    assert "class_agreement" not in comparison.of(generated)


def test_only_the_samples_are_computed_again(
    sets, cache, extractor, monkeypatch
):
    reference, other = sets
    calls = []
    extract = extractor.extract

    def counted(images, *args):
        calls.append(images)
        return extract(images, *args)

    monkeypatch.setattr(extractor, "extract", counted)
    first = Comparison(reference, other, cache=cache, extractor=extractor)
    one = first.of(other)
    assert len(calls) == 3
    again = Comparison(reference, other, cache=cache, extractor=extractor)
    assert again.of(other) == one
    assert len(calls) == 4


def test_without_an_extractor_there_are_no_measures_of_features(sets, cache):
    found = Comparison(*sets, cache=cache).of(sets[1])
    assert set(found) == {"swd", "bands", "channels", "ms_ssim"}


def test_what_is_not_defined_is_left_out(cache, extractor, sets):
    small = [images[:, :4, :4] for images in sets]
    found = Comparison(*small, cache=cache, extractor=extractor).of(small[1])
    assert set(found) == {"bands", "channels", *FEATURES, *MANIFOLD}
    flat = [images[:, :8] for images in sets]
    found = Comparison(*flat, cache=cache, extractor=extractor).of(flat[1])
    assert set(found) == {*FEATURES, *MANIFOLD}
    grey = [images[..., :1] for images in sets]
    found = Comparison(*grey, cache=cache, extractor=extractor).of(grey[1])
    assert set(found) == {"swd", "bands", "channels", "ms_ssim"}


def test_other_real_pictures_are_at_the_floor(sets, cache, extractor):
    reference, other = sets
    found = Comparison(reference, other, cache=cache, extractor=extractor)
    found = found.of(other)
    # Nearly all of it is computed alike; two sets are compared.
    for name in (*FEATURES, *MANIFOLD, "ms_ssim"):
        assert found[name]["value"] == pytest.approx(found[name]["floor"])


def test_similarity_within_classes(sets, cache):
    reference, other = sets
    # Two classes, each of one picture over and over, and a class of one.
    generated = np.concatenate([reference[:1]] * 25 + [reference[1:2]] * 25)
    generated[-1] = reference[2]
    labels = np.repeat([0, 1], 25)
    labels[-1] = 2
    other_labels = np.arange(50) % 5
    comparison = Comparison(reference, other, cache=cache)
    found = comparison.of(generated, labels, other_labels)["ms_ssim"]
    assert found["value"] == pytest.approx(1)
    assert found["floor"] < 0.5 and found["within_classes"]
    found = comparison.of(generated)["ms_ssim"]
    assert found["value"] < 0.9 and not found["within_classes"]


def test_classes_of_one_picture_have_no_pairs(sets, cache):
    comparison = Comparison(*sets, cache=cache)
    found = comparison.of(sets[1], np.arange(50), np.arange(50))["ms_ssim"]
    assert found == comparison.of(sets[1])["ms_ssim"]


def test_inceptions_distance_is_called_fid(sets, cache, extractor, monkeypatch):
    monkeypatch.setattr(extractor, "fid", True, raising=False)
    comparison = Comparison(*sets, cache=cache, extractor=extractor)
    found = comparison.of(sets[1])
    assert {"fid", "kid", "is"} <= set(found)
    assert not set(FEATURES) & set(found)


def test_the_nearest_training_picture_wherever_it_was_cut(real):
    pictures = real(size=(28, 28))
    seen = pictures.seen()
    samples = np.stack([seen[3, 4:, :28], seen[5, :28, 4:], seen[7, 4:, 4:]])
    distances, nearest = nearest_training(samples, pictures, seen)
    np.testing.assert_array_equal(nearest, samples)
    np.testing.assert_array_equal(distances, 0)


@pytest.mark.parametrize(
    ("crop", "flip"), [("corners", False), ("random", True), ("center", True)]
)
def test_copies_are_found(real, cache, crop, flip):
    pictures = real(crop=crop, flip=flip)
    seen = pictures.seen()
    copies = list(pictures.as_trained(seen[:12]))[-1]
    copies = copies[:, :, :: -1 if flip else 1]
    samples = np.stack([*pictures.unseen(40)[:28], *copies])
    found, nearest = memorisation(samples, pictures, cache)
    assert found["n"] == 40 and found["searched"] == len(seen)
    assert found["share"] >= 0.3 > found["heldout_share"]
    assert found["ratio"] == found["value"] / found["floor"]
    # The copies come first, over what they are copies of.
    for distance, sample, picture in nearest[:12]:
        assert distance == 0
        np.testing.assert_array_equal(sample, picture)
    again, _ = memorisation(samples, pictures, cache)
    assert again == found


def test_without_a_cache_each_real_set_is_extracted_once(
    sets, extractor, monkeypatch
):
    calls = []
    extract = extractor.extract

    def counted(images, *args):
        calls.append(images)
        return extract(images, *args)

    monkeypatch.setattr(extractor, "extract", counted)
    comparison = Comparison(
        *sets, cache=ResultCache(False), extractor=extractor
    )
    assert comparison.of(sets[1]) == comparison.of(sets[1])
    assert len(calls) == 4


def test_samples_of_one_grey_are_far_and_finite(sets, cache, extractor):
    grey = np.full_like(sets[0], 128)
    found = Comparison(*sets, cache=cache, extractor=extractor).of(grey)
    assert found["ms_ssim"]["value"] == pytest.approx(1)
    assert found["recall"]["value"] == 0
    assert found["is_tiny"]["value"] == pytest.approx(1)
    for name in ("fd_tiny", "kd_tiny"):
        assert found[name]["value"] > 5 * max(found[name]["floor"], 0)
    for side in ("16", "8"):
        assert found["swd"][side]["value"] > 3 * found["swd"][side]["floor"]
        assert found["bands"][side]["std"]["value"] < 1e-3 or side == "8"
