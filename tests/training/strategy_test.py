import json

import keras
import pytest

from keras_lapgan.training import strategy

BACKEND = keras.backend.backend()


def config(index=0, type="worker", **cluster):
    return json.dumps(
        {"cluster": cluster, "task": {"type": type, "index": index}}
    )


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TF_CONFIG is its")
@pytest.mark.parametrize(
    "text, wanted",
    [
        (config(1, worker=["a:1", "b:1", "c:1"]), (3, 1)),
        (config(1, worker=["a:1", "b:1"], chief=["c:1"]), (3, 2)),
        (config(0, "chief", worker=["a:1"], chief=["c:1"]), (2, 0)),
    ],
)
def test_workers_of_the_environment(monkeypatch, text, wanted):
    monkeypatch.setenv("TF_CONFIG", text)
    assert strategy.resolve("auto", 32) == "multi-worker"
    assert strategy.workers_of("multi-worker") == wanted


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TF_CONFIG is its")
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


@pytest.mark.skipif(BACKEND != "tensorflow", reason="Slurm's resolver is its")
def test_tasks_of_slurm(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in {
        "STEP_NODELIST": "n[01-02]",
        "STEP_TASKS_PER_NODE": "2(x2)",
        "STEP_NUM_TASKS": "4",
        "PROCID": "3",
    }.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert strategy.workers_of("multi-worker") == (4, 3)
    # Many tasks of Slurm are jobs of their own.
    assert strategy.resolve("auto", 32) != "multi-worker"
    assert strategy._config()["cluster"]["worker"] == [
        "n01:8888",
        "n01:8889",
        "n02:8888",
        "n02:8889",
    ]


def test_one_cluster_of_one_is_one_process(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(0, worker=["a:1"]))
    assert strategy.resolve("auto", 32) in ("one", "mirrored", "data-parallel")
    assert strategy.resolve("one", 32) == "one"
    assert strategy.workers_of("one") == (1, 0)


def test_one_device():
    one = strategy.make("one")
    assert one.is_chief
    assert one.describe() == "training on 1 device (one)"
    assert one.any_worker(True) and not one.any_worker(False)
    with one.scope():
        pass


def test_a_name_that_the_backend_does_not_have():
    other = "mirrored" if BACKEND == "jax" else "data-parallel"
    with pytest.raises(ValueError, match=f"KERAS_BACKEND={BACKEND}"):
        strategy.resolve(other, 32)
