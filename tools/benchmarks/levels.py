"""All levels in one training step against one level after another.

    python tools/benchmarks/levels.py --preset lapgan_cifar10

Each level alone is a model of that level only, as `keras-lapgan train --levels`
builds it; its step cuts the same batch into the whole pyramid. Rounds of the
models alternate. The ratio is the sum of the levels' seconds over those of the
joint step: above 1, one step for all is faster. The backend is `KERAS_BACKEND`.
"""

import argparse
import os
import platform
import statistics
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="lapgan_cifar10_small")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    import keras

    from keras_lapgan import LAPGAN

    def compiled(levels=None):
        model = LAPGAN.from_preset(
            arguments.preset, load_weights=False, levels=levels
        )
        model.compile()
        return model

    joint = compiled()
    alone = {f"level {k}": compiled([k]) for k in joint.level_indices()}
    models = {"all in one step": joint, **alone}
    side = joint.source_size or joint.sizes[0][0]
    images = np.random.default_rng(0).integers(
        0, 256, (arguments.batch_size, side, side, 3), dtype="uint8"
    )
    times = {name: [] for name in models}
    for model in models.values():
        model.train_on_batch(images)
    for _ in range(arguments.rounds):
        for name, model in models.items():
            times[name].append(seconds(model.train_on_batch, images))
    medians = {name: statistics.median(x) for name, x in times.items()}
    medians["one after another"] = sum(medians[name] for name in alone)
    print(
        f"{arguments.preset}, batch {arguments.batch_size}, "
        f"{keras.backend.backend()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, median of {arguments.rounds}\n"
    )
    print("| step | seconds | this / all in one step |\n|---|---|---|")
    for name, value in medians.items():
        ratio = value / medians["all in one step"]
        print(f"| {name} | {value:.4f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
