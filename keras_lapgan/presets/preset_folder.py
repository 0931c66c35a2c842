"""The format of a preset folder; nothing else in the package knows it.

`config.json` is the model in Keras' serialised form, `metadata.json` says
what it is, `model.weights.h5` holds the weights: what
`keras.saving.load_model(folder)` reads as well. `README.md` is its card.
"""

import hashlib
import json
import math
import os
import re
import warnings
from pathlib import Path

from keras_lapgan.presets.card import CARD
from keras_lapgan.presets.card import model_card
from keras_lapgan.presets.card import read_card
from keras_lapgan.presets.schema import check_about
from keras_lapgan.presets.schema import check_config
from keras_lapgan.presets.schema import check_metadata
from keras_lapgan.presets.weights_file import DTYPES
from keras_lapgan.presets.weights_file import read_weights
from keras_lapgan.presets.weights_file import write_weights
from keras_lapgan.presets.weights_layout import parameter_count
from keras_lapgan.presets.weights_layout import resampling_numbers
from keras_lapgan.presets.weights_layout import weights_layout
from keras_lapgan.utils.files import check_room
from keras_lapgan.utils.folder_swap import swap_in
from keras_lapgan.utils.preset_error import PresetError
from keras_lapgan.version import __version__

FORMAT_VERSION = 3
CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
NOTICE = "NOTICE"
#: More than any JSON file of this package takes.
JSON_BYTES = 4_000_000
#: Numbers that a model may have whose weights are nowhere to be seen, and of
#: the matrices that enlarge and shrink.
_MAX_NUMBERS = 200_000_000
_MAX_RESAMPLING = 20_000_000


# === Reading ===


def read_config(folder, name=None):
    """Returns a folder's `config.json`, checked: a dict.

    Args:
        folder: path.
        name: str or None. What errors call the preset; None is its path.
    """
    config = read_json(Path(folder) / CONFIG)
    _make_portable(config)
    check_config(config, f"{str(name or folder)!r}: {CONFIG}")
    return config


def read_metadata(folder, name=None):
    """Returns a folder's `metadata.json`, checked; see `read_config`."""
    name = str(name or folder)
    path = Path(folder) / METADATA
    metadata = read_json(path)
    version = metadata.get("format_version")
    if version is None:
        hint = (
            " Keras itself saved it: open it with `keras.saving.load_model`."
            if "keras_version" in metadata
            else ""
        )
        raise PresetError(
            f"{name!r} is not a preset: its {METADATA} has no "
            f"format_version.{hint}"
        )
    if type(version) is int and version > FORMAT_VERSION:
        wanted = str(metadata.get("keras_lapgan_version"))
        is_known = re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}", wanted)
        raise PresetError(
            f"{name!r} has format version {version}; keras-lapgan "
            f"{__version__} reads up to {FORMAT_VERSION}. Install a newer one"
            + (
                f': `pip install "keras-lapgan>={wanted}"`.'
                if is_known
                else "."
            )
        )
    check_metadata(metadata, f"{name!r}: {METADATA}")
    # Version 1 had float32 or float16 weights, and no optimizer's state;
    # version 2, metrics without `floor` and `authors`.
    return {
        "has_optimizer": False,
        **metadata,
        "format_version": FORMAT_VERSION,
    }


def read_checked_weights(folder, config, metadata, name=None):
    """Returns a folder's weights, once they are known to be whole and to fit.

    Args:
        folder: path.
        config: dict, of `read_config`.
        metadata: dict, of `read_metadata`.
        name: str or None. What errors call the preset; None is its path.

    Returns:
        A dict from path in the file to array.
    """
    name = str(name or folder)
    path = Path(folder) / WEIGHTS
    layout = weights_layout(config)
    count = parameter_count(config)
    if count != metadata["parameter_count"]:
        raise PresetError(
            f"{name!r}: {CONFIG} is of {count:,} parameters, {METADATA} "
            f"of {metadata['parameter_count']:,}. They do not belong together."
        )
    if sha256(path) != metadata["weights_sha256"]:
        raise PresetError(
            f"{name!r}: {WEIGHTS} is not the file that {METADATA} was written "
            "for, its sha256 differs. It may be cut off or mixed up; get it, "
            "or save it, again."
        )
    return read_weights(
        path, layout, metadata["has_optimizer"], f"{name!r}: {WEIGHTS}"
    )


def read_notice(folder):
    """Returns the terms of the weights, a text, or None."""
    folder = Path(folder).resolve()
    path = folder / NOTICE
    if path.is_symlink():
        # A link leads to what may be private, but in the Hub's cache, where
        # `blobs` lies beside `snapshots`.
        if path.resolve().parent != folder.parents[1] / "blobs":
            return None
    if not path.is_file() or path.stat().st_size > JSON_BYTES:
        return None
    return path.read_text(encoding="utf-8", errors="replace")


def check_size(config, name, with_weights):
    """Refuses a model that a few lines of JSON make gigabytes of.

    Args:
        config: dict.
        name: str. What errors call the preset.
        with_weights: bool. Whether its weights are there, as large as it is.
    """
    numbers = sum(map(math.prod, weights_layout(config).values()))
    if numbers > _MAX_NUMBERS and not with_weights:
        raise PresetError(
            f"{name!r} is a model of {numbers:,} numbers; without their file, "
            f"at most {_MAX_NUMBERS:,} are built."
        )
    if resampling_numbers(config) > _MAX_RESAMPLING:
        raise PresetError(
            f"{name!r} has a pyramid of too many large levels to be built."
        )


def read_json(path):
    """Returns the dict in a file of a preset folder."""
    if not path.is_file():
        raise PresetError(
            f"{str(path.parent)!r} is not a preset folder: it has no "
            f"{path.name}."
        )
    if path.stat().st_size > JSON_BYTES:
        raise PresetError(
            f"{str(path)!r} is too large: {path.stat().st_size:,} bytes, more "
            f"than {JSON_BYTES:,}."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PresetError(f"{str(path)!r} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise PresetError(
            f"{str(path)!r} is not a preset's: it holds a "
            f"{type(content).__name__}, not names and values."
        )
    return content


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# === Writing ===


def save_preset(
    model,
    folder,
    metadata=None,
    include_optimizer=False,
    weights_dtype="float32",
):
    """Writes a model into a folder: all files, or none.

    Whatever stops the process, the folder holds the old preset or the new
    one. Other files in it stay, and so does what somebody wrote into its
    `README.md`.

    Args:
        model: `LAPGAN`.
        folder: path. Made if missing.
        metadata: dict of what else is known of the model: `data`, `split`,
            `epochs`, `license`, `note`, `metrics` and the others of
            `keras_lapgan.presets.schema`. Defaults to None.
        include_optimizer: bool. Keep the optimizers' state, for training to
            go on as if it had not stopped. Defaults to False.
        weights_dtype: str. `"float16"` and `"bfloat16"` halve the file; the
            weights come back as what the policy in use says. Defaults to
            `"float32"`.

    Raises:
        PresetError: a network or optimizer that is not this package's or
            Keras' own; metadata of another kind.
        OSError: the disk is full, or the folder cannot be written.
    """
    import keras

    if weights_dtype not in DTYPES:
        raise PresetError(
            f"`weights_dtype` must be one of {', '.join(DTYPES)}. "
            f"Received: weights_dtype={weights_dtype!r}"
        )
    folder = _checked_target(folder)
    license, notice = model.terms or (None, None)
    metadata = checked_about(metadata)
    if license is not None:
        metadata.setdefault("license", license)
    config = serialized(model)
    content = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "keras_version": keras.__version__,
        "keras_lapgan_version": __version__,
        "parameter_count": parameter_count(config),
        "weights_dtype": weights_dtype,
        "has_optimizer": include_optimizer,
    }
    _check_room(folder, model, include_optimizer)

    def write(new):
        weights = new / WEIGHTS
        if include_optimizer and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        write_weights(weights, model, weights_dtype, include_optimizer)
        content["weights_sha256"] = sha256(weights)
        write_json(new / CONFIG, config)
        write_json(new / METADATA, content)
        there = read_notice(folder)
        if notice and notice not in (there or ""):
            text = f"{there}\n\n{notice}" if there else notice
            (new / NOTICE).write_text(text, encoding="utf-8")
        try:
            text = model_card(
                config,
                content,
                f"./{folder.name}",
                has_notice=bool(notice or there),
                previous=read_card(folder / CARD),
            )
        except PresetError as error:
            # A save does not fail for it.
            warnings.warn(f"{error} It stays as it is.", stacklevel=3)
        else:
            (new / CARD).write_bytes(text.encode("utf-8"))

    swap_in(folder, write)


def _checked_target(folder):
    """The folder to save to, if that cannot be a mistake."""
    text = os.fspath(folder)
    if not text.strip() or text.startswith(("hf://", "http://", "https://")):
        raise PresetError(
            "A preset is saved to a folder; `keras_lapgan.upload_preset` then "
            f"brings that to the Hub. Received: folder={text!r}"
        )
    folder = Path(folder).resolve()
    for name in (CONFIG, METADATA, WEIGHTS):
        if os.path.lexists(folder / name) and not is_preset_folder(folder):
            raise PresetError(
                f"{text!r} holds a {name} of something else, which would be "
                "replaced. Choose another folder."
            )
    return folder


def is_preset_folder(folder):
    """Whether a folder looks like a preset's, a damaged one's too."""
    folder = Path(folder)
    for name, entry in ((METADATA, "format_version"), (CONFIG, "class_name")):
        try:
            found = read_json(folder / name)
        except PresetError:
            continue
        if name == METADATA and entry in found:
            return True
        if name == CONFIG and found.get(entry) == "LAPGAN":
            return True
    return False


def checked_about(metadata):
    """Returns what is known of a model as plain data.

    Raises:
        PresetError: an entry is unknown or of another kind.
    """
    if metadata is not None and not isinstance(metadata, dict):
        raise PresetError(
            f"`metadata` must be a dict. Received: metadata={metadata!r}"
        )
    try:
        metadata = json.loads(json.dumps(metadata or {}))
    except (TypeError, ValueError, RecursionError) as error:
        raise PresetError(
            f"`metadata` must be made of texts, numbers and lists. {error}"
        ) from error
    check_about(metadata)
    return metadata


def write_json(path, content):
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def serialized(model):
    """Returns the model's config as plain data, checked.

    Raises:
        PresetError: a preset cannot hold it.
    """
    import keras

    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    _make_portable(config)
    try:
        check_config(config, "the model's config")
    except PresetError as error:
        raise PresetError(
            f"A preset cannot hold this model: {error} A preset takes only "
            "networks of `keras_lapgan.networks`, optimizers of Keras and "
            "`DampedSGD`, so that nothing in it can run code; "
            "`model.save('model.keras')` keeps any model."
        ) from error
    size = len(json.dumps(config, indent=1, ensure_ascii=False).encode())
    if size > JSON_BYTES:
        raise PresetError(
            f"A preset cannot hold this model: its config has {size:,} bytes, "
            f"more than {JSON_BYTES:,}. Shorten the names of its classes."
        )
    return config


def _make_portable(config):
    """Calls optimizers what they are called on every backend.

    On torch, Keras writes the names of its own classes for torch.
    """
    inner = config.get("config")
    levels = inner.get("levels") if isinstance(inner, dict) else None
    for level in levels if isinstance(levels, list) else []:
        if isinstance(level, dict):
            _make_portable({**level, "config": None})
    recipe = config.get("compile_config")
    if not isinstance(recipe, dict):
        return
    for name in ("d_optimizer", "g_optimizer"):
        found = recipe.get(name)
        for one in found if isinstance(found, list) else [found]:
            module = one.get("module") if isinstance(one, dict) else None
            if str(module).startswith("keras.src.backend.torch.optimizers."):
                one |= {"module": "keras.optimizers", "registered_name": None}


def _check_room(folder, model, include_optimizer):
    """Refuses a disk that is too full before HDF5 meets its end.

    HDF5 can crash the process when it closes a file that it could not finish.
    """
    variables = list(model.variables)
    if include_optimizer:
        variables += list(model.optimizer.variables)
    needed = 4 * sum(math.prod(v.shape) for v in variables)
    check_room(folder, needed)
