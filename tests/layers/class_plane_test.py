import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.class_plane import ClassPlane


def test_is_a_linear_layer_on_the_one_hot_label():
    layer = ClassPlane(5, (4, 6))
    labels = np.array([3, 0, 4], "int64")
    result = ops.convert_to_numpy(layer(labels))
    kernel = ops.convert_to_numpy(layer.kernel)
    bias = ops.convert_to_numpy(layer.bias)
    expected = np.maximum(np.eye(5)[labels] @ kernel + bias, 0)
    np.testing.assert_allclose(result, expected.reshape(3, 4, 6, 1), atol=1e-6)


def test_parameters():
    layer = ClassPlane(10, 28)
    layer.build((None,))
    assert layer.count_params() == 8624
    assert len(layer.trainable_weights) == 2


def test_initial_values_are_uniform():
    layer = ClassPlane(4, 32)
    layer.build((None,))
    for weight in layer.weights:
        values = ops.convert_to_numpy(weight)
        assert np.abs(values).max() <= 0.5
        assert np.abs(values).max() > 0.49
        np.testing.assert_allclose(values.std(), 1 / np.sqrt(12), rtol=0.1)
    assert not np.allclose(
        ops.convert_to_numpy(layer.kernel)[0], ops.convert_to_numpy(layer.bias)
    )


def test_activation():
    layer = ClassPlane(3, 8, activation=None)
    values = ops.convert_to_numpy(layer(np.array([0, 1, 2])))
    assert values.min() < 0
    assert ops.convert_to_numpy(ClassPlane(3, 8)(np.array([1]))).min() == 0


def test_compute_dtype():
    layer = ClassPlane(3, 8, dtype="mixed_bfloat16")
    result = layer(np.array([1, 2], "int32"))
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    assert layer.kernel.dtype == "float32"


def test_bad_arguments():
    with pytest.raises(ValueError, match="Received: num_classes=0"):
        ClassPlane(0, 8)
    with pytest.raises(ValueError, match="Received: size="):
        ClassPlane(3, (1, 2, 3))


def test_config_round_trip():
    layer = ClassPlane(7, (4, 6), activation="tanh", name="plane")
    config = keras.saving.serialize_keras_object(layer)
    clone = keras.saving.deserialize_keras_object(config)
    assert clone.get_config() == layer.get_config()
    assert clone.compute_output_shape((None,)) == (None, 4, 6, 1)
    assert clone.activation is keras.activations.tanh


def test_in_a_functional_model_and_saved(tmp_path):
    labels = keras.Input((), dtype="int32")
    model = keras.Model(labels, ClassPlane(4, 8)(labels))
    values = np.arange(4)
    expected = model.predict(values, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(values, verbose=0), expected)
