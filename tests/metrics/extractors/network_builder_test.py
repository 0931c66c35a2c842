import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.metrics.extractors import ExtractorError
from keras_lapgan.metrics.extractors.network_builder import NetworkBuilder
from keras_lapgan.metrics.extractors.state_dict import StateDict


@pytest.fixture
def state(tmp_path):
    """Weights whose normalisation does nothing."""
    rng = np.random.default_rng(0)
    arrays = {
        "conv.weight": rng.normal(size=(4, 3, 3, 2)),
        "depth3.weight": rng.normal(size=(4, 1, 3, 3)),
        "depth5.weight": rng.normal(size=(4, 1, 5, 5)),
        "dense.weight": rng.normal(size=(5, 4)),
        "dense.bias": rng.normal(size=5),
        "norm.weight": np.full(4, np.sqrt(1 + 1e-3)),
        "norm.bias": [1, 2, 3, 4.0],
        "norm.running_mean": np.zeros(4),
        "norm.running_var": np.ones(4),
    }
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    return StateDict(path)


def run(state, images, body):
    """The output of a network; its maps as Keras has them."""
    net = NetworkBuilder(state)
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, body(net, net.scale(inputs, 2.0, 4.0)))
    y = ops.convert_to_numpy(model(images))
    first = keras.backend.backend() == "torch" and y.ndim == 4
    return y.transpose(0, 2, 3, 1) if first else y


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (4, 1)])
def test_depthwise(state, size, strides, shape):
    images = np.random.default_rng(1).normal(size=(2, *shape, 4))
    images = images.astype("float32")
    y = run(
        state,
        images,
        lambda net, x: net.depthwise(x, f"depth{size}", "norm", size, strides),
    )
    kernel = state.take(f"depth{size}.weight", (4, 1, size, size))
    expected = ops.depthwise_conv(
        (images - 2) / 4,
        kernel.transpose(2, 3, 0, 1),
        strides,
        "same",
        data_format="channels_last",
    )
    expected = ops.convert_to_numpy(expected) + [1, 2, 3, 4]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def everything(net, x):
    x = net.convolution(x, "conv", "norm", 4, (3, 2), padding="valid")
    x = net.concatenate([net.pool(x, "average", 3), net.pool(x, "maximum", 3)])
    x = net.mean(x)
    return net.dense(x[:, :4], "dense", 5), x


def test_all_layers(state):
    images = np.random.default_rng(1).normal(size=(2, 6, 5, 3)) + 3
    images = images.astype("float32")
    y = run(state, images, lambda net, x: everything(net, x)[0])
    means = run(state, images, lambda net, x: everything(net, x)[1])
    x = (images - 2) / 4
    kernel = state.take("conv.weight", (4, 3, 3, 2))
    x = sum(
        x[:, i : i + 4, j : j + 4] @ kernel[:, :, i, j].T
        for i in range(3)
        for j in range(2)
    ) + [1, 2, 3, 4]
    average, maximum = np.zeros((2, *x.shape))
    for i in range(4):
        for j in range(4):
            part = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            average[:, i, j] = part.mean((1, 2))
            maximum[:, i, j] = part.max((1, 2))
    average, maximum = average.mean((1, 2)), maximum.mean((1, 2))
    np.testing.assert_allclose(
        means, np.concatenate([average, maximum], 1), rtol=1e-4
    )
    expected = average @ state.take("dense.weight", (5, 4)).T
    expected += state.take("dense.bias", (5,))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("setting", ["mixed_float16", "channels_first"])
def test_settings_of_keras_change_nothing(state, setting):
    images = np.random.default_rng(1).normal(size=(2, 6, 5, 3))
    images = images.astype("float32")
    plain = run(state, images, lambda net, x: everything(net, x)[1])
    policy = keras.config.dtype_policy()
    data_format = keras.config.image_data_format()
    try:
        if setting == "channels_first":
            keras.config.set_image_data_format(setting)
        else:
            keras.config.set_dtype_policy(setting)
        again = run(state, images, lambda net, x: everything(net, x)[1])
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(data_format)
    assert again.dtype == "float32"
    np.testing.assert_array_equal(again, plain)


def test_weights_of_another_network(state):
    images = np.zeros((1, 6, 5, 3), "float32")
    with pytest.raises(ExtractorError, match=r"floats \(5, 4\) as 'other.wei"):
        run(
            state,
            np.zeros((1, 6, 5, 4), "float32"),
            lambda net, x: net.dense(net.mean(x), "other", 5),
        )
    with pytest.raises(ExtractorError, match=r"\(8,\) as 'norm.weight"):
        run(
            state,
            images,
            lambda net, x: net.convolution(x, "conv", "norm", 8, (3, 2)),
        )
