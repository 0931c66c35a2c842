"""TensorFlow Datasets, by name or from a prepared folder.

The only part of `datasets` that imports TensorFlow, and only when called.
"""

import contextlib
import difflib
import itertools
import os
import pathlib
import re
import socket
import sys
import urllib.parse
import urllib.request

import numpy as np
from PIL import Image

from keras_lapgan.datasets import pictures
from keras_lapgan.datasets.array_file import fit_images
from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.image_source import ImageSource
from keras_lapgan.datasets.parallel import for_each

CHUNK = 256
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
    labels=True,
    cache_bytes=2 * 2**30,
    progress=None,
):
    """Reads a data set of TensorFlow Datasets into memory.

    Args:
        data: str. Name, with or without version: `"cifar10:3.0.2"`. It is
            downloaded if it is not in TFDS's data folder.
        folder: str, or None. A prepared version folder to read instead.
            Defaults to `None`.
        split: str. In TFDS's own language. Defaults to `"train"`.
        size: int, or None. Defaults to `None`.
        resize: str. Defaults to `"crop"`.
        labels: bool. Defaults to `True`.
        cache_bytes: int. Data beyond this, and beyond half the free memory,
            is refused. Defaults to 2 GiB.
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
        count = builder.info.splits[split].num_examples
    except (ValueError, KeyError, AssertionError) as error:
        raise DataError(
            f"{data} has the splits: {', '.join(builder.info.splits)}, each "
            f"also as a slice such as train[:1000] or train[:80%] ({error}). "
            f"Received: split={split!r}"
        ) from error
    if count <= 0:
        raise DataError(
            f"The data set holds no images. Received: data={data!r}, "
            f"split={split!r}"
        )
    keys = {image_key}
    if labels and label_key is not None:
        keys.add(label_key)
    stream = _stream(tfds, builder, split, keys)
    shape = builder.info.features[image_key].shape
    images, numbers = _read(
        stream,
        shape,
        count,
        image_key,
        label_key if labels else None,
        size,
        resize,
        data,
        cache_bytes,
        progress,
    )
    class_names = None
    if numbers is not None and (numbers < 0).all():
        # STL-10's unlabelled split has -1 everywhere.
        numbers = None
    if numbers is not None:
        class_names = builder.info.features[label_key].names
    return ImageSource(images, numbers, class_names, data)


def _import_tfds(data):
    try:
        import tensorflow as tf
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataError(
            "There is no such file or folder; to read it as a data set of "
            "TensorFlow Datasets: pip install tensorflow tensorflow-datasets "
            f"({error}). Without it there are `sample`, image folders and "
            f".npz files. Received: data={data!r}"
        ) from error
    keras = sys.modules.get("keras")
    if hasattr(keras, "backend"):
        backend = keras.backend.backend()
    else:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        # Reading needs no GPU, and TensorFlow would take all of its memory.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tfds


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


def _stream(tfds, builder, split, keys):
    decoders = None
    if keys != set(builder.info.features):
        decoders = tfds.decode.PartialDecoding(dict.fromkeys(keys, True))
    from absl import logging

    level = logging.get_verbosity()
    # TFDS warns of its own use of a deprecated attribute.
    logging.set_verbosity(logging.ERROR)
    try:
        return builder.as_dataset(
            split=split, shuffle_files=False, decoders=decoders
        )
    finally:
        logging.set_verbosity(level)


def free_memory():
    """int, or None. Bytes that can be had without swapping."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _check_memory(shape, data, cache_bytes):
    needed = int(np.prod(shape, dtype=np.int64))
    free = free_memory()
    if needed <= max(cache_bytes, (free or 0) // 2):
        return
    limit = max(cache_bytes, (free or 0) // 2)
    fits = max(1, limit * shape[0] // needed)
    # Two leading digits: a number to type.
    unit = 10 ** max(0, len(str(fits)) - 2)
    fits = fits // unit * unit
    raise DataError(
        f"The pictures of {data} take {needed / 2**30:.1f} GiB decoded, and "
        f"{limit / 2**30:.1f} GiB can be used. Take a part of them: "
        f'--split "train[:{fits}]". Received: {shape[0]} pictures of '
        f"{shape[1]} x {shape[2]}"
    )


def _read(
    stream,
    shape,
    count,
    image_key,
    label_key,
    size,
    resize,
    data,
    cache_bytes,
    progress,
):
    """Arrays of all images, at their final size, and of all labels."""
    height, width, channels = shape
    one_size = height is not None and width is not None
    if size is not None:
        shape = (count, size, size, 3)
    else:
        if not one_size:
            first = next(iter(stream.take(1).as_numpy_iterator()))
            height, width, _ = first[image_key].shape
        shape = (count, height, width, 3)
    _check_memory(shape, data, cache_bytes)
    images = np.empty(shape, np.uint8)
    numbers = None if label_key is None else np.empty(count, np.int32)

    done = 0
    if one_size:
        chunks = stream.batch(CHUNK).as_numpy_iterator()
    else:
        chunks = _chunks(stream.as_numpy_iterator())
    for chunk in chunks:
        if one_size:
            batch, classes = chunk[image_key], chunk.get(label_key)
            batch = fit_images(pictures.to_rgb_array(batch), size, resize, data)
        else:
            batch = _fit_chunk(
                [example[image_key] for example in chunk],
                shape[1:],
                size,
                resize,
                f"{data}, pictures from {done}",
            )
            classes = [example.get(label_key) for example in chunk]
        images[done : done + len(batch)] = batch
        if numbers is not None:
            numbers[done : done + len(batch)] = classes
        done += len(batch)
        if progress is not None:
            progress(done, count)
    if done != count:
        raise DataError(
            f"Expected {count} pictures, as the data set's description says. "
            f"Received: {done} in {data}"
        )
    return images, numbers


def _chunks(examples):
    chunk = []
    for example in examples:
        chunk.append(example)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _fit_chunk(raw, shape, size, resize, name):
    batch = np.empty((len(raw), *shape), np.uint8)

    def fit(i):
        picture = pictures.to_rgb_array(raw[i])
        if size is not None:
            try:
                picture = pictures.fit_image(
                    Image.fromarray(picture), size, resize
                )
            except pictures.SizeError as error:
                raise DataError(
                    "All pictures must have the size asked for where resizing "
                    f"is off: one {error}. Received: {name}"
                ) from error
        elif picture.shape != shape:
            raise DataError(
                "All pictures must have one size unless a size to bring them "
                f"to is given: one is {picture.shape[0]} x "
                f"{picture.shape[1]}, the first {shape[0]} x {shape[1]}. "
                f"Received: {name} (number {i} of these)"
            )
        batch[i] = picture

    for_each(fit, len(raw))
    return batch
