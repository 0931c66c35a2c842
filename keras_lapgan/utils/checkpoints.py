import re
from pathlib import Path

_NAME = re.compile(r"epoch_(\d+)_step_(\d+)\.keras")


def checkpoint_path(folder, epoch, step):
    """Returns where a run keeps its state after `epoch` epochs and `step`."""
    name = f"epoch_{epoch:04d}_step_{step:06d}.keras"
    return Path(folder) / "checkpoint" / name


def latest_checkpoint(folder):
    """Returns `(path, epochs done, steps done of the next)`, or None."""
    found = [
        (int(match[1]), int(match[2]), path)
        for path in (Path(folder) / "checkpoint").glob("*.keras")
        if (match := _NAME.fullmatch(path.name))
    ]
    if not found:
        return None
    epoch, step, path = max(found)
    return path, epoch, step
