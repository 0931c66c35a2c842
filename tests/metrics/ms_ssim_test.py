import importlib

import numpy as np
import pytest

from keras_lapgan.metrics import ms_ssim
from keras_lapgan.metrics import ms_ssim_diversity

module = importlib.import_module("keras_lapgan.metrics.ms_ssim")


def written_out(left, right):
    """The progressive GANs' definition, window by window."""
    left, right = left.astype("float64"), right.astype("float64")
    result = 1.0
    for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
        size = min(11, len(left))
        x = np.arange(size) - (size - 1) / 2
        g = np.exp(-(x**2) / (2 * (1.5 * size / 11) ** 2))
        window = np.outer(g, g)[:, :, None] / g.sum() ** 2
        ssim, contrast = [], []
        for i in range(len(left) - size + 1):
            for j in range(len(left) - size + 1):
                a = left[i : i + size, j : j + size]
                b = right[i : i + size, j : j + size]
                ma, mb = (window * a).sum((0, 1)), (window * b).sum((0, 1))
                va = (window * a * a).sum((0, 1)) - ma**2
                vb = (window * b * b).sum((0, 1)) - mb**2
                cov = (window * a * b).sum((0, 1)) - ma * mb
                c = (2 * cov + 58.5225) / (va + vb + 58.5225)
                contrast.append(c)
                ssim.append(
                    c * (2 * ma * mb + 6.5025) / (ma**2 + mb**2 + 6.5025)
                )
        factor = np.mean(ssim if scale == 4 else contrast)
        result *= max(factor, 0) ** weight
        if scale < 4:
            half = len(left) // 2
            left, right = (
                x[: 2 * half, : 2 * half]
                .reshape(half, 2, half, 2, -1)
                .mean((1, 3))
                for x in (left, right)
            )
    return result


@pytest.mark.parametrize("side", [32, 28, 16])
def test_definition(sample, side):
    images = sample[:6, :side, :side]
    noisy = np.clip(images.astype("int64") + 20 - images[::-1] // 8, 0, 255)
    noisy = noisy.astype("uint8")
    expected = [written_out(*pair) for pair in zip(images, noisy, strict=True)]
    values = ms_ssim(images, noisy)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    assert (values > 0.3).all() and (values < 1).all()


def test_scikit_image(sample):
    reason = "scikit-image, with which to compare, is not installed"
    skimage = pytest.importorskip("skimage.metrics", reason=reason)
    left, right = sample[:5], sample[5:10]
    pair = (x.transpose(0, 3, 1, 2).astype("float64") for x in (left, right))
    ssim, _ = module._similarities(*pair)
    expected = [
        skimage.structural_similarity(
            a / 255,
            b / 255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=-1,
            data_range=1.0,
        )
        for a, b in zip(left, right, strict=True)
    ]
    np.testing.assert_allclose(ssim, expected, rtol=1e-9)


def test_equal_and_unlike_images(noise, monkeypatch):
    images = noise(20, 32)
    np.testing.assert_allclose(ms_ssim(images, images), 1)
    assert ms_ssim(images, 255 - images).max() == 0
    other = noise(20, 32, seed=1)
    values = ms_ssim(images, other)
    distances = importlib.import_module("keras_lapgan.metrics.distances")
    monkeypatch.setattr(distances, "_BLOCK_VALUES", 1)
    np.testing.assert_allclose(ms_ssim(images, other), values)
    flat = np.full((1, 16, 16, 1), 3, "uint8")
    assert ms_ssim(flat, flat) == pytest.approx(1)


def test_diversity_of_classes(sample):
    images = np.concatenate([sample[:20], sample[[20] * 20]])
    labels = np.repeat([3, 8], 20)
    result = ms_ssim_diversity(images, labels, pairs=50)
    assert list(result["classes"]) == [3, 8]
    assert result["classes"][8] == pytest.approx(1)
    assert result["classes"][3] < 0.3
    assert result["mean"] == np.mean(list(result["classes"].values()))
    assert result == ms_ssim_diversity(images, labels, pairs=50)
    other = ms_ssim_diversity(images, labels, pairs=50, seed=1)
    assert other["classes"][3] != result["classes"][3]


def test_an_image_is_not_compared_with_itself(sample):
    two = sample[:2]
    (expected,) = ms_ssim(two[:1], two[1:])
    for seed in range(5):
        result = ms_ssim_diversity(two, pairs=3, seed=seed)
        assert result["mean"] == pytest.approx(expected)
    assert list(result["classes"]) == [0]


def test_what_is_refused(noise):
    with pytest.raises(ValueError, match="at least 2 images"):
        ms_ssim_diversity(noise(1))
    with pytest.raises(ValueError, match="1 image of class 2"):
        ms_ssim_diversity(noise(3), np.array([0, 0, 2]))
    for labels in (np.zeros(2, int), np.zeros(3), np.zeros((3, 1), int)):
        with pytest.raises(ValueError, match="3 integers"):
            ms_ssim_diversity(noise(3), labels)
    with pytest.raises(ValueError, match="16 pixels"):
        ms_ssim(noise(3, 15), noise(3, 15))
    with pytest.raises(ValueError, match=r"\(3, 16.*\(2, 16"):
        ms_ssim(noise(3), noise(2))


def test_real_images(cifar10):
    """Random pairs of CIFAR-10's test pictures: 0.076, and 0 for most."""
    test = cifar10["test"]
    result = ms_ssim_diversity(test, pairs=2000)
    assert result["mean"] == pytest.approx(0.076, abs=0.01)
    values = ms_ssim(test[:500], test[500:1000])
    assert 0.6 < (values == 0).mean() < 0.8
