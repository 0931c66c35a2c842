import io
import mmap
import pickle
import time

import h5py
import ml_dtypes
import numpy as np
import pytest

from keras_lapgan.utils.plain_hdf5 import NotPlainError
from keras_lapgan.utils.plain_hdf5 import plain_arrays

ONES = np.ones((2, 3), "float32")


def made(write, **kwargs):
    """The bytes of what `write` puts into a file."""
    data = io.BytesIO()
    with h5py.File(data, "w", **kwargs) as file:
        write(file)
    return data.getvalue()


def by_h5py(data):
    """What `plain_arrays` should return."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(visit)
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape
        assert found[name].tobytes() == value.tobytes()


def patched(data, place, value):
    """`data` with another number of 8 bytes at `place`."""
    return data[:place] + value.to_bytes(8, "little") + data[place + 8 :]


def number(data, place):
    return int.from_bytes(data[place : place + 8], "little")


# === What is read ===


# 8 names fill a node, 300 a tree's root, 5000 a second floor.
@pytest.mark.parametrize("count", [0, 1, 8, 9, 300, 5000])
def test_arrays_of_a_group(count):
    expected = {f"a/vars/{i}": np.float32(i) for i in range(count)}

    def write(file):
        group = file.create_group("a/vars")
        for i in range(count):
            group[str(i)] = expected[f"a/vars/{i}"]

    assert_same(plain_arrays(made(write)), expected)


@pytest.mark.parametrize(
    "dtype",
    [
        "bfloat16",
        "float16",
        "float32",
        "float64",
        "int32",
        "int64",
        "uint32",
        "uint64",
    ],
)
def test_dtypes_and_shapes(dtype):
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    shapes = [(), (1,), (3,), (2, 3), (3, 1, 2), (1,) * 8]
    expected = {
        str(i): (np.arange(np.prod(shape)) * 7 + 1).reshape(shape).astype(kind)
        for i, shape in enumerate(shapes)
    }
    found = plain_arrays(made(lambda file: file.update(expected)))
    assert {value.dtype for value in found.values()} == {kind}
    assert_same(found, expected)


def test_attributes_do_not_matter():
    def write(file):
        file["a"] = ONES
        for i in range(30):
            file.attrs[str(i)] = "text" * i
            file["a"].attrs[str(i)] = ONES

    assert_same(plain_arrays(made(write)), {"a": ONES})


@pytest.mark.parametrize("policy", ["float32", "bfloat16"])
def test_a_file_of_keras(tiny, tmp_path, policy):
    model = tiny.model((9, 4), num_classes=3, filters=2)
    for layer in model.levels[0].generator.layers:
        layer.dtype_policy = policy
    model.compile("adam", "adam", **tiny.quick)
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    expected = by_h5py(path.read_bytes())
    assert len(expected) > 100
    assert_same(plain_arrays(data), expected)


# === What is refused, one thing a file ===


def link(value):
    def write(file):
        file["a"] = ONES
        file["b"] = value

    return write


def dataset(**kwargs):
    return lambda file: file.create_dataset("a", **kwargs)


def virtual(file):
    layout = h5py.VirtualLayout((2, 3), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "a", (2, 3))
    file.create_virtual_dataset("a", layout)


def compact(file):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((2, 3))
    h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F32LE, space, properties)


def one_array_twice(file):
    file["a"] = ONES
    file["b"] = file["a"]


def a_group_in_itself(file):
    file.create_group("a/b")
    file["a/b/c"] = file["a"]


def reference(file):
    file["b"] = ONES
    file.create_dataset("a", data=file["b"].ref, dtype=h5py.ref_dtype)


_REFUSED = {
    "external link": (
        link(h5py.ExternalLink("/etc/x", "a")),
        "header is damaged",
    ),
    "soft link": (link(h5py.SoftLink("/a")), "plain one"),
    "dangling soft link": (link(h5py.SoftLink("/none")), "plain one"),
    "one array twice": (one_array_twice, "twice to one place"),
    "group in itself": (a_group_in_itself, "twice to one place"),
    "external storage": (
        dataset(shape=(4,), dtype="float32", external=[("/etc/x", 0, 16)]),
        "'a' is neither a group nor a plain array",
    ),
    "virtual": (virtual, "does not stand in it"),
    "chunked": (dataset(data=ONES, chunks=(1, 3)), "does not stand in it"),
    "gzip": (dataset(data=ONES, compression="gzip"), "nor a plain array"),
    "resizable": (dataset(data=ONES, maxshape=(None, 3)), "does not stand"),
    "compact": (compact, "does not stand in it"),
    "reference": (reference, "not an array of numbers"),
    "texts": (dataset(data=["a", "b"]), "not an array of numbers"),
    "fixed texts": (dataset(data=np.array([b"ab"])), "not an array of numbers"),
    "records": (
        dataset(data=np.zeros(2, "f4,i4")),
        "not an array of numbers",
    ),
    "switches": (dataset(data=np.array([True])), "not an array of numbers"),
    "complex": (dataset(data=np.ones(1, "c8")), "not an array of numbers"),
    "big endian": (dataset(data=ONES.astype(">f4")), "not an array of numbers"),
    "bytes": (dataset(data=np.ones(3, "uint8")), "not an array of numbers"),
    "nothing": (dataset(data=h5py.Empty("f4")), "shape of 'a'"),
    "committed type": (link(np.dtype("f4")), "header is damaged"),
    "array of a committed type": (
        lambda file: (
            file.update(t=np.dtype("f4"))
            or file.create_dataset("a", data=ONES, dtype=file["t"])
        ),
        "header is damaged",
    ),
    "9 dimensions": (dataset(data=np.ones((1,) * 9, "f4")), "shape of 'a'"),
    "empty": (dataset(data=np.zeros((0, 3), "f4")), "larger than"),
    # A petabyte in a kilobyte.
    "huge and empty": (dataset(shape=(10**15,), dtype="f4"), "larger than"),
    "deep": (lambda f: f.create_group("/".join("a" * 18)), "twice or deep"),
    "long name": (lambda f: f.create_group("a" * 101), "name is damaged"),
    "name not ASCII": (lambda f: f.create_group("é"), "neither a group nor"),
    "name for terminals": (
        lambda f: f.create_group("\x1b[31m"),
        "name is damaged",
    ),
}


@pytest.mark.parametrize("write, message", _REFUSED.values(), ids=_REFUSED)
def test_what_is_not_plain(write, message):
    with pytest.raises(NotPlainError, match=message):
        plain_arrays(made(write))


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"libver": "latest"}, "superblock is of another version"),
        ({"userblock_size": 512}, "no HDF5 file"),
    ],
)
def test_other_forms_of_a_file(kwargs, message):
    with pytest.raises(NotPlainError, match=message):
        plain_arrays(made(link(ONES), **kwargs))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda data: b"", "no HDF5 file"),
        (lambda data: pickle.dumps(ONES), "no HDF5 file"),
        (lambda data: data[:8], "points out of itself"),
        (lambda data: data[:60], "should have"),
        (lambda data: data[:-1], "should have"),
        (lambda data: data + b"\0", "should have"),
        (lambda data: patched(data, 24, 8), "should have"),
        # The root's header.
        (lambda data: patched(data, 64, 0), "of another version"),
        (lambda data: patched(data, 64, 2**64 - 1), "points out of itself"),
        (lambda data: data.replace(b"HEAP", b"HEAD"), "no HEAP"),
        (lambda data: data.replace(b"TREE", b"TRUE"), "no TREE"),
        (lambda data: data.replace(b"SNOD", b"SNOW"), "no SNOD"),
    ],
)
def test_damaged_files(spoil, message):
    with pytest.raises(NotPlainError, match=message):
        plain_arrays(spoil(made(link(ONES))))


def test_an_empty_array_of_any_length():
    data = made(lambda file: file.update(a=np.ones((3, 5), "float32")))
    shape = data.find((3).to_bytes(8, "little") + (5).to_bytes(8, "little"))
    spoilt = patched(patched(data, shape, 0), shape + 8, 2**63)
    spoilt = spoilt.replace((60).to_bytes(8, "little"), bytes(8))
    with pytest.raises(NotPlainError, match="larger than its place"):
        plain_arrays(spoilt)


@pytest.mark.parametrize("shift", [-8, 0, 8])
def test_arrays_that_lie_over_each_other(shift):
    starts = []

    def write(file):
        for name in "ab":
            array = file.create_dataset(name, data=ONES)
            file.flush()
            starts.append(array.id.get_offset())

    data = made(write)
    place = data.find(starts[1].to_bytes(8, "little"))
    with pytest.raises(NotPlainError, match="two arrays are in one place"):
        plain_arrays(patched(data, place, starts[0] + shift))


def test_every_byte_can_be_damaged():
    data = made(link(np.arange(5)))
    expected = plain_arrays(data)
    outcomes = set()
    for place in range(len(data)):
        for value in {0, 1, 255, data[place] ^ 1, data[place] ^ 128}:
            spoilt = data[:place] + bytes([value]) + data[place + 1 :]
            try:
                found = plain_arrays(spoilt)
            except NotPlainError:
                outcomes.add("refused")
            else:
                outcomes.add("read")
                assert all(
                    value.nbytes <= len(data) for value in found.values()
                )
    assert outcomes == {"read", "refused"}
    assert_same(plain_arrays(data), expected)


# === Files that make libhdf5 hang: never open these with h5py ===


def test_free_space_that_follows_itself():
    data = made(lambda file: file.update({"a/vars/0": ONES}))
    heap = data.find(b"HEAP")
    free = number(data, heap + 24) + number(data, heap + 16)
    spoilt = patched(data, free, number(data, heap + 16))
    assert spoilt != data
    assert_same(plain_arrays(spoilt), {"a/vars/0": ONES})


def test_a_text_of_no_length():
    def write(file):
        file["a"] = ONES
        file["a"].attrs["dtype"] = "bfloat16"

    data = made(write)
    # The object after the first of the collection.
    first = data.find(b"GCOL") + 16
    second = first + 16 + -(-number(data, first + 8) // 8) * 8
    spoilt = patched(patched(data, second, 5), second + 8, 0)
    assert spoilt != data
    assert_same(plain_arrays(spoilt), {"a": ONES})


@pytest.mark.parametrize("where", ["left", "right"])
def test_a_node_that_is_its_own_neighbour(where):
    data = made(link(ONES))
    tree = data.find(b"TREE")
    spoilt = patched(data, tree + (8 if where == "left" else 16), tree)
    assert_same(plain_arrays(spoilt), {"a": ONES, "b": ONES})


def test_a_node_that_is_its_own_child():
    data = made(link(ONES))
    tree = data.find(b"TREE")
    with pytest.raises(NotPlainError, match="twice to one place"):
        plain_arrays(patched(data, tree + 32, tree))


def test_headers_that_lie_over_each_other():
    addresses = []

    def write(file):
        for i in range(200):
            made = file.create_dataset(str(i), data=np.ones(1, "f4"))
            addresses.append(h5py.h5o.get_info(made.id).addr)

    # Each header goes on in half a megabyte of nothing, 8 bytes further.
    data = bytearray(made(write))
    nothing = len(data)
    for i, address in enumerate(addresses):
        data[address + 2 : address + 4] = b"\xff\xff"
        gap = address + 128
        data[gap] = 0x10
        data[gap + 8 : gap + 16] = (nothing + 8 * i).to_bytes(8, "little")
        data[gap + 16 : gap + 24] = (8 * 65_535).to_bytes(8, "little")
    data += bytes(8 * 66_000)
    data[40:48] = len(data).to_bytes(8, "little")
    start = time.process_time()
    with pytest.raises(NotPlainError, match="says too much of too little"):
        plain_arrays(bytes(data))
    assert time.process_time() - start < 3
