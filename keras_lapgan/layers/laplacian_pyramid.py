"""The Laplacian pyramid: images to bands and back."""

import keras
from keras import layers
from keras import ops

from keras_lapgan.layers.resampling import DOWN_METHODS
from keras_lapgan.layers.resampling import UP_METHODS
from keras_lapgan.layers.resampling import check_method
from keras_lapgan.layers.resampling import resample
from keras_lapgan.layers.resampling import standardize_size


@keras.saving.register_keras_serializable("keras_lapgan")
class LaplacianPyramid(layers.Layer):
    """Splits images into bands of detail and puts them together again.

    With `I_0` the images, `I_{k+1} = d(I_k)` and `K` the coarsest level, the
    bands are `h_k = I_k - u(I_{k+1})` for `k < K` and `h_K = I_K`; from `K`
    down, `I_k = u(I_{k+1}) + h_k` gives the images back to rounding (1e-6
    for values in [-1, 1]). `u(I_{k+1})` is the condition of level k. Levels
    are numbered as in the paper: 0 is the finest.

    There are no weights. Arithmetic is float32 whatever the dtype policy.

    Args:
        sizes: tuple of ints or of `(height, width)` pairs. The size of each
            level, finest first, strictly decreasing. One size alone makes a
            pyramid whose band is the image.
        down: str. Method of d: `"area"` or `"burt"` (see
            `keras_lapgan.layers.Downsample`). Defaults to `"area"`.
        up: str. Method of u: `"linear"`, `"burt"` or `"replicate"` (see
            `keras_lapgan.layers.Upsample`). Defaults to `"linear"`. `"area"`
            with `"replicate"` is an orthogonal pair: `d(u(x)) = x`.

    Call arguments:
        images: Tensor of shape `(batch, height, width, channels)` with the
            height and width of `sizes[0]`, float or uint8, any value range.

    Returns:
        The bands: a list of float32 tensors, finest first. `decompose`
        gives the conditions too.

    Raises:
        ValueError: The sizes do not decrease, a method can't take one size
            to the next, or images have another size than `sizes[0]`.

    Example:

    ```python
    pyramid = keras_lapgan.layers.LaplacianPyramid((28, 14, 8))
    images = np.random.uniform(-1, 1, (2, 28, 28, 3))
    for band, condition in pyramid.decompose(images):
        print(band.shape, condition is None)
    pyramid.reconstruct(pyramid(images))  # the images
    ```

    Reference:
    - [Denton et al., 2015](https://arxiv.org/abs/1506.05751), equations 3, 4
    - [Burt and Adelson, 1983](https://doi.org/10.1109/TCOM.1983.1095851)
    """

    def __init__(self, sizes, down="area", up="linear", **kwargs):
        # A policy of fewer bits would cost the pyramid its exact inverse.
        kwargs.pop("dtype", None)
        super().__init__(dtype="float32", **kwargs)
        if not isinstance(sizes, (tuple, list)) or not sizes:
            raise ValueError(
                "Expected sizes to be a non-empty tuple of ints or of "
                "(height, width) pairs, finest first. "
                f"Received: sizes={sizes!r}"
            )
        pairs = [standardize_size(size, "sizes") for size in sizes]
        for fine, coarse in zip(pairs, pairs[1:], strict=False):
            if not (coarse[0] < fine[0] and coarse[1] < fine[1]):
                raise ValueError(
                    "Expected sizes to decrease strictly from the finest "
                    f"level to the coarsest. Received: sizes={sizes!r}"
                )
        for name, method, known in (
            ("down", down, DOWN_METHODS),
            ("up", up, UP_METHODS),
        ):
            if method not in known:
                raise ValueError(
                    f"Expected {name} to be one of {known}. "
                    f"Received: {name}={method!r}"
                )
        for fine, coarse in zip(pairs, pairs[1:], strict=False):
            check_method(fine, coarse, down)
            check_method(coarse, fine, up)
        self.sizes = tuple(
            tuple(size) if isinstance(size, (tuple, list)) else int(size)
            for size in sizes
        )
        self.down = down
        self.up = up
        self._pairs = tuple(pairs)

    @property
    def num_levels(self):
        """int. How many levels there are, K + 1."""
        return len(self._pairs)

    def build(self, input_shape):
        self.built = True

    def level_size(self, level):
        """Height and width of a level.

        Args:
            level: int. 0 is the finest.

        Returns:
            A tuple of 2 ints.
        """
        self._check_level(level, self.num_levels - 1)
        return self._pairs[level]

    # === The paper's equations ===

    def gaussian(self, images):
        """The images at each level's size: `I_0 = I`, `I_{k+1} = d(I_k)`.

        Args:
            images: Tensor of shape `(batch, *level_size(0), channels)`.

        Returns:
            A list of float32 tensors, finest first.
        """
        images = self._check_images(images, 0)
        result = [images]
        for size in self._pairs[1:]:
            result.append(resample(result[-1], size, self.down))
        return result

    def condition(self, image, level):
        """What level `level` is conditioned on: `l_k = u(I_{k+1})`.

        Args:
            image: Tensor of shape `(batch, *level_size(level + 1), channels)`.
                The image one level coarser.
            level: int. The level k that the condition is for, from 0 to
                `num_levels - 2`.

        Returns:
            A float32 tensor of shape `(batch, *level_size(level), channels)`.
        """
        self._check_level(level, self.num_levels - 2)
        image = self._check_images(image, level + 1)
        return resample(image, self._pairs[level], self.up)

    def decompose(self, images):
        """Splits images into bands and conditions (equation 3).

        Args:
            images: Tensor of shape `(batch, *level_size(0), channels)`.

        Returns:
            A list of `(band, condition)`, index k for level k, float32
            tensors. The coarsest level's condition is None.
        """
        gaussian = self.gaussian(images)
        result = []
        for level, coarser in enumerate(gaussian[1:]):
            condition = self.condition(coarser, level)
            result.append((gaussian[level] - condition, condition))
        result.append((gaussian[-1], None))
        return result

    def reconstruct(self, bands):
        """Puts images together from their bands (equation 4).

        Args:
            bands: list of tensors, finest first, band k of shape
                `(batch, *level_size(k), channels)`.

        Returns:
            A float32 tensor of shape `(batch, *level_size(0), channels)`.
        """
        bands = list(bands)
        if len(bands) != self.num_levels:
            raise ValueError(
                f"Expected {self.num_levels} bands, one a level, finest "
                f"first. Received: len(bands)={len(bands)}"
            )
        bands = [
            self._check_images(band, level) for level, band in enumerate(bands)
        ]
        image = bands[-1]
        for level in reversed(range(self.num_levels - 1)):
            image = self.condition(image, level) + bands[level]
        return image

    def call(self, images):
        return [band for band, _ in self.decompose(images)]

    def compute_output_shape(self, input_shape):
        return [(input_shape[0], *pair, input_shape[3]) for pair in self._pairs]

    # === Checks ===

    def _check_level(self, level, last):
        if not 0 <= level <= last:
            raise ValueError(
                f"Expected level to be from 0 (the finest) to {last}. "
                f"Received: level={level}"
            )

    def _check_images(self, images, level):
        images = ops.cast(images, "float32")
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1:3] != self._pairs[level]:
            height, width = self._pairs[level]
            raise ValueError(
                f"Expected images of shape (batch, {height}, {width}, "
                f"channels) at level {level}. Received: shape={shape}"
            )
        return images

    # === Config ===

    def get_config(self):
        config = super().get_config()
        config.update({"sizes": self.sizes, "down": self.down, "up": self.up})
        return config
