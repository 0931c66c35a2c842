import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_lapgan.layers import grouped_convolution
from keras_lapgan.layers.grouped_convolution import GroupedConv2D

BACKEND = keras.backend.backend()

CASES = [
    {"filters": 8, "kernel_size": 3, "groups": 2},
    {"filters": 12, "kernel_size": (3, 2), "groups": 6, "padding": "same"},
    {"filters": 4, "kernel_size": 3, "groups": 4, "strides": 2},
    {"filters": 4, "kernel_size": 3, "groups": 2, "dilation_rate": 2},
    {"filters": 6, "kernel_size": 3, "groups": 3, "use_bias": False},
    {"filters": 5, "kernel_size": 3},
]


def pair(**arguments):
    """The layer and Keras' own, with the same weights."""
    arguments = {
        "activation": "tanh",
        "bias_initializer": "random_normal",
        "data_format": "channels_last",
        **arguments,
    }
    kinds = GroupedConv2D, layers.Conv2D
    found = [kind(**arguments) for kind in kinds]
    for layer in found:
        layer.build((None, None, None, 12))
    found[1].set_weights(found[0].get_weights())
    return found


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def gradients(layer, x):
    """Of a loss, with respect to the inputs and to the weights."""

    def loss(x):
        return ops.sum(ops.square(ops.cast(layer(x), "float32")))

    variables = layer.trainable_variables
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        found = tape.gradient(value, [x, *(v.value for v in variables)])
    elif BACKEND == "jax":
        import jax

        def function(x, values):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(mapping):
                return loss(x)

        values = [v.value for v in variables]
        first, others = jax.grad(function, argnums=(0, 1))(x, values)
        found = [first, *others]
    else:
        import torch

        x = ops.convert_to_tensor(x).requires_grad_()
        found = torch.autograd.grad(loss(x), [x, *(v.value for v in variables)])
    return [ops.convert_to_numpy(g) for g in found]


@pytest.mark.parametrize("arguments", CASES)
def test_equals_keras(arguments):
    ours, theirs = pair(**arguments)
    x = images(2, 9, 8, 12)
    y = ours(x)
    assert tuple(y.shape) == tuple(ours.compute_output_shape(x.shape))
    np.testing.assert_allclose(
        ops.convert_to_numpy(y), ops.convert_to_numpy(theirs(x)), atol=1e-5
    )
    found, expected = gradients(ours, x), gradients(theirs, x)
    assert len(found) == 1 + len(ours.weights)
    for a, b in zip(found, expected, strict=True):
        assert np.abs(b).max() > 0.1
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("apart", [True, False])
def test_both_ways_are_taken_and_agree(monkeypatch, apart):
    ours, theirs = pair(filters=6, kernel_size=3, groups=3)
    x = images(2, 5, 5, 12)
    expected = ops.convert_to_numpy(theirs(x))
    taken = []
    real = layers.Conv2D.convolution_op

    def convolution_op(self, inputs, kernel):
        taken.append(inputs.shape[-1])
        return real(self, inputs, kernel)

    monkeypatch.setattr(grouped_convolution, "splits_groups", lambda: apart)
    monkeypatch.setattr(layers.Conv2D, "convolution_op", convolution_op)
    found = ops.convert_to_numpy(ours(x))
    assert taken == ([4, 4, 4] if apart else [12])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_apart_on_a_cpu_except_on_torch(monkeypatch):
    splits_groups = grouped_convolution.splits_groups

    def devices(*names):
        monkeypatch.setattr(
            keras.distribution, "list_devices", lambda: list(names)
        )

    devices("cpu:0", "cpu:1")
    assert splits_groups() == (BACKEND != "torch")
    devices("gpu:0")
    assert not splits_groups()


def test_mixed_precision():
    ours, theirs = pair(
        filters=8, kernel_size=3, groups=2, dtype="mixed_bfloat16"
    )
    x = images(2, 6, 6, 12)
    y = ours(x)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert all(w.dtype == "float32" for w in ours.weights)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(y, "float32")),
        ops.convert_to_numpy(ops.cast(theirs(x), "float32")),
        atol=0.02,
    )
    for gradient in gradients(ours, x):
        assert gradient.dtype == "float32" and np.abs(gradient).max() > 0


def test_any_batch_and_any_size_in_a_functional_model():
    ours, theirs = pair(filters=8, kernel_size=3, groups=4)
    inputs = keras.Input((None, None, 12))
    model = keras.Model(inputs, ours(inputs))
    assert model.output_shape == (None, None, None, 8)
    for shape in ((1, 5, 6, 12), (3, 7, 4, 12)):
        x = images(*shape)
        np.testing.assert_allclose(
            model.predict(x, verbose=0),
            ops.convert_to_numpy(theirs(x)),
            atol=1e-5,
        )


def test_trains_in_a_compiled_step():
    ours, theirs = pair(filters=8, kernel_size=3, groups=4)
    x, y = images(4, 5, 5, 12), images(4, 3, 3, 8)
    losses = []
    for layer in (ours, theirs):
        model = keras.Sequential([keras.Input((5, 5, 12)), layer])
        model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
        losses.append([model.train_on_batch(x, y) for _ in range(3)])
    assert losses[0][2] < losses[0][0]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)


def test_config_and_weights_round_trip(tmp_path):
    inputs = keras.Input((6, 6, 12))
    layer = GroupedConv2D(8, 3, groups=2, padding="same", name="conv")
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    clone = copy.get_layer("conv")
    assert type(clone) is GroupedConv2D
    assert clone.get_config() == layer.get_config()
    for a, b in zip(clone.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
