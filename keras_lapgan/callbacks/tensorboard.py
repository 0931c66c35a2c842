import contextlib
import re

import keras

from keras_lapgan.callbacks.best_level import check_model
from keras_lapgan.callbacks.sample_grid import check_images_given
from keras_lapgan.callbacks.sample_grid import draw_stages
from keras_lapgan.utils.image_grid import image_grid

_OF_LEVEL = re.compile(r"(.+)_(\d+)")


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras' TensorBoard, with samples, and the log's entries by level.

    After each epoch `d_loss_0` becomes the scalar `level_0/d_loss`, and so on;
    entries that are of no level keep Keras' names, such as `epoch_d_loss`.
    Those of validation data are in the run `validation` beside `train`. Every
    `image_frequency` epochs, and after the first, the same pictures are drawn
    at each stage: the images `samples/stage_0` (the finest) and so on.

    Args:
        log_dir: path. Where the event files go. Defaults to `"logs"`.
        image_frequency: int. Epochs from one grid to the next. 0 draws none.
            Defaults to 5.
        count: int. Pictures a grid; of a class-conditional model, what fills
            whole rows of a column a class. Defaults to 64.
        seed: int. Of the pictures. Defaults to 0.
        images: see `SampleGrid`. Defaults to None.
        **kwargs: those of `keras.callbacks.TensorBoard`. `write_graph` is
            False unless given: the graph of a step is large.

    Raises:
        ImportError: TensorFlow, which writes the event files on every backend,
            or tensorboard is not installed.
        ValueError: a frequency or count that is no such number.

    Example:

    ```python
    model.fit(images, epochs=25, callbacks=[TensorBoard("runs/a/tensorboard")])
    ```

    then `tensorboard --logdir runs/a/tensorboard`.
    """

    def __init__(
        self,
        log_dir="logs",
        image_frequency=5,
        count=64,
        seed=0,
        images=None,
        **kwargs,
    ):
        _check_installed()
        for name, value, least in (
            ("image_frequency", image_frequency, 0),
            ("count", count, 1),
        ):
            if not hasattr(value, "__index__") or value < least:
                raise ValueError(
                    f"`{name}` must be an int of at least {least}. "
                    f"Received: {name}={value!r}"
                )
        kwargs.setdefault("write_graph", False)
        super().__init__(log_dir, **kwargs)
        self.image_frequency = image_frequency
        self.count = count
        self.seed = seed
        self.images = images

    def on_train_begin(self, logs=None):
        check_model(self)
        if self.image_frequency:
            check_images_given(self)
        super().on_train_begin(logs)
        self._first = True

    def on_train_batch_end(self, batch, logs=None):
        # Keras hands every entry on, to be written nowhere.
        super().on_train_batch_end(
            batch, None if self.update_freq == "epoch" else logs
        )

    def on_epoch_end(self, epoch, logs=None):
        if self.image_frequency and (
            self._first or (epoch + 1) % self.image_frequency == 0
        ):
            self._draw(epoch)
        self._first = False
        logs = dict(logs or {})
        for name in list(logs):
            part = name.removeprefix("val_")
            found = _OF_LEVEL.fullmatch(part)
            # Not an entry that happens to end in a number, as `kid_1000`.
            if found and int(found[2]) < len(self.model.levels):
                writer = (
                    self._train_writer if part == name else self._val_writer
                )
                with writer.as_default():
                    self.summary.scalar(
                        f"level_{found[2]}/{found[1]}",
                        logs.pop(name),
                        step=epoch,
                    )
        super().on_epoch_end(epoch, logs)
        for writer in self._writers.values():
            writer.flush()

    def _draw(self, epoch):
        stages, columns = draw_stages(
            self.model, self.count, self.seed, images=self.images
        )
        with self._train_writer.as_default():
            for k, stage in stages.items():
                self.summary.image(
                    f"samples/stage_{k}",
                    image_grid(stage, columns)[None],
                    step=epoch,
                )


def _check_installed():
    try:
        import tensorboard  # noqa: F401
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "TensorBoard's files are written by TensorFlow, on every backend: "
            f"pip install tensorflow tensorboard ({error})"
        ) from error
    if keras.backend.backend() != "tensorflow":
        # Writing needs no GPU, and TensorFlow would take all of its memory.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
