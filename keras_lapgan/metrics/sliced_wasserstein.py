import numpy as np

from keras_lapgan.metrics.binomial_pyramid import binomial_pyramid
from keras_lapgan.metrics.binomial_pyramid import pyramid_sides
from keras_lapgan.metrics.checks import check_image_pair
from keras_lapgan.metrics.checks import check_int

_PATCH = 7
_DIRECTIONS = 4 * 128
_IMAGES_AT_ONCE = 512
# Float32 values that are held of a set: 640 MB of its level, 256 MB of what
# its patches project to.
_HELD_VALUES = 160 * 10**6
_PROJECTED_VALUES = 2**26


def sliced_wasserstein(real, generated, *, sizes=None, patches=128, seed=0):
    """Sliced Wasserstein distance at each level of a Laplacian pyramid.

    The protocol of progressive GANs: 128 random patches of 7 x 7 pixels an
    image and level; each set's patches normalised to mean 0 and standard
    deviation 1 a channel; their projections on 4 x 128 random directions
    sorted and compared; the mean absolute difference, times 1000. The finer
    levels are bands, the last one is the low-pass. A channel of a set that
    never varies, whose normalisation is not defined, becomes 0.

    Two sets from one source are not at distance 0: the more images, the
    less, as `n ** -0.5`. Print that floor, real against other real images,
    at the same n. Another seed changes a figure by about 2 %. A difference
    in brightness or contrast alone is invisible (see `band_statistics`).

    Arithmetic is float32, as in the original. Memory is below 2 GB whatever
    the number of images.

    Args:
        real: uint8 array `(n, side, side, channels)`.
        generated: uint8 array of the same shape.
        sizes: sequence of ints, or None. Sides of the levels, finest first,
            each half of the one before and at least 7. Progressive GANs end
            at 16: `(32, 16)`. None halves while the side is even and its
            half has 7 pixels: 28, 14, 7 or 32, 16, 8. Defaults to `None`.
        patches: int. Patches an image and level. Other figures than with 128
            are not comparable: the floor is higher with fewer. Defaults to
            128.
        seed: int. What patches and directions are drawn from. Defaults to 0.

    Returns:
        A dict from each level's side to its distance x 1000, a float.

    Raises:
        ValueError: An argument is of another form, or the sets differ in
            their number of images or their size.

    Example:

    ```python
    from keras_lapgan.datasets import load_images

    images = load_images("sample").read(range(1000))
    sliced_wasserstein(images[:500], images[500:])  # {32: ..., 16: ..., 8: ...}
    ```

    Reference:
    - [Karras et al., 2018](https://arxiv.org/abs/1710.10196), section 5
    """
    real, generated = check_image_pair(real, generated)
    if len(real) != len(generated):
        raise ValueError(
            "Expected as many real as generated images, whose sorted patches "
            f"are compared one by one. Received: len(real)={len(real)}, "
            f"len(generated)={len(generated)}"
        )
    patches = check_int(patches, "patches", 1)
    seed = check_int(seed, "seed")
    sides = pyramid_sides(real, sizes)
    if sides[-1] < _PATCH:
        raise ValueError(
            f"Expected levels of at least {_PATCH} pixels, the side of a "
            f"patch. Received: levels of {sides} pixels"
        )
    result = {}
    for level, side in enumerate(sides):
        sets = [
            _Patches(images, level, len(sides), patches, (seed, level, i))
            for i, images in enumerate((real, generated))
        ]
        rng = np.random.default_rng((seed, level, 2))
        result[side] = _level_distance(*sets, rng)
    return result


def _level_distance(real, generated, rng):
    directions = rng.standard_normal((_DIRECTIONS, real.length))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    step = max(1, _PROJECTED_VALUES // len(real))
    total = 0.0
    for start in range(0, _DIRECTIONS, step):
        group = directions[start : start + step]
        difference = real.sorted_projections(group)
        difference -= generated.sorted_projections(group)
        np.abs(difference, out=difference)
        total += difference.sum(dtype="float64")
    return float(1e3 * total / (_DIRECTIONS * len(real)))


class _Patches:
    """Random patches of one level of a set of images.

    Those of 50,000 images would fill 4 GB: they are cut anew each time they
    are asked for, at the same places.
    """

    def __init__(self, images, level, num_levels, patches, key):
        self.images = images
        self.level = level
        # The next level makes this one a band.
        self.depth = min(level + 2, num_levels)
        self.key = key
        self.length = _PATCH**2 * images.shape[3]
        self.places = images.shape[1] // 2**level - _PATCH + 1
        # At a single place all patches of an image are the same one.
        self.an_image = patches if self.places > 1 else 1
        self.held = None
        if images.size / 4**level <= _HELD_VALUES:
            self.held = list(self._bands())
        # Products of what is far from 0 would leave few digits of channels
        # that hardly vary.
        self.shift = np.float32(0)
        first = next(iter(self)).reshape(-1, images.shape[3])
        means = first.mean(axis=0, dtype="float64")
        self.shift = np.tile(means, _PATCH**2).astype("float32")
        self.mean, self.std = self._moments()

    def __len__(self):
        return len(self.images) * self.an_image

    def _bands(self):
        # Fewer of large ones: a pyramid takes five times its images' size.
        step = max(1, min(_IMAGES_AT_ONCE, 2**24 // self.images[0].size))
        for start in range(0, len(self.images), step):
            images = self.images[start : start + step]
            yield binomial_pyramid(images, self.depth)[self.level]

    def __iter__(self):
        """Yields float32 arrays `(patches, 7 * 7 * channels)`, shifted."""
        rng = np.random.default_rng(self.key)
        for band in self.held or self._bands():
            count, side, _, channels = band.shape
            # (images, rows, columns, 7, 7 * channels), nothing copied.
            windows = np.lib.stride_tricks.sliding_window_view(
                band.reshape(count, side, side * channels),
                (_PATCH, _PATCH * channels),
                axis=(1, 2),
            )[:, :, ::channels]
            shape = (count, self.an_image)
            row = rng.integers(self.places, size=shape)
            column = rng.integers(self.places, size=shape)
            image = np.arange(count)[:, None]
            patches = windows[image, row, column].reshape(-1, self.length)
            patches -= self.shift
            yield patches

    def _moments(self):
        """Mean and deviation of each channel over all shifted patches."""
        sums = np.zeros((2, self.length))
        for patches in self:
            sums[0] += patches.sum(axis=0, dtype="float64")
            sums[1] += np.square(patches).sum(axis=0, dtype="float64")
        mean, square = sums.reshape(2, _PATCH**2, -1).mean(1) / len(self)
        return mean, np.sqrt(np.maximum(square - mean**2, 0))

    def sorted_projections(self, directions):
        """Sorts what normalised patches project to on each direction.

        Args:
            directions: float array `(k, 7 * 7 * channels)`.

        Returns:
            A float32 array `(k, len(self))`.
        """
        # A projection of (patch - mean) / std, without making it.
        scale = np.divide(
            1, self.std, where=self.std > 0, out=np.zeros_like(self.std)
        )
        weights = directions.reshape(len(directions), _PATCH**2, -1) * scale
        offset = (weights.sum(1) @ self.mean).astype("float32")
        weights = weights.reshape(directions.shape).astype("float32")
        result = np.empty((len(directions), len(self)), "float32")
        done = 0
        for patches in self:
            part = result[:, done : done + len(patches)]
            np.matmul(weights, patches.T, out=part)
            done += len(patches)
        result -= offset[:, None]
        result.sort(axis=1)
        return result
