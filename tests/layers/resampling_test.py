import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.resampling import Downsample
from keras_lapgan.layers.resampling import Upsample
from keras_lapgan.layers.resampling import resample
from keras_lapgan.layers.resampling import resampling_matrix

PAIRS = [
    (28, 14, "area"),
    (14, 8, "area"),
    (96, 64, "area"),
    (7, 7, "area"),
    (5, 1, "area"),
    (14, 28, "linear"),
    (5, 10, "linear"),
    (1, 2, "linear"),
    (8, 14, "linear"),
    (64, 96, "linear"),
    (1, 6, "linear"),
    (6, 6, "linear"),
    (28, 14, "burt"),
    (2, 1, "burt"),
    (14, 28, "burt"),
    (1, 2, "burt"),
    (14, 28, "replicate"),
]


def random_images(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def gradient(function, images):
    """The gradient of a scalar function with respect to images."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        images = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = function(images)
        return tape.gradient(value, images).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(function)(images))
    images = ops.convert_to_tensor(images).requires_grad_(True)
    function(images).backward()
    return images.grad.cpu().numpy()


def compiled(function):
    """The function under XLA, on torch traced by torch.compile."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if backend == "jax":
        import jax

        return jax.jit(function)
    import torch

    # Traced as ever, and run without a C++ compiler.
    return torch.compile(function, backend="eager")


@pytest.mark.parametrize("source,target,method", PAIRS)
def test_constants_stay_constant(source, target, method):
    matrix = resampling_matrix(source, target, method)
    assert matrix.shape == (target, source)
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-14)
    assert (matrix >= 0).all()


def test_area_values():
    np.testing.assert_array_equal(
        resampling_matrix(4, 2, "area"), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    )
    np.testing.assert_allclose(
        resampling_matrix(3, 2, "area"), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]]
    )


@pytest.mark.parametrize("source,target", [(14, 8), (96, 64), (37, 11)])
def test_area_is_mean_of_replicated_pixels(source, target):
    # Each pixel `target` times, then whole boxes of `source`.
    row = np.random.default_rng(0).normal(size=source)
    expected = np.repeat(row, target).reshape(target, source).mean(axis=1)
    matrix = resampling_matrix(source, target, "area")
    np.testing.assert_allclose(matrix @ row, expected, atol=1e-13)


@pytest.mark.parametrize("source,target", [(8, 14), (14, 28), (64, 96)])
def test_linear_is_interpolation_with_aligned_corners(source, target):
    row = np.random.default_rng(0).normal(size=source)
    positions = np.linspace(0, source - 1, target)
    expected = np.interp(positions, np.arange(source), row)
    result = resampling_matrix(source, target, "linear") @ row
    np.testing.assert_allclose(result, expected, atol=1e-12)
    assert result[0] == row[0]
    assert result[-1] == row[-1]


def test_burt_values():
    down = resampling_matrix(8, 4, "burt") * 16
    np.testing.assert_array_equal(down[1], [1, 4, 6, 4, 1, 0, 0, 0])
    np.testing.assert_array_equal(down[0], [6, 8, 2, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(down[3], [0, 0, 0, 0, 1, 4, 7, 4])
    up = resampling_matrix(4, 8, "burt") * 8
    np.testing.assert_array_equal(up[2], [1, 6, 1, 0])
    np.testing.assert_array_equal(up[3], [0, 4, 4, 0])
    np.testing.assert_array_equal(up[0], [6, 2, 0, 0])
    np.testing.assert_array_equal(up[7], [0, 0, 0, 8])


def test_area_and_replicate_are_orthogonal():
    down = resampling_matrix(28, 14, "area")
    up = resampling_matrix(14, 28, "replicate")
    np.testing.assert_array_equal(up, 2 * down.T)
    np.testing.assert_array_equal(down @ up, np.eye(14))


@pytest.mark.parametrize(
    "source,target,method",
    [
        (8, 14, "area"),
        (14, 8, "linear"),
        (14, 8, "burt"),
        (8, 8, "burt"),
        (8, 14, "replicate"),
        (14, 7, "replicate"),
    ],
)
def test_pairs_a_method_does_not_take(source, target, method):
    message = f"Received: source={source}, target={target}"
    with pytest.raises(ValueError, match=message):
        resampling_matrix(source, target, method)


def test_bad_arguments():
    with pytest.raises(ValueError, match="Received: method='cubic'"):
        resampling_matrix(8, 4, "cubic")
    with pytest.raises(ValueError, match="Received: source=0"):
        resampling_matrix(0, 4, "area")
    with pytest.raises(ValueError, match="Received: target=2.5"):
        resampling_matrix(4, 2.5, "area")
    with pytest.raises(ValueError, match="Received: method='linear'"):
        Downsample(4, "linear")
    with pytest.raises(ValueError, match="Received: method='area'"):
        Upsample(4, "area")
    with pytest.raises(ValueError, match=r"Received: size=\(4, 0\)"):
        Upsample((4, 0))
    with pytest.raises(ValueError, match="source=8, target=14"):
        Downsample(14)(np.zeros((1, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match=r"Received: shape=\(8, 8, 3\)"):
        Downsample(4)(np.zeros((8, 8, 3), "float32"))


def test_the_matrix_returned_is_a_copy():
    resampling_matrix(4, 2, "area")[:] = 7
    assert resampling_matrix(4, 2, "area")[0, 0] == 0.5


@pytest.mark.parametrize("source,target,method", PAIRS)
def test_layers_apply_the_matrix(source, target, method):
    # Rows and columns of other sizes, by the same ratio.
    size = (target, 3 * target)
    images = random_images(2, source, 3 * source, 4)
    rows = resampling_matrix(source, target, method)
    columns = resampling_matrix(3 * source, 3 * target, method)
    expected = np.einsum(
        "hH,wW,bHWc->bhwc", rows, columns, images, optimize=True
    )
    kind = Upsample if target > source or method == "linear" else Downsample
    layer = kind(size, method)
    result = layer(images)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert layer.compute_output_shape(images.shape) == tuple(result.shape)
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), expected, atol=1e-6
    )


@pytest.mark.parametrize("method", ["area", "burt"])
def test_large_pictures_match_the_matrix(method):
    images = random_images(1, 256, 256, 3)
    matrix = resampling_matrix(256, 128, method)
    expected = np.einsum("hH,bHWc->bhWc", matrix, images)
    expected = np.einsum("wW,bhWc->bhwc", matrix, expected)
    result = ops.convert_to_numpy(Downsample(128, method)(images))
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_one_axis_may_keep_its_size():
    images = random_images(2, 8, 6, 3)
    result = ops.convert_to_numpy(Downsample((4, 6))(images))
    expected = images.reshape(2, 4, 2, 6, 3).mean(axis=2)
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16", "float64"])
@pytest.mark.parametrize("dtype", ["uint8", "float64", "float32"])
def test_float32_whatever_the_policy(policy, dtype):
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3))
    images = images.astype(dtype)
    expected = images.reshape(2, 4, 2, 4, 2, 3).astype("float64").mean((2, 4))
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layer = Downsample(4)
        result = layer(images)
        other = Downsample(4, dtype="bfloat16")(images)
    finally:
        keras.config.set_dtype_policy(previous)
    for value in (result, other):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        np.testing.assert_array_equal(ops.convert_to_numpy(value), expected)


@pytest.mark.parametrize(
    "source,target,method",
    [
        (6, 3, "area"),
        (7, 4, "area"),
        (4, 7, "linear"),
        (5, 10, "linear"),
        (2, 1, "burt"),
        (6, 3, "burt"),
        (3, 6, "burt"),
        (3, 6, "replicate"),
    ],
)
def test_gradient_is_the_transposed_matrix(source, target, method):
    images = random_images(2, source, source, 3)
    weights = random_images(2, target, target, 3)
    result = gradient(
        lambda x: ops.sum(
            ops.multiply(resample(x, (target, target), method), weights)
        ),
        images,
    )
    matrix = resampling_matrix(source, target, method)
    expected = np.einsum("hH,wW,bhwc->bHWc", matrix, matrix, weights)
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize(
    "source,target,method",
    [
        (14, 7, "area"),
        (7, 4, "area"),
        (4, 7, "linear"),
        (5, 10, "linear"),
        (4, 8, "burt"),
        (8, 4, "burt"),
    ],
)
def test_compiled(source, target, method):
    images = random_images(2, source, source, 3)
    function = compiled(lambda x: resample(x, (target, target), method))
    matrix = resampling_matrix(source, target, method)
    expected = np.einsum(
        "hH,wW,bHWc->bhwc", matrix, matrix, images, optimize=True
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(function(images)), expected, atol=1e-6
    )


@pytest.mark.parametrize("layer", [Downsample(4, "burt"), Upsample((16, 9))])
def test_config_round_trip(layer):
    clone = type(layer).from_config(layer.get_config())
    assert (clone.size, clone.method) == (layer.size, layer.method)
    config = keras.saving.serialize_keras_object(layer)
    other = keras.saving.deserialize_keras_object(config)
    assert other.get_config() == layer.get_config()


def test_in_a_functional_model():
    inputs = keras.Input((28, 28, 3), dtype="uint8")
    model = keras.Model(inputs, Upsample(28)(Downsample(14)(inputs)))
    images = np.full((3, 28, 28, 3), 200, "uint8")
    assert model.output_shape == (None, 28, 28, 3)
    np.testing.assert_allclose(model.predict(images, verbose=0), 200, atol=1e-4)
    assert not model.weights
