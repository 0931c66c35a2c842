"""What the metrics ask of their arguments."""

import operator

import numpy as np


def check_images(images, name, least=1):
    """Returns uint8 images `(n, height, width, channels)` as an array.

    Args:
        images: what was given.
        name: str. The argument's name, for the error.
        least: int. How many images there must be. Defaults to 1.

    Raises:
        ValueError: They are not uint8, have another shape, or are too few.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ValueError(
            f"Expected {name} to be uint8 images. Bring others to 0..255, "
            "round and clip them first, as saving them would. "
            f"Received: {name}.dtype={images.dtype}"
        )
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ValueError(
            f"Expected {name} to have the shape (n, height, width, channels). "
            f"Received: {name}.shape={images.shape}"
        )
    _check_count(images, name, least)
    return images


def check_image_pair(real, generated, least=1):
    """`check_images` of two sets, whose images must have one shape."""
    real = check_images(real, "real", least)
    generated = check_images(generated, "generated", least)
    if real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            "Expected real and generated images of the same size. Crop or "
            "resize one of the sets first. "
            f"Received: real.shape={real.shape}, "
            f"generated.shape={generated.shape}"
        )
    return real, generated


def check_features(features, name, least=2):
    """Returns float features `(n, d)` as a float32 or float64 array.

    Float32 ones so large or small that float32 would not hold what is made of
    them, the kernel's sixth powers, become float64.

    Args:
        features: what was given.
        name: str. The argument's name, for the error.
        least: int. How many rows there must be. Defaults to 2.

    Raises:
        ValueError: They are no finite floats, are beyond 1e40, have another
            shape, or are too few.
    """
    features = check_floats(features, name)
    if features.ndim != 2 or not features.shape[1]:
        raise ValueError(
            f"Expected {name} to have the shape (n, d), a row an image. "
            f"Received: {name}.shape={features.shape}"
        )
    _check_count(features, name, least)
    largest = float(max(features.max(), -features.min()))
    if largest > 1e40:
        raise ValueError(
            f"Expected {name} of at most 1e40, for float64 to hold what is "
            f"made of them. Received: {largest:.3g} in {name}"
        )
    if not 1e-12 < largest < 1e6:
        features = features.astype("float64")
    return features


def check_feature_pair(real, generated, least=2):
    """`check_features` of two sets, whose rows must be equally long."""
    real = check_features(real, "real_features", least)
    generated = check_features(generated, "generated_features", least)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            "Expected features of one extractor, with as many columns on "
            f"both sides. Received: real_features.shape={real.shape}, "
            f"generated_features.shape={generated.shape}"
        )
    return real, generated


def check_floats(array, name):
    """Returns `array` as float32 or float64; refuses NaN and infinity."""
    array = np.asarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"Expected {name} to be an array of floats. "
            f"Received: {name}.dtype={array.dtype}"
        )
    if array.dtype.itemsize < 4:
        array = array.astype("float32")
    # The sum shows at once, without a second array, that all are finite.
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum(dtype="float64")
    if not np.isfinite(total) and (
        bad := array.size - np.isfinite(array).sum()
    ):
        raise ValueError(
            f"Expected {name} to be finite. "
            f"Received: {bad} NaN or infinite values in {name}"
        )
    return array


def check_int(value, name, least=0):
    """Returns `value` as an int of at least `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise ValueError(
            f"Expected {name} to be an integer of at least {least}. "
            f"Received: {name}={value!r}"
        )
    return number


def _check_count(array, name, least):
    if len(array) < least:
        raise ValueError(
            f"Expected {name} to hold at least {least} images. "
            f"Received: {name}.shape={array.shape}"
        )
