"""Data in equal parts: what `fit` hands to several devices."""

import keras
import numpy as np


def shared(sharing, x, y=None, batch_size=None, shuffle=False, seed=0, epoch=0):
    """Cuts each batch to a multiple of the devices that share it.

    So up to `sharing.parts - 1` pictures are left out of a last batch that is
    short. Every process has to be given the same data in the same order: the
    same arrays, a `PyDataset` such as `ImageBatches`, a `tf.data.Dataset` that
    is shuffled with a seed.

    Args:
        sharing: `Sharing` of the model.
        x: what `keras.Model.fit` takes: an array or a tuple of them,
            `tf.data.Dataset`, `keras.utils.PyDataset` or generator.
        y: array beside arrays, or None.
        batch_size: int or None. Beside arrays; None is 32.
        shuffle: bool. Whether arrays get shuffled. Defaults to False.
        seed: int. Of their order, over several processes. Defaults to 0.
        epoch: int. The first, of whose number and the seed the order is a
            function. Defaults to 0.

    Returns:
        `(x, y)`. Over several processes arrays become a `PyDataset`.

    Raises:
        ValueError: batches that have no equal parts.
    """
    parts = sharing.parts
    if hasattr(x, "element_spec"):
        return _shared_dataset(sharing, x), y
    if isinstance(x, keras.utils.PyDataset):
        return _Parts(sharing, x), y
    if hasattr(x, "__next__"):
        return _shared_batches(sharing, x), y
    arrays = _each(np.asarray, (x, y))
    count = _length(arrays)
    batch_size = 32 if batch_size is None else batch_size
    _check_size(batch_size, parts)
    _check_size(count - count % parts, parts)
    if sharing.processes > 1:
        seed = seed if shuffle else None
        batches = _ArrayBatches(arrays, batch_size, seed, epoch)
        return _Parts(sharing, batches), None
    return _each(lambda a: a[: count - count % parts], arrays)


def _check_size(size, parts):
    if size % parts or not size:
        raise ValueError(
            f"{parts} devices share each batch in equal parts, so its size "
            f"must be a multiple of {parts}. Received: a batch of {size}"
        )


def _each(function, batch):
    return keras.tree.map_structure(
        lambda x: None if x is None else function(x), batch
    )


def _length(batch):
    return len(keras.tree.flatten(batch)[0])


def _bounds(sharing, count):
    """Where this process' part of a batch of `count` begins and ends."""
    count = count - count % sharing.parts
    if not sharing.splits:
        return 0, count
    own = count // sharing.processes
    return sharing.process * own, (sharing.process + 1) * own


def _part(sharing, batch):
    start, stop = _bounds(sharing, _length(batch))
    return _each(lambda x: x[start:stop], batch)


def _shared_batches(sharing, batches):
    for i, batch in enumerate(batches):
        if i == 0:
            _check_size(_length(batch), sharing.parts)
        if _length(batch) >= sharing.parts:
            yield _part(sharing, batch)


def _shared_dataset(sharing, dataset):
    import tensorflow as tf

    size = keras.tree.flatten(dataset.element_spec)[0].shape[0]
    is_known = size is not None
    if not is_known:
        size = _length(next(iter(dataset)))
    _check_size(size, sharing.parts)
    if sharing.splits or not is_known:

        def part(*batch):
            count = size if is_known else tf.shape(tf.nest.flatten(batch)[0])[0]
            start, stop = _bounds(sharing, count)
            batch = tf.nest.map_structure(lambda x: x[start:stop], batch)
            return batch if len(batch) > 1 else batch[0]

        dataset = dataset.map(part)
    if not is_known:
        dataset = dataset.filter(
            lambda *batch: tf.shape(tf.nest.flatten(batch)[0])[0] > 0
        )
    sharding = tf.data.experimental.AutoShardPolicy
    if (
        dataset.options().experimental_distribute.auto_shard_policy
        == sharding.AUTO
    ):
        # A file a worker would be batches that end at other steps.
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = sharding.DATA
        dataset = dataset.with_options(options)
    return dataset


class _Parts(keras.utils.PyDataset):
    """A `PyDataset` of which each process takes its part."""

    def __init__(self, sharing, batches):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self.sharing = sharing
        self.batches = batches
        count = batches.num_batches
        _check_size(_length(batches[0]), sharing.parts)
        is_short = count and _length(batches[count - 1]) < sharing.parts
        self._left_out = int(bool(is_short))

    @property
    def num_batches(self):
        count = self.batches.num_batches
        return count if count is None else count - self._left_out

    def __getitem__(self, index):
        return _part(self.sharing, self.batches[index])

    def on_epoch_begin(self):
        self.batches.on_epoch_begin()

    def on_epoch_end(self):
        self.batches.on_epoch_end()


class _ArrayBatches(keras.utils.PyDataset):
    """Batches of arrays in an order that all processes agree on.

    Args:
        arrays: nest of arrays, `(x, y)`.
        batch_size: int.
        seed: int, or None to keep the arrays' order.
        epoch: int. The first.
    """

    def __init__(self, arrays, batch_size, seed, epoch):
        super().__init__()
        self.arrays = arrays
        self.batch_size = batch_size
        self.seed = seed
        self._epoch = epoch - 1
        self._order = np.arange(_length(arrays))

    @property
    def num_batches(self):
        return -(-len(self._order) // self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        chosen = self._order[start : start + self.batch_size]
        x, y = _each(lambda a: a[chosen], self.arrays)
        return (x,) if y is None else (x, y)

    def on_epoch_begin(self):
        self._epoch += 1
        if self.seed is not None:
            rng = np.random.default_rng([self.seed, self._epoch])
            self._order = rng.permutation(len(self._order))
