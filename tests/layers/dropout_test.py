import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.dropout import StepDropout
from keras_lapgan.layers.randomness import StepRandom


def call(layer, inputs=None, seed=1, step=0, training=True):
    if inputs is None:
        inputs = np.ones((40, 50), "float32")
    with StepRandom(seed, step).active():
        return ops.convert_to_numpy(layer(inputs, training=training))


def test_drops_its_share_and_scales_the_rest():
    dropped = call(StepDropout(0.25, name="dropout"))
    assert (dropped == 0).mean() == pytest.approx(0.25, abs=0.04)
    np.testing.assert_allclose(dropped[dropped != 0], 1 / 0.75, rtol=1e-6)


def test_mask_is_a_function_of_seed_step_and_name():
    layer = StepDropout(0.5, name="dropout")
    mask = call(layer)
    np.testing.assert_array_equal(mask, call(layer))
    np.testing.assert_array_equal(mask, call(StepDropout(0.5, name="dropout")))
    for other in (
        call(layer, step=1),
        call(layer, seed=2),
        call(StepDropout(0.5, name="other")),
    ):
        assert (mask != other).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("rate, training", [(0.5, False), (0, True)])
def test_may_do_nothing(rate, training):
    inputs = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    outputs = call(StepDropout(rate), inputs, training=training)
    np.testing.assert_array_equal(outputs, inputs)


def test_noise_shape_drops_whole_maps():
    layer = StepDropout(0.5, noise_shape=(None, 1, 1, None))
    maps = call(layer, np.ones((8, 3, 5, 16), "float32")).reshape(8, 15, 16)
    assert (maps == maps[:, :1]).all()
    assert 0 < (maps == 0).mean() < 1


def test_elsewhere_it_is_keras_dropout():
    layer = StepDropout(0.5, name="dropout", seed=3)
    inputs = np.ones((40, 50), "float32")
    outputs = ops.convert_to_numpy(layer(inputs, training=True))
    assert (outputs == 0).mean() == pytest.approx(0.5, abs=0.05)
    again = ops.convert_to_numpy(layer(inputs, training=True))
    assert (outputs != again).any()


def test_keeps_the_dtype():
    layer = StepDropout(0.5, dtype="bfloat16")
    with StepRandom(1, 0).active():
        outputs = layer(ops.ones((4, 8), "bfloat16"), training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"


def test_config():
    layer = StepDropout(0.3, noise_shape=(None, 1), name="dropout")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == "keras_lapgan>StepDropout"
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == layer.get_config()
