import os
import subprocess
import sys

import numpy as np
import pytest

from keras_lapgan import metrics

IMAGES = np.zeros((8, 16, 16, 3), "uint8")
FEATURES = np.random.default_rng(0).normal(size=(8, 4))

OF_IMAGES = {
    "sliced_wasserstein": lambda x: metrics.sliced_wasserstein(x, IMAGES),
    "band_statistics": metrics.band_statistics,
    "ms_ssim": lambda x: metrics.ms_ssim(x, IMAGES),
    "ms_ssim_diversity": metrics.ms_ssim_diversity,
    "nearest_neighbours": lambda x: metrics.nearest_neighbours(IMAGES, x),
}
OF_FEATURES = {
    "frechet_distance": lambda x: metrics.frechet_distance(x, FEATURES),
    "kernel_distance": lambda x: metrics.kernel_distance(
        FEATURES, x, subset_size=2
    ),
    "polynomial_mmd": lambda x: metrics.polynomial_mmd(x, FEATURES),
    "precision_recall": lambda x: metrics.precision_recall(FEATURES, x),
    "inception_score": lambda x: metrics.inception_score(
        x, from_logits=True, splits=1
    ),
    "nearest_neighbours": lambda x: metrics.nearest_neighbours(x, FEATURES),
}


@pytest.mark.parametrize("name", OF_IMAGES)
@pytest.mark.parametrize(
    "images, message",
    [
        (IMAGES / 255, r"uint8.*dtype=float64"),
        (IMAGES.astype("int64"), r"uint8.*dtype=int64"),
        (IMAGES[..., 0], r"\(8, 16, 16\)"),
        (IMAGES[:0], r"\(0, 16, 16, 3\)"),
        (IMAGES[:, :, :0], r"\(8, 16, 0, 3\)"),
    ],
)
def test_images_of_another_form(name, images, message):
    with pytest.raises(ValueError, match=f"{message}$"):
        OF_IMAGES[name](images)


@pytest.mark.parametrize("name", OF_FEATURES)
@pytest.mark.parametrize(
    "features, message",
    [
        (np.where(np.eye(8, 4), np.nan, FEATURES), "4 NaN or infinite values"),
        (np.where(np.eye(8, 4), -np.inf, FEATURES), "4 NaN or infinite values"),
        (FEATURES[0], r"\(4,\)"),
        (FEATURES[:0], r"\(0, 4\)"),
        (FEATURES.astype("int64"), "int64"),
    ],
)
def test_features_of_another_form(name, features, message):
    with pytest.raises(ValueError, match=f"Received: .*{message}"):
        OF_FEATURES[name](features)


@pytest.mark.parametrize(
    "name", ["sliced_wasserstein", "ms_ssim", "nearest_neighbours"]
)
def test_sides_of_different_sizes(name):
    larger = np.zeros((8, 32, 32, 3), "uint8")
    with pytest.raises(ValueError, match=r"32, 32, 3.*16, 16, 3|16.*32, 32"):
        OF_IMAGES[name](larger)


@pytest.mark.parametrize("name", sorted(set(OF_FEATURES) - {"inception_score"}))
def test_features_of_different_lengths(name):
    with pytest.raises(ValueError, match=r"\(8, \d\).*\(8, \d\)"):
        OF_FEATURES[name](np.zeros((8, 5)))


def test_large_finite_features_are_no_error():
    x = np.full((3, 2), 3e38, "float32")
    with np.errstate(over="raise"):
        scores = metrics.inception_score(x, from_logits=True, splits=1)
    assert scores["mean"] == 1


@pytest.mark.parametrize("name", OF_FEATURES)
def test_features_that_float64_cannot_multiply(name):
    for features in (1e60 * FEATURES, -np.abs(1e60 * FEATURES)):
        with pytest.raises(ValueError, match=r"at most 1e40.*e\+60 in"):
            OF_FEATURES[name](features)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "a"])
def test_seeds(seed):
    with pytest.raises(ValueError, match=f"seed={seed!r}"):
        metrics.sliced_wasserstein(IMAGES, IMAGES, seed=seed)


def test_half_precision_is_read_as_float32():
    half = FEATURES.astype("float16")
    assert metrics.polynomial_mmd(half, half) == metrics.polynomial_mmd(
        half.astype("float32"), half.astype("float32")
    )


def test_needs_numpy_alone():
    code = (
        "import sys, keras_lapgan.metrics\n"
        "print({'keras', 'tensorflow', 'torch', 'jax', 'scipy'}"
        " & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=60,
    )
    assert done.stdout == "set()\n", done.stderr
