import warnings

import numpy as np

from keras_lapgan.metrics.checks import check_floats
from keras_lapgan.metrics.distances import blocks
from keras_lapgan.metrics.distances import squared_distances

# Goodfellow et al., 2014, for pixels in [0, 1].
_WIDTHS = tuple(np.logspace(-1, 0, 10))
_MULTI_SCALE_WIDTHS = tuple(np.geomspace(0.1, 5, 30))


class ParzenWindow:
    """The density of a Gaussian at each of a number of samples.

    `log p(x) = log mean_i exp(-|x - s_i|^2 / 2 w^2) - d log(w sqrt(2 pi))`

    in nats, float64 throughout. It depends on the scale of `x`: values
    multiplied by `a` have `d log(a)` less.

    Args:
        samples: float array `(n, ...)`. The centres, flattened to `(n, d)`.
        width: float. Standard deviation of the Gaussians.

    Raises:
        ValueError: The samples are no finite floats, or the width is not
            positive.

    Example:

    ```python
    window = ParzenWindow(samples, width=0.2)
    window.log_likelihood(test).mean()
    ```

    Reference:
    - Parzen, *On estimation of a probability density function and mode*, 1962
    """

    def __init__(self, samples, width):
        self.samples = _vectors(samples, "samples")
        (self.width,) = _checked_widths([width])

    def log_likelihood(self, images):
        """The log-density at each image.

        Args:
            images: float array `(m, ...)` of the samples' shape.

        Returns:
            A float64 array `(m,)`.
        """
        images = _vectors(images, "images", self.samples.shape[1])
        return _log_likelihoods(self.samples, images, [self.width])[0]


def parzen_log_likelihood(samples, test, validation, *, widths=_WIDTHS):
    """Parzen-window log-likelihood of test images under a model's samples.

    The width is the one that gives the validation images the highest mean.
    Pictures are whatever floats the figures shall be in: [0, 1] (Goodfellow
    et al.), or standardised per pixel and channel over the training set, as
    in the table of Denton et al., 2015 (32 x 32, real training images
    as samples: -3409 with n = 10,000). The estimate rises with the number of
    samples, and says little about their quality (Theis et al.): say so
    wherever it is printed.

    Args:
        samples: float array `(n, ...)`. What the model drew.
        test: float array `(m, ...)` of the same shape but for m.
        validation: float array, the same. Other images than `test`.
        widths: sequence of floats. Widths to choose from. One that is best
            and the first or the last warns. Defaults to ten from 0.1 to 1, at
            equal ratios.

    Returns:
        A dict of floats: `"mean"`, `"std"` over images, `"standard_error"` of
        the mean, in nats, and the `"width"`.

    Raises:
        ValueError: An argument is of another form, or shapes differ.

    Example:

    ```python
    scores = parzen_log_likelihood(samples, images[:1000], images[1000:2000])
    f"{scores['mean']:.0f} +- {scores['standard_error']:.0f} nats"
    ```

    Reference:
    - [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661), section 5
    - [Theis et al., 2016](https://arxiv.org/abs/1511.01844)
    """
    samples = _vectors(samples, "samples")
    test = _vectors(test, "test", samples.shape[1])
    validation = _vectors(validation, "validation", samples.shape[1])
    widths = _checked_widths(widths)
    width = _best_width(samples, validation, widths)
    scores = ParzenWindow(samples, width).log_likelihood(test)
    return {**_summary(scores), "width": width}


def multi_scale_log_likelihood(
    samples, test, validation, *, widths=_MULTI_SCALE_WIDTHS
):
    """Log-likelihood of images as the sum of their bands' Parzen windows.

    In an orthonormal Haar basis an image is its low-pass and its details, so
    `log p(I) = log q_K(I_K) + sum_k log q_k(h_k | I_{k+1})`. Each term is a
    Parzen window with a width of its own, the details' given the test image's
    own low-pass. Levels are numbered as in the paper, 0 the finest, and
    `I_{k+1}` is the 2 x 2 mean of `I_k`; the orthonormal one is `2 ** (k + 1)`
    times as large, which is taken care of here. The sum is not comparable to
    a plain Parzen window's.

    Args:
        samples: list, finest level first; item k is for level k, whose side
            is `side / 2 ** k`. A float array `(n, side_k, side_k, channels)`
            of pictures `I_k` or bands, of which only the details count but at
            the coarsest level; or, above the coarsest, a function that takes
            the low-pass `(side_k / 2, side_k / 2, channels)` of one test
            image, float32 or float64 as `test`, and returns such an array,
            drawn given it.
        test: float array `(m, side, side, channels)`.
        validation: float array, the same. Other images than `test`.
        widths: sequence of floats. Widths to choose from at each level, in
            the orthonormal basis. Defaults to thirty from 0.1 to 5, at equal
            ratios, for standardised pictures.

    Returns:
        A dict of floats: `"mean"`, `"std"` over images, `"standard_error"` of
        the mean, in nats, and `"levels"`, a dict from each level's side to
        the same three and its `"width"`.

    Raises:
        ValueError: An argument is of another form, or a level's side is not
            half of the one before.

    Example:

    ```python
    def details(low_pass):
        conditions = np.repeat(low_pass[None], 1000, axis=0)
        return draw(conditions)  # (1000, 32, 32, 3)


    scores = multi_scale_log_likelihood(
        [details, coarse_samples], test, validation
    )
    scores["levels"][16]["mean"]
    ```

    Reference:
    - [Denton et al., 2015](https://arxiv.org/abs/1506.05751), appendix
    """
    test = _pictures(test, "test")
    validation = _pictures(validation, "validation", test.shape[1:])
    samples = _checked_levels(samples, test.shape[1:])
    widths = _checked_widths(widths)
    total = np.zeros(len(test))
    levels = {}
    pictures = [test, validation]
    for k, level in enumerate(samples):
        side = pictures[0].shape[1]
        if k == len(samples) - 1:
            vectors = [_flat(images) for images in pictures]
            centres = [_flat(level)] * 2
        else:
            vectors = [_details(images) for images in pictures]
            pictures = [_low_pass(images) for images in pictures]
            if callable(level):
                centres = [_given(level, images) for images in pictures]
            else:
                centres = [_details(level)] * 2
        # In the orthonormal basis all values are `scale` times as large.
        scale = 2.0**k
        width = _best_width(centres[1], vectors[1], widths / scale)
        (scores,) = _log_likelihoods(centres[0], vectors[0], [width])
        scores -= vectors[0].shape[1] * np.log(scale)
        levels[side] = {**_summary(scores), "width": width * scale}
        total += scores
    return {**_summary(total), "levels": levels}


def _best_width(centres, vectors, widths):
    """The width that gives validation images the highest mean.

    Args:
        centres, vectors: of the validation set, as `_log_likelihoods` takes
            them.
        widths: float array.

    Returns:
        A float.
    """
    means = _log_likelihoods(centres, vectors, widths).mean(axis=1)
    best = int(means.argmax())
    if len(widths) > 1 and widths[best] in (widths.min(), widths.max()):
        warnings.warn(
            "The best width is the smallest or largest of those tried: the "
            "likelihood may be higher outside. Give other widths. Received: "
            f"widths from {widths.min():.3g} to {widths.max():.3g}",
            stacklevel=3,
        )
    return float(widths[best])


def _log_likelihoods(centres, vectors, widths):
    """Log-densities under Parzen windows of several widths.

    Args:
        centres: float array `(n, d)`; or a function from an index of
            `vectors` to the array that is for this one alone.
        vectors: float array `(m, d)`.
        widths: sequence of floats.

    Returns:
        A float64 array `(len(widths), m)`.
    """
    if callable(centres):
        each = [
            _log_likelihoods(centres(i), vectors[i : i + 1], widths)
            for i in range(len(vectors))
        ]
        return np.concatenate(each, axis=1)
    result = np.empty((len(widths), len(vectors)))
    for rows in blocks(len(vectors), len(centres)):
        some_vectors = vectors[rows].astype("float64")
        squared = np.empty((len(some_vectors), len(centres)))
        # In pieces: all centres in float64 may be a gigabyte.
        for some in blocks(len(centres), vectors.shape[1]):
            squared[:, some] = squared_distances(
                some_vectors, centres[some].astype("float64")
            )
        nearest = squared.min(axis=1, keepdims=True)
        squared -= nearest
        kernel = np.empty_like(squared)
        for i, width in enumerate(widths):
            np.multiply(squared, -1 / (2 * width**2), out=kernel)
            np.exp(kernel, out=kernel)
            result[i, rows] = np.log(kernel.mean(axis=1))
            result[i, rows] -= nearest[:, 0] / (2 * width**2)
    normalizer = np.log(np.asarray(widths) * np.sqrt(2 * np.pi))
    return result - vectors.shape[1] * normalizer[:, None]


def _summary(scores):
    std = float(scores.std())
    return {
        "mean": float(scores.mean()),
        "std": std,
        "standard_error": std / float(np.sqrt(len(scores))),
    }


# === The Haar basis ===


def _quarters(images):
    """The four pixels of each 2 x 2 square."""
    return [images[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


def _low_pass(images):
    return sum(_quarters(images)) / 4


def _details(images):
    a, b, c, d = _quarters(images)
    details = np.concatenate(
        [_flat(a - b + c - d), _flat(a + b - c - d), _flat(a - b - c + d)],
        axis=1,
    )
    details /= 2
    return details


def _flat(images):
    return images.reshape(len(images), -1)


def _given(level, low_passes):
    """A function from an image's index to the details drawn for it."""
    height, width, channels = low_passes.shape[1:]
    shape = (2 * height, 2 * width, channels)

    def centres(i):
        drawn = level(low_passes[i])
        return _details(_pictures(drawn, "what samples draw", shape))

    return centres


# === Checks ===


def _vectors(images, name, length=None):
    images = check_floats(images, name)
    if images.ndim < 2 or not images.size:
        raise ValueError(
            f"Expected {name} to have the shape (n, ...), with an image at "
            f"least. Received: {name}.shape={images.shape}"
        )
    images = _flat(images)
    if length not in (None, images.shape[1]):
        raise ValueError(
            f"Expected {name} to have the {length} values an image that the "
            f"samples have. Received: {images.shape[1]} values an image"
        )
    return images


def _pictures(images, name, shape=None):
    images = check_floats(images, name)
    if images.ndim != 4 or not images.size:
        raise ValueError(
            f"Expected {name} to have the shape (n, side, side, channels), "
            f"with an image at least. Received: {name}.shape={images.shape}"
        )
    if shape not in (None, images.shape[1:]):
        raise ValueError(
            f"Expected images of shape {shape} in {name}. "
            f"Received: {images.shape[1:]}"
        )
    return images


def _checked_levels(samples, shape):
    samples = list(samples)
    if not samples or callable(samples[-1]):
        raise ValueError(
            "Expected samples to be a list, finest level first, that ends "
            "with an array, the coarsest level's. "
            f"Received: {len(samples)} levels"
        )
    height, width, channels = shape
    for k, level in enumerate(samples):
        if callable(level):
            continue
        samples[k] = _pictures(level, f"samples[{k}]")
        if samples[k].shape[1:] != (height / 2**k, width / 2**k, channels):
            raise ValueError(
                "The multi-scale likelihood is defined for pyramids whose "
                "steps are exact halvings by 2 x 2 means (32, 16, 8, not 28, "
                f"14, 8). Received: samples[{k}].shape={samples[k].shape} "
                f"where test images are {shape}"
            )
    return samples


def _checked_widths(widths):
    widths = np.asarray(widths, dtype="float64")
    if (
        widths.ndim != 1
        or not widths.size
        or not ((widths > 0) & np.isfinite(widths)).all()
    ):
        raise ValueError(
            "Expected widths to be positive numbers. "
            f"Received: {widths.tolist()}"
        )
    return widths
