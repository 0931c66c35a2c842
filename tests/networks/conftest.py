"""Checks that every network has to pass."""

import keras
import numpy as np
import pytest
from keras import ops


class Checks:
    """What the tests of one network share."""

    def inputs(self, network, batch=3, seed=0):
        """Draws float32 inputs, and labels 0, 1, 2, ..."""
        rng = np.random.default_rng(seed)
        data = {}
        for name, tensor in network.input.items():
            shape = (batch, *tensor.shape[1:])
            if name == "labels":
                data[name] = np.arange(batch, dtype="int32")
                data[name] %= network.num_classes
            else:
                data[name] = rng.uniform(-1, 1, shape).astype("float32")
        return data

    def run(self, network, inputs, **kwargs):
        return ops.convert_to_numpy(network(inputs, **kwargs))

    def gradients(self, network, inputs):
        """Gradients of the sum of squared outputs, as numpy arrays by path."""
        variables = network.trainable_variables
        backend = keras.backend.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = ops.sum(ops.square(network(inputs, training=False)))
            found = tape.gradient(loss, [v.value for v in variables])
        elif backend == "jax":
            import jax

            others = [v.value for v in network.non_trainable_variables]

            def function(values):
                outputs, _ = network.stateless_call(
                    values, others, inputs, training=False
                )
                return ops.sum(ops.square(outputs))

            found = jax.jit(jax.grad(function))([v.value for v in variables])
        else:
            loss = ops.sum(ops.square(network(inputs, training=False)))
            loss.backward()
            found = [v.value.grad for v in variables]
        assert all(g is not None for g in found)
        return {
            v.path: ops.convert_to_numpy(g)
            for v, g in zip(variables, found, strict=True)
        }

    def all_learn(self, network, inputs):
        for path, gradient in self.gradients(network, inputs).items():
            assert np.isfinite(gradient).all(), path
            assert np.abs(gradient).max() > 0, path

    def round_trip(self, network, folder):
        """Config, weights file and class survive being written and read."""
        config = keras.saving.serialize_keras_object(network)
        assert config["registered_name"] == (
            f"keras_lapgan>{type(network).__name__}"
        )
        copy = keras.saving.deserialize_keras_object(config)
        assert type(copy) is type(network)
        assert copy.get_config() == network.get_config()
        assert copy.name == network.name
        assert [w.path for w in copy.weights] == [
            w.path for w in network.weights
        ]
        path = folder / "network.weights.h5"
        network.save_weights(path)
        inputs = self.inputs(network)
        expected = self.run(network, inputs)
        assert np.abs(self.run(copy, inputs) - expected).max() > 0
        copy.load_weights(path)
        np.testing.assert_array_equal(self.run(copy, inputs), expected)

    def depends_on(self, network, name, inputs=None):
        """Whether changing one input changes every example's output."""
        inputs = inputs or self.inputs(network)
        changed = dict(inputs)
        if name == "labels":
            changed[name] = (inputs[name] + 1) % network.num_classes
        else:
            changed[name] = inputs[name] + 0.5
        delta = self.run(network, changed) - self.run(network, inputs)
        return bool((np.abs(delta).reshape(len(delta), -1).max(1) > 0).all())

    def woken(self, network, seed=0):
        """The same with weights for zeros, where residual blocks end."""
        rng = np.random.default_rng(seed)
        network.set_weights(
            [
                w if w.any() else rng.normal(0, 0.1, w.shape)
                for w in network.get_weights()
            ]
        )
        return network

    def judges_the_sum(self, network):
        """D sees h + l alone: equal sums, equal logits."""
        inputs = self.inputs(network)
        # Multiples of 1/8 add up without rounding.
        inputs["band"] = np.round(inputs["band"] * 8) / 8
        inputs["condition"] = np.round(inputs["condition"] * 8) / 8
        moved = dict(
            inputs,
            band=inputs["band"] - 0.5,
            condition=inputs["condition"] + 0.5,
        )
        np.testing.assert_array_equal(
            self.run(network, moved), self.run(network, inputs)
        )

    def stays_float32(self, network, *hidden):
        """Under a bfloat16 policy the hidden layers only are bfloat16."""
        for name in hidden:
            assert network.get_layer(name).compute_dtype == "bfloat16"
        assert all(w.dtype == "float32" for w in network.trainable_variables)
        outputs = network(self.inputs(network))
        assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
        copy = type(network).from_config(network.get_config())
        assert copy.get_layer(hidden[0]).compute_dtype == "bfloat16"

    def torch_uniform(self, layer, fan_in):
        """Kernel and bias fill U(-1 / sqrt(fan_in), 1 / sqrt(fan_in))."""
        limit = fan_in**-0.5
        for weight, least in ((layer.kernel, 0.95), (layer.bias, 0.3)):
            values = ops.convert_to_numpy(weight)
            assert least * limit < np.abs(values).max() <= limit
        kernel = ops.convert_to_numpy(layer.kernel)
        assert kernel.std() == pytest.approx(limit / 3**0.5, rel=0.05)
        assert kernel.mean() == pytest.approx(0, abs=0.1 * limit)

    def normal(self, layer, stddev):
        """Kernel fills N(0, stddev), the bias is zero."""
        kernel = ops.convert_to_numpy(layer.kernel)
        assert kernel.std() == pytest.approx(stddev, rel=0.05)
        assert np.abs(kernel).max() > 2.5 * stddev
        assert not ops.convert_to_numpy(layer.bias).any()


@pytest.fixture(scope="session")
def checks():
    return Checks()


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(1)
