"""The wheel, and the one that its sdist makes, installed elsewhere."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from keras_lapgan.presets import list_presets
from keras_lapgan.presets import published_folder

ROOT = Path(__file__).parents[1]
PUBLISHED = [name for name in list_presets() if published_folder(name)]

# In a folder where there is nothing but the wheel's content.
CODE = """
import os, sys
import numpy as np
import keras_lapgan
from keras_lapgan import LAPGAN
from keras_lapgan.presets import find_preset
home = os.path.dirname(keras_lapgan.__file__)
assert home == os.path.join(sys.argv[1], "keras_lapgan"), home
for name in sys.argv[2:]:
    assert str(find_preset(name).folder).startswith(home)
    pictures = LAPGAN.from_preset(name).generate(4, seed=1)
    assert pictures.std() > 20, pictures.std()
    print(name, *pictures.shape)
"""


def build(source, target, *kinds):
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-d", target]
    done = subprocess.run(
        [*command, *(arg for kind in kinds for arg in ("-t", kind))],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the wheel and the sdist."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("this is not a checkout")
    target = tmp_path_factory.mktemp("dist")
    build(ROOT, target, "wheel", "sdist")
    return target


def unpacked(wheel, folder):
    """Installs a wheel of pure Python."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def check(folder):
    top = {path.name.partition("-")[0] for path in folder.iterdir()}
    assert top == {"keras_lapgan"}
    assert not list(folder.rglob("*_test.py"))
    done = subprocess.run(
        [sys.executable, "-c", CODE, folder, *PUBLISHED],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == PUBLISHED


def test_a_wheel_installed_elsewhere_loads_every_preset(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < 100_000_000
    folder = unpacked(wheel, tmp_path / "site")
    notices = {path.name for path in folder.rglob("NOTICE")}
    assert notices == {"NOTICE"}
    check(folder)


def test_the_sdist_makes_the_same_wheel(built, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    build(source, tmp_path / "again", "wheel")
    (wheel,) = built.glob("*.whl")
    (again,) = (tmp_path / "again").glob("*.whl")
    listings = [
        {
            (info.filename, info.CRC)
            for info in zipfile.ZipFile(path).infolist()
            if not info.filename.endswith("RECORD")
        }
        for path in (wheel, again)
    ]
    assert listings[0] == listings[1]
    for name in PUBLISHED:
        assert (source / "presets" / name / "config.json").is_file()
