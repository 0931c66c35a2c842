"""Three backends, one algorithm: each runs in a process of its own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

INSTALLED = [
    name
    for name in ("tensorflow", "jax", "torch")
    if importlib.util.find_spec(name)
]
pytestmark = [
    pytest.mark.skipif(len(INSTALLED) < 2, reason="there is one backend only"),
    pytest.mark.skipif(
        keras.backend.backend() != INSTALLED[0],
        reason=f"runs once, under {INSTALLED[0]}",
    ),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backends")
    script = pathlib.Path(__file__).with_name("backend_run.py")
    found = {}
    # The first one twice: in another process, from the same weights.
    for name in (*INSTALLED, INSTALLED[0]):
        key, steps = ("again", "0") if name in found else (name, "20")
        out = folder / f"{key}.npz"
        subprocess.run(
            [sys.executable, script, folder / "initial.weights.h5", out, steps],
            env={**os.environ, "KERAS_BACKEND": name},
            check=True,
        )
        with np.load(out) as file:
            found[key] = dict(file)
    return found


def test_another_process(results):
    first, again = results[INSTALLED[0]], results["again"]
    np.testing.assert_array_equal(again["exact"], first["exact"])


@pytest.mark.parametrize("name", INSTALLED[1:])
def test_losses_of_20_steps(results, name):
    first, other = results[INSTALLED[0]], results[name]
    assert first["losses"].shape[0] == 20
    assert list(first["names"]) == list(other["names"])
    loss = np.array(["loss" in name for name in first["names"]])
    assert loss.sum() == 2 + 2 * 3
    np.testing.assert_allclose(
        other["losses"][:, loss], first["losses"][:, loss], atol=1e-4
    )
    # They are not the same because nothing happens.
    assert np.ptp(first["losses"][:, loss], axis=0).min() > 1e-4


@pytest.mark.parametrize("name", INSTALLED[1:])
@pytest.mark.parametrize("which", ["exact", "trained"])
def test_one_seed_one_picture(results, name, which):
    first, other = results[INSTALLED[0]], results[name]
    assert np.ptp(first[which]) > 20
    np.testing.assert_allclose(other[which], first[which], atol=255e-4)
    rounded = other["rounded"].astype("int32") - first["rounded"]
    assert np.abs(rounded).max() <= 1


@pytest.mark.parametrize("name", INSTALLED)
def test_any_batch_size(results, name):
    run = results[name]
    np.testing.assert_allclose(run["batches_of_3"], run["exact"], atol=255e-5)
