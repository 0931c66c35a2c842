import keras
import numpy as np
import pytest

from keras_lapgan.training.inputs import ImageSpec
from keras_lapgan.training.inputs import peek
from keras_lapgan.training.inputs import prepare
from keras_lapgan.training.inputs import split_batch

IMAGES = np.arange(4 * 8 * 8 * 3).reshape(4, 8, 8, 3).astype("uint8")
FLOATS = IMAGES.astype("float32")
LABELS = np.array([0, 1, 2, 0])


def spec(num_classes=0):
    return ImageSpec([(10, 10), (8, 8)], 3, num_classes)


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        FLOATS,
        FLOATS.astype("float64"),
        IMAGES.astype("int64"),
        np.zeros((2, 10, 10, 3), "uint8"),
        # One grey level only is no sign of another range.
        np.zeros((2, 8, 8, 3), "float32"),
    ],
)
def test_good_images(images):
    spec().check(images, None)


def bad_value(value):
    images = FLOATS.copy()
    images[1, 2, 3, 0] = value
    return images


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((4, 9, 9, 3)), r"\(batch, 10, 10, 3\) or \(batch, 8, 8, 3\)"),
        (np.zeros((4, 8, 8, 1)), r"Received: shape=\(4, 8, 8, 1\)"),
        (IMAGES.transpose(0, 3, 1, 2), r"Received: shape=\(4, 3, 8, 8\)"),
        (IMAGES[0], r"without a batch axis\? .*Received: shape=\(8, 8, 3\)"),
        (IMAGES.reshape(4, -1), r"Received: shape=\(4, 192\)"),
        (IMAGES[:0], "The data set is empty"),
        (bad_value(np.nan), "Received: 1 values that are NaN or infinite"),
        (bad_value(-np.inf), "Received: 1 values that are NaN or infinite"),
        (FLOATS / 255, r"`x \* 255`.*Received: values from 0 to 1"),
        (FLOATS / 127.5 - 1, r"`\(x \+ 1\) \* 127.5`.*values from -1 to 1"),
        (bad_value(-3), "Received: values from -3 to 255"),
        (bad_value(300), "Received: values from 0 to 300"),
        (IMAGES.astype("int32") * 2, r"Received: dtype=int32, values 0..510"),
        (IMAGES > 3, "Received: dtype=bool"),
    ],
)
def test_bad_images(images, message):
    with pytest.raises(ValueError, match=message):
        spec().check(images, None)


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], LABELS.astype("float32"), list(LABELS)]
)
def test_good_labels(labels):
    spec(3).check(IMAGES, labels)


@pytest.mark.parametrize(
    "labels, message",
    [
        (None, "class-conditional.*from 0 to 2.*Received: no labels"),
        (LABELS + 1, "from 0 to 2.*Received: labels from 1 to 3"),
        (LABELS - 1, "Received: labels from -1 to 1"),
        (np.eye(3)[LABELS], r"One-hot labels\? .*Received: shape=\(4, 3\)"),
        (LABELS[:3], r"of shape \(4,\). Received: shape=\(3,\)"),
        (LABELS + 0.5, "Received: dtype=float64 with fractions"),
        (LABELS * np.nan, "with fractions"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        spec(3).check(IMAGES, labels)


def test_labels_of_no_use_are_left_out():
    x, y = prepare(spec(), IMAGES, np.array(["a", "b", "c", "d"]))
    assert x is IMAGES and y is None


def test_batches_of_every_form():
    for batch in (
        (IMAGES, LABELS),
        [IMAGES, LABELS],
        {"image": IMAGES, "label": LABELS, "id": b"x"},
        ({"image": IMAGES, "label": LABELS},),
    ):
        images, labels = split_batch(batch)
        assert images is IMAGES and labels is LABELS
    for batch in (IMAGES, (IMAGES,), {"image": IMAGES}):
        images, labels = split_batch(batch)
        assert images is IMAGES and labels is None
    with pytest.raises(ValueError, match=r'have "image".*keys \[\'picture\'\]'):
        split_batch({"picture": IMAGES})


def test_arrays_lists_and_dicts():
    for x, y in (
        (IMAGES, LABELS),
        (list(IMAGES), list(LABELS)),
        (keras.ops.convert_to_tensor(IMAGES), LABELS),
        ({"image": IMAGES, "label": LABELS}, None),
    ):
        images, labels = prepare(spec(3), x, y)
        assert isinstance(images, np.ndarray) and isinstance(labels, np.ndarray)
        np.testing.assert_array_equal(images, IMAGES)
        np.testing.assert_array_equal(labels, LABELS)


def test_nothing_of_a_generator_is_lost():
    batches = ((IMAGES + i, LABELS) for i in range(3))
    x, y = prepare(spec(3), batches)
    assert y is None
    assert [int(images[0, 0, 0, 0]) for images, _ in x] == [0, 1, 2]


def test_keras_takes_what_comes_out_of_peek():
    import types

    for source in (iter([IMAGES, IMAGES]), (IMAGES for _ in range(2))):
        first, x = peek(source)
        assert first is IMAGES and isinstance(x, types.GeneratorType)


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def test_py_dataset():
    data = Batches([(IMAGES, LABELS)])
    x, y = prepare(spec(3), data)
    assert y is None and x.num_batches == 1
    assert x[0][0] is IMAGES
    with pytest.raises(ValueError, match="labels from 1 to 3"):
        prepare(spec(3), Batches([(IMAGES, LABELS + 1)]))


def test_later_batches_are_looked_at_too():
    bad = [(IMAGES, LABELS), (IMAGES, LABELS + 1)]
    for data in (Batches(bad), iter(bad)):
        x, _ = prepare(spec(3), data)
        with pytest.raises(ValueError, match="labels from 1 to 3"):
            for batch in x if iter(x) is x else (x[0], x[1]):
                assert len(batch) == 2


@pytest.mark.parametrize("empty", [Batches([]), iter([])])
def test_empty(empty):
    with pytest.raises(ValueError, match="The data set is empty"):
        prepare(spec(), empty)


def test_labels_beside_a_data_set():
    with pytest.raises(ValueError, match="brings its own labels.*iterator"):
        prepare(spec(3), iter([IMAGES]), LABELS)


def test_no_data():
    with pytest.raises(ValueError, match="needs images.*Received: x=None"):
        prepare(spec(), None)


class TestTFData:
    @pytest.fixture
    def tf(self):
        return pytest.importorskip("tensorflow")

    def data(self, tf, *values):
        return tf.data.Dataset.from_tensor_slices(*values)

    def test_pictures(self, tf):
        x, _ = prepare(spec(), self.data(tf, IMAGES).batch(2))
        batches = list(x)
        assert len(batches) == 2
        np.testing.assert_array_equal(batches[0], IMAGES[:2])

    def test_one_tuples(self, tf):
        x, _ = prepare(spec(), self.data(tf, (IMAGES,)).batch(2))
        np.testing.assert_array_equal(next(iter(x)), IMAGES[:2])

    @pytest.mark.parametrize("as_dict", [False, True])
    def test_labels(self, tf, as_dict):
        values = (IMAGES, LABELS)
        if as_dict:
            ids = np.array([b"a", b"b", b"c", b"d"])
            values = {"image": IMAGES, "label": LABELS, "id": ids}
        x, y = prepare(spec(3), self.data(tf, values).batch(2))
        assert y is None
        images, labels = next(iter(x))
        np.testing.assert_array_equal(images, IMAGES[:2])
        np.testing.assert_array_equal(labels, LABELS[:2])
        # Without classes the labels stay behind.
        x, _ = prepare(spec(), self.data(tf, values).batch(2))
        assert next(iter(x)).shape == (2, 8, 8, 3)

    def test_unbatched(self, tf):
        with pytest.raises(ValueError, match=r"`dataset.batch\(128\)`"):
            prepare(spec(), self.data(tf, IMAGES))
        with pytest.raises(ValueError, match=r"`dataset.batch\(128\)`"):
            prepare(spec(3), self.data(tf, (IMAGES, LABELS)))

    def test_wrong_size_is_seen_before_anything_is_read(self, tf):
        def explode():
            raise AssertionError("read")
            yield

        data = tf.data.Dataset.from_generator(
            explode,
            output_signature=tf.TensorSpec((None, 9, 9, 3), "uint8"),
        )
        with pytest.raises(ValueError, match=r"shape=\(None, 9, 9, 3\)"):
            prepare(spec(), data)

    def test_bad_values(self, tf):
        with pytest.raises(ValueError, match="values from 0 to 1"):
            prepare(spec(), self.data(tf, FLOATS / 255).batch(2))
        with pytest.raises(ValueError, match="The data set is empty"):
            prepare(spec(), self.data(tf, IMAGES).batch(2).take(0))
