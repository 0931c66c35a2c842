"""Loading a preset, against `keras.saving.load_model` of the same folder.

    python tools/benchmarks/load_preset.py
    python tools/benchmarks/load_preset.py --preset lapgan_cifar10 --repeats 9

Saves a preset in float32 (17 MB) and loads it in fresh processes, in turn by
`LAPGAN.from_preset`, which checks every file first, and by Keras. Prints the
median seconds of the call alone, imports done, how much memory the process
took at most during it (Linux), and their ratios.
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
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def measure(way, folder):
    """Loads once and prints seconds and bytes, as JSON."""
    import keras

    from keras_lapgan import LAPGAN

    warnings.simplefilter("ignore")
    # What the first operation of a process costs is nobody's.
    keras.ops.convert_to_numpy(keras.Variable([1.0]) + 1.0)
    load = {"keras": keras.saving.load_model, "preset": LAPGAN.from_preset}[way]
    # Linux: the high-water mark begins again at what is in use now.
    Path("/proc/self/clear_refs").write_text("5")
    before = kilobytes("VmHWM")
    start = time.perf_counter()
    load(folder)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, 1024 * (kilobytes("VmHWM") - before)]))


def kilobytes(name):
    """A line of what Linux knows of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(found.split()[1])


def child(way, folder):
    done = subprocess.run(
        [sys.executable, __file__, "--way", way, "--folder", folder],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="lapgan_cifar10_small")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        measure(arguments.way, arguments.folder)
        return

    import keras

    from keras_lapgan import LAPGAN

    with tempfile.TemporaryDirectory() as folder:
        model = LAPGAN.from_preset(arguments.preset, load_weights=False)
        model.save_to_preset(folder)
        size = (Path(folder) / "model.weights.h5").stat().st_size / 1e6
        results = {"keras": [], "preset": []}
        for _ in range(arguments.repeats):
            for way, found in results.items():
                found.append(child(way, folder))
    print(
        f"{arguments.preset}, {size:.1f} MB, Keras {keras.__version__} on "
        f"{keras.backend.backend()}, {platform.processor() or 'CPU'}, "
        f"{os.cpu_count()} cores, median of {arguments.repeats}"
    )
    medians = {
        way: [statistics.median(column) for column in zip(*found, strict=True)]
        for way, found in results.items()
    }
    for way, (seconds, peak) in medians.items():
        print(f"{way:7} {seconds:6.3f} s  {peak / 1e6:6.1f} MB")
    ratios = [
        a / b for a, b in zip(medians["preset"], medians["keras"], strict=True)
    ]
    print(f"ratio   {ratios[0]:6.2f}    {ratios[1]:6.2f}")


if __name__ == "__main__":
    main()
