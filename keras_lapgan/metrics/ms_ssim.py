import numpy as np

from keras_lapgan.metrics.checks import check_images
from keras_lapgan.metrics.checks import check_int
from keras_lapgan.metrics.distances import blocks

# Of the five scales, finest first (Wang et al., 2003).
_WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
_WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


def ms_ssim(left, right):
    """Multi-scale structural similarity of pairs of images.

    As progressive GANs have it, which is defined for small images too: five
    scales, each the 2 x 2 mean of the one before; at each a Gaussian window of
    11 x 11 pixels with standard deviation 1.5, or as large as the image and
    narrower in proportion; factors below 0 count as 0. A last row or column
    of an odd number is left out by the mean. Float64.

    Args:
        left: uint8 array `(n, height, width, channels)`, sides at least 16.
        right: uint8 array of the same shape.

    Returns:
        A float64 array `(n,)`, 1 for equal images.

    Raises:
        ValueError: An argument is of another form, shapes differ, or images
            are smaller than 16 pixels.

    Example:

    ```python
    ms_ssim(images[:100], images[100:200]).mean()
    ```

    Reference:
    - Wang et al., *Multi-scale structural similarity for image quality
      assessment*, 2003
    - [Karras et al., 2018](https://arxiv.org/abs/1710.10196)
    """
    left = _check_size(check_images(left, "left"), "left")
    right = check_images(right, "right")
    if left.shape != right.shape:
        raise ValueError(
            "Expected as many images on both sides, of the same size. "
            f"Received: left.shape={left.shape}, right.shape={right.shape}"
        )
    result = np.empty(len(left))
    # The five maps of a pair are in float64.
    for rows in blocks(len(left), 10 * left[0].size):
        result[rows] = _ms_ssim(left[rows], right[rows])
    return result


def ms_ssim_diversity(images, labels=None, *, pairs=1000, seed=0):
    """How similar images of a class are to each other: low is varied.

    The mean MS-SSIM of random pairs of two different images of a class,
    against which to hold that of real images. Near 1 all images of a class are
    the same.

    Args:
        images: uint8 array `(n, height, width, channels)`, sides at least 16.
        labels: int array `(n,)`, or None for one class. Defaults to `None`.
        pairs: int. Pairs of each class. Defaults to 1000.
        seed: int. What pairs are drawn from. Defaults to 0.

    Returns:
        A dict of `"mean"`, a float, the mean over classes, and `"classes"`, a
        dict from label to float; without labels its only key is 0.

    Raises:
        ValueError: An argument is of another form, images are smaller than 16
            pixels, or a class has less than two.

    Example:

    ```python
    ms_ssim_diversity(model.generate(1000, seed=0))["mean"]
    ```

    Reference:
    - [Odena et al., 2017](https://arxiv.org/abs/1610.09585), section 4.2
    """
    images = _check_size(check_images(images, "images", least=2), "images")
    if labels is None:
        labels = np.zeros(len(images), "int64")
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Expected labels to be {len(images)} integers, one an image. "
            f"Received: labels of shape {labels.shape}, {labels.dtype}"
        )
    pairs = check_int(pairs, "pairs", 1)
    rng = np.random.default_rng(check_int(seed, "seed"))
    classes = {}
    for label in np.unique(labels).tolist():
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise ValueError(
                "Expected two images of each class at least. "
                f"Received: 1 image of class {label}"
            )
        first = rng.integers(len(members), size=pairs)
        # One of the others.
        step = rng.integers(1, len(members), size=pairs)
        second = (first + step) % len(members)
        values = ms_ssim(images[members[first]], images[members[second]])
        classes[label] = float(values.mean())
    return {"mean": float(np.mean(list(classes.values()))), "classes": classes}


def _check_size(images, name):
    if min(images.shape[1:3]) < 2 ** (len(_WEIGHTS) - 1):
        raise ValueError(
            "Expected images of 16 pixels or more, for five scales. "
            f"Received: {name}.shape={images.shape}"
        )
    return images


def _ms_ssim(left, right):
    # Channels before pixels: each axis of the window is a matrix product.
    pair = np.stack([left, right]).transpose(0, 1, 4, 2, 3).astype("float64")
    result = 1.0
    for scale, weight in enumerate(_WEIGHTS):
        if scale:
            pair = _halve(pair)
        ssim, contrast = _similarities(*pair)
        factor = ssim if scale == len(_WEIGHTS) - 1 else contrast
        result *= np.maximum(factor, 0) ** weight
    return result


def _similarities(left, right):
    """Mean SSIM, and mean of its contrast and structure alone, of each pair.

    Args:
        left, right: float64 arrays `(n, channels, height, width)`.

    Returns:
        Two arrays `(n,)`.
    """
    size = min(_WINDOW, *left.shape[2:])
    down, across = (_gaussian(side, size) for side in left.shape[2:])
    maps = np.stack([left, right, left**2, right**2, left * right])
    mean1, mean2, square1, square2, product = down @ maps @ across.T
    both = mean1 * mean2
    squares = mean1**2 + mean2**2
    contrast = (2 * (product - both) + _C2) / (
        square1 + square2 - squares + _C2
    )
    ssim = (2 * both + _C1) / (squares + _C1) * contrast
    return ssim.mean((1, 2, 3)), contrast.mean((1, 2, 3))


def _gaussian(side, size):
    """The matrix that slides the window along an axis, where it fits."""
    offsets = np.arange(size) - (size - 1) / 2
    window = np.exp(-(offsets**2) / (2 * (_SIGMA * size / _WINDOW) ** 2))
    window /= window.sum()
    matrix = np.zeros((side - size + 1, side))
    for i, row in enumerate(matrix):
        row[i : i + size] = window
    return matrix


def _halve(images):
    height, width = (side // 2 * 2 for side in images.shape[-2:])
    even = images[..., :height, :width]
    return sum(even[..., i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
