"""A .npz or .npy file of pictures; also the sample in the package."""

import os
import zipfile

import numpy as np
from PIL import Image

from keras_lapgan.datasets import pictures
from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.image_source import ImageSource
from keras_lapgan.datasets.parallel import for_each
from keras_lapgan.datasets.splits import parse_split


def load_array_file(
    path,
    split="train",
    size=None,
    resize="crop",
    labels=True,
    cache_bytes=2 * 2**30,
    progress=None,
    name=None,
):
    """Reads a `.npz` or `.npy` file of pictures.

    A `.npz` file has the pictures as `images` (or as its only array), their
    classes as `labels` (ints, optional) and the classes' names as
    `class_names` (optional). Pictures have shape `(n, height, width, 3)`, or
    with 4 channels, 1, or none for grey; uint8, or ints or floats within 0 to
    255. A `.npy` file beyond `cache_bytes` is read from disk as needed.

    Args:
        path: str. Path of the file.
        split: str. `"train"`, or a slice of it. Defaults to `"train"`.
        size: int, or None. Defaults to `None`.
        resize: str. Defaults to `"crop"`.
        labels: bool. Defaults to `True`.
        cache_bytes: int. Defaults to 2 GiB.
        progress: callable, or None. Defaults to `None`.
        name: str, or None. What messages call the data set; None takes the
            path. Defaults to `None`.

    Returns:
        An `ImageSource`.
    """
    path = os.fspath(path)
    name = path if name is None else name
    _, slicer = parse_split(split, ["train"], name)
    images, numbers, class_names = _read(path, name, cache_bytes)
    if images.ndim not in (3, 4) or (
        images.ndim == 4 and images.shape[-1] not in (1, 3, 4)
    ):
        hint = ""
        if images.ndim == 4 and images.shape[1] in (1, 3):
            hint = " (channels come last; these seem to be first)"
        raise DataError(
            "Pictures in a file have shape (n, height, width, 3), or (n, "
            f"height, width) for grey{hint}. Received: images of shape "
            f"{images.shape} in {name}"
        )
    if 0 in images.shape:
        raise DataError(
            "The file holds no images. Received: images of shape "
            f"{images.shape} in {name}"
        )
    if numbers is not None and numbers.shape[:1] != images.shape[:1]:
        raise DataError(
            "Labels are one class number a picture: expected shape "
            f"({images.shape[0]},). Received: labels of shape {numbers.shape} "
            f"in {name}"
        )
    if not labels:
        numbers = class_names = None
    picked = slicer(len(images))
    if len(picked) < len(images):
        chosen = slice(picked.start, picked.stop)
        images = images[chosen]
        if numbers is not None:
            # Classes are counted before the slice: it may miss the last one.
            if class_names is None:
                class_names = [str(i) for i in range(int(numbers.max()) + 1)]
            numbers = numbers[chosen]
    images = _to_uint8(images, name)
    if images.ndim == 3:
        images = images[..., None]
    if images.shape[-1] != 3:
        images = pictures.to_rgb_array(images)
    images = fit_images(images, size, resize, name, progress)
    return ImageSource(images, numbers, class_names, name)


def _read(path, name, cache_bytes):
    """Arrays `(images, labels or None, class names or None)` of a file."""
    try:
        if path.lower().endswith(".npy"):
            large = os.path.getsize(path) > cache_bytes
            images = np.load(
                path, mmap_mode="r" if large else None, allow_pickle=False
            )
            return images, None, None
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it is not a .npz file")
            others = ("labels", "class_names")
            keys = [key for key in file.files if key not in others]
            if "images" in keys:
                key = "images"
            elif len(keys) == 1:
                key = keys[0]
            else:
                raise DataError(
                    "A .npz file has its pictures as `images`, or as its only "
                    f"array. Received: arrays {file.files} in {name}"
                )
            arrays = [
                file[other] if other in file.files else None for other in others
            ]
            images, numbers, class_names = file[key], *arrays
    except DataError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"The file cannot be read: {error}. Received: data={name!r}"
        ) from error
    if numbers is not None:
        if numbers.ndim == 2 and numbers.shape[1] == 1:
            numbers = numbers[:, 0]
        if numbers.dtype.kind not in "iu":
            raise DataError(
                "Labels are ints, one a picture. Received: labels of type "
                f"{numbers.dtype} in {name}"
            )
    return images, numbers, class_names


def _to_uint8(images, name):
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "iuf":
        raise DataError(
            "Pictures are uint8, or numbers from 0 to 255. Received: images "
            f"of type {images.dtype} in {name}"
        )
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(
            "Pictures are uint8, or numbers from 0 to 255. Received: images "
            f"with NaN or infinite values in {name}"
        )
    if images.dtype.kind == "f" and low >= -1 and high <= 1:
        raise DataError(
            "Pictures are uint8, or floats from 0 to 255; these seem to be "
            f"scaled to {'-1..1' if low < 0 else '0..1'}. Received: "
            f"{images.dtype} images from {low:.6g} to {high:.6g} in {name}"
        )
    if low < 0 or high > 255:
        raise DataError(
            "Pictures are uint8, or numbers from 0 to 255. Received: "
            f"{images.dtype} images from {low:.6g} to {high:.6g} in {name}"
        )
    if images.dtype.kind == "f":
        images = np.rint(images)
    return images.astype(np.uint8)


def fit_images(images, size, resize, name, progress=None):
    """Brings an array of pictures to `size`, as `fit_image` does one.

    Args:
        images: uint8 array of shape `(n, height, width, 3)`.
        size: int, or None. Side of the square wanted; None keeps the size.
        resize: str. `"crop"`, or `"none"` to raise where the size differs.
        name: str. What messages call the data set.
        progress: callable, or None. Called as `progress(done, total)`.

    Returns:
        A uint8 array of shape `(n, size, size, 3)`.
    """
    _, height, width, _ = images.shape
    if size is None or (height, width) == (size, size):
        return images
    if resize == "none":
        raise DataError(
            f"All pictures must be {size} x {size} where resizing is off "
            '(resize="none"); with resize="crop" they are scaled and cropped. '
            f"Received: pictures of {height} x {width} in {name}"
        )
    fitted = np.empty((len(images), size, size, 3), np.uint8)

    def fit(i):
        picture = Image.fromarray(np.ascontiguousarray(images[i]))
        fitted[i] = pictures.fit_image(picture, size, resize)

    for_each(fit, len(images), progress)
    return fitted
