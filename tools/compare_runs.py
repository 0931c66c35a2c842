"""Draws the curves of several runs in one picture.

    python tools/compare_runs.py runs/tf runs/jax runs/torch --output curves.png

A row a level, with D's loss, G's loss and D's accuracy by epoch; a colour a
run.
"""

import argparse
import csv
from pathlib import Path

from keras_lapgan.utils.image_grid import save_png
from keras_lapgan.utils.line_chart import line_chart


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=Path("curves.png"))
    arguments = parser.parse_args()

    logs = {}
    for run in arguments.runs:
        with open(run / "log.csv", newline="") as file:
            logs[run.name] = list(csv.DictReader(file))
    panels = {}
    columns = [
        name
        for rows in logs.values()
        for name in rows[0]
        if name.rsplit("_", 1)[-1].isdigit()
    ]
    for k in sorted({name.rsplit("_", 1)[-1] for name in columns}):
        for name in ("d_loss", "g_loss", "d_accuracy"):
            key = f"{name}_{k}"
            panels[key] = {
                run: (
                    [float(row["epoch"]) for row in rows],
                    [float(row[key]) for row in rows],
                )
                for run, rows in logs.items()
                if key in rows[0]
            }
    save_png(arguments.output, line_chart(panels, 3, size=(420, 220)))
    print(arguments.output)


if __name__ == "__main__":
    main()
