from pathlib import Path

import keras

from keras_lapgan.callbacks.save_error import save_errors
from keras_lapgan.utils.image_grid import image_grid
from keras_lapgan.utils.image_grid import save_png


class SampleGrid(keras.callbacks.Callback):
    """Draws the same pictures after each epoch, at every stage.

    Writes `epoch_0001_stage_0.png` and so on, stage 0 the finest, all stages
    enlarged to a like size.

    Args:
        folder: path. Made if missing.
        count: int. Pictures a grid; of a class-conditional model, what fills
            whole rows of it. Defaults to 64.
        seed: int. Defaults to 0.
        columns: int or None. Pictures a row. Defaults to about a square, and
            for a class-conditional model to a column a class.

    Example:

    ```python
    model.fit(images, callbacks=[SampleGrid("samples")])
    ```
    """

    def __init__(self, folder, count=64, seed=0, columns=None):
        super().__init__()
        self.folder = Path(folder)
        self.count = count
        self.seed = seed
        self.columns = columns

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        columns, count = self.columns, self.count
        if columns is None and model.num_classes:
            columns = min(model.num_classes, count)
            count -= count % columns
        stages = model.generate(count, seed=self.seed, return_pyramid=True)
        side = 2 * stages[0].shape[1]
        with save_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for k, stage in enumerate(stages):
                scale = max(1, side // stage.shape[1])
                save_png(
                    self.folder / f"epoch_{epoch + 1:04d}_stage_{k}.png",
                    image_grid(stage, columns, scale),
                )
