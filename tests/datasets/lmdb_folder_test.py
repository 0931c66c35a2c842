import io

import numpy as np
import pytest
from PIL import Image

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import lmdb_folder
from keras_lapgan.datasets import load_images


def encode(value, size=(24, 16)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(buffer, "webp")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    path = tmp_path / "bedroom_train_lmdb"
    with lmdb.open(str(path), map_size=2**20) as environment:
        with environment.begin(write=True) as transaction:
            for i in range(8):
                transaction.put(b"%040x" % i, encode(20 * i))
    return path


def add(folder, key, value):
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(folder), map_size=2**20) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(key, value)


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_reads(folder, cache_bytes):
    source = load_images(folder, size=8, cache_bytes=cache_bytes)
    assert len(source) == 8 and source.labels is None
    assert source.cached == (cache_bytes > 0)
    values = source.read([7, 0, 3])[:, 4, 4, 0].astype(int)
    assert abs(values - [140, 0, 60]).max() <= 3
    part = load_images(folder, "train[6:]", size=8, cache_bytes=cache_bytes)
    assert len(part) == 2
    assert load_images(folder).image_shape == (16, 24, 3)


def test_broken_value_is_named(folder):
    add(folder, b"f" * 40, b"no image")
    with pytest.raises(DataError, match="f{40} in .*bedroom_train_lmdb"):
        load_images(folder, size=8, strict=True)


def test_broken_value_is_skipped(folder):
    add(folder, b"f" * 40, b"no image")
    with pytest.warns(UserWarning, match="Skipped 1 of 9"):
        assert len(load_images(folder, size=8)) == 8


def test_broken_value_found_late_is_replaced(folder):
    add(folder, b"f" * 40, b"no image")
    source = load_images(folder, size=8, cache_bytes=0)
    with pytest.warns(UserWarning, match="replaced by another: ffff"):
        images = source.read([8, 0])
    np.testing.assert_array_equal(images[0], images[1])


def test_parent_lists_its_folders(folder):
    with pytest.raises(DataError, match="name one of: bedroom_train_lmdb"):
        load_images(folder.parent)


def test_garbage(tmp_path):
    pytest.importorskip("lmdb")
    (tmp_path / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(DataError, match="cannot be read"):
        load_images(tmp_path)


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_folder, "lmdb", None)
    (tmp_path / "data.mdb").write_bytes(b"")
    with pytest.raises(DataError, match=r'pip install "keras-lapgan\[lsun\]"'):
        load_images(tmp_path)
