import threading
import time

import keras
import numpy as np
import pytest

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import ImageBatches
from keras_lapgan.datasets import ImageSource


class OnDemand:
    """Pictures whose value is their index, read as files are."""

    def __init__(self, n):
        self.shape = (n, 2, 2, 3)
        self.threads = set()

    def read(self, indices):
        self.threads.add(threading.current_thread().name)
        images = np.zeros((len(indices), *self.shape[1:]), np.uint8)
        return images + np.asarray(indices, np.uint8)[:, None, None, None]


def make_source(n=22, labels=False, on_demand=False):
    images = OnDemand(n)
    return ImageSource(
        images if on_demand else images.read(range(n)),
        labels=np.arange(n) if labels else None,
    )


def expected_stream(seed, n, batches, batch_size):
    stream, p = [], 0
    while len(stream) < batches * batch_size:
        key = np.array([seed, p], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        stream.extend(generator.permutation(n).tolist())
        p += 1
    return np.reshape(stream[: batches * batch_size], (batches, batch_size))


def values(images):
    return np.asarray(images)[:, 0, 0, 0].astype(int).tolist()


class Recorder(keras.Model):
    """Writes down, in its weights, the pictures that each step is given."""

    def __init__(self, steps, batch_size):
        super().__init__()
        self.seen = self.add_weight(
            shape=(steps, batch_size), initializer="zeros", trainable=False
        )
        self.step = self.add_weight(
            shape=(), initializer="zeros", trainable=False, dtype="int32"
        )
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.built = True

    def call(self, images):
        row = keras.ops.cast(images[:, 0, 0, 0], "float32")
        seen = keras.ops.convert_to_tensor(self.seen)
        here = keras.ops.arange(seen.shape[0]) == self.step
        self.seen.assign(keras.ops.where(here[:, None], row[None], seen))
        self.step.assign(self.step + 1)
        return keras.ops.mean(row)[None] * self.scale

    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        return keras.ops.mean(y_pred) * 0.0


def fit(batches, epochs, initial_epoch=0, calls=1):
    model = Recorder(len(batches) * epochs, batches.batch_size)
    model.compile("sgd")
    for call in range(calls):
        model.fit(
            batches,
            epochs=epochs // calls * (call + 1),
            initial_epoch=initial_epoch + epochs // calls * call,
            shuffle=False,
            verbose=0,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, logs: setattr(
                        batches, "epoch", epoch
                    )
                )
            ],
        )
    return keras.ops.convert_to_numpy(model.seen).astype(int)


@pytest.mark.parametrize("on_demand", [False, True])
@pytest.mark.parametrize("steps", [None, 1, 2, 7])
def test_order_in_fit(on_demand, steps):
    source = make_source(on_demand=on_demand)
    batches = ImageBatches(source, 4, steps=steps, seed=3, workers=2)
    assert len(batches) == (steps or 5)
    n = len(batches)
    expected = expected_stream(3, 22, 3 * n, 4)
    np.testing.assert_array_equal(fit(batches, 3), expected)
    if on_demand:
        names = source.images.threads
        assert any(name.startswith("image_batches") for name in names)


@pytest.mark.parametrize("on_demand", [False, True])
def test_order_when_resumed(on_demand):
    expected = expected_stream(0, 22, 15, 4)
    batches = ImageBatches(make_source(on_demand=on_demand), 4)
    seen = fit(batches, 3, initial_epoch=1)
    np.testing.assert_array_equal(seen[:10], expected[5:])


def test_order_over_several_fits():
    batches = ImageBatches(make_source(on_demand=True), 4)
    expected = expected_stream(0, 22, 10, 4)
    np.testing.assert_array_equal(fit(batches, 2, calls=2), expected)


def test_the_rest_of_an_epoch():
    batches = ImageBatches(make_source(), 4)
    batches.epoch, batches.skip = 1, 2
    assert len(batches) == 3
    expected = expected_stream(0, 22, 10, 4)[7:]
    got = [values(batches[i]) for i in range(3)]
    np.testing.assert_array_equal(got, expected)
    with pytest.raises(ValueError, match="skip=5"):
        batches.skip = 5


def test_labels_and_keras_training():
    source = make_source(labels=True)
    images, labels = ImageBatches(source, 6)[1]
    assert labels.dtype == np.int32 and images.dtype == np.uint8
    assert values(images) == labels.tolist()
    assert isinstance(ImageBatches(source, 6, with_labels=False)[0], np.ndarray)
    with pytest.raises(DataError, match="have no labels"):
        ImageBatches(make_source(), 6, with_labels=True)

    model = keras.Sequential(
        [
            keras.layers.Input((2, 2, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(22),
        ]
    )
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    batches = ImageBatches(source, 6, shuffle=False)
    results = model.evaluate(batches, verbose=0)
    whole = model.evaluate(
        source.read(range(22)), source.labels, batch_size=22, verbose=0
    )
    np.testing.assert_allclose(results, whole, rtol=1e-4)


def test_unshuffled_reads_all_once_in_order():
    for on_demand in (False, True):
        batches = ImageBatches(
            make_source(on_demand=on_demand), 8, shuffle=False
        )
        assert [len(batch) for batch in batches] == [8, 8, 6]
        assert sum((values(batch) for batch in batches), []) == list(range(22))
        with pytest.raises(IndexError):
            batches[3]
    assert len(ImageBatches(make_source(), 100, shuffle=False)) == 1


def test_any_order_of_asking_gives_the_same_batch():
    batches = ImageBatches(make_source(on_demand=True), 4, steps=30)
    expected = expected_stream(0, 22, 30, 4)
    for index in (29, 0, 1, 7, 6, 29, 2):
        assert values(batches[index]) == expected[index].tolist()


@pytest.mark.parametrize("workers", [1, 3])
def test_few_batches_are_read_ahead(workers):
    source = make_source(on_demand=True)
    read = []
    source.images.read = lambda rows: (
        read.append(rows) or np.zeros((len(rows), 2, 2, 3), np.uint8)
    )
    batches = ImageBatches(source, 4, steps=1000, workers=workers)
    for i in range(20):
        batches[i]
        deadline = time.monotonic() + 10
        while len(read) < i + workers + 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        # The one asked for, one a worker, and one that waits.
        assert len(read) == i + workers + 2


def test_a_permutation_is_drawn_once(monkeypatch):
    drawn = []
    generator = np.random.Generator

    class Slow(generator):
        def permutation(self, n):
            drawn.append(n)
            time.sleep(0.05)
            return super().permutation(n)

    monkeypatch.setattr(np.random, "Generator", Slow)
    batches = ImageBatches(make_source(on_demand=True), 4, workers=4)
    for index in range(5):
        batches[index]
    batches._pool.shutdown()
    # Five batches lie in the first two permutations, those ahead in the third.
    assert len(drawn) <= 3


def test_seeds_differ():
    first, second = (
        ImageBatches(make_source(), 20, seed=seed)[0] for seed in (0, 1)
    )
    assert values(first) != values(second)


def test_an_error_in_a_thread_reaches_the_caller():
    class Failing(OnDemand):
        def read(self, indices):
            raise DataError("a picture cannot be used")

    batches = ImageBatches(ImageSource(Failing(22)), 4)
    for index in range(2):
        with pytest.raises(DataError, match="cannot be used"):
            batches[index]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 23}, "at most the whole data set, 22"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"batch_size": 4, "steps": 0}, "steps=0"),
        ({"batch_size": 4, "seed": -1}, "seed=-1"),
        ({"batch_size": 4, "workers": -1}, "workers=-1"),
    ],
)
def test_refuses(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ImageBatches(make_source(), **kwargs)
