"""The split argument for data that is not TFDS's: `train[:80%]`."""

import re

from keras_lapgan.datasets.data_error import DataError

_SPLIT = re.compile(r"\s*([^\[\]]+?)\s*(?:\[([^:\[\]]*):([^:\[\]]*)\])?\s*")
_BOUND = re.compile(r"\s*(-?\d[\d_]*)\s*(%?)\s*")


def parse_split(split, splits, name):
    """Parses a split with an optional slice.

    Args:
        split: str. Such as `"train"`, `"train[:1000]"`, `"train[80%:]"`.
        splits: list of str. The splits there are.
        name: str. What messages call the data set.

    Returns:
        Tuple `(split name, slicer)`; `slicer(n)` gives the `range` of the
        positions asked for out of n, or raises if it is empty.
    """
    match = _SPLIT.fullmatch(split)
    if match is None or match[1] not in splits:
        raise DataError(
            f"{name} has the splits: {', '.join(splits)}, each also as a slice "
            f"such as {splits[0]}[:1000] or {splits[0]}[:80%]. "
            f"Received: split={split!r}"
        )
    bounds = []
    for text in (match[2], match[3]):
        bound = _BOUND.fullmatch(text) if text and text.strip() else None
        if text and text.strip() and bound is None:
            raise DataError(
                "A slice's ends are whole numbers or percents, such as "
                f"{match[1]}[:1000] or {match[1]}[10%:90%]. "
                f"Received: split={split!r}"
            )
        bounds.append(bound and (int(bound[1]), bound[2] == "%"))

    def slicer(n):
        ends = [
            bound and (round(bound[0] * n / 100) if bound[1] else bound[0])
            for bound in bounds
        ]
        picked = range(n)[slice(*ends)]
        if n and not picked:
            raise DataError(
                f"The slice holds no images: {name} has {n}. "
                f"Received: split={split!r}"
            )
        return picked

    return match[1], slicer
