import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from keras_lapgan.metrics.extractors import ExtractorError
from keras_lapgan.metrics.extractors.state_dict import StateDict

MAGIC = 0x1950A86A20F9469CFC6C
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
CONTAINERS = ["zip", "stream"]


def stream(state, keys=b"", data=b"", machine=MACHINE):
    """A file of before PyTorch 1.6 around the pickle `state`."""
    start = [pickle.dumps(part, 2) for part in (MAGIC, 1001, machine)]
    return b"".join(start) + state + (keys or pickle.dumps([], 2)) + data


def container(state, entries=(), compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", state)
        for name, content in entries:
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


def a_tensor(
    key=b"0", count=4, offset=0, shape=(4,), strides=(1,), storage=b""
):
    """The pickle of `{"x": tensor}`."""
    number = b"J" + struct.pack("<i", count)
    shapes = [
        b"(" + b"".join(b"J" + struct.pack("<i", n) for n in numbers) + b"t"
        for numbers in (shape, strides)
    ]
    text = [
        b"X" + struct.pack("<I", len(t)) + t
        for t in (b"storage", key, b"cpu", b"x")
    ]
    return (
        b"\x80\x02}"
        + text[3]
        + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + text[0]
        + (storage or b"ctorch\nFloatStorage\n")
        + text[1]
        + text[2]
        + number
        + b"tQJ"
        + struct.pack("<i", offset)
        + shapes[0]
        + shapes[1]
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )


@pytest.fixture
def read(tmp_path):
    def read(data):
        path = tmp_path / "weights.pth"
        path.write_bytes(data)
        return StateDict(path).arrays

    return read


@pytest.fixture
def refused(read):
    def refused(data, *words):
        with pytest.raises(ExtractorError) as error:
            read(data)
        assert "weights.pth" in str(error.value)
        for word in words:
            assert word in str(error.value)

    return refused


@pytest.fixture(params=CONTAINERS)
def saved(request):
    """Bytes that `torch.save` writes."""
    torch = pytest.importorskip("torch")

    def save(state):
        file = io.BytesIO()
        new = request.param == "zip"
        torch.save(state, file, _use_new_zipfile_serialization=new)
        return file.getvalue()

    return save


def test_a_module_of_torch(saved, read):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, (2, 5)), torch.nn.BatchNorm2d(4)
    )
    arrays = read(saved(module.state_dict()))
    assert list(arrays) == list(module.state_dict())
    for name, tensor in module.state_dict().items():
        assert arrays[name].shape == tuple(tensor.shape)
        np.testing.assert_array_equal(arrays[name], tensor.numpy())


def test_views_and_other_types(saved, read):
    torch = pytest.importorskip("torch")
    x = torch.arange(24, dtype=torch.float32)
    state = {
        "part": x[6:],
        "turned": x.reshape(2, 3, 4).permute(2, 0, 1),
        "parameter": torch.nn.Parameter(x[:2]),
        "half": x.half(),
        "double": x.double(),
        "long": x.long(),
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 3),
    }
    arrays = read(saved(state))
    for name, tensor in state.items():
        np.testing.assert_array_equal(arrays[name], tensor.detach().numpy())


def test_what_is_no_state_dict(saved, refused):
    torch = pytest.importorskip("torch")
    x = torch.zeros(3)
    refused(saved({"a": x, "epoch": 3}), "not a state dict")
    refused(saved(x), "not a state dict")
    refused(saved({}), "not a state dict")
    refused(saved({"a": torch.zeros(3, 1).expand(3, 4)}), "fill its place")
    refused(saved(torch.nn.Linear(2, 2)), "torch.nn.modules.linear Linear")


def test_a_file_that_is_cut_off(saved, refused):
    torch = pytest.importorskip("torch")
    data = saved({"a": torch.ones(50), "b": torch.ones(7, 3)})
    for stop in [0, 1, 7, 8, 20, *range(50, len(data), 37), len(data) - 1]:
        refused(data[:stop])


class Calls:
    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["top", "value", "state"])
def test_nothing_is_run(refused, tmp_path, kind, protocol, place):
    made = tmp_path / "made"
    for evil in (
        Calls(os.system, f"touch {made}"),
        Calls(eval, f"open({str(made)!r}, 'w')"),
        Calls(os.mkdir, str(made)),
    ):
        state = {"top": evil, "value": {"x": evil}, "state": OrderedDict()}
        state["state"].hook = evil
        data = pickle.dumps(state[place], protocol)
        data = stream(data) if kind == "stream" else container(data)
        refused(data)
        assert not made.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02ccollections\nOrderedDict\n]]\x86\x85R.",
        b"(S'touch x'\nios\nsystem\n.",
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        b"\x80\x02}N}X\x03\x00\x00\x00abcNs\x86b.",
        b"\x80\x02h\x05.",
        b"\x80\x02R.",
        b"\x80\x02t.",
        b"\x80\x02}(NN)u.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x80\x02\x8b\xff\xff\xff\x7fabc.",
        b"\x80\x02" + b"}" * 250_000 + b".",
        b"\x80\x02" + b"(" * 120_000 + b"t" * 70_000 + b".",
        b"\x80\x02)" + b"\x85" * 150_000 + b".",
        # A key of which the hash would take for ever.
        b"\x80\x02)" + b"q\x00h\x00\x86" * 100 + b"q\x01}h\x01Ns.",
    ],
)
@pytest.mark.parametrize("kind", CONTAINERS)
def test_other_instructions(refused, kind, code):
    refused(stream(code) if kind == "stream" else container(code))


def test_keys_that_take_for_ever_to_compare(refused):
    pair = b")" + b"q\0h\0\x86" * 60
    refused(stream(pickle.dumps({}, 2), b"\x80\x02](" + pair + pair + b"e."))


ARRAY = np.arange(4, dtype="<f4")


def test_the_pickles_above_are_of_the_right_form(read):
    data = container(a_tensor(), [("data/0", ARRAY.tobytes())])
    np.testing.assert_array_equal(read(data)["x"], ARRAY)
    keys = pickle.dumps(["0"], 2)
    data = stream(a_tensor(), keys, struct.pack("<q", 4) + ARRAY.tobytes())
    np.testing.assert_array_equal(read(data)["x"], ARRAY)


@pytest.mark.parametrize(
    "tensor",
    [
        {"shape": (5,)},
        {"offset": 1},
        {"offset": -1},
        {"shape": (-4,)},
        {"strides": (0,)},
        {"strides": (2,)},
        {"shape": (2, 2), "strides": (1, 1)},
        {"shape": (2, 2), "strides": (1,)},
        {"shape": (1,) * 9, "strides": (1,) * 9},
        {"shape": (2**31 - 1,) * 8, "strides": (0,) * 8},
        {"count": 2**31 - 1, "shape": (2**31 - 1,)},
        {"count": -4},
        {"key": b"../../data.pkl"},
        {"key": b"1"},
        {"storage": b"ctorch\nQInt8Storage\n"},
        {"storage": b"ccollections\nOrderedDict\n"},
        {"storage": b"N"},
    ],
)
def test_sizes_and_places_that_are_not_so(refused, tensor):
    state = a_tensor(**tensor)
    refused(container(state, [("data/0", ARRAY.tobytes())]))
    count = struct.pack("<q", tensor.get("count", 4))
    keys = pickle.dumps(["0"], 2)
    refused(stream(state, keys, count + ARRAY.tobytes()))


def test_containers_that_are_not_so(refused):
    entry = ("data/0", ARRAY.tobytes())
    other = ("byteorder", b"big")
    refused(container(a_tensor(), [entry, other]), "big-endian")
    refused(
        stream(a_tensor(), machine={**MACHINE, "little_endian": False}),
        "big-endian",
    )
    refused(container(a_tensor(), [entry, ("b/data.pkl", b"")]))
    bomb = a_tensor(count=2**22, shape=(2**22,))
    data = container(
        bomb, [("data/0", bytes(2**24))], compression=zipfile.ZIP_DEFLATED
    )
    assert len(data) < 2**20
    refused(data, "compressed")
    many = [(f"data/{i}", b"") for i in range(10_001)]
    refused(container(a_tensor(), many), "too many")


@pytest.mark.parametrize("kind", CONTAINERS)
def test_any_damaged_byte(tmp_path, kind):
    """Read or refused, but nothing else."""
    if kind == "stream":
        count = struct.pack("<q", 4)
        whole = stream(
            a_tensor(), pickle.dumps(["0"], 2), count + ARRAY.tobytes()
        )
    else:
        whole = container(a_tensor(), [("data/0", ARRAY.tobytes())])
    path = tmp_path / "x.pth"
    rng = np.random.default_rng(0)
    read = 0
    for place in rng.integers(0, len(whole), 1000):
        data = bytearray(whole)
        data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            read += len(StateDict(path).arrays) == 1
        except ExtractorError:
            pass
    assert 0 < read < 900
