import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.lp_pooling import PairwiseL2Pooling


def test_norm_of_neighbouring_channels():
    inputs = np.random.default_rng(0).normal(size=(2, 5, 4, 6))
    inputs = inputs.astype("float32")
    layer = PairwiseL2Pooling()
    expected = np.sqrt(inputs[..., 0::2] ** 2 + inputs[..., 1::2] ** 2)
    result = layer(inputs)
    assert layer.compute_output_shape(inputs.shape) == (2, 5, 4, 3)
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), expected, atol=1e-5
    )
    assert not layer.weights


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_gradient(dtype):
    values = np.array([[0.0, 0.0, 3.0, 4.0]], "float32")
    layer = PairwiseL2Pooling(dtype=dtype)

    def loss(x):
        return ops.sum(ops.cast(layer(x), "float32"))

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(values)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        result = tape.gradient(value, x).numpy()
    elif backend == "jax":
        import jax

        result = np.asarray(jax.grad(loss)(values))
    else:
        x = ops.convert_to_tensor(values).requires_grad_(True)
        loss(x).backward()
        result = x.grad.cpu().numpy()
    np.testing.assert_allclose(result, [[0, 0, 0.6, 0.8]], atol=1e-3)


def test_compute_dtype():
    # The squares alone would overflow or vanish in float16.
    layer = PairwiseL2Pooling(dtype="float16")
    result = layer(np.array([[3e3, 4e3, 3e-4, 4e-4]], "float16"))
    assert keras.backend.standardize_dtype(result.dtype) == "float16"
    np.testing.assert_allclose(
        ops.convert_to_numpy(result).astype("float32"),
        [[5e3, 5e-4]],
        rtol=1e-2,
    )


def test_odd_number_of_channels():
    with pytest.raises(ValueError, match=r"even.*shape=\(2, 4, 4, 3\)"):
        PairwiseL2Pooling()(np.zeros((2, 4, 4, 3), "float32"))


def test_any_spatial_size_in_a_functional_model():
    inputs = keras.Input((None, None, 8))
    model = keras.Model(inputs, PairwiseL2Pooling()(inputs))
    assert model.output_shape == (None, None, None, 4)
    result = model.predict(np.ones((2, 3, 5, 8), "float32"), verbose=0)
    assert result.shape == (2, 3, 5, 4)
    np.testing.assert_allclose(result, np.sqrt(2), atol=1e-5)


def test_config_round_trip():
    layer = PairwiseL2Pooling(name="pool")
    config = keras.saving.serialize_keras_object(layer)
    clone = keras.saving.deserialize_keras_object(config)
    assert clone.get_config() == layer.get_config()
