"""Each format's run.py in a new environment, with its runtime and no more."""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import venv
from importlib.metadata import version
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from keras_lapgan import LAPGAN
from keras_lapgan.cli.main import cli
from keras_lapgan.export import FORMATS
from keras_lapgan.utils.image_grid import image_grid

pytestmark = pytest.mark.slow

# What a user of the file installs.
RUNTIMES = {
    "tf_saved_model": ["tensorflow"],
    "onnx": ["onnxruntime"],
    "openvino": ["openvino"],
    "litert": ["ai-edge-litert"],
    "torch": ["torch"],
    "keras": ["keras", "tensorflow"],
    "safetensors": ["safetensors"],
}
UNCONDITIONAL = "lapgan_cifar10_small"
CONDITIONAL = "lapgan_cifar10_class_conditional_small"
PRESETS = [UNCONDITIONAL, CONDITIONAL]
SEED = ("--seed", 42)
CHAIN = {"stages": False}
FINEST = {"level": 0}
each_preset = pytest.mark.parametrize("name", PRESETS)


class Environment:
    """A new virtual environment.

    Args:
        folder: `pathlib.Path`. Where it is made.
        packages: list of str. What pip installs there.
    """

    def __init__(self, folder, packages):
        self.python = folder / "bin" / "python"
        venv.create(folder, with_pip=True, symlinks=True)
        self.variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "KERAS_"))
        }
        # A keras.json in the home folder would choose the backend.
        self.variables["KERAS_HOME"] = str(folder)
        self.install(*packages)

    def install(self, *packages):
        done = self.run("-m", "pip", "install", "--quiet", *packages)
        if done.returncode:
            *_, line = done.stderr.strip().splitlines() or ["no message"]
            pytest.skip(f"pip cannot install {' '.join(packages)}: {line}")

    def run(self, *arguments, cwd=None):
        """Runs its Python."""
        return subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=cwd,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )


@contextlib.contextmanager
def new_environment(folder, *packages):
    """An `Environment` that goes away again: some are gigabytes."""
    try:
        yield Environment(folder, packages)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module", params=RUNTIMES)
def format(request):
    return request.param


@pytest.fixture(scope="module")
def elsewhere(format, tmp_path_factory):
    """The environment of one format."""
    skip_without(format)
    packages = list(RUNTIMES[format])
    if format == "torch":
        # Its files are for the version that wrote them, on any device.
        packages = [f"torch=={version('torch').partition('+')[0]}"]
    folder = tmp_path_factory.mktemp(format)
    with new_environment(folder, *packages, "numpy") as environment:
        yield environment


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An environment with numpy alone."""
    folder = tmp_path_factory.mktemp("bare")
    with new_environment(folder, "numpy") as environment:
        yield environment


def skip_without(format):
    missing = [m for m in FORMATS[format].modules if not find_spec(m)]
    if missing:
        pytest.skip(f"exporting as {format} needs {' and '.join(missing)}")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The folder of each preset, and its model; one has random weights."""
    found = {}
    for name in PRESETS:
        keras.utils.set_random_seed(0)
        weights = name == UNCONDITIONAL
        model = LAPGAN.from_preset(name, load_weights=weights)
        folder = tmp_path_factory.mktemp("presets") / name
        model.save_to_preset(folder)
        found[name] = folder, model
    return found


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """Exports a preset and gives the folder; each is made once."""
    home = tmp_path_factory.mktemp("exports")

    @functools.cache
    def exported(name, format, **options):
        skip_without(format)
        choices = [f"{k}_{v}" for k, v in options.items()]
        folder = home / "-".join([name, format, *choices])
        models[name][1].export(folder, format=format, **options)
        return folder

    yield exported
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def sampled(models, tmp_path_factory):
    """What `keras-lapgan sample` prints and draws of a preset."""
    output = tmp_path_factory.mktemp("sampled") / "samples.png"

    @functools.cache
    def sampled(name, *options):
        arguments = ["sample", models[name][0], *options, "--output", output]
        result = CliRunner().invoke(cli, [*map(str, arguments), "--overwrite"])
        assert result.exit_code == 0, result.output
        line = result.stdout.splitlines()[-1]
        return line.replace(str(output), "samples.png") + "\n", pixels(output)

    return sampled


@pytest.fixture
def draws(elsewhere, tmp_path):
    """Runs a folder's run.py elsewhere; gives what it prints and draws."""

    def draws(folder, *options):
        done = elsewhere.run(folder / "run.py", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert os.listdir(tmp_path) == ["samples.png"]
        return done.stdout, pixels(tmp_path / "samples.png")

    return draws


@pytest.fixture
def fails(bare, tmp_path):
    """Runs a run.py that must end in one line, and gives that."""

    def fails(script, *options, environment=bare):
        before = sorted(tmp_path.rglob("*"))
        done = environment.run(script, *options, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert sorted(tmp_path.rglob("*")) == before
        # A runtime may write to its log before; torch logs what it catches.
        *others, line = done.stderr.splitlines()
        assert not any(other.startswith("Traceback") for other in others)
        assert line.startswith("Error: ")
        return line

    return fails


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def assert_same_pictures(drawn, wanted):
    """Equal, but for values whose rounding falls to the other side."""
    assert (drawn.shape, drawn.dtype) == (wanted.shape, np.uint8)
    apart = np.abs(drawn.astype(int) - wanted)
    print(f"{np.count_nonzero(apart)} of {apart.size} values apart")
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 1e-3


# === Drawing ===


def test_this_package_is_not_there(elsewhere, tmp_path):
    done = elsewhere.run("-c", "import keras_lapgan", cwd=tmp_path)
    assert "No module named 'keras_lapgan'" in done.stderr


@each_preset
@pytest.mark.parametrize("stages", [False, True])
def test_the_whole_chain(draws, exported, sampled, name, format, stages):
    folder = exported(name, format, stages=stages)
    layout = ("--layout", "strip") if stages else ()
    told, drawn = draws(folder, *SEED, *layout)
    expected, wanted = sampled(name, *SEED, *layout)
    assert told == expected
    assert_same_pictures(drawn, wanted)


def test_chosen_classes(draws, exported, sampled, format):
    folder = exported(CONDITIONAL, format, **CHAIN)
    options = (*SEED, "--labels", "Dog,3,truck", "--count", 100)
    told, drawn = draws(folder, *options)
    expected, wanted = sampled(CONDITIONAL, *options)
    assert told == expected
    assert_same_pictures(drawn, wanted)


@each_preset
@pytest.mark.parametrize("ending", [".npy", ".png"])
def test_the_finest_level(
    draws, models, exported, name, format, ending, tmp_path_factory
):
    model = models[name][1]
    count = 1 if ending == ".png" else 70
    _, coarse, _ = model.generate(count, seed=7, return_pyramid=True)
    path = tmp_path_factory.mktemp("coarse") / f"coarse{ending}"
    if ending == ".png":
        Image.fromarray(coarse[0]).save(path)
    else:
        np.save(path, coarse)
    told, drawn = draws(
        exported(name, format, level=0), *SEED, "--images", path
    )
    assert told == f"{count} pictures of seed 42: samples.png\n"
    wanted = model.generate_from(coarse, level=1, seed=42)
    wanted = image_grid(wanted, columns=model.num_classes or None, scale=2)
    assert_same_pictures(drawn, wanted)


@each_preset
def test_the_coarsest_level(draws, models, exported, name, format):
    told, drawn = draws(exported(name, format, level=2), *SEED, "--count", 30)
    assert told == "30 pictures of seed 42: samples.png\n"
    model = models[name][1]
    *_, wanted = model.generate(30, seed=42, return_pyramid=True)
    wanted = image_grid(wanted, columns=model.num_classes or None, scale=7)
    assert_same_pictures(drawn, wanted)


def test_a_program(elsewhere, models, exported, format, tmp_path):
    folder = exported(CONDITIONAL, format, stages=True)
    code = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from run import Sampler
np.savez("drawn.npz", **Sampler()(5, seed=3, labels=7, start=90))
"""
    done = elsewhere.run("-c", code, folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = np.load(tmp_path / "drawn.npz")
    stages = models[CONDITIONAL][1].generate(
        95, labels=7, seed=3, return_pyramid=True
    )
    assert list(drawn) == ["images_0", "images_1", "images_2"]
    for k, wanted in enumerate(stages):
        assert_same_pictures(drawn[f"images_{k}"], wanted[90:])


# === Mistakes ===


def test_a_damaged_file(elsewhere, fails, exported, format, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(exported(UNCONDITIONAL, format, **CHAIN), folder)
    name = FORMATS[format].file
    for path in [*folder.rglob("*.pb"), *folder.glob("model.*")]:
        path.write_bytes(path.read_bytes()[:1000])
    error = fails(folder / "run.py", *SEED, environment=elsewhere)
    assert f"{name!r} could not be loaded. Received: " in error


def test_no_runtime(fails, exported, format):
    script = exported(UNCONDITIONAL, format, **CHAIN) / "run.py"
    error = fails(script)
    assert f"`pip install {' '.join(RUNTIMES[format])}`" in error


def test_keras_without_a_backend(fails, exported, tmp_path_factory):
    script = exported(UNCONDITIONAL, "keras", **CHAIN) / "run.py"
    folder = tmp_path_factory.mktemp("keras_alone")
    with new_environment(folder, "keras") as environment:
        error = fails(script, environment=environment)
    assert "`pip install keras tensorflow`; jax or torch" in error


def test_help(bare, exported, tmp_path):
    script = exported(UNCONDITIONAL, "keras", **CHAIN) / "run.py"
    done = bare.run(script, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: run.py" in done.stdout
    for option in ("--count", "--seed", "--labels", "--images", "--output"):
        assert option in done.stdout


@pytest.mark.parametrize(
    "what, options, message",
    [
        ("classes", "--labels kat", "no class 'kat'. Did you mean cat"),
        ("classes", "--labels 10", "no class '10'. Classes: airplane, auto"),
        (
            "chain",
            "--labels cat",
            "not class-conditional; leave the option out",
        ),
        ("chain", "--layout strip", "--layout strip needs a file with all st"),
        ("chain", "--images GREY", "starts from noise; leave `images` out"),
        ("chain", "--output GREY", "Choose another, or replace it with --ov"),
        ("chain", "--output a.jpg", "must end in .png or .npy or .npz"),
        ("chain", "--output no/a.png", "there is no folder 'no'"),
        ("chain", "--count 0", "must be a whole number from 1 to"),
        ("chain", "--seed -1", "must be a whole number from 0 to"),
        ("chain", "--sede 1", "--sede"),
        ("finest", "", "makes pictures finer. `images` must be"),
        ("finest", "--images GREY", "Received: shape (1, 9, 9, 1)"),
        ("finest", "--images no.png", "no.png"),
    ],
)
def test_options(fails, exported, tmp_path, what, options, message):
    Image.new("L", (9, 9)).save(tmp_path / "grey.png")
    name = CONDITIONAL if what == "classes" else UNCONDITIONAL
    export = FINEST if what == "finest" else CHAIN
    script = exported(name, "keras", **export) / "run.py"
    options = options.replace("GREY", "grey.png").split()
    assert message in fails(script, *options)


def test_a_script_that_was_moved_away(fails, exported, tmp_path):
    folder = exported(UNCONDITIONAL, "keras", **CHAIN)
    shutil.copy(folder / "run.py", tmp_path)
    error = fails(tmp_path / "run.py")
    assert f"There is no 'signature.json' in {str(tmp_path)!r}" in error


def test_a_signature_of_another_version(fails, exported, tmp_path):
    folder = tmp_path / "later"
    shutil.copytree(exported(UNCONDITIONAL, "keras", **CHAIN), folder)
    path = folder / "signature.json"
    signature = json.loads(path.read_text())
    path.write_text(json.dumps({**signature, "keras_lapgan_export": 2}))
    error = fails(folder / "run.py")
    assert "must be of version 1, " in error and error.endswith("Received: 2")


def test_an_output_that_exists(draws, exported, format, tmp_path):
    folder = exported(UNCONDITIONAL, format, **CHAIN)
    (tmp_path / "samples.png").write_text("old")
    _, drawn = draws(folder, *SEED, "--count", 1, "--overwrite")
    assert drawn.shape == (60, 60, 3)
