"""One device and several, one algorithm: they train in other processes."""

import os
import pathlib
import pickle
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

BACKEND = keras.backend.backend()
SCRIPT = pathlib.Path(__file__).with_name("distribution_run.py")
pytestmark = pytest.mark.skipif(
    BACKEND == "torch", reason="Keras shares out no step on torch"
)


def start(*args):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, args)],
        env={**os.environ, "KERAS_BACKEND": BACKEND},
        stdout=subprocess.DEVNULL,
    )


def read(path):
    with open(path, "rb") as file:
        return pickle.load(file)


def free_ports(count=2):
    """The first of `count` ports in a row that nobody listens at."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        try:
            for i in range(count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + i))
        except OSError:
            continue
        return port
    raise OSError("no two free ports in a row")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """What `distribution_run.py local` found, with two devices."""
    out = tmp_path_factory.mktemp("local") / "found.pickle"
    assert start("local", out).wait(timeout=300) == 0
    return read(out)


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("workers")
    port = free_ports()
    children = [
        start("worker", folder / f"{i}.pickle", i, port) for i in range(2)
    ]
    try:
        assert [child.wait(timeout=300) for child in children] == [0, 0]
    finally:
        for child in children:
            child.kill()
    return [read(folder / f"{i}.pickle") for i in range(2)]


def assert_same(found, wanted):
    """Two runs had the same losses, gradients, weights and counters."""
    for part in ("history", "tested"):
        shared = set(found[part]) & set(wanted[part])
        assert shared or part == "tested"
        for name in shared:
            np.testing.assert_allclose(
                found[part][name], wanted[part][name], atol=1e-5, err_msg=name
            )
    for a, b in zip(found["weights"], wanted["weights"], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert found["iterations"] == wanted["iterations"]
    # They are not the same because nothing happens.
    history = wanted["history"]
    assert abs(np.diff(history["d_loss"])[0]) > 1e-3
    assert min(history["d_gradient_norm_0"]) > 1e-3


#: The same pictures in another form, so the same run on one device.
ONE = {
    "arrays": "arrays",
    "dataset": "arrays",
    "image_batches": "image_batches",
}


@pytest.mark.parametrize("name", ONE)
def test_two_devices_train_as_one(local, name):
    assert_same(local[name, "both"], local[ONE[name], "one"])


def test_two_devices_draw_conditions_as_one(local):
    found, one, plain = (local["chained", x] for x in ("both", "one", "not"))
    for name, value in one[0].items():
        np.testing.assert_allclose(
            found[0][name], value, atol=1e-5, err_msg=name
        )
    for a, b in zip(found[1], one[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert abs(one[0]["d_loss_0"][0] - plain[0]["d_loss_0"][0]) > 1e-3
    assert one[0]["d_loss_1"] == plain[0]["d_loss_1"]


def test_a_generator_loses_no_batch(local):
    assert local["generator", "both"]["iterations"] == 8


def test_replicas_keep_the_same_weights(local):
    if BACKEND != "tensorflow":
        pytest.skip("one array, spread over the devices")
    for name in (*ONE, "generator"):
        assert local[name, "copies_differ"] == []


def test_each_replica_draws_its_own(local):
    if BACKEND != "tensorflow":
        pytest.skip("there is one step, spread over the devices")
    found = local["first_draws"]
    for (first, second), one in zip(
        found["replicas"], found["one"], strict=True
    ):
        np.testing.assert_allclose(first, one, atol=1e-4)
        assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize(
    "what, wanted",
    [
        ("odd batch", "multiple of 2. Received: a batch of 15"),
        ("odd dataset", "multiple of 2. Received: a batch of 9"),
        ("evaluate", "multiple of 2. Received: a batch of 15"),
        ("one picture", "2 devices share each batch"),
        ("split", "Received: validation_split=0.5"),
    ],
)
def test_what_cannot_be_shared_is_refused(local, what, wanted):
    assert wanted in local["refusals"][what]


@pytest.mark.parametrize(
    "what, wanted",
    [
        ("jit", "Received: jit_compile=True"),
        ("steps", "Received: steps_per_execution=2"),
        ("accumulation", "Received: gradient_accumulation_steps=2"),
        ("outside", "inside `with strategy.scope():`"),
    ],
)
def test_what_replicas_cannot_do_is_refused(local, what, wanted):
    if BACKEND != "tensorflow":
        pytest.skip("limits of tf.distribute")
    assert wanted in local["refusals"][what]


def test_a_run_is_saved_and_goes_on(local):
    found = local["callbacks"]
    assert {"checkpoint", "log.csv", "samples"} <= set(found["files"])
    for name in ("plain", "again"):
        np.testing.assert_allclose(found[name], found["drawn"], atol=1)
    assert np.ptp(found["drawn"].astype("int32"), axis=0).max() > 20
    # Three epochs of 4 batches.
    assert found["steps"] == 12


@pytest.mark.parametrize("name", ["dataset", "image_batches"])
@pytest.mark.parametrize("index", [0, 1])
def test_two_processes_train_as_one(local, workers, index, name):
    assert_same(workers[index][name], local[ONE[name], "one"])
