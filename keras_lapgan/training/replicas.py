"""Several devices, one step: the only code that knows how they share it.

Under a strategy of `tf.distribute` a step runs once on every replica, each
with its part of the batch, and has to say what is summed and what differs. A
`keras.distribution` of JAX splits one step over devices by itself: there is a
single replica, and only the batch must be cut evenly.
"""

import contextlib
from typing import NamedTuple

import keras

#: What of Keras' optimizers sums gradients over the replicas of TensorFlow.
_SUM = "_all_reduce_sum_gradients"


class Sharing(NamedTuple):
    """How a model's batches are shared out.

    Attributes:
        parts: int. Devices that take a part of each batch, in all processes.
        processes: int.
        process: int. The number of this one; 0 is the chief.
        splits: bool. Whether each process takes its own part of a batch by
            itself; else the engine sees to it.
    """

    parts: int = 1
    processes: int = 1
    process: int = 0
    splits: bool = False


def sharing_of(model):
    """Returns the `Sharing` of a model.

    Raises:
        ValueError: a strategy that cannot train it, or another one than the
            model was made under; a Keras that is not known.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _sharing_of_strategy(model)
    distribution = keras.distribution.distribution()
    if backend == "torch" or distribution is None:
        return Sharing()
    if not isinstance(distribution, keras.distribution.DataParallel):
        raise ValueError(
            "keras-lapgan shares out data, not models: use "
            "`keras.distribution.DataParallel`. "
            f"Received: {type(distribution).__name__}"
        )
    import jax

    processes = distribution.num_processes
    return Sharing(
        distribution.num_model_replicas,
        processes,
        jax.process_index(),
        splits=processes > 1,
    )


def _sharing_of_strategy(model):
    import tensorflow as tf

    strategy = model.distribute_strategy
    current = tf.distribute.get_strategy()
    if isinstance(
        strategy,
        (
            tf.distribute.ParameterServerStrategy,
            tf.distribute.TPUStrategy,
            tf.distribute.experimental.CentralStorageStrategy,
        ),
    ):
        raise ValueError(
            "keras-lapgan trains under `tf.distribute.MirroredStrategy` and "
            "`tf.distribute.MultiWorkerMirroredStrategy`. "
            f"Received: {type(strategy).__name__}"
        )
    made_inside = strategy.extended.variable_created_in_scope
    if not made_inside(model.variables[0].value) or (
        tf.distribute.has_strategy() and current is not strategy
    ):
        raise ValueError(
            "A model trains under the strategy that it was made under: make "
            "and compile it inside `with strategy.scope():`. "
            f"Received: {type(current).__name__}"
        )
    parts = strategy.num_replicas_in_sync
    if parts > 1 and not hasattr(keras.optimizers.Optimizer, _SUM):
        raise ValueError(
            "This version of Keras sums gradients in another way than "
            "keras-lapgan knows. Train on one device, or with another "
            f"version. Received: keras {keras.__version__}"
        )
    if not _has_workers(strategy):
        return Sharing(parts)
    resolver = strategy.cluster_resolver
    process = resolver.task_id
    if resolver.task_type == "worker" and (
        "chief" in resolver.cluster_spec().jobs
    ):
        process += 1
    return Sharing(
        parts, parts // len(strategy.extended.worker_devices), process
    )


def _has_workers(strategy):
    """Whether a `tf.distribute.Strategy` is one of several processes."""
    import tensorflow as tf

    return isinstance(
        strategy, tf.distribute.MultiWorkerMirroredStrategy
    ) and strategy.num_replicas_in_sync > len(strategy.extended.worker_devices)


@contextlib.contextmanager
def own_data(sharing):
    """Tells Keras that each process brings its own part of a batch."""
    if not sharing.splits:
        yield
        return
    distribution = keras.distribution.distribution()
    before = distribution.auto_shard_dataset
    distribution.auto_shard_dataset = False
    try:
        yield
    finally:
        distribution.auto_shard_dataset = before


# === Inside a step ===


def _strategy():
    """The `tf.distribute.Strategy` if it has several replicas, or None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    return strategy if strategy.num_replicas_in_sync > 1 else None


def has_replicas():
    """Whether what is built now will run on several replicas."""
    return _strategy() is not None


def replica_number():
    """Returns the number of the replica that runs this.

    0 where there is one; else an int32 scalar tensor.
    """
    if _strategy() is None:
        return 0
    import tensorflow as tf

    return tf.distribute.get_replica_context().replica_id_in_sync_group


def share_of_loss(loss):
    """What a replica's mean loss adds to that of the whole batch."""
    strategy = _strategy()
    return loss if strategy is None else loss / strategy.num_replicas_in_sync


def summed(gradients):
    """Returns each gradient summed over all replicas; None stays None."""
    if _strategy() is None:
        return gradients
    import tensorflow as tf

    known = [g for g in gradients if g is not None]
    if known:
        known = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, known
        )
    known = iter(known)
    return [None if g is None else next(known) for g in gradients]


def takes_summed(optimizer):
    """Tells `optimizer` that its gradients have been summed.

    By itself it would sum them after it has clipped each replica's own, and
    tell nobody.
    """
    if _strategy() is None:
        return
    setattr(optimizer, _SUM, list)


def update(function, variables, *others):
    """Calls `function(variable, *other)` for each, on every replica's copy.

    For changes that all replicas make alike.

    Args:
        function: callable that assigns to its first argument.
        variables: list of `keras.Variable`.
        *others: as many of what else `function` takes: variables, tensors or
            Python values.
    """
    if _strategy() is None:
        for each in zip(variables, *others, strict=True):
            function(*each)
        return
    import tensorflow as tf

    def everywhere(strategy, *columns):
        for variable, *other in zip(*columns, strict=True):
            strategy.extended.update(
                variable, function, args=tuple(other), group=False
            )

    def native(x):
        return x.value if isinstance(x, keras.Variable) else x

    columns = [[native(x) for x in column] for column in (variables, *others)]
    tf.distribute.get_replica_context().merge_call(everywhere, args=columns)


def logged(value):
    """A scalar of the logs in the shape in which Keras takes its mean.

    Over several workers Keras 3.15 takes it along a first axis.
    """
    strategy = _strategy()
    if strategy is None or not _has_workers(strategy):
        return value
    return keras.ops.reshape(value, (1,))
