"""What stands in the folder of a run, and what the run remembers there."""

import contextlib
import shlex

from keras_lapgan.cli import options

#: Settings that decide what a step of a run is; a resumed run keeps them.
FIXED = (
    "batch_size",
    "steps_per_epoch",
    "levels",
    "seed",
    "precision",
    "learning_rate_scale",
    "chained",
    "flip",
    "crop",
    "resize",
)
#: What a run folder may hold, so what `--overwrite` removes; a card only if
#: it is as it was generated.
FILES = (
    "NOTICE",
    "README.md",
    "best_levels",
    "checkpoint",
    "config.json",
    "curves.png",
    "log.csv",
    "metadata.json",
    "model.weights.h5",
    "options.json",
    "samples",
    "tensorboard",
    # The last: by it a folder is known as a run's, however it was left.
    "command.txt",
)
#: Options that a run may go on without, or with, and how it remembers them.
KEPT = ("monitor", "best_levels", "tensorboard", "save_steps", "strategy")
OPTIONS = "options.json"
#: What a worker that does not write the run needs of it to go on.
READ = ("NOTICE", "best_levels", "checkpoint", "log.csv", "metadata.json")


def is_run(path):
    """Whether a folder is one that `--overwrite` may replace."""
    from keras_lapgan.presets.preset_folder import is_preset_folder

    if not path.is_dir():
        return False
    names = {entry.name for entry in path.iterdir()}
    return not names or "command.txt" in names or is_preset_folder(path)


def is_resumable(output):
    """Whether a run has been saved: its state, and its settings beside it."""
    from keras_lapgan.presets.preset_folder import METADATA
    from keras_lapgan.utils.checkpoints import list_checkpoints

    return (output / METADATA).is_file() and bool(list_checkpoints(output))


def is_drawn(output, epochs):
    """Whether a run has its samples after so many epochs."""
    from keras_lapgan.presets.preset_folder import read_config

    config = read_config(output)["config"]
    # The coarsest level's come last.
    k = max(config.get("present", range(len(config["levels"]))))
    return (output / "samples" / f"epoch_{epochs:04d}_stage_{k}.png").is_file()


def go_on(preset, output):
    """The command that resumes a run."""
    return shlex.join(
        ["keras-lapgan", "train", preset]
        + ["--output", str(output), "--resume"]
    )


def clear(output):
    """Removes a run's files."""
    from keras_lapgan.presets.card import CARD
    from keras_lapgan.presets.card import is_generated

    for name in FILES:
        if name != CARD or is_generated(output / name):
            options.remove(output / name)


def remove_if_unsaved(output):
    """Leaves no folder behind that holds no run."""
    if not is_resumable(output):
        clear(output)
        with contextlib.suppress(OSError):
            output.rmdir()
