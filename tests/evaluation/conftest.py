"""Real pictures, samples and an extractor, all small."""

import keras
import numpy as np
import pytest

from keras_lapgan.datasets import ImageSource
from keras_lapgan.datasets import load_images
from keras_lapgan.evaluation import RealPictures
from keras_lapgan.evaluation import ResultCache
from keras_lapgan.metrics.extractors import Extractor


@pytest.fixture(scope="session")
def sample():
    """The package's thousand pictures, in a mixed order."""
    source = load_images("sample")
    return source.subset(np.random.default_rng(0).permutation(len(source)))


@pytest.fixture
def real(sample):
    """80 pictures and 60 held-out ones, cut to 16 pixels."""

    def make(size=(16, 16), **kwargs):
        heldout = kwargs.pop("heldout", sample.subset(range(80, 140)))
        source = kwargs.pop("source", sample.subset(range(80)))
        return RealPictures(source, heldout, size=size, **kwargs)

    return make


@pytest.fixture
def cache(tmp_path):
    return ResultCache(tmp_path / "cache")


@pytest.fixture(scope="session")
def extractor():
    """Features and logits of a small net with fixed weights."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    features = keras.layers.Dense(12, activation="relu")(
        keras.layers.Flatten()(x)
    )
    logits = keras.layers.Dense(4)(features)
    return Extractor(keras.Model(inputs, [features, logits]), "tiny")


@pytest.fixture(scope="session")
def source_of():
    """An `ImageSource` of an array."""

    def make(images, labels=None, name="some"):
        return ImageSource(images, labels, name=name)

    return make
