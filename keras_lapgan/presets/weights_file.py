"""The weights file of a preset: checked before it is read, made smaller."""

import math

from keras_lapgan.utils.preset_error import PresetError

#: How networks' weights may be stored.
DTYPES = ("float32", "float16", "bfloat16")
#: Of a file of this package: groups within groups, and all of them.
_DEPTH, _OBJECTS = 16, 20_000


def check_weights_file(path, layout, has_optimizer=False):
    """Checks that a file holds the arrays of `layout`, and nothing else.

    Every array must stand in the file as it is, without compression, links or
    parts in other files: so it takes no more memory than the file has bytes.

    Args:
        path: `pathlib.Path` of an HDF5 file.
        layout: dict from path to shape, see `weights_layout`.
        has_optimizer: bool. Whether the optimizers' state, below
            `optimizer/`, may be there too. Defaults to False.

    Raises:
        PresetError: it is another file than that.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = dict(_arrays(file))
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, PresetError):
            raise
        raise PresetError(
            f"{str(path)!r} is not a plain HDF5 file: {error}"
        ) from error
    except RecursionError as error:
        raise PresetError(f"{str(path)!r} is nested too deep.") from error
    size = path.stat().st_size
    for name, (shape, bytes_each) in found.items():
        if math.prod(shape) * bytes_each > size:
            raise PresetError(
                f"{str(path)!r} is not whole: {name!r} is larger than the file."
            )
    own = {
        name: shape
        for name, (shape, _) in found.items()
        if not (has_optimizer and name.startswith("optimizer/"))
    }
    _compare(path, own, layout)


def _compare(path, found, expected):
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    other = [
        f"{name} is {found[name]}, not {expected[name]}"
        for name in expected
        if name in found and found[name] != expected[name]
    ]
    if not (missing or unknown or other):
        return
    wrong = (
        other
        + [f"{name} is missing" for name in missing]
        + [f"{name} is not of it" for name in unknown]
    )
    counts = [sum(map(math.prod, x.values())) for x in (found, expected)]
    raise PresetError(
        f"{str(path)!r} does not fit the model in config.json: {wrong[0]}"
        + (f", and {len(wrong) - 1} more" if wrong[1:] else "")
        + f". It holds {counts[0]:,} numbers; the model has {counts[1]:,}."
    )


def _arrays(file):
    """Yields each array's path and `(shape, bytes of a number)`."""
    import h5py

    places = [("", file)]
    seen = 0
    while places:
        home, group = places.pop()
        for name in group:
            seen += 1
            path = f"{home}/{name}".lstrip("/")
            if seen > _OBJECTS or path.count("/") > _DEPTH:
                raise PresetError(f"{file.filename!r} has too many objects.")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise PresetError(
                    f"{file.filename!r} is not a plain HDF5 file: {path!r} is "
                    f"a {type(link).__name__}."
                )
            item = group[name]
            _check_attributes(file, path, item)
            if isinstance(item, h5py.Group):
                places.append((path, item))
            elif isinstance(item, h5py.Dataset):
                _check_storage(file, path, item)
                yield path, (item.shape, item.dtype.itemsize)
            else:
                raise PresetError(
                    f"{file.filename!r} is not a plain HDF5 file: {path!r} is "
                    f"a {type(item).__name__}."
                )


def _check_attributes(file, path, item):
    import h5py

    for name in item.attrs:
        value = item.attrs.get_id(name)
        is_text = value.get_type().get_class() == h5py.h5t.STRING
        if (
            name not in ("name", "dtype")
            or not is_text
            or value.shape != ()
            or value.get_storage_size() > 1000
        ):
            raise PresetError(
                f"{file.filename!r} is not a plain HDF5 file: {path!r} has an "
                f"attribute {name!r} that this package does not write."
            )


def _check_storage(file, path, array):
    import h5py

    kind, size = array.dtype.kind, array.dtype.itemsize
    is_bfloat16 = (kind, size) == ("V", 2) and (
        array.attrs.get("dtype") == "bfloat16"
    )
    how = array.id.get_create_plist()
    plain = how.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    if (
        not (kind in "fiub" or is_bfloat16)
        or not plain
        or array.is_virtual
        or array.shape is None
        or how.get_nfilters()
        or how.get_external_count()
        or array.id.get_storage_size() < array.size * size
    ):
        raise PresetError(
            f"{file.filename!r} is not a plain HDF5 file: {path!r} is not an "
            "array of numbers that stands in it as it is."
        )


def convert_weights(source, target, dtype):
    """Copies a weights file, the networks' weights as another dtype.

    Statistics, counts and optimizer state stay as they are.

    Args:
        source: path of a file that `keras.Model.save_weights` wrote.
        target: path of the new file.
        dtype: str. `"float16"` or `"bfloat16"`: half the size.

    Raises:
        ValueError: a weight is too large for float16.
    """
    import h5py
    import ml_dtypes
    import numpy as np

    to = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)

    def copy(name, item):
        if isinstance(item, h5py.Group):
            made = new.require_group(name)
        else:
            value = item[()]
            if _is_of_a_network(name) and value.dtype.kind == "f":
                half = value.astype(to)
                if not np.isfinite(half.astype("float32")).all():
                    raise ValueError(
                        "A weight is too large, or not a number, in "
                        f"{dtype}: {name}. Store them as float32."
                    )
                value = half
            made = new.create_dataset(name, data=value)
            if value.dtype == ml_dtypes.bfloat16:
                # Keras' own mark.
                made.attrs["dtype"] = "bfloat16"
        made.attrs.update(item.attrs)

    with h5py.File(source) as old, h5py.File(target, "w") as new:
        old.visititems(copy)


def _is_of_a_network(name):
    parts = name.split("/")
    return parts[0] == "layers" and parts[2] in (
        "generator",
        "discriminator",
        "ema_generator",
    )
