import keras
import pytest

from keras_lapgan.training import strategy

BACKEND = keras.backend.backend()


def test_one_device():
    one = strategy.make("one")
    assert one.is_chief
    assert one.describe() == "training on 1 device (one)"
    assert one.any_worker(True) and not one.any_worker(False)
    with one.scope():
        pass


def test_a_name_that_the_backend_does_not_have():
    other = "mirrored" if BACKEND == "jax" else "data-parallel"
    with pytest.raises(ValueError, match=f"KERAS_BACKEND={BACKEND}"):
        strategy.resolve(other, 32)
