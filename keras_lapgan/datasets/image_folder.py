"""A folder of image files."""

import hashlib
import os
import warnings

import numpy as np

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.encoded import make_source
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


def _walk(folder, above=()):
    """Yields the image files below a folder, in a fixed order."""
    here = os.stat(folder)
    here = (here.st_dev, here.st_ino)
    if here in above:
        # A link back to a folder above this one.
        return
    folders, files = _entries(folder)
    for name in files:
        yield os.path.join(folder, name)
    for name in folders:
        yield from _walk(os.path.join(folder, name), (*above, here))


def _holds_images(folder):
    return next(_walk(folder), None) is not None


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

    own_folders = _class_folders(root)
    if own_folders and loose:
        warnings.warn(
            f"Left out {len(loose)} image files beside the class folders of "
            f"{root}: {', '.join(loose[:3])}"
            f"{', ...' if len(loose) > 3 else ''}. Sub-folders are classes.",
            stacklevel=3,
        )
    files, numbers, class_names = [], None, None
    if own_folders:
        class_names = sorted(
            class_folders.union(own_folders) if class_folders else own_folders
        )
        numbers = []
        for class_name in own_folders:
            found = list(_walk(os.path.join(root, class_name)))
            files.extend(found)
            numbers.extend([class_names.index(class_name)] * len(found))
        numbers = np.array(numbers, np.int32)
    else:
        files = [os.path.join(root, file) for file in loose]
    if not files:
        raise DataError(
            "The folder holds no images: expected files ending in "
            f"{' '.join(IMAGE_SUFFIXES)}, alone or in one folder a class. "
            f"Received: {root}"
        )

    picked = slicer(len(files))
    if len(picked) < len(files):
        order = sorted(
            range(len(files)),
            key=lambda i: _path_hash(os.path.relpath(files[i], root)),
        )
        picked = sorted(order[i] for i in picked)
        files = [files[i] for i in picked]
        numbers = None if numbers is None else numbers[picked]
    if not labels:
        numbers = class_names = None
    return make_source(
        files,
        load=lambda file: file,
        name_of=lambda file: file,
        name=name,
        labels=numbers,
        class_names=class_names,
        size=size,
        resize=resize,
        strict=strict,
        cache_bytes=cache_bytes,
        progress=progress,
        check_headers=True,
    )


def _class_folders(root):
    return [
        name
        for name in _entries(root)[0]
        if _holds_images(os.path.join(root, name))
    ]


def _path_hash(path):
    path = path.replace(os.sep, "/")
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
