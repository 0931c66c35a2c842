"""What `import keras_lapgan` needs and gives."""

import importlib.util
import os
import subprocess
import sys

import pytest

import keras_lapgan

# As if they were not installed.
WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *args: (
    None
    if name.split(".")[0] in ("tensorflow", "tensorflow_datasets")
    else find_spec(name, *args)
)
"""


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_name_is_there():
    for name in keras_lapgan.__all__:
        assert getattr(keras_lapgan, name) is not None
    assert set(dir(keras_lapgan)) >= {"LAPGAN", "PresetError", "layers"}
    with pytest.raises(AttributeError, match="no attribute 'lapgan'"):
        _ = keras_lapgan.lapgan
    assert issubclass(keras_lapgan.PresetError, ValueError)


def test_importing_it_alone_is_quick():
    out = python(
        "import sys, keras_lapgan\n"
        "print({'keras', 'numpy', 'tensorflow'} & set(sys.modules))"
    )
    assert out == "set()\n"


def test_importing_it_after_keras_registers_the_classes():
    out = python(
        "import keras, keras_lapgan\n"
        "print(keras.saving.get_registered_object('keras_lapgan>LAPGAN'))"
    )
    assert "LAPGAN" in out


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_trains_where_tensorflow_is_not_installed(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    out = python(
        WITHOUT_TENSORFLOW + "import keras_lapgan\n"
        "from keras_lapgan import networks\n"
        "model = keras_lapgan.LAPGAN([keras_lapgan.LAPGANLevel(\n"
        "    networks.DenseGenerator(8, hidden_units=(8, 8)),\n"
        "    networks.DenseDiscriminator(8, hidden_units=(8, 8)))])\n"
        f"model.save_to_preset({str(tmp_path / 'tiny')!r})\n"
        "sys.argv = ['keras-lapgan', 'train', "
        f"{str(tmp_path / 'tiny')!r}, '--data', 'sample',\n"
        "    '--steps-per-epoch', '2', '--batch-size', '4', '--epochs', '1',\n"
        f"    '--output', {str(tmp_path / 'run')!r}]\n"
        "from keras_lapgan.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print('tensorflow' in sys.modules)",
        KERAS_BACKEND=backend,
    )
    assert out.endswith("False\n")
    assert (tmp_path / "run" / "model.weights.h5").is_file()
