"""LSUN's own format: an LMDB folder whose values are image files."""

import os
import threading

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.encoded import make_source
from keras_lapgan.datasets.splits import parse_split

try:
    import lmdb
except ImportError:
    lmdb = None

_environments = {}
_environments_lock = threading.Lock()


def _environment(folder):
    """The folder's environment; LMDB allows one a folder and process."""
    key = (os.getpid(), folder)
    with _environments_lock:
        if key not in _environments:
            _environments[key] = lmdb.open(
                folder,
                readonly=True,
                lock=False,
                readahead=False,
                max_readers=256,
            )
        return _environments[key]


def load_lmdb(
    folder,
    split="train",
    size=None,
    resize="crop",
    strict=False,
    cache_bytes=2 * 2**30,
    progress=None,
):
    """Reads an LMDB folder as LSUN has one for each scene and split.

    There are no labels: a folder is one scene. Pictures come in the order of
    their keys.

    Args:
        folder: str. Path of the folder that has `data.mdb` in it.
        split: str. `"train"`, or a slice of it. Defaults to `"train"`.
        size: int, or None. Defaults to `None`.
        resize: str. Defaults to `"crop"`.
        strict: bool. Defaults to `False`.
        cache_bytes: int. Defaults to 2 GiB.
        progress: callable, or None. Defaults to `None`.

    Returns:
        An `ImageSource`.

    Reference:
        - Yu et al., LSUN, 2015, https://arxiv.org/abs/1506.03365
    """
    name = os.fspath(folder)
    if lmdb is None:
        raise DataError(
            "Reading an LMDB folder needs the lmdb package: "
            f'pip install "keras-lapgan[lsun]". Received: data={name!r}'
        )
    folder = os.path.realpath(name)
    _, slicer = parse_split(split, ["train"], name)
    try:
        with _environment(folder).begin() as transaction:
            keys = [
                bytes(key)
                for key in transaction.cursor().iternext(values=False)
            ]
    except lmdb.Error as error:
        raise DataError(
            f"The LMDB folder cannot be read: {error}. Received: data={name!r}"
        ) from error

    def load(key):
        with _environment(folder).begin() as transaction:
            return transaction.get(key)

    return make_source(
        [keys[i] for i in slicer(len(keys))],
        load=load,
        name_of=lambda key: f"{key.decode('ascii', 'replace')} in {name}",
        name=name,
        labels=None,
        class_names=None,
        size=size,
        resize=resize,
        strict=strict,
        cache_bytes=cache_bytes,
        progress=progress,
        # A header costs a seek in a file of many gigabytes.
        check_headers=False,
    )
