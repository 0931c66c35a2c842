import importlib

import numpy as np
import pytest

from keras_lapgan.metrics import sliced_wasserstein
from keras_lapgan.metrics.binomial_pyramid import binomial_pyramid

module = importlib.import_module("keras_lapgan.metrics.sliced_wasserstein")


def written_out(real, generated, count, seed):
    """The protocol with all patches at once, and draws of its own."""
    rng = np.random.default_rng(seed)
    result = []
    for level in range(count):
        sets = []
        for images in (real, generated):
            band = binomial_pyramid(images, count)[level]
            places = band.shape[1] - 6
            patches = np.stack(
                [
                    image[y : y + 7, x : x + 7]
                    for image in band
                    for y, x in rng.integers(places, size=(128, 2))
                ]
            )
            patches -= patches.mean((0, 1, 2))
            patches /= patches.std((0, 1, 2))
            sets.append(patches.reshape(len(patches), -1))
        distances = []
        for _ in range(4):
            directions = rng.normal(size=(sets[0].shape[1], 128))
            directions /= np.sqrt((directions**2).sum(axis=0))
            a, b = (np.sort(x @ directions, axis=0) for x in sets)
            distances.append(np.abs(a - b).mean())
        result.append(1e3 * np.mean(distances))
    return result


def test_it_is_the_protocol(sample):
    real, other = sample[:40, 2:30, 2:30], sample[40:80, 2:30, 2:30]
    blurred = (other // 2 + np.roll(other, 1, axis=2) // 2).astype("uint8")
    ours = [sliced_wasserstein(real, blurred, seed=s) for s in range(3)]
    assert list(ours[0]) == [28, 14, 7]
    ours = np.mean([list(values.values()) for values in ours], axis=0)
    theirs = [written_out(real, blurred, 3, seed) for seed in range(3)]
    # What patches and directions are drawn changes a figure by about 4 %.
    np.testing.assert_allclose(ours, np.mean(theirs, axis=0), rtol=0.09)


def test_how_it_is_cut_up_changes_nothing(sample, monkeypatch):
    sets = sample[:60, :16, :16], sample[60:120, :16, :16]
    whole = sliced_wasserstein(*sets, sizes=(16, 8))
    monkeypatch.setattr(module, "_PROJECTED_VALUES", 100_000)
    # Made anew at each use.
    monkeypatch.setattr(module, "_HELD_VALUES", 0)
    parts = sliced_wasserstein(*sets, sizes=(16, 8))
    assert parts == pytest.approx(whole, rel=1e-5)
    monkeypatch.setattr(module, "_IMAGES_AT_ONCE", 7)
    parts = sliced_wasserstein(*sets, sizes=(16, 8))
    assert parts == pytest.approx(whole, rel=0.2)


def test_seeds(noise):
    sets = noise(10, seed=1), noise(10, seed=2)
    values = [sliced_wasserstein(*sets, seed=s) for s in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    assert all(type(v) is float for v in values[0].values())


def test_more_images_have_a_lower_floor(noise):
    sets = noise(400, 8, seed=1), noise(400, 8, seed=2)
    many = sliced_wasserstein(*sets, patches=4)[8]
    few = sliced_wasserstein(*(s[:25] for s in sets), patches=4)[8]
    assert few / many == pytest.approx(4, rel=0.15)


def test_brightness_and_contrast_are_invisible(noise):
    real = noise(20) // 2
    brighter = real + np.array([0, 60, 100], "uint8")
    same = sliced_wasserstein(real, real)
    assert sliced_wasserstein(real, brighter) == pytest.approx(same, rel=1e-3)
    assert sliced_wasserstein(real, 2 * real) == pytest.approx(same, rel=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.0005])
def test_channels_that_hardly_vary(share):
    """Their few digits are not lost, however far from 0 they are."""
    rng = np.random.default_rng(0)
    dark = (rng.random((2, 100, 16, 16, 1)) < share).astype("uint8")
    bright = 254 + dark
    expected = sliced_wasserstein(*dark, sizes=(16,))[16]
    value = sliced_wasserstein(*bright, sizes=(16,))[16]
    assert value == pytest.approx(expected, rel=1e-6)


def test_constant_images(noise):
    flat = np.full((8, 16, 16, 3), 9, "uint8")
    assert sliced_wasserstein(flat, flat) == {16: 0, 8: 0}
    # Independent pixels: every projection is about a standard Gaussian.
    distance = sliced_wasserstein(flat, noise(8), sizes=(16,))[16]
    assert distance == pytest.approx(1e3 * np.sqrt(2 / np.pi), rel=0.02)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_images(noise, count):
    values = sliced_wasserstein(noise(count, 7, 1), noise(count, 7, 1, seed=1))
    assert values[7] > 0


def test_what_is_refused(noise):
    with pytest.raises(ValueError, match=r"len\(real\)=3, len\(generated\)=2"):
        sliced_wasserstein(noise(3), noise(2))
    with pytest.raises(ValueError, match=r"7 pixels.*\(16, 8, 4\)"):
        sliced_wasserstein(noise(3), noise(3), sizes=(16, 8, 4))
    with pytest.raises(ValueError, match="patches=0"):
        sliced_wasserstein(noise(3), noise(3), patches=0)


def test_real_images(cifar10):
    """The floor of PGGAN's own levels, n = 2048: about 5.4 and 11.5."""
    train, test = (cifar10[split][:300] for split in ("train", "test"))
    floor = sliced_wasserstein(train, test, sizes=(32, 16))
    noisy = np.clip(
        test + np.random.default_rng(0).normal(0, 10, test.shape), 0, 255
    ).astype("uint8")
    values = sliced_wasserstein(train, noisy, sizes=(32, 16))
    assert floor[32] == pytest.approx(5.4 * np.sqrt(2048 / 300), rel=0.25)
    assert floor[16] == pytest.approx(11.5 * np.sqrt(2048 / 300), rel=0.35)
    assert values[32] > 3 * floor[32]


@pytest.mark.slow
def test_the_authors_samples(cifar10, authors_samples, stretched):
    real = stretched(cifar10["train"][:6000], 0)
    other = stretched(cifar10["train"][6000:12000], 1)
    values = sliced_wasserstein(real, authors_samples)
    assert list(values.values()) == pytest.approx([18.2, 23.0, 162], rel=0.07)
    floor = sliced_wasserstein(real, other)
    assert list(floor.values()) == pytest.approx([2.7, 4.1, 19.5], rel=0.2)
    # The floors that are often quoted, from a quarter of the patches.
    floor = sliced_wasserstein(real, other, patches=32)
    assert list(floor.values()) == pytest.approx([4.8, 5.5, 20.8], rel=0.2)
