"""Pictures for training: from a name or a path to batches of uint8.

`ImageBatches` is the only part that needs Keras, so it is imported when it is
first asked for.
"""

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.image_source import ImageSource
from keras_lapgan.datasets.load_images import load_images

__all__ = ["DataError", "ImageBatches", "ImageSource", "load_images"]


def __getattr__(name):
    if name == "ImageBatches":
        from keras_lapgan.datasets.image_batches import ImageBatches

        return ImageBatches
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
