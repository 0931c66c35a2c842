from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_lapgan.callbacks.save_error import save_errors
from keras_lapgan.utils.image_grid import image_grid
from keras_lapgan.utils.image_grid import save_png


class SampleGrid(keras.callbacks.Callback):
    """Draws the same pictures after each epoch, at every stage.

    Writes `epoch_0001_stage_0.png` and so on, stage 0 the finest, all stages
    enlarged to a like size. Of a model without some of its levels, each level
    draws by itself, from real pictures.

    Args:
        folder: path. Made if missing.
        count: int. Pictures a grid; of a class-conditional model, what fills
            whole rows of it. Defaults to 64.
        seed: int. Defaults to 0.
        columns: int or None. Pictures a row. Defaults to about a square, and
            for a class-conditional model to a column a class.
        images: pair of a uint8 array `(n, height, width, channels)`, what
            `fit` takes, and its labels or None. What the levels of a model
            without some of them draw from. Defaults to None.

    Raises:
        ValueError: `images` are needed, and missing.

    Example:

    ```python
    model.fit(images, callbacks=[SampleGrid("samples")])
    ```
    """

    def __init__(self, folder, count=64, seed=0, columns=None, images=None):
        super().__init__()
        self.folder = Path(folder)
        self.count = count
        self.seed = seed
        self.columns = columns
        self.images = images

    def on_train_begin(self, logs=None):
        check_images_given(self)

    def on_epoch_end(self, epoch, logs=None):
        stages, columns = draw_stages(
            self.model, self.count, self.seed, self.columns, self.images
        )
        side = 2 * self.model.sizes[0][0]
        with save_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for k, stage in stages.items():
                scale = max(1, side // stage.shape[1])
                save_png(
                    self.folder / f"epoch_{epoch + 1:04d}_stage_{k}.png",
                    image_grid(stage, columns, scale),
                )


# === What callbacks that draw share ===


def check_images_given(callback):
    if not callback.model.is_complete and callback.images is None:
        raise ValueError(
            "This model is without some of its levels: give "
            f"{type(callback).__name__} `images` for the others to draw from. "
            "Received: images=None"
        )


def draw_stages(model, count, seed, columns=None, images=None):
    """Draws pictures at every stage; see `SampleGrid`.

    Returns:
        A dict from level index to a uint8 array, and the pictures a row.
    """
    if not model.is_complete:
        return _by_level(model, count, seed, *images), columns
    if columns is None and model.num_classes:
        columns = min(model.num_classes, count)
        count -= count % columns
    stages = model.generate(count, seed=seed, return_pyramid=True)
    return dict(enumerate(stages)), columns


def _by_level(model, count, seed, images, labels):
    data = images[:count]
    count = len(data)
    if model.num_classes:
        data = (data, labels[:count])
    bands = model.bands(data, None, training=False)
    stages = {}
    for level in model.trainable_levels():
        k = level.index
        _, condition, labels, _ = bands[k]
        noise = level.noise.draw(count, seed, k)
        picture = level.sample_band(condition, labels, noise)
        if condition is not None:
            picture = condition + picture
        pixels = ops.convert_to_numpy(model.to_pixels(picture, k))
        stages[k] = np.rint(pixels).astype("uint8")
    return stages
