from pathlib import Path

import keras

from keras_lapgan.callbacks.run_checkpoint import read_log
from keras_lapgan.callbacks.save_error import save_errors
from keras_lapgan.utils.image_grid import save_png
from keras_lapgan.utils.line_chart import line_chart


class TrainingCurves(keras.callbacks.Callback):
    """Draws `log.csv` as `curves.png` after each epoch: a row a level.

    Losses on the left, then the discriminator's accuracy: at .5 it cannot
    tell real from generated, towards 1 the generator has lost. If
    `LevelMonitor` logs them, on the right the diversity and the deviation of
    the bands, as shares of the real ones: at 1 they are as real bands.

    Args:
        folder: path. A run's folder; `RunCheckpoint` writes the log and comes
            before this in the list of callbacks.

    Raises:
        SaveError: the picture cannot be written; an older one stays.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)

    def on_epoch_end(self, epoch, logs=None):
        with save_errors(self.folder):
            rows = read_log(self.folder)
            save_png(self.folder / "curves.png", draw_curves(rows))


def draw_curves(rows):
    """Draws the lines of a log.

    Args:
        rows: list of dicts with `epoch` and, for each level k, `d_loss_k`,
            `g_loss_k`, `d_accuracy_k`; maybe the same with `val_` before;
            maybe `diversity_k` and `band_std_k`.

    Returns:
        A uint8 array `(height, width, 3)`.
    """

    def curves(*names):
        return {
            name: logged_curve(rows, key)
            for name, key in names
            if key in rows[-1]
        }

    panels = {}
    monitored = any(name.startswith("diversity_") for name in rows[-1])
    for k in logged_levels(rows):
        panels[f"level {k}, losses by epoch"] = curves(
            ("D", f"d_loss_{k}"),
            ("G", f"g_loss_{k}"),
            ("D, validation", f"val_d_loss_{k}"),
            ("G, validation", f"val_g_loss_{k}"),
        )
        panels[f"level {k}, accuracy of D"] = curves(
            ("accuracy", f"d_accuracy_{k}"),
            ("accuracy, validation", f"val_d_accuracy_{k}"),
        )
        if monitored:
            panels[f"level {k}, bands against real"] = curves(
                ("diversity", f"diversity_{k}"),
                ("deviation", f"band_std_{k}"),
            )
    return line_chart(panels, columns=2 + monitored, size=(420, 220))


def logged_levels(rows):
    """The levels whose losses a log has, as sorted ints."""
    prefix = "d_loss_"
    return sorted(
        int(name.removeprefix(prefix))
        for name in rows[-1]
        if name.startswith(prefix)
    )


def logged_curve(rows, key):
    """`(epochs, values)` of a column of a log; nan where a line lacks it."""
    return (
        [float(row["epoch"]) for row in rows],
        [float(row.get(key) or "nan") for row in rows],
    )
