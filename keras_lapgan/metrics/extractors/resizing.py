"""The resizings that feature extractors are used with, as fixed matrices.

Features depend on how pictures are enlarged to what a network takes, and
libraries differ in it. As matrices all are the same on every backend.
"""

import functools
import math

import numpy as np

RESIZE_MODES = ("legacy_tensorflow", "legacy_pytorch", "clean")


def resizing_matrix(source, target, mode):
    """The matrix that resizes one axis from `source` to `target` pixels.

    - `"legacy_tensorflow"`: bilinear as in TensorFlow 1, output `i` lies at
      `i * source / target`. What published FIDs use.
    - `"legacy_pytorch"`: bilinear between the pixels' centres, without a
      filter that shrinking would need.
    - `"clean"`: Pillow's bicubic, wider where it shrinks.

    Args:
        source: int. Pixels before.
        target: int. Pixels after.
        mode: str. One of the above.

    Returns:
        A read-only float32 array of shape `(target, source)` whose rows sum to
        one.

    Raises:
        ValueError: The mode is unknown.

    Example:

    ```python
    resizing_matrix(2, 4, "legacy_tensorflow")
    # array([[1. , 0. ],
    #        [0.5, 0.5],
    #        [0. , 1. ],
    #        [0. , 1. ]])
    ```

    Reference:
    - [Parmar et al., 2022](https://arxiv.org/abs/2104.11222)
    """
    if mode not in RESIZE_MODES:
        raise ValueError(
            f"Expected resize to be one of {RESIZE_MODES}. "
            f"Received: resize={mode!r}"
        )
    return _matrix(source, target, mode)


def resize_images(images, size, mode, out=None):
    """Resizes images as an extractor wants them.

    Args:
        images: uint8 array of shape `(n, height, width, channels)`.
        size: tuple of 2 ints. Height and width of the result.
        mode: str. See `resizing_matrix`. `"clean"` is clipped to 0..255.
        out: float32 array of the result's shape, or None. Where the result
            is put. Defaults to `None`.

    Returns:
        A float32 array of shape `(n, *size, channels)`.
    """
    count, height, width, channels = images.shape
    rows = resizing_matrix(height, size[0], mode)
    columns = resizing_matrix(width, size[1], mode)
    # Products of matrices, columns first, as Pillow does.
    x = images.transpose(0, 2, 1, 3).reshape(count, width, height * channels)
    x = columns @ x.astype("float32")
    x = x.reshape(count, size[1], height, channels).transpose(0, 2, 1, 3)
    x = x.reshape(count, height, size[1] * channels)
    if out is None:
        out = np.empty((count, *size, channels), "float32")
    np.matmul(rows, x, out=out.reshape(count, size[0], -1))
    if mode == "clean":
        np.clip(out, 0, 255, out=out)
    return out


@functools.lru_cache(maxsize=64)
def _matrix(source, target, mode):
    matrix = np.zeros((target, source))
    step = source / target
    if mode == "clean":
        stretch = max(step, 1.0)
        for i in range(target):
            centre = (i + 0.5) * step
            first = max(int(centre - 2 * stretch + 0.5), 0)
            last = min(int(centre + 2 * stretch + 0.5), source)
            pixels = np.arange(first, last) + 0.5
            weights = _cubic((pixels - centre) / stretch)
            matrix[i, first:last] = weights / weights.sum()
    else:
        # In float32, as in the originals: 30,000ths of a pixel are seen.
        step, half = np.float32(step), np.float32(0.5)
        for i in np.arange(target, dtype="float32"):
            place = i * step
            if mode == "legacy_pytorch":
                place = max((i + half) * step - half, 0)
            first = min(math.floor(place), source - 1)
            part = place - np.float32(first)
            matrix[int(i), first] += 1 - part
            matrix[int(i), min(first + 1, source - 1)] += part
    matrix = matrix.astype("float32")
    matrix.setflags(write=False)
    return matrix


def _cubic(x):
    """Keys' cubic with a = -1/2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
