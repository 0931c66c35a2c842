"""`generate`, against the networks alone.

    python tools/benchmarks/generate.py
    python tools/benchmarks/generate.py --preset lapgan_cifar10 --counts 1 64

In a fresh process a count, the first call of `LAPGAN.generate`, which compiles,
then later ones in turn with `predict_on_batch` of the same chain of networks,
compiled by Keras, on noise that is ready, in batches of at most 128. What
`generate` does besides: draw noise, pad a batch to a size that is compiled
already, round, and put batches together. The backend is `KERAS_BACKEND`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = 128


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def measure(preset, count, rounds):
    """Times one count and prints JSON: seconds of each way."""
    from keras_lapgan import LAPGAN
    from keras_lapgan.presets.sources import find_preset

    weights = find_preset(preset).has_weights
    model = LAPGAN.from_preset(preset, load_weights=weights)
    batches = [
        [
            x.noise.draw(min(BATCH, count - start), 0, x.index, start)
            for x in model.levels
        ]
        for start in range(0, count, BATCH)
    ]

    def networks():
        for noise in batches:
            model.predict_on_batch(noise)

    def generate():
        model.generate(count, seed=0)

    first = {"generate": seconds(generate), "networks": seconds(networks)}
    later = {"generate": [], "networks": []}
    for _ in range(rounds):
        for name, function in (("generate", generate), ("networks", networks)):
            # Threads may still be waiting for work, busily.
            time.sleep(0.05)
            function()
            later[name].append(seconds(function))
    later = {name: statistics.median(x) for name, x in later.items()}
    print(json.dumps([first, later]))


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
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 64, 4096])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count:
        measure(arguments.preset, arguments.count, arguments.rounds)
        return

    import keras

    print(
        f"{arguments.preset}, Keras {keras.__version__} on "
        f"{keras.backend.backend()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, median of {arguments.rounds}"
    )
    print(
        "| pictures | first call | networks' first | later calls | networks "
        "alone | a picture | ratio |"
    )
    print("|---" * 7 + "|")
    for count in arguments.counts:
        first, later = child(
            *("--preset", arguments.preset, "--count", count),
            *("--rounds", arguments.rounds),
        )
        print(
            f"| {count:,} | {first['generate']:.2f} s "
            f"| {first['networks']:.2f} s "
            f"| {1e3 * later['generate']:.2f} ms "
            f"| {1e3 * later['networks']:.2f} ms "
            f"| {1e3 * later['generate'] / count:.3f} ms "
            f"| {later['generate'] / later['networks']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
