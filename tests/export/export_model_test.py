"""Exports, run by the script beside them in their own runtimes."""

import contextlib
import gc
import hashlib
import itertools
import json
import os
import resource
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from keras import layers

from keras_lapgan import LAPGAN
from keras_lapgan import ExportError
from keras_lapgan import LAPGANLevel
from keras_lapgan import networks
from keras_lapgan.export import FORMATS
from keras_lapgan.export import export_model
from keras_lapgan.export import writers
from keras_lapgan.export.script import load_script
from keras_lapgan.export.script import script_text

BACKEND = keras.backend.backend()
COUNTS = (1, 7, 64)
SEED = 9
# The parts of a model, of three levels.
PARTS = {
    "chain": {},
    "stages": {"stages": True},
    "level 0": {"level": 0},
    "coarsest level": {"level": 2},
}


def needs(format, precision="float32"):
    """A format; skipped, saying so, where it cannot be written and run."""
    known = FORMATS[format]
    missing = [name for name in known.modules if find_spec(name) is None]
    if (format, precision) == ("openvino", "int8") and not find_spec("nncf"):
        missing.append("nncf")
    reason = f"needs {', '.join(missing)}"
    if known.backend not in (None, BACKEND):
        missing, reason = [known.backend], f"Keras on {known.backend} writes it"
    return pytest.param(
        format, marks=pytest.mark.skipif(bool(missing), reason=reason)
    )


# Half of the pairs of a part and a number of classes; the others are slow.
CASES = [
    pytest.param(
        part, num_classes, marks=[] if i % 4 in (0, 3) else [pytest.mark.slow]
    )
    for i, (part, num_classes) in enumerate(itertools.product(PARTS, (0, 3)))
]
if BACKEND == "jax":
    # It compiles for long, and what it writes the others write too.
    CASES = [("stages", 3), ("level 0", 0)]
ALL = [needs(format) for format in FORMATS]
# For ways to fail: all but OpenVINO, which takes longest.
FAILING = [needs(format) for format in FORMATS if format != "openvino"]
# For what is the same in every format, the quickest.
QUICK = "safetensors"


@pytest.fixture(scope="session")
def chains(models):
    """The model without and with classes, and what they draw."""
    found = {}
    for num_classes in (0, 3):
        names = ["a", "b", "c"] if num_classes else None
        model = models.chain(num_classes, class_names=names, name="tiny")
        model.terms = ("cc-by-4.0", "Pictures by nobody.\n")
        drawn = model.generate(
            max(COUNTS), seed=SEED, return_pyramid=True, dtype="float32"
        )
        found[num_classes] = model, drawn
    return found


@pytest.fixture(scope="session")
def enlarged(chains):
    """What the finest level makes of the next one's pictures, as they are."""
    return {
        num_classes: model.generate_from(
            stages[1], 1, seed=SEED, dtype="float32"
        )
        for num_classes, (model, stages) in chains.items()
    }


@pytest.fixture
def model(chains):
    return chains[0][0]


def sampler(folder):
    return load_script(folder).Sampler(folder)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def apart(drawn, wanted):
    """The largest difference beyond what rounding does."""
    difference = np.abs(drawn.astype("float64") - wanted)
    return (difference - 0.5 * (drawn.dtype == "uint8")).max()


@pytest.fixture
def refused(tmp_path):
    """An export that has to fail and leave nothing; gives the message."""

    def refused(model, format=QUICK, error=ExportError, **kwargs):
        folder = tmp_path / "out"
        before = contents(tmp_path)
        with pytest.raises(error) as found:
            model.export(folder, format, **kwargs)
        assert contents(tmp_path) == before
        assert not list(tmp_path.glob(".tmp_*"))
        return str(found.value)

    return refused


# === Every format ===


@pytest.mark.parametrize("format", ALL)
@pytest.mark.parametrize("part, num_classes", CASES)
def test_the_runtime_draws_what_generate_draws(
    chains, enlarged, tmp_path, format, part, num_classes
):
    model, stages = chains[num_classes]
    wanted = [enlarged[num_classes]] if part == "level 0" else stages
    told = model.export(tmp_path / "out", format, **PARTS[part])
    # The last one has every class.
    every = [num_classes] if num_classes else []
    assert told["verified"]["batches"] == [1, 7, *every]
    assert told["verified"]["max_difference"] < 1e-2
    run = sampler(tmp_path / "out")
    for count in COUNTS:
        images = stages[1][:count] if part == "level 0" else None
        drawn = run(count, seed=SEED, images=images)
        assert list(drawn) == [spec["name"] for spec in told["outputs"]]
        assert len(drawn) == (3 if part == "stages" else 1)
        for spec in told["outputs"]:
            picture = drawn[spec["name"]]
            assert picture.dtype == "uint8" and picture.std() > 10
            assert picture.shape == (count, *spec["shape"][1:])
            assert apart(picture, wanted[spec["level"]][:count]) < 1e-2


@pytest.mark.parametrize("format", ALL)
def test_float32_pictures_and_a_fixed_batch(chains, tmp_path, format):
    model, stages = chains[3]
    batch = 4 if FORMATS[format].fixed_batch else "dynamic"
    told = model.export(
        tmp_path / "out", format, stages=True, dtype="float32", batch=batch
    )
    if batch == 4:
        assert told["batch"] == 4 and told["verified"]["batches"] == [4, 3]
        for spec in told["inputs"] + told["outputs"]:
            assert spec["shape"][0] == 4
    drawn = sampler(tmp_path / "out")(10, seed=SEED)
    for spec, stage in zip(told["outputs"], stages, strict=True):
        assert drawn[spec["name"]].dtype == spec["dtype"] == "float32"
        np.testing.assert_allclose(drawn[spec["name"]], stage[:10], atol=1e-2)


@pytest.mark.parametrize(
    "format",
    [needs("safetensors")]
    if BACKEND == "jax"
    else [needs("safetensors"), needs("keras")],
)
def test_lsun_s_layers_and_own_statistics(models, tmp_path, format):
    rng = np.random.default_rng(0)
    model = models.lapgan(
        networks.LSUNGenerator((8, 6), num_classes=2),
        models.dense((4, 3), num_classes=2),
        normalization="per_pixel",
    )
    model.normalization.adapt(rng.uniform(0, 255, (5, 8, 6, 3)))
    model.export(tmp_path / "out", format, stages=True, dtype="float32")
    drawn = sampler(tmp_path / "out")(9, seed=SEED)
    stages = model.generate(9, seed=SEED, return_pyramid=True, dtype="float32")
    for name, stage in zip(drawn, stages, strict=True):
        assert stage.std() > 10
        np.testing.assert_allclose(drawn[name], stage, atol=1e-2)


@pytest.mark.parametrize("format", ALL)
def test_residual_networks(models, tmp_path, format):
    model = models.lapgan(
        models.residual(8, num_classes=2),
        models.residual(4, num_classes=2, conditional=False),
    )
    batch = 3 if FORMATS[format].fixed_batch else "dynamic"
    model.export(tmp_path / "out", format, batch=batch)
    drawn = sampler(tmp_path / "out")(3, seed=SEED)["images_0"]
    assert drawn.std() > 10
    assert apart(drawn, model.generate(3, seed=SEED, dtype="float32")) < 1e-2


@pytest.mark.parametrize(
    "format",
    [needs(name) for name in ("tf_saved_model", "onnx", "litert")],
)
def test_grouped_convolutions_outside_xla(models, tmp_path, format):
    model = models.lapgan(networks.LSUNGenerator(8, conditional=False))
    model.export(tmp_path / "out", format)
    drawn = sampler(tmp_path / "out")(3, seed=SEED)["images_0"]
    assert apart(drawn, model.generate(3, seed=SEED, dtype="float32")) < 1e-2


@pytest.mark.parametrize(
    "format, precision",
    [
        pytest.param(name, precision, marks=needs(name, precision).marks)
        for name, known in FORMATS.items()
        for precision in known.precisions[1:]
    ],
)
def test_fewer_bits(models, tmp_path, format, precision):
    # Small arrays are left in float32 by some tools.
    model = models.lapgan(
        models.convolutional(8, filters=32, num_classes=3),
        models.dense(4, hidden_units=(128, 128), num_classes=3),
    )
    told = model.export(
        tmp_path / "out", format, precision=precision, stages=True
    )
    files = contents(tmp_path / "out")
    size = sum(
        len(content)
        for name, content in files.items()
        if not name.endswith((".py", ".json", ".xml"))
    )
    share = {"float16": 0.6, "int8": 0.4}[precision]
    assert size < share * told["float32_bytes"]
    found = told["verified"]
    assert told["precision"] == precision
    assert 0 < found["mean_difference"] <= found["mean_bound"]
    assert 0 < found["max_difference"] <= found["max_bound"]
    drawn = sampler(tmp_path / "out")(64, seed=SEED)
    stages = model.generate(64, seed=SEED, return_pyramid=True)
    for name, stage in zip(drawn, stages, strict=True):
        difference = np.abs(drawn[name].astype("float64") - stage)
        assert difference.mean() < 2 * found["mean_bound"]


# === The folder ===


@pytest.fixture(scope="session")
def exported(chains, tmp_path_factory):
    """One export, and what was told of it."""
    folder = tmp_path_factory.mktemp("exports") / "deep" / "out"
    steps = []
    model, _ = chains[3]
    told = export_model.export_model(
        model, folder, QUICK, stages=True, progress=steps.append
    )
    return folder, told, steps


def test_what_is_in_the_folder(exported):
    folder, told, steps = exported
    assert sorted(contents(folder)) == [
        "NOTICE",
        "model.safetensors",
        "run.py",
        "signature.json",
    ]
    assert (folder / "NOTICE").read_text() == "Pictures by nobody.\n"
    assert (folder / "run.py").read_text() == script_text(QUICK)
    assert steps == [
        "Writing model.safetensors",
        "Comparing what model.safetensors and Keras draw",
    ]
    assert os.stat(folder).st_mode & 0o777 == 0o777 & ~umask()
    assert os.listdir(folder.parent) == ["out"]


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_signature(exported, chains):
    folder, told, _ = exported
    model, _ = chains[3]
    written = json.loads((folder / "signature.json").read_text())
    assert written == json.loads(json.dumps(told))
    noise = {"name": "uniform", "low": -1.0, "high": 1.0}
    assert written["inputs"] == [
        {
            "name": f"noise_{k}",
            "shape": [None, *shape],
            "dtype": "float32",
            "level": k,
            "distribution": noise,
        }
        for k, shape in enumerate([(12, 12, 1), (8, 8, 1), (10,)])
    ] + [
        {
            "name": "labels",
            "shape": [None],
            "dtype": "int32",
            "distribution": {"name": "classes", "low": 0, "high": 2},
        }
    ]
    assert written["outputs"] == [
        {
            "name": f"images_{k}",
            "shape": [None, size, size, 3],
            "dtype": "uint8",
            "level": k,
            "range": [0, 255],
        }
        for k, size in enumerate([12, 8, 4])
    ]
    assert {
        "keras_lapgan_export": 1,
        "name": "tiny",
        "format": QUICK,
        "file": "model.safetensors",
        "precision": "float32",
        "batch": None,
        "level": None,
        "sizes": [[12, 12], [8, 8], [4, 4]],
        "num_classes": 3,
        "classes": ["a", "b", "c"],
        "license": "cc-by-4.0",
    }.items() <= written.items()
    assert written["versions"]["safetensors"] == version("safetensors")
    assert written["versions"]["keras"] == keras.__version__
    hashes = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in contents(folder).items()
        if name != "signature.json"
    }
    assert written["sha256"] == hashes
    # Class planes are stored as their values, a row a class.
    rows = sum(3 * size**2 - 4 * size**2 for size in (12, 8))
    counted = sum(level.ema_generator.count_params() for level in model.levels)
    upsampling = 2 * (12 * 8 + 8 * 4)
    pixels = 3 * 2
    assert written["float32_bytes"] == 4 * (
        counted + rows + upsampling + pixels
    )


def test_a_level_s_signature(chains, tmp_path):
    told = chains[0][0].export(tmp_path / "out", QUICK, level=1)
    names = [spec["name"] for spec in told["inputs"]]
    assert names == ["noise_1", "images_2"]
    assert told["inputs"][1]["shape"] == [None, 4, 4, 3]
    assert told["inputs"][1]["dtype"] == "float32"
    assert [spec["name"] for spec in told["outputs"]] == ["images_1"]
    assert told["level"] == 1
    assert told["num_classes"] == 0 and told["classes"] is None


def test_a_level_by_numpy_s_number(model, tmp_path):
    told = model.export(tmp_path / "out", QUICK, level=np.int64(1))
    assert told["outputs"][0]["name"] == "images_1"


@pytest.mark.parametrize("level", [3, -1, 1.0, True, "1", [1]])
def test_levels_that_are_not_there(model, refused, level):
    message = refused(model, level=level)
    assert "from 0 (finest) to 2 (coarsest)" in message
    assert message.endswith(f"Received: {level!r}")


def test_without_terms(models, tmp_path):
    model = models.lapgan(models.dense(4))
    told = model.export(tmp_path / "a", QUICK)
    assert told["license"] is None and not (tmp_path / "a/NOTICE").exists()
    model.terms = ("mit", None)
    told = model.export(tmp_path / "b", QUICK)
    assert told["license"] == "mit" and not (tmp_path / "b/NOTICE").exists()


def test_overwriting_an_export_and_nothing_else(model, refused, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    assert "exists. Choose another folder" in refused(model)
    (folder / "diary.txt").write_text("dear diary")
    assert "no earlier export" in refused(model, overwrite=True)
    (folder / "diary.txt").unlink()
    folder.rmdir()
    model.export(folder, QUICK)
    first = contents(folder)
    assert "exists" in refused(model)
    model.export(folder, QUICK, level=2, overwrite=True)
    assert contents(folder) != first
    (folder / "diary.txt").write_text("dear diary")
    assert "'diary.txt', which no export" in refused(model, overwrite=True)


# === Precision of the model ===


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_a_model_of_fewer_bits_is_exported_in_float32(tmp_path, policy):
    keras.utils.set_random_seed(0)
    shared = {"num_classes": 2, "dtype": policy}
    model = LAPGAN(
        [
            LAPGANLevel(
                networks.DenseGenerator(8, hidden_units=(8,), **shared),
                networks.DenseDiscriminator(
                    8, hidden_units=(4,), conditional=False, **shared
                ),
            )
        ]
    )
    model.terms = ("mit", "Text")
    told = model.export(tmp_path / "out", QUICK, dtype="float32")
    assert told["verified"]["max_difference"] < 1e-3
    assert told["license"] == "mit" and (tmp_path / "out/NOTICE").exists()
    drawn = sampler(tmp_path / "out")(7, seed=SEED)["images_0"]
    wanted = model.generate(7, seed=SEED, dtype="float32")
    # What bfloat16 is off by.
    assert 0 < np.abs(drawn - wanted).max() < 2
    assert model.level(0).ema_generator.dtype_policy.name == policy


def test_the_policy_in_use_does_not_matter(model, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        told = model.export(tmp_path / "out", QUICK, dtype="float32")
    finally:
        keras.config.set_dtype_policy("float32")
    assert told["verified"]["max_difference"] < 1e-3


# === What cannot be exported ===


def band(x):
    return layers.Reshape((8, 8, 3))(layers.Dense(192)(x))


def test_safetensors_names_the_layer_it_has_no_step_for(models, refused):
    def body(inputs):
        return band(layers.ELU(name="curved")(inputs["noise"]))

    model = models.lapgan(models.own(body))
    assert refused(model).endswith(
        "level_0.curved is none of them. Use another format, onnx or keras. "
        "Received: ELU"
    )


@keras.saving.register_keras_serializable("keras_lapgan_tests")
class Softsign(layers.Layer):
    def call(self, x):
        return keras.ops.softsign(x)


def test_layers_of_one_s_own(models, refused, tmp_path):
    def body(inputs):
        return band(Softsign(name="mine")(inputs["noise"]))

    model = models.lapgan(models.own(body))
    message = refused(model, "keras")
    assert "mine is none of them" in message and "Softsign" in message
    if BACKEND == "tensorflow":
        model.export(tmp_path / "out", "tf_saved_model")


def test_a_network_with_a_call_of_its_own(models, refused):
    class Louder(networks.DenseGenerator):
        def call(self, inputs, training=False):
            return 2.0 * super().call(inputs, training=training)

    model = models.lapgan(Louder(8, hidden_units=(4,)))
    assert "has a `call` of its own" in refused(model)


class OwnLAPGAN(LAPGAN):
    pass


class OwnLevel(LAPGANLevel):
    pass


def test_subclasses(models, refused):
    parts = models.lapgan(models.dense(4)).levels
    assert "OwnLAPGAN is a subclass of LAPGAN" in refused(OwnLAPGAN(parts))
    level = OwnLevel(parts[0].generator, parts[0].discriminator)
    message = refused(LAPGAN([level]))
    assert "OwnLevel is a subclass of LAPGANLevel" in message


def test_a_network_of_one_s_own_in_fewer_bits(models, refused):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.lapgan(models.own(lambda x: band(x["noise"])))
    finally:
        keras.config.set_dtype_policy("float32")
    message = refused(model)
    assert "level 0 is a network of your own" in message
    assert message.endswith("Received: mixed_bfloat16")


@pytest.mark.parametrize("level", [None, 0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(models, refused, value, level):
    model = models.lapgan(models.dense(8, conditional=True), models.dense(4))
    network = model.level(1).ema_generator
    network.set_weights([np.full_like(w, value) for w in network.get_weights()])
    message = refused(model, level=level)
    assert "NaN or infinity at level" in message


# === What goes wrong on the way ===


def test_a_converter_that_fails_half_way(model, refused, monkeypatch):
    def fails(plain, path, signature):
        path.write_bytes(b"half")
        raise RuntimeError("no such operation:\n  Foo")

    monkeypatch.setitem(writers._WRITERS, QUICK, fails)
    assert refused(model) == (
        "The model could not be written as safetensors: RuntimeError: no such "
        "operation: Foo"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "Full")])
def test_what_is_no_converter_s_fault_passes(
    model, refused, monkeypatch, error
):
    def fails(plain, path, signature):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setitem(writers._WRITERS, QUICK, fails)
    kind = error if isinstance(error, type) else type(error)
    assert refused(model, error=kind) in ("", "[Errno 28] Full")


def test_a_failure_leaves_the_earlier_export(
    model, refused, monkeypatch, tmp_path
):
    def fails(plain, path, signature):
        raise RuntimeError

    model.export(tmp_path / "out", QUICK)
    monkeypatch.setitem(writers._WRITERS, QUICK, fails)
    assert "RuntimeError: no message" in refused(model, overwrite=True)


@pytest.mark.parametrize(
    "precision, dtype, off, fails",
    [
        ("float32", "float32", 0.02, False),
        ("float32", "float32", 0.04, True),
        ("float32", "uint8", 1, True),
        ("float16", "uint8", 1, True),
        ("float16", "float32", 0.12, False),
        ("float16", "float32", 0.5, True),
    ],
)
def test_a_runtime_that_draws_something_else(
    model, refused, monkeypatch, tmp_path, precision, dtype, off, fails
):
    write = writers._WRITERS[QUICK]

    def shifted(plain, path, signature):
        plain.arrays["pixels_1.offset"] = plain.arrays["pixels_1.offset"] + off
        write(plain, path, signature)

    monkeypatch.setitem(writers._WRITERS, QUICK, shifted)
    options = {"stages": True, "precision": precision, "dtype": dtype}
    if not fails:
        told = model.export(tmp_path / "out", QUICK, **options)
        assert told["verified"]["max_difference"] > 0.9 * off
        return
    message = refused(model, **options)
    assert message.startswith(
        "model.safetensors, images_1 of 1 pictures: the file does not draw "
        "what Keras draws: pixels are up to "
    )
    bounds = {"float32": "0.0255 and 0.0255", "float16": "2.55 and 0.255"}
    assert f"in {precision} at most {bounds[precision]} may" in message


def test_every_class_is_compared(models, refused, monkeypatch):
    model = models.chain(9)
    write = writers._WRITERS[QUICK]

    def last_class(plain, path, signature):
        plain.arrays["level_0.class_plane.table"][8] += 9
        write(plain, path, signature)

    monkeypatch.setitem(writers._WRITERS, QUICK, last_class)
    error = refused(model)
    assert "images_0 of 9 pictures: the file does not draw what" in error


def test_a_runtime_of_other_shapes(model, refused, monkeypatch):
    write = writers._WRITERS[QUICK]

    def flat(plain, path, signature):
        write(plain, path, signature)
        signature["graph"].append(
            {
                "name": "images_0",
                "op": "reshape",
                "inputs": ["images_0"],
                "shape": [432],
            }
        )

    monkeypatch.setitem(writers._WRITERS, QUICK, flat)
    assert refused(model) == (
        "model.safetensors, images_0 of 1 pictures: expected (1, 12, 12, 3) "
        "of uint8, the runtime gave (1, 432) of uint8."
    )


@pytest.mark.parametrize("format", FAILING)
def test_a_file_that_does_not_run(model, refused, monkeypatch, format):
    write = writers._WRITERS[format]

    def cut(plain, path, signature):
        write(plain, path, signature)
        files = [path] if path.is_file() else list(path.rglob("*.*"))
        for file in files:
            content = file.read_bytes()
            file.write_bytes(content[: len(content) // 2])

    monkeypatch.setitem(writers._WRITERS, format, cut)
    message = refused(model, format)
    file = FORMATS[format].file
    assert message.startswith(f"{file} does not run: ValueError: '{file}'")


# === A full disk ===


@contextlib.contextmanager
def small_files(size):
    """Lets files of this process grow to so many bytes, no further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("format", FAILING)
def test_a_file_too_large_for_the_disk(models, refused, format):
    # Python ignores the signal that comes with it.
    model = models.lapgan(models.dense(8, hidden_units=(200, 200)))
    with small_files(100_000):
        message = refused(model, format, error=(ExportError, OSError))
    assert message
    # A writer of torch's would abort the process when it is collected.
    gc.collect()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs leave to mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(models, small_disk):
    model = models.lapgan(models.dense(8, hidden_units=(200, 200)))
    with pytest.raises(OSError) as error:
        model.export(small_disk / "out", QUICK)
    assert error.value.errno == 28
    assert os.listdir(small_disk) == []


# === Where another backend writes ===

OTHER = {"tensorflow": "torch"}.get(BACKEND, "onnx")
other_process = pytest.mark.skipif(
    not all(map(find_spec, FORMATS[OTHER].modules)),
    reason=f"needs {', '.join(FORMATS[OTHER].modules)}",
)


@other_process
def test_another_backend_writes(chains, tmp_path):
    model, stages = chains[3]
    steps = []
    told = export_model.export_model(
        model, tmp_path / "out", OTHER, stages=True, progress=steps.append
    )
    assert steps == [f"Starting Keras on {FORMATS[OTHER].backend}"]
    assert os.listdir(tmp_path) == ["out"]
    assert told == json.loads((tmp_path / "out/signature.json").read_text())
    assert told["name"] == "tiny" and told["classes"] == ["a", "b", "c"]
    assert told["license"] == "cc-by-4.0"
    assert (tmp_path / "out/NOTICE").read_text() == "Pictures by nobody.\n"
    drawn = sampler(tmp_path / "out")(7, seed=SEED)
    for name, stage in zip(drawn, stages, strict=True):
        assert apart(drawn[name], stage[:7]) < 1e-2


def test_a_model_on_an_accelerator(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export_model, "_is_on_cpu", lambda: False)
    steps = []
    export_model.export_model(
        model, tmp_path / "out", QUICK, progress=steps.append
    )
    assert steps == [f"Starting Keras on {BACKEND}"]
    drawn = sampler(tmp_path / "out")(3, seed=SEED)["images_0"]
    wanted = model.generate(3, seed=SEED, dtype="float32")
    assert apart(drawn, wanted) < 0.0255


@other_process
@pytest.mark.skipif(BACKEND == "jax", reason="as on torch")
def test_what_another_process_says(models, refused):
    model = models.lapgan(models.dense(4, hidden_units=(16, 16)))
    network = model.level(0).ema_generator
    # Numbers themselves, but not their products.
    network.set_weights([1e30 * w for w in network.get_weights()])
    assert "NaN or infinity at level 0" in refused(model, OTHER)


@other_process
def test_a_process_that_says_nothing(model, refused, monkeypatch):
    monkeypatch.setattr(export_model.sys, "executable", "/bin/false")
    assert refused(model, OTHER) == (
        f"Keras on {FORMATS[OTHER].backend} ended with status 1: no message"
    )


@pytest.mark.slow
@other_process
def test_a_full_disk_of_another_process(models, small_disk):
    model = models.lapgan(models.dense(8, hidden_units=(200, 200)))
    with pytest.raises((ExportError, OSError)):
        model.export(small_disk / "out", OTHER)
    assert os.listdir(small_disk) == []


INTERRUPT = """
import os
import signal
import threading
import time
from pathlib import Path

from keras_lapgan import LAPGAN


def interrupt():
    # Once the other process has begun to write.
    while not list(Path().glob(".tmp_out_*/.tmp_*")):
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


model = LAPGAN.from_preset("preset")
threading.Thread(target=interrupt, daemon=True).start()
try:
    model.export("out", {format!r})
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@other_process
def test_an_interrupted_process_leaves_nothing(models, tmp_path):
    models.chain().save_to_preset(tmp_path / "preset")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT.format(format=OTHER)],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "interrupted\n", done.stderr
    assert os.listdir(tmp_path) == ["preset"]


@other_process
def test_a_model_that_no_preset_holds(models, refused):
    model = models.lapgan(models.own(lambda x: band(x["noise"])))
    message = refused(model, OTHER)
    assert f"KERAS_BACKEND={FORMATS[OTHER].backend} to write it" in message
    assert "Received: 'Functional'" in message
