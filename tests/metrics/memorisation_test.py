import importlib

import numpy as np
import pytest

from keras_lapgan.metrics import memorisation
from keras_lapgan.metrics import nearest_neighbours


def test_nearest_pixels(noise, monkeypatch):
    queries, references = noise(10), noise(30, seed=1)
    references[7] = queries[3]
    x, y = (z.reshape(len(z), -1) / 255 for z in (queries, references))
    expected = np.sqrt(((x[:, None] - y) ** 2).sum(axis=2))
    distances = importlib.import_module("keras_lapgan.metrics.distances")
    for values in (2**24, 100):
        monkeypatch.setattr(distances, "_BLOCK_VALUES", values)
        found, indices = nearest_neighbours(queries, references)
        np.testing.assert_array_equal(indices, expected.argmin(axis=1))
        np.testing.assert_allclose(found, expected.min(axis=1))
    assert found[3] == 0 and indices[3] == 7


def test_nearest_features(features):
    queries, references = features(10) + 1000, features(30, seed=1) + 1000
    expected = np.sqrt(((queries[:, None] - references) ** 2).sum(axis=2))
    for dtype in ("float32", "float64"):
        found, indices = nearest_neighbours(
            queries.astype(dtype), references.astype(dtype)
        )
        np.testing.assert_array_equal(indices, expected.argmin(axis=1))
        np.testing.assert_allclose(found, expected.min(axis=1), rtol=1e-3)
    with pytest.raises(ValueError, match="flips=True, shift=0"):
        nearest_neighbours(queries, references, flips=True)


@pytest.mark.parametrize("side", [16, 14, 13])
def test_mirrored_and_moved_copies_are_found(noise, side):
    references = noise(20, side + 8)
    moved = np.stack(
        [
            image[i % 5 : i % 5 + side, 8 - i % 3 : 8 - i % 3 + side]
            for i, image in enumerate(references)
        ]
    )
    references = references[:, 4:-4, 4:-4]
    plain, _ = nearest_neighbours(moved, references)
    assert plain.min() > 5
    found, indices = nearest_neighbours(moved, references, shift=4)
    np.testing.assert_array_equal(indices, np.arange(20))
    np.testing.assert_array_equal(found, 0)
    mirrored = moved[:, :, ::-1]
    found, _ = nearest_neighbours(mirrored, references, shift=4)
    assert found.min() > 1
    found, indices = nearest_neighbours(
        mirrored, references, flips=True, shift=4
    )
    np.testing.assert_array_equal(indices, np.arange(20))
    np.testing.assert_array_equal(found, 0)
    found, _ = nearest_neighbours(
        references[:, :, ::-1], references, flips=True
    )
    np.testing.assert_array_equal(found, 0)


def test_copies_are_noticed(noise):
    train, heldout, honest = noise(50), noise(40, seed=1), noise(40, seed=2)
    copies = np.concatenate([honest[:30], train[:10]])
    values = memorisation(train, copies, heldout)
    assert values["share"] == 0.25 and values["heldout_share"] == 0
    assert values["ratio"] == values["generated"] / values["heldout"]
    assert values["ratio"] == pytest.approx(1, abs=0.05)
    assert memorisation(train, honest, heldout)["share"] == 0
    assert memorisation(train, train, heldout)["ratio"] == 0
    assert all(type(value) is float for value in values.values())


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_images(noise, count):
    values = memorisation(noise(count), noise(count, seed=1), noise(1, seed=2))
    assert 0.9 < values["ratio"] < 1.1


def test_constant_images(noise):
    flat = np.full((5, 16, 16, 3), 9, "uint8")
    values = memorisation(flat, flat, noise(4))
    assert values["ratio"] == 0 and values["share"] == 1
    with pytest.raises(ValueError, match="4 of 5 are equal to one of train"):
        memorisation(flat, flat, np.concatenate([flat[:4], noise(1)]))
    with pytest.raises(ValueError, match=r"shift=8 for images \(16, 16\)"):
        nearest_neighbours(flat, flat, shift=8)


def test_real_images(cifar10):
    """A fifth of copies: 21.2 % are found, 1.2 % of others with them."""
    train, test = cifar10["train"], cifar10["test"]
    copies = np.concatenate([test[500:900], train[:100]])
    values = memorisation(train, copies, test[:500])
    assert values["share"] == pytest.approx(0.212, abs=0.02)
    assert values["heldout_share"] == pytest.approx(0.012, abs=0.015)


def test_the_authors_samples(cifar10, authors_samples, stretched):
    train = stretched(cifar10["train"], 0)
    heldout = stretched(cifar10["test"][:500], 1)
    values = memorisation(train, authors_samples[:500], heldout)
    assert values["share"] < 0.05
    assert values["ratio"] == pytest.approx(9.02 / 9.78, abs=0.06)
