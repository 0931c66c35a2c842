"""Checks what a user gives to `fit`, before any time is spent on it."""

import keras
import numpy as np


class ImageSpec:
    """What pictures a model takes.

    Args:
        sizes: list of `(height, width)` that are taken.
        channels: int.
        num_classes: int. 0 if the model is unconditional.
    """

    def __init__(self, sizes, channels, num_classes):
        self.sizes = list(dict.fromkeys(sizes))
        self.channels = channels
        self.num_classes = num_classes

    def _expected(self):
        sizes = " or ".join(
            f"(batch, {h}, {w}, {self.channels})" for h, w in self.sizes
        )
        return f"Expected images of shape {sizes}, uint8 or float 0..255."

    def check_shape(self, shape):
        """Raises ValueError unless `shape` is one of a batch of images."""
        shape = tuple(shape)
        if len(shape) == 3:
            raise ValueError(
                f"{self._expected()} One picture without a batch axis? Call "
                f"`dataset.batch(128)`. Received: shape={shape}"
            )
        if len(shape) != 4 or (
            tuple(shape[1:3]) not in self.sizes or shape[3] != self.channels
        ):
            raise ValueError(f"{self._expected()} Received: shape={shape}")

    def check(self, images, labels):
        """Raises ValueError unless these arrays can be trained on."""
        images = as_array(images)
        self.check_shape(images.shape)
        if not len(images):
            raise ValueError(
                "The data set is empty: there is no picture to train on. "
                f"Received: shape={images.shape}"
            )
        if images.dtype.kind == "f":
            self._check_floats(images)
        elif images.dtype != "uint8" and (
            images.dtype.kind not in "iu"
            or images.min() < 0
            or images.max() > 255
        ):
            raise ValueError(
                f"{self._expected()} Received: dtype={images.dtype}, values "
                f"{images.min()}..{images.max()}"
            )
        self._check_labels(labels, len(images))

    def _check_floats(self, images):
        low, high = float(images.min()), float(images.max())
        if not np.isfinite([low, high]).all():
            bad = np.count_nonzero(~np.isfinite(images))
            raise ValueError(
                f"Images must be finite numbers. Received: {bad} values that "
                f"are NaN or infinite among {images.size}"
            )
        seen = f"Received: values from {low:.4g} to {high:.4g}"
        if high != low and high <= 1.0:
            scale = "x * 255" if low >= 0 else "(x + 1) * 127.5"
            raise ValueError(
                f"{self._expected()} These look like another range; rescale "
                f"them, `{scale}`: the model normalises by itself. {seen}"
            )
        if low < 0 or high > 255:
            raise ValueError(f"{self._expected()} {seen}")

    def _check_labels(self, labels, count):
        if not self.num_classes:
            return
        wanted = f"integers from 0 to {self.num_classes - 1}"
        if labels is None:
            raise ValueError(
                "This model is class-conditional: give it labels too, "
                f"{wanted}, as `fit(images, labels)` or a data set of "
                "`(images, labels)`. Received: no labels"
            )
        labels = as_array(labels)
        if labels.shape not in ((count,), (count, 1)):
            hint = ""
            if labels.shape == (count, self.num_classes):
                hint = " One-hot labels? Pass `labels.argmax(axis=-1)`."
            raise ValueError(
                f"Labels must be {wanted}, of shape ({count},).{hint} "
                f"Received: shape={labels.shape}"
            )
        if labels.dtype.kind == "f" and not (labels == labels.round()).all():
            raise ValueError(
                f"Labels must be {wanted}. Received: dtype={labels.dtype} "
                "with fractions"
            )
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(
                f"Labels must be {wanted}. Received: labels from "
                f"{labels.min()} to {labels.max()}"
            )


def split_batch(data):
    """Takes `(images, labels or None)` out of any batch that `fit` accepts.

    Args:
        data: images; `(images,)`; `(images, labels)`; or an item of TFDS, a
            dict with `"image"` and maybe `"label"`.
    """
    if isinstance(data, dict):
        if "image" not in data:
            raise ValueError(
                'A dict item must have "image" and may have "label". '
                f"Received: keys {sorted(data)}"
            )
        return data["image"], data.get("label")
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(images, dict):
        return split_batch(images)
    return images, labels


def prepare(spec, x, y=None):
    """Checks the data for `fit` and brings it into a form Keras takes.

    Arrays are checked whole before training; of a stream, the first batch
    then and each other one when it comes.

    Args:
        spec: `ImageSpec`.
        x: arrays, `tf.data.Dataset`, `keras.utils.PyDataset`, torch
            `DataLoader` or generator of batches.
        y: labels, only beside an array.

    Returns:
        `(x, y)`.
    """
    if x is None:
        raise ValueError(
            "`fit` needs images: an array, a `tf.data.Dataset` or a "
            "`keras.utils.PyDataset`. Received: x=None"
        )
    if isinstance(x, dict) and y is None:
        # All of a TFDS split at once, as `batch_size=-1` gives it.
        x, y = split_batch(x)
    if is_array(x):
        x = as_array(x)
        spec.check(x, y)
        return x, as_array(y) if spec.num_classes else None
    if y is not None:
        raise ValueError(
            "A data set brings its own labels: `y` goes with arrays only. "
            f"Received: x of type {type(x).__name__} and y"
        )
    if hasattr(x, "element_spec"):
        x = _plain_items(spec, x)
    first, x = peek(x)
    spec.check(*split_batch(first))
    if isinstance(x, keras.utils.PyDataset):
        looked_at = getattr(x, "checked", False)
        return (x if looked_at else _Checked(spec, x)), None
    if iter(x) is x:
        x = _checked_tuples(spec, x)
    return x, None


def _checked_tuples(spec, batches):
    # Of a generator Keras takes tuples alone.
    for batch in batches:
        images, labels = split_batch(batch)
        spec.check(images, labels)
        yield (images,) if labels is None else (images, labels)


class _Checked(keras.utils.PyDataset):
    """A `PyDataset` whose batches are looked at as they come."""

    def __init__(self, spec, batches):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self.spec = spec
        self.batches = batches

    @property
    def num_batches(self):
        return self.batches.num_batches

    def __getitem__(self, index):
        batch = self.batches[index]
        self.spec.check(*split_batch(batch))
        return batch

    def on_epoch_begin(self):
        self.batches.on_epoch_begin()

    def on_epoch_end(self):
        self.batches.on_epoch_end()


def _plain_items(spec, dataset):
    """A `tf.data.Dataset` of `(images, labels)` or images, batched."""
    element = dataset.element_spec
    images, labels = split_batch(element)
    if images.shape.rank is not None:
        spec.check_shape(images.shape)
    with_labels = spec.num_classes and labels is not None

    def plain(*item):
        import tensorflow as tf

        images, labels = split_batch(item[0] if len(item) == 1 else item)
        if images.dtype.is_floating:
            images = tf.debugging.check_numerics(
                images, "Images must be finite numbers."
            )
        if not with_labels:
            # Other fields of a TFDS item, such as "id", are strings, which
            # no accelerator takes.
            return images
        labels = tf.cast(labels, "int32")
        message = f"Labels must be integers from 0 to {spec.num_classes - 1}."
        inside = tf.logical_and(labels >= 0, labels < spec.num_classes)
        with tf.control_dependencies(
            [tf.debugging.Assert(tf.reduce_all(inside), [message, labels])]
        ):
            return images, tf.identity(labels)

    return dataset.map(plain)


def peek(x):
    """Returns the first batch of `x`, and `x` with nothing missing."""
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches == 0:
            raise ValueError(
                f"The data set is empty. Received: {type(x).__name__} of "
                "0 batches"
            )
        return x[0], x
    iterator = iter(x)
    first = next(iterator, None)
    if first is None:
        raise ValueError(
            f"The data set is empty. Received: {type(x).__name__} without "
            "a batch"
        )
    if iterator is x:
        x = _rejoined([first], iterator)
    return first, x


def take(batches, count):
    """Returns a generator's first batches, and it with nothing missing.

    Args:
        batches: generator of batches.
        count: int. Read batches until they hold so many pictures.
    """
    taken = []
    seen = 0
    for batch in batches:
        taken.append(batch)
        seen += len(split_batch(batch)[0])
        if seen >= count:
            break
    return taken, _rejoined(taken, batches)


def _rejoined(first, rest):
    # Keras takes generators, but no `itertools.chain`.
    yield from first
    yield from rest


def is_array(x):
    return hasattr(x, "__array__") or isinstance(x, list)


def as_array(x):
    return x if isinstance(x, np.ndarray) else keras.ops.convert_to_numpy(x)
