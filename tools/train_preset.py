"""Trains a published preset from start to end, in slices.

    python tools/train_preset.py lapgan_cifar10_small --minutes 60

Each level is a run of its own, `runs/NAME/level_K`, the coarsest first, with
the preset's recipe and as many epochs as `EPOCHS` or `--epochs` says. When the
minutes are over, the level at work is saved; the same command goes on from
there, on this machine or on another that has the folder. `--levels` trains some
of them, so that several machines can share the work. Once all are done, the
levels are joined in `runs/NAME/whole` and, if `CHAINED_EPOCHS` says so, trained
on together in `runs/NAME/chained`, half of the generated bands drawn on what
the coarser levels draw. A preset of `NARROWER` begins as another, widened, in
`runs/NAME/start`: its levels are trained from there, each on what the coarser
ones there draw, and those of no epochs come as they are. The result is measured
and published as `presets/NAME`, with logs, curves, grid, strip and card;
`--finish` does so with what there is. A slice that ended in time exits with
code 0.

Half of the pictures are mirrored, which the paper does not. `--data` takes
whatever `keras-lapgan train` does: without TensorFlow Datasets, a folder or an
.npz file. The backend is `KERAS_BACKEND`.
"""

import argparse
import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

from keras_lapgan.callbacks.run_checkpoint import LOG
from keras_lapgan.callbacks.run_checkpoint import read_log
from keras_lapgan.callbacks.training_curves import draw_curves
from keras_lapgan.presets import get_preset
from keras_lapgan.presets.preset_folder import METADATA
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.utils.image_grid import save_png

#: Passes over the data of each level, finest first.
EPOCHS = {
    "gan_cifar10": [32],
    "lapgan_cifar10": [2, 5, 0],
    "lapgan_cifar10_class_conditional": [2, 5, 0],
    "lapgan_cifar10_class_conditional_small": [10, 11, 200],
    "lapgan_cifar10_residual": [6, 6, 15],
    "lapgan_cifar10_small": [10, 12, 160],
    "lapgan_scenes_small": [20, 20, 40, 100],
}
#: Of the others.
USUAL = 25
#: What a wide preset begins as, so that it costs less on a small machine.
NARROWER = {
    name: f"{name}_small"
    for name in ("lapgan_cifar10", "lapgan_cifar10_class_conditional")
}
#: Passes over the data of all levels together, at the end.
CHAINED_EPOCHS = {
    "lapgan_cifar10": 3,
    "lapgan_cifar10_class_conditional": 3,
    "lapgan_cifar10_class_conditional_small": 11,
    "lapgan_cifar10_residual": 4,
    "lapgan_cifar10_small": 11,
}
#: To train on what the coarser levels draw too.
CHAINED = ["--chained", 0.5]
TOOLS = Path(__file__).parent


def main():
    arguments = parsed()
    name, folder = arguments.name, arguments.runs / arguments.name
    count = len(get_preset(name).sizes)
    epochs = arguments.epochs
    # A scheduler's signal is passed on like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end = time.monotonic() + 60 * arguments.minutes
    home, own = name, []
    if name in NARROWER:
        home, own = folder / "start", CHAINED
        if not home.exists():
            widen = TOOLS / "widen_preset.py"
            seed = given(arguments, "seed")
            run([sys.executable, widen, NARROWER[name], name, home, *seed])
    levels = [
        folder / f"level_{k}" if epochs[k] else home for k in range(count)
    ]
    for k in [] if arguments.finish else arguments.levels:
        options = ["--levels", k, *own]
        if levels[k] != home and not train(
            arguments, home, levels[k], epochs[k], options, end
        ):
            return
    done = [epochs_of(level) for level in levels]
    left = [k for k in range(count) if done[k] < epochs[k]]
    for k in left if arguments.finish else []:
        if not done[k]:
            raise SystemExit(f"--finish: not trained yet: {levels[k]}")
    if left and not arguments.finish:
        print(f"still to train: level {', '.join(map(str, left))}")
        return
    whole, chained = folder / "whole", folder / "chained"
    if not epochs_of(chained):
        # Of a level that several have, the last that trained it counts.
        parts = [home] * (home in levels) + [x for x in levels if x != home]
        run(command("assemble", *parts, "--output", whole, "--overwrite"))
    more = CHAINED_EPOCHS.get(name, 0)
    if more and not arguments.finish:
        if not train(arguments, whole, chained, more, CHAINED, end):
            return
    publish(arguments, levels, [chained] * bool(epochs_of(chained)))


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", help="a published preset")
    parser.add_argument(
        "--minutes", type=float, default=1e6, help="the slice's length"
    )
    parser.add_argument("--levels", help="only these, as in 2,1")
    parser.add_argument(
        "--epochs",
        help="of each level in place of the usual, finest first, as in "
        "10,12,30; or one number for all",
    )
    parser.add_argument("--data", help="in place of the preset's own")
    parser.add_argument("--split")
    parser.add_argument("--precision", help="of new levels, as in bfloat16")
    parser.add_argument("--seed", help="of new levels, 1 if none is given")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--presets", type=Path, default=Path("presets"))
    parser.add_argument("--note", help="for the card: machine and time")
    parser.add_argument(
        "--authors",
        type=Path,
        help="samples of the paper's authors, of the preset's data, to stand "
        "beside it in the card",
    )
    parser.add_argument(
        "--finish", action="store_true", help="train no more, publish"
    )
    arguments = parser.parse_args()
    try:
        known = [str(k) for k in range(len(get_preset(arguments.name).sizes))]
    except ValueError as error:
        parser.error(str(error))
    if not arguments.minutes > 0:
        parser.error(f"--minutes: above 0. Received: {arguments.minutes}")
    chosen = arguments.levels
    chosen = known[::-1] if chosen is None else chosen.split(",")
    if not set(chosen) <= set(known):
        parser.error(
            f"--levels: some of {', '.join(known)}. "
            f"Received: {arguments.levels}"
        )
    arguments.levels = [int(k) for k in chosen]
    given, count = arguments.epochs, len(known)
    if given is None:
        arguments.epochs = EPOCHS.get(arguments.name, [USUAL] * count)
        return arguments
    numbers = given.split(",")
    numbers *= count if len(numbers) == 1 else 1
    # None of a level that is there already.
    least = 0 if arguments.name in NARROWER else 1
    are_numbers = all(x.isdecimal() and int(x) >= least for x in numbers)
    if len(numbers) != count or not are_numbers:
        parser.error(
            f"--epochs: one number, or {count} with commas between them, "
            f"{least} or more. Received: {given}"
        )
    arguments.epochs = [int(number) for number in numbers]
    return arguments


def command(*parts):
    return [sys.executable, "-m", "keras_lapgan.cli.main", *map(str, parts)]


def epochs_of(path):
    """How many a run has done."""
    if not (path / METADATA).is_file():
        return 0
    return read_metadata(path).get("epochs", 0)


def given(arguments, *names):
    """Options of the command line to hand on."""
    options = []
    for name in names:
        if getattr(arguments, name) is not None:
            options += [f"--{name}", getattr(arguments, name)]
    return options


def train(arguments, start, output, epochs, new, end):
    """Trains from `start` on; returns whether it was done before the end.

    Args:
        arguments: of the command line.
        start: str or path. What `keras-lapgan train` begins with.
        output: path. The run's folder.
        epochs: int.
        new: list. Options of a run that is new.
        end: float. When the slice is over, in seconds of `time.monotonic`.
    """
    options = ["--output", output, "--epochs", epochs]
    options += given(arguments, "data", "split", "precision", "seed")
    if (output / METADATA).is_file():
        if epochs_of(output) >= epochs:
            return True
        options.append("--resume")
    else:
        options += [*new, "--flip"]
        options += ["--seed", 1] * (arguments.seed is None)
        options += ["--overwrite"] * output.exists()
    stopped = time.monotonic() > end
    if not stopped:
        print(output, flush=True)
        # Apart from the terminal, whose Ctrl-C would come to it a second
        # time: two signals mean at once.
        child = subprocess.Popen(
            command("train", start, *options), start_new_session=True
        )
        ends = [0]
        try:
            code = child.wait(end - time.monotonic())
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            print("saving", flush=True)
            stopped = True
            ends += [128 + signal.SIGTERM, -signal.SIGTERM]
            child.send_signal(signal.SIGTERM)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            code = child.wait()
        if code not in ends:
            raise SystemExit(code)
    if stopped:
        print("The time is over; the same command goes on.")
    return not stopped


def publish(arguments, levels, after):
    """Measures the last of the runs and makes the preset's folder of it.

    Args:
        arguments: of the command line.
        levels: list of path. Of each level, finest first: its run, or where
            it came from.
        after: list of path. Of all together, if there is one.
    """
    name, folder = arguments.name, arguments.runs / arguments.name
    trained = [k for k, level in enumerate(levels) if epochs_of(level)]
    apart = "; ".join(
        f"level {k} {epochs_of(levels[k])} epochs" for k in trained
    )
    note = f"{epochs_of(levels[0])} epochs."
    if name in NARROWER:
        note = (
            f"Begun as {NARROWER[name]}, widened. The levels were trained "
            "apart, half of the generated bands drawn on what the coarser "
            f"ones drew then: {apart}."
        )
        if left := [str(k) for k in range(len(levels)) if k not in trained]:
            note += f" Level {', '.join(left)} as it was."
    elif len(levels) > 1:
        note = f"The levels were trained apart: {apart}."
    last = folder / "whole"
    if after:
        last = after[-1]
        note += (
            f" Then all together, {epochs_of(last)} epochs, half of the "
            "generated bands drawn on what the coarser levels draw."
        )
    note += f" With `python tools/train_preset.py {name}`."
    if arguments.note:
        note += f" {arguments.note}"
    options = given(arguments, "data", "split")

    def report(file, evaluated, *more):
        path = folder / f"{file}.json"
        more = [*more, *options, "--output", path, "--overwrite"]
        run(command("evaluate", evaluated, *more))
        return path

    reports, authors = [report("evaluation", last)], []
    if arguments.authors:
        # As they saved them.
        options += ["--stretch"]
        reports.append(report("stretched", last, "--no-diagnose"))
        home = get_preset(name).data
        data = [] if arguments.data else ["--data", home]
        authors = ["--authors", report("authors", arguments.authors, *data)]
    script = [sys.executable, TOOLS / "publish_run.py"]
    target = arguments.presets / name
    told = ["--note", note, "--evaluation", *reports, *authors]
    run([*script, last, target, *told])
    join_logs({k: levels[k] for k in trained}, after, target)


def run(parts):
    code = subprocess.run(list(map(str, parts))).returncode
    if code:
        raise SystemExit(code)


def join_logs(levels, after, target):
    """Writes the runs' logs as one, epoch by epoch, and draws it.

    Args:
        levels: dict of int to path. Runs of a level each, which began
            together.
        after: list of path. Runs of all levels that followed.
        target: path. The folder to write to.
    """
    rows = {}
    for k, level in levels.items():
        for row in read_log(level):
            own = {x: row[x] for x in row if x.endswith(f"_{k}")}
            rows.setdefault(int(row["epoch"]), {}).update(own)
    for path in after:
        done = max(rows)
        for row in read_log(path):
            own = {x: row[x] for x in row if x[-1].isdigit()}
            rows[done + int(row["epoch"])] = own
    names = sorted({name for row in rows.values() for name in row})
    table = [
        {"epoch": epoch, **{name: rows[epoch].get(name, "") for name in names}}
        for epoch in sorted(rows)
    ]
    with open(target / LOG, "w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *names])
        writer.writeheader()
        writer.writerows(table)
    save_png(target / "curves.png", draw_curves(table))


if __name__ == "__main__":
    main()
