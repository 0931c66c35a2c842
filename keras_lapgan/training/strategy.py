"""Which devices and processes a run of the command line trains on."""

import contextlib
import os

import keras

from keras_lapgan.training import processes
from keras_lapgan.training import replicas
from keras_lapgan.training import shares

#: What may be asked for.
NAMES = ("auto", "one", "mirrored", "multi-worker", "data-parallel")
#: The backend that has what is not everywhere.
_BACKENDS = {
    "mirrored": ("tensorflow",),
    "multi-worker": ("tensorflow", "jax"),
    "data-parallel": ("jax",),
}


class Strategy:
    """How a run is spread over devices and processes.

    Attributes:
        name: str. One of `NAMES`, without `"auto"`.
        num_replicas: int. Devices that share each batch, in all processes.
        num_workers: int. Processes.
        worker: int. The number of this one.
    """

    def __init__(self, name, scope=None, num_replicas=1, workers=(1, 0)):
        self.name = name
        self.num_replicas = num_replicas
        self.num_workers, self.worker = workers
        self._scope = scope

    @property
    def is_chief(self):
        """Whether this process is the one that writes."""
        return self.worker == 0

    def scope(self):
        """Where models are made, loaded and trained, a context manager."""
        return self._scope() if self._scope else contextlib.nullcontext()

    def describe(self):
        """One line on what is trained on."""
        devices = f"{self.num_replicas} device{'s' * (self.num_replicas > 1)}"
        if self.num_workers > 1:
            devices += (
                f" of {self.num_workers} workers; this is worker {self.worker}"
                + ", which writes the run" * self.is_chief
            )
        return f"training on {devices} ({self.name})"

    def check(self, model, batches):
        """Refuses what `fit` would, before it begins.

        Raises:
            ValueError: batches without equal parts.
        """
        if self.num_replicas > 1:
            shares.shared(replicas.sharing_of(model), batches)

    def any_worker(self, value):
        """Whether `value` is true in any worker.

        Every worker has to ask at the same step.
        """
        if self.num_workers == 1:
            return value
        return processes.any_of(value)

    def leave(self):
        """Waits for the other workers, all of which end now."""
        if self.num_workers > 1:
            processes.leave()


def resolve(name, batch_size):
    """Returns the name of the strategy that `--strategy` means here.

    Args:
        name: str. One of `NAMES`.
        batch_size: int. Pictures a step, by which `"auto"` chooses.

    Raises:
        ValueError: one that the backend does not have; one of a single
            process where the environment names several; variables that
            cannot be read.
    """
    backend = keras.backend.backend()
    if name == "auto":
        return _best(backend, batch_size)
    if not _has(backend, name):
        others = [n for n in NAMES if _has(backend, n)]
        raise ValueError(
            f"--strategy {name} is of the {' and '.join(_BACKENDS[name])} "
            f"backend; {backend} has {', '.join(others)}. Received: "
            f"KERAS_BACKEND={backend}"
        )
    if name != "multi-worker" and processes.are_several():
        variable = processes.VARIABLES[backend]
        raise ValueError(
            f"--strategy {name} is of one process, and {variable} names "
            "several, each of which would write the run. Take --strategy "
            f"multi-worker, or unset {variable} to train on this process "
            f"alone. Received: {variable}={os.environ[variable]}"
        )
    return name


def workers_of(name):
    """How many processes a strategy has, and the number of this one.

    Args:
        name: str. What `resolve` returned.

    Raises:
        ValueError: no, or strange, variables of the environment.
    """
    return processes.workers() if name == "multi-worker" else (1, 0)


def make(name):
    """Returns the `Strategy` of a name that `resolve` returned.

    With several workers it waits until all of them are there, for
    `processes.PATIENCE` seconds; then the process ends.
    """
    if name == "one":
        return Strategy(name)
    workers = workers_of(name)
    found = processes.meet() if workers[0] > 1 else None
    if keras.backend.backend() == "jax":
        found = keras.distribution.DataParallel()
        return Strategy(name, found.scope, found.num_model_replicas, workers)
    import tensorflow as tf

    if found is None:
        devices = tf.config.list_logical_devices("GPU")
        devices = devices or tf.config.list_logical_devices("CPU")
        found = tf.distribute.MirroredStrategy([d.name for d in devices])
    return Strategy(name, found.scope, found.num_replicas_in_sync, workers)


def _has(backend, name):
    return backend in _BACKENDS.get(name, (backend,))


def _best(backend, batch_size):
    """What `"auto"` stands for here."""
    found = {"tensorflow": "mirrored", "jax": "data-parallel"}.get(backend)
    if processes.are_several():
        return "multi-worker"
    if found is None:
        return "one"
    count = len(_accelerators(backend))
    return found if count > 1 and batch_size % count == 0 else "one"


def _accelerators(backend):
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.config.list_physical_devices("GPU")
    import jax

    return [d for d in jax.local_devices() if d.platform != "cpu"]
