import difflib
from pathlib import Path

from keras_lapgan.presets import cifar10_preset
from keras_lapgan.presets import lsun_preset
from keras_lapgan.presets import scenes_preset
from keras_lapgan.presets import stl10_preset
from keras_lapgan.utils.preset_error import PresetError

_PRESETS = {
    preset.name: preset
    for home in (cifar10_preset, stl10_preset, lsun_preset, scenes_preset)
    for preset in home.PRESETS
}


def list_presets():
    """Returns the published presets, a dict from name to `Preset`."""
    return dict(_PRESETS)


def get_preset(name):
    """Returns the `Preset` called `name`.

    Raises:
        PresetError: there is none; the message has the nearest names.
    """
    if name in _PRESETS:
        return _PRESETS[name]
    nearest = difflib.get_close_matches(name, _PRESETS, n=3, cutoff=0.4)
    hint = f" Did you mean {', '.join(nearest)}?" if nearest else ""
    raise PresetError(
        f"There is no preset and no folder called {name!r}.{hint} "
        "`keras-lapgan presets` lists them all."
    )


def is_published(preset):
    """Whether `preset` is a published name: a str, never a path.

    It wins over a folder of that name in the current directory, which
    `./name` is.
    """
    return isinstance(preset, str) and preset in _PRESETS


def published_folder(name):
    """Returns the folder of a published preset's weights, or None.

    A wheel carries them inside the package; a checkout, editable or not, at
    its top level.
    """
    package = Path(__file__).resolve().parent
    for home in (package / "published", package.parents[1] / "presets"):
        if (home / name / "model.weights.h5").is_file():
            return home / name
    return None
