"""What docs/export.md tells, done."""

import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.export import FORMATS
from keras_lapgan.presets.registry import published_folder

DOCS = Path(__file__).parents[2] / "docs/export.md"


def sections():
    """The document's sections by their titles."""
    parts = re.split(r"^##+ (.*)$", DOCS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def snippets(title):
    text = sections()[title]
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def model():
    if published_folder("lapgan_cifar10_small") is None:
        pytest.skip("lapgan_cifar10_small has no published weights here")
    return LAPGAN.from_preset("lapgan_cifar10_small")


@pytest.mark.parametrize("format", FORMATS)
def test_snippets_draw_the_pictures(model, format, tmp_path, monkeypatch):
    if FORMATS[format].backend not in (None, keras.backend.backend()):
        pytest.skip(f"{format} is written on {FORMATS[format].backend}")
    model.export(tmp_path / "exported", format)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "exported")
    monkeypatch.delitem(sys.modules, "run", raising=False)
    names = {}
    for code in snippets("Noise and seeds") + snippets("The runtimes"):
        exec(code, names)
    pictures = model.generate(32, seed=42).astype(int)
    for name, part in (("pictures", slice(16)), ("more", slice(16, 32))):
        assert np.abs(names[name] - pictures[part]).max() <= 1
    for code in snippets(format):
        exec(code, names)
    if format != "safetensors":
        drawn = np.asarray(names["pictures"]).astype(int)
        assert np.abs(drawn - pictures[:4]).max() <= 1
    else:
        assert names["graph"][-1]["name"] == "images_0"
        assert names["own"] == {}


def test_every_format_is_told():
    table = DOCS.read_text()
    for name, known in FORMATS.items():
        (row,) = re.findall(rf"^\| `{name}` \| `.*$", table, re.MULTILINE)
        cells = [cell.strip() for cell in row.split("|")]
        assert known.file in cells[2]
        assert cells[5] == ", ".join(known.precisions)
        assert ("fixed" in cells[6]) == known.fixed_batch
