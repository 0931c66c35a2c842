"""The processes that train one model: who they are, how they meet and leave.

TensorFlow's are told by `TF_CONFIG`, JAX's by the variables that
`keras.distribution.initialize` reads, both by Slurm's.
"""

import contextlib
import faulthandler
import json
import os
import re
import signal
import socket

import keras

#: Seconds that workers wait for each other to start.
PATIENCE = 600
#: Seconds after which JAX takes a worker for gone that says nothing.
HEARTBEAT = 30
_JAX = "KERAS_DISTRIBUTION_"
#: The variable of each backend that names several processes.
VARIABLES = {"tensorflow": "TF_CONFIG", "jax": f"{_JAX}NUM_PROCESSES"}
#: How the runtime's errors begin that may be of another worker that is gone.
_OF_OTHERS = re.compile(
    "(ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION|INTERNAL|"
    "UNAVAILABLE|UNKNOWN): "
)


def workers():
    """Returns how many there are, and the number of this one.

    Raises:
        ValueError: no, or strange, variables of the environment.
    """
    if keras.backend.backend() == "jax":
        return _jax_task()[:2]
    return _task(_config())


def are_several():
    """Whether variables that are nobody else's name several processes."""
    backend = keras.backend.backend()
    return (
        backend in VARIABLES
        and VARIABLES[backend] in os.environ
        and workers()[0] > 1
    )


def meet():
    """Waits until all processes are there.

    For `PATIENCE` seconds; then this one ends.

    Returns:
        On TensorFlow the `MultiWorkerMirroredStrategy`, else None.

    Raises:
        ValueError: the name of this machine has no address, on JAX.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        os.environ["TF_CONFIG"] = json.dumps(_config())
        with _patience():
            return tf.distribute.MultiWorkerMirroredStrategy()
    import jax

    count, number, address = _jax_task()
    with _patience():
        # Keras' own `initialize` takes no times.
        jax.distributed.initialize(
            address,
            count,
            number,
            initialization_timeout=2 * PATIENCE,
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    # Connects them.
    try:
        any_of(False)
    except RuntimeError as error:
        if has_address():
            raise
        raise ValueError(
            "--strategy multi-worker: JAX asks for the address of this "
            "machine's name, which has none; give it one, in /etc/hosts. "
            f"Received: {socket.gethostname()!r}"
        ) from error
    return None


def has_address():
    """Whether this machine's own name can be looked up."""
    try:
        return bool(socket.gethostbyname(socket.gethostname()))
    except OSError:
        return False


def leave():
    """Waits for the others, all of which end now.

    On JAX nobody may go before the rest; TensorFlow does not mind.
    """
    if keras.backend.backend() == "jax":
        import jax

        jax.distributed.shutdown()


def any_of(value):
    """Whether `value` is true in any process; all have to ask."""
    if keras.backend.backend() == "jax":
        import numpy as np
        from jax.experimental import multihost_utils

        each = multihost_utils.process_allgather(np.array(bool(value)))
        return bool(each.any())
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    each = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(float(value))
    )
    found = strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)
    return float(found) > 0


# === One that is gone ===


def is_of_others(error):
    """Whether an error may be of another process that is gone."""
    if keras.backend.backend() == "jax":
        import jax

        kinds = (jax.errors.JaxRuntimeError, ValueError)
        return isinstance(error, kinds) and bool(_OF_OTHERS.match(str(error)))
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


@contextlib.contextmanager
def on_abort(function):
    """Calls `function` where JAX would abort the process.

    A thread of its runtime does so once another process is gone, past
    Python's own handlers of signals. `function` has to end the process.
    """
    if keras.backend.backend() != "jax" or os.name != "posix":
        yield
        return
    import ctypes

    handler_type = ctypes.CFUNCTYPE(None, ctypes.c_int)
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    handler = handler_type(lambda number: function())
    address = ctypes.cast(handler, ctypes.c_void_p)
    before = libc.signal(signal.SIGABRT, address)
    try:
        yield
    finally:
        libc.signal(signal.SIGABRT, before)


# === The environment ===


def _jax_task():
    """How many processes, the number of this one, and where the first is.

    Of Slurm's tasks JAX finds the address by itself: None.
    """
    get = os.environ.get
    count, number, address = (
        get(_JAX + name)
        for name in ("NUM_PROCESSES", "PROCESS_ID", "JOB_ADDRESSES")
    )
    by_slurm = count is None and "SLURM_STEP_NODELIST" in os.environ
    if by_slurm:
        count, number = get("SLURM_NTASKS"), get("SLURM_PROCID")
    if count == "1":
        return 1, 0, None
    try:
        count, number = int(count), int(number)
        if not 0 <= number < count or not (by_slurm or ":" in address):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            "--strategy multi-worker: start each worker with srun, or with "
            f"{_JAX}JOB_ADDRESSES=host1:1234 (of worker 0), "
            f"{_JAX}NUM_PROCESSES=2 and {_JAX}PROCESS_ID=0 or 1. Received: "
            f"JOB_ADDRESSES={address!r}, NUM_PROCESSES={count!r}, "
            f"PROCESS_ID={number!r}"
        ) from None
    return count, number, None if by_slurm else address.split(",")[0]


def _config():
    """What `TF_CONFIG` says, or would say of the tasks of Slurm."""
    text = os.environ.get("TF_CONFIG")
    if text is None and "SLURM_STEP_NODELIST" in os.environ:
        return _config_of_slurm()
    try:
        config = json.loads(text or "")
        _task(config)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(
            "--strategy multi-worker: start each worker with srun, or with a "
            'TF_CONFIG such as {"cluster": {"worker": ["host1:1234", '
            '"host2:1234"]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: TF_CONFIG={text!r}"
        ) from None
    return config


def _task(config):
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

    TensorFlow waits for ever, and neither engine lets Python's threads or
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
