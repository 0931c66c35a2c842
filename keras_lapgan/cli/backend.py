"""Keras and its backend, as the command line starts them."""

import contextlib
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

_BACKENDS = ("tensorflow", "jax", "torch")


def choose_backend():
    """Sets `KERAS_BACKEND` where Keras would ask for one that is missing."""
    if os.environ.get("KERAS_BACKEND"):
        return
    backend = "tensorflow"
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        settings = json.loads((home / "keras.json").read_text())
        backend = str(settings.get("backend") or backend)
    if find_spec(backend):
        return
    for backend in _BACKENDS:
        if find_spec(backend):
            os.environ["KERAS_BACKEND"] = backend
            return


def import_keras(seed=None):
    """Imports Keras and its backend, without what TensorFlow prints then.

    While it is imported, TensorFlow's C++ code writes a dozen lines to file
    descriptor 2 before it reads `TF_CPP_MIN_LOG_LEVEL`; `KERAS_LAPGAN_DEBUG`
    lets them through.

    Args:
        seed: int or None. Given to `keras.utils.set_random_seed`, which
            imports TensorFlow whatever the backend. Defaults to None.

    Returns:
        The module `keras`.
    """
    choose_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    debug = os.environ.get("KERAS_LAPGAN_DEBUG")
    with contextlib.nullcontext() if debug else silent(2):
        import keras

        if seed is not None:
            keras.utils.set_random_seed(seed % 2**32)
    return keras


@contextlib.contextmanager
def quiet():
    """Silences what converters print; gives a function that prints.

    `KERAS_LAPGAN_DEBUG` lets all through.
    """
    if os.environ.get("KERAS_LAPGAN_DEBUG"):
        yield lambda text: print(text, file=sys.stderr)
        return
    try:
        console = open(os.dup(2), "w")
    except OSError:
        # Started with stderr closed: nobody to tell.
        console = open(os.devnull, "w")
    with (
        console,
        open(os.devnull, "w") as nowhere,
        silent(1),
        silent(2),
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield lambda text: print(text, file=console, flush=True)


@contextlib.contextmanager
def silent(descriptor):
    """Lets nothing through a file descriptor, whoever writes to it."""
    try:
        kept = os.dup(descriptor)
    except OSError:
        # It was closed from the start: nothing to silence.
        yield
        return
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
