"""Crops of a batch, a different one for each image."""

import keras
from keras import layers
from keras import ops

from keras_lapgan.layers.resampling import standardize_size

MODES = ("corners", "random", "center")


@keras.saving.register_keras_serializable("keras_lapgan")
class Crop(layers.Layer):
    """Cuts images to a size, at random for each image of the batch.

    The random numbers come with the call, so that the owner of the layer
    decides on their source; without them the crop is the centre and nothing
    is flipped. Pixels are picked, never multiplied: values stay exact on
    every device. Images that already have the size are flipped at most.

    Args:
        size: int or tuple of 2 ints. Height and width of the result.
        mode: str. `"corners"`: one of the four corner crops, as in the paper.
            `"random"`: any position. `"center"`. Defaults to `"corners"`.
        flip: bool. Whether to mirror half of the images, left to right.
            Defaults to `False`.

    Call arguments:
        images: Tensor of shape `(batch, height, width, channels)`, uint8 or
            float, any value range.
        random: object or None. Its method `uniform(shape, stream)` gives
            float32 numbers in [0, 1); streams are `"crop_rows"`,
            `"crop_columns"` and `"flip"`. Defaults to `None`.

    Returns:
        A float32 tensor of shape `(batch, *size, channels)` in the same
        value range.

    Raises:
        ValueError: The images are smaller than `size`.

    Example:

    ```python
    images = np.random.randint(0, 256, (8, 32, 32, 3), dtype="uint8")
    keras_lapgan.layers.Crop(28)(images).shape  # (8, 28, 28, 3)
    ```

    Reference:
    - [Denton et al., 2015](https://arxiv.org/abs/1506.05751)
    """

    def __init__(self, size, mode="corners", flip=False, **kwargs):
        kwargs.pop("dtype", None)
        super().__init__(dtype="float32", **kwargs)
        if mode not in MODES:
            raise ValueError(
                f"Expected mode to be one of {MODES}. Received: mode={mode!r}"
            )
        self.size = standardize_size(size)
        self.mode = mode
        self.flip = bool(flip)

    def build(self, input_shape):
        self.built = True

    def call(self, images, random=None):
        images = ops.convert_to_tensor(images)
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] is None or shape[2] is None:
            raise ValueError(
                "Expected images of shape (batch, height, width, channels) "
                f"with a fixed height and width. Received: shape={shape}"
            )
        if shape[1] < self.size[0] or shape[2] < self.size[1]:
            raise ValueError(
                f"Expected images of at least {self.size[0]}x{self.size[1]} "
                f"to crop from. Received: shape={shape}"
            )
        height, width = self.size
        spare = (shape[1] - height, shape[2] - width)
        if random is None or self.mode == "center":
            top, left = spare[0] // 2, spare[1] // 2
            images = images[:, top : top + height, left : left + width]
            if random is not None and self.flip:
                images = self._gather(images, (0, 0), random)
        elif any(spare) or self.flip:
            images = self._gather(images, spare, random)
        return ops.cast(images, "float32")

    def _gather(self, images, spare, random):
        """Picks every pixel of every crop in one go.

        On a CPU without XLA this is faster than selecting among static
        windows: 2 times for the corners (1.5 ms for 128 crops of 28 from 32
        pixels), 35 times for any position of 224 in 256. Products with
        one-hot matrices are slower too, and round on some devices.
        """
        batch = ops.shape(images)[0]
        _, source_height, source_width, channels = tuple(images.shape)
        rows = ops.expand_dims(ops.arange(self.size[0], dtype="int32"), 0)
        columns = ops.expand_dims(ops.arange(self.size[1], dtype="int32"), 0)
        if self.flip:
            mirror = self._draw(batch, random, "flip") < 0.5
            columns = ops.where(mirror, self.size[1] - 1 - columns, columns)
        if spare[0]:
            rows = rows + self._start(batch, spare[0], random, "crop_rows")
        if spare[1]:
            columns = columns + self._start(
                batch, spare[1], random, "crop_columns"
            )
        first = ops.expand_dims(ops.arange(batch, dtype="int32"), 1)
        rows = (first * source_height + rows) * source_width
        index = ops.expand_dims(rows, 2) + ops.expand_dims(columns, 1)
        return ops.take(ops.reshape(images, (-1, channels)), index, axis=0)

    def _start(self, batch, spare, random, stream):
        draw = self._draw(batch, random, stream)
        if self.mode == "corners":
            return ops.where(draw < 0.5, 0, spare)
        start = ops.cast(ops.floor(draw * (spare + 1)), "int32")
        # A draw just below 1 may round up to one position too many.
        return ops.minimum(start, spare)

    def _draw(self, batch, random, stream):
        return ops.reshape(random.uniform((batch,), stream), (-1, 1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[3])

    def get_config(self):
        config = super().get_config()
        config.update({"size": self.size, "mode": self.mode, "flip": self.flip})
        return config
