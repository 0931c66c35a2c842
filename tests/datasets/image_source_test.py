import numpy as np
import pytest

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import ImageSource


def make(n=10, **kwargs):
    images = np.zeros((n, 4, 6, 3), np.uint8)
    images += np.arange(n, dtype=np.uint8)[:, None, None, None]
    return ImageSource(images, **kwargs)


def test_read_and_shape():
    source = make()
    assert len(source) == 10 and source.image_shape == (4, 6, 3)
    assert source.num_classes == 0 and source.labels is None
    images = source.read([3, 3, 9])
    assert images[:, 0, 0, 0].tolist() == [3, 3, 9]
    images[:] = 99
    assert source.read([3])[0, 0, 0, 0] == 3
    with pytest.raises(IndexError):
        source.read([10])


def test_subset_keeps_classes_and_shares_pictures():
    source = make(labels=np.arange(10) % 5)
    part = source.subset([8, 0, 1])
    assert part.labels.tolist() == [3, 0, 1] and part.num_classes == 5
    assert part.images is source.images
    again = part.subset([2])
    assert again.read([0])[0, 0, 0, 0] == 1 and again.num_classes == 5


def test_refuses():
    with pytest.raises(DataError, match="holds no images"):
        make(0)
    with pytest.raises(DataError, match=r"expected shape \(10,\)"):
        make(labels=[1, 2])
    with pytest.raises(DataError, match="holds no images"):
        make().subset([])
