"""Laplacian-pyramid GANs (Denton et al., 2015) for Keras 3.

Names are handed out lazily, so that `import keras_lapgan` alone, as the
command line does, does not pay for importing Keras.
"""

import importlib
import sys

from keras_lapgan.version import __version__

_HOMES = {
    "ExportError": "keras_lapgan.export.export_error",
    "LAPGAN": "keras_lapgan.models.lapgan",
    "LAPGANLevel": "keras_lapgan.models.lapgan_level",
    "PresetError": "keras_lapgan.utils.preset_error",
    "list_presets": "keras_lapgan.presets.registry",
    "upload_preset": "keras_lapgan.publishing.upload_preset",
}
_MODULES = (
    "callbacks",
    "datasets",
    "evaluation",
    "layers",
    "metrics",
    "models",
    "networks",
    "presets",
    "training",
)

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name):
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"keras_lapgan.{name}")
    else:
        raise AttributeError(f"module 'keras_lapgan' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)


if "keras" in sys.modules:
    # Who has Keras already may go on to `keras.saving.load_model`, which
    # finds a class only if it has been registered.
    importlib.import_module("keras_lapgan.models")
