import numpy as np
import pytest
from keras import ops

from keras_lapgan.networks import DenseDiscriminator


def small(**kwargs):
    return DenseDiscriminator(**{"size": 4, "hidden_units": (64, 64), **kwargs})


def test_parameter_counts_of_the_paper():
    count = 193 * 600 + 601 * 600 + 601
    assert DenseDiscriminator(8).count_params() == count
    conditional = DenseDiscriminator(8, num_classes=10)
    assert conditional.count_params() == count + 10 * 600


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("conditional", [True, False])
def test_round_trip_and_gradients(checks, tmp_path, num_classes, conditional):
    discriminator = small(
        size=(4, 5),
        channels=2,
        num_classes=num_classes,
        conditional=conditional,
    )
    inputs = checks.inputs(discriminator)
    assert checks.run(discriminator, inputs).shape == (3, 1)
    for name in inputs:
        assert checks.depends_on(discriminator, name), name
    checks.all_learn(discriminator, inputs)
    checks.round_trip(discriminator, tmp_path)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_judges_band_plus_condition(checks, num_classes):
    checks.judges_the_sum(small(conditional=True, num_classes=num_classes))


def test_equals_numpy(checks):
    discriminator = small(num_classes=3)
    inputs = checks.inputs(discriminator)
    x = np.concatenate(
        [inputs["band"].reshape(3, -1), np.eye(3, dtype="float32")], axis=1
    )
    weights = [100 * w for w in discriminator.get_weights()]
    discriminator.set_weights(weights)
    for i in (0, 2):
        x = np.maximum(x @ weights[i] + weights[i + 1], 0)
    x = x @ weights[4] + weights[5]
    np.testing.assert_allclose(
        checks.run(discriminator, inputs), x, rtol=1e-4, atol=1e-4
    )


def test_kernels_at_the_start(tmp_path, checks):
    network = small(kernel_stddev=0.5)
    for name in ("dense_1", "dense_2", "output"):
        kernel = ops.convert_to_numpy(network.get_layer(name).kernel)
        assert kernel.std() == pytest.approx(0.5, rel=0.3)
    checks.round_trip(network, tmp_path)
    with pytest.raises(ValueError, match="Received: kernel_stddev=0"):
        small(kernel_stddev=0)


def test_dropout_after_each_hidden_layer(checks):
    names = [layer.name for layer in small().layers]
    assert names.index("dropout_1") == names.index("dense_1") + 1
    assert names.index("dropout_2") == names.index("dense_2") + 1
    discriminator = small()
    inputs = checks.inputs(discriminator)
    a, b = (checks.run(discriminator, inputs, training=True) for _ in "ab")
    assert np.abs(a - b).min() > 0
    still = small(dropout=0)
    a, b = (checks.run(still, inputs, training=t) for t in (True, False))
    np.testing.assert_array_equal(a, b)


def test_initialization(checks):
    discriminator = DenseDiscriminator(8, hidden_units=(300, 200))
    for name in ("dense_1", "dense_2"):
        checks.normal(discriminator.get_layer(name), 0.005)
    kernel, bias = discriminator.get_layer("output").get_weights()
    assert kernel.std() == pytest.approx(0.005, rel=0.2)
    assert not bias.any()


def test_mixed_precision(checks):
    discriminator = small(
        num_classes=3, conditional=True, dtype="mixed_bfloat16"
    )
    checks.stays_float32(discriminator, "dense_1", "dense_2")
    assert discriminator.get_layer("image").compute_dtype == "float32"
