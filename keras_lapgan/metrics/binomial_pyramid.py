"""The Laplacian pyramid of Burt and Adelson, in numpy."""

import numpy as np

from keras_lapgan.metrics.checks import check_int

_LEAST_SIDE = 7


def pyramid_sides(images, sizes=None):
    """The sides of a pyramid's levels, checked against the images.

    Args:
        images: array `(n, side, side, channels)`.
        sizes: sequence of ints, or None. Sides of the levels, finest first,
            each half of the one before. None goes on as long as the side is
            even and its half has 7 pixels.

    Returns:
        A tuple of ints.

    Raises:
        ValueError: The images are not square, the first size is not theirs,
            or a step is no halving.
    """
    height, width = images.shape[1:3]
    if height != width:
        raise ValueError(
            "Expected square images; crop them first. "
            f"Received: height={height}, width={width}"
        )
    if sizes is None:
        sizes = [height]
        while sizes[-1] % 2 == 0 and sizes[-1] // 2 >= _LEAST_SIDE:
            sizes.append(sizes[-1] // 2)
        return tuple(sizes)
    if not np.iterable(sizes):
        raise ValueError(
            "Expected sizes to be a sequence of ints, the side of each level. "
            f"Received: sizes={sizes!r}"
        )
    sizes = tuple(check_int(size, "each of sizes", 1) for size in sizes)
    halvings = tuple(height / 2**k for k in range(len(sizes)))
    if not sizes or sizes != halvings:
        raise ValueError(
            "Expected sizes to begin with the images' side and to halve at "
            "each step: this pyramid has no other steps. "
            f"Received: sizes={sizes} for images of {height} pixels"
        )
    return sizes


def binomial_pyramid(images, count):
    """Splits images into the bands of a Laplacian pyramid.

    The kernel is `[1, 4, 6, 4, 1] / 16` along both axes, and borders are
    reflected about the border pixel, as in OpenCV's `pyrDown` and `pyrUp`.

    Args:
        images: array `(n, height, width, channels)`.
        count: int. Number of levels. The sides of all but the last are even.

    Returns:
        A list of float32 arrays, finest first; the last one is the low-pass.
    """
    levels = [images.astype("float32")]
    for _ in range(count - 1):
        coarse = _halve(_halve(levels[-1], 1), 2)
        levels[-1] -= _double(_double(coarse, 1), 2)
        levels.append(coarse)
    return levels


def _halve(images, axis):
    x = np.moveaxis(images, axis, 0)
    x = np.pad(x, [(2, 2)] + [(0, 0)] * 3, mode="reflect")
    end = len(x) - 4
    half = 6 * x[2 : end + 2 : 2]
    half += 4 * (x[1 : end + 1 : 2] + x[3 : end + 3 : 2])
    half += x[:end:2] + x[4::2]
    half /= 16
    return np.moveaxis(half, 0, axis)


def _double(images, axis):
    # The kernel on an axis with zeros between pixels, which stay in their
    # places under reflection: it is about the first pixel, and about the
    # zero after the last.
    x = np.moveaxis(images, axis, 0)
    before = np.concatenate([x[1:2] if len(x) > 1 else x, x[:-1]])
    after = np.concatenate([x[1:], x[-1:]])
    double = np.empty((2 * len(x), *x.shape[1:]), "float32")
    double[::2] = (before + 6 * x + after) / 8
    double[1::2] = (x + after) / 2
    return np.moveaxis(double, 0, axis)
