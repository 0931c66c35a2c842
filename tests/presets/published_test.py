"""The trained presets that travel with the package."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.datasets import load_images
from keras_lapgan.presets import get_preset
from keras_lapgan.presets.registry import published_folder

FOLDER = Path(__file__).parents[2] / "presets"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/config.json"))


def test_there_are_some():
    assert NAMES
    for name in NAMES:
        assert published_folder(name).samefile(FOLDER / name)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_its_folder(name):
    """Recipe and treatment of the pictures are those of the weights."""
    model, same = LAPGAN.from_preset(name), LAPGAN.from_preset(FOLDER / name)
    assert model.get_config() == same.get_config()
    assert model.get_compile_config() == same.get_compile_config()
    fresh = LAPGAN.from_preset(name, load_weights=False)
    shapes = [[x.shape for x in y.weights] for y in (model, fresh)]
    assert shapes[0] == shapes[1]
    # Half of the pictures were mirrored, which the paper does not.
    assert model.flip and not fresh.flip


def last_epochs(name, column, count=5):
    """What the log has of a loss at the end of training."""
    with open(FOLDER / name / "log.csv", newline="") as file:
        values = [row[column] for row in csv.DictReader(file)]
    return [float(value) for value in values if value][-count:]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_fit_goes_on_without_a_jump(name):
    """The losses of the first steps are those that training ended with."""
    if "TFDS_DATA_DIR" not in os.environ:
        pytest.skip("TFDS_DATA_DIR (with the presets' data sets) is not set")
    preset = get_preset(name)
    source = load_images(preset.data, size=preset.source_size)
    # Single batches differ by a factor of two.
    count = 30 * preset.batch_size
    rows = np.random.default_rng(0).choice(len(source), count, replace=False)
    model = LAPGAN.from_preset(name)
    data = [source.read(rows)]
    if model.num_classes:
        data.append(source.labels[rows])
    history = model.fit(*data, batch_size=preset.batch_size, verbose=0).history
    for k in range(len(model.levels)):
        for loss in (f"d_loss_{k}", f"g_loss_{k}"):
            (found,) = history[loss]
            before = last_epochs(name, loss)
            assert 0.7 * min(before) < found < 1.3 * max(before), loss
