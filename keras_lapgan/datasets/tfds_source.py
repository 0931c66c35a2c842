"""TensorFlow Datasets, by name or from a prepared folder.

Only a download runs TensorFlow, but TensorFlow Datasets wants it installed.
"""

import contextlib
import difflib
import importlib.util
import itertools
import os
import pathlib
import re
import socket
import sys
import urllib.parse
import urllib.request

import numpy as np

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.encoded import make_source
from keras_lapgan.datasets.record_files import open_array_records
from keras_lapgan.datasets.record_files import open_tfrecords

DATA_FILES = ("dataset_info.json", "features.json")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def prepared_folder(path):
    """The version folder that TFDS prepared at or below a path, or None."""
    if any(os.path.isfile(os.path.join(path, file)) for file in DATA_FILES):
        return path
    # The data set's folder has versions, or configurations with versions.
    folders = [path, *(os.path.join(path, name) for name in _first(path))]
    found = [
        os.path.join(folder, name)
        for folder in folders
        if os.path.isdir(folder)
        for name in _first(folder)
        if _VERSION.fullmatch(name)
        and any(
            os.path.isfile(os.path.join(folder, name, file))
            for file in DATA_FILES
        )
    ]
    if len(found) > 1:
        raise DataError(
            "The folder holds several prepared data sets; name one of: "
            f"{', '.join(sorted(found))}. Received: data={path!r}"
        )
    return found[0] if found else None


def _first(folder):
    """Some names in a folder: TFDS's have few, a class can have a million."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in itertools.islice(entries, 100)]


def load_tfds(
    data,
    folder=None,
    split="train",
    size=None,
    resize="crop",
    strict=False,
    labels=True,
    cache_bytes=2 * 2**30,
    progress=None,
):
    """Opens a data set of TensorFlow Datasets.

    Pictures come in the order of `tfds.load`. They are decoded as those of a
    folder are, by Pillow, in memory or not: of JPEG files TensorFlow's decoder
    makes values that differ by a few.

    Args:
        data: str. Name, with or without version: `"cifar10:3.0.2"`. It is
            downloaded if it is not in TFDS's data folder.
        folder: str, or None. A prepared version folder to read instead.
            Defaults to `None`.
        split: str. In TFDS's own language. Defaults to `"train"`.
        size: int, or None. Defaults to `None`.
        resize: str. Defaults to `"crop"`.
        strict: bool. Defaults to `False`.
        labels: bool. Defaults to `True`.
        cache_bytes: int. Defaults to 2 GiB.
        progress: callable, or None. Defaults to `None`.

    Returns:
        An `ImageSource`.
    """
    if folder is None and data.split("/")[0].split(":")[0] == "lsun":
        raise DataError(
            "TensorFlow Datasets cannot read LSUN here (it needs "
            "tensorflow_io). Download a scene's LMDB folder from "
            "https://github.com/fyu/lsun and give its path, such as "
            f"bedroom_train_lmdb/. Received: data={data!r}"
        )
    tfds = _import_tfds(data)
    builder = _builder(tfds, data, folder)
    image_key, label_key = _features(tfds, builder, data)
    try:
        instructions = builder.info.splits[split].file_instructions
    except (ValueError, KeyError, AssertionError) as error:
        raise DataError(
            f"{data} has the splits: {', '.join(builder.info.splits)}, each "
            f"also as a slice such as train[:1000] or train[:80%] ({error}). "
            f"Received: split={split!r}"
        ) from error
    if not sum(instruction.take for instruction in instructions):
        raise DataError(
            f"The data set holds no images. Received: data={data!r}, "
            f"split={split!r}"
        )
    if not labels:
        label_key = None
    file_format = builder.info.file_format.value
    if file_format == "tfrecord":
        store, numbers = open_tfrecords(
            instructions,
            image_key,
            label_key,
            ordered=builder.info.disable_shuffling,
        )
    elif file_format == "array_record":
        store, numbers = open_array_records(
            instructions, image_key, label_key, name=data, progress=progress
        )
    else:
        raise DataError(
            "Data sets are read from TFRecord and ArrayRecord files; prepare "
            'this one again with file_format="array_record". Received: '
            f"data={data!r}, of {file_format} files"
        )
    if numbers is not None and (numbers < 0).all():
        # STL-10's unlabelled split has -1 everywhere.
        numbers = None
    class_names = None
    if numbers is not None:
        class_names = builder.info.features[label_key].names
    # An animation's has frames first.
    shape = builder.info.features[image_key].shape[-3:-1]
    return make_source(
        store,
        name=data,
        labels=numbers,
        class_names=class_names,
        size=size,
        resize=resize,
        strict=strict,
        cache_bytes=cache_bytes,
        progress=progress,
        shape=None if None in shape else shape,
    )


def _import_tfds(data):
    for module in ("tensorflow", "tensorflow_datasets"):
        if importlib.util.find_spec(module) is None:
            raise DataError(
                "There is no such file or folder; to read it as a data set of "
                "TensorFlow Datasets: pip install tensorflow "
                f"tensorflow-datasets (there is no module {module}). Without "
                "them there are `sample`, image folders and .npz files. "
                f"Received: data={data!r}"
            )
    import tensorflow_datasets as tfds

    return tfds


def _hide_gpu():
    """Leaves the GPU to another backend than TensorFlow."""
    keras = sys.modules.get("keras")
    if hasattr(keras, "backend"):
        backend = keras.backend.backend()
    else:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        import tensorflow as tf

        # Preparing needs no GPU, and TensorFlow would take all of its memory.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")


def _builder(tfds, data, folder):
    if folder is not None:
        try:
            return tfds.builder_from_directory(folder)
        except Exception as error:
            raise DataError(
                "The folder is not one that TensorFlow Datasets prepared: "
                f"{_first_line(error)}. Received: data={data!r}"
            ) from error
    try:
        builder = tfds.builder(data)
    except tfds.core.DatasetNotFoundError as error:
        raise unknown_name(data, tfds.list_builders()) from error
    except Exception as error:
        raise DataError(
            "TensorFlow Datasets cannot open the data set: "
            f"{_first_line(error)}. Received: data={data!r}"
        ) from error
    if not builder.data_path.exists():
        try:
            _check_network(builder)
            _hide_gpu()
            builder.download_and_prepare()
        except Exception as error:
            raise DataError(
                f"{data} is not on this machine, and downloading it failed: "
                f"{_first_line(error)}. Set TFDS_DATA_DIR to a folder that "
                "has it, or try again with a network. Received: "
                f"data={data!r}, looked in {builder.data_path}"
            ) from error
    return builder


def _check_network(builder):
    """Raises `OSError` at once where TFDS would try again for minutes."""
    hosts = {
        urllib.parse.urlparse(url).hostname
        for url in getattr(builder, "url_infos", None) or {}
    } - {None}
    folder = pathlib.Path(os.fspath(builder.data_path))
    downloaded = any(
        next((parent / "downloads").glob("**/*.INFO"), None)
        for parent in list(folder.parents)[:3]
    )
    # A proxy finds hosts that this machine cannot.
    if not hosts or downloaded or urllib.request.getproxies():
        return
    for host in sorted(hosts):
        try:
            socket.getaddrinfo(host, None)
            return
        except OSError as error:
            failure = OSError(f"no network, {host} is not found ({error})")
    raise failure


def _first_line(error):
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")


def unknown_name(data, names=()):
    """The `DataError` for a name that is neither a path nor a data set."""
    known = sorted({"sample", "cifar10", "stl10", *names})
    base = data.split(":")[0].split("/")[0]
    near = difflib.get_close_matches(base.lower(), known, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return DataError(
        "There is no such file or folder, and no data set of that name in "
        f"TensorFlow Datasets.{hint} Received: data={data!r}"
    )


def _features(tfds, builder, data):
    """Names of the image feature and of the label feature (or None)."""
    features = builder.info.features
    items = dict(features.items()) if hasattr(features, "items") else {}
    images = [
        name
        for name, feature in items.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if "image" in images:
        images = ["image"]
    if len(images) != 1:
        raise DataError(
            "Expected a data set with one image feature; it has: "
            f"{', '.join(items) or 'none'}. Received: data={data!r}"
        )
    if items[images[0]].np_dtype not in (np.uint8, np.uint16):
        raise DataError(
            "Expected images of 8 or 16 bits. Received: images of type "
            f"{np.dtype(items[images[0]].np_dtype).name} in {data}"
        )
    labels = [
        name
        for name, feature in items.items()
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    if "label" in labels:
        labels = ["label"]
    return images[0], labels[0] if len(labels) == 1 else None
