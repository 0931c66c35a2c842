"""What goes into an exported file and comes out of it."""

import hashlib
import json
import math
from pathlib import Path

#: The file beside an exported model.
SIGNATURE = "signature.json"
#: Its version.
VERSION = 1


def file_inputs(model, level=None, batch=None):
    """The inputs of the whole chain, or of one level.

    Args:
        model: `LAPGAN`.
        level: int or None. The only level that runs. Defaults to None.
        batch: int or None. How many pictures a call takes; None is any
            number. Defaults to None.

    Returns:
        A list of dict: `"name"`, `"shape"` with None or `batch` first,
        `"dtype"` and what to put in: noise of a level, labels, pictures.
    """
    levels = range(len(model.levels)) if level is None else [level]
    inputs = [
        {
            "name": f"noise_{k}",
            "shape": [batch, *model.levels[k].noise.shape],
            "dtype": "float32",
            "level": k,
            "distribution": {"name": "uniform", "low": -1.0, "high": 1.0},
        }
        for k in levels
    ]
    if model.num_classes:
        inputs.append(
            {
                "name": "labels",
                "shape": [batch],
                "dtype": "int32",
                "distribution": {
                    "name": "classes",
                    "low": 0,
                    "high": model.num_classes - 1,
                },
            }
        )
    if level is not None and level < len(model.levels) - 1:
        inputs.append(_pictures(model, level + 1, "float32", batch))
    return inputs


def file_outputs(model, level=None, stages=False, dtype="uint8", batch=None):
    """The outputs: the finest picture, of each stage or of one level.

    Args:
        model: `LAPGAN`.
        level: int or None, as in `file_inputs`. Defaults to None.
        stages: bool. All stages and not the finest only. Defaults to False.
        dtype: str. `"uint8"` or `"float32"`. Defaults to `"uint8"`.
        batch: int or None, as in `file_inputs`. Defaults to None.

    Returns:
        A list of dict, finest first: `"name"`, `"shape"`, `"dtype"`,
        `"level"`, `"range"`.
    """
    levels = [level or 0]
    if stages:
        levels = range(len(model.levels))
    return [_pictures(model, k, dtype, batch) for k in levels]


def _pictures(model, level, dtype, batch):
    return {
        "name": f"images_{level}",
        "shape": [batch, *model.sizes[level], model.channels],
        "dtype": dtype,
        "level": level,
        "range": [0, 255],
    }


def write_signature(folder, signature):
    """Writes `signature.json`."""
    text = json.dumps(signature, indent=1, allow_nan=False)
    (Path(folder) / SIGNATURE).write_text(text + "\n", encoding="utf-8")


def strangers(folder):
    """What is in a folder beside an export.

    Returns:
        A list of str, paths; None if the folder is no export.
    """
    folder = Path(folder)
    try:
        text = (folder / SIGNATURE).read_text(encoding="utf-8")
        known = set(json.loads(text)["sha256"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    found = {path.relative_to(folder) for path in _files(folder)}
    return sorted(
        path.as_posix()
        for path in found
        if path.as_posix() not in known and path.parts[0] != "__pycache__"
    )


def file_hashes(folder):
    """The sha256 of each file in a folder, by its path inside it."""
    folder = Path(folder)
    hashes = {}
    for path in sorted(_files(folder)):
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        hashes[path.relative_to(folder).as_posix()] = digest
    return hashes


def _files(folder):
    """All files but the signature itself."""
    for path in folder.rglob("*"):
        if path.is_file() and path != folder / SIGNATURE:
            yield path


def float32_bytes(arrays):
    """Size of arrays in float32."""
    return 4 * sum(math.prod(array.shape) for array in arrays.values())
