import numpy as np
import pytest

from keras_lapgan.layers.resampling import resampling_matrix
from keras_lapgan.metrics.binomial_pyramid import binomial_pyramid
from keras_lapgan.metrics.binomial_pyramid import pyramid_sides


def along_axes(matrix, images):
    return np.einsum("ij,njkc,lk->nilc", matrix, images, matrix)


@pytest.mark.parametrize("side", [28, 32, 4, 2])
def test_it_is_the_pyramid_of_the_layers(noise, side):
    images = noise(3, side)
    down = resampling_matrix(side, side // 2, "burt")
    up = resampling_matrix(side // 2, side, "burt")
    fine, coarse = binomial_pyramid(images, 2)
    assert fine.dtype == coarse.dtype == np.float32
    expected = along_axes(down, images)
    np.testing.assert_allclose(coarse, expected, atol=1e-4)
    expected = images - along_axes(up, expected)
    np.testing.assert_allclose(fine, expected, atol=1e-4)


def test_it_is_a_convolution_with_mirrored_borders(noise):
    reason = "scipy, with which to compare, is not installed"
    ndimage = pytest.importorskip("scipy.ndimage", reason=reason)
    image = noise(1, 28, 1)[0, :, :, 0].astype("float64")
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    coarse = ndimage.convolve(image, kernel, mode="mirror")[::2, ::2]
    spread = np.zeros((28, 28))
    spread[::2, ::2] = coarse
    fine = image - ndimage.convolve(spread, 4 * kernel, mode="mirror")
    bands = binomial_pyramid(image[None, :, :, None], 2)
    np.testing.assert_allclose(bands[0][0, :, :, 0], fine, atol=1e-4)
    np.testing.assert_allclose(bands[1][0, :, :, 0], coarse, atol=1e-4)


def test_constant_images_have_no_band():
    images = np.full((2, 28, 28, 3), 77, "uint8")
    fine, middle, coarse = binomial_pyramid(images, 3)
    assert (fine == 0).all() and (middle == 0).all() and (coarse == 77).all()


@pytest.mark.parametrize(
    "side, sides",
    [
        (28, (28, 14, 7)),
        (32, (32, 16, 8)),
        (64, (64, 32, 16, 8)),
        (96, (96, 48, 24, 12)),
        (13, (13,)),
        (12, (12,)),
    ],
)
def test_sizes(side, sides):
    images = np.zeros((1, side, side, 3))
    assert pyramid_sides(images) == sides
    assert pyramid_sides(images, list(sides)) == sides
    assert pyramid_sides(images, np.array(sides[:1])) == sides[:1]


@pytest.mark.parametrize(
    "sizes", [(), (14, 7), (28, 14, 8), (28, 7), (28, 14, 7, 3), (28.0, 14)]
)
def test_sizes_that_do_not_halve(sizes):
    with pytest.raises(ValueError, match="Received: "):
        pyramid_sides(np.zeros((1, 28, 28, 3)), sizes)
    with pytest.raises(ValueError, match="height=28, width=32"):
        pyramid_sides(np.zeros((1, 28, 32, 3)))


@pytest.mark.parametrize("sizes", [32, 32.0])
def test_sizes_that_are_no_sequence(sizes):
    with pytest.raises(ValueError, match="sequence of ints.*sizes="):
        pyramid_sides(np.zeros((1, 32, 32, 3)), sizes)
