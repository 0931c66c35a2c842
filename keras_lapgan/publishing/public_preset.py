import os
import re
import shutil
from pathlib import Path
from pathlib import PureWindowsPath

from keras_lapgan.presets.card import CARD
from keras_lapgan.presets.card import is_generated
from keras_lapgan.presets.preset_folder import CONFIG
from keras_lapgan.presets.preset_folder import METADATA
from keras_lapgan.presets.preset_folder import WEIGHTS
from keras_lapgan.presets.preset_folder import read_checked_weights
from keras_lapgan.presets.preset_folder import read_config
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.presets.preset_folder import write_card
from keras_lapgan.presets.preset_folder import write_json
from keras_lapgan.utils.folder_swap import settled
from keras_lapgan.utils.image_grid import image_grid
from keras_lapgan.utils.image_grid import save_png
from keras_lapgan.utils.image_grid import stage_strip
from keras_lapgan.utils.preset_error import PresetError

#: Of a folder, what else goes public with the preset.
EXTRAS = ("NOTICE", "LICENSE", "log.csv", "curves.png")
GRID, STRIP = "grid.png", "strip.png"
_SEED = 42


def public_preset(folder, target, preset, previous_card=None):
    """Copies what of a preset folder is for everybody.

    That is the model, its card with a grid and a strip of samples, its log
    and notices: no checkpoints, and no paths of the machine that trained it.

    Args:
        folder: path of a preset folder, a run's too.
        target: path of an empty folder.
        preset: str. What `from_preset` will take: it stands in the card.
        previous_card: str or None. A card to renew where the one in `folder`
            has nothing of its user's.

    Raises:
        PresetError: `folder` is no preset, or has no weights.
    """
    folder, target = Path(folder), Path(target)
    with settled(folder):
        metadata, config = read_metadata(folder), read_config(folder)
        if not (folder / WEIGHTS).is_file():
            raise PresetError(f"{str(folder)!r} has no {WEIGHTS}: train it.")
        read_checked_weights(folder, config, metadata)
        for name in (WEIGHTS, GRID, STRIP, *EXTRAS):
            if (folder / name).is_file():
                shutil.copy(folder / name, target / name)
        card = folder / CARD
        if card.is_file() and not is_generated(card):
            shutil.copy(card, target / CARD)
        elif previous_card:
            (target / CARD).write_text(previous_card, encoding="utf-8")
    metadata = without_paths(metadata)
    write_json(target / CONFIG, config)
    write_json(target / METADATA, metadata)
    if not ((target / GRID).is_file() and (target / STRIP).is_file()):
        from keras_lapgan.models.lapgan import LAPGAN

        draw_pictures(LAPGAN.from_preset(target), target)
    write_card(target / CARD, target, config, metadata, preset)


def draw_pictures(model, folder):
    """Writes `grid.png` and `strip.png`, samples of seed 42."""
    classes = model.num_classes
    columns = min(classes, 16) or 8
    labels = [i % columns for i in range(8 * columns)] if classes else None
    stages = model.generate(
        8 * columns, labels=labels, seed=_SEED, return_pyramid=True
    )
    scale = max(1, 56 // stages[0].shape[1])
    save_png(folder / GRID, image_grid(stages[0], columns, scale))
    save_png(folder / STRIP, stage_strip([stage[:8] for stage in stages]))


def without_paths(metadata):
    """Metadata in which folders of this machine are only names."""
    metadata = dict(metadata)
    for name in ("data", "preset"):
        text = metadata.get(name)
        is_path = text and (
            os.path.isabs(os.path.expanduser(text))
            or not re.fullmatch(r"(hf://)?[\w.@:-]+(/[\w.@:-]+)*", text)
            or text.startswith(".")
        )
        if is_path:
            metadata[name] = PureWindowsPath(text).name or name
    return metadata
