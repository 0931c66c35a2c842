"""Trains small models on one device and on several, for distribution_test.

    KERAS_BACKEND=jax python distribution_run.py local OUT
    KERAS_BACKEND=jax python distribution_run.py worker OUT INDEX PORT

Writes what happened to OUT, a pickle. Noise and crops come from a table with
a row a picture, so that they are the same however a batch is shared out.
"""

import contextlib
import json
import os
import pathlib
import pickle
import sys
import zlib

BACKEND = os.environ["KERAS_BACKEND"]
COMMAND, OUT, *REST = sys.argv[1:]
if COMMAND == "local":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
else:
    ADDRESSES = [f"127.0.0.1:{int(REST[1]) + i}" for i in range(2)]
    INDEX = int(REST[0])
    if BACKEND == "tensorflow":
        os.environ["TF_CONFIG"] = json.dumps(
            {
                "cluster": {"worker": ADDRESSES},
                "task": {"type": "worker", "index": INDEX},
            }
        )

import keras  # noqa: E402

if COMMAND == "worker" and BACKEND == "jax":
    keras.distribution.initialize(ADDRESSES[0], 2, INDEX)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import ops  # noqa: E402

if COMMAND == "local" and BACKEND == "tensorflow":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
elif BACKEND == "tensorflow":
    STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()
else:
    STRATEGY = keras.distribution.DataParallel()

from keras_lapgan import LAPGAN  # noqa: E402
from keras_lapgan import LAPGANLevel  # noqa: E402
from keras_lapgan import callbacks  # noqa: E402
from keras_lapgan import datasets  # noqa: E402
from keras_lapgan import networks  # noqa: E402
from keras_lapgan.layers.dropout import StepDropout  # noqa: E402
from keras_lapgan.layers.randomness import StepRandom  # noqa: E402
from keras_lapgan.models.adversarial_model import Bands  # noqa: E402
from keras_lapgan.training import replicas  # noqa: E402
from keras_lapgan.utils.checkpoints import latest_checkpoint  # noqa: E402

SGD = keras.optimizers.SGD
PICTURES = np.random.default_rng(0).integers(
    0, 256, (71, 10, 10, 3), dtype="uint8"
)
LABELS = np.arange(71) % 3


def from_table(self, shape, stream):
    """`StepRandom.uniform` out of a table with a row a picture."""
    name = f"{self.seed}:{self.scope}{stream}"
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    table = rng.random((64, *map(int, shape[1:])), dtype="float32")
    rows = ops.arange(shape[0]) + self.replica * shape[0]
    return ops.take(ops.convert_to_tensor(table), rows, axis=0)


def make_model(dropout=0.0, **kwargs):
    keras.utils.set_random_seed(0)
    levels = []
    for k, size in enumerate((8, 4)):
        shared = {"hidden_units": (16, 16), "num_classes": 3}
        shared["conditional"] = k == 0
        levels.append(
            LAPGANLevel(
                networks.DenseGenerator(size, **shared),
                networks.DenseDiscriminator(size, dropout=dropout, **shared),
                index=k,
            )
        )
    model = LAPGAN(levels, source_size=10, flip=True)
    for level in levels:
        for network in (level.generator, level.discriminator):
            for weight in network.trainable_weights:
                # From the paper's N(0, 0.005) nothing happens for long.
                weight.assign(weight * 20)
    compile_model(model, **kwargs)
    return model


def compile_model(model, **kwargs):
    # D's gradients are longer than that, G's are not.
    kwargs = {
        "jit_compile": False if BACKEND == "tensorflow" else "auto"
    } | kwargs
    model.compile(SGD(0.1, clipnorm=0.05), SGD(0.1, 0.5), **kwargs)


def scope(shared=True):
    """Where a model of several devices is made; JAX also trains inside."""
    return STRATEGY.scope() if shared else contextlib.nullcontext()


def training_scope(shared=True):
    return scope(shared and BACKEND == "jax")


def arrays(weights):
    return [ops.convert_to_numpy(w) for w in weights]


def image_batches():
    source = datasets.ImageSource(PICTURES, labels=LABELS)
    return datasets.ImageBatches(source, 16, seed=1)


def generator():
    """As many batches as two epochs take, so that none may get lost."""
    for i in [0, 16, 32, 48] * 2:
        yield PICTURES[i : i + 16], LABELS[i : i + 16]


def dataset():
    return tf.data.Dataset.from_tensor_slices((PICTURES, LABELS))


#: Arguments of `fit` and `evaluate`, by what the data is. 71 pictures leave
#: a last batch of 7, of which two devices take 6.
FEEDS = {
    "arrays": lambda: {
        "x": PICTURES,
        "y": LABELS,
        "batch_size": 16,
        "shuffle": False,
    },
    "dataset": lambda: {"x": dataset().batch(16)},
    "image_batches": lambda: {"x": image_batches()},
    "generator": lambda: {"x": generator(), "steps_per_epoch": 4},
}


def trained(name, shared):
    """A model and what came of two epochs, on one device or `shared`."""
    with scope(shared):
        model = make_model()
    feed = FEEDS[name]()
    if not shared and name == "arrays":
        feed |= {"x": PICTURES[:70], "y": LABELS[:70]}
    kwargs = {}
    if name == "arrays":
        kwargs["validation_data"] = (PICTURES[:32], LABELS[:32])
    with training_scope(shared):
        history = model.fit(**feed, **kwargs, epochs=2, verbose=0).history
        tested = {}
        if name in ("dataset", "image_batches"):
            tested = model.evaluate(
                FEEDS[name]()["x"], verbose=0, return_dict=True
            )
    return model, {
        "history": history,
        "tested": tested,
        "weights": arrays(model.weights),
        "iterations": int(ops.convert_to_numpy(model.optimizer.iterations)),
    }


def chained_step(shared, share):
    """Logs of the first step, and the weights then."""
    with scope(shared):
        model = make_model(chained=share)
    with training_scope(shared):
        logs = model.fit(PICTURES[:16], LABELS[:16], 16, verbose=0).history
    return logs, arrays(model.weights)


def message(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except ValueError as error:
        return str(error)
    return "no error"


# === Two devices of one process ===


def copies_differ(model):
    """Paths of variables that are not the same on both replicas."""
    return [
        variable.path
        for variable in [*model.variables, *model.optimizer.variables]
        if not np.array_equal(*[copy.numpy() for copy in variable.value.values])
    ]


def first_draws():
    """Generated bands and dropout masks of each replica, and of one device."""
    with scope():
        model = make_model()
    level, dropout = model.level(1), StepDropout(0.5, name="dropout")

    def draw():
        random = StepRandom(1, 0, replica=replicas.replica_number())
        batch = Bands(ops.zeros((4, 4, 4, 3)), labels=ops.zeros(4, "int32"))
        with random.active():
            mask = dropout(ops.ones((4, 32)), training=True)
        return level.generated(batch, random), mask

    shared = STRATEGY.run(draw)
    return {
        "replicas": [
            arrays(STRATEGY.experimental_local_results(x)) for x in shared
        ],
        "one": arrays(draw()),
    }


def refusals(outside):
    few = {"x": PICTURES[:16], "y": LABELS[:16], "verbose": 0}
    found = {}
    with scope():
        model = make_model()
    with training_scope():
        found |= {
            "odd batch": message(model.fit, **few, batch_size=15),
            "one picture": message(model.fit, PICTURES[:1], LABELS[:1]),
            "odd dataset": message(model.fit, dataset().batch(9)),
            "split": message(model.fit, **few, validation_split=0.5),
            "evaluate": message(model.evaluate, **few, batch_size=15),
        }
    if BACKEND == "tensorflow":
        with scope():
            compile_model(model, jit_compile=True)
        found["jit"] = message(model.fit, **few)
        with scope():
            compile_model(model, steps_per_execution=2)
        found["steps"] = message(model.fit, **few)
        with scope():
            model.compile(SGD(0.1, gradient_accumulation_steps=2), SGD(0.1))
        found["accumulation"] = message(model.fit, **few)
        with scope():
            found["outside"] = message(outside.fit, **few)
    return found


def with_callbacks(folder):
    """A run with all that watches and saves; what its files hold."""
    with scope():
        model = make_model(dropout=0.5)
    batches = image_batches()
    checkpoint = callbacks.RunCheckpoint(folder, len(batches))
    with training_scope():
        model.fit(
            batches,
            epochs=2,
            verbose=0,
            callbacks=[
                callbacks.LevelMonitor(
                    PICTURES[:32], LABELS[:32], count=16, report=list
                ),
                callbacks.BestLevel(
                    PICTURES[:32],
                    LABELS[:32],
                    count=16,
                    folder=folder / "best_levels",
                    restore=False,
                ),
                checkpoint,
                callbacks.SampleGrid(folder / "samples"),
            ],
        )
        drawn = model.generate(6, seed=1)
    plain = LAPGAN.from_preset(folder)
    with scope():
        again = LAPGAN.from_preset(folder)
        resumed = keras.saving.load_model(latest_checkpoint(folder)[0])
    with training_scope():
        resumed.fit(image_batches(), initial_epoch=2, epochs=3, verbose=0)
    return {
        "drawn": drawn,
        "plain": plain.generate(6, seed=1),
        "again": again.generate(6, seed=1),
        "steps": int(ops.convert_to_numpy(resumed.optimizer.iterations)),
        "files": sorted(p.name for p in folder.iterdir()),
    }


def local():
    results = {}
    # Before the table takes their place.
    if BACKEND == "tensorflow":
        results["first_draws"] = first_draws()
    results["callbacks"] = with_callbacks(pathlib.Path(OUT).parent / "run")
    results["refusals"] = refusals(make_model())
    StepRandom.uniform = from_table
    for name in FEEDS:
        if name in ("arrays", "image_batches"):
            results[name, "one"] = trained(name, False)[1]
        model, results[name, "both"] = trained(name, True)
        if BACKEND == "tensorflow":
            results[name, "copies_differ"] = copies_differ(model)
    for shared, key in ((False, "one"), (True, "both")):
        results["chained", key] = chained_step(shared, 0.5)
    results["chained", "not"] = chained_step(False, 0.0)
    return results


# === One of two processes ===


def worker():
    StepRandom.uniform = from_table
    return {
        name: trained(name, True)[1] for name in ("image_batches", "dataset")
    }


if __name__ == "__main__":
    found = {"local": local, "worker": worker}[COMMAND]()
    with open(OUT, "wb") as file:
        pickle.dump(found, file)
