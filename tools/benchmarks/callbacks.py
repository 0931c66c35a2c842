"""What the callbacks of training cost, as a share of training.

    python tools/benchmarks/callbacks.py --preset lapgan_cifar10_small

A step of the model is timed, then each callback's work at the end of an epoch
(the second time on: the first compiles) and after a batch, at its defaults. An
epoch is `--steps` steps, by default CIFAR-10's 390 at batch 128; its share of
work that is done every so many epochs counts. The release's choice of weights,
200 pictures and 128 draws after each epoch, is timed on an eighth of the
pictures. The backend is `KERAS_BACKEND`.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def cost(callback, model, logs, steps, rounds):
    """Seconds `(of an epoch's end, of all its batches, of the first end)`."""
    callback.set_params({"epochs": 10**6, "steps": steps, "verbose": 0})
    callback.set_model(model)
    callback.on_train_begin()
    # One that is due by its number.
    due = 5 * 10**5 - 1
    callback.on_epoch_begin(due)
    first = seconds(callback.on_epoch_end, due, dict(logs))
    end = statistics.median(
        seconds(callback.on_epoch_end, due, dict(logs)) for _ in range(rounds)
    )

    def batches():
        for batch in range(100):
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch, logs)

    in_batches = seconds(batches) / 100 * steps
    callback.on_train_end()
    return end, in_batches, first


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="lapgan_cifar10_small")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=390)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    from keras_lapgan import LAPGAN
    from keras_lapgan import callbacks

    model = LAPGAN.from_preset(arguments.preset, load_weights=False)
    rng = np.random.default_rng(0)
    side = model.source_size or model.sizes[0][0]
    shape = (arguments.batch_size, side, side, 3)
    images = rng.integers(0, 256, shape, dtype="uint8")
    held_out = rng.integers(0, 256, (256, *shape[1:]), dtype="uint8")
    model.adapt(images)
    logs = model.train_on_batch(images, return_dict=True)
    logs = {name: float(value) for name, value in logs.items()}

    def step():
        return statistics.median(
            seconds(model.train_on_batch, images)
            for _ in range(arguments.rounds)
        )

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        steps = arguments.steps
        rows = [
            ("`RunCheckpoint`", callbacks.RunCheckpoint(folder, steps), 1, 1),
            ("`TrainingCurves`", callbacks.TrainingCurves(folder), 1, 1),
            (
                "`TrainingProgress`",
                callbacks.TrainingProgress(10**9, steps),
                1,
                1,
            ),
            ("`SampleGrid`", callbacks.SampleGrid(folder / "s"), 1, 1),
            ("`LevelMonitor`", callbacks.LevelMonitor(held_out), 1, 1),
            ("`BestLevel`", callbacks.BestLevel(held_out), 5, 1),
            ("`TensorBoard`", callbacks.TensorBoard(folder / "t"), 5, 1),
            (
                "the release's `BestLevel`",
                callbacks.BestLevel(held_out, frequency=1, count=25, draws=128),
                1,
                8,
            ),
        ]
        step_times = [step()]
        found = []
        for name, callback, epochs, times in rows:
            result = cost(callback, model, logs, steps, arguments.rounds)
            found.append((name, epochs, times, result))
            step_times.append(step())
    step_time = statistics.median(step_times)
    whole = step_time * steps
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(
        f"{arguments.preset}, {backend}, {os.cpu_count()} cores, "
        f"{platform.machine()}: {step_time:.3f} s a step, "
        f"{whole:.0f} s an epoch of {steps} steps"
    )
    total = 0.0
    for name, epochs, times, (end, batches, first) in found:
        share = (end * times / epochs + batches) / whole
        if times == 1:
            total += share
        print(
            f"{name:26s} {end * times:8.3f} s each {epochs} epochs, "
            f"{batches:6.3f} s in batches, once {first - end:6.2f} s: "
            f"{share:7.2%}"
        )
    print(f"{'all at their defaults':26s} {total:.2%}")


if __name__ == "__main__":
    main()
