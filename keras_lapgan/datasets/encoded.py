"""Sets of encoded pictures: decoded once if they fit, else when read.

What holds them is a store: `len(store)`, `store.load(i)`, which gives the path
or the bytes of an image file, or raises `OSError` or `PictureError`, and
`store.name_of(i)`, its name in messages. A store can be pickled, is read from
many threads at once, and what `load` costs does not grow with its length.
"""

import threading
import warnings

import numpy as np

from keras_lapgan.datasets import pictures
from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.image_source import ImageSource
from keras_lapgan.datasets.parallel import BATCH_CHUNK
from keras_lapgan.datasets.parallel import are_short
from keras_lapgan.datasets.parallel import for_each
from keras_lapgan.datasets.parallel import for_each_of_batch


class EncodedPictures:
    """Pictures that are decoded when they are read.

    A picture that turns out to be broken is replaced, each time, by the next
    good one of its class, so that a long run does not end for one bad file.

    Args:
        store: store. Where they are.
        shape: tuple `(height, width, 3)`. Shape of all pictures.
        size: int, or None. Side to bring the pictures to.
        resize: str. `"crop"` or `"none"`.
        labels: int array, or None. Class of each picture.
        strict: bool. Whether a broken picture raises instead.
        skipped: list. Gets `(name, reason)` of each broken picture.
    """

    def __init__(self, store, shape, size, resize, labels, strict, skipped):
        self.store = store
        self.shape = (len(store), *shape)
        self.size = size
        self.resize = resize
        self.labels = labels
        self.strict = strict
        self.skipped = skipped
        self.broken = set()
        self._warned = False
        # Whether one thread decodes faster than several, once this is known;
        # then batches take turns.
        self._short = None
        self._turn = threading.Lock()
        self._lock = threading.Lock()

    def __getstate__(self):
        with self._lock:
            state = self.__dict__ | {"broken": set(self.broken)}
        del state["_lock"], state["_turn"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._turn = threading.Lock()
        self._lock = threading.Lock()

    def decode(self, i):
        """uint8 array of picture `i`; raises `PictureError`."""
        image = pictures.decode_image(load(self.store, i))
        array = pictures.fit_image(image, self.size, self.resize)
        if array.shape != self.shape[1:]:
            height, width, _ = array.shape
            raise pictures.SizeError(
                f"is {height} x {width}, not {self.shape[1]} x {self.shape[2]}"
            )
        return array

    def error(self, i, reason):
        """The `DataError` for picture `i`."""
        return DataError(
            f"A picture cannot be used: {reason}. "
            f"Received: {self.store.name_of(i)}"
        )

    def read(self, indices):
        """uint8 array of the pictures at `indices`."""
        images = np.empty((len(indices), *self.shape[1:]), np.uint8)

        def decode(row):
            images[row] = self._decode_or_replace(int(indices[row]))

        with self._turn:
            first = 0
            if self._short is None and len(indices):
                first = min(len(indices), BATCH_CHUNK)
                self._short = are_short(decode, first)
            if self._short:
                for row in range(first, len(indices)):
                    decode(row)
                return images
        for_each_of_batch(lambda i: decode(first + i), len(indices) - first)
        return images

    def _candidates(self, i):
        yield i
        n = self.shape[0]
        for step in range(1, n):
            j = (i + step) % n
            if self.labels is None or self.labels[j] == self.labels[i]:
                yield j

    def _decode_or_replace(self, i):
        for j in self._candidates(i):
            if j in self.broken:
                continue
            try:
                return self.decode(j)
            except pictures.PictureError as error:
                if self.strict or isinstance(error, pictures.SizeError):
                    raise self.error(j, error) from error
                self._record(j, str(error))
        raise self.error(i, "it is broken, and so are all that could stand in")

    def _record(self, i, reason):
        name = self.store.name_of(i)
        with self._lock:
            if i in self.broken:
                return
            self.broken.add(i)
            self.skipped.append((name, reason))
            first = not self._warned
            self._warned = True
        if first:
            warnings.warn(
                f"A broken picture is replaced by another: {name} ({reason}). "
                "Further ones are only counted.",
                stacklevel=2,
            )


def load(store, i):
    """The path or bytes of picture `i`; raises `PictureError`."""
    try:
        return store.load(i)
    except OSError as error:
        raise pictures.PictureError(pictures.reason(error)) from error


def make_source(
    store,
    *,
    name,
    labels,
    class_names,
    size,
    resize,
    strict,
    cache_bytes,
    progress,
    check_headers=False,
    shape=None,
):
    """Makes an `ImageSource` of encoded pictures.

    Broken pictures are left out, with one warning that counts them.

    Args:
        store: store. Where the pictures are.
        name: str. What messages call the data set.
        labels: int array, or None. Class of each picture.
        class_names: list of str, or None.
        size: int, or None. Side to bring the pictures to.
        resize: str. `"crop"` or `"none"`.
        strict: bool. Whether a broken picture raises.
        cache_bytes: int. Decode all now if they take no more than this.
        progress: callable, or None. Called as `progress(done, total)`.
        check_headers: bool. Whether pictures that are not decoded now have
            their headers looked at, which takes minutes for a million.
            Defaults to `False`.
        shape: tuple `(height, width)`, or None. The size of all pictures, if
            the store knows it; else their headers are looked at where it
            matters. Defaults to `None`.

    Returns:
        An `ImageSource`.
    """
    count = len(store)
    if not count:
        raise DataError(f"The data set holds no images. Received: {name}")
    skipped = []
    reasons = {}

    def attempt(function, i):
        """Calls function(i); notes the picture as broken if that fails."""
        try:
            return function(i)
        except pictures.SizeError as error:
            raise encoded.error(i, error) from error
        except pictures.PictureError as error:
            if strict:
                raise encoded.error(i, error) from error
            reasons[i] = str(error)
            return None

    def make(shape):
        return EncodedPictures(
            store, shape, size, resize, labels, strict, skipped
        )

    encoded = make((size, size, 3))
    if size is None or resize == "none":
        sizes = [shape]
        if shape is None:
            sizes = [None] * count

            def check_size(i):
                sizes[i] = attempt(
                    lambda i: pictures.read_size(load(store, i)), i
                )

            for_each(check_size, count, progress)
            check_headers = False
        encoded = make(_one_size(sizes, store, name, size))
    _, height, width, _ = encoded.shape
    if count * height * width * 3 <= cache_bytes:
        images = np.zeros(encoded.shape, np.uint8)

        def decode(i):
            if i not in reasons:
                image = attempt(encoded.decode, i)
                if image is not None:
                    images[i] = image

        for_each(decode, count, progress)
    else:
        if check_headers:
            for_each(
                lambda i: attempt(
                    lambda i: pictures.check_header(load(store, i)), i
                ),
                count,
                progress,
            )
        # Broken ones stay out of what can be drawn as a replacement.
        encoded.broken.update(reasons)
        images = encoded
    index = np.delete(np.arange(count), sorted(reasons))
    skipped.extend((store.name_of(i), reasons[i]) for i in sorted(reasons))
    if skipped:
        listed = ", ".join(
            f"{skipped_name} ({reason})" for skipped_name, reason in skipped[:3]
        )
        more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        if not len(index):
            raise DataError(
                f"The data set holds no images that can be read: {listed}"
                f"{more}. Received: {name}"
            )
        warnings.warn(
            f"Skipped {len(skipped)} of {count} pictures of {name}: "
            f"{listed}{more}.",
            stacklevel=2,
        )
    return ImageSource(images, labels, class_names, name, skipped, index)


def _one_size(sizes, store, name, size):
    """The shape that all pictures share; raises where one differs."""
    good = [i for i, found in enumerate(sizes) if found is not None]
    if not good:
        # Nothing can be read: what is said of it comes from the caller.
        return (1, 1, 3)
    first = good[0]
    expected = sizes[first] if size is None else (size, size)
    for i in good:
        if sizes[i] == expected:
            continue
        found = f"{store.name_of(i)} is {sizes[i][0]} x {sizes[i][1]}"
        if size is not None:
            raise DataError(
                f"All pictures must be {size} x {size} where resizing is off "
                f'(resize="none"); with resize="crop" they are scaled and '
                f"cropped. Received: {found}"
            )
        raise DataError(
            "All pictures must have one size unless a size to bring them to "
            f"is given. Received: {store.name_of(first)} is {expected[0]} x "
            f"{expected[1]}, {found}"
        )
    return (*expected, 3)
