import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.parallel import num_threads


class ImageBatches(keras.utils.PyDataset):
    """Batches of pictures for `fit` and `evaluate`, on every backend.

    With `shuffle=True` the pictures are an endless sequence of permutations
    of the source, cut into full batches whether or not one ends in a
    permutation's end. So batch `i` of epoch `e` is a function of `seed` and
    of the step `e * len(batches) + i` alone: a run that is resumed sees what
    an uninterrupted one would have seen. `LAPGAN.fit` sets `batches.epoch` as
    each epoch begins; with another model a callback must.

    With `shuffle=False` the source is read in order, once, and the last batch
    may be smaller.

    A batch is `images` (uint8, `(batch_size, height, width, 3)`), or
    `(images, labels)` with int32 labels of shape `(batch_size,)`.

    `fit` needs `shuffle=False`, which `LAPGAN.fit` sees to, as Keras shuffles
    the batches of a `PyDataset` by default, and no `steps_per_epoch`: pass
    `steps` here.

    Args:
        source: `keras_lapgan.datasets.ImageSource`. The pictures.
        batch_size: int. Pictures in a batch.
        steps: int, or None. Batches in an epoch; None takes as many as the
            source fills. Defaults to `None`.
        seed: int. Chooses the permutations. Defaults to `0`.
        shuffle: bool. Defaults to `True`.
        with_labels: bool, or None. Whether batches have labels; None gives
            them if the source has some. Defaults to `None`.
        workers: int, or None. How many batches to come are prepared at once,
            if the source is not in memory; one more waits, ready. 0 prepares
            each when it is asked for; None takes one a core, up to 8.
            Defaults to `None`.

    Example:

    ```python
    import numpy as np
    from keras_lapgan.datasets import ImageBatches, ImageSource

    source = ImageSource(np.zeros((100, 32, 32, 3), "uint8"))
    batches = ImageBatches(source, batch_size=16, seed=1)
    len(batches)  # 6
    batches[0].shape  # (16, 32, 32, 3)
    ```
    """

    #: All pictures and labels were looked at when they were read, and need
    #: no second look by `fit`.
    checked = True

    def __init__(
        self,
        source,
        batch_size,
        *,
        steps=None,
        seed=0,
        shuffle=True,
        with_labels=None,
        workers=None,
    ):
        # Keras' own workers read the next epoch's batches before that epoch
        # begins, and hand left-over ones to the next run; so this class has
        # threads of its own and Keras asks for one batch after the other.
        super().__init__(workers=1)
        workers = min(num_threads(), 8) if workers is None else workers
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("steps", 1 if steps is None else steps, 1),
            ("seed", seed, 0),
            ("workers", workers, 0),
        ):
            if not hasattr(value, "__index__") or value < least:
                raise ValueError(
                    f"{name} is an int of at least {least}. Received: "
                    f"{name}={value!r}"
                )
        self.source = source
        self.batch_size = int(batch_size)
        self.steps = steps
        self.seed = int(seed)
        self.shuffle = shuffle
        has_labels = source.labels is not None
        if with_labels and not has_labels:
            raise DataError(
                "The model is trained with classes, but the pictures have no "
                "labels: expected one folder a class, or a data set with "
                f"labels. Received: {source.name}"
            )
        self.with_labels = has_labels if with_labels is None else with_labels
        self.num_threads = 0 if source.cached else int(workers)
        if shuffle:
            if self.batch_size > len(source):
                raise DataError(
                    f"A batch is at most the whole data set, {len(source)} "
                    f"pictures in {source.name}. Received: "
                    f"batch_size={batch_size}"
                )
            self._length = steps or len(source) // self.batch_size
        else:
            self._length = -(-len(source) // self.batch_size)
            if steps is not None:
                self._length = min(self._length, int(steps))
        self._epoch = 0
        self._skip = 0
        self._permutations = {}
        self._pending = {}
        self._pool = None
        self._lock = threading.Lock()
        self._permutations_lock = threading.Lock()

    def __len__(self):
        return self._length - self._skip

    @property
    def epoch(self):
        """int. The epoch that the next batches are from; can be set."""
        return self._epoch

    @epoch.setter
    def epoch(self, value):
        if not hasattr(value, "__index__") or value < 0:
            raise ValueError(
                f"epoch is an int of at least 0. Received: epoch={value!r}"
            )
        self._epoch = int(value)

    @property
    def skip(self):
        """int. Batches of the epoch that a resumed run has behind it."""
        return self._skip

    @skip.setter
    def skip(self, value):
        if not hasattr(value, "__index__") or not 0 <= value < self._length:
            raise ValueError(
                f"skip is an int from 0 to {self._length - 1}. Received: "
                f"skip={value!r}"
            )
        self._skip = int(value)

    def indices(self, step):
        """Positions in the source of the pictures of a batch.

        Args:
            step: int. Number of the batch, counted over all epochs if they
                are shuffled.

        Returns:
            An int64 array.
        """
        start = step * self.batch_size
        total = len(self.source)
        if not self.shuffle:
            return np.arange(start, min(start + self.batch_size, total))
        parts = []
        stop = start + self.batch_size
        while start < stop:
            number, offset = divmod(start, total)
            part = self._permutation(number)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return np.concatenate(parts)

    def _permutation(self, number):
        # One thread draws it and the others wait: it can be large.
        with self._permutations_lock:
            found = self._permutations.get(number)
            if found is None:
                bits = np.random.Philox(
                    key=np.array([self.seed % 2**64, number], np.uint64)
                )
                generator = np.random.Generator(bits)
                found = generator.permutation(len(self.source))
                self._permutations[number] = found
                # A batch lies in two neighbours at most.
                for other in list(self._permutations):
                    if abs(other - number) > 1:
                        del self._permutations[other]
            return found

    def _batch(self, step):
        indices = self.indices(step)
        images = self.source.read(indices)
        if not self.with_labels:
            return images
        return images, self.source.labels[indices]

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(
                f"There are {len(self)} batches. Received: index={index}"
            )
        step = index + self._skip
        if self.shuffle:
            step += self._epoch * self._length
        batch = self._prefetched(step) if self.num_threads else None
        if batch is None:
            batch = self._batch(step)
        return batch

    def _prefetched(self, step):
        """The batch of a step if it was under way; starts those to come."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    self.num_threads, thread_name_prefix="image_batches"
                )
            future = self._pending.pop(step, None)
            last = step + self.num_threads + 1
            if not self.shuffle:
                last = min(last, self._length - 1)
            ahead = range(step + 1, last + 1)
            for other in list(self._pending):
                if other not in ahead:
                    self._pending.pop(other).cancel()
            for other in ahead:
                if other not in self._pending:
                    self._pending[other] = self._pool.submit(self._batch, other)
        return None if future is None else future.result()

    def __del__(self):
        pool = getattr(self, "_pool", None)
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
