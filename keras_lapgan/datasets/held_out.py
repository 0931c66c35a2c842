import re

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.load_images import load_images

NAMES = ("test", "validation", "val")


def load_held_out(data, split=None, names=NAMES, most=None, **kwargs):
    """Opens pictures of a data set that a split has none of.

    Args:
        data: str or path. See `load_images`.
        split: str or None. What is in use. Defaults to None, `"train"`.
        names: tuple of str. Splits to look for, the first that there is is
            taken. Defaults to `("test", "validation", "val")`.
        most: int or None. Pictures at most. Defaults to None.
        **kwargs: for `load_images`.

    Returns:
        An `ImageSource` and its split's name, or None and None.
    """
    used = re.findall(r"\w+", split or "train")
    for name in names:
        if name in used:
            continue
        part = name if most is None else f"{name}[:{most}]"
        try:
            return load_images(data, part, **kwargs), name
        except DataError:
            continue
    return None, None
