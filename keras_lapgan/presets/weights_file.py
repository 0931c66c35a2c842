"""The weights file of a preset: written so that it is read without trust.

It is an HDF5 file in which Keras finds its weights too. Here it is read by
`plain_arrays`, never by libhdf5.
"""

import math
import mmap
import re

from keras_lapgan.presets.weights_layout import level_home
from keras_lapgan.utils.preset_error import PresetError

#: How networks' weights may be stored.
DTYPES = ("float32", "float16", "bfloat16")
_OPTIMIZER = "optimizer/vars/"


# === A model's variables ===


def variables_by_path(model, include_optimizer=False):
    """Returns a model's variables by their paths in a weights file.

    Args:
        model: `LAPGAN`.
        include_optimizer: bool. With the optimizers' state, which must be
            built. Defaults to False.
    """
    found = {}
    for place, level in enumerate(model.trainable_levels()):
        home = level_home(place)
        for role in ("generator", "discriminator", "ema_generator"):
            numbers = {}
            for layer in getattr(level, role).layers:
                kind = _snake_case(type(layer).__name__)
                number = numbers[kind] = numbers.get(kind, -1) + 1
                name = f"{kind}{f'_{number}' if number else ''}"
                for i, variable in enumerate(layer.weights):
                    found[f"{home}/{role}/layers/{name}/vars/{i}"] = variable
        found[f"{home}/vars/0"] = level.averaged_steps
    statistics = model.normalization.weights
    for i, variable in enumerate(statistics):
        found[f"layers/image_normalization/vars/{i}"] = variable
    if include_optimizer:
        for i, variable in enumerate(model.optimizer.variables):
            found[f"{_OPTIMIZER}{i}"] = variable
    return found


def _snake_case(name):
    """As Keras has it: `Conv2DTranspose` is `conv2d_transpose`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


# === Writing ===


def write_weights(path, model, dtype="float32", include_optimizer=False):
    """Writes a model's weights.

    Args:
        path: path of the file.
        model: `LAPGAN`.
        dtype: str. How the networks' weights are stored, out of `DTYPES`.
            Statistics, counts and optimizers are stored as they are.
        include_optimizer: bool. Defaults to False.

    Raises:
        PresetError: a weight is not finite, or is not in `dtype`.
    """
    import h5py
    import ml_dtypes
    import numpy as np
    from keras import ops

    stored = np.dtype(getattr(ml_dtypes, dtype, dtype))
    # Another form than what `plain_arrays` reads may be the default one day.
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        variables = variables_by_path(model, include_optimizer)
        for name, variable in variables.items():
            value = ops.convert_to_numpy(variable)
            if _is_of_a_network(name):
                with np.errstate(over="ignore"):
                    value = value.astype(stored)
            if not _is_finite(value):
                raise PresetError(
                    f"A weight of {variable.path!r} is not a number, or too "
                    f"large for {dtype}: nothing was saved."
                )
            made = file.create_dataset(name, data=value)
            if value.dtype == ml_dtypes.bfloat16:
                # Keras' own mark.
                made.attrs["dtype"] = "bfloat16"


def _is_of_a_network(name):
    parts = name.split("/")
    return parts[0] == "layers" and parts[2] in (
        "generator",
        "discriminator",
        "ema_generator",
    )


def _is_finite(value):
    import numpy as np

    if value.dtype.kind in "iu":
        return True
    with np.errstate(over="ignore"):
        return bool(np.isfinite(value.astype("float32", copy=False)).all())


# === Reading ===


def read_weights(path, layout, has_optimizer=False, name=None):
    """Reads the arrays of a file, which must be just those of `layout`.

    They stay in the file until they are used, and take no more memory than it
    has bytes.

    Args:
        path: `pathlib.Path`.
        layout: dict from path to shape, see `weights_layout`.
        has_optimizer: bool. Whether the optimizers' state must be there too.
            Defaults to False.
        name: str or None. What errors call it; None is its path.

    Returns:
        A dict from path to array.

    Raises:
        PresetError: it is another file than that, or damaged.
    """
    from keras_lapgan.utils.plain_hdf5 import NotPlainError
    from keras_lapgan.utils.plain_hdf5 import plain_arrays

    where = name or repr(str(path))
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        arrays = plain_arrays(data)
    except (NotPlainError, OSError, ValueError) as error:
        raise PresetError(
            f"{where} is not a plain HDF5 file of weights: {error}."
        ) from error
    own = {k: v.shape for k, v in arrays.items()}
    if has_optimizer:
        count = sum(name.startswith(_OPTIMIZER) for name in own)
        state = {f"{_OPTIMIZER}{i}" for i in range(count)}
        if not state or not state <= set(own):
            raise PresetError(f"{where} lacks the optimizers' state.")
        own = {name: own[name] for name in own if name not in state}
    _compare(where, own, layout)
    for path, value in arrays.items():
        if not _is_finite(value):
            raise PresetError(
                f"{where}: {path} has values that are not finite. The "
                "training diverged; take a checkpoint before that."
            )
    return arrays


def _compare(where, found, expected):
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
        f"{where} does not fit the model in config.json: {wrong[0]}"
        + (f", and {len(wrong) - 1} more" if wrong[1:] else "")
        + f". It holds {counts[0]:,} numbers; the model has {counts[1]:,}."
    )


def assign_weights(model, arrays, include_optimizer=False):
    """Gives a model the weights that `read_weights` found.

    Raises:
        PresetError: the optimizers' state is another recipe's.
    """
    variables = variables_by_path(model, include_optimizer)
    shapes = {name: tuple(v.shape) for name, v in variables.items()}
    if shapes != {name: value.shape for name, value in arrays.items()}:
        raise PresetError(
            "The optimizers' state is not of the recipe in config.json."
        )
    for name, variable in variables.items():
        value = arrays[name]
        half = value.dtype.itemsize == 2
        # A copy: JAX would go on using the file's pages as its own memory.
        variable.assign(value.astype("float32" if half else value.dtype))
