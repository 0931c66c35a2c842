"""Random access to the files that TensorFlow Datasets writes.

A TFRecord file has no table of contents: `open_tfrecords` makes one, from the
length of each record and what stands beside its picture. Then one read gets a
picture.

Reference:
    - TFRecord: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

import os
import struct

import numpy as np

from keras_lapgan.datasets.data_error import DataError
from keras_lapgan.datasets.parallel import for_each
from keras_lapgan.datasets.pictures import PictureError

DAMAGED = "its record is damaged"
# More bytes than a record has before a picture, its name and lengths.
HEADER = 512


class TFRecordPictures:
    """The store of pictures in TFRecord files; see `encoded`.

    Args:
        paths: list of str. The files.
        shards: int array of shape `(n,)`. Which file has each picture.
        starts: int array of shape `(n,)`. Where its first byte is.
        sizes: int array of shape `(n,)`. How many bytes it has; -1 where the
            record is damaged.
    """

    def __init__(self, paths, shards, starts, sizes):
        self.paths = paths
        self.shards = shards
        self.starts = starts
        self.sizes = sizes

    def __len__(self):
        return len(self.starts)

    def load(self, i):
        size = int(self.sizes[i])
        if size < 0:
            raise PictureError(DAMAGED)
        # A file of its own each time: no thread moves another's position, and
        # thousands of files do not stay open.
        with open(self.paths[self.shards[i]], "rb", buffering=0) as file:
            file.seek(int(self.starts[i]))
            data = file.read(size)
        if len(data) < size:
            raise PictureError("its file ends before it")
        return data

    def name_of(self, i):
        path = self.paths[self.shards[i]]
        return f"the picture at byte {self.starts[i]} of {path}"


class ArrayRecordPictures:
    """The store of pictures in ArrayRecord files; see `encoded`.

    Args:
        records: `ArrayRecordDataSource`.
        image: str. Name of the image feature.
        name: str. What messages call the data set.
    """

    def __init__(self, records, image, name):
        self.records = records
        self.image = image
        self.name = name

    def __len__(self):
        return len(self.records)

    def load(self, i):
        record = self.record(i)
        start, size, _ = find(record, self.image)
        return record[start : start + size]

    def record(self, i):
        """The bytes of record `i`; raises `PictureError`."""
        try:
            return self.records[i]
        except Exception as error:
            raise PictureError(str(error)) from error

    def name_of(self, i):
        return f"record {i} of {self.name}"


def open_tfrecords(instructions, image, label=None, ordered=False):
    """Finds the pictures in TFRecord files.

    Args:
        instructions: list of `FileInstruction` of TFDS. The files, and which
            of their records.
        image: str. Name of the image feature.
        label: str, or None. Name of the label feature. Defaults to `None`.
        ordered: bool. Whether the pictures come file by file, and not in the
            order of `tfds.load`, which mixes files. Defaults to `False`.

    Returns:
        Tuple `(store, labels)`: `TFRecordPictures`, and an int64 array, or
        None.

    Raises:
        DataError: a file is missing, cut off, or has other records than its
            description says.
    """
    takes = [instruction.take for instruction in instructions]
    firsts = np.concatenate([[0], np.cumsum(takes)])
    starts = np.empty(firsts[-1], np.int64)
    sizes = np.empty(firsts[-1], np.int32)
    labels = np.zeros(firsts[-1], np.int64)

    def scan(number):
        row = firsts[number]
        names = image.encode(), label and label.encode()
        for found in _scan(instructions[number], *names):
            starts[row], sizes[row], labels[row] = found
            row += 1

    for_each(scan, len(instructions), chunk=1)
    _settle_labels(labels, sizes < 0)
    shards = np.repeat(np.arange(len(takes), dtype=np.int32), takes)
    if not ordered:
        order = interleaved(takes)
        shards, starts, sizes, labels = (
            values[order] for values in (shards, starts, sizes, labels)
        )
    paths = [os.fspath(instruction.filename) for instruction in instructions]
    store = TFRecordPictures(paths, shards, starts, sizes)
    return store, None if label is None else labels


def open_array_records(instructions, image, label=None, *, name, progress=None):
    """Finds the pictures in ArrayRecord files.

    Args:
        instructions: list of `FileInstruction` of TFDS.
        image: str. Name of the image feature.
        label: str, or None. Name of the label feature; all records are read
            once to find the labels. Defaults to `None`.
        name: str. What messages call the data set.
        progress: callable, or None. Called as `progress(done, total)`.
            Defaults to `None`.

    Returns:
        Tuple `(store, labels)`, as `open_tfrecords`.
    """
    try:
        from array_record.python.array_record_data_source import (
            ArrayRecordDataSource,
        )
    except ImportError as error:
        raise DataError(
            f"Reading ArrayRecord files needs another package: pip install "
            f"array-record ({error}). Received: {name}"
        ) from error
    records = ArrayRecordDataSource(instructions)
    store = ArrayRecordPictures(records, image, name)
    last = -1
    for instruction in instructions:
        last += instruction.take
        path = os.fspath(instruction.filename)
        if not os.path.isfile(path):
            raise _missing(path)
        try:
            records[last]
        except Exception as error:
            raise DataError(
                "A file of the data set cannot be read; it may be cut off: "
                f"{error}. Received: {path}"
            ) from error
    if label is None:
        return store, None
    labels = np.zeros(len(store), np.int64)
    damaged = np.zeros(len(store), bool)

    def scan(i):
        try:
            _, _, labels[i] = find(store.record(i), image, label)
        except PictureError:
            damaged[i] = True

    for_each(scan, len(store), progress)
    _settle_labels(labels, damaged)
    return store, labels


def interleaved(takes, cycle=16, block=16):
    """The order in which `tfds.load` gives the records of several files.

    It reads `cycle` files at once, `block` records of each in turn; where one
    has ended, the next file takes its turn a round later.

    Args:
        takes: list of int. Records of each file.
        cycle: int. Defaults to 16, TFDS's.
        block: int. Defaults to 16, TFDS's.

    Returns:
        An int64 array: positions of the records, counted file by file.
    """
    firsts = np.concatenate([[0], np.cumsum(takes)]).astype(np.int64)
    # What is left of the files that are being read: (position, end).
    open_files = [None] * cycle
    waiting = iter(range(len(takes)))
    blocks = []
    left = firsts[-1]
    slot = 0
    while left:
        if open_files[slot] is None:
            number = next(waiting, None)
            if number is not None:
                open_files[slot] = firsts[number], firsts[number + 1]
        if open_files[slot] is not None:
            start, end = open_files[slot]
            stop = min(start + block, end)
            blocks.append(np.arange(start, stop))
            left -= stop - start
            # A file that ends with a full block is found to have ended when
            # its next turn comes.
            ended = stop - start < block
            open_files[slot] = None if ended else (stop, end)
        slot = (slot + 1) % cycle
    return np.concatenate(blocks)


def find(record, image, label=None):
    """`_find`, in the bytes of one record and with names that are str."""
    return _find(
        _Whole(record), 0, len(record), image.encode(), label and label.encode()
    )


class _Blocks:
    """A file's bytes by position; a block is read at a time.

    Args:
        file: binary file without a buffer.
        block: int. Bytes to read at a time.
    """

    def __init__(self, file, block):
        self.file = file
        self.block = block
        self.data = b""
        self.start = 0

    def at(self, position):
        """Tuple `(data, i)`; `data[i]` is the byte at a position."""
        i = position - self.start
        if i < 0 or i + HEADER > len(self.data):
            self.file.seek(position)
            self.data = self.file.read(self.block)
            self.start, i = position, 0
        return self.data, i


class _Whole:
    """As `_Blocks`, of bytes that are in memory."""

    def __init__(self, data):
        self.data = data

    def at(self, position):
        return self.data, position


def _find(blocks, start, stop, image, label):
    """Finds the picture and the label in a serialized `tf.train.Example`.

    Args:
        blocks: `_Blocks` or `_Whole`.
        start: int. Position of the example.
        stop: int. Position of its end.
        image: bytes. Name of the image feature.
        label: bytes, or None. Name of the label feature.

    Returns:
        Tuple `(start, size, label)` of ints: where the picture's bytes are,
        and the label, 0 if none was asked for.

    Raises:
        PictureError: the example is damaged, or has no such feature.
    """
    place, number = None, None if label else 0
    position = start
    try:
        data, i = blocks.at(position)
        # Example.features; in it a map, name by name.
        size, first = _length(data, i, 1)
        position += first - i
        stop = min(stop, position + size)
        while position < stop and (place is None or number is None):
            data, i = blocks.at(position)
            offset = position - i
            size, i = _length(data, i, 1)
            position = offset + i + size
            size, i = _length(data, i, 1)
            name = data[i : i + size]
            i += size
            if name == image:
                # Feature, its bytes_list, the first value of these.
                for field in (2, 1, 1):
                    size, i = _length(data, i, field)
                if offset + i + size <= position <= stop:
                    place = offset + i, size
            elif name == label:
                # Feature, its int64_list; numbers may be packed.
                for field in (2, 3):
                    size, i = _length(data, i, field)
                if data[i] == 1 << 3 | 2:
                    size, i = _length(data, i, 1)
                else:
                    i += 1
                number, _ = _varint(data, i)
                # Numbers below 0 are stored as their 64 bits.
                number -= number >> 63 << 64
    except IndexError as error:
        raise PictureError(DAMAGED) from error
    if place is None or number is None:
        raise PictureError(DAMAGED)
    return *place, number


def _length(data, i, field):
    """Tuple `(length of a message's field, where it begins)`."""
    if data[i] != field << 3 | 2:
        raise PictureError(DAMAGED)
    length = data[i + 1]
    if length < 128:
        return length, i + 2
    return _varint(data, i + 1)


def _varint(data, i):
    value = 0
    for shift in range(0, 70, 7):
        byte = data[i]
        i += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, i
    raise PictureError(DAMAGED)


def _scan(instruction, image, label):
    """Yields `(start, size, label)` of each picture in a TFRecord file."""
    path = os.fspath(instruction.filename)
    stop = instruction.skip + instruction.take
    try:
        with open(path, "rb", buffering=0) as file:
            file_size = os.fstat(file.fileno()).st_size
            mean = file_size // max(1, instruction.examples_in_shard)
            blocks = _Blocks(file, 2**16 if mean < 2**15 else 2 * HEADER)
            end = 0
            for number in range(stop):
                # Length, its checksum, the record, its checksum.
                data, i = blocks.at(end)
                start = end + 12
                if start <= file_size:
                    end = start + struct.unpack_from("<Q", data, i)[0] + 4
                if not start < end <= file_size:
                    raise DataError(
                        "A file of the data set is cut off or damaged; copy "
                        "or prepare the data set again. Received: "
                        f"{path}, which ends within record {number} of "
                        f"{instruction.examples_in_shard}"
                    )
                if number < instruction.skip:
                    continue
                try:
                    yield _find(blocks, start, end - 4, image, label)
                except PictureError:
                    yield start, -1, 0
            if instruction.takes_all and end != file_size:
                raise DataError(
                    "A file of the data set holds more than its description "
                    "says; copy or prepare the data set again. Received: "
                    f"{path}, with {file_size - end} bytes after "
                    f"{stop} records"
                )
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise DataError(
            f"A file of the data set cannot be read: {error.strerror}. "
            f"Received: {path}"
        ) from error


def _settle_labels(labels, damaged):
    """Gives damaged records the first label there is: they are replaced."""
    if damaged.any() and not damaged.all():
        labels[damaged] = labels[~damaged][0]


def _missing(path):
    return DataError(
        "A file of the data set is missing; copy or prepare the data set "
        f"again. Received: {path}"
    )
