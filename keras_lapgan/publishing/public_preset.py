import shutil
from pathlib import Path

from keras_lapgan.presets.card import CARD
from keras_lapgan.presets.card import PICTURES
from keras_lapgan.presets.card import is_ours_alone
from keras_lapgan.presets.card import model_card
from keras_lapgan.presets.card import read_card
from keras_lapgan.presets.card import without_paths
from keras_lapgan.presets.preset_folder import CONFIG
from keras_lapgan.presets.preset_folder import METADATA
from keras_lapgan.presets.preset_folder import NOTICE
from keras_lapgan.presets.preset_folder import WEIGHTS
from keras_lapgan.presets.preset_folder import read_checked_weights
from keras_lapgan.presets.preset_folder import read_config
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.presets.preset_folder import write_json
from keras_lapgan.presets.schema import ABOUT
from keras_lapgan.presets.schema import TRAINING
from keras_lapgan.utils.folder_swap import settled
from keras_lapgan.utils.image_grid import image_grid
from keras_lapgan.utils.image_grid import save_png
from keras_lapgan.utils.image_grid import stage_strip
from keras_lapgan.utils.preset_error import PresetError

#: Of a folder, what else goes public with the model.
EXTRAS = (NOTICE, "LICENSE", "log.csv", "curves.png")
_SEED = 42


def public_preset(folder, target, preset, card=None):
    """Copies what of a preset folder is for everybody.

    That is the model without optimizers, a card with a grid and a strip of
    samples, its log and notices: no checkpoints, and no paths of the machine
    that trained it.

    Args:
        folder: path of a preset folder, a run's too.
        target: path of an empty folder.
        preset: str. What `from_preset` will take: it stands in the card.
        card: str or None. The card that is public already, to be renewed
            where nobody has written anything into the one in `folder`.

    Raises:
        PresetError: `folder` is no preset, has no weights, or links to files
            that may be private.
    """
    from keras_lapgan.models.lapgan import LAPGAN

    folder, target = Path(folder), Path(target)
    with settled(folder):
        metadata, config = read_metadata(folder), read_config(folder)
        if not (folder / WEIGHTS).is_file():
            raise PresetError(f"{str(folder)!r} has no {WEIGHTS}: train it.")
        read_checked_weights(folder, config, metadata)
        if "present" in config["config"]:
            raise PresetError(
                f"{str(folder)!r} holds some levels alone. Join them with the "
                "others first: `keras-lapgan assemble`."
            )
        for name in (WEIGHTS, *EXTRAS):
            file = folder / name
            if name in EXTRAS and file.is_symlink():
                raise PresetError(
                    f"{str(file)!r} is a link: what it leads to may be "
                    "private. Put the file itself there, or remove it."
                )
            if file.is_file():
                shutil.copyfile(file, target / name)
        own = read_card(folder / CARD)
    metadata = without_paths(metadata)
    write_json(target / CONFIG, config)
    write_json(target / METADATA, metadata)
    model = LAPGAN.from_preset(target)
    if metadata["has_optimizer"]:
        known = {**TRAINING, **ABOUT}
        model.save_to_preset(
            target,
            metadata={k: v for k, v in metadata.items() if k in known},
            weights_dtype=metadata.get("weights_dtype", "float32"),
        )
        metadata = read_metadata(target)
    draw_pictures(model, target)
    if own is not None and not is_ours_alone(own):
        card = own
    write_card(target, config, metadata, preset, card)


def write_card(folder, config, metadata, preset, previous):
    """Writes the card of a folder whose other files are all there."""
    text = model_card(
        config,
        metadata,
        preset,
        [name for name in PICTURES if (folder / name).is_file()],
        has_notice=(folder / NOTICE).is_file(),
        previous=previous,
    )
    (folder / CARD).write_bytes(text.encode("utf-8"))


def draw_pictures(model, folder):
    """Writes `grid.png` and `strip.png`, samples of seed 42."""
    classes = model.num_classes
    columns = min(classes, 16) or 8
    labels = [i % columns for i in range(8 * columns)] if classes else None
    stages = model.generate(
        8 * columns, labels=labels, seed=_SEED, return_pyramid=True
    )
    scale = max(1, 56 // stages[0].shape[1])
    save_png(folder / "grid.png", image_grid(stages[0], columns, scale))
    strip = stage_strip([stage[:8] for stage in stages])
    save_png(folder / "strip.png", strip)
