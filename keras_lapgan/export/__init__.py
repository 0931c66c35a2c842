from keras_lapgan.export.export_error import ExportError
from keras_lapgan.export.formats import FORMATS

__all__ = ["FORMATS", "ExportError"]
