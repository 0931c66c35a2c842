import numpy as np

from keras_lapgan.metrics.binomial_pyramid import binomial_pyramid
from keras_lapgan.metrics.binomial_pyramid import pyramid_sides
from keras_lapgan.metrics.checks import check_images
from keras_lapgan.metrics.distances import blocks


def band_statistics(images, *, sizes=None):
    """Describes images and each level of their Laplacian pyramid.

    To compare, generated against real: the sliced Wasserstein distance, of
    whose pyramid these levels are, does not see brightness and contrast.

    Args:
        images: uint8 array `(n, side, side, channels)`.
        sizes: sequence of ints, or None. Sides of the levels, as in
            `sliced_wasserstein`. Defaults to `None`.

    Returns:
        A dict of `"channel_mean"` and `"channel_std"`, lists of floats in
        0..255, and `"levels"`, a dict from each level's side to a dict of

        - `"std"`: float. Standard deviation of all values.
        - `"kurtosis"`: float. Their fourth moment over the squared variance:
          3 for a Gaussian, about 10 for bands of photographs, 0 if nothing
          varies.
        - `"spectrum"`: list of floats. Mean power of the frequencies on the
          rings 0, 1, ... cycles an image, to half the side; the mean of a
          flat spectrum is the variance. Ring 0 is `side ** 2` times the mean
          square of the images' means.

    Raises:
        ValueError: An argument is of another form, or the images are not
            square.

    Example:

    ```python
    levels = band_statistics(images)["levels"]
    levels[32]["std"]
    ```

    Reference:
    - [Burt and Adelson, 1983](https://doi.org/10.1109/TCOM.1983.1095851)
    - Field, *Relations between the statistics of natural images and the
      response properties of cortical cells*, 1987
    """
    images = check_images(images, "images")
    sides = pyramid_sides(images, sizes)
    sums = np.zeros((2, images.shape[3]))
    levels = {side: _Level(side) for side in sides}
    for block in blocks(len(images), 4 * images[0].size):
        bands = binomial_pyramid(images[block], len(sides))
        for level, band in zip(levels.values(), bands, strict=True):
            level.add(band)
        values = images[block].astype("float64")
        sums += [values.sum((0, 1, 2)), np.square(values).sum((0, 1, 2))]
    mean, square = sums / (images.size / images.shape[3])
    return {
        "channel_mean": mean.tolist(),
        "channel_std": np.sqrt(np.maximum(square - mean**2, 0)).tolist(),
        "levels": {side: level.result() for side, level in levels.items()},
    }


class _Level:
    """Adds up what is asked of one level."""

    def __init__(self, side):
        self.count = 0
        # Of x, x**2, x**3 and x**4.
        self.sums = np.zeros(4)
        self.power = np.zeros((side, side))
        frequency = np.fft.fftfreq(side, 1 / side)
        ring = np.rint(np.hypot(frequency[:, None], frequency))
        self.ring = ring.astype("int64").ravel()

    def add(self, band):
        self.count += band.size
        x = band.ravel().astype("float64")
        square = x * x
        self.sums += [x.sum(), square.sum(), square @ x, square @ square]
        spectrum = np.fft.fft2(band, axes=(1, 2))
        power = spectrum.real**2 + spectrum.imag**2
        self.power += power.sum(axis=(0, 3), dtype="float64")

    def result(self):
        first, second, third, fourth = self.sums / self.count
        variance = max(second - first**2, 0)
        central = fourth - 4 * first * third + 6 * first**2 * second
        central -= 3 * first**4
        side = len(self.power)
        spectrum = np.bincount(self.ring, self.power.ravel() / self.count)
        spectrum /= np.bincount(self.ring)
        return {
            "std": float(np.sqrt(variance)),
            "kurtosis": float(central / variance**2) if variance else 0.0,
            "spectrum": spectrum[: side // 2 + 1].tolist(),
        }
