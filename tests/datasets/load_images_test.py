import os
import subprocess
import sys

import numpy as np
import pytest

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import load_images
from keras_lapgan.datasets.load_images import SAMPLE


def test_sample():
    source = load_images("sample")
    assert source.image_shape == (32, 32, 3) and source.cached
    assert np.bincount(source.labels).tolist() == [100] * 10
    assert source.class_names[:2] == ["airplane", "automobile"]
    assert source.name == "sample"
    # Natural pictures: CIFAR-10's mean is 121, its deviation 64.
    images = source.read(range(1000))
    assert 115 < images.mean() < 127 and 58 < images.std() < 70
    assert len({image.tobytes() for image in images}) == 1000
    # Shuffled: a slice has every class.
    assert len(set(load_images("sample", "train[:100]").labels)) == 10
    assert os.path.getsize(SAMPLE) <= 3_000_000
    assert os.path.exists(os.path.join(os.path.dirname(SAMPLE), "NOTICE"))


@pytest.mark.slow
def test_sample_comes_from_the_training_split():
    if not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("TFDS_DATA_DIR is not set")
    pytest.importorskip("tensorflow_datasets")
    train = load_images("cifar10")
    index = {
        image.tobytes(): label
        for image, label in zip(
            train.read(range(len(train))), train.labels, strict=True
        )
    }
    sample = load_images("sample")
    for image, label in zip(
        sample.read(range(1000)), sample.labels, strict=True
    ):
        assert index[image.tobytes()] == label


def test_bad_arguments(tmp_path):
    with pytest.raises(DataError, match="resize='stretch'"):
        load_images("sample", resize="stretch")
    for size in (0, -3, 2.5, "32", True):
        with pytest.raises(DataError, match="size="):
            load_images("sample", size=size)
    with pytest.raises(DataError, match="splits: train.*'test'"):
        load_images("sample", split="test")
    with pytest.raises(DataError, match="no such file or folder.*missing"):
        load_images(tmp_path / "missing")
    with pytest.raises(DataError, match="no such file or folder.*missing.npz"):
        load_images("missing.npz")
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match="ends in .npz or .npy"):
        load_images(tmp_path / "a.png")
    with pytest.raises(DataError, match="of type list"):
        load_images([1, 2])


def test_without_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataError, match="pip install tensorflow"):
        load_images("cifar10")


def test_sample_needs_neither_keras_nor_tensorflow():
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'tensorflow_datasets', 'jax', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "from keras_lapgan.datasets import load_images\n"
        "assert len(load_images('sample', size=16)) == 1000\n"
        "assert 'keras' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
