"""Exported files in their runtimes, against the same sampler compiled by Keras.

    python tools/benchmarks/export.py
    python tools/benchmarks/export.py --preset lapgan_lsun_tower --repeats 5

Exports a preset in every format and precision, then draws batches of 1 and 64
from each file, on noise that is ready: in a fresh process a file, in turn by
its runtime, as its `run.py` calls it, and by Keras on TensorFlow, compiled.
Prints size, median milliseconds of both, and how many times as fast as Keras
the runtime is. Weights are untrained where the preset has none.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

BATCHES = (1, 64)


def load(name):
    from keras_lapgan import LAPGAN
    from keras_lapgan.presets.sources import find_preset

    weights = find_preset(name).has_weights
    return LAPGAN.from_preset(name, load_weights=weights)


def measure(name, folder, repeats):
    """Times one exported folder and Keras; prints JSON."""
    import numpy as np

    from keras_lapgan.export.script import load_script

    model = load(name)
    sampler = load_script(folder).Sampler(folder)
    results = []
    for batch in BATCHES:
        noise = [x.noise.draw(batch, 0, x.index) for x in model.levels]
        values = {f"noise_{k}": z for k, z in enumerate(noise)}
        inputs = noise
        if model.num_classes:
            values["labels"] = np.arange(batch, dtype="int32")
            values["labels"] %= model.num_classes
            inputs = (noise, values["labels"])
        ways = {
            "file": lambda values=values: sampler._run(values),
            "keras": lambda inputs=inputs: model.predict_on_batch(inputs),
        }
        times = {way: [] for way in ways}
        for draw in ways.values():
            draw()
        for _ in range(repeats):
            for way, draw in ways.items():
                # The other's threads may still be waiting for work, busily.
                time.sleep(0.05)
                draw()
                for _ in range(3 if batch == 1 else 1):
                    start = time.perf_counter()
                    draw()
                    times[way].append(time.perf_counter() - start)
        results.append({w: statistics.median(t) for w, t in times.items()})
    print(json.dumps(results))


def child(*arguments):
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="lapgan_cifar10_small")
    parser.add_argument("--formats", help="Some of them, with commas.")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        measure(arguments.preset, arguments.folder, arguments.repeats)
        return

    import keras

    from keras_lapgan.export import FORMATS

    model = load(arguments.preset)
    print(
        f"{arguments.preset}, Keras {keras.__version__} on "
        f"{keras.backend.backend()}, {platform.processor() or 'CPU'}, "
        f"{os.cpu_count()} cores, median of {arguments.repeats}"
    )
    heads = [f"{w} at {n}" for n in BATCHES for w in ("file", "Keras", "ratio")]
    print(f"| format | precision | MB | change | {' | '.join(heads)} |")
    print("|---" * (4 + len(heads)) + "|")
    names = (arguments.formats or ",".join(FORMATS)).split(",")
    for name in names:
        for precision in FORMATS[name].precisions:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch) / "exported"
                found = model.export(folder, name, precision=precision)
                size = sum(
                    file.stat().st_size
                    for file in folder.rglob("*")
                    if file.is_file()
                    and file.parent != folder
                    or file.name.startswith("model.")
                )
                times = child(
                    *("--preset", arguments.preset, "--folder", folder),
                    *("--repeats", arguments.repeats),
                )
            change = found["verified"]["mean_difference"]
            cells = [name, precision, f"{size / 1e6:.1f}", f"{change:.2g}"]
            for result in times:
                cells += [f"{1e3 * result[w]:.1f} ms" for w in result]
                cells.append(f"{result['keras'] / result['file']:.2f}")
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
