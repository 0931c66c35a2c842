import json

import numpy as np
import pytest

from keras_lapgan.metrics import band_statistics
from keras_lapgan.metrics.binomial_pyramid import binomial_pyramid


def test_moments(sample):
    images = sample[:300]
    result = band_statistics(images)
    np.testing.assert_allclose(result["channel_mean"], images.mean((0, 1, 2)))
    np.testing.assert_allclose(result["channel_std"], images.std((0, 1, 2)))
    bands = binomial_pyramid(images, 3)
    assert list(result["levels"]) == [32, 16, 8]
    for level, band in zip(result["levels"].values(), bands, strict=True):
        band = band.astype("float64")
        assert level["std"] == pytest.approx(band.std())
        standard = (band - band.mean()) / band.std()
        assert level["kurtosis"] == pytest.approx((standard**4).mean())
    # Photographs: few strong edges in much that is smooth.
    assert result["levels"][32]["kurtosis"] > 5


def test_spectrum_of_a_wave():
    x = np.arange(32)
    wave = 100 + 50 * np.cos(2 * np.pi * 5 * x / 32)
    images = np.broadcast_to(wave[:, None, None], (2, 32, 32, 3))
    spectrum = band_statistics(np.rint(images).astype("uint8"), sizes=(32,))[
        "levels"
    ][32]["spectrum"]
    assert len(spectrum) == 17
    assert spectrum[0] == pytest.approx(32**2 * 100**2, rel=1e-3)
    assert np.argmax(spectrum[1:]) + 1 == 5
    assert max(spectrum[1:5] + spectrum[6:]) < 1e-3 * spectrum[5]


@pytest.mark.parametrize(
    "down, across, ring", [(1, 1, 1), (2, 2, 3), (3, 2, 4), (4, 4, 6)]
)
def test_a_frequency_counts_on_the_nearest_ring(down, across, ring):
    y, x = np.indices((32, 32))
    wave = 100 + 50 * np.cos(2 * np.pi * (down * y + across * x) / 32)
    images = np.rint(wave).astype("uint8")[None, :, :, None]
    levels = band_statistics(images, sizes=(32,))["levels"]
    assert np.argmax(levels[32]["spectrum"][1:]) + 1 == ring


def test_spectrum_of_noise_is_flat(noise):
    levels = band_statistics(noise(300), sizes=(16,))["levels"]
    np.testing.assert_allclose(
        levels[16]["spectrum"][1:], levels[16]["std"] ** 2, rtol=0.03
    )
    # A uniform distribution's.
    assert levels[16]["kurtosis"] == pytest.approx(1.8, rel=0.01)


def test_one_constant_image():
    result = band_statistics(np.full((1, 28, 28, 1), 200, "uint8"))
    assert result["channel_mean"] == [200] and result["channel_std"] == [0]
    for side, level in result["levels"].items():
        assert level["std"] == level["kurtosis"] == 0
        assert level["spectrum"][0] == (200**2 * 49 if side == 7 else 0)
    json.dumps(result, allow_nan=False)


def test_the_authors_samples(cifar10, authors_samples, stretched):
    def stds(images):
        return [v["std"] for v in band_statistics(images)["levels"].values()]

    real = stretched(cifar10["train"][:1000], 0)
    assert stds(real) == pytest.approx([22.8, 22.6, 55.2], rel=0.02)
    assert stds(authors_samples[:1000]) == pytest.approx(
        [19.4, 19.6, 45.0], rel=0.02
    )
