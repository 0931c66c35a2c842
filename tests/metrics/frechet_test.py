import numpy as np
import pytest

from keras_lapgan.metrics import frechet_distance
from keras_lapgan.metrics import frechet_distance_from_statistics
from keras_lapgan.metrics import frechet_statistics


def eigenvalue_form(x, y):
    mean1, mean2 = x.mean(axis=0), y.mean(axis=0)
    c1, c2 = np.cov(x.T), np.cov(y.T)
    roots = np.sqrt(np.linalg.eigvals(c1 @ c2).astype(complex)).real.sum()
    return ((mean1 - mean2) ** 2).sum() + np.trace(c1 + c2) - 2 * roots


@pytest.mark.parametrize("counts", [(200, 300), (10, 300), (300, 10), (9, 10)])
def test_definition_with_more_and_fewer_images_than_features(features, counts):
    x, y = features(counts[0]), features(counts[1], seed=1, shift=0.3)
    # Roots of eigenvalues that are 0 but for rounding cost digits there.
    assert frechet_distance(x, y) == pytest.approx(
        eigenvalue_form(x, y), abs=1e-6
    )


@pytest.mark.parametrize("counts", [(400, 300), (20, 30)])
def test_torchmetrics(features, counts):
    reason = "torchmetrics, with which to compare, is not installed"
    torch = pytest.importorskip("torch", reason=reason)
    fid = pytest.importorskip("torchmetrics.image.fid", reason=reason)
    x, y = features(counts[0], 64), features(counts[1], 64, seed=1, shift=0.2)
    statistics = [
        torch.from_numpy(array)
        for z in (x, y)
        for array in (z.mean(axis=0), np.cov(z.T))
    ]
    expected = float(fid._compute_fid(*statistics))
    assert frechet_distance(x, y) == pytest.approx(expected, abs=1e-5)


def test_closed_forms(features):
    x = features(50)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 2) == pytest.approx(16 * 4)
    # Equal axes: the distance of the standard deviations.
    assert frechet_distance(x, 3 * x) == pytest.approx(
        4 * np.trace(np.cov(x.T)) + 4 * (x.mean(axis=0) ** 2).sum()
    )


def test_from_statistics(features):
    x, y = features(60), features(9, seed=1)
    mean, covariance = frechet_statistics(x)
    np.testing.assert_allclose(covariance, np.cov(x.T))
    distance = frechet_distance_from_statistics(
        mean, covariance, *frechet_statistics(y)
    )
    assert distance == pytest.approx(frechet_distance(x, y))
    same = frechet_distance_from_statistics(mean, covariance, mean, covariance)
    assert same == pytest.approx(0, abs=1e-9)


def test_float32_features_are_not_summed_in_float32(features):
    x = features(5000, 8).astype("float32") + np.float32(1000)
    y = features(5000, 8, seed=1).astype("float32") + np.float32(1000)
    expected = frechet_distance(x.astype("float64"), y.astype("float64"))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_directions_without_variance(features):
    """As dead units of a network, and ones that depend on each other."""
    x, y = features(100, 8), features(90, 8, seed=1, shift=0.3)
    expected = frechet_distance(x, y)
    rotation, _ = np.linalg.qr(features(20, 20, seed=2))
    wide = [np.pad(z, ((0, 0), (0, 12)), constant_values=5) for z in (x, y)]
    assert frechet_distance(*wide) == pytest.approx(expected, abs=1e-6)
    turned = [z @ rotation for z in wide]
    assert frechet_distance(*turned) == pytest.approx(expected, abs=1e-6)
    # One side alone.
    x = features(100)
    flat = np.array(x)
    flat[:, 3] = 1
    assert frechet_distance(x, flat) == pytest.approx(
        eigenvalue_form(x, flat), abs=1e-6
    )


@pytest.mark.parametrize("counts", [(60, 50), (9, 10)])
def test_large_features(features, counts):
    x, y = features(counts[0]), features(counts[1], seed=1, shift=0.5)
    expected = frechet_distance(x, y)
    for size in (1e20, 3e37):
        large = [(size * z).astype("float32") for z in (x, y)]
        distance = frechet_distance(*large)
        assert distance == pytest.approx(size**2 * expected, rel=1e-5)


def test_constant_features_and_few_images(features):
    flat = np.ones((7, 16))
    assert frechet_distance(flat, flat) == 0
    assert frechet_distance(flat, 1 + flat) == pytest.approx(16)
    x = features(2)
    assert frechet_distance(x, flat) == pytest.approx(
        ((x.mean(axis=0) - 1) ** 2).sum() + x.var(axis=0, ddof=1).sum()
    )
    with pytest.raises(ValueError, match=r"at least 2 images.*\(1, 16\)"):
        frechet_distance(features(1), flat)


def test_bad_statistics():
    mean, identity = np.zeros(3), np.eye(3)
    bad = {
        "symmetric": np.triu(np.ones((3, 3))),
        "semi-definite": np.diag([1.0, 1.0, -1.0]),
        r"\(2, 2\)": np.eye(2),
        "NaN": np.full((3, 3), np.nan),
    }
    for message, covariance in bad.items():
        with pytest.raises(ValueError, match=message):
            frechet_distance_from_statistics(mean, identity, mean, covariance)


def test_real_images(cifar10):
    """Of 16 colours' means each: other real images are near, noise is far."""

    def quarters(images):
        means = images.reshape(-1, 4, 8, 4, 8, 3).mean((2, 4))
        return means.reshape(len(images), -1) / 255

    train, test = quarters(cifar10["train"]), quarters(cifar10["test"])
    floor = frechet_distance(train, test)
    assert 0 < floor < 0.02
    assert frechet_distance(train[:6000], test) < 0.03
    assert frechet_distance(train, test + 0.1) > 20 * floor
