"""Draws the curves of several runs in one picture.

    python tools/compare_runs.py runs/tf runs/jax runs/torch --output curves.png

A row a level, with D's loss, G's loss and D's accuracy by epoch; a colour a
run.
"""

import argparse
from pathlib import Path

from keras_lapgan.callbacks.run_checkpoint import read_log
from keras_lapgan.callbacks.training_curves import logged_curve
from keras_lapgan.callbacks.training_curves import logged_levels
from keras_lapgan.utils.image_grid import save_png
from keras_lapgan.utils.line_chart import line_chart


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=Path("curves.png"))
    arguments = parser.parse_args()

    logs = {run.name: read_log(run) for run in arguments.runs}
    panels = {}
    for k in sorted({k for rows in logs.values() for k in logged_levels(rows)}):
        for name in ("d_loss", "g_loss", "d_accuracy"):
            key = f"{name}_{k}"
            panels[key] = {
                run: logged_curve(rows, key)
                for run, rows in logs.items()
                if key in rows[-1]
            }
    save_png(arguments.output, line_chart(panels, 3, size=(420, 220)))
    print(arguments.output)


if __name__ == "__main__":
    main()
