import json
import signal
import socket
import subprocess
import sys

import keras
import pytest

from keras_lapgan.training import processes
from keras_lapgan.training import strategy

BACKEND = keras.backend.backend()
of_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="TF_CONFIG is TensorFlow's"
)
of_jax = pytest.mark.skipif(BACKEND != "jax", reason="variables of JAX")


def config(index=0, type="worker", **cluster):
    return json.dumps(
        {"cluster": cluster, "task": {"type": type, "index": index}}
    )


def set_variables(monkeypatch, prefix, **values):
    for name, value in values.items():
        monkeypatch.setenv(f"{prefix}_{name}", value)


@pytest.mark.skipif(BACKEND == "torch", reason="it has no workers")
def test_a_single_process_where_several_are_named(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(1, worker=["a:1", "b:1"]))
    set_variables(
        monkeypatch,
        "KERAS_DISTRIBUTION",
        JOB_ADDRESSES="a:1",
        NUM_PROCESSES="2",
        PROCESS_ID="1",
    )
    shared = {"tensorflow": "mirrored", "jax": "data-parallel"}[BACKEND]
    variable = processes.VARIABLES[BACKEND]
    for name in ("one", shared):
        with pytest.raises(ValueError) as caught:
            strategy.resolve(name, 32)
        message = str(caught.value)
        assert message.startswith(f"--strategy {name} is of one process")
        assert f"unset {variable}" in message
        assert "--strategy multi-worker" in message
    assert strategy.resolve("multi-worker", 32) == "multi-worker"
    monkeypatch.delenv(variable)
    assert strategy.resolve(shared, 32) == shared


# === TensorFlow ===


@of_tensorflow
@pytest.mark.parametrize(
    "text, wanted",
    [
        (config(1, worker=["a:1", "b:1", "c:1"]), (3, 1)),
        (config(1, worker=["a:1", "b:1"], chief=["c:1"]), (3, 2)),
        (config(0, "chief", worker=["a:1"], chief=["c:1"]), (2, 0)),
    ],
)
def test_workers_of_a_configuration(monkeypatch, text, wanted):
    monkeypatch.setenv("TF_CONFIG", text)
    assert strategy.resolve("auto", 32) == "multi-worker"
    assert strategy.workers_of("multi-worker") == wanted


@of_tensorflow
@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        config(2, worker=["a:1", "b:1"]),
        config(0, "evaluator", worker=["a:1", "b:1"]),
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
    ],
)
def test_a_configuration_that_cannot_be_read(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="Received: TF_CONFIG="):
        strategy.resolve("auto", 32)


@of_tensorflow
def test_tasks_of_slurm(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    set_variables(
        monkeypatch,
        "SLURM",
        STEP_NODELIST="n[01-02]",
        STEP_TASKS_PER_NODE="2(x2)",
        STEP_NUM_TASKS="4",
        PROCID="3",
    )
    assert strategy.workers_of("multi-worker") == (4, 3)
    # Many tasks of Slurm are jobs of their own.
    assert strategy.resolve("auto", 32) != "multi-worker"
    assert processes._config()["cluster"]["worker"] == [
        "n01:8888",
        "n01:8889",
        "n02:8888",
        "n02:8889",
    ]


@of_tensorflow
def test_a_cluster_of_one_is_one_process(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(0, worker=["a:1"]))
    assert strategy.resolve("auto", 32) in ("one", "mirrored")
    assert strategy.workers_of("one") == (1, 0)


# === JAX ===


@of_jax
def test_workers_of_keras_variables(monkeypatch):
    set_variables(
        monkeypatch,
        "KERAS_DISTRIBUTION",
        JOB_ADDRESSES="a:1,b:1",
        NUM_PROCESSES="2",
        PROCESS_ID="1",
    )
    assert strategy.resolve("auto", 32) == "multi-worker"
    assert strategy.workers_of("multi-worker") == (2, 1)
    assert strategy.workers_of("data-parallel") == (1, 0)
    assert processes._jax_task() == (2, 1, "a:1")


@of_jax
def test_a_single_process_of_keras_variables(monkeypatch):
    set_variables(monkeypatch, "KERAS_DISTRIBUTION", NUM_PROCESSES="1")
    assert strategy.resolve("auto", 32) in ("one", "data-parallel")
    assert strategy.resolve("one", 32) == "one"
    assert strategy.workers_of("multi-worker") == (1, 0)


@of_jax
@pytest.mark.parametrize(
    "values",
    [
        {"NUM_PROCESSES": "two", "PROCESS_ID": "0", "JOB_ADDRESSES": "a:1"},
        {"NUM_PROCESSES": "2", "PROCESS_ID": "2", "JOB_ADDRESSES": "a:1"},
        {"NUM_PROCESSES": "2", "PROCESS_ID": "0", "JOB_ADDRESSES": "a"},
        {"NUM_PROCESSES": "2", "PROCESS_ID": "0"},
    ],
)
def test_variables_that_cannot_be_read(monkeypatch, values):
    set_variables(monkeypatch, "KERAS_DISTRIBUTION", **values)
    with pytest.raises(ValueError, match="Received: JOB_ADDRESSES="):
        strategy.resolve("auto", 32)


@of_jax
def test_tasks_of_slurm_on_jax(monkeypatch):
    set_variables(
        monkeypatch,
        "SLURM",
        STEP_NODELIST="n[01-02]",
        NTASKS="4",
        PROCID="3",
    )
    assert strategy.workers_of("multi-worker") == (4, 3)
    assert strategy.resolve("auto", 32) != "multi-worker"
    assert processes._jax_task() == (4, 3, None)


@of_jax
def test_an_error_of_another_process():
    lost = "UNKNOWN: Gloo all-reduce failed: Connection closed by peer"
    assert processes.is_of_others(ValueError(lost))
    assert not processes.is_of_others(ValueError("UNKNOWN"))
    assert not processes.is_of_others(RuntimeError(lost))


@of_jax
def test_an_abort_is_told():
    script = """
import os, threading
from keras_lapgan.training import processes
def tell():
    os.write(1, b"told")
    os._exit(3)
with processes.on_abort(tell):
    pass
with processes.on_abort(tell):
    thread = threading.Thread(target=os.abort)
    thread.start()
    thread.join()
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, stdout=subprocess.PIPE)
    assert (found.returncode, found.stdout) == (3, b"told")
    command[2] = script.replace("    pass\n", "    pass\nos.abort()\n")
    found = subprocess.run(command, stdout=subprocess.PIPE)
    assert (found.returncode, found.stdout) == (-signal.SIGABRT, b"")


@of_jax
def test_a_machine_whose_name_has_no_address(monkeypatch):
    def throw(error):
        raise error

    def fails(*args):
        throw(RuntimeError("enforce fail at external/gloo"))

    set_variables(
        monkeypatch,
        "KERAS_DISTRIBUTION",
        JOB_ADDRESSES="a:1",
        NUM_PROCESSES="2",
        PROCESS_ID="0",
    )
    monkeypatch.setattr("jax.distributed.initialize", lambda *args, **kw: None)
    monkeypatch.setattr(processes, "any_of", fails)
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.0.1")
    with pytest.raises(RuntimeError, match="gloo"):
        processes.meet()
    monkeypatch.setattr(socket, "gethostname", lambda: "nowhere")
    for error in (socket.gaierror("unknown"), socket.herror("no address")):
        monkeypatch.setattr(
            socket, "gethostbyname", lambda name, e=error: throw(e)
        )
        with pytest.raises(ValueError, match="/etc/hosts.*'nowhere'"):
            processes.meet()
