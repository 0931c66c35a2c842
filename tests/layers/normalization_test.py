import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.normalization import ImageNormalization

MODES = ["unit", "per_channel", "per_pixel"]


def random_images(count=50, shape=(6, 5, 3)):
    return np.random.default_rng(0).integers(
        0, 256, (count, *shape), dtype="uint8"
    )


@pytest.mark.parametrize("mode", MODES)
def test_starts_as_unit_range(mode):
    layer = ImageNormalization(mode, (6, 5, 3))
    images = random_images()
    result = layer(images)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), images / 127.5 - 1, atol=1e-6
    )
    assert layer.is_adapted is (mode == "unit")
    assert not layer.trainable_weights
    assert len(layer.weights) == 3


@pytest.mark.parametrize("mode", MODES)
def test_invert(mode):
    layer = ImageNormalization(mode, (6, 5, 3))
    layer.adapt(random_images())
    images = random_images(7)
    result = ops.convert_to_numpy(layer.invert(layer(images)))
    np.testing.assert_allclose(result, images, atol=1e-4)
    far = ops.convert_to_numpy(layer.invert(np.full((1, 6, 5, 3), 50.0)))
    assert (far == 255).all()
    assert (ops.convert_to_numpy(layer.invert(-far)) == 0).all()


@pytest.mark.parametrize(
    "mode,axis", [("per_channel", (0, 1, 2)), ("per_pixel", (0,))]
)
def test_adapt_is_population_statistics(mode, axis):
    images = random_images(2100)
    mean = images.astype("float64").mean(axis, keepdims=True)[0]
    std = images.astype("float64").std(axis, keepdims=True)[0]
    sources = {
        "array": images,
        "batches": [images[:64], images[64:65], images[65:]],
        "generator": (images[i : i + 700] for i in range(0, 2100, 700)),
        "floats": [images.astype("float32")],
        "tensors": [ops.convert_to_tensor(images)],
    }
    for name, source in sources.items():
        layer = ImageNormalization(mode, (6, 5, 3))
        layer.adapt(source)
        assert layer.is_adapted is True, name
        np.testing.assert_allclose(
            ops.convert_to_numpy(layer.mean), mean, rtol=1e-6, err_msg=name
        )
        np.testing.assert_allclose(
            ops.convert_to_numpy(layer.std), std, rtol=1e-6, err_msg=name
        )
    result = ops.convert_to_numpy(layer(images)).astype("float64")
    np.testing.assert_allclose(result.mean(axis), 0, atol=1e-5)
    np.testing.assert_allclose(result.std(axis), 1, atol=1e-5)


def test_adapt_to_a_tf_dataset():
    tf = pytest.importorskip("tensorflow")
    images = random_images(20)
    layer = ImageNormalization("per_pixel", (6, 5, 3))
    layer.adapt(tf.data.Dataset.from_tensor_slices(images).batch(8))
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer.mean), images.mean(0), rtol=1e-6
    )


def test_constant_pixels_do_not_divide_by_zero():
    layer = ImageNormalization("per_pixel", (2, 2, 1))
    layer.adapt(np.full((9, 2, 2, 1), 17, "uint8"))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.std), 1)
    result = ops.convert_to_numpy(layer(np.full((1, 2, 2, 1), 19, "uint8")))
    np.testing.assert_array_equal(result, 2)


def test_adapting_again_forgets_the_first_data():
    layer = ImageNormalization("per_channel", (6, 5, 3))
    layer.adapt(np.zeros((4, 6, 5, 3)))
    images = random_images()
    layer.adapt(images)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer.mean)[0, 0],
        images.mean((0, 1, 2)),
        rtol=1e-6,
    )


def test_unit_ignores_adapt():
    layer = ImageNormalization("unit", (6, 5, 3))
    layer.adapt([])
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.std), 127.5)


@pytest.mark.parametrize("mode", MODES)
def test_float32_whatever_the_policy(mode):
    images = random_images()

    class Owner(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.normalization = ImageNormalization(mode, (6, 5, 3))

        def call(self, images):
            normalized = self.normalization(images)
            return normalized, self.normalization.invert(normalized)

    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        owner = Owner()
        owner.normalization.adapt(images)
        normalized, inverted = owner(images)
    finally:
        keras.config.set_dtype_policy(previous)
    assert keras.backend.standardize_dtype(normalized.dtype) == "float32"
    np.testing.assert_allclose(
        ops.convert_to_numpy(inverted), images, atol=1e-4
    )


def test_statistics_are_saved(tmp_path):
    inputs = keras.Input((6, 5, 3), dtype="uint8")
    layer = ImageNormalization("per_pixel", (6, 5, 3))
    model = keras.Model(inputs, layer(inputs))
    layer.adapt(random_images())
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.layers[-1].is_adapted
    images = random_images(3)
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0)
    )


def test_bad_input():
    with pytest.raises(ValueError, match="Received: mode='zca'"):
        ImageNormalization("zca", (6, 5, 3))
    with pytest.raises(ValueError, match=r"Received: shape=\(6, 5\)"):
        ImageNormalization("unit", (6, 5))
    layer = ImageNormalization("per_pixel", (6, 5, 3))
    with pytest.raises(ValueError, match="no images"):
        layer.adapt([])
    with pytest.raises(ValueError, match=r"6, 5, 3.*shape=\(2, 5, 5, 3\)"):
        layer.adapt(np.zeros((2, 5, 5, 3)))
    with pytest.raises(ValueError, match="finite"):
        layer.adapt(np.full((2, 6, 5, 3), np.nan))
    assert layer.is_adapted is False
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.mean), 127.5)
    with pytest.raises(ValueError, match=r"6, 5, 3.*shape=\(2, 1, 5, 3\)"):
        layer(np.zeros((2, 1, 5, 3), "float32"))


@pytest.mark.parametrize("mode", MODES)
def test_config_round_trip(mode):
    layer = ImageNormalization(mode, (6, 5, 3))
    config = keras.saving.serialize_keras_object(layer)
    clone = keras.saving.deserialize_keras_object(config)
    assert clone.get_config() == layer.get_config()
