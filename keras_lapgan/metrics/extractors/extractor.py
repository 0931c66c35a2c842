import hashlib
import json
import warnings
from collections import namedtuple

import keras
import numpy as np

from keras_lapgan.metrics.checks import check_images
from keras_lapgan.metrics.checks import check_int
from keras_lapgan.metrics.extractors.resizing import resize_images
from keras_lapgan.metrics.extractors.resizing import resizing_matrix

_Extracted = namedtuple("Extracted", "features logits")


class Extractor:
    """Turns images into the features that metrics compare.

    Any Keras model will do: it gets float32 images `(n, height, width, 3)` in
    0..255, and gives features `(n, d)`, a map `(n, height, width, d)` of which
    the mean is taken, or a pair of features and logits. A distance of its
    features carries the extractor's name, and is not called FID.

    Images go through the model in batches of one size, the last one filled
    up, so it is compiled once, and an image's features do not depend on how
    many others there are.

    Args:
        model: `keras.Model`.
        name: str, or None. None takes the model's own. Defaults to `None`.
        size: int, tuple of 2 ints, or None. Height and width that the model
            takes; None asks the model. Defaults to `None`.
        resize: str. How images are brought to that size, one of
            `"legacy_tensorflow"`, `"legacy_pytorch"`, `"clean"` (see
            `resizing_matrix`). Defaults to `"clean"`.
        preprocess: callable, or None. What is done with a batch after that,
            such as a `preprocess_input` of `keras.applications`.
            Defaults to `None`.
        batch_size: int. Defaults to 32.

    Attributes:
        name: str.
        weights_sha256: str. A checksum of the weights.
        resize: str.
        size: tuple of 2 ints.
        fid: bool. Whether a Frechet distance of the features is a FID.
        fingerprint: str or None. See below.

    Raises:
        ValueError: An argument is of another form, or the model's input size
            is not fixed and `size` is not given.

    Example:

    ```python
    import keras

    model = keras.applications.MobileNetV2(
        include_top=False, pooling="avg", input_shape=(96, 96, 3)
    )
    extractor = Extractor(
        model, preprocess=keras.applications.mobilenet_v2.preprocess_input
    )
    features, _ = extractor.extract(images)
    ```
    """

    fid = False

    def __init__(
        self,
        model,
        name=None,
        *,
        size=None,
        resize="clean",
        preprocess=None,
        batch_size=32,
    ):
        self.name = model.name if name is None else name
        self.size = _input_size(model, size)
        self.resize = resize
        resizing_matrix(1, 1, resize)
        self.batch_size = check_int(batch_size, "batch_size", 1)
        self.weights_sha256 = _checksum(model)
        self._preprocess = preprocess
        # One place for all batches: new ones take longer than the resizing.
        self._images = np.zeros((self.batch_size, *self.size, 3), "float32")
        self._runner = _Runner(model)

    @property
    def fingerprint(self):
        """Names all that features depend on, to keep them by.

        A str, the same in every process: name, weights, size and resizing,
        the model's config, the backend. None where it cannot be told: the
        model has code that is not Keras' (layers, functions), or images are
        preprocessed.
        """
        config = _config(self._runner.model)
        if self._preprocess is not None or config is None:
            return None
        height, width = self.size
        digest = hashlib.sha256(config.encode()).hexdigest()
        return (
            f"{self.name} weights={self.weights_sha256} model={digest} "
            f"size={height}x{width} resize={self.resize} "
            f"backend={keras.backend.backend()}"
        )

    def extract(self, images, progress=None):
        """Features and logits of images.

        Args:
            images: uint8 array `(n, height, width, 3)`, or an iterable of
                such arrays, as `ImageBatches` without labels, of images of
                one size.
            progress: callable, or None. Called after each batch as
                `progress(done, total)`, numbers of images; `total` is None
                where it is not known. Defaults to `None`.

        Returns:
            A named tuple of float32 arrays, `features` of shape `(n, d)` and
            `logits` of shape `(n, classes)`; these are None where the model
            gives none.

        Raises:
            ValueError: Images are of another form, or there are none.
        """
        total = None
        if hasattr(images, "shape"):
            images = [images]
            total = len(images[0])
        features, logits, done = [], [], 0
        for batch in _batches(images, self.batch_size):
            outputs = self._batch(batch)
            features.append(outputs.features)
            logits.append(outputs.logits)
            done += len(batch)
            if progress is not None:
                progress(done, total)
        if not done:
            raise ValueError("Expected at least one image. Received: none")
        if logits[0] is None:
            return _Extracted(np.concatenate(features), None)
        return _Extracted(np.concatenate(features), np.concatenate(logits))

    def _batch(self, images):
        x = self._images
        resize_images(images, self.size, self.resize, out=x[: len(images)])
        if self._preprocess is not None:
            x = self._preprocess(x.copy())
        outputs = self._runner.predict_on_batch(x)
        if not isinstance(outputs, (list, tuple)):
            outputs = [outputs]
        shapes = [getattr(output, "shape", None) for output in outputs]
        if len(shapes) > 2 or len(shapes[0] or ()) not in (2, 4):
            raise ValueError(
                "Expected a model that gives features (n, d), a map (n, "
                "height, width, d), or features and logits. "
                f"Received: outputs of shapes {shapes}"
            )
        # A model of fewer bits gives fewer.
        outputs = [np.asarray(output, "float32") for output in outputs]
        features, logits = [*outputs, None][:2]
        if features.ndim == 4:
            features = features.mean(axis=(1, 2))
        count = len(images)
        logits = None if logits is None else logits[:count]
        return _Extracted(features[:count], logits)


class _Runner(keras.Model):
    """Runs a model, and leaves how it was compiled as it was."""

    def __init__(self, model):
        super().__init__(name="runner", dtype="float32")
        self.model = model
        if keras.backend.backend() == "tensorflow":
            # Of convolutions, XLA makes slower ones on a CPU.
            self.jit_compile = False

    def call(self, images):
        return self.model(images, training=False)


def _batches(parts, size):
    """Images in batches of one size; only the last may be smaller."""
    rest = None
    for images in parts:
        images = check_images(images, "images", least=0)
        if images.shape[3] != 3:
            raise ValueError(
                "Expected RGB images; np.repeat(images, 3, axis=3) makes them "
                f"of grey ones. Received: images.shape={images.shape}"
            )
        if rest is not None:
            if images.shape[1:] != rest.shape[1:]:
                raise ValueError(
                    "Expected images of one size. Received: images of "
                    f"{images.shape[1:]} after images of {rest.shape[1:]}"
                )
            images = np.concatenate([rest, images])
        while len(images) >= size:
            yield images[:size]
            images = images[size:]
        rest = images
    if rest is not None and len(rest):
        yield rest


def _input_size(model, size):
    shape = getattr(model, "input_shape", None) if size is None else None
    if isinstance(shape, tuple) and len(shape) == 4:
        size = shape[1:3]
    size = size if isinstance(size, (list, tuple)) else (size, size)
    if len(size) != 2 or None in size:
        raise ValueError(
            "Expected size, the height and width that the model takes, as its "
            f"own inputs do not tell them. Received: size={size!r}, inputs of "
            f"shape {shape}"
        )
    return tuple(check_int(value, "size", 1) for value in size)


def _checksum(model):
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _config(model):
    """A model's config as text, or None if it does not tell what it does."""
    try:
        with warnings.catch_warnings():
            # Of lambdas, which no one is going to read.
            warnings.simplefilter("ignore")
            config = keras.saving.serialize_keras_object(model)
        return json.dumps(_told(config, {}), sort_keys=True)
    # OSError: the source of a lambda that was typed in.
    except (NotImplementedError, OSError, TypeError, _UntoldError):
        return None


class _UntoldError(Exception):
    """A config names code that may be another one tomorrow."""


def _told(value, names):
    """A part of a config without what changes nothing.

    Names of layers, which depend on what was built before, become numbers.

    Args:
        value: a dict, list or value of a config.
        names: dict from the names so far to their numbers.
    """
    if isinstance(value, dict):
        home = value.get("module") or "keras"
        if (
            home.partition(".")[0] not in ("keras", "keras_lapgan")
            # What becomes of a lambda, in a layer of its own or in another.
            or value.get("class_name") in ("Lambda", "__lambda__")
            or value.keys() == {"value"}
        ):
            raise _UntoldError
        # Their names are not a layer's, but what they are.
        if str(value.get("class_name")).endswith("DTypePolicy"):
            return value
        return {
            key: names.setdefault(item, len(names))
            if key == "name"
            else _told(item, names)
            for key, item in value.items()
            if key not in ("build_config", "compile_config")
        }
    if isinstance(value, (list, tuple)):
        # A tensor: the layer it comes from, and which of its results.
        if len(value) == 3 and isinstance(value[0], str):
            return [names.setdefault(value[0], len(names)), *value[1:]]
        return [_told(item, names) for item in value]
    return value
