"""Whether an exported file draws what Keras draws."""

import numpy as np

from keras_lapgan.export.export_error import ExportError
from keras_lapgan.export.script import load_script

_SEED = 0
# Of the range of pixels: how far any pixel may be off, and all on average.
_BOUNDS = {
    "float32": (1e-4, 1e-4),
    "float16": (1e-2, 1e-3),
    "int8": (0.25, 2e-2),
}
_RANGE = 255.0


def verify(model, folder, signature):
    """Draws with the file's own script and runtime, and compares.

    Args:
        model: `LAPGAN`, in float32.
        folder: `pathlib.Path`. With the file, `signature.json` and `run.py`.
        signature: dict.

    Returns:
        A dict: `"batches"`, `"max_difference"` and `"mean_difference"` from
        Keras' pictures in grey levels, in float32 beyond what rounding to
        uint8 does; `"max_bound"` and `"mean_bound"` that they had to keep.

    Raises:
        ExportError: they disagree; the message says where and how much.
    """
    sampler = load_script(folder).Sampler(folder)
    batch = signature["batch"]
    batches = [1, 7] if batch is None else [batch]
    if model.num_classes:
        # Each class once.
        batches.append(model.num_classes)
    bounds = [b * _RANGE for b in _BOUNDS[signature["precision"]]]
    is_exact = signature["precision"] == "float32"
    worst = [0.0, 0.0]
    for count in batches:
        images, stages = _drawn_by_keras(model, signature["level"], count)
        drawn = sampler(count, seed=_SEED, images=images)
        for spec in signature["outputs"]:
            name = spec["name"]
            picture, wanted = drawn[name], stages[spec["level"]]
            place = f"{signature['file']}, {name} of {count} pictures:"
            if (picture.shape, str(picture.dtype)) != (
                wanted.shape,
                spec["dtype"],
            ):
                raise ExportError(
                    f"{place} expected {wanted.shape} of {spec['dtype']}, the "
                    f"runtime gave {picture.shape} of {picture.dtype}."
                )
            apart = np.abs(picture.astype("float64") - wanted)
            if spec["dtype"] == "uint8" and is_exact:
                # Rounding may fall to either side.
                apart = np.maximum(apart - 0.5, 0.0)
            elif spec["dtype"] == "uint8":
                apart = np.abs(picture.astype("float64") - np.rint(wanted))
            found = [apart.max(), apart.mean()]
            # In this form it finds NaN, too.
            if not all(f <= b for f, b in zip(found, bounds, strict=True)):
                raise ExportError(
                    f"{place} the file does not draw what Keras draws: pixels "
                    f"are up to {found[0]:.4g} grey levels apart, "
                    f"{found[1]:.4g} on average; in {signature['precision']} "
                    f"at most {bounds[0]:.4g} and {bounds[1]:.4g} may be."
                )
            worst = np.maximum(worst, found)
    return {
        "batches": batches,
        "max_difference": float(worst[0]),
        "mean_difference": float(worst[1]),
        "max_bound": bounds[0],
        "mean_bound": bounds[1],
    }


def _drawn_by_keras(model, level, count):
    """What goes into a file of one level, and all stages, by level."""
    how = {"seed": _SEED, "return_pyramid": True, "dtype": "float32"}
    stages = model.generate(count, **how)
    for k, stage in enumerate(stages):
        if not np.isfinite(stage).all():
            raise ExportError(
                "Keras itself draws no pictures with these weights: there is "
                f"NaN or infinity at level {k}. Train the model again, from "
                "an earlier checkpoint."
            )
    if level is None or level == len(model.levels) - 1:
        return None, stages
    images = stages[level + 1]
    return images, model.generate_from(images, level + 1, **how)
