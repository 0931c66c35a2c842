"""Reads the arrays of a PyTorch file without torch; nothing in it is run.

Such a file holds a pickle: instructions, which may call any function there
is. This follows only those that `torch.save` writes for a state dict, and
calls nothing: it knows what the few names stand for that they call. With any
other instruction or name the file is refused.

Reference:
    - `torch/serialization.py` of PyTorch: a zip container, and a stream for
      versions before 1.6.
"""

import io
import itertools
import math
import pickletools
import struct
from collections import namedtuple

import numpy as np

_ORDERED_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_DTYPES = {
    "torch HalfStorage": "<f2",
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch IntStorage": "<i4",
    "torch LongStorage": "<i8",
}
_NAMES = {_ORDERED_DICT, _TENSOR, _PARAMETER, *_DTYPES}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
#: A thousand arrays take 35,000.
_MAX_INSTRUCTIONS = 200_000
_MAX_RANK, _MAX_LENGTH = 8, 2**40

_Name = namedtuple("_Name", "text")
_Storage = namedtuple("_Storage", "key dtype count")
_Tensor = namedtuple("_Tensor", "storage offset shape axes")


class NotPlainError(ValueError):
    """A file that this does not read."""


def stream_arrays(data):
    """Finds the arrays in the bytes of a file of before PyTorch 1.6.

    Args:
        data: bytes. The whole file.

    Returns:
        A dict from name to a read-only numpy array.

    Raises:
        NotPlainError: It is another file, or a damaged one.
    """
    file = io.BytesIO(data)
    if (_follow(file), _follow(file)) != (_MAGIC, _PROTOCOL):
        raise NotPlainError("it is no file of torch.save")
    machine = _follow(file)
    if not isinstance(machine, dict) or not machine.get("little_endian"):
        raise NotPlainError("it was written on a big-endian machine")
    tensors, storages = _tensors(_follow(file))
    keys = _follow(file)
    if (
        type(keys) is not list
        # Tuples of tuples of tuples may take for ever to compare.
        or not all(type(key) is str for key in keys)
        or sorted(keys) != sorted(storages)
    ):
        raise NotPlainError("its list of arrays is damaged")
    arrays, start = {}, file.tell()
    for key in keys:
        count = struct.pack("<q", storages[key].count)
        if data[start : start + 8] != count:
            raise NotPlainError("it is cut off, or its arrays are damaged")
        arrays[key] = _array(data, start + 8, storages[key])
        start += 8 + arrays[key].nbytes
    return _views(tensors, arrays)


def zip_arrays(archive, read):
    """Finds the arrays in a zip container.

    Args:
        archive: collection of str. The names of its entries.
        read: callable from a name to the bytes of an entry.

    Returns:
        A dict from name to a read-only numpy array.

    Raises:
        NotPlainError: It is another file, or a damaged one.
    """
    pickles = [name for name in archive if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise NotPlainError("it is no file of torch.save")
    folder = pickles[0].removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive and read(order) != b"little":
        raise NotPlainError("it was written on a big-endian machine")
    tensors, storages = _tensors(_follow(io.BytesIO(read(pickles[0]))))
    arrays = {
        key: _array(read(f"{folder}data/{key}"), 0, storage)
        for key, storage in storages.items()
    }
    return _views(tensors, arrays)


def _follow(file):
    """What the next pickle of a file says, of dicts, lists and our tuples."""
    stack, marks, memo = [], [], {}

    def since_mark():
        start = marks.pop()
        values = stack[start:]
        del stack[start:]
        return values

    steps = itertools.islice(pickletools.genops(file), _MAX_INSTRUCTIONS)
    try:
        for instruction, value, _ in steps:
            match instruction.name:
                case "PROTO":
                    pass
                case "STOP":
                    (result,) = stack
                    return result
                case "NONE":
                    stack.append(None)
                case "NEWTRUE":
                    stack.append(True)
                case "NEWFALSE":
                    stack.append(False)
                case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE":
                    stack.append(value)
                case "BINPUT" | "LONG_BINPUT":
                    memo[value] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[value])
                case "MARK":
                    marks.append(len(stack))
                case "EMPTY_TUPLE":
                    stack.append(())
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    count = int(instruction.name[-1])
                    stack[-count:] = [tuple(stack[-count:])]
                case "TUPLE":
                    stack.append(tuple(since_mark()))
                case "EMPTY_LIST":
                    stack.append([])
                case "APPEND":
                    _append(stack, [stack.pop()])
                case "APPENDS":
                    _append(stack, since_mark())
                case "EMPTY_DICT":
                    stack.append({})
                case "SETITEM":
                    value = stack.pop()
                    _set_items(stack, [stack.pop(), value])
                case "SETITEMS":
                    _set_items(stack, since_mark())
                case "GLOBAL":
                    if value not in _NAMES:
                        raise NotPlainError(f"it wants {value[:80]!r} called")
                    stack.append(_Name(value))
                case "REDUCE":
                    arguments = stack.pop()
                    stack.append(_meaning(stack.pop(), arguments))
                case "BUILD":
                    # Versions of the modules, which decide nothing here.
                    stack.pop()
                    _set_items(stack, [])
                case "BINPERSID":
                    stack.append(_storage(stack.pop()))
                case other:
                    raise NotPlainError(f"it has the instruction {other}")
    except NotPlainError:
        raise
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise NotPlainError("its pickle is damaged or cut off") from error
    raise NotPlainError("its pickle is too long")


def _append(stack, values):
    if type(stack[-1]) is not list:
        raise NotPlainError("its pickle is damaged")
    stack[-1].extend(values)


def _set_items(stack, flat):
    keys = flat[::2]
    # Others, of tuples in tuples, may take for ever to hash.
    if type(stack[-1]) is not dict or not all(type(k) is str for k in keys):
        raise NotPlainError("its pickle is damaged")
    stack[-1].update(zip(keys, flat[1::2], strict=True))


def _meaning(name, arguments):
    """What a call gives."""
    if name == _Name(_ORDERED_DICT) and arguments == ():
        return {}
    if name == _Name(_PARAMETER) and isinstance(arguments[0], _Tensor):
        return arguments[0]
    if name != _Name(_TENSOR):
        raise NotPlainError("its pickle is damaged")
    storage, offset, shape, strides = arguments[:4]
    if (
        not isinstance(storage, _Storage)
        or not len(shape) == len(strides) <= _MAX_RANK
        or not all(_is_length(value) for value in (offset, *shape, *strides))
    ):
        raise NotPlainError("an array's shape is damaged")
    # Rows may come before columns or after them, but nothing twice.
    axes = sorted(range(len(shape)), key=lambda axis: -strides[axis])
    step = 1
    for axis in reversed(axes):
        if shape[axis] > 1 and strides[axis] != step:
            raise NotPlainError("an array does not fill its place")
        step *= shape[axis]
    return _Tensor(storage, offset, shape, tuple(axes))


def _storage(value):
    kind, name, key, _, count = value[:5]
    if (
        kind != "storage"
        or not isinstance(name, _Name)
        or name.text not in _DTYPES
        or type(key) is not str
        or not _is_length(count)
    ):
        raise NotPlainError("an array's place is damaged")
    return _Storage(key, np.dtype(_DTYPES[name.text]), count)


def _is_length(value):
    return type(value) is int and 0 <= value < _MAX_LENGTH


def _tensors(value):
    """The tensors of a state dict, and their storages by key."""
    if (
        not isinstance(value, dict)
        or not value
        or not all(isinstance(tensor, _Tensor) for tensor in value.values())
    ):
        raise NotPlainError("it is not a state dict: arrays by name")
    storages = {}
    for tensor in value.values():
        storage = tensor.storage
        if storages.setdefault(storage.key, storage) != storage:
            raise NotPlainError("two arrays are in one place")
    return value, storages


def _array(data, start, storage):
    if storage.count * storage.dtype.itemsize > len(data) - start:
        raise NotPlainError("it is cut off, or its arrays are damaged")
    return np.frombuffer(data, storage.dtype, storage.count, start)


def _views(tensors, arrays):
    views = {}
    for name, (storage, offset, shape, axes) in tensors.items():
        array = arrays[storage.key]
        count = math.prod(shape)
        if offset + count > len(array):
            raise NotPlainError("an array is larger than its place")
        array = array[offset : offset + count]
        array = array.reshape([shape[axis] for axis in axes])
        views[name] = array.transpose(np.argsort(axes))
    return views
