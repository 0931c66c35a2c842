import numpy as np
import pytest

from keras_lapgan.metrics import class_agreement

MEANS = np.random.default_rng(0).normal(size=(3, 8))


def features(count, noise, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return MEANS[labels] + noise * rng.normal(size=(count, 8)), labels


def test_clear_classes():
    real, labels = features(90, 0.1, seed=1)
    other, asked = features(30, 0.1, seed=2)
    assert class_agreement(real, labels, other, asked) == 1
    assert class_agreement(real, labels, other, (asked + 1) % 3) == 0
    half = np.where(np.arange(30) < 15, asked, (asked + 1) % 3)
    assert class_agreement(real, labels, other, half) == 0.5
    # Any numbers name classes.
    assert class_agreement(real, labels + 7, other, asked + 7) == 1


def test_no_classes_are_chance():
    real, labels = features(900, 50.0, seed=1)
    other, asked = features(900, 50.0, seed=2)
    assert 0.2 < class_agreement(real, labels, other, asked) < 0.45


def test_as_scikit_learn():
    discriminant_analysis = pytest.importorskip("sklearn.discriminant_analysis")
    real, labels = features(300, 1.0, seed=1)
    other, asked = features(300, 1.0, seed=2)
    reference = discriminant_analysis.LinearDiscriminantAnalysis("lsqr")
    reference.fit(real, labels)
    assert class_agreement(real, labels, other, asked) == pytest.approx(
        reference.score(other, asked), abs=0.02
    )


def test_fewer_images_than_features_and_some_that_never_vary():
    real, labels = features(6, 0.01, seed=1)
    real[:, 3] = 2.0
    assert class_agreement(real, labels, real, labels) == 1


@pytest.mark.parametrize(
    "change, message",
    [
        ({1: [0, 1]}, r"an int for each of 6 images.*real_labels.shape=\(2,\)"),
        ({3: np.zeros(6)}, "labels.*dtype=float64"),
        ({2: np.zeros((6, 2))}, r"features.shape=\(6, 2\)"),
    ],
)
def test_bad_arguments(change, message):
    real, labels = features(6, 0.1, seed=1)
    arguments = [real, labels, real, labels]
    for place, value in change.items():
        arguments[place] = value
    with pytest.raises(ValueError, match=message):
        class_agreement(*arguments)
