"""The scripts beside an exported file, on files made by hand."""

import importlib.util
import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
import zlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from keras import layers
from PIL import Image

from keras_lapgan.cli import options
from keras_lapgan.cli.main import cli
from keras_lapgan.export.script import load_script
from keras_lapgan.export.script import script_text
from keras_lapgan.export.scripts import run
from keras_lapgan.export.scripts import runtime_safetensors
from keras_lapgan.layers.lp_pooling import PairwiseL2Pooling
from keras_lapgan.layers.noise import UniformNoise
from keras_lapgan.layers.resampling import Upsample
from keras_lapgan.layers.resampling import resampling_matrix
from keras_lapgan.utils import image_grid

safetensors = pytest.importorskip(
    "safetensors.numpy", reason="needs the package safetensors"
)

CLASSES = ["cat", "big dog", "9"]
# What pip installs for each format.
PACKAGES = {
    "tf_saved_model": ("tensorflow", "tensorflow"),
    "onnx": ("onnxruntime", "onnxruntime"),
    "openvino": ("openvino", "openvino"),
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "torch": ("torch", "torch"),
    "keras": ("keras", "keras tensorflow"),
    "safetensors": ("safetensors.numpy", "safetensors"),
}


def make(
    folder,
    format="safetensors",
    classes=CLASSES,
    stages=True,
    level=None,
    batch=None,
    dtype="uint8",
    channels=3,
):
    """Writes an export of two levels, 3x3 and 6x6 pixels, and returns it."""
    arrays, graph, inputs, outputs = {}, [], [], []

    def node(name, op, *names, weights=(), **more):
        graph.append({"name": name, "op": op, "inputs": names, **more})
        for key, shape in dict(weights).items():
            # The same, whatever other nodes there are.
            rng = np.random.default_rng(zlib.crc32(f"{name}.{key}".encode()))
            arrays[f"{name}.{key}"] = rng.normal(size=shape).astype("float32")

    def pixels(name, k):
        node(f"pixels_{k}", "affine", name)
        arrays[f"pixels_{k}.scale"] = np.float32([40.0])
        arrays[f"pixels_{k}.offset"] = np.float32([120.0])
        last = f"images_{k}" if dtype == "float32" else f"clipped_{k}"
        node(last, "clip", f"pixels_{k}", low=0.0, high=255.0)
        if dtype == "uint8":
            node(f"images_{k}", "round", last)

    def picture(k, dtype):
        size = (6, 3)[k]
        return {
            "name": f"images_{k}",
            "shape": [batch, size, size, channels],
            "dtype": dtype,
            "level": k,
            "range": [0, 255],
        }

    for k, shape in enumerate([(6, 6, 1), (4,)]):
        if level in (None, k):
            inputs.append(
                {
                    "name": f"noise_{k}",
                    "shape": [batch, *shape],
                    "dtype": "float32",
                    "level": k,
                }
            )
            if stages or k == (level or 0):
                outputs.append(picture(k, dtype))
    if classes:
        inputs.append({"name": "labels", "shape": [batch], "dtype": "int32"})
    if level == 0:
        inputs.append(picture(1, "float32"))
        node("coarse", "affine", "images_1")
        arrays["coarse.scale"] = np.float32([1 / 40])
        arrays["coarse.offset"] = np.float32([-3])
    else:
        size = 9 * channels
        shapes = {"kernel": (4, size), "bias": (size,)}
        node("dense", "dense", "noise_1", weights=shapes, activation="tanh")
        node("coarse", "reshape", "dense", shape=[3, 3, channels])
        pixels("coarse", 1)
    if level != 1:
        node("condition", "resample", "coarse")
        matrix = resampling_matrix(3, 6, "linear").astype("float32")
        arrays["condition.rows"] = arrays["condition.columns"] = matrix
        names, width = ["noise_0", "condition"], 1 + channels
        if classes:
            shape = {"table": (len(classes), 36)}
            node("plane", "lookup", "labels", weights=shape, shape=[6, 6, 1])
            names, width = [*names, "plane"], width + 1
        node("maps", "concat", *names)
        shapes = {"kernel": (3, 3, width, channels), "bias": (channels,)}
        node("band", "conv2d", "maps", weights=shapes)
        node("fine", "add", "condition", "band")
        pixels("fine", 0)
    signature = {
        "keras_lapgan_export": 1,
        "format": format,
        "file": "model.safetensors",
        "name": "by_hand",
        "batch": batch,
        "level": level,
        "inputs": inputs,
        "outputs": outputs,
        "classes": classes or None,
        "num_classes": len(classes or []),
        "graph": graph,
    }
    folder.mkdir(exist_ok=True)
    safetensors.save_file(arrays, folder / "model.safetensors")
    (folder / "signature.json").write_text(json.dumps(signature))
    (folder / "run.py").write_text(script_text(format))
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return make(tmp_path_factory.mktemp("exports") / "classes")


@pytest.fixture(scope="module")
def unconditional(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "unconditional"
    return make(folder, classes=None)


@pytest.fixture(scope="module")
def one_level(tmp_path_factory):
    return make(tmp_path_factory.mktemp("exports") / "level_0", level=0)


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Runs the script of a folder as in a shell in an empty folder."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)

    def command(folder, *args):
        status = load_script(folder).main([str(arg) for arg in args])
        told = capsys.readouterr()
        assert (status == 0) == (told.err == "")
        return told.out if status == 0 else None

    return command


@pytest.fixture
def fails(monkeypatch, tmp_path, capsys):
    """Runs a command line that must end in one line, and gives that."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.chdir(home)

    def fails(folder, *args):
        before = sorted(os.listdir())
        status = load_script(folder).main([str(arg) for arg in args])
        told = capsys.readouterr()
        assert status == 2 and told.out == ""
        assert told.err.startswith("Error: ") and told.err.count("\n") == 1
        assert sorted(os.listdir()) == before
        return told.err

    return fails


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def images_of(count=2, size=3):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, size, size, 3), dtype="uint8")


def same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name])


# === Alone ===


def test_the_script_stands_alone(exported, tmp_path):
    code = (
        "import sys, run; run.Sampler()(2, seed=1); "
        "print(run.main(['--seed', '4']), sorted({'keras', 'keras_lapgan', "
        "'PIL', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(exported)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "24 pictures of seed 4: samples.png\n0 []\n"
    assert result.stderr == ""


def test_as_a_command_from_another_folder(unconditional, tmp_path):
    def shell(*args):
        return subprocess.run(
            [sys.executable, "-B", str(unconditional / "run.py"), *args],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    result = shell("--count", "3", "--output", "a.png")
    assert result.returncode == 0, result.stderr
    seed = result.stdout.split("seed ")[1].split(":")[0]
    assert result.stdout == f"3 pictures of seed {seed}: a.png\n"
    assert 0 <= int(seed) < 10**6
    shell("--count", "3", "--output", "b.png", "--seed", seed)
    assert (pixels(tmp_path / "a.png") == pixels(tmp_path / "b.png")).all()
    result = shell("--cuont", "3")
    assert result.returncode == 2
    assert result.stderr == "Error: unrecognized arguments: --cuont 3\n"
    assert "--layout {grid,files,strip}" in shell("--help").stdout


# === The sampler ===


@pytest.mark.parametrize("seed", [0, 7, 2**63, 2**64 - 1])
@pytest.mark.parametrize("shape", [(100,), (3, 3, 1), (8, 8, 1), (1,)])
def test_noise_is_the_models(shape, seed):
    noise = UniformNoise(shape)
    for count, level, start in [(5, 0, 0), (3, 2, 10**6), (1, 1, 2**40)]:
        drawn = run.draw_noise(shape, count, seed, level, start)
        assert drawn.dtype == "float32"
        np.testing.assert_array_equal(
            drawn, noise.draw(count, seed, level, start)
        )


def test_stages_finest_first(exported):
    stages = load_script(exported).Sampler()(5, seed=1)
    assert list(stages) == ["images_0", "images_1"]
    assert [x.shape for x in stages.values()] == [(5, 6, 6, 3), (5, 3, 3, 3)]
    assert {x.dtype for x in stages.values()} == {np.dtype("uint8")}
    assert np.std(stages["images_0"], axis=(1, 2, 3)).min() > 10


def test_a_picture_of_a_seed_is_the_same_in_every_call(exported):
    sampler = load_script(exported).Sampler()
    whole = sampler(150, seed=2**64 - 1)
    parts = [
        sampler(stop - start, seed=2**64 - 1, start=start)
        for start, stop in ((0, 1), (1, 70), (70, 150))
    ]
    joined = {k: np.concatenate([part[k] for part in parts]) for k in whole}
    same(whole, joined)


def test_the_model_gets_at_most_64_pictures(exported, monkeypatch):
    script = load_script(exported)
    sampler, sizes = script.Sampler(), []
    model = sampler._run
    monkeypatch.setattr(
        sampler, "_run", lambda x: sizes.append(len(x["labels"])) or model(x)
    )
    sampler(130, seed=1)
    assert sizes == [64, 64, 2]


@pytest.mark.parametrize("count", [1, 4, 10])
def test_a_fixed_batch(exported, tmp_path, count):
    sampler = load_script(make(tmp_path / "fixed", batch=4)).Sampler()
    sizes, model = set(), sampler._run

    def counted(inputs):
        sizes.update(len(x) for x in inputs.values())
        return model(inputs)

    sampler._run = counted
    drawn = sampler(count, seed=3)
    same(drawn, load_script(exported).Sampler()(count, seed=3))
    assert sizes == {4}


def test_labels(exported):
    sampler = load_script(exported).Sampler(str(exported))
    same(sampler(5, seed=1), sampler(labels=[0, 1, 2, 0, 1], seed=1))
    same(
        sampler(2, seed=1, start=4), sampler(2, labels=[1, 2], seed=1, start=4)
    )
    same(sampler(3, labels=2, seed=1), sampler(labels=np.full(3, 2), seed=1))
    zero = sampler(3, labels=0, seed=1)["images_0"]
    assert (zero != sampler(3, labels=2, seed=1)["images_0"]).any()


def test_a_file_of_one_level_makes_pictures_finer(one_level, tmp_path):
    chain = make(tmp_path / "chain", dtype="float32")
    stages = load_script(chain).Sampler()(5, seed=1)
    assert stages["images_0"].dtype == "float32"
    # Nothing was cut off at 0 or 255, so that the way back is exact.
    assert 0 < stages["images_1"].min() and stages["images_1"].max() < 255
    sampler = load_script(one_level).Sampler()
    drawn = sampler(images=stages["images_1"], seed=1)
    assert list(drawn) == ["images_0"]
    wanted = stages["images_0"]
    assert np.abs(drawn["images_0"] - wanted).max() < 0.51
    labels = np.arange(5) % 3
    same(drawn, sampler(5, images=stages["images_1"], labels=labels, seed=1))


def test_the_coarsest_level_alone(exported, tmp_path):
    sampler = load_script(make(tmp_path / "level_1", level=1)).Sampler()
    drawn = sampler(4, seed=1)
    assert list(drawn) == ["images_1"]
    wanted = load_script(exported).Sampler()(4, seed=1)["images_1"]
    np.testing.assert_array_equal(drawn["images_1"], wanted)


@pytest.mark.parametrize(
    "call, message",
    [
        ({"seed": 1}, "`count` must tell.*Received: count=None"),
        ({"seed": 1, "labels": 1}, "`count` must tell"),
        ({"count": 0, "seed": 1}, "`count` must be.*Received: count=0"),
        ({"count": 1.5, "seed": 1}, "Received: count=1.5"),
        ({"count": 1, "seed": None}, "`seed` must be.*Received: seed=None"),
        ({"count": 1, "seed": -1}, "Received: seed=-1"),
        ({"count": 1, "seed": 2**64}, "from 0 to 18446744073709551615"),
        ({"count": 1, "seed": 1, "start": -1}, "Received: start=-1"),
        ({"count": 2, "seed": 1, "labels": [1]}, r"of shape \(2,\)"),
        ({"count": 1, "seed": 1, "labels": 3}, "from 0 to 2"),
        ({"count": 1, "seed": 1, "labels": -1}, "from 0 to 2"),
        ({"count": 1, "seed": 1, "labels": [0.5]}, "must be integers"),
        ({"seed": 1, "images": images_of()}, r"leave `images` out.*\(2, 3, 3"),
    ],
)
def test_bad_calls(exported, call, message):
    sampler = load_script(exported).Sampler()
    with pytest.raises(ValueError, match=message):
        sampler(**call)


def test_labels_of_an_unconditional_model(unconditional):
    sampler = load_script(unconditional).Sampler()
    assert len(sampler(2, seed=1)["images_0"]) == 2
    with pytest.raises(ValueError, match="not class-conditional.*labels=0"):
        sampler(2, seed=1, labels=0)


@pytest.mark.parametrize(
    "images, message",
    [
        (None, r"shape \(2, 3, 3, 3\).*Received: images=None"),
        (images_of(3), r"Received: shape \(3, 3, 3, 3\), dtype uint8"),
        (images_of(2, 4), r"Received: shape \(2, 4, 4, 3\)"),
        (images_of() * 1j, "dtype complex128"),
        (images_of() - 1.0 * 200, "Received: values from -"),
        (images_of() + 200.0, "Received: values from 2"),
        (np.full((2, 3, 3, 3), np.nan), "Received: values from nan to nan"),
        (images_of() / 255, r"like 0..1, so give `images \* 255`"),
    ],
)
def test_bad_images(one_level, images, message):
    sampler = load_script(one_level).Sampler()
    with pytest.raises(ValueError, match=message):
        sampler(2, seed=1, images=images)


def test_threads_wait_for_each_other(exported):
    # OpenVINO refuses calls side by side, and LiteRT mixes them up.
    sampler = load_script(exported).Sampler()
    model, running, most = sampler._run, [], []

    def counted(inputs):
        running.append(1)
        most.append(len(running))
        time.sleep(0.005)
        outputs = model(inputs)
        running.pop()
        return outputs

    sampler._run = counted
    threads = [
        threading.Thread(target=sampler, args=(8,), kwargs={"seed": i})
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


# === Folders ===


def test_folders_that_are_no_export(exported, tmp_path):
    script = load_script(exported)
    with pytest.raises(ValueError, match="There is no 'signature.json' in"):
        script.Sampler(tmp_path)
    for text in ("{", "[]", "{}"):
        (tmp_path / "signature.json").write_text(text)
        with pytest.raises(ValueError, match="is no signature of a model"):
            script.Sampler(tmp_path)
    (tmp_path / "signature.json").write_text('{"keras_lapgan_export": 2}')
    with pytest.raises(ValueError, match="of version 1.*Received: 2"):
        script.Sampler(tmp_path)


def test_a_model_file_that_is_not_there(tmp_path, fails):
    folder = make(tmp_path / "a")
    (folder / "model.safetensors").unlink()
    assert "There is no 'model.safetensors' in" in fails(folder)


@pytest.mark.parametrize("format", PACKAGES)
def test_a_runtime_that_is_not_installed(tmp_path, fails, monkeypatch, format):
    module, package = PACKAGES[format]
    folder = make(tmp_path / "a", format)
    monkeypatch.setitem(sys.modules, module, None)
    error = fails(folder)
    assert f"`pip install {package}`" in error and module in error


def test_numpy_that_is_not_installed(unconditional, tmp_path):
    # Without site-packages.
    result = subprocess.run(
        [sys.executable, "-I", "-S", str(unconditional / "run.py"), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr == "Error: run.py needs numpy, `pip install numpy`\n"


@pytest.mark.parametrize(
    "change",
    [{"inputs": [{}]}, {"outputs": [{"name": "a"}]}, {"file": 3}],
)
def test_a_signature_that_was_edited(tmp_path, fails, change):
    folder = make(tmp_path / "a")
    path = folder / "signature.json"
    signature = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(signature))
    assert "signature.json does not fit" in fails(folder)


@pytest.mark.parametrize("format", PACKAGES)
def test_a_damaged_model_file(tmp_path, monkeypatch, capsys, format):
    module, _ = PACKAGES[format]
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        pytest.skip(f"{module} is not installed")
    folder = make(tmp_path / "a", format)
    (folder / "model.safetensors").write_bytes(b"damaged" * 100)
    monkeypatch.chdir(tmp_path)
    assert load_script(folder).main([]) == 2
    # Some runtimes have their say before.
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("Error: 'model.safetensors' could not be loaded. ")
    assert os.listdir() == ["a"]


# === Pictures ===


@pytest.mark.parametrize("columns", [None, 1, 3, 10])
@pytest.mark.parametrize("count, scale", [(1, 1), (5, 2), (12, 3)])
def test_grids_are_ours(count, columns, scale):
    images = images_of(count, 4)[:, :3]
    np.testing.assert_array_equal(
        run.image_grid(images, columns, scale),
        image_grid.image_grid(images, columns, scale),
    )


@pytest.mark.parametrize(
    "sizes", [(28, 14, 8), (32, 16), (28,), (9, 4), (97, 64, 5)]
)
def test_strips_are_ours(sizes):
    stages = [images_of(2, size) for size in sizes]
    np.testing.assert_array_equal(
        run.stage_strip(stages), image_grid.stage_strip(stages)
    )


# === PNG ===


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_files(tmp_path, channels):
    rng = np.random.default_rng(0)
    smooth = np.arange(7 * 5 * channels).reshape(7, 5, channels)
    for image in (smooth, rng.integers(0, 256, (7, 5, channels))):
        image = image.astype("uint8")
        run.write_png(tmp_path / "a.png", image)
        with Image.open(tmp_path / "a.png") as read:
            assert read.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
            values = np.asarray(read).reshape(image.shape)
        np.testing.assert_array_equal(values, image)
        np.testing.assert_array_equal(run.read_png(tmp_path / "a.png"), image)
        Image.fromarray(image.squeeze()).save(tmp_path / "b.png")
        np.testing.assert_array_equal(run.read_png(tmp_path / "b.png"), image)


def png(image, kind=0, bits=8, colour=2, interlaced=0, pieces=1, height=None):
    """A PNG file of which each row has the filter `kind`."""
    x = image.astype(int)
    rows, width, channels = x.shape
    padded = np.pad(x, [(1, 0), (1, 0), (0, 0)])
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    base = left + up - corner
    choices = np.stack([left, up, corner])
    nearest = np.abs(choices - base).argmin(axis=0)
    paeth = np.take_along_axis(choices, nearest[None], axis=0)[0]
    guess = [0, left, up, (left + up) // 2, paeth, 0][kind]
    data = ((x - guess) % 256).reshape(rows, -1)
    data = np.pad(data, [(0, 0), (1, 0)], constant_values=kind)
    data = zlib.compress(data.astype("uint8").tobytes())
    cut = -(-len(data) // pieces)
    header = (width, height or rows, bits, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *header)), (b"tEXt", b"a\0b")]
    for start in range(0, len(data), cut):
        chunks.append((b"IDAT", data[start : start + cut]))
    file = b"\x89PNG\r\n\x1a\n"
    for name, body in [*chunks, (b"IEND", b"")]:
        file += struct.pack(">I", len(body)) + name + body
        file += struct.pack(">I", zlib.crc32(name + body))
    return file


@pytest.mark.parametrize("kind", range(5))
def test_filters_of_png_files(tmp_path, kind):
    image = images_of(1, 9)[0]
    path = tmp_path / "a.png"
    path.write_bytes(png(image, kind, pieces=3))
    # The encoder above is right.
    np.testing.assert_array_equal(pixels(path), image)
    np.testing.assert_array_equal(run.read_png(path), image)


def test_png_files_that_are_not_read(tmp_path):
    path, image = tmp_path / "a.png", images_of(1, 9)[0]
    whole = png(image)
    damaged = bytearray(whole)
    damaged[60] ^= 1
    for data, message in [
        (b"GIF89a", "another kind of file"),
        (png(image, bits=16), "16 bits, colour type 2, interlace 0"),
        (png(image, colour=3), "8 bits, colour type 3, interlace 0"),
        (png(image, interlaced=1), "interlace 1"),
        (png(image, kind=5), "filter 5"),
        (png(image, colour=6), "data of another size than 9 x 9"),
        (png(image, height=8), "data of another size than 9 x 8"),
        (png(image, height=2**32 - 1), "data of another size"),
        (whole[:8], "unpack requires"),
        (whole[:60], "unpack_from requires"),
        (bytes(damaged), "damaged data"),
    ]:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"8-bit grey or RGB.*{message}"):
            run.read_png(path)


# === The command ===


def test_a_grid_with_a_column_a_class(command, exported):
    told = command(exported, "--seed", 4)
    assert told == "24 pictures of seed 4: samples.png\n"
    sampler = load_script(exported).Sampler()
    images = sampler(24, seed=4)["images_0"]
    np.testing.assert_array_equal(
        pixels("samples.png"), image_grid.image_grid(images, 3, 9)
    )
    args = ("--labels", "Big_Dog, 0,", "--output", "some.PNG", "--seed", 4)
    assert "16 pictures" in command(exported, *args)
    images = sampler(16, seed=4, labels=[1, 0] * 8)["images_0"]
    np.testing.assert_array_equal(
        pixels("some.PNG"), image_grid.image_grid(images, 2, 9)
    )


def test_a_grid_of_an_unconditional_model(command, unconditional):
    assert "64 pictures" in command(unconditional, "--seed", 4)
    images = load_script(unconditional).Sampler()(64, seed=4)["images_0"]
    np.testing.assert_array_equal(
        pixels("samples.png"), image_grid.image_grid(images, scale=9)
    )


def test_a_strip(command, exported):
    args = ("--layout", "strip", "--seed", 4)
    assert "8 pictures" in command(exported, *args)
    stages = load_script(exported).Sampler()(8, seed=4)
    np.testing.assert_array_equal(
        pixels("samples.png"), image_grid.stage_strip(list(stages.values()))
    )


def test_files(command, fails, exported):
    args = ("--layout", "files", "--seed", 1)
    assert command(exported, *args, "--count", 3) is not None
    assert sorted(os.listdir("samples")) == [f"0000{i}.png" for i in range(3)]
    images = load_script(exported).Sampler()(3, seed=1)["images_0"]
    np.testing.assert_array_equal(pixels("samples/00002.png"), images[2])
    assert "exists" in fails(exported, *args)
    command(exported, *args, "--count", 2, "--overwrite")
    assert len(os.listdir("samples")) == 2
    os.rename("samples/00001.png", "samples/holiday.png")
    error = fails(exported, *args, "--overwrite")
    assert "not what this command writes" in error
    assert os.listdir() == ["samples"]


def test_arrays(command, exported):
    stages = load_script(exported).Sampler()(24, seed=1)
    command(exported, "--seed", 1, "--output", "a.npy")
    np.testing.assert_array_equal(np.load("a.npy"), stages["images_0"])
    command(exported, "--seed", 1, "--output", "a.npz")
    with np.load("a.npz") as file:
        same(dict(file), stages)


def test_float_pictures_are_rounded(command, exported, tmp_path):
    args = ("--seed", 1, "--output")
    floats = make(tmp_path / "floats", dtype="float32")
    command(floats, *args, "floats.png")
    command(exported, *args, "bytes.png")
    np.testing.assert_array_equal(pixels("floats.png"), pixels("bytes.png"))
    command(floats, *args, "a.npy")
    assert np.load("a.npy").dtype == "float32"


def test_grey_pictures(command, tmp_path):
    command(make(tmp_path / "grey", channels=1), "--count", 1)
    assert pixels("samples.png").shape == (58, 58)


def test_pictures_that_png_cannot_hold(command, fails, tmp_path):
    folder = make(tmp_path / "five", channels=5)
    error = fails(folder, "--count", 1)
    assert "ends in .npy has any. Received: 5 channels" in error
    command(folder, "--count", 1, "--output", "a.npy")
    assert np.load("a.npy").shape == (1, 6, 6, 5)


def test_pictures_made_finer(command, one_level):
    sampler = load_script(one_level).Sampler()
    images = images_of(5)
    np.save("images.npy", images)
    args = ("--seed", 1, "--images")
    assert "5 pictures" in command(one_level, *args, "images.npy")
    finer = sampler(images=images, seed=1)["images_0"]
    np.testing.assert_array_equal(
        pixels("samples.png"), image_grid.image_grid(finer, 3, 9)
    )
    Image.fromarray(images[0]).save("one.png")
    args = (*args, "one.png", "--labels", "big dog", "--output", "a.npy")
    assert "1 pictures" in command(one_level, *args)
    finer = sampler(images=images[:1], labels=1, seed=1)["images_0"]
    np.testing.assert_array_equal(np.load("a.npy"), finer)


@pytest.mark.parametrize(
    "name, message",
    [
        (None, "makes pictures finer"),
        ("none.npy", "No such file or directory: 'none.npy'"),
        ("text.npy", "must be a .npy file of pictures.*Received: 'text.npy'"),
        ("object.npy", "must be a .npy file of pictures"),
        ("flat.npy", "must be a .npy file of pictures"),
        ("empty.npy", "--count.*Received: --count=0"),
        ("large.npy", r"\(2, 3, 3, 3\).*Received: shape \(2, 4, 4, 3\)"),
        ("large.png", r"Received: shape \(1, 4, 4, 3\)"),
        ("grey.png", r"Received: shape \(1, 3, 3, 1\)"),
    ],
)
def test_bad_files_of_images(fails, one_level, name, message):
    with open("text.npy", "w") as file:
        file.write("pictures")
    for file, array in {
        "object.npy": np.array([{}, []], dtype=object),
        "flat.npy": images_of()[0],
        "empty.npy": images_of(0),
        "large.npy": images_of(2, 4),
    }.items():
        np.save(file, array)
    run.write_png("large.png", images_of(1, 4)[0])
    run.write_png("grey.png", images_of(1)[0, :, :, :1])
    error = fails(one_level, *(["--images", name] if name else []))
    assert re.search(message, error), error


@pytest.mark.parametrize(
    "args, message",
    [
        (["--count", 0], "whole number from 1 to 100000. Received: --count=0"),
        (["--count", 100_001], "Received: --count=100001"),
        (["--count", "x"], "argument --count: invalid int value: 'x'"),
        (["--seed", -1], "Received: --seed=-1"),
        (["--seed", 2**64], f"Received: --seed={2**64}"),
        (["--layout", "row"], "invalid choice: 'row'"),
        (["--output", "a.jpg"], ".png or .npy or .npz. Received: 'a.jpg'"),
        (["--output", "b/a.png"], "there is no folder 'b'. Received: 'b/a.pn"),
        (["--layout", "strip", "--output", "a.npy"], "must end in .png. Rec"),
        (["--output", "old.png"], "--overwrite. Received: 'old.png'"),
        (["--output", "f.png", "--overwrite"], "not what this command writes"),
        (["--images", "a.npy"], "'a.npy'"),
        (["--images", "old.npy"], "starts from noise; leave `images` out"),
    ],
)
def test_mistakes_end_in_one_line(fails, exported, args, message):
    run.write_png("old.png", images_of(1)[0])
    np.save("old.npy", images_of())
    os.mkdir("f.png")
    assert message in fails(exported, *args)


@pytest.mark.parametrize("change", [{"stages": False}, {"level": 1}])
def test_a_strip_of_one_stage(fails, tmp_path, change):
    folder = make(tmp_path / "one", **change)
    error = fails(folder, "--layout", "strip")
    stage = change.get("level", 0)
    assert f"all stages. Received: one with images_{stage}\n" in error


@pytest.mark.parametrize("names", [CLASSES, None])
@pytest.mark.parametrize(
    "text",
    ["cat, 1,BIG DOG", "9", "2", "kat", "cat,10", "-1", " , ", "big", "²"],
)
def test_labels_are_read_as_the_package_does(text, names):
    model = SimpleNamespace(num_classes=3, class_names=names)
    signature = {"num_classes": 3, "classes": names}
    try:
        wanted = options.parse_labels(text, model)
    except options.Mistake as mistake:
        with pytest.raises(ValueError) as error:
            run.parse_labels(text, signature)
        assert str(error.value) == mistake.message
    else:
        assert run.parse_labels(text, signature) == wanted


def test_labels_for_an_unconditional_model(fails, unconditional):
    error = fails(unconditional, "--labels", "cat")
    assert "not class-conditional; leave the option out. Received: 'c" in error


@pytest.mark.parametrize(
    "args", [[], ["--layout", "strip"], ["--labels", "b,2", "--count", "5"]]
)
def test_the_package_draws_the_same(tiny, command, tmp_path, args):
    names = ["a", "b", "c"]
    model = tiny.model(num_classes=3, class_names=names)
    model.save_to_preset(tmp_path / "preset")
    model.export(tmp_path / "export", format="safetensors", stages=True)
    args = [*args, "--seed", "4", "--output"]
    told = command(tmp_path / "export", *args, "a.png")
    sample = ["sample", str(tmp_path / "preset"), *args, "b.png"]
    result = CliRunner().invoke(cli, sample)
    assert result.stdout == told.replace("a.png", "b.png")
    ours, its = pixels("b.png").astype(int), pixels("a.png").astype(int)
    # Sums in another order round a few pixels to the next grey level.
    assert np.abs(its - ours).max() <= 1
    assert np.mean(its != ours) < 1e-3


@pytest.mark.parametrize("layout", ["grid", "files"])
def test_a_full_disk_keeps_what_was_there(
    exported, capsys, monkeypatch, tmp_path, layout
):
    monkeypatch.chdir(tmp_path)
    script = load_script(exported)
    output = "a" if layout == "files" else "a.png"
    args = ["--layout", layout, "--output", output, "--count", "2"]
    assert script.main(args) == 0
    before = pixels("a/00001.png" if layout == "files" else "a.png")

    def write_png(path, image):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(script, "write_png", write_png)
    assert script.main([*args, "--overwrite"]) == 2
    error = capsys.readouterr().err
    assert f"Could not write '{output}': No space left on device." in error
    after = pixels("a/00001.png" if layout == "files" else "a.png")
    np.testing.assert_array_equal(before, after)
    assert os.listdir() == [output]


def test_an_interruption(exported, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    script = load_script(exported)

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "write_png", interrupted)
    assert script.main([]) == 130
    assert capsys.readouterr().err == "\nInterrupted.\n"
    assert os.listdir() == []


# === Operations in numpy ===


def compute(folder, node, arrays, *xs):
    """One node of the safetensors runtime, on the inputs `xs`."""
    names = [f"x_{i}" for i in range(len(xs))]
    arrays = {f"a.{k}": np.asarray(v) for k, v in arrays.items()}
    safetensors.save_file({**arrays, "ab.bias": np.ones(1)}, folder / "model")
    signature = {
        "file": "model",
        "outputs": [{"name": "a"}],
        "graph": [{"name": "a", "inputs": names, **node}],
    }
    run = runtime_safetensors.load(folder, signature)
    return run(dict(zip(names, xs, strict=True)))["a"]


def normal(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("f4")


def close(drawn, wanted):
    wanted = keras.ops.convert_to_numpy(wanted)
    assert drawn.dtype == wanted.dtype == "float32"
    np.testing.assert_allclose(drawn, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("bias", [True, False])
def test_dense(tmp_path, activation, bias):
    kernel, x = 9 * normal(4, 6), normal(5, 4)
    arrays = {"kernel": kernel, "bias": normal(6)}
    layer = layers.Dense(6, activation, use_bias=bias)
    layer.build(x.shape)
    if not bias:
        del arrays["bias"]
    layer.set_weights(list(arrays.values()))
    node = {"op": "dense", "activation": activation}
    close(compute(tmp_path, node, arrays, x), layer(x))


def test_activations_far_out(tmp_path):
    x = np.float32([[-1000, 1000]])
    node = {"op": "dense", "activation": "sigmoid"}
    drawn = compute(tmp_path, node, {"kernel": np.eye(2, dtype="f4")}, x)
    np.testing.assert_array_equal(drawn, [[0, 1]])


@pytest.mark.parametrize("size", [1, 2, 3, 4, (5, 2), 7])
@pytest.mark.parametrize("bias", [True, False])
def test_conv2d(tmp_path, size, bias):
    x = normal(2, 5, 6, 4)
    layer = layers.Conv2D(
        3, size, padding="same", activation="relu", use_bias=bias
    )
    layer.build(x.shape)
    arrays = {"kernel": normal(*layer.kernel.shape)}
    if bias:
        arrays["bias"] = normal(3)
    layer.set_weights(list(arrays.values()))
    node = {"op": "conv2d", "groups": 1, "activation": "relu"}
    close(compute(tmp_path, node, arrays, x), layer(x))


def test_conv2d_in_groups(tmp_path):
    x = normal(2, 5, 6, 4)
    kernel, bias = normal(3, 3, 2, 6), normal(6)
    parts = []
    for g in range(2):
        layer = layers.Conv2D(3, 3, padding="same")
        layer.build((2, 5, 6, 2))
        layer.set_weights(
            [kernel[..., 3 * g : 3 * g + 3], bias[3 * g : 3 * g + 3]]
        )
        parts.append(layer(x[..., 2 * g : 2 * g + 2]))
    arrays = {"kernel": kernel, "bias": bias}
    drawn = compute(tmp_path, {"op": "conv2d", "groups": 2}, arrays, x)
    close(drawn, keras.ops.concatenate(parts, axis=-1))


@pytest.mark.parametrize("names", [(), ("gamma", "beta"), ("beta",)])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 3, 4)])
def test_batch_norm(tmp_path, names, shape):
    x = normal(*shape)
    layer = layers.BatchNormalization(
        epsilon=0.1, scale="gamma" in names, center="beta" in names
    )
    layer.build(x.shape)
    arrays = {name: normal(4) + i for i, name in enumerate(names)}
    arrays |= {"mean": normal(4), "variance": normal(4) ** 2}
    layer.set_weights(list(arrays.values()))
    node = {"op": "batch_norm", "epsilon": 0.1}
    close(compute(tmp_path, node, arrays, x), layer(x))


def test_pairwise_l2(tmp_path):
    x = normal(2, 3, 3, 6)
    x[0] = 0
    node = {"op": "pairwise_l2", "epsilon": 1e-12}
    close(compute(tmp_path, node, {}, x), PairwiseL2Pooling()(x))


@pytest.mark.parametrize(
    "method, size",
    [("linear", (7, 5)), ("burt", (6, 8)), ("replicate", (6, 8))],
)
def test_resample(tmp_path, method, size):
    x = normal(2, 3, 4, 3)
    arrays = {
        "rows": resampling_matrix(3, size[0], method),
        "columns": resampling_matrix(4, size[1], method),
    }
    drawn = compute(tmp_path, {"op": "resample"}, arrays, x)
    close(drawn, Upsample(size, method)(x))


def test_arrays_in_half_precision(tmp_path):
    x, kernel = normal(5, 4), normal(4, 6).astype("float16")
    drawn = compute(tmp_path, {"op": "dense"}, {"kernel": kernel}, x)
    close(drawn, x @ kernel.astype("float32"))


def test_what_moves_values(tmp_path):
    a, b = normal(2, 2, 3, 1), normal(2, 2, 3, 1) + 1
    labels = np.int32([2, 0])
    table = normal(3, 6)
    scale, offset = normal(3), normal(2, 3, 3)
    wide = 300 * normal(2, 2, 3, 3)
    for node, arrays, xs, wanted in [
        ({"op": "concat"}, {}, (a, b), np.concatenate([a, b], -1)),
        ({"op": "add"}, {}, (a, b), a + b),
        ({"op": "identity"}, {}, (a,), a),
        ({"op": "reshape", "shape": [6]}, {}, (a,), a.reshape(2, 6)),
        ({"op": "one_hot", "depth": 3}, {}, (labels,), np.eye(3)[labels]),
        (
            {"op": "lookup", "shape": [2, 3, 1]},
            {"table": table},
            (labels,),
            table[labels].reshape(2, 2, 3, 1),
        ),
        (
            {"op": "affine"},
            {"scale": scale, "offset": offset},
            (wide,),
            wide * scale + offset,
        ),
        (
            {"op": "clip", "low": 0.0, "high": 255.0},
            {},
            (wide,),
            np.clip(wide, 0, 255),
        ),
    ]:
        drawn = compute(tmp_path, node, arrays, *xs)
        assert drawn.dtype == "float32"
        np.testing.assert_array_equal(drawn, wanted.astype("float32"))


def test_round_to_even(tmp_path):
    x = np.float32([[0.5, 1.5, 2.5, 254.5, 255.0, 0.0]])
    drawn = compute(tmp_path, {"op": "round"}, {}, x)
    assert drawn.dtype == "uint8"
    np.testing.assert_array_equal(drawn, [[0, 2, 2, 254, 255, 0]])


def test_unknown_operations(tmp_path):
    with pytest.raises(ValueError, match="no operation 'magic'.*Received: 'a'"):
        compute(tmp_path, {"op": "magic"}, {}, normal(2, 2))
    node = {"op": "dense", "activation": "gelu"}
    with pytest.raises(ValueError, match="activation. Received: 'gelu'"):
        compute(tmp_path, node, {"kernel": normal(2, 2)}, normal(2, 2))
