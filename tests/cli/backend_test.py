import json
import os
import subprocess
import sys

import pytest

from keras_lapgan.cli import backend


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Sets which backends there are, and what Keras' settings name."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Set first, so that what the code sets is undone where none was set.
    monkeypatch.setenv("KERAS_BACKEND", "none")
    monkeypatch.delenv("KERAS_BACKEND")

    def installed(*names, settings=None):
        monkeypatch.setattr(
            backend, "find_spec", lambda name: name in names or None
        )
        if settings:
            if isinstance(settings, str):
                settings = {"backend": settings}
            (tmp_path / "keras.json").write_text(json.dumps(settings))

    return installed


@pytest.mark.parametrize(
    "names, settings, chosen",
    [
        (["tensorflow", "jax", "torch"], None, None),
        (["tensorflow", "torch"], "torch", None),
        (["jax", "torch"], None, "jax"),
        (["torch"], "tensorflow", "torch"),
        (["torch"], "torch", None),
        ([], None, None),
        (["jax"], {"floatx": "float32"}, "jax"),
        (["jax"], {"backend": None}, "jax"),
        (["jax"], {"backend": 5}, "jax"),
        (["jax"], [1], "jax"),
    ],
)
def test_only_a_missing_backend_is_replaced(installed, names, settings, chosen):
    installed(*names, settings=settings)
    backend.choose_backend()
    assert os.environ.get("KERAS_BACKEND") == chosen


def test_the_user_s_choice_stays(installed, monkeypatch):
    installed("tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    backend.choose_backend()
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_importing_prints_nothing():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os\n"
            "from keras_lapgan.cli.backend import import_keras\n"
            "print(import_keras(seed=1).__name__)\n"
            "os.write(2, b'heard')\n",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_LAPGAN_DEBUG": ""},
        timeout=120,
    )
    assert done.stdout == "keras\n"
    assert done.stderr == "heard"


def test_an_import_that_fails_is_heard(monkeypatch, capfd):
    def fails():
        os.write(2, b"noise")
        raise ImportError("none")

    with pytest.raises(ImportError), backend.silent(2):
        fails()
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_silence_needs_no_stderr(monkeypatch):
    def dup(descriptor):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", dup)
    with backend.silent(2):
        pass
