import os
import shutil
import sys

import keras
import pytest
from click.testing import CliRunner


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command line, as in a shell in an empty folder."""
    monkeypatch.chdir(tmp_path)
    policy = keras.config.dtype_policy()

    def run(*args):
        from keras_lapgan.cli.main import cli

        args = [str(arg) for arg in args]
        monkeypatch.setattr(sys, "argv", ["keras-lapgan", *args])
        result = CliRunner().invoke(cli, args, prog_name="keras-lapgan")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    yield run
    keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="session")
def _trained(preset, tmp_path_factory):
    from keras_lapgan.cli.main import cli

    folder = tmp_path_factory.mktemp("runs") / "a"
    args = ["train", str(preset), "--data", "sample", "--epochs", "1"]
    args += ["--steps-per-epoch", "3", "--batch-size", "4", "--output"]
    assert CliRunner().invoke(cli, [*args, str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def trained(run, _trained):
    """A run of one epoch, the folder `a` of the working folder."""
    shutil.copytree(_trained, "a")


@pytest.fixture
def fails(run):
    """Runs a command line that must end in one line, and gives that."""

    def fails(*args, code):
        before = set(os.listdir())
        result = run(*args)
        assert result.exit_code == code, result.output
        error = result.stderr.splitlines()[-1]
        assert error.startswith("Error: ")
        assert "Traceback" not in result.stderr
        assert set(os.listdir()) == before
        return error

    return fails


def _make(folder, num_classes=0, class_names=None):
    from keras_lapgan import LAPGAN
    from keras_lapgan import LAPGANLevel
    from keras_lapgan import networks

    keras.utils.set_random_seed(0)
    levels = []
    for k, (size, conditional) in enumerate([(16, True), (8, False)]):
        shared = {"num_classes": num_classes, "conditional": conditional}
        levels.append(
            LAPGANLevel(
                networks.DenseGenerator(
                    size, hidden_units=(8, 8), noise_dim=4, **shared
                ),
                networks.DenseDiscriminator(
                    size, hidden_units=(8, 8), **shared
                ),
                index=k,
            )
        )
    model = LAPGAN(
        levels,
        normalization="per_channel",
        source_size=20,
        class_names=class_names,
    )
    # Compiling takes longer than a few steps; on JAX it is the other way.
    model.compile(run_eagerly=keras.backend.backend() != "jax")
    model.save_to_preset(folder)
    return folder


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    """The folder of a small preset."""
    return _make(tmp_path_factory.mktemp("presets") / "tiny")


@pytest.fixture(scope="session")
def class_preset(tmp_path_factory):
    """The folder of a small preset of the sample's ten classes, misnamed."""
    return _make(
        tmp_path_factory.mktemp("presets") / "classes",
        10,
        ["cat", "big dog", *"abcdefgh"],
    )
