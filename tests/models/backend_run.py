"""Trains and samples a small LAPGAN on one backend, all noise from numpy.

    KERAS_BACKEND=jax python backend_run.py WEIGHTS.weights.h5 OUT.npz STEPS

Writes the weights if there are none yet, loads them, samples, trains, samples
again, and writes the pictures and the losses of each step.
"""

import pathlib
import sys
import zlib

import keras
import numpy as np
from keras import ops

from keras_lapgan import LAPGAN
from keras_lapgan import LAPGANLevel
from keras_lapgan import networks
from keras_lapgan.layers.randomness import StepRandom
from keras_lapgan.training import DampedSGD

SIZES = (14, 9, 4)
PLANES = 8
BATCH = 16
STEPS = 20


def make_model():
    levels = []
    for k, size in enumerate(SIZES[:-1]):
        shared = {"filters": PLANES, "num_classes": 3}
        levels.append(
            LAPGANLevel(
                networks.ConvolutionalGenerator(size, **shared),
                networks.ConvolutionalDiscriminator(size, **shared),
                index=k,
            )
        )
    shared = {"hidden_units": (32, 32), "num_classes": 3}
    levels.append(
        LAPGANLevel(
            networks.DenseGenerator(SIZES[-1], **shared),
            networks.DenseDiscriminator(SIZES[-1], **shared),
            index=len(SIZES) - 1,
        )
    )
    return LAPGAN(levels, source_size=16, flip=True)


def uniform(self, shape, stream):
    """`StepRandom.uniform` out of a table with a row a step."""
    name = f"{self.seed}:{self.scope}{stream}"
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    table = rng.random((STEPS, *map(int, shape)), dtype="float32")
    return ops.take(ops.convert_to_tensor(table), self.step, axis=0)


def main(weights, out, steps):
    StepRandom.uniform = uniform
    # Some first weights draw next to nothing.
    keras.utils.set_random_seed(0)
    model = make_model()
    if not pathlib.Path(weights).exists():
        for weight in model.level(2).discriminator.trainable_weights:
            # From the paper's N(0, 0.005) nothing happens for long.
            weight.assign(weight * 20)
        model.save_weights(weights)
    model.load_weights(weights)
    exact = model.generate(10, seed=7, dtype="float32")
    results = {
        "exact": exact,
        "rounded": model.generate(10, seed=7),
        "batches_of_3": model.generate(
            10, seed=7, batch_size=3, dtype="float32"
        ),
    }
    # XLA takes half a minute to compile what it runs in a second.
    is_tensorflow = keras.backend.backend() == "tensorflow"
    model.compile(
        DampedSGD(0.05),
        DampedSGD(0.05),
        seed=3,
        jit_compile=False if is_tensorflow else "auto",
    )
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(int(steps)):
        images = rng.integers(0, 256, (BATCH, 16, 16, 3), dtype="uint8")
        labels = rng.integers(0, 3, BATCH).astype("int32")
        model.reset_metrics()
        logs = model.train_on_batch(images, labels, return_dict=True)
        losses.append([float(logs[m.name]) for m in model.metrics])
    results["losses"] = np.array(losses)
    results["names"] = np.array([m.name for m in model.metrics])
    results["trained"] = model.generate(10, seed=7, dtype="float32")
    np.savez(out, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
