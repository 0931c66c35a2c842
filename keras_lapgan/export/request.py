"""What can be said of an export before there is a model."""

import operator
import os
from importlib.util import find_spec

import numpy as np

from keras_lapgan.export.export_error import ExportError
from keras_lapgan.export.formats import get_format
from keras_lapgan.export.signature import strangers


def check_request(
    path, format, *, level, stages, batch, precision, dtype, overwrite
):
    """Checks what `export_model` is asked for; the arguments are the same.

    Raises:
        ExportError: it cannot be done; the message says what can.
    """
    known = get_format(format)
    if level is not None and stages:
        raise ExportError(
            "One level has one stage: leave out `stages` or `level`. "
            f"Received: stages={stages!r}, level={level!r}"
        )
    is_dynamic = isinstance(batch, str) and batch == "dynamic"
    if not is_dynamic and (not is_whole(batch) or batch < 1):
        raise ExportError(
            '`batch` must be a number of pictures, at least 1, or "dynamic". '
            f"Received: batch={batch!r}"
        )
    if not is_dynamic and not known.fixed_batch:
        raise ExportError(
            f"A file of the format {format} takes any number of pictures: "
            f"leave out `batch`. Received: batch={batch!r}"
        )
    if precision not in known.precisions:
        raise ExportError(
            f"The format {format} is written in "
            f"{' or '.join(known.precisions)}. "
            f"Received: precision={precision!r}"
        )
    if dtype not in ("uint8", "float32"):
        raise ExportError(
            f'`dtype` must be "uint8" or "float32". Received: dtype={dtype!r}'
        )
    _check_path(path, overwrite)
    _check_installed(format, precision)


def is_whole(value):
    """Whether it is an integer, of Python or numpy, and no bool."""
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool) and not np.ndim(value)


def _check_path(path, overwrite):
    if path.exists() or path.is_symlink():
        if not overwrite:
            raise ExportError(
                f"{str(path)!r} exists. Choose another folder, or replace an "
                "earlier export with `overwrite`."
            )
        others = strangers(path)
        if others is None:
            raise ExportError(
                f"{str(path)!r} is no earlier export, so it is left alone. "
                "Choose another folder."
            )
        if others:
            raise ExportError(
                f"{str(path)!r} holds {others[0]!r}, which no export wrote: "
                "move it away, or choose another folder."
            )
    above = path.absolute().parent
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise ExportError(
            f"{str(above)!r} is a file, not a folder. Received: {str(path)!r}"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise ExportError(
            f"The folder {str(above)!r} is not writable. "
            f"Received: {str(path)!r}"
        )


def _check_installed(name, precision):
    modules = dict(get_format(name).modules)
    if (name, precision) == ("openvino", "int8"):
        modules["nncf"] = "keras-lapgan[openvino]"
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        wanted = dict.fromkeys(f'"{modules[module]}"' for module in missing)
        raise ExportError(
            f"The format {name} needs {' and '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed: "
            f"pip install {' '.join(wanted)}"
        )
