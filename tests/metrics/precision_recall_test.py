import importlib

import numpy as np
import pytest

from keras_lapgan.metrics import precision_recall


def written_out(real, generated, k):
    def distances(a, b):
        return np.sqrt(((a[:, None] - b) ** 2).sum(axis=2))

    def radii(x):
        return np.sort(distances(x, x), axis=1)[:, k]

    d = distances(real, generated)
    in_real = d < radii(real)[:, None]
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": (d < radii(generated)).any(axis=1).mean(),
        "density": in_real.sum() / (k * len(generated)),
        "coverage": in_real.any(axis=1).mean(),
    }


@pytest.mark.parametrize("k", [1, 5])
def test_definition(features, k, monkeypatch):
    x, y = features(60, 4), features(80, 4, seed=1, shift=0.5)
    expected = pytest.approx(written_out(x, y, k))
    assert precision_recall(x, y, nearest=k) == expected
    distances = importlib.import_module("keras_lapgan.metrics.distances")
    monkeypatch.setattr(distances, "_BLOCK_VALUES", 700)
    assert precision_recall(x, y, nearest=k) == expected
    # Far from the origin products have few digits to spare.
    assert precision_recall(x + 1e4, y + 1e4, nearest=k) == expected


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-3), ("f8", 1e-9)])
def test_prdc(features, dtype, tolerance):
    reason = "prdc, with which to compare, is not installed"
    prdc = pytest.importorskip("prdc", reason=reason)
    x, y = features(500, 12), features(400, 12, seed=1, shift=0.2)
    y *= 0.9
    expected = prdc.compute_prdc(real_features=x, fake_features=y, nearest_k=5)
    values = precision_recall(x.astype(dtype), y.astype(dtype))
    assert values == pytest.approx(
        {name: float(expected[name]) for name in values}, abs=tolerance
    )


def test_both_sides_from_one_source(features):
    values = precision_recall(features(1000, 4), features(1000, 4, seed=1))
    assert values["precision"] > 0.9 and values["recall"] > 0.9
    assert values["density"] == pytest.approx(1, abs=0.05)
    # 1 - 2**-k, or a little less for finite sets.
    assert values["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 8e-3), ("f8", 1e-9)])
def test_repeated_pictures(dtype, tolerance):
    # What a collapse looks like; copies lie exactly on the rims of balls.
    for seed in range(10):
        rng = np.random.default_rng(seed)
        mix = rng.normal(size=(8, 1280))
        x = (rng.normal(size=(100, 8)) @ mix).astype(dtype)
        y = (rng.normal(size=(100, 8)) @ mix).astype(dtype)
        x[:40], y[:50] = x[0], x[0]
        expected = pytest.approx(written_out(x, y, 5), abs=tolerance)
        assert precision_recall(x, y) == expected


@pytest.mark.parametrize("size", [1e-25, 1e20, 1e37])
def test_features_that_float32_cannot_square(features, size):
    x, y = features(60, 4), features(80, 4, seed=1, shift=0.5)
    expected = precision_recall(x, y)
    assert 0 < expected["precision"] < 1
    x, y = ((size * z).astype("float32") for z in (x, y))
    assert precision_recall(x, y) == pytest.approx(expected, abs=1e-9)


def test_few_and_constant_images(features):
    x = features(7)
    with pytest.raises(ValueError, match=r"at least 6 images.*\(5, 16\)"):
        precision_recall(x[:5], x)
    assert precision_recall(x, x) == {
        "precision": 1,
        "recall": 1,
        "density": pytest.approx(written_out(x, x, 5)["density"]),
        "coverage": 1,
    }
    flat = np.full((50, 16), 0.1, "float32")
    none = {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    assert precision_recall(flat, flat) == none
    # One picture over and over, in the middle of what is real.
    collapsed = precision_recall(features(500, 2), np.zeros((50, 2)))
    assert collapsed["precision"] == 1 and collapsed["recall"] == 0
    assert collapsed["coverage"] < 0.1
