"""`keras-lapgan` for strategy_test: on two devices, or one of two workers.

    python strategy_run.py train ...

Noise and crops come from a table with a row a picture, so that they are the
same however a batch is shared out.
"""

import os
import sys
import time
import zlib

from keras_lapgan.cli.backend import import_keras

IS_WORKER = {"TF_CONFIG", "KERAS_DISTRIBUTION_PROCESS_ID"} & {*os.environ}
if not IS_WORKER:
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
keras = import_keras()
if keras.backend.backend() == "tensorflow" and not IS_WORKER:
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )

import numpy as np  # noqa: E402

from keras_lapgan.callbacks import level_monitor  # noqa: E402
from keras_lapgan.cli.main import main  # noqa: E402
from keras_lapgan.cli.run import Run  # noqa: E402
from keras_lapgan.layers.randomness import StepRandom  # noqa: E402
from keras_lapgan.training import processes  # noqa: E402

processes.PATIENCE = int(os.environ.get("PATIENCE", processes.PATIENCE))


def from_table(self, shape, stream):
    """`StepRandom.uniform` out of a table with a row a picture."""
    ops = keras.ops
    name = f"{self.seed}:{self.scope}{stream}"
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    table = rng.random((128, *map(int, shape[1:])), dtype="float32")
    rows = ops.arange(shape[0]) + self.replica * shape[0]
    return ops.take(ops.convert_to_tensor(table), rows, axis=0)


StepRandom.uniform = from_table

if "FORGETFUL" in os.environ:
    # A Keras whose optimizers lack what replicas need of them.
    lacking = "_all_reduce_sum_gradients"
    for base in keras.optimizers.Optimizer.__mro__:
        if lacking in vars(base):
            delattr(base, lacking)

if "TROUBLED" in os.environ:
    # The monitor ends the run, and worker 0 is ahead of the other.
    level_monitor.MOST_BAND_STD = 0.0
    put_best_back = Run._put_best_back

    def put_back_late(self):
        if not self.strategy.is_chief:
            time.sleep(5)
        return put_best_back(self)

    Run._put_best_back = put_back_late

if __name__ == "__main__":
    sys.argv[0] = "keras-lapgan"
    main()
