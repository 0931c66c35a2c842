import numpy as np
import pytest

from keras_lapgan.datasets.pictures import PictureError
from keras_lapgan.datasets.record_files import find
from keras_lapgan.datasets.record_files import interleaved


def message(*fields):
    """A protobuf message of `(number, bytes)` fields."""
    return b"".join(
        bytes([number << 3 | 2]) + varint(len(value)) + value
        for number, value in fields
    )


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def example(*features):
    entries = [
        (1, message((1, name), (2, feature))) for name, feature in features
    ]
    return message((1, message(*entries)))


def image(value):
    return b"image", message((1, message((1, value))))


def label(value, packed=True):
    number = varint(value % 2**64)
    value = message((1, number)) if packed else b"\x08" + number
    return b"label", message((3, value))


NOTE = b"note", message((1, message((1, bytes(range(256)) * 20))))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 70_000])
@pytest.mark.parametrize("number", [0, 9, 300, -1])
def test_find(number, size, packed):
    value = bytes(i % 251 for i in range(size))
    features = [image(value), NOTE, label(number, packed)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        record = example(*(features[i] for i in order))
        start, found, found_label = find(record, "image", "label")
        assert record[start : start + found] == value
        assert found_label == number
        assert find(record, "image") == (start, found, 0)


def test_find_as_tensorflow_writes():
    tf = pytest.importorskip("tensorflow")
    feature = {
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[-5])),
        "image": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[b"x" * 1000])
        ),
    }
    record = tf.train.Example(
        features=tf.train.Features(feature=feature)
    ).SerializeToString()
    start, size, number = find(record, "image", "label")
    assert record[start : start + size] == b"x" * 1000 and number == -5


def test_damage():
    record = example(image(b"x" * 50), label(3))
    for damaged in (b"", example(label(3)), example(image(b"x"))):
        with pytest.raises(PictureError, match="damaged"):
            find(damaged, "image", "label")
    for stop in range(len(record)):
        with pytest.raises(PictureError, match="damaged"):
            find(record[:stop], "image", "label")
    rng = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(record)
        damaged[rng.integers(len(record))] = rng.integers(256)
        try:
            start, size, _ = find(bytes(damaged), "image", "label")
        except PictureError:
            continue
        assert 0 <= start <= start + size <= len(record)


@pytest.mark.parametrize("files", [1, 2, 16, 17, 40])
def test_interleaved_is_the_order_of_tf_data(files):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(files)
    takes = rng.choice([1, 3, 15, 16, 17, 32, 33, 48, 100], files)
    firsts = np.concatenate([[0], np.cumsum(takes)[:-1]])
    dataset = tf.data.Dataset.from_tensor_slices((firsts, takes)).interleave(
        lambda first, take: tf.data.Dataset.range(first, first + take),
        cycle_length=16,
        block_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    assert interleaved(takes).tolist() == list(dataset.as_numpy_iterator())
