"""Networks whose features metrics compare.

The networks need Keras, so they are imported when they are first asked for.
"""

import importlib

from keras_lapgan.metrics.extractors.extractor_error import ExtractorError
from keras_lapgan.metrics.extractors.resizing import resizing_matrix
from keras_lapgan.metrics.extractors.weights_files import inception_file
from keras_lapgan.metrics.extractors.weights_files import lite0_file

_HOMES = {
    "EfficientNetLite0": "efficientnet_lite0",
    "Extractor": "extractor",
    "Inception": "inception",
}

__all__ = [
    "EfficientNetLite0",
    "Extractor",
    "ExtractorError",
    "Inception",
    "inception_file",
    "lite0_file",
    "resizing_matrix",
]


def __getattr__(name):
    if name in _HOMES:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
