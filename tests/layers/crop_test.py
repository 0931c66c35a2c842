import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.crop import Crop


class Draws:
    """Gives prepared numbers, and remembers what was asked for."""

    def __init__(self, **draws):
        self.draws = draws
        self.asked = []

    def uniform(self, shape, stream):
        self.asked.append(stream)
        draw = np.asarray(self.draws[stream], "float32")
        assert len(shape) == 1
        return ops.convert_to_tensor(draw)


def random_images(*shape, dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("flip", [False, True])
def test_corners(dtype, flip):
    images = random_images(8, 32, 36, 3, dtype=dtype)
    rows = [0.0, 0.0, 0.9, 0.9] * 2
    columns = [0.0, 0.9, 0.0, 0.9] * 2
    mirror = [0.1] * 4 + [0.6] * 4
    random = Draws(crop_rows=rows, crop_columns=columns, flip=mirror)
    result = Crop((28, 30), flip=flip)(images, random=random)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    for i, image in enumerate(ops.convert_to_numpy(result)):
        top = 4 if rows[i] > 0.5 else 0
        left = 6 if columns[i] > 0.5 else 0
        expected = images[i, top : top + 28, left : left + 30]
        if flip and mirror[i] < 0.5:
            expected = expected[:, ::-1]
        np.testing.assert_array_equal(image, expected)
    assert ("flip" in random.asked) is flip


def test_random_reaches_every_position():
    images = random_images(5, 8, 8, 2)
    edge = np.nextafter(np.float32(1), np.float32(0))
    rows = [0.0, 0.3, 0.5, 0.75, edge]
    columns = [edge, 0.75, 0.5, 0.3, 0.0]
    random = Draws(crop_rows=rows, crop_columns=columns)
    result = ops.convert_to_numpy(Crop(5, "random")(images, random=random))
    for i, top in enumerate([0, 1, 2, 3, 3]):
        left = [3, 3, 2, 1, 0][i]
        np.testing.assert_array_equal(
            result[i], images[i, top : top + 5, left : left + 5]
        )


@pytest.mark.parametrize("mode", ["corners", "random", "center"])
def test_without_random_numbers_the_centre_unflipped(mode):
    images = random_images(3, 32, 31, 3)
    result = Crop(28, mode, flip=True)(images)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(result), images[:, 2:30, 1:29]
    )


@pytest.mark.parametrize("mode", ["corners", "random", "center"])
def test_images_of_the_size_are_only_flipped(mode):
    images = random_images(2, 28, 28, 3)
    random = Draws(flip=[0.2, 0.8])
    result = Crop(28, mode, flip=True)(images, random=random)
    result = ops.convert_to_numpy(result)
    np.testing.assert_array_equal(result[0], images[0, :, ::-1])
    np.testing.assert_array_equal(result[1], images[1])
    assert random.asked == ["flip"]
    result = Crop(28, mode)(images, random=Draws())
    np.testing.assert_array_equal(ops.convert_to_numpy(result), images)


def test_center_can_be_flipped():
    images = random_images(2, 32, 32, 3)
    result = Crop(28, "center", flip=True)(
        images, random=Draws(flip=[0.2, 0.8])
    )
    result = ops.convert_to_numpy(result)
    np.testing.assert_array_equal(result[0], images[0, 2:30, 2:30][:, ::-1])
    np.testing.assert_array_equal(result[1], images[1, 2:30, 2:30])


def test_float_values_are_picked_not_computed():
    images = np.random.default_rng(0).normal(size=(4, 9, 9, 3))
    images = images.astype("float32")
    random = Draws(crop_rows=[0.9] * 4, crop_columns=[0.9] * 4)
    result = Crop(8, dtype="bfloat16")(images, random=random)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(result), images[:, 1:, 1:]
    )


@pytest.mark.parametrize("mode", ["corners", "random"])
def test_under_xla(mode):
    layer = Crop(5, mode, flip=True)
    images = random_images(6, 8, 8, 3)
    draws = np.random.default_rng(1).uniform(size=(3, 6)).astype("float32")

    def function(images, rows, columns, mirror):
        class Traced:
            def uniform(self, shape, stream):
                return {
                    "crop_rows": rows,
                    "crop_columns": columns,
                    "flip": mirror,
                }[stream]

        return layer(images, random=Traced())

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        result = tf.function(function, jit_compile=True)(images, *draws)
    elif keras.backend.backend() == "jax":
        import jax

        result = jax.jit(function)(images, *draws)
    else:
        pytest.skip("no XLA on this backend")
    expected = layer(
        images,
        random=Draws(crop_rows=draws[0], crop_columns=draws[1], flip=draws[2]),
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(result), ops.convert_to_numpy(expected)
    )


def test_any_batch_size_in_one_graph():
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow's graphs")

    class Constant:
        def uniform(self, shape, stream):
            return ops.full(shape, 0.9)

    layer = Crop(28, "corners", flip=True)
    function = tf.function(
        lambda images: layer(images, random=Constant()),
        input_signature=[tf.TensorSpec((None, 32, 32, 3), "uint8")],
    )
    for count in (1, 5):
        images = random_images(count, 32, 32, 3)
        np.testing.assert_array_equal(function(images), images[:, 4:, 4:])


def test_bad_input():
    with pytest.raises(ValueError, match="Received: mode='middle'"):
        Crop(28, "middle")
    with pytest.raises(ValueError, match=r"28x28.*shape=\(2, 32, 27, 3\)"):
        Crop(28)(np.zeros((2, 32, 27, 3), "uint8"))
    with pytest.raises(ValueError, match=r"shape=\(32, 32, 3\)"):
        Crop(28)(np.zeros((32, 32, 3), "uint8"))


def test_config_round_trip():
    layer = Crop((28, 30), "random", flip=True)
    config = keras.saving.serialize_keras_object(layer)
    clone = keras.saving.deserialize_keras_object(config)
    assert clone.get_config() == layer.get_config()


def test_in_a_functional_model():
    inputs = keras.Input((32, 32, 3), dtype="uint8")
    model = keras.Model(inputs, Crop(28)(inputs))
    assert model.output_shape == (None, 28, 28, 3)
    images = random_images(3, 32, 32, 3)
    np.testing.assert_array_equal(
        model.predict(images, verbose=0), images[:, 2:30, 2:30]
    )
