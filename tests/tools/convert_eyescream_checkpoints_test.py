import contextlib
import gzip
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.datasets import load_images

msgpack = pytest.importorskip("msgpack")

TOOL = Path(__file__).parents[2] / "tools" / "convert_eyescream_checkpoints.py"
_spec = importlib.util.spec_from_file_location(TOOL.stem, TOOL)
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


# === Files ===


def linear(rng, units, inputs):
    return {
        "type": "Linear",
        "weight": rng.normal(0, 0.1, units * inputs).tolist(),
        "bias": rng.normal(0, 0.1, units).tolist(),
        "outSize": units,
        "inSize": inputs,
    }


def convolution(rng, maps, side, inputs):
    return {
        "type": "SpatialConvolution",
        "weight": rng.normal(0, 0.03, maps * side**2 * inputs).tolist(),
        "bias": rng.normal(0, 0.1, maps).tolist(),
        "padH": side // 2,
        "padW": side // 2,
    }


def dense_net():
    """What `8x8.mpac` holds, with other numbers."""
    rng = np.random.default_rng(0)
    return {
        "type": "Sequential",
        "modules": [
            {"type": "JoinTable", "dimension": 1},
            linear(rng, 600, 110),
            {"type": "ReLU"},
            linear(rng, 600, 600),
            {"type": "ReLU"},
            linear(rng, 192, 600),
            {"type": "View", "dims": [3, 8, 8]},
        ],
    }


def convolutional_net():
    """What `14x28.mpac.gz` holds, with other numbers."""
    rng = np.random.default_rng(1)
    plane = [
        convolution(rng, 784, 1, 10),
        {"type": "ReLU"},
        {"type": "View", "dims": [3, 8, 8]},
    ]
    parallel = [
        {"type": "Identity"},
        {"type": "Sequential", "modules": plane},
        {"type": "Identity"},
    ]
    return {
        "type": "Sequential",
        "modules": [
            {"type": "Parallel", "modules": parallel},
            {"type": "JoinTable", "dimension": 1},
            convolution(rng, 128, 7, 5),
            {"type": "ReLU"},
            convolution(rng, 128, 7, 128),
            {"type": "ReLU"},
            convolution(rng, 3, 5, 128),
        ],
    }


def packed(net):
    return msgpack.packb(net, use_single_float=True)


def write_nets(folder):
    (folder / "8x8.mpac").write_bytes(packed(dense_net()))
    (folder / "14x28.mpac.gz").write_bytes(
        gzip.compress(packed(convolutional_net()), 1)
    )
    return folder


def real_folder():
    root = os.environ.get("KERAS_LAPGAN_TEST_DATA")
    if not root:
        pytest.skip("KERAS_LAPGAN_TEST_DATA (a folder) is not set")
    folder = Path(root) / "eyescream"
    for name in ("8x8.mpac", "14x28.mpac.gz"):
        if not (folder / name).is_file():
            pytest.skip(f"{folder / name} is missing")
    return folder


def run(*arguments):
    """Runs the tool; returns what it printed."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
        with contextlib.redirect_stdout(output):
            tool.main()
    return output.getvalue()


@pytest.fixture(scope="module", params=["synthetic", "real"])
def converted(request, tmp_path_factory):
    """A folder of nets, and what the tool made of it."""
    home = tmp_path_factory.mktemp(request.param)
    folder = real_folder() if request.param == "real" else write_nets(home)
    printed = run(folder, home / "preset")
    return SimpleNamespace(
        home=folder,
        dense=msgpack.unpackb((folder / "8x8.mpac").read_bytes()),
        convolutional=msgpack.unpackb(
            gzip.decompress((folder / "14x28.mpac.gz").read_bytes())
        ),
        preset=home / "preset",
        printed=printed,
        model=LAPGAN.from_preset(home / "preset"),
    )


# === The nets ===


def test_parameter_counts(converted):
    lines = converted.printed.splitlines()
    assert lines[0] == "8x8.mpac: 542,592 parameters"
    assert lines[1] == "14x28.mpac.gz: 852,659 parameters"
    model = converted.model
    assert model.level(2).generator.count_params() == 542_592
    assert model.level(0).generator.count_params() == 852_659


def test_what_is_missing_is_said(converted):
    assert "missing, so untrained: the generator of level 1" in (
        converted.printed
    )
    for text in (
        converted.printed,
        (converted.preset / "NOTICE").read_text(),
    ):
        assert "states no licence" in text


def dense_by_hand(net, noise, labels):
    x = np.concatenate([noise, np.eye(10)[labels]], axis=1)
    first, second, last = (m for m in net["modules"] if m["type"] == "Linear")
    for module in (first, second, last):
        weight = np.reshape(module["weight"], (module["outSize"], -1))
        x = x @ weight.T + module["bias"]
        if module is not last:
            x = np.maximum(x, 0)
    return x.reshape(-1, 3, 8, 8).transpose(0, 2, 3, 1)


def convolved_by_hand(module, x, side):
    """Torch's `SpatialConvolution`, on NHWC."""
    channels = x.shape[3]
    weight = np.reshape(module["weight"], (-1, side, side, channels))
    edge = side // 2
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    height, width = x.shape[1:3]
    result = np.zeros((*x.shape[:3], len(weight))) + module["bias"]
    for i in range(side):
        for j in range(side):
            shifted = padded[:, i : i + height, j : j + width]
            result += shifted @ weight[:, i, j].T
    return result


def convolutional_by_hand(net, noise, labels, condition):
    parallel, _, first, _, second, _, last = net["modules"]
    linear = parallel["modules"][1]["modules"][0]
    weight = np.reshape(linear["weight"], (784, 10))
    plane = np.maximum(np.eye(10)[labels] @ weight.T + linear["bias"], 0)
    plane = plane.reshape(-1, 28, 28, 1)
    x = np.concatenate([noise, plane, condition], axis=3)
    x = np.maximum(convolved_by_hand(first, x, 7), 0)
    x = np.maximum(convolved_by_hand(second, x, 7), 0)
    return convolved_by_hand(last, x, 5)


def assert_close(actual, expected):
    actual = keras.ops.convert_to_numpy(actual)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(
        actual, expected, rtol=1e-4, atol=1e-4 * expected.std()
    )


def test_8x8_net_equals_its_file(converted):
    rng = np.random.default_rng(2)
    noise = rng.uniform(-1, 1, (20, 100)).astype("float32")
    labels = np.arange(20, dtype="int32") % 10
    expected = dense_by_hand(converted.dense, noise, labels)
    level = converted.model.level(2)
    for network in (level.generator, level.ema_generator):
        assert_close(network({"noise": noise, "labels": labels}), expected)


def test_14x28_net_equals_its_file(converted):
    rng = np.random.default_rng(3)
    noise = rng.uniform(-1, 1, (2, 28, 28, 1)).astype("float32")
    condition = rng.normal(0, 1, (2, 28, 28, 3)).astype("float32")
    labels = np.array([1, 8], "int32")
    expected = convolutional_by_hand(
        converted.convolutional, noise, labels, condition
    )
    inputs = {"noise": noise, "labels": labels, "condition": condition}
    level = converted.model.level(0)
    for network in (level.generator, level.ema_generator):
        assert_close(network(inputs), expected)


# === The preset ===


def test_preset_generates(converted):
    model = converted.model
    assert [size[0] for size in model.sizes] == [28, 14, 8]
    assert model.class_names[8] == "ship"
    assert model.normalization.is_adapted
    stages = model.generate(10, seed=0, return_pyramid=True)
    assert stages[0].dtype == "uint8"
    assert [s.shape for s in stages] == [(10, n, n, 3) for n in (28, 14, 8)]
    assert stages[0].std() > 10


@pytest.mark.parametrize("converted", ["real"], indirect=True)
def test_the_authors_nets_know_cifar10(converted):
    """The layout is right: the pictures are CIFAR-10's, class by class."""
    model = converted.model
    source = load_images("sample", size=32)
    real = source.read(range(len(source)))[:, 2:30, 2:30].astype("float32")

    def class_means(images, labels):
        means = np.stack([images[labels == k].mean(0) for k in range(10)])
        return means - means.mean(0)

    labels = np.arange(1000) % 10
    noise = model.level(2).noise.draw(1000, 0, 2)
    drawn = model.level(2).sample_band(labels=labels, noise=noise)
    drawn = class_means(keras.ops.convert_to_numpy(drawn), labels)
    coarse = model.pyramid.gaussian(model.normalization(real))[2]
    coarse = class_means(keras.ops.convert_to_numpy(coarse), source.labels)

    def correlation(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    assert correlation(drawn, coarse) > 0.8
    for other in (
        drawn.transpose(0, 2, 1, 3),
        drawn[:, ::-1],
        drawn[..., ::-1],
        drawn[::-1],
    ):
        assert correlation(other, coarse) < 0.7

    images = model.normalization(real[:64])
    band, condition = model.pyramid.decompose(images)[0]
    noise = model.level(0).noise.draw(64, 0, 0)
    drawn = model.level(0).sample_band(condition, source.labels[:64], noise)
    drawn, band = map(keras.ops.convert_to_numpy, (drawn, band))
    assert correlation(drawn, band) > 0.15


# === What is refused ===


def refusal(*arguments):
    """The one line that the tool ends with."""
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    line = caught.value.code
    assert isinstance(line, str) and len(line.splitlines()) == 1
    assert "Received: " in line
    return line


def altered(index, **entries):
    net = dense_net()
    net["modules"][index].update(entries)
    return packed(net)


def with_first_weight(value):
    net = dense_net()
    net["modules"][1]["weight"][0] = value
    return msgpack.packb(net)


DAMAGED = {
    "empty": lambda: b"",
    "text": lambda: b"<!DOCTYPE html>\n<html>",
    "cut": lambda: packed(dense_net())[:100_000],
    "longer": lambda: packed(dense_net()) + b"\0",
    "cut gzip": lambda: gzip.compress(packed(dense_net()), 1)[:100_000],
    "gzip of much": lambda: gzip.compress(bytes(17_000_000), 1),
    "gzip of nothing": lambda: b"\x1f\x8b\x08",
    "endless list": lambda: b"\xdd\xff\xff\xff\xff",
    "binary": lambda: msgpack.packb({"type": b"Linear"}),
    "key that is a number": lambda: packed({1: 2}),
    "list": lambda: packed([1, 2]),
    "modules that are none": lambda: packed({"modules": "Linear"}),
    "deep": lambda: b"\x81\xa7modules\x91" * 100 + b"\x80",
    "deeper": lambda: b"\x81\xa7modules\x91" * 5000 + b"\x80",
    "type that is none": lambda: packed({"type": ["Linear"] * 1000}),
    "other net": lambda: packed(convolutional_net()),
    "no bias": lambda: altered(1, bias=None),
    "no list": lambda: altered(1, weight="0" * 99),
    "one less": lambda: altered(1, weight=[0.0] * 65_999),
    "lists": lambda: altered(1, bias=[[0.0]] * 600),
    "other way round": lambda: altered(1, inSize=600, outSize=110),
    "other view": lambda: altered(6, dims=[8, 8, 3]),
    "nan": lambda: with_first_weight(float("nan")),
    "huge": lambda: with_first_weight(1e300),
    "bool": lambda: with_first_weight(True),
    "word": lambda: with_first_weight("0"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused(kind, tmp_path):
    write_nets(tmp_path)
    (tmp_path / "8x8.mpac").write_bytes(DAMAGED[kind]())
    line = refusal(tmp_path, tmp_path / "made" / "preset")
    assert str(tmp_path / "8x8.mpac") in line and len(line) < 1000
    assert not (tmp_path / "made").exists()


def test_the_second_file_is_read_before_anything_is_written(tmp_path):
    write_nets(tmp_path)
    net = convolutional_net()
    net["modules"][2]["padH"] = 0
    (tmp_path / "14x28.mpac.gz").write_bytes(packed(net))
    line = refusal(tmp_path, tmp_path / "preset")
    assert line.endswith("must have padH=3. Received: padH=0")
    assert not (tmp_path / "preset").exists()


def test_a_terminal_sees_one_line(tmp_path):
    write_nets(tmp_path)
    (tmp_path / "8x8.mpac").write_bytes(b"\x81")
    before = sorted(tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, TOOL, tmp_path, tmp_path / "preset"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "must be a MessagePack file" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["8x8.mpac", "14x28.mpac.gz"])
def test_a_missing_file(name, tmp_path):
    write_nets(tmp_path)
    (tmp_path / name).unlink()
    line = refusal(tmp_path, tmp_path / "preset")
    assert f"must hold {name.removesuffix('.gz')} or " in line


def test_plain_or_gzipped(tmp_path):
    net = packed(dense_net())
    (tmp_path / "8x8.mpac.gz").write_bytes(gzip.compress(net, 1))
    path = tool.find_file(tmp_path, "8x8.mpac")
    zipped = tool.read_network(path, tool.DENSE)
    # The browser may have unpacked it without changing its name.
    path.write_bytes(net)
    plain = tool.read_network(path, tool.DENSE)
    for left, right in zip(zipped, plain, strict=True):
        np.testing.assert_array_equal(left[0], right[0])
        np.testing.assert_array_equal(left[1], right[1])


def test_output_that_exists(tmp_path):
    write_nets(tmp_path)
    (tmp_path / "preset").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("preset", "link"):
        assert "must not exist" in refusal(tmp_path, tmp_path / name)
    assert list((tmp_path / "preset").iterdir()) == []


def test_unknown_data(tmp_path):
    write_nets(tmp_path)
    refusal(tmp_path, tmp_path / "preset", "--data", tmp_path / "none.npz")
    assert not (tmp_path / "preset").exists()


def test_without_msgpack(tmp_path, monkeypatch):
    write_nets(tmp_path)
    monkeypatch.setitem(sys.modules, "msgpack", None)
    line = refusal(tmp_path, tmp_path / "preset")
    assert "pip install msgpack" in line


# === Completed ===


@pytest.mark.slow
@pytest.mark.parametrize("converted", ["synthetic"], indirect=True)
def test_what_is_missing_is_trained(converted, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 32, 32, 3)).astype("uint8")
    np.savez(
        tmp_path / "pictures.npz", images=images, labels=np.arange(64) % 10
    )
    command = [sys.executable, TOOL, converted.home, tmp_path / "whole"]
    command += ["--data", tmp_path / "pictures.npz", "--epochs", "1"]
    command += ["--steps", "1"]
    command += ["--complete", tmp_path / "runs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "samples.png" in done.stdout and "no licence" in done.stdout
    assert (tmp_path / "whole" / "samples.png").is_file()
    assert "states no licence" in (tmp_path / "whole" / "NOTICE").read_text()
    whole = LAPGAN.from_preset(tmp_path / "whole")
    fresh = LAPGAN.from_preset(tmp_path / "runs" / "converted")

    def changed(k, network):
        pairs = zip(
            getattr(fresh.level(k), network).get_weights(),
            getattr(whole.level(k), network).get_weights(),
            strict=True,
        )
        return any((a != b).any() for a, b in pairs)

    assert all(changed(k, "discriminator") for k in range(3))
    assert changed(1, "generator") and changed(1, "ema_generator")
    # The authors' own.
    for k in (0, 2):
        assert not changed(k, "generator")
        assert not changed(k, "ema_generator")


def test_no_epochs(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, tmp_path / "preset", "--epochs", 0)
    assert "Received: 0" in capsys.readouterr().err
