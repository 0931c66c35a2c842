"""Which devices and processes a run of the command line trains on."""

import contextlib
import faulthandler
import json
import os
import signal

import keras

from keras_lapgan.training import replicas
from keras_lapgan.training import shares

#: What may be asked for.
NAMES = ("auto", "one", "mirrored", "multi-worker", "data-parallel")
#: The backend that has what is not everywhere.
_BACKENDS = {
    "mirrored": "tensorflow",
    "multi-worker": "tensorflow",
    "data-parallel": "jax",
}
#: Seconds that workers wait for each other to start.
PATIENCE = 600


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
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
        each = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(float(value))
        )
        found = strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)
        return float(found) > 0


def resolve(name, batch_size):
    """Returns the name of the strategy that `--strategy` means here.

    Args:
        name: str. One of `NAMES`.
        batch_size: int. Pictures a step, by which `"auto"` chooses.

    Raises:
        ValueError: one that the backend does not have, or a `TF_CONFIG` that
            cannot be read.
    """
    backend = keras.backend.backend()
    if name == "auto":
        return _best(backend, batch_size)
    needed = _BACKENDS.get(name, backend)
    if needed != backend:
        others = [n for n in NAMES if _BACKENDS.get(n, backend) == backend]
        raise ValueError(
            f"--strategy {name} is of the {needed} backend; {backend} has "
            f"{', '.join(others)}. Received: KERAS_BACKEND={backend}"
        )
    return name


def workers_of(name):
    """How many processes a strategy has, and the number of this one.

    Args:
        name: str. What `resolve` returned.

    Raises:
        ValueError: no, or strange, variables of the environment.
    """
    if name == "multi-worker":
        return _workers(_config())
    if name == "data-parallel" and _jax_processes() > 1:
        raise ValueError(
            "The command line trains over several processes on TensorFlow "
            "alone, with --strategy multi-worker; on JAX, `LAPGAN.fit` does. "
            f"Received: KERAS_DISTRIBUTION_NUM_PROCESSES={_jax_processes()}"
        )
    return 1, 0


def make(name):
    """Returns the `Strategy` of a name that `resolve` returned.

    With several workers it waits until all of them are there, for `PATIENCE`
    seconds; then the process ends.
    """
    if name == "one":
        return Strategy(name)
    if name == "data-parallel":
        found = keras.distribution.DataParallel()
        return Strategy(name, found.scope, found.num_model_replicas)
    import tensorflow as tf

    workers = workers_of(name)
    if workers[0] > 1:
        os.environ["TF_CONFIG"] = json.dumps(_config())
        with _patience():
            found = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        devices = tf.config.list_logical_devices("GPU")
        devices = devices or tf.config.list_logical_devices("CPU")
        found = tf.distribute.MirroredStrategy([d.name for d in devices])
    return Strategy(name, found.scope, found.num_replicas_in_sync, workers)


def is_of_workers(error):
    """Whether an error may be of another worker that is gone."""
    import tensorflow as tf

    return isinstance(
        error,
        (
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
            tf.errors.FailedPreconditionError,
            tf.errors.InternalError,
            tf.errors.UnavailableError,
        ),
    )


def _best(backend, batch_size):
    """What `"auto"` stands for here."""
    found = {"tensorflow": "mirrored", "jax": "data-parallel"}.get(backend)
    if backend == "tensorflow" and "TF_CONFIG" in os.environ:
        if _workers(_config())[0] > 1:
            return "multi-worker"
    if found is None:
        return "one"
    if backend == "jax" and _jax_processes() > 1:
        return found
    count = len(_accelerators(backend))
    return found if count > 1 and batch_size % count == 0 else "one"


def _accelerators(backend):
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.config.list_physical_devices("GPU")
    import jax

    return [d for d in jax.local_devices() if d.platform != "cpu"]


# === Several processes ===


def _jax_processes():
    return int(os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES", 1))


def _config():
    """What `TF_CONFIG` says, or would say of the tasks of Slurm."""
    text = os.environ.get("TF_CONFIG")
    if text is None and "SLURM_STEP_NODELIST" in os.environ:
        return _config_of_slurm()
    try:
        config = json.loads(text or "")
        _workers(config)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(
            "--strategy multi-worker: start each worker with srun, or with a "
            'TF_CONFIG such as {"cluster": {"worker": ["host1:1234", '
            '"host2:1234"]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: TF_CONFIG={text!r}"
        ) from None
    return config


def _workers(config):
    """How many processes a `TF_CONFIG` has, and the number of this one."""
    cluster = config.get("cluster", {})
    chiefs = len(cluster.get("chief", ()))
    count = chiefs + len(cluster.get("worker", ()))
    if count < 2:
        return 1, 0
    task = config["task"]
    before = {"chief": 0, "worker": chiefs}[task["type"]]
    index = before + int(task["index"])
    if not 0 <= index < count:
        raise ValueError
    return count, index


def _config_of_slurm():
    """What `TF_CONFIG` would be, of the variables that `srun` sets."""
    import tensorflow as tf

    # GPUs are left as Slurm gives them to each task, and there may be none.
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]),
        gpus_per_task=1,
        auto_set_gpu=False,
    )
    cluster = resolver.cluster_spec().as_dict()
    return {
        "cluster": cluster,
        "task": {"type": resolver.task_type, "index": resolver.task_id},
    }


@contextlib.contextmanager
def _patience():
    """Ends the process, with code 1, if the other workers do not come.

    TensorFlow waits for ever, and lets neither Python's threads nor its
    signal handlers run meanwhile.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(n, signal.SIG_DFL) for n in numbers]
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(PATIENCE, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            for number, handler in zip(numbers, handlers, strict=True):
                signal.signal(number, handler or signal.SIG_DFL)
