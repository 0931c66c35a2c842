"""A reader of plain HDF5 files that nothing in a file can lead astray.

libhdf5 can be made to hang, or to take all memory, by a single byte. This
knows what a weights file takes and no more: superblock 0, groups as B-trees,
arrays of numbers that stand in the file as they are, each in its own place, as
h5py writes them with `libver="earliest"`. No address is followed twice, and no
more is read of headers than the file has bytes. Attributes, which decide
nothing, are not looked at.

Reference:
    - The HDF Group, *HDF5 File Format Specification Version 3.0*.
"""

import itertools
import math
import re
import struct

import ml_dtypes
import numpy as np

_MESSAGES = {
    "float16": "11200f00 02000000 00001000 0a05000a 0f000000",
    "float32": "11201f00 04000000 00002000 17080017 7f000000",
    "float64": "11203f00 08000000 00004000 340b0034 ff030000",
    "int32": "10080000 04000000 00002000",
    "int64": "10080000 08000000 00004000",
    "uint32": "10000000 04000000 00002000",
    "uint64": "10000000 08000000 00004000",
    # Keras' way with bfloat16: two opaque bytes.
    "bfloat16": "15000000 02000000",
}
_DTYPES = {
    bytes.fromhex(message): np.dtype(getattr(ml_dtypes, name, name))
    for name, message in _MESSAGES.items()
}
# Kinds of messages in an object's header.
_SPACE, _TYPE, _LAYOUT, _CONTINUED, _TABLE = 0x01, 0x03, 0x08, 0x10, 0x11
_ARRAY = {_SPACE, _TYPE, _LAYOUT}
# Nothing, fill value, attribute, time of the last change.
_NO_MATTER = {0x00, 0x05, 0x0C, 0x12}
_MAX_DEPTH, _MAX_NAME = 16, 100
#: Bytes of headers and links; a thousand arrays take half of one million.
_MAX_STRUCTURE = 4_000_000


class NotPlainError(ValueError):
    """A file that this does not read."""


def plain_arrays(data):
    """Finds the arrays in the bytes of an HDF5 file.

    Args:
        data: `bytes` or `mmap.mmap`: the whole file.

    Returns:
        A dict from path, `"group/group/name"`, to a numpy array on `data`.

    Raises:
        NotPlainError: it is another file, or a damaged one.
    """
    return dict(_File(data).arrays())


class _File:
    def __init__(self, data):
        self.data = data
        self.seen = set()
        self.left = min(len(data), _MAX_STRUCTURE)
        self.extents = []

    def arrays(self):
        if self.data[:8] != b"\x89HDF\r\n\x1a\n":
            raise NotPlainError("it is no HDF5 file")
        (version, offsets, lengths) = self.take("<B4xBB", 8)
        if (version, offsets, lengths) != (0, 8, 8):
            raise NotPlainError("its superblock is of another version")
        (base, end) = self.take("<Q8xQ", 24)
        if base != 0 or end != len(self.data):
            raise NotPlainError(
                f"it should have {end:,} bytes and has {len(self.data):,}"
            )
        (root,) = self.take("<Q", 64)
        places, found = [("", root)], set()
        while places:
            home, address = places.pop()
            messages = self.messages(address)
            if set(messages) == {_TABLE}:
                for name, child in self.links(messages[_TABLE]):
                    path = f"{home}/{name}" if home else name
                    if path in found or path.count("/") > _MAX_DEPTH:
                        raise NotPlainError(f"{path!r} is there twice or deep")
                    found.add(path)
                    places.append((path, child))
            elif set(messages) == _ARRAY:
                yield home, self.array(home, messages)
            else:
                raise NotPlainError(
                    f"{home!r} is neither a group nor a plain array"
                )
        self.extents.sort()
        for (_, stop), (start, _) in itertools.pairwise(self.extents):
            if start < stop:
                raise NotPlainError("two arrays are in one place")

    # === Bytes ===

    def take(self, form, offset):
        """Numbers at an offset."""
        self.left -= struct.calcsize(form)
        if self.left < 0:
            raise NotPlainError("it says too much of too little")
        if offset > len(self.data) - struct.calcsize(form):
            raise NotPlainError("it points out of itself")
        return struct.unpack_from(form, self.data, offset)

    def visit(self, address):
        if address in self.seen:
            raise NotPlainError("it points twice to one place")
        self.seen.add(address)

    def block(self, address, signature, form):
        """Numbers after a block's signature."""
        self.visit(address)
        found, *values = self.take("<4s" + form, address)
        if found != signature:
            raise NotPlainError(f"it has no {signature.decode()} where it says")
        return values

    # === Objects ===

    def messages(self, address):
        """What matters in an object's header, a dict from kind to content."""
        self.visit(address)
        version, count, size = self.take("<BxH4xI", address)
        if version != 1:
            raise NotPlainError("an object is of another version")
        found, blocks = {}, [(address + 16, size)]
        while blocks:
            start, size = blocks.pop()
            stop = start + size
            while count and start + 8 <= stop:
                kind, length, flags = self.take("<HHB", start)
                (content,) = self.take(f"<{length}s", start + 8)
                start += 8 + length
                count -= 1
                # A constant is marked 1; a shared message lies elsewhere.
                if flags > 1 or start > stop or kind in found:
                    raise NotPlainError("an object's header is damaged")
                if kind == _CONTINUED:
                    more, size = struct.unpack("<QQ", content[:16].ljust(16))
                    self.visit(more)
                    blocks.append((more, size))
                elif kind not in _NO_MATTER:
                    found[kind] = content
        if count:
            raise NotPlainError("an object's header is damaged")
        return found

    def links(self, table):
        """Yields a group's names and their objects' addresses."""
        tree, heap = struct.unpack("<QQ", table[:16].ljust(16))
        version, size, names = self.block(heap, b"HEAP", "B3xQ8xQ")
        if version != 0 or names + size > len(self.data):
            raise NotPlainError("a group's names are damaged")
        nodes = [tree]
        while nodes:
            node = nodes.pop()
            kind, _, used = self.block(node, b"TREE", "BBH16x")
            if kind != 0:
                raise NotPlainError("a group is damaged")
            for i in range(used):
                (child,) = self.take("<Q", node + 32 + 16 * i)
                if self.data[child : child + 4] == b"TREE":
                    nodes.append(child)
                else:
                    yield from self.entries(child, names, size)

    def entries(self, address, names, size):
        version, count = self.block(address, b"SNOD", "BxH")
        if version != 1:
            raise NotPlainError("a group is damaged")
        for i in range(count):
            name, header, cached = self.take("<QQI", address + 8 + 40 * i)
            if cached > 1 or name >= size:
                raise NotPlainError("a link is not a plain one")
            start = names + name
            text = self.data[start : names + min(size, name + _MAX_NAME)]
            text, end, _ = text.partition(b"\0")
            name = text.decode("ascii", errors="replace")
            if not end or not re.fullmatch(r"[\w.-]+", name, re.ASCII):
                raise NotPlainError("a name is damaged")
            yield name, header

    def array(self, path, messages):
        space, layout = messages[_SPACE], messages[_LAYOUT]
        rank = space[1] if len(space) >= 8 and space[0] == 1 else 255
        if rank > 8 or len(space) < 8 + 8 * rank:
            raise NotPlainError(f"the shape of {path!r} is damaged")
        shape = struct.unpack_from(f"<{rank}Q", space, 8)
        dtype = _dtype(messages[_TYPE])
        if dtype is None:
            raise NotPlainError(f"{path!r} is not an array of numbers")
        # Version 3, one piece.
        if len(layout) < 18 or layout[:2] != b"\3\1":
            raise NotPlainError(f"{path!r} does not stand in it as it is")
        start, size = struct.unpack_from("<QQ", layout, 2)
        count = math.prod(shape)
        if (
            count == 0
            or size != count * dtype.itemsize
            or start + size > len(self.data)
        ):
            raise NotPlainError(f"{path!r} is empty or larger than its place")
        self.extents.append((start, start + size))
        return np.frombuffer(self.data, dtype, count, start).reshape(shape)


def _dtype(message):
    for code, dtype in _DTYPES.items():
        if message.startswith(code):
            return dtype
    return None
