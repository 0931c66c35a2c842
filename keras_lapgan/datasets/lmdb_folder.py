"""LSUN's own format: an LMDB folder whose values are image files."""

import itertools
import os
import threading

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.encoded import make_source
from keras_lapgan.datasets.names import Names
from keras_lapgan.datasets.pictures import PictureError
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


class LmdbPictures:
    """The store of an LMDB folder's pictures; see `encoded`.

    Args:
        folder: str. Real path of the folder.
        keys: iterable of bytes. The pictures' keys.
        name: str. What messages call the data set.
    """

    def __init__(self, folder, keys, name):
        self.folder = folder
        self.keys = Names(keys)
        self.name = name

    def __len__(self):
        return len(self.keys)

    def load(self, i):
        try:
            with _environment(self.folder).begin() as transaction:
                value = transaction.get(self.keys[i])
        except lmdb.Error as error:
            raise PictureError(str(error)) from error
        if value is None:
            raise PictureError("it is no longer there")
        return value

    def name_of(self, i):
        return f"{self.keys[i].decode('ascii', 'replace')} in {self.name}"


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
            picked = slicer(transaction.stat()["entries"])
            keys = itertools.islice(
                transaction.cursor().iternext(values=False),
                picked.start,
                picked.stop,
            )
            store = LmdbPictures(folder, keys, name)
    except lmdb.Error as error:
        raise DataError(
            f"The LMDB folder cannot be read: {error}. Received: data={name!r}"
        ) from error
    return make_source(
        store,
        name=name,
        labels=None,
        class_names=None,
        size=size,
        resize=resize,
        strict=strict,
        cache_bytes=cache_bytes,
        progress=progress,
    )
