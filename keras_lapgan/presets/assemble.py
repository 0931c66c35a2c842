import inspect
import json
import os
from pathlib import Path
from typing import NamedTuple

from keras_lapgan.presets.load_preset import load_preset
from keras_lapgan.presets.sources import find_preset
from keras_lapgan.presets.weights_layout import present_levels
from keras_lapgan.utils.preset_error import PresetError

#: What is said of the whole, if it holds for all levels.
_KNOWN = (
    *("preset", "data", "split", "images", "flip", "crop", "resize"),
    *("epochs", "batch_size", "seed", "precision"),
    *("learning_rate_scale", "chained"),
)
#: What every Keras object has.
_ANY = ("name", "trainable", "dtype")


class Part(NamedTuple):
    """Where a level comes from, and how long it was trained there."""

    level: int
    preset: str
    epochs: int | None


def assemble_presets(presets, cls):
    """Joins levels that were trained apart.

    Args:
        presets: list of str or path. Of a level that several have, the last
            that trained it counts, or if none did, the last.
        cls: the class that the model is of.

    Returns:
        The model; its metadata, a dict; and a list of `Part`, by level.

    Raises:
        PresetError: a level is missing, or the presets do not belong together.
    """
    import numpy as np

    if isinstance(presets, (str, Path)) or not presets:
        raise PresetError(
            "To assemble takes a list of presets or run folders. "
            f"Received: {presets!r}"
        )
    names = list(map(str, presets))
    sources = [find_preset(name) for name in names]
    abouts = [source.metadata() for source in sources]
    configs = [source.config() for source in sources]
    first = _architecture(configs[0], cls)
    homes = {}
    for i, name in enumerate(names):
        _compare(names[0], name, first, _architecture(configs[i], cls))
        a, b = (_pictures(abouts[k], configs[k]) for k in (0, i))
        # What is not known of one does not speak against it.
        a, b = ({x: c[x] for x in c if x in a and x in b} for c in (a, b))
        _compare(names[0], name, a, b)
        homes |= dict.fromkeys(present_levels(configs[i]), i)
    # A run on what coarser levels draw has these too, not trained.
    for i, config in enumerate(configs):
        trained = (config.get("compile_config") or {}).get("levels")
        there = present_levels(config)
        there = [k for k in there if trained is None or k in trained]
        homes |= dict.fromkeys(there, i)
    count = len(first["levels"])
    missing = [k for k in range(count) if k not in homes]
    if missing:
        raise PresetError(
            f"Level{'s' * (len(missing) > 1)} {', '.join(map(str, missing))} "
            f"of 0 to {count - 1} {'are' if missing[1:] else 'is'} in none of "
            f"them. Received: {', '.join(names)}"
        )
    model, terms = None, {}
    for i in sorted(set(homes.values())):
        mine = [k for k, home in homes.items() if home == i]
        part = load_preset(names[i], cls, levels=mine)
        if model is None:
            model = _whole(configs[0], cls)
            statistics = part.normalization.get_weights()
            model.normalization.set_weights(statistics)
        for a, b in zip(
            statistics, part.normalization.get_weights(), strict=True
        ):
            # Means and deviations in grey levels, of some rounding.
            if not np.allclose(a, b, rtol=1e-4, atol=1e-2):
                raise PresetError(
                    "The levels were trained on pictures normalised "
                    "differently, by other means and deviations. Train them "
                    f"on the same pictures. Received: {names[i]!r} and "
                    f"{names[min(homes.values())]!r}"
                )
        # Weights without terms may join others, and come under theirs.
        if any(part.terms):
            terms.setdefault(part.terms, names[i])
        for k in mine:
            model.level(k).set_weights(part.level(k).get_weights())
    if len(terms) > 1:
        stated = (
            f"{name!r} ({license or 'a NOTICE'})"
            for (license, _), name in terms.items()
        )
        raise PresetError(
            "The levels' weights have different terms: the licence that "
            "metadata.json names, or NOTICE. Join levels of one origin only, "
            "or train the others anew from a preset's name. "
            f"Received: {', '.join(stated)}"
        )
    model.terms = next(iter(terms), None)
    parts = [
        Part(k, names[homes[k]], abouts[homes[k]].get("epochs"))
        for k in range(count)
    ]
    return model, _about([abouts[homes[k]] for k in range(count)]), parts


def _pictures(about, config):
    """What a preset says of the pictures that it was trained on."""
    data = about.get("data")
    # Another machine may have the same folder elsewhere.
    is_folder = os.sep in (data or "")
    found = {
        "data": None if is_folder else data,
        "classes": config["config"].get("class_names"),
    }
    return {name: x for name, x in found.items() if x is not None}


def _architecture(config, cls):
    """What must be the same of all levels' models."""
    kept = {**_defaults(cls), **config["config"]}
    # How pictures are cut is for training alone.
    for name in (*_ANY, "present", "class_names", "crop", "flip"):
        kept.pop(name, None)
    kept["levels"] = [
        [
            _network(level["config"][role])
            for role in ("generator", "discriminator")
        ]
        for level in kept["levels"]
    ]
    return kept


def _network(serialized):
    """A network's class and arguments, those left out as well."""
    from keras_lapgan import networks

    cls = getattr(networks, serialized["class_name"])
    arguments = {**_defaults(cls), **serialized["config"]}
    for name in _ANY:
        arguments.pop(name, None)
    # Tuples are lists there.
    return serialized["class_name"], json.loads(json.dumps(arguments))


def _defaults(cls):
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {x.name: x.default for x in parameters if x.default is not x.empty}


def _compare(first, second, a, b):
    for name in dict.fromkeys([*a, *b]):
        if a.get(name) == b.get(name):
            continue
        where = f"{first!r} and {second!r}"
        if name != "levels":
            where = " and ".join(
                f"{who!r} with {what.get(name)!r}"
                for who, what in ((first, a), (second, b))
            )
        raise PresetError(
            "The levels do not belong together: they differ in "
            f"{'their networks' if name == 'levels' else name}. "
            f"Received: {where}"
        )


def _whole(config, cls):
    import keras

    config = {**config, "config": dict(config["config"])}
    config["config"].pop("present", None)
    recipe = config.pop("compile_config", None)
    model = keras.saving.deserialize_keras_object(config)
    if recipe:
        model.compile(**{**recipe, "levels": None})
    return model


def _about(abouts):
    """Metadata of the whole: what is known of all levels alike."""
    common = {
        name: value
        for name, value in abouts[0].items()
        if all(about.get(name) == value for about in abouts)
    }
    return {
        name: common[name] for name in _KNOWN if common.get(name) is not None
    }
