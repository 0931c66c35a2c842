import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.presets.preset_folder import read_metadata

CLUSTER = Path(__file__).parents[2] / "tools" / "cluster"
OPTIONS = "--data sample --steps-per-epoch 60 --batch-size 4 --monitor off"


@pytest.fixture
def preset(tiny, tmp_path):
    tiny.model((16, 8), normalization="per_channel").save_to_preset(
        tmp_path / "tiny"
    )
    return tmp_path / "tiny"


@pytest.fixture
def environment(tmp_path):
    """Variables in which `keras-lapgan` and a `scontrol` are found."""
    commands = tmp_path / "bin"
    commands.mkdir()
    queue = commands / "scontrol"
    queue.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/queue\n')
    queue.chmod(0o755)
    home = Path(sys.executable).parent
    path = os.pathsep.join([str(commands), str(home), os.environ["PATH"]])
    return {**os.environ, "PATH": path}


def slurm(preset, environment, tmp_path, level, epochs):
    """The batch script of one task of the array, as Slurm starts it."""
    task = {"SLURM_ARRAY_TASK_ID": str(level), "SLURM_ARRAY_JOB_ID": "7"}
    options = f"{OPTIONS} --epochs {epochs}".split()
    return subprocess.Popen(
        ["bash", CLUSTER / "train_levels.sbatch", preset, "runs", *options],
        env=environment | task,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )


def kubernetes(preset, environment, tmp_path, level, epochs):
    """The container's command, as its pod starts it."""
    text = (CLUSTER / "train_levels.yaml").read_text()
    script = re.search(r"- \|\n(.*?)\n {10}resources:", text, re.S)[1]
    pod = {
        "PRESET": str(preset),
        "RUNS": "runs",
        "OPTIONS": f"{OPTIONS} --epochs {epochs}",
        "JOB_COMPLETION_INDEX": str(level),
    }
    return subprocess.Popen(
        ["/bin/sh", "-ceu", script],
        env=environment | pod,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, process):
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def test_levels_as_jobs(preset, environment, tmp_path):
    run = tmp_path / "runs" / "level_0"
    task = slurm(preset, environment, tmp_path, 0, 400)
    wait_for((run / "metadata.json").is_file, task)
    task.send_signal(signal.SIGTERM)
    _, error = task.communicate(timeout=60)
    assert task.returncode == 0, error
    assert "the run is saved. Go on with" in error
    assert (tmp_path / "queue").read_text() == "requeue 7_0\n"
    done = read_metadata(run)["epochs"]

    pod = kubernetes(preset, environment, tmp_path, 1, 1)
    _, error = pod.communicate(timeout=120)
    assert pod.returncode == 0, error

    # The same command again goes on where it was.
    task = slurm(preset, environment, tmp_path, 0, done + 1)
    _, error = task.communicate(timeout=120)
    assert task.returncode == 0, error
    assert read_metadata(run)["epochs"] == done + 1
    # Sent once more, it has nothing to do.
    task = slurm(preset, environment, tmp_path, 0, done + 1)
    _, error = task.communicate(timeout=120)
    assert task.returncode == 0, error
    model = LAPGAN.assemble([run, tmp_path / "runs" / "level_1"])
    assert model.is_complete


def test_the_job_file_is_a_job():
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((CLUSTER / "train_levels.yaml").read_text())
    assert job["kind"] == "Job"
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 3
