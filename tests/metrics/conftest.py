"""Pictures and features to measure, made up and real."""

import os

import numpy as np
import pytest


@pytest.fixture
def noise():
    """uint8 images of independent pixels."""

    def make(count, side=16, channels=3, seed=0):
        rng = np.random.default_rng(seed)
        shape = (count, side, side, channels)
        return rng.integers(0, 256, shape, dtype="uint8")

    return make


@pytest.fixture
def features():
    """Float features whose columns depend on each other."""

    def make(count, d=16, seed=0, shift=0.0, dtype="float64"):
        rng = np.random.default_rng(seed)
        mix = np.random.default_rng(99).normal(size=(d, d)) / np.sqrt(d)
        x = rng.normal(size=(count, d)) @ mix
        return (x + shift).astype(dtype)

    return make


@pytest.fixture(scope="session")
def sample():
    """The 1,000 real pictures of 32 x 32 pixels in the package, shuffled."""
    from keras_lapgan.datasets import load_images

    images = load_images("sample").read(range(1000))
    return np.random.default_rng(0).permutation(images)


@pytest.fixture(scope="session")
def cifar10():
    """CIFAR-10: 12,000 uint8 images of `train` and 6,000 of `test`."""
    if not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("TFDS_DATA_DIR is not set")
    from keras_lapgan.datasets import load_images

    images = {}
    for split, count in (("train", 12_000), ("test", 6_000)):
        source = load_images("cifar10", f"{split}[:{count}]")
        images[split] = source.read(range(count))
    return images


@pytest.fixture(scope="session")
def authors_samples():
    """The 6,000 samples that the authors of LAPGAN published, 28 x 28."""
    root = os.environ.get("KERAS_LAPGAN_TEST_DATA")
    if not root:
        pytest.skip("KERAS_LAPGAN_TEST_DATA (a folder) is not set")
    path = os.path.join(root, "eyescream", "cc_lapgan_cifar28_samples.npz")
    with np.load(path) as file:
        return file["images"]


@pytest.fixture(scope="session")
def stretched():
    """Random corner crops of 28 pixels, each from 0 to 255.

    So the authors' samples were made and saved.
    """

    def make(images, seed):
        rng = np.random.default_rng(seed)
        corners = 4 * rng.integers(0, 2, (len(images), 2))
        crops = np.stack(
            [
                image[top : top + 28, left : left + 28]
                for image, (top, left) in zip(images, corners, strict=True)
            ]
        ).astype("float32")
        low = crops.min((1, 2, 3), keepdims=True)
        high = crops.max((1, 2, 3), keepdims=True)
        return np.rint((crops - low) / (high - low) * 255).astype("uint8")

    return make
