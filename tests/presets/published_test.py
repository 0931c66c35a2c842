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
            # In the chain, which `fit` leaves out, G's losses are higher.
            assert 0.7 * min(before) < found < 1.3 * max(before), loss
