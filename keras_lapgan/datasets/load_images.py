import importlib.util
import os
import re

from keras_lapgan.datasets.array_file import load_array_file
from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.image_folder import is_folder
from keras_lapgan.datasets.image_folder import load_folder
from keras_lapgan.datasets.lmdb_folder import load_lmdb
from keras_lapgan.datasets.tfds_source import load_tfds
from keras_lapgan.datasets.tfds_source import prepared_folder
from keras_lapgan.datasets.tfds_source import unknown_name

SAMPLE = os.path.join(os.path.dirname(__file__), "sample", "cifar10_sample.npz")
_TFDS_NAME = re.compile(r"\w+(/[\w.\-]+)?(:[\d.*]+)?")


def load_images(
    data,
    split=None,
    size=None,
    resize="crop",
    strict=False,
    labels=True,
    cache_bytes=2 * 2**30,
    progress=None,
):
    """Opens pictures by name or path, whatever they are stored in.

    - `"sample"`: 1,000 training pictures of CIFAR-10, 100 a class, that come
      with the package.
    - A folder of image files. Sub-folders are classes, numbered by name; a
      folder without sub-folders has no labels. Grey, transparent (laid on
      white), palette, 16-bit and CMYK pictures become 8-bit RGB, EXIF
      rotation is applied, and an animation gives its first frame.
    - A `.npz` or `.npy` file of pictures.
    - A folder that TensorFlow Datasets prepared, or a name that it knows:
      `"cifar10"`, `"stl10"`, `"cifar10:3.0.2"`. It looks in the folder of the
      environment variable `TFDS_DATA_DIR`, and downloads what is not there.
    - An LMDB folder of LSUN.

    A path that exists comes before a name.

    Pictures that fit `cache_bytes` are decoded once, in parallel; those of
    larger sets are decoded, in parallel, when they are read, and what reading
    one costs does not grow with their number. Both give the same pictures.

    Args:
        data: str or path. What to open.
        split: str, or None. Which part: `"train"`, `"test"`, or a slice such
            as `"train[:1000]"` or `"train[:80%]"`. None is `"train"`. Files,
            LMDB folders and `sample` have `"train"` alone; image folders have
            the splits that their sub-folders are named after, if they have
            `train` and `test` or `val`. Defaults to `None`.
        size: int, or None. Side in pixels to bring the pictures to. None
            keeps their size, which all must share. Defaults to `None`.
        resize: str. `"crop"` scales the shorter side to `size`, with
            antialiasing, and keeps the centre; `"none"` refuses pictures of
            another size. Defaults to `"crop"`.
        strict: bool. Whether a broken picture raises. Otherwise it is left
            out, or, where pictures are decoded when they are read, replaced by
            another of its class; it is listed in the source's `skipped`, and a
            warning counts them. Strict, the headers of a folder's files are
            looked at now, which takes minutes for a million. Defaults to
            `False`.
        labels: bool. Whether to read the classes. Defaults to `True`.
        cache_bytes: int. Most bytes of decoded pictures to hold in memory.
            Defaults to 2 GiB.
        progress: callable, or None. Called as `progress(done, total)` while
            pictures, or their headers, are read. Defaults to `None`.

    Returns:
        A `keras_lapgan.datasets.ImageSource`.

    Raises:
        DataError: if there is no such data set, or it cannot be used as
            asked; the message names what is at fault.

    Example:

    ```python
    from keras_lapgan.datasets import load_images

    source = load_images("sample")
    source.read([0, 1]).shape  # (2, 32, 32, 3)
    source.class_names[source.labels[0]]
    ```
    """
    if resize not in ("crop", "none"):
        raise DataError(
            'resize is "crop" (scale, then keep the centre) or "none" (refuse '
            f"other sizes). Received: resize={resize!r}"
        )
    if size is not None and (
        isinstance(size, bool) or not hasattr(size, "__index__") or size < 1
    ):
        raise DataError(
            "size is the side of the pictures in pixels, an int of at least "
            f"1, or None. Received: size={size!r}"
        )
    split = "train" if split is None else str(split)
    by_path = isinstance(data, os.PathLike)
    if not by_path and not isinstance(data, str):
        raise DataError(
            "data is a name or a path. Received: data of type "
            f"{type(data).__name__}"
        )
    data = os.fspath(data)
    options = {
        "split": split,
        "size": size,
        "resize": resize,
        "cache_bytes": cache_bytes,
        "progress": progress,
    }
    if data == "sample" and not by_path:
        return load_array_file(SAMPLE, labels=labels, name=data, **options)

    path = os.path.expanduser(data)
    if os.path.isdir(path):
        return _load_folder(path, strict, labels, options)
    if os.path.isfile(path):
        if path.lower().endswith((".npz", ".npy")):
            return load_array_file(path, labels=labels, **options)
        raise DataError(
            "A file of pictures ends in .npz or .npy; image files are given "
            f"as their folder. Received: data={data!r}"
        )
    if by_path or not _TFDS_NAME.fullmatch(data):
        raise DataError(
            "There is no such file or folder. Received: data="
            f"{data!r}, looked in {os.path.abspath(path)}"
        )
    if importlib.util.find_spec("tensorflow_datasets") is None:
        near = unknown_name(data)
        if "sample" in str(near):
            raise near
    return load_tfds(data, strict=strict, labels=labels, **options)


def _load_folder(path, strict, labels, options):
    try:
        prepared = prepared_folder(path)
        if prepared is not None:
            return load_tfds(
                path, folder=prepared, strict=strict, labels=labels, **options
            )
        if os.path.isfile(os.path.join(path, "data.mdb")):
            return load_lmdb(path, strict=strict, **options)
        scenes = sorted(
            entry.name
            for entry in os.scandir(path)
            if is_folder(entry)
            and os.path.isfile(os.path.join(entry.path, "data.mdb"))
        )
        if scenes:
            raise DataError(
                "The folder holds several LMDB folders; name one of: "
                f"{', '.join(scenes)}. Received: data={path!r}"
            )
        return load_folder(path, strict=strict, labels=labels, **options)
    except PermissionError as error:
        raise DataError(
            "The folder cannot be read: permission denied. Received: "
            f"{error.filename}"
        ) from error
