import copy

import numpy as np

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import ImageSource
from keras_lapgan.datasets import load_images
from keras_lapgan.datasets.held_out import load_held_out
from keras_lapgan.metrics.checks import check_images

CROPS = ("corners", "random", "center", "none")
#: Most pictures among which copies are looked for.
_MOST_SEARCHED = 50_000
#: Unseen pictures that tell how near strangers are.
_UNSEEN = 1000
#: Data sets hold a picture twice now and then; more of them are an overlap.
_MOST_SHARED = 0.05


class RealPictures:
    """What samples are held against: real pictures, cut as they were.

    Three parts of the data: a reference set, which samples are compared
    with; another set of as many pictures, whose own distance from the
    reference is the floor; and the pictures of training, among which copies
    are looked for. The other set is of a held-out split if that has enough
    pictures, else of the same split.

    Which pictures, and how each is cut, is a function of `seed` alone.

    Args:
        source: `keras_lapgan.datasets.ImageSource`. Pictures of the split.
        heldout: `ImageSource`, or None. Pictures of another split.
        training: `ImageSource`, or None. What training saw, if that is not
            `source`.
        size: tuple of 2 ints. Height and width to cut to.
        crop: str. `"corners"`, one of the four at random; `"random"`;
            `"center"`. Defaults to `"corners"`.
        stretch: bool. Whether each picture's values are stretched to 0..255,
            by its own lowest and highest, after the cut. Defaults to False.
        flip: bool. Whether training saw mirrored pictures too. Defaults to
            False.
        seed: int. Defaults to 0.

    Raises:
        DataError: the pictures are smaller than `size`, of other channels, or
            too few, or `heldout` shares pictures with `source`.
    """

    def __init__(
        self,
        source,
        heldout=None,
        *,
        size,
        training=None,
        crop="corners",
        stretch=False,
        flip=False,
        seed=0,
    ):
        for pictures in filter(None, (source, heldout)):
            height, width = pictures.image_shape[:2]
            if height < size[0] or width < size[1]:
                raise DataError(
                    f"The samples are {size[0]} x {size[1]} pixels, larger "
                    "than the real pictures. Shrink the samples, or give "
                    f"larger pictures. Received: {pictures.name} of {height} "
                    f"x {width}"
                )
        if len(source) < 4:
            raise DataError(
                "To compare with takes 4 pictures at least. "
                f"Received: {len(source)} in {source.name}"
            )
        if heldout is not None:
            _check_overlap(source, heldout)
        self.source = source
        self.heldout = heldout
        self.size = size
        self.crop = crop
        self.stretch = stretch
        self.flip = flip
        self.seed = seed
        self._training = training
        self._uses_heldout = None
        rng = np.random.default_rng((seed, 0))
        self._order = rng.permutation(len(source))
        #: Where the pictures come from, a dict of str and None.
        self.protocol = {
            "data": source.name,
            "split": "all",
            "heldout": None if heldout is None else heldout.name,
            "copies_of": "all",
            "source_size": None,
        }
        #: How many samples can be compared, with as many others for a floor.
        self.most = len(source) // 2
        if heldout is not None:
            rng = np.random.default_rng((seed, 1))
            self._heldout_order = rng.permutation(len(heldout))
            self.most = max(self.most, min(len(source), len(heldout)))

    @classmethod
    def open(
        cls,
        data,
        split=None,
        heldout=None,
        *,
        source_size=None,
        resize="crop",
        progress=None,
        **kwargs,
    ):
        """Opens a data set and, if it has one, its held-out split.

        Args:
            data: str or path. See `keras_lapgan.datasets.load_images`.
            split: str or None. Defaults to None, `"train"`.
            heldout: str or None. None is the first of `test`, `validation`
                and `val` that there is beside `split`.
            source_size: int or None. Side to bring pictures to before the
                cut. Defaults to None, their own.
            resize: str. See `load_images`. Defaults to `"crop"`.
            progress: callable or None. See `load_images`.
            **kwargs: the others of the class.

        Returns:
            A `RealPictures`.
        """
        options = {"size": source_size, "resize": resize, "progress": progress}
        split = split or "train"
        source = load_images(data, split, **options)
        if heldout == split:
            raise DataError(
                "The held-out split must be another one than the split that "
                f"samples are compared with. Received: {heldout!r} for both"
            )
        if heldout is not None:
            try:
                found = load_images(data, heldout, **options)
            except DataError as error:
                raise DataError(f"The held-out split: {error}") from error
        else:
            found, heldout = load_held_out(data, split, **options)
        training, trained = load_held_out(data, split, ("train",), **options)
        pictures = cls(source, found, training=training, **kwargs)
        pictures.protocol = {
            "data": str(data),
            "split": split,
            "heldout": heldout,
            "copies_of": trained or split,
            "source_size": source_size,
        }
        return pictures

    @classmethod
    def for_model(
        cls,
        model,
        data,
        split=None,
        heldout=None,
        *,
        labels=None,
        crop=None,
        stretch=False,
    ):
        """Opens pictures and cuts them as the model's training did.

        Args:
            model: `LAPGAN`.
            data: str or path, see `open`; or a uint8 array `(n, height, width,
                3)`.
            split: see `open`.
            heldout: see `open`.
            labels: int array `(n,)`, classes beside an array. Defaults to
                None.
            crop: str or None. Defaults to None, the model's.
            stretch: bool. Defaults to False.

        Returns:
            A `RealPictures`.

        Raises:
            DataError: the pictures cannot be opened or cut, or a
                class-conditional model's have other classes or none.
        """
        size = model.sizes[0]
        kwargs = {"size": size, "crop": crop or model.crop_mode}
        kwargs |= {"stretch": stretch, "flip": model.flip}
        if isinstance(data, np.ndarray):
            data = check_images(data, "data")
            real = cls(ImageSource(data, labels, name="an array"), **kwargs)
        else:
            side = model.source_size
            if side is None or crop == "none":
                side = size[0]
            real = cls.open(data, split, heldout, source_size=side, **kwargs)
        classes = real.source.num_classes
        if model.num_classes and classes != model.num_classes:
            raise DataError(
                f"The model is class-conditional, of {model.num_classes} "
                "classes, and draws those of the real pictures. "
                f"Received: {real.source.name} of {classes or 'no'} classes"
            )
        if model.num_classes and real.heldout and not real.heldout.num_classes:
            raise DataError(
                "The held-out pictures have no classes, which the model needs. "
                f"Received: {real.heldout.name}, {real.protocol['heldout']}"
            )
        return real

    def unstretched(self):
        """Returns the same pictures, with their values as they are."""
        other = copy.copy(self)
        other.stretch = False
        return other

    def settled(self, count):
        """Returns the same pictures, whose `other` is of one split.

        Args:
            count: int. The most that will be asked for.
        """
        other = copy.copy(self)
        other._uses_heldout = self._has_heldout(count)
        return other

    @property
    def floor(self):
        """str. What `other` is of, once settled."""
        if self._uses_heldout:
            return self.protocol["heldout"]
        return f"others of {self.protocol['split']}"

    def labels(self, count):
        """Returns the labels of `reference(count)`, or None."""
        labels = self.source.labels
        return None if labels is None else labels[self._order[:count]]

    def reference(self, count):
        """Returns `count` pictures and their labels, or None for these."""
        return self._cut(self.source, self._order[:count], 2)

    def other(self, count):
        """Returns as many others, for the floor, and their labels."""
        uses_heldout = self._uses_heldout
        if uses_heldout is None:
            uses_heldout = self._has_heldout(count)
        if uses_heldout:
            return self._cut(self.heldout, self._heldout_order[:count], 3)
        return self._cut(self.source, self._order[-count:], 3)

    def _has_heldout(self, count):
        return self.heldout is not None and len(self.heldout) >= count

    # === Copies ===

    def unseen(self, count):
        """Returns up to `count` pictures that training has not seen."""
        if self._has_heldout(_UNSEEN) or self._training is not None:
            if self.heldout is not None:
                rows = self._heldout_order[:count]
                return self._cut(self.heldout, rows, 3)[0]
            return self._cut(self.source, self._order[:count], 2)[0]
        return self._cut(self.source, self._order[self._seen :], 3)[0][:count]

    def seen(self):
        """Returns the pictures that training saw, whole; 50,000 at most."""
        if self._training is not None:
            most = min(len(self._training), _MOST_SEARCHED)
            rows = np.linspace(0, len(self._training) - 1, most).astype(int)
            return self._training.read(rows)
        return self.source.read(self._order[: min(self._seen, _MOST_SEARCHED)])

    def as_trained(self, images):
        """Yields pictures of `seen` in each way that training may have cut.

        Args:
            images: uint8 array `(n, height, width, channels)`.

        Yields:
            uint8 arrays, one for each place of the cut: four for corners, all
            for random crops, the centre's.
        """
        spare = np.subtract(images.shape[1:3], self.size)
        places = [spare // 2]
        if self.crop == "corners":
            places = np.unique([(0, 0), (0, 1), (1, 0), (1, 1)] * spare, axis=0)
        elif self.crop == "random":
            places = np.argwhere(np.ones(spare + 1))
        for top, left in places:
            cut = images[
                :, top : top + self.size[0], left : left + self.size[1]
            ]
            yield stretched(cut) if self.stretch else np.ascontiguousarray(cut)

    @property
    def _seen(self):
        """How many of the split's pictures count as seen in training."""
        count = len(self.source)
        if self._has_heldout(_UNSEEN):
            return count
        return count - min(_UNSEEN, count // 2)

    def _cut(self, source, rows, stream):
        images = source.read(rows)
        rng = np.random.default_rng((self.seed, stream))
        images = cut(images, self.size, self.crop, rng)
        if self.stretch:
            images = stretched(images)
        labels = None if source.labels is None else source.labels[rows]
        return images, labels


def _check_overlap(source, heldout):
    """Refuses held-out pictures that are in `source`."""
    if not (source.cached and heldout.cached):
        # To read all of a large folder takes too long.
        return
    known = set()
    for start in range(0, len(source), 1000):
        rows = range(start, min(start + 1000, len(source)))
        known |= {image.tobytes() for image in source.read(rows)}
    count = min(500, len(heldout))
    rows = np.linspace(0, len(heldout) - 1, count).astype(int)
    shared = sum(image.tobytes() in known for image in heldout.read(rows))
    if shared > _MOST_SHARED * count:
        raise DataError(
            "The held-out pictures must be others than those that samples are "
            f"compared with. Received: {shared} of {count} of "
            f"{heldout.name} are in both splits"
        )


def cut(images, size, crop, rng):
    """Cuts pictures, each at a place of its own.

    Args:
        images: uint8 array `(n, height, width, channels)`.
        size: tuple of 2 ints.
        crop: str. See `RealPictures`.
        rng: `numpy.random.Generator`. Of its numbers picture i gets the i-th.

    Returns:
        A uint8 array `(n, *size, channels)`.
    """
    spare = np.subtract(images.shape[1:3], size)
    if not spare.any():
        return images
    draws = rng.random((len(images), 2))
    if crop == "corners":
        places = (draws < 0.5) * spare
    elif crop == "random":
        places = (draws * (spare + 1)).astype("int64")
    else:
        places = np.broadcast_to(spare // 2, (len(images), 2))
    result = np.empty((len(images), *size, images.shape[3]), images.dtype)
    for i, (top, left) in enumerate(places):
        result[i] = images[i, top : top + size[0], left : left + size[1]]
    return result


def stretched(images):
    """Stretches each picture's values to 0..255, by its own extremes.

    Args:
        images: uint8 array `(n, height, width, channels)`.

    Returns:
        A uint8 array; a picture of one value stays as it is.
    """
    result = np.empty(images.shape, "uint8")
    for start in range(0, len(images), 1000):
        some = images[start : start + 1000].astype("float32")
        low = some.min((1, 2, 3), keepdims=True)
        span = some.max((1, 2, 3), keepdims=True) - low
        scaled = (some - low) * (255 / np.where(span > 0, span, 1))
        scaled = np.where(span > 0, scaled, some)
        result[start : start + 1000] = np.rint(scaled)
    return result


def seem_stretched(images):
    """Whether nearly all pictures touch both 0 and 255."""
    touch = (images.min((1, 2, 3)) == 0) & (images.max((1, 2, 3)) == 255)
    return bool(touch.mean() >= 0.95)
