"""Keras' own `BackupAndRestore` with `fit`, killed and started again.

As a program this file trains; see `main`.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

STEPS, EPOCHS = 4, 3


def main(folder, kill_at):
    """Trains, and kills itself after so many steps in all, or never."""
    import keras

    from keras_lapgan import LAPGAN
    from keras_lapgan import LAPGANLevel
    from keras_lapgan import networks
    from keras_lapgan.datasets import ImageBatches
    from keras_lapgan.datasets import ImageSource

    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == int(kill_at):
                os.kill(os.getpid(), signal.SIGKILL)

    keras.utils.set_random_seed(0)
    size = {"hidden_units": (8, 8), "conditional": False}
    level = LAPGANLevel(
        networks.DenseGenerator(8, noise_dim=4, **size),
        networks.DenseDiscriminator(8, **size),
        index=0,
    )
    model = LAPGAN([level], source_size=10, flip=True)
    # XLA, which JAX cannot do without, takes TensorFlow seconds.
    xla = keras.backend.backend() == "jax"
    model.compile(g_optimizer="adam", seed=1, jit_compile=xla)
    pictures = np.random.default_rng(0).integers(0, 256, (20, 10, 10, 3))
    batches = ImageBatches(
        ImageSource(pictures.astype("uint8")), 8, steps=STEPS, seed=2
    )
    model.fit(
        batches,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[
            Kill(),
            keras.callbacks.BackupAndRestore(str(Path(folder) / "backup")),
        ],
    )
    values = [*model.variables, *model.optimizer.variables]
    np.savez(
        Path(folder) / "end.npz",
        *map(keras.ops.convert_to_numpy, values),
    )


def run(folder, kill_at=0):
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, __file__, str(folder), str(kill_at)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="this system has no SIGKILL")
def test_a_killed_fit_goes_on_bit_for_bit(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = run(whole)
    assert result.returncode == 0, result.stdout
    # In the middle of the second epoch.
    result = run(killed, STEPS + 2)
    assert result.returncode == -signal.SIGKILL, result.stdout
    assert (killed / "backup").is_dir()
    result = run(killed)
    assert result.returncode == 0, result.stdout
    with np.load(whole / "end.npz") as a, np.load(killed / "end.npz") as b:
        assert len(a.files) == len(b.files) > 20
        assert any(value == STEPS * EPOCHS for value in a.values())
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], strict=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
