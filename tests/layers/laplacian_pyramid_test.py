import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.laplacian_pyramid import LaplacianPyramid
from keras_lapgan.layers.resampling import resampling_matrix

PYRAMIDS = [
    ((28, 14, 8), "area", "linear"),
    ((96, 64, 32, 16, 8), "area", "linear"),
    ((64, 32, 16, 8, 4), "burt", "burt"),
    ((32, 16, 8), "area", "replicate"),
    (((12, 20), (6, 10), (3, 4)), "area", "linear"),
    ((8,), "area", "linear"),
    ((4, 2, 1), "burt", "burt"),
]


def random_images(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def numpy_resize(images, source, target, method):
    rows = resampling_matrix(source[0], target[0], method)
    columns = resampling_matrix(source[1], target[1], method)
    images = np.einsum("hH,bHWc->bhWc", rows, images)
    return np.einsum("wW,bhWc->bhwc", columns, images)


@pytest.mark.parametrize(
    "sizes,down,up,channels",
    [(*pyramid, 3) for pyramid in PYRAMIDS]
    + [((28, 14, 8), "area", "linear", channels) for channels in (1, 5)],
)
def test_decompose_and_reconstruct(sizes, down, up, channels):
    pyramid = LaplacianPyramid(sizes, down, up)
    pairs = [pyramid.level_size(k) for k in range(pyramid.num_levels)]
    images = random_images(2, *pairs[0], channels)
    parts = pyramid.decompose(images)
    assert len(parts) == pyramid.num_levels == len(sizes)

    # Equation (3), in float64.
    current = images.astype("float64")
    for k, (band, condition) in enumerate(parts[:-1]):
        coarser = numpy_resize(current, pairs[k], pairs[k + 1], down)
        expected = numpy_resize(coarser, pairs[k + 1], pairs[k], up)
        np.testing.assert_allclose(
            ops.convert_to_numpy(condition), expected, atol=2e-6
        )
        np.testing.assert_allclose(
            ops.convert_to_numpy(band), current - expected, atol=2e-6
        )
        current = coarser
    band, condition = parts[-1]
    assert condition is None
    np.testing.assert_allclose(ops.convert_to_numpy(band), current, atol=2e-6)

    # Equation (4).
    result = pyramid.reconstruct([band for band, _ in parts])
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), images, rtol=0, atol=1e-6
    )


def test_call_gives_the_bands():
    pyramid = LaplacianPyramid((28, 14, 8))
    images = random_images(2, 28, 28, 3)
    bands = pyramid(images)
    assert pyramid.compute_output_shape((2, 28, 28, 3)) == [
        tuple(band.shape) for band in bands
    ]
    for band, (expected, _) in zip(
        bands, pyramid.decompose(images), strict=True
    ):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(band), ops.convert_to_numpy(expected)
        )
    assert not pyramid.weights


def test_condition_and_gaussian_agree_with_decompose():
    pyramid = LaplacianPyramid((28, 14, 8))
    images = random_images(2, 28, 28, 3)
    gaussian = pyramid.gaussian(images)
    for level, (_, condition) in enumerate(pyramid.decompose(images)[:-1]):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(pyramid.condition(gaussian[level + 1], level)),
            ops.convert_to_numpy(condition),
        )


def test_reconstruction_of_arbitrary_bands_is_the_sampling_chain():
    # Equation (5): bands need not come from an image.
    pyramid = LaplacianPyramid((64, 32, 16, 8))
    bands = [random_images(2, size, size, 3) for size in (64, 32, 16, 8)]
    image = bands[3].astype("float64")
    for k, (source, target) in ((2, (8, 16)), (1, (16, 32)), (0, (32, 64))):
        image = bands[k] + numpy_resize(
            image, (source, source), (target, target), "linear"
        )
    np.testing.assert_allclose(
        ops.convert_to_numpy(pyramid.reconstruct(bands)), image, atol=2e-6
    )


def test_orthogonal_pair_leaves_nothing_coarse_in_the_band():
    pyramid = LaplacianPyramid((16, 8), up="replicate")
    band, _ = pyramid.decompose(random_images(2, 16, 16, 3))[0]
    band = ops.convert_to_numpy(band).reshape(2, 8, 2, 8, 2, 3)
    np.testing.assert_allclose(band.mean(axis=(2, 4)), 0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "float64", "float32"])
def test_float32_whatever_the_policy(dtype):
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3))
    images = images.astype(dtype)
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        pyramid = LaplacianPyramid((28, 14, 8))
        bands = pyramid(images)
        result = pyramid.reconstruct(bands)
    finally:
        keras.config.set_dtype_policy(previous)
    for band in bands:
        assert keras.backend.standardize_dtype(band.dtype) == "float32"
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), images, atol=255e-6
    )


def test_inside_a_layer_of_a_mixed_policy():
    class Owner(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="mixed_bfloat16", autocast=False)
            self.pyramid = LaplacianPyramid((28, 14, 8))

        def call(self, images):
            return self.pyramid.reconstruct(self.pyramid(images))

    images = random_images(2, 28, 28, 3)
    np.testing.assert_allclose(
        ops.convert_to_numpy(Owner()(images)), images, rtol=0, atol=1e-6
    )


def test_under_xla():
    pyramid = LaplacianPyramid((28, 14, 8))
    images = random_images(3, 28, 28, 3)

    def function(images):
        bands = pyramid(images)
        return bands, pyramid.reconstruct(bands)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        bands, result = tf.function(function, jit_compile=True)(images)
    elif keras.backend.backend() == "jax":
        import jax

        bands, result = jax.jit(function)(images)
    else:
        pytest.skip("no XLA on this backend")
    for band, expected in zip(bands, pyramid(images), strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(band),
            ops.convert_to_numpy(expected),
            atol=1e-6,
        )
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), images, rtol=0, atol=1e-6
    )


def test_gradient_is_the_transposed_map():
    pyramid = LaplacianPyramid((7, 4))
    images = random_images(2, 7, 7, 2)
    weights = [random_images(2, 7, 7, 2), random_images(2, 4, 4, 2)]

    def loss(images):
        return sum(
            ops.sum(ops.multiply(band, weight))
            for band, weight in zip(pyramid(images), weights, strict=True)
        )

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        result = tape.gradient(value, x).numpy()
    elif backend == "jax":
        import jax

        result = np.asarray(jax.grad(loss)(images))
    else:
        x = ops.convert_to_tensor(images).requires_grad_(True)
        loss(x).backward()
        result = x.grad.cpu().numpy()

    down = resampling_matrix(7, 4, "area")
    up = resampling_matrix(4, 7, "linear")
    both = np.einsum("hH,wW,bhwc->bHWc", up, up, weights[0])
    expected = weights[0] + np.einsum(
        "hH,wW,bhwc->bHWc", down, down, weights[1] - both
    )
    np.testing.assert_allclose(result, expected, atol=2e-6)


@pytest.mark.parametrize(
    "sizes,arguments,message",
    [
        ((28, 28, 8), {}, r"decrease strictly.*sizes=\(28, 28, 8\)"),
        ((8, 14, 28), {}, r"decrease strictly.*sizes=\(8, 14, 28\)"),
        (((8, 8), (4, 8)), {}, "decrease strictly"),
        ((), {}, r"Received: sizes=\(\)"),
        (28, {}, "Received: sizes=28"),
        ((28, -14), {}, "Received: sizes=-14"),
        ((28, 14, 8), {"down": "burt"}, "source=14, target=8"),
        ((28, 14, 8), {"up": "replicate"}, "source=8, target=14"),
        ((28, 14), {"down": "linear"}, "Received: down='linear'"),
        ((28, 14), {"up": "area"}, "Received: up='area'"),
    ],
)
def test_bad_arguments(sizes, arguments, message):
    with pytest.raises(ValueError, match=message):
        LaplacianPyramid(sizes, **arguments)


def test_bad_images():
    pyramid = LaplacianPyramid((28, 14, 8))
    with pytest.raises(
        ValueError, match=r"\(batch, 28, 28, channels\).*shape=\(2, 32, 32, 3\)"
    ):
        pyramid.decompose(np.zeros((2, 32, 32, 3), "float32"))
    with pytest.raises(ValueError, match=r"shape=\(28, 28, 3\)"):
        pyramid.decompose(np.zeros((28, 28, 3), "float32"))
    with pytest.raises(ValueError, match=r"len\(bands\)=2"):
        pyramid.reconstruct([np.zeros((1, 28, 28, 3), "float32")] * 2)
    with pytest.raises(ValueError, match="14, 14, channels.* at level 1"):
        pyramid.reconstruct([np.zeros((1, 28, 28, 3), "float32")] * 3)
    with pytest.raises(ValueError, match="from 0 .* to 1.*level=2"):
        pyramid.condition(np.zeros((1, 8, 8, 3), "float32"), 2)


@pytest.mark.parametrize("sizes,down,up", PYRAMIDS)
def test_config_round_trip(sizes, down, up):
    pyramid = LaplacianPyramid(sizes, down, up)
    assert pyramid.sizes == sizes
    config = keras.saving.serialize_keras_object(pyramid)
    clone = keras.saving.deserialize_keras_object(config)
    assert clone.get_config() == pyramid.get_config()
    plain = LaplacianPyramid.from_config(pyramid.get_config())
    assert (plain.sizes, plain.down, plain.up) == (sizes, down, up)


def test_in_a_functional_model():
    inputs = keras.Input((28, 28, 3))
    model = keras.Model(inputs, LaplacianPyramid((28, 14, 8))(inputs))
    assert model.output_shape == [
        (None, 28, 28, 3),
        (None, 14, 14, 3),
        (None, 8, 8, 3),
    ]
    images = random_images(2, 28, 28, 3)
    outputs = model.predict(images, verbose=0)
    np.testing.assert_allclose(
        ops.convert_to_numpy(
            LaplacianPyramid((28, 14, 8)).reconstruct(outputs)
        ),
        images,
        rtol=0,
        atol=1e-6,
    )


def test_methods_on_symbolic_tensors():
    pyramid = LaplacianPyramid((28, 14))
    coarse = keras.Input((14, 14, 3))
    model = keras.Model(coarse, pyramid.condition(coarse, 0))
    images = random_images(2, 14, 14, 3)
    np.testing.assert_allclose(
        model.predict(images, verbose=0),
        numpy_resize(images, (14, 14), (28, 28), "linear"),
        atol=1e-6,
    )
