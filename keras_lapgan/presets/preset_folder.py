"""The format of a preset folder; nothing else in the package knows it.

`config.json` is the model in Keras' serialised form, `metadata.json` says
what it is, `model.weights.h5` holds the weights: what
`keras.saving.load_model(folder)` reads as well. `README.md` is its card.
"""

import contextlib
import hashlib
import json
import os
import textwrap
import warnings
from pathlib import Path

from keras_lapgan.presets.card import CARD
from keras_lapgan.presets.card import is_generated
from keras_lapgan.presets.card import model_card
from keras_lapgan.presets.errors import PresetError
from keras_lapgan.presets.registry import get_preset
from keras_lapgan.presets.registry import is_published
from keras_lapgan.presets.registry import published_folder
from keras_lapgan.utils.files import write_files
from keras_lapgan.version import __version__

FORMAT_VERSION = 1
CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"


#: What may be changed while a preset is loaded. Weights fit all of them.
OVERRIDES = ("crop", "flip", "name")


def load_preset(preset, cls, load_weights=True, **overrides):
    """Builds the model of a published name or a folder.

    Args:
        preset: str or path. A published name wins over a folder of that name
            in the current directory; `./name` or a `Path` is the folder.
        cls: the class that the model must be of.
        load_weights: bool. Defaults to True.
        **overrides: arguments of the model to change, out of `OVERRIDES`.

    Returns:
        The model, compiled.
    """
    folder = Path(preset)
    if folder.is_dir() and not is_published(preset):
        config = read_json(folder / CONFIG)
    else:
        if os.sep in str(preset) or str(preset).startswith("."):
            raise PresetError(f"There is no folder {str(preset)!r}.")
        config = get_preset(str(preset)).config()
        folder = published_folder(str(preset))
    if load_weights and not (folder and (folder / WEIGHTS).is_file()):
        raise PresetError(
            f"{str(preset)!r} has no trained weights yet. Build it with "
            "fresh ones, `from_preset(..., load_weights=False)`, and train "
            f"it: `keras-lapgan train {preset}`."
            + (
                f" The folder of that name is './{preset}'."
                if is_published(preset) and Path(preset).is_dir()
                else ""
            )
        )
    unknown = set(overrides) - set(OVERRIDES)
    if unknown:
        raise PresetError(
            f"Only {', '.join(OVERRIDES)} can be changed in a preset. "
            f"Received: {', '.join(sorted(unknown))}"
        )
    if not isinstance(config, dict) or not isinstance(
        config.get("config"), dict
    ):
        raise PresetError(
            f"{str(preset)!r} is not a preset of this package: its {CONFIG} "
            "holds no model."
        )
    config = {**config, "config": {**config["config"], **overrides}}
    model = _build(config, cls, preset)
    if load_weights:
        _check_weights(folder)
        try:
            with warnings.catch_warnings():
                # The optimizers of a preset start afresh, on purpose.
                warnings.filterwarnings(
                    "ignore", "Skipping variable loading for optimizer"
                )
                model.load_weights(folder / WEIGHTS)
        except (ValueError, OSError, KeyError) as error:
            raise PresetError(
                f"{str(folder / WEIGHTS)!r} does not fit {CONFIG}: {error}"
            ) from error
    return model


def _build(config, cls, preset):
    import keras

    config = dict(config)
    # Compiled here and not by Keras, which would allocate the optimizers'
    # slots at once, also for a model that only samples.
    recipe = config.pop("compile_config", None)
    with _config_errors(preset):
        model = keras.saving.deserialize_keras_object(config)
    if not isinstance(model, cls):
        raise PresetError(
            f"{str(preset)!r} holds a {type(model).__name__}, "
            f"not a {cls.__name__}."
        )
    if recipe:
        with _config_errors(preset):
            model.compile(**recipe)
    return model


@contextlib.contextmanager
def _config_errors(preset):
    try:
        yield
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        # Keras' messages can hold a whole config.
        reason = textwrap.shorten(str(error), 500)
        raise PresetError(
            f"{str(preset)!r} is not a preset that can be built: {reason}"
        ) from error


def save_preset(model, folder, metadata=None):
    """Writes a model into a folder: all files whole, or none.

    Args:
        model: `LAPGAN`.
        folder: path. Made if missing. A `README.md` in it that this function
            did not write stays.
        metadata: dict of what else is known of the model: `data`, `split`,
            `epochs` and so on. Defaults to None.
    """
    import keras

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    networks = [
        network
        for level in model.levels
        for network in (level.generator, level.discriminator)
    ]
    content = {
        **(metadata or {}),
        "format_version": FORMAT_VERSION,
        "keras_version": keras.__version__,
        "keras_lapgan_version": __version__,
        "parameter_count": sum(n.count_params() for n in networks),
    }

    def write_config(path):
        config = keras.saving.serialize_keras_object(model)
        path.write_text(json.dumps(config, indent=1))

    def write_weights(path):
        with _without_optimizer(model):
            model.save_weights(path)
        content["weights_sha256"] = sha256(path)

    files = {
        folder / CONFIG: write_config,
        folder / WEIGHTS: write_weights,
        # After the weights, whose checksum it has.
        folder / METADATA: lambda path: path.write_text(
            json.dumps(content, indent=1)
        ),
    }
    card = folder / CARD
    if not card.exists() or is_generated(card):
        text = model_card(model, f"./{folder.resolve().name}", content)
        files[card] = lambda path: path.write_text(text, encoding="utf-8")
    write_files(files)


@contextlib.contextmanager
def _without_optimizer(model):
    """Keeps the optimizers' state, twice the weights, out of their file."""
    optimizer, model.optimizer = model.optimizer, None
    try:
        yield
    finally:
        model.optimizer = optimizer


def read_metadata(folder):
    """Returns `metadata.json` as a dict."""
    return read_json(Path(folder) / METADATA)


def _check_weights(folder):
    metadata = folder / METADATA
    if not metadata.is_file():
        return
    expected = read_json(metadata).get("weights_sha256")
    if expected and sha256(folder / WEIGHTS) != expected:
        raise PresetError(
            f"{str(folder / WEIGHTS)!r} is not the file that {METADATA} was "
            "written for: its sha256 differs. It may be cut off; get or save "
            "it again."
        )


def read_json(path):
    if not path.is_file():
        raise PresetError(
            f"{str(path.parent)!r} is not a preset folder: it has no "
            f"{path.name}."
        )
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise PresetError(f"{str(path)!r} is not JSON: {error}") from error


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
