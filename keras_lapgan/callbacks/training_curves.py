import csv
from pathlib import Path

import keras

from keras_lapgan.utils.image_grid import save_png
from keras_lapgan.utils.line_chart import line_chart


class TrainingCurves(keras.callbacks.Callback):
    """Draws `log.csv` as `curves.png` after each epoch: a row a level.

    Losses on the left, the discriminator's accuracy on the right: at .5 it
    cannot tell real from generated, towards 1 the generator has lost.

    Args:
        folder: path. A run's folder; `RunCheckpoint` writes the log and comes
            before this in the list of callbacks.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)

    def on_epoch_end(self, epoch, logs=None):
        with open(self.folder / "log.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        save_png(self.folder / "curves.png", draw_curves(rows))


def draw_curves(rows):
    """Draws the lines of a log.

    Args:
        rows: list of dicts with `epoch` and, for each level k, `d_loss_k`,
            `g_loss_k`, `d_accuracy_k`; maybe the same with `val_` before.

    Returns:
        A uint8 array `(height, width, 3)`.
    """
    epochs = [float(row["epoch"]) for row in rows]
    levels = sorted(
        name.removeprefix("d_loss_")
        for name in rows[-1]
        if name.startswith("d_loss_")
    )

    def curves(*names):
        return {
            name: (epochs, [float(row.get(key) or "nan") for row in rows])
            for name, key in names
            if key in rows[-1]
        }

    panels = {}
    for k in levels:
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
    return line_chart(panels, columns=2, size=(420, 220))
