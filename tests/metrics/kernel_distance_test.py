import importlib

import numpy as np
import pytest

from keras_lapgan.metrics import kernel_distance
from keras_lapgan.metrics import polynomial_mmd


def written_out(x, y):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    n, m = len(x), len(y)
    xx = kernel(x, x)[~np.eye(n, dtype=bool)].mean()
    yy = kernel(y, y)[~np.eye(m, dtype=bool)].mean()
    return xx + yy - 2 * kernel(x, y).mean()


def test_definition(features, monkeypatch):
    x, y = features(30), features(50, seed=1, shift=0.5)
    assert polynomial_mmd(x, y) == pytest.approx(written_out(x, y), rel=1e-9)
    distances = importlib.import_module("keras_lapgan.metrics.distances")
    monkeypatch.setattr(distances, "_BLOCK_VALUES", 200)
    assert polynomial_mmd(x, y) == pytest.approx(written_out(x, y), rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torchmetrics(features, dtype):
    reason = "torchmetrics, with which to compare, is not installed"
    torch = pytest.importorskip("torch", reason=reason)
    kid = pytest.importorskip("torchmetrics.image.kid", reason=reason)
    x, y = features(80, dtype="float64"), features(80, seed=1, shift=0.1)
    expected = float(kid.poly_mmd(torch.from_numpy(x), torch.from_numpy(y)))
    value = polynomial_mmd(x.astype(dtype), y.astype(dtype))
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    assert value == pytest.approx(expected, abs=tolerance)


def test_it_is_unbiased(features):
    values = [
        polynomial_mmd(features(10, seed=i), features(10, seed=1000 + i))
        for i in range(400)
    ]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert np.min(values) < 0


def test_subsets(features):
    x, y = features(200), features(150, seed=1, shift=0.5)
    result = kernel_distance(x, y, subsets=50, subset_size=40)
    whole = polynomial_mmd(x, y)
    error = result["std"] / np.sqrt(50)
    assert result["mean"] == pytest.approx(whole, abs=4 * error)
    assert result == kernel_distance(x, y, subsets=50, subset_size=40)
    other = kernel_distance(x, y, subsets=50, subset_size=40, seed=1)
    assert other["mean"] != result["mean"]
    # All images, whatever their order.
    result = kernel_distance(x, x, subsets=2, subset_size=200)
    assert result["std"] == pytest.approx(0, abs=1e-12)


def test_the_deviation_is_a_population_s(features):
    x, y = features(200), features(150, seed=1, shift=0.5)
    one, two = (
        kernel_distance(x, y, subsets=count, subset_size=40) for count in (1, 2)
    )
    # The first subset of both is the same one.
    second = 2 * two["mean"] - one["mean"]
    assert two["std"] == pytest.approx(abs(one["mean"] - second) / 2)
    assert two["std"] > 0


@pytest.mark.parametrize("size", [1e7, 1e20, 3e37])
def test_features_that_float32_cannot_multiply(features, size):
    x, y = (size * features(20, seed=i, shift=i) for i in range(2))
    result = polynomial_mmd(x.astype("float32"), y.astype("float32"))
    assert result == pytest.approx(polynomial_mmd(x, y), rel=1e-5)
    assert np.isfinite(result)


def test_few_and_constant_images(features):
    x = features(7)
    with pytest.raises(ValueError, match="subset_size=1000, len.*=7, len.*=7"):
        kernel_distance(x, x)
    assert kernel_distance(x, x, subsets=1, subset_size=7)["std"] == 0
    flat = np.ones((2, 16))
    # (1 + 1)^3 + (4 + 1)^3 - 2 (2 + 1)^3
    assert polynomial_mmd(flat, 2 * flat) == pytest.approx(8 + 125 - 2 * 27)
    with pytest.raises(ValueError, match=r"at least 2 images.*\(1, 16\)"):
        polynomial_mmd(flat[:1], flat)
    with pytest.raises(ValueError, match="subset_size=1$"):
        kernel_distance(flat, flat, subset_size=1)
