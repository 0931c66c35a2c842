from keras_lapgan.presets.cifar10_preset import CIFAR10Preset
from keras_lapgan.presets.load_preset import load_preset
from keras_lapgan.presets.lsun_preset import LSUNPreset
from keras_lapgan.presets.preset import Preset
from keras_lapgan.presets.preset_folder import save_preset
from keras_lapgan.presets.registry import get_preset
from keras_lapgan.presets.registry import is_published
from keras_lapgan.presets.registry import list_presets
from keras_lapgan.presets.registry import published_folder
from keras_lapgan.presets.scenes_preset import ScenesPreset
from keras_lapgan.presets.sources import find_preset
from keras_lapgan.presets.stl10_preset import STL10Preset
from keras_lapgan.utils.preset_error import PresetError

__all__ = [
    "CIFAR10Preset",
    "LSUNPreset",
    "Preset",
    "PresetError",
    "STL10Preset",
    "ScenesPreset",
    "find_preset",
    "get_preset",
    "is_published",
    "list_presets",
    "load_preset",
    "published_folder",
    "save_preset",
]
