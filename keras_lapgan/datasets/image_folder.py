"""A folder of image files."""

import hashlib
import os
import warnings

import numpy as np

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.encoded import make_source
from keras_lapgan.datasets.names import Names
from keras_lapgan.datasets.pictures import IMAGE_SUFFIXES
from keras_lapgan.datasets.splits import parse_split

HELD_OUT_NAMES = {"test", "val", "validation", "valid"}


def is_folder(entry):
    """Whether a `DirEntry` is a folder; a link in a circle is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(folder):
    """Sub-folders and image files of a folder, by name, hidden ones not."""
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if is_folder(entry):
                folders.append(entry.name)
            elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                files.append(entry.name)
    return sorted(folders), sorted(files)


def _walk(folder, prefix="", above=()):
    """Yields the paths of the image files below a folder, in a fixed order."""
    here = os.stat(folder)
    here = (here.st_dev, here.st_ino)
    if here in above:
        # A link back to a folder above this one.
        return
    folders, files = _entries(folder)
    for name in files:
        yield prefix + name
    for name in folders:
        yield from _walk(
            os.path.join(folder, name),
            os.path.join(prefix, name, ""),
            (*above, here),
        )


class FolderFiles:
    """The store of a folder's image files; see `encoded`.

    Args:
        root: str. Path of the folder.
        files: iterable of str. Paths from there.
    """

    def __init__(self, root, files):
        self.root = root
        self.files = Names(os.fsencode(file) for file in files)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return os.fsdecode(self.files[i])

    def load(self, i):
        return self.name_of(i)

    def name_of(self, i):
        return os.path.join(self.root, self[i])


def load_folder(
    folder,
    split="train",
    size=None,
    resize="crop",
    strict=False,
    labels=True,
    cache_bytes=2 * 2**30,
    progress=None,
):
    """Reads a folder of image files.

    Sub-folders are classes, numbered by name; image files beside them are
    left out. A folder without sub-folders has no labels. Where the sub-folders
    are `train` and `test` (or `val`, `validation`), the split chooses one. A
    slice such as `train[:80%]` takes pictures spread over all classes: they
    are ordered by a hash of their paths first, so that `train[:80%]` and
    `train[80%:]` have no picture in common.

    Args:
        folder: str. Path of the folder.
        split: str. Defaults to `"train"`.
        size: int, or None. Defaults to `None`.
        resize: str. Defaults to `"crop"`.
        strict: bool. Defaults to `False`.
        labels: bool. Defaults to `True`.
        cache_bytes: int. Defaults to 2 GiB.
        progress: callable, or None. Defaults to `None`.

    Returns:
        An `ImageSource`.
    """
    root = os.fspath(folder)
    name = root
    splits, class_folders = ["train"], None
    folders, loose = _entries(root)
    held_out = HELD_OUT_NAMES.intersection(folders)
    if "train" in folders and (held_out or folders == ["train"]):
        splits = ["train"] + [other for other in folders if other != "train"]
    split_name, slicer = parse_split(split, splits, name)
    if splits != ["train"] or folders == ["train"]:
        # Numbers must mean the same class in every split.
        class_folders = set(_class_folders(os.path.join(root, "train")))
        root = os.path.join(root, split_name)
        folders, loose = _entries(root)

    counts, numbers, class_names = {}, None, None
    store = FolderFiles(root, _class_files(root, folders, counts))
    if len(store):
        if loose:
            warnings.warn(
                f"Left out {len(loose)} image files beside the class folders "
                f"of {root}: {', '.join(loose[:3])}"
                f"{', ...' if len(loose) > 3 else ''}. Sub-folders are "
                "classes.",
                stacklevel=3,
            )
        class_names = sorted({*counts, *(class_folders or ())})
        numbers = np.repeat(
            np.array([class_names.index(c) for c in counts], np.int32),
            list(counts.values()),
        )
    else:
        store = FolderFiles(root, loose)
    if not len(store):
        raise DataError(
            "The folder holds no images: expected files ending in "
            f"{' '.join(IMAGE_SUFFIXES)}, alone or in one folder a class. "
            f"Received: {root}"
        )

    picked = slicer(len(store))
    if len(picked) < len(store):
        hashes = np.fromiter(
            (_path_hash(store[i]) for i in range(len(store))),
            np.uint64,
            len(store),
        )
        order = np.argsort(hashes, kind="stable")
        picked = np.sort(order[picked.start : picked.stop])
        store = FolderFiles(root, (store[i] for i in picked))
        numbers = None if numbers is None else numbers[picked]
    if not labels:
        numbers = class_names = None
    return make_source(
        store,
        name=name,
        labels=numbers,
        class_names=class_names,
        size=size,
        resize=resize,
        strict=strict,
        cache_bytes=cache_bytes,
        progress=progress,
        # Minutes for a million; one that is broken is replaced when it is
        # read, but where it must stop a run it had better do so now.
        check_headers=strict,
    )


def _class_files(root, folders, counts):
    """Yields the files in the folders; `counts` gets those of each with any."""
    for name in folders:
        for file in _walk(os.path.join(root, name), os.path.join(name, "")):
            counts[name] = counts.get(name, 0) + 1
            yield file


def _class_folders(root):
    """Names of the sub-folders that have an image in them."""
    return [
        name
        for name in _entries(root)[0]
        if _holds_images(os.path.join(root, name))
    ]


def _holds_images(folder):
    with os.scandir(folder) as entries:
        if any(
            entry.name.lower().endswith(IMAGE_SUFFIXES)
            and not entry.name.startswith(".")
            and not is_folder(entry)
            for entry in entries
        ):
            return True
    return next(_walk(folder), None) is not None


def _path_hash(path):
    """int. The first 8 bytes of a hash of a path."""
    path = path.replace(os.sep, "/")
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")
