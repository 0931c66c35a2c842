import contextlib
import json
import textwrap

from keras_lapgan.presets.preset_folder import WEIGHTS
from keras_lapgan.presets.preset_folder import check_size
from keras_lapgan.presets.preset_folder import read_notice
from keras_lapgan.presets.schema import check_config
from keras_lapgan.presets.schema import check_policy
from keras_lapgan.presets.sources import find_preset
from keras_lapgan.presets.weights_file import assign_weights
from keras_lapgan.presets.weights_layout import levels_of
from keras_lapgan.presets.weights_layout import present_levels
from keras_lapgan.utils.preset_error import PresetError

#: What may be changed while a preset is loaded: weights fit all of them.
OVERRIDES = ("class_names", "crop", "flip", "name", "source_size")
#: What may be changed where the weights are fresh.
FRESH_OVERRIDES = ("down", "normalization", "num_classes", "up")


def load_preset(
    preset,
    cls,
    load_weights=True,
    revision=None,
    dtype=None,
    levels=None,
    **overrides,
):
    """Builds the model of a preset, once all its files have been checked.

    Args:
        preset: str or path, see `find_preset`.
        cls: the class that the model must be of.
        load_weights: bool. Defaults to True.
        revision: str or None. A branch, tag or commit on the Hub. Defaults to
            None.
        dtype: str or None. The networks' dtype policy. None is the policy in
            use. Defaults to None.
        levels: list of int, or None. Build only these. Defaults to None.
        **overrides: arguments of the model to change, out of `OVERRIDES` and,
            with fresh weights, `FRESH_OVERRIDES`.

    Returns:
        The model, compiled.

    Raises:
        PresetError: no such preset, or one that is not what it should be.
    """
    if not isinstance(load_weights, bool):
        raise PresetError(
            "`load_weights` must be True or False. Received: "
            f"load_weights={load_weights!r}"
        )
    if dtype is not None:
        dtype = check_policy(dtype, "`dtype`")
    source = find_preset(preset, revision, with_weights=load_weights)
    if load_weights and not source.has_weights:
        raise PresetError(_no_weights(source))
    weights, has_optimizer = None, False
    with source.settled():
        # First, as it says what version the others are of.
        metadata = source.metadata()
        config = source.config(with_weights=load_weights)
        config = _changed(source, config, load_weights, dtype, overrides)
        there = present_levels(config)
        if levels is not None:
            levels = _checked_levels(source, config, levels)
        if load_weights:
            check_size(config, source.preset, load_weights)
            weights = source.weights(config, metadata)
            has_optimizer = metadata["has_optimizer"]
            notice = read_notice(source.folder)
        if levels not in (None, there):
            _choose(config, levels)
            has_optimizer = False
            if load_weights:
                weights = levels_of(weights, there, levels)
        check_size(config, source.preset, load_weights)
    model = _build(source, config, cls, has_optimizer)
    if load_weights:
        assign_weights(model, weights, has_optimizer)
        # What is made of these weights keeps their terms.
        model.terms = (metadata.get("license"), notice)
    return model


def _no_weights(source):
    if source.folder is not None:
        return f"{source.preset!r} has no weights: {WEIGHTS} is missing."
    return (
        f"{source.preset!r} has no trained weights yet. Build it with fresh "
        "ones, `from_preset(..., load_weights=False)`, and train it: "
        f"`keras-lapgan train {source.preset}`."
    )


def _changed(source, config, load_weights, dtype, overrides):
    """The config with `overrides`, and with the dtype that is asked for."""
    known = OVERRIDES + (() if load_weights else FRESH_OVERRIDES)
    for name in overrides:
        if name in known:
            continue
        if name in FRESH_OVERRIDES:
            raise PresetError(
                f"The weights of {source.preset!r} were trained with another "
                f"`{name}` and mean nothing with this one. Train anew, with "
                f"`load_weights=False`. Received: {name}={overrides[name]!r}"
            )
        raise PresetError(
            f"Only {', '.join(known)} can be changed in a preset; for another "
            "architecture build a `LAPGAN` of levels. Received: "
            f"{name}={overrides[name]!r}"
        )
    try:
        overrides = json.loads(json.dumps(overrides))
    except (TypeError, ValueError, RecursionError) as error:
        raise PresetError(
            f"A preset's arguments are numbers, texts and lists. {error}"
        ) from error
    config = json.loads(json.dumps(config))
    model = config["config"]
    num_classes = overrides.pop("num_classes", None)
    model.pop("dtype", None)
    for level in model["levels"]:
        level["config"].pop("dtype", None)
        for role in ("generator", "discriminator"):
            network = level["config"][role]["config"]
            network.pop("dtype", None)
            if dtype is not None:
                network["dtype"] = dtype
            if num_classes is not None:
                network["num_classes"] = num_classes
    if num_classes is not None:
        model["class_names"] = None
    model.update(overrides)
    check_config(config, f"{source.preset!r}, changed:")
    return config


def _checked_levels(source, config, levels):
    there = present_levels(config)
    is_list = isinstance(levels, (list, tuple, set, range))
    chosen = sorted(k for k in there if is_list and k in levels)
    if not chosen or any(type(k) is not int or k not in there for k in levels):
        raise PresetError(
            f"{source.preset!r} has the levels "
            f"{', '.join(map(str, there))} (0 is the finest), of which a list "
            f"is expected. Received: levels={levels!r}"
        )
    return chosen


def _choose(config, levels):
    """Makes a config one of some levels alone."""
    config["config"]["present"] = levels
    recipe = config.get("compile_config") or {}
    trained = recipe.get("levels")
    if trained is not None:
        trained = [k for k in trained if k in levels]
        recipe["levels"] = trained or None
    # Without what they drew on they are trained given real pictures.
    count = len(config["config"]["levels"])
    if not set(range(min(trained or levels), count)) <= set(levels):
        recipe["chained"] = 0.0


def _build(source, config, cls, has_optimizer=False):
    import keras

    # Compiled here and not by Keras, which would allocate the optimizers'
    # slots at once, also for a model that only samples.
    recipe = config.pop("compile_config", None)
    with _config_errors(source):
        model = keras.saving.deserialize_keras_object(config)
    if not isinstance(model, cls):
        raise PresetError(
            f"{source.preset!r} holds a {type(model).__name__}, "
            f"not a {cls.__name__}."
        )
    with _config_errors(source):
        if recipe:
            model.compile(**recipe)
        if has_optimizer:
            model.optimizer.build(model.trainable_variables)
    return model


@contextlib.contextmanager
def _config_errors(source):
    try:
        yield
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise PresetError(
            f"{source.preset!r} is not a preset that can be built: "
            f"{_short(error)}"
        ) from error


def _short(error):
    # Keras' messages can hold a whole config.
    return textwrap.shorten(str(error), 500)
