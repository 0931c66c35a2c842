"""The map from pixel values to the values a LAPGAN works with."""

import keras
import numpy as np
from keras import layers
from keras import ops

MODES = ("unit", "per_channel", "per_pixel")
# How many images `adapt` holds in float64 at a time.
_CHUNK = 1024


@keras.saving.register_keras_serializable("keras_lapgan")
class ImageNormalization(layers.Layer):
    """Maps pixel values to normalised ones and back: `(x - mean) / std`.

    `mean` and `std` are weights, so they are saved and loaded with a model.
    Both start at 127.5, which maps 0..255 to [-1, 1]; `adapt` replaces them
    by statistics of a data set. Arithmetic is float32 whatever the dtype
    policy.

    Args:
        mode: str. `"unit"`: always [-1, 1]. `"per_channel"`: a mean and a
            standard deviation for each channel. `"per_pixel"`: one for each
            pixel and channel, as the authors of LAPGAN did.
        shape: tuple of 3 ints. Height, width and channels of the images.

    Call arguments:
        images: Tensor of shape `(batch, height, width, channels)`, uint8 or
            float, 0 to 255.

    Returns:
        A float32 tensor of the same shape.

    Example:

    ```python
    images = np.random.randint(0, 256, (100, 28, 28, 3), dtype="uint8")
    normalization = keras_lapgan.layers.ImageNormalization(
        "per_pixel", (28, 28, 3)
    )
    normalization.adapt(images)
    normalized = normalization(images)   # mean 0, standard deviation 1
    normalization.invert(normalized)     # 0 to 255 again
    ```

    Reference:
    - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def __init__(self, mode, shape, **kwargs):
        kwargs.pop("dtype", None)
        super().__init__(dtype="float32", **kwargs)
        if mode not in MODES:
            raise ValueError(
                f"Expected mode to be one of {MODES}. Received: mode={mode!r}"
            )
        if len(tuple(shape)) != 3:
            raise ValueError(
                "Expected shape to be (height, width, channels). "
                f"Received: shape={shape!r}"
            )
        self.mode = mode
        self.shape = tuple(int(value) for value in shape)
        weight_shape = {
            "unit": (1, 1, 1),
            "per_channel": (1, 1, self.shape[2]),
            "per_pixel": self.shape,
        }[mode]
        # Half precision can't hold 127.5 +- a little: no autocast.
        self.mean = self.add_weight(
            name="mean",
            shape=weight_shape,
            initializer=keras.initializers.Constant(127.5),
            trainable=False,
            autocast=False,
        )
        self.std = self.add_weight(
            name="std",
            shape=weight_shape,
            initializer=keras.initializers.Constant(127.5),
            trainable=False,
            autocast=False,
        )
        self.adapted = self.add_weight(
            name="adapted",
            shape=(),
            initializer="zeros",
            trainable=False,
            autocast=False,
        )
        self.built = True

    @property
    def is_adapted(self):
        """bool. Whether the statistics are a data set's (or fixed)."""
        if self.mode == "unit":
            return True
        return bool(ops.convert_to_numpy(self.adapted))

    def call(self, images):
        images = self._check(images)
        return (images - self.mean) / self.std

    def invert(self, images):
        """Maps normalised values back to pixel values.

        Args:
            images: Tensor of shape `(batch, height, width, channels)`.

        Returns:
            A float32 tensor of the same shape, clipped to 0..255.
        """
        images = self._check(images)
        return ops.clip(images * self.std + self.mean, 0.0, 255.0)

    def adapt(self, batches):
        """Sets mean and standard deviation to those of a data set.

        Population statistics, summed in float64 batch by batch; standard
        deviations below one grey level are raised to it. In mode `"unit"`
        nothing happens.

        Args:
            batches: One array of shape `(count, height, width, channels)` or
                an iterable of them (lists, generators, `tf.data.Dataset`),
                uint8 or float, 0 to 255.

        Raises:
            ValueError: A batch has another shape, holds NaN or infinity, or
                there is no image at all.
        """
        if self.mode == "unit":
            return
        if hasattr(batches, "shape"):
            batches = [batches]
        axis = (0, 1, 2) if self.mode == "per_channel" else (0,)
        count, mean, square = 0, 0.0, 0.0
        for batch in batches:
            batch = _to_numpy(batch)
            if batch.ndim != 4 or batch.shape[1:] != self.shape:
                raise ValueError(
                    f"Expected batches of shape (count, {self.shape[0]}, "
                    f"{self.shape[1]}, {self.shape[2]}). "
                    f"Received: shape={batch.shape}"
                )
            for start in range(0, len(batch), _CHUNK):
                chunk = batch[start : start + _CHUNK].astype("float64")
                # Chan et al.'s update: no cancellation, one pass.
                chunk_mean = chunk.mean(axis, keepdims=True)[0]
                size = chunk.size // chunk_mean.size
                chunk_square = ((chunk - chunk_mean) ** 2).sum(
                    axis, keepdims=True
                )[0]
                delta = chunk_mean - mean
                total = count + size
                mean = mean + delta * (size / total)
                square = square + chunk_square
                square = square + delta**2 * (count * size / total)
                count = total
        if not count:
            raise ValueError(
                "Expected at least one image to adapt to. Received: no images"
            )
        if not np.isfinite(mean).all():
            raise ValueError(
                "Expected finite pixel values. Received: images with NaN or "
                "infinity"
            )
        self.mean.assign(mean.astype("float32"))
        self.std.assign(
            np.maximum(np.sqrt(square / count), 1.0).astype("float32")
        )
        self.adapted.assign(1.0)

    def _check(self, images):
        images = ops.cast(images, "float32")
        shape = tuple(images.shape)[-3:]
        first = 0 if self.mode == "per_pixel" else 2
        if self.mode != "unit" and shape[first:] != self.shape[first:]:
            raise ValueError(
                f"Expected images of shape (batch, {self.shape[0]}, "
                f"{self.shape[1]}, {self.shape[2]}). "
                f"Received: shape={tuple(images.shape)}"
            )
        return images

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update({"mode": self.mode, "shape": self.shape})
        return config


def _to_numpy(batch):
    if isinstance(batch, np.ndarray):
        return batch
    if ops.is_tensor(batch):
        return ops.convert_to_numpy(batch)
    return np.asarray(batch)
