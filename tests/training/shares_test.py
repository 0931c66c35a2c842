import keras
import numpy as np
import pytest

from keras_lapgan.training.replicas import Sharing
from keras_lapgan.training.shares import shared

X = np.arange(23)


class Batches(keras.utils.PyDataset):
    def __init__(self, count=23, size=8):
        super().__init__()
        self.x = X[:count]
        self.size = size

    @property
    def num_batches(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, i):
        chosen = self.x[i * self.size : (i + 1) * self.size]
        return chosen, -chosen


def dataset(count=23, drop_remainder=False):
    tf = pytest.importorskip("tensorflow")
    x = tf.data.Dataset.from_tensor_slices((X[:count], -X[:count]))
    return x.batch(8, drop_remainder=drop_remainder)


def seen(batches):
    """The first members of `(x, -x)` batches, as lists."""
    if isinstance(batches, keras.utils.PyDataset):
        batches.on_epoch_begin()
        batches = [batches[i] for i in range(batches.num_batches)]
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in batches]
    assert all((x == -y).all() for x, y in pairs)
    return [x.tolist() for x, _ in pairs]


def process(number, parts=2):
    return Sharing(parts, 2, number, splits=True)


@pytest.mark.parametrize(
    "data",
    [
        lambda n: Batches(n),
        lambda n: dataset(n),
        lambda n: (Batches(n)[i] for i in range(Batches(n).num_batches)),
    ],
    ids=["py_dataset", "dataset", "generator"],
)
class TestStreams:
    def test_batches_become_even(self, data):
        found, y = shared(Sharing(2), data(23))
        assert y is None
        assert seen(found) == [[*range(8)], [*range(8, 16)], [*range(16, 22)]]

    def test_a_last_batch_of_too_few_is_left_out(self, data):
        found, _ = shared(Sharing(2), data(17))
        assert seen(found) == [[*range(8)], [*range(8, 16)]]

    def test_processes_take_halves(self, data):
        first, second = (
            seen(shared(process(i), data(23))[0]) for i in range(2)
        )
        assert first == [[0, 1, 2, 3], [8, 9, 10, 11], [16, 17, 18]]
        assert second == [[4, 5, 6, 7], [12, 13, 14, 15], [19, 20, 21]]

    def test_an_odd_batch_is_refused(self, data):
        with pytest.raises(ValueError, match="Received: a batch of 8"):
            # A generator shows its batches when it is asked.
            seen(shared(Sharing(3), data(23))[0])


def test_a_dataset_of_full_batches_keeps_its_length():
    given = dataset(drop_remainder=True)
    found, _ = shared(Sharing(2), given)
    assert int(found.cardinality()) == 2
    assert found.element_spec == given.element_spec


def test_arrays_stay_arrays_in_one_process():
    x, y = shared(Sharing(2), X, -X, batch_size=8)
    assert x.tolist() == [*range(22)]
    assert y.tolist() == (-x).tolist()
    (bands, conditions), y = shared(Sharing(4), (X, -X), None, batch_size=8)
    assert len(bands) == len(conditions) == 20
    assert y is None


@pytest.mark.parametrize("count, size", [(23, 7), (1, 8), (23, 0)])
def test_arrays_that_cannot_be_shared(count, size):
    with pytest.raises(ValueError, match="multiple of 2. Received: a batch"):
        shared(Sharing(2), X[:count], batch_size=size)


def test_processes_agree_on_the_order_of_arrays():
    found = [
        shared(process(i), X, -X, batch_size=8, shuffle=True, seed=3)[0]
        for i in range(2)
    ]
    orders = []
    for _ in range(2):
        first, second = (seen(batches) for batches in found)
        orders.append(
            sum((a + b for a, b in zip(first, second, strict=True)), [])
        )
    for order in orders:
        assert len(order) == len(set(order)) == 22
    assert orders[0] != orders[1]
    again, _ = shared(process(0), X, -X, batch_size=8, shuffle=True, seed=3)
    assert seen(again)[0] == orders[0][:4]
    # A run that goes on sees what it would have seen.
    later, _ = shared(
        process(0), X, -X, batch_size=8, shuffle=True, seed=3, epoch=1
    )
    assert seen(later)[0] == orders[1][:4]
