"""What a training step costs as batch, levels, pictures and replicas grow.

    python tools/benchmarks/size.py
    python tools/benchmarks/size.py --only replicas --rounds 9

Steps of small networks (8 planes; the coarsest level dense, 64 units), with
one number changed at a time, each row in turn with the first of its table. The
ratio is seconds a pixel of a batch against that first row: 1 is a cost that
grows with the pixels. Replicas are two of TensorFlow's logical CPUs under
`tf.distribute.MirroredStrategy`, which share the batch and the machine's cores:
there the ratio is what sharing costs, not what it wins.
"""

import argparse
import os
import platform
import statistics
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# `(batch, levels, pixels a side, replicas)`, the first of each to compare with.
TABLES = {
    "batch": [(n, 3, 32, 1) for n in (16, 32, 64, 128, 256, 512)],
    "levels": [(8, n, 256, 1) for n in (2, 3, 4, 5, 6)],
    "pictures": [(16, 3, n, 1) for n in (32, 64, 128, 256)],
    "replicas": [(128, 3, 64, n) for n in (1, 2)],
}


def make_step(batch, levels, side, replicas):
    """A function that makes one step, compiled."""
    import contextlib

    from keras_lapgan import LAPGAN
    from keras_lapgan import LAPGANLevel
    from keras_lapgan import networks

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, side, side, 3), dtype="uint8")
    scope = contextlib.nullcontext()
    if replicas > 1:
        import tensorflow as tf

        devices = [f"CPU:{i}" for i in range(replicas)]
        strategy = tf.distribute.MirroredStrategy(devices)
        scope = strategy.scope()
    with scope:
        last = levels - 1
        model = LAPGAN(
            [
                LAPGANLevel(
                    networks.ConvolutionalGenerator(side >> k, filters=8),
                    networks.ConvolutionalDiscriminator(side >> k, filters=8),
                    index=k,
                )
                for k in range(last)
            ]
            + [
                LAPGANLevel(
                    networks.DenseGenerator(side >> last, hidden_units=(64,)),
                    networks.DenseDiscriminator(
                        side >> last, hidden_units=(64,)
                    ),
                    index=last,
                )
            ]
        )
        model.compile()
    model.adapt(images)
    if replicas == 1:
        return lambda: model.train_on_batch(images)
    import tensorflow as tf

    data = tf.data.Dataset.from_tensors(images).repeat()
    batches = iter(strategy.experimental_distribute_dataset(data))
    model.train_on_batch(images)
    return lambda: model.train_function(batches)


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=TABLES)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )
    print(
        f"Keras {keras.__version__} on {backend}, {os.cpu_count()} cores, "
        f"{platform.machine()}, median of {arguments.rounds}"
    )
    print("| changed | batch | levels | pixels | replicas | a step | ratio |")
    print("|---" * 7 + "|")
    for name, rows in TABLES.items():
        if arguments.only not in (None, name):
            continue
        if name == "replicas" and backend != "tensorflow":
            continue
        first = make_step(*rows[0])
        first()
        for row in rows:
            step = first if row == rows[0] else make_step(*row)
            step()
            times = {"first": [], "this": []}
            for _ in range(arguments.rounds):
                times["first"].append(seconds(first))
                times["this"].append(seconds(step))
            base, this = (statistics.median(x) for x in times.values())
            pixels = row[0] * row[2] ** 2 / (rows[0][0] * rows[0][2] ** 2)
            cells = [name, *row, f"{1e3 * this:.1f} ms"]
            cells.append(f"{this / base / pixels:.2f}")
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
