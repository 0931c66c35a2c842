import numpy as np

from keras_lapgan.datasets.data_error import DataError


class ImageSource:
    """A set of pictures of one size that is read by index.

    What `keras_lapgan.datasets.load_images` returns, whatever the pictures
    are stored in. Pictures are uint8 RGB, 0 to 255, channels last. Reading is
    thread-safe, and the same index gives the same picture each time.

    Args:
        images: uint8 array of shape `(n, height, width, 3)`, or an object with
            that `shape` and a `read(indices)` that returns such an array
            (pictures decoded when they are read).
        labels: int array of shape `(n,)`, or None. Class of each picture.
            Defaults to `None`.
        class_names: list of str, or None. Name of each class; when left out
            the classes are counted from the labels. Defaults to `None`.
        name: str. What messages call this data set. Defaults to `"images"`.
        skipped: list of `(name, reason)`, or None. Pictures left out because
            they are broken. Defaults to `None`.
        index: int array, or None. Which of `images`, and of `labels`, make up
            this source, in this order; None takes all. Defaults to `None`.

    Example:

    ```python
    import numpy as np
    from keras_lapgan.datasets import ImageSource

    images = np.zeros((10, 32, 32, 3), "uint8")
    source = ImageSource(images, labels=np.arange(10) % 2)
    source.read([0, 3]).shape  # (2, 32, 32, 3)
    source.num_classes  # 2
    source.subset(range(5)).labels  # [0, 1, 0, 1, 0]
    ```
    """

    def __init__(
        self,
        images,
        labels=None,
        class_names=None,
        name="images",
        skipped=None,
        index=None,
    ):
        self.images = images
        self.name = name
        self.skipped = [] if skipped is None else skipped
        if index is None:
            index = np.arange(images.shape[0])
        self.index = np.asarray(index, dtype=np.int64).reshape(-1)
        if len(self.index) == 0:
            raise DataError(f"The data set holds no images. Received: {name}")
        self.class_names = None
        self._all_labels = None
        self._labels = None
        self._num_classes = 0
        if labels is not None:
            labels = np.asarray(labels, dtype=np.int32)
            if labels.shape != (images.shape[0],):
                raise DataError(
                    "Labels are one class number a picture: expected shape "
                    f"({images.shape[0]},). Received: labels of shape "
                    f"{labels.shape} in {name}"
                )
            if labels.min() < 0:
                raise DataError(
                    "Labels are class numbers from 0 upwards. Received: a "
                    f"label of {labels.min()} in {name}"
                )
            if class_names is not None:
                self.class_names = [str(label) for label in class_names]
                self._num_classes = len(self.class_names)
                if labels.max() >= self._num_classes:
                    raise DataError(
                        f"Labels must be below {self._num_classes}, the "
                        "number of class names. Received: a label of "
                        f"{labels.max()} in {name}"
                    )
            else:
                self._num_classes = int(labels.max()) + 1
            self._all_labels = labels
            self._labels = labels[self.index]

    def __len__(self):
        return len(self.index)

    def __repr__(self):
        height, width, _ = self.image_shape
        return (
            f"<ImageSource {self.name}: {len(self)} pictures, "
            f"{height} x {width}, {self.num_classes} classes>"
        )

    @property
    def image_shape(self):
        """Tuple `(height, width, 3)`."""
        return tuple(int(size) for size in self.images.shape[1:])

    @property
    def num_classes(self):
        """int. Number of classes, 0 when there are no labels."""
        return self._num_classes

    @property
    def labels(self):
        """int32 array of shape `(len(self),)`, or None."""
        return self._labels

    @property
    def cached(self):
        """bool. Whether all pictures are decoded in memory."""
        return type(self.images) is np.ndarray

    def read(self, indices):
        """Reads pictures.

        Args:
            indices: sequence of int. Positions in this source.

        Returns:
            A new uint8 array of shape `(len(indices), height, width, 3)`.
        """
        indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        rows = self.index[indices]
        if isinstance(self.images, np.ndarray):
            return np.asarray(self.images[rows])
        return self.images.read(rows)

    def subset(self, indices):
        """A source of some of these pictures; the pictures are not copied.

        The classes, and so their numbers, stay those of the whole.

        Args:
            indices: sequence of int. Positions in this source.

        Returns:
            An `ImageSource`.
        """
        indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        other = ImageSource(
            self.images,
            labels=self._all_labels,
            class_names=self.class_names,
            name=self.name,
            skipped=self.skipped,
            index=self.index[indices],
        )
        other._num_classes = self._num_classes
        return other
