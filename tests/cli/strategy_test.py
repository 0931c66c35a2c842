"""Runs over several devices and workers, in real processes."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import LAPGANLevel
from keras_lapgan import networks
from keras_lapgan.training import processes

BACKEND = keras.backend.backend()
SCRIPT = Path(__file__).with_name("strategy_run.py")
SHARED = {"tensorflow": "mirrored", "jax": "data-parallel"}
BEGIN = ("--data", "sample", "--batch-size", 16, "--epochs", 2)
BEGIN += ("--steps-per-epoch", 12, "--save-steps", 5)
SAVED = "checkpoint/epoch_0000_step_000005.keras"


def needs_workers(test):
    skip = pytest.mark.skipif
    test = skip(BACKEND == "torch", reason="Keras shares out no step on torch")(
        test
    )
    lost = BACKEND == "jax" and not processes.has_address()
    return skip(lost, reason="this machine's name has no address")(test)


@pytest.fixture(scope="module")
def lively(tmp_path_factory):
    """A preset of which a few steps change something."""
    keras.utils.set_random_seed(0)
    levels = []
    for k, size in enumerate((16, 8)):
        shared = {"hidden_units": (8, 8), "conditional": k == 0}
        levels.append(
            LAPGANLevel(
                networks.DenseGenerator(size, noise_dim=4, **shared),
                # Whose masks would be those of a device.
                networks.DenseDiscriminator(size, dropout=0.0, **shared),
                index=k,
            )
        )
    model = LAPGAN(levels, normalization="per_channel", source_size=20)
    for level in model.levels:
        for network in (level.generator, level.discriminator):
            for weight in network.trainable_weights:
                # From the paper's N(0, 0.005) nothing happens for long.
                weight.assign(weight * 20)
    SGD = keras.optimizers.SGD
    jit = {"jit_compile": False} if BACKEND == "tensorflow" else {}
    model.compile(SGD(0.05, clipnorm=0.5), SGD(0.05, 0.5), **jit)
    folder = tmp_path_factory.mktemp("presets") / "lively"
    model.save_to_preset(folder)
    return folder


def start(folder, name, *args, **environment):
    """Begins `keras-lapgan train` in a working folder."""
    with open(folder / f"{name}.txt", "w") as output:
        return subprocess.Popen(
            [sys.executable, SCRIPT, "train", *map(str, args)],
            cwd=folder,
            # jax, imported here, has set another.
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def free_ports():
    """Two ports that nobody listens at."""
    probes = [socket.socket() for _ in range(2)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def variables(index, addresses):
    """What tells a worker who it is and where the others are."""
    if BACKEND == "jax":
        values = addresses[0], len(addresses), index
        names = "JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"
        return {
            f"KERAS_DISTRIBUTION_{name}": str(value)
            for name, value in zip(names, values, strict=True)
        }
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return {"TF_CONFIG": json.dumps(config)}


def start_workers(folder, *args, **environment):
    addresses = [f"127.0.0.1:{port}" for port in free_ports()]
    return [
        start(
            folder,
            f"worker_{i}",
            *args,
            **variables(i, addresses),
            **environment,
        )
        for i in range(2)
    ]


def codes(processes):
    try:
        return [process.wait(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()


def said(folder, name):
    return (folder / f"{name}.txt").read_text()


def read_losses(run):
    with open(run / "log.csv") as file:
        rows = list(csv.DictReader(file))
    return {
        name: [float(row[name]) for row in rows]
        for name in rows[0]
        if "loss" in name or "norm" in name
    }


def wait_for(path, processes):
    until = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < until
        assert all(process.poll() is None for process in processes)
        time.sleep(0.02)


def assert_follows(found, wanted):
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-3, err_msg=name)
    # They are not the same because nothing happens.
    assert abs(np.diff(wanted["d_loss"])[0]) > 1e-3


@pytest.fixture(scope="module")
def one(lively, tmp_path_factory):
    """The folder of a run on one device."""
    folder = tmp_path_factory.mktemp("one")
    run = start(folder, "one", lively, *BEGIN, "--output", "a")
    assert codes([run]) == [0], said(folder, "one")
    assert "training on 1 device (one)" in said(folder, "one")
    return folder / "a"


@pytest.fixture(scope="module")
def whole(lively, tmp_path_factory):
    """The working folder of a finished run of two workers."""
    folder = tmp_path_factory.mktemp("whole")
    workers = start_workers(folder, lively, *BEGIN, "--output", "a")
    assert codes(workers) == [0, 0], said(folder, "worker_0")
    return folder


# === One process ===


@pytest.mark.skipif(BACKEND not in SHARED, reason="it has one device")
def test_two_devices_follow_one(lively, one, tmp_path):
    args = [lively, *BEGIN, "--strategy", SHARED[BACKEND], "--output", "a"]
    assert codes([start(tmp_path, "both", *args, "--best-levels")]) == [0]
    output = said(tmp_path, "both")
    assert f"training on 2 devices ({SHARED[BACKEND]})" in output
    assert "level 0 is of epoch" in output
    assert_follows(read_losses(tmp_path / "a"), read_losses(one))
    assert len(list((tmp_path / "a" / "samples").iterdir())) == 4
    kept = json.loads((tmp_path / "a" / "options.json").read_text())
    assert kept["strategy"] == SHARED[BACKEND]
    # It may go on with another one.
    args = ["a", "--resume", "--strategy", "one", "--epochs", 3]
    assert codes([start(tmp_path, "more", *args)]) == [0]
    assert "training on 1 device (one)" in said(tmp_path, "more")


@pytest.mark.skipif(BACKEND not in SHARED, reason="it has one device")
def test_a_batch_without_equal_parts(lively, tmp_path):
    args = [lively, "--data", "sample", "--batch-size", 15]
    args += ["--strategy", SHARED[BACKEND], "--output", "a"]
    assert codes([start(tmp_path, "odd", *args)]) == [1]
    last = said(tmp_path, "odd").splitlines()[-1]
    assert last.startswith("Error: 2 devices share each batch")
    assert "Received: a batch of 15" in last
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="its optimizers sum")
def test_another_keras(lively, tmp_path):
    args = [lively, *BEGIN, "--strategy", "mirrored", "--output", "a"]
    run = start(tmp_path, "other", *args, FORGETFUL="1")
    assert codes([run]) == [1]
    last = said(tmp_path, "other").splitlines()[-1]
    assert last.startswith("Error: This version of Keras sums gradients")
    assert f"Received: keras {keras.__version__}" in last
    assert not (tmp_path / "a").exists()


def test_a_strategy_of_another_backend(preset, fails):
    other = "mirrored" if BACKEND == "jax" else "data-parallel"
    args = ["train", preset, "--data", "sample", "--strategy", other]
    error = fails(*args, code=1)
    assert f"Received: KERAS_BACKEND={BACKEND}" in error
    assert "auto, one" in error


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TF_CONFIG is its")
def test_a_configuration_that_cannot_be_read(preset, fails, monkeypatch):
    args = ["train", preset, "--data", "sample"]
    error = fails(*args, "--strategy", "multi-worker", code=1)
    assert "srun" in error and "Received: TF_CONFIG=None" in error
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    assert "Received: TF_CONFIG='{" in fails(*args, code=1)


@pytest.mark.skipif(BACKEND != "jax", reason="variables of JAX")
def test_variables_that_cannot_be_read(preset, fails, monkeypatch):
    args = ["train", preset, "--data", "sample"]
    error = fails(*args, "--strategy", "multi-worker", code=1)
    assert "srun" in error and "NUM_PROCESSES=None" in error
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    assert "PROCESS_ID=None" in fails(*args, code=1)


# === Two workers ===


@needs_workers
def test_two_workers_follow_one(whole, one):
    assert_follows(read_losses(whole / "a"), read_losses(one))
    assert "worker 0, which writes the run" in said(whole, "worker_0")
    # The other one says nothing of the run, and writes nothing.
    assert len(said(whole, "worker_1").splitlines()) == 2
    with open(whole / "a" / "command.txt") as file:
        assert len(file.readlines()) == 1
    assert sorted(path.name for path in whole.iterdir()) == [
        "a",
        "worker_0.txt",
        "worker_1.txt",
    ]


@needs_workers
@pytest.mark.parametrize(
    "number, victim, ends",
    [
        pytest.param(
            signal.SIGTERM, 1, [130, 143], marks=pytest.mark.slow, id="SIGTERM"
        ),
        pytest.param(
            signal.SIGKILL,
            1,
            [1, -9],
            marks=[pytest.mark.slow] * (BACKEND == "jax"),
            id="SIGKILL",
        ),
        pytest.param(
            signal.SIGKILL, 0, [-9, 1], marks=pytest.mark.slow, id="chief"
        ),
    ],
)
def test_one_of_them_ends_and_all_go_on(
    lively, whole, tmp_path, number, victim, ends
):
    args = [lively, *BEGIN, "--output", "a"]
    workers = start_workers(tmp_path, *args)
    wait_for(tmp_path / "a" / SAVED, workers)
    # By then the preset files beside it are there, too.
    wait_for(tmp_path / "a" / "metadata.json", workers)
    workers[victim].send_signal(number)
    begun = time.monotonic()
    assert codes(workers) == ends, said(tmp_path, "worker_0")
    assert time.monotonic() - begun < 60
    teller = f"worker_{1 - victim if number == signal.SIGKILL else 0}"
    output = said(tmp_path, teller)
    assert "--output a --resume" in output
    if number == signal.SIGKILL:
        assert "Error: a worker of this job ended before" in output
    assert "Traceback" not in output
    workers = start_workers(tmp_path, "a", "--resume")
    assert codes(workers) == [0, 0], said(tmp_path, "worker_0")
    logs = [folder / "a" / "log.csv" for folder in (tmp_path, whole)]
    assert logs[0].read_bytes() == logs[1].read_bytes()


@needs_workers
@pytest.mark.parametrize(
    "number, victim, ends",
    [
        (signal.SIGKILL, 0, [-9, 1]),
        pytest.param(signal.SIGKILL, 1, [1, -9], marks=pytest.mark.slow),
        # JAX aborts once a worker says nothing.
        pytest.param(
            signal.SIGSTOP,
            1,
            [1, -9],
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(BACKEND != "jax", reason="JAX aborts"),
            ],
        ),
    ],
)
def test_one_of_them_dies_before_the_first_save(
    lively, tmp_path, number, victim, ends
):
    (tmp_path / "temporary").mkdir()
    args = [lively, *BEGIN[:-4], "--steps-per-epoch", 10**6, "--output", "a"]
    workers = start_workers(tmp_path, *args, TMPDIR=str(tmp_path / "temporary"))
    wait_for(tmp_path / "a" / "options.json", workers)
    # The other one's, which it had before they began.
    homes = [tmp_path / "a", *(tmp_path / "temporary").iterdir()]
    assert len(homes) == 2
    wait_for(homes[1] / "run" / "options.json", workers)
    workers[victim].send_signal(number)
    begun = time.monotonic()
    codes([workers[1 - victim]])
    workers[victim].kill()
    assert codes(workers) == ends, said(tmp_path, f"worker_{1 - victim}")
    assert time.monotonic() - begun < 60
    output = said(tmp_path, f"worker_{1 - victim}")
    assert "Nothing was saved yet: start all of them again." in output
    assert homes[victim].exists() and not homes[1 - victim].exists()


@needs_workers
def test_all_are_ended_by_the_monitor(lively, tmp_path):
    args = [lively, *BEGIN, "--monitor", "stop", "--output", "a"]
    workers = start_workers(tmp_path, *args, TROUBLED="1")
    assert codes(workers) == [1, 1], said(tmp_path, "worker_0")
    for i in range(2):
        last = said(tmp_path, f"worker_{i}").splitlines()[-1]
        assert last.startswith("Error: Training was stopped at epoch 1: level")


@needs_workers
def test_a_worker_that_is_alone(preset, tmp_path):
    (tmp_path / "temporary").mkdir()
    args = [preset, "--data", "sample", "--output", "a"]
    workers = []
    for i in range(2):
        addresses = [f"127.0.0.1:{port}" for port in free_ports()]
        environment = variables(i, addresses)
        environment |= {"PATIENCE": "2", "TMPDIR": str(tmp_path / "temporary")}
        workers.append(start(tmp_path, f"worker_{i}", *args, **environment))
    assert codes(workers) == [1, 1]
    for i in range(2):
        assert said(tmp_path, f"worker_{i}").endswith(
            f"worker {i} of 2 waits for the others, 2 seconds at most\n"
        )
    assert not (tmp_path / "a").exists()
    assert list((tmp_path / "temporary").iterdir()) == []
