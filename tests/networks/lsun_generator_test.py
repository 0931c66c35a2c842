import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.networks import LSUNGenerator


@pytest.fixture(scope="module")
def generator():
    return LSUNGenerator(8)


def trainable_count(network):
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


def test_parameter_count_of_the_release(generator):
    assert trainable_count(generator) == 1_090_995
    # A fully convolutional network: the same at every size.
    assert trainable_count(LSUNGenerator(64)) == 1_090_995
    # Moving mean and variance of the five normalizations, and nothing else.
    norms = [w for w in generator.non_trainable_variables if "norm" in w.path]
    assert sum(int(np.prod(w.shape)) for w in norms) == 2 * (
        64 + 368 + 128 + 224 + 3
    )


def test_shapes_and_dependence(checks, generator):
    inputs = checks.inputs(generator)
    assert checks.run(generator, inputs).shape == (3, 8, 8, 3)
    assert checks.depends_on(generator, "noise")
    assert checks.depends_on(generator, "condition")


def test_gradients_reach_everything(checks, generator):
    checks.all_learn(generator, checks.inputs(generator, batch=2))


def test_round_trip(checks, tmp_path):
    checks.round_trip(LSUNGenerator(4, num_classes=3, dropout=0.25), tmp_path)


def test_labels_matter(checks):
    generator = LSUNGenerator(4, num_classes=3)
    assert trainable_count(generator) == 1_090_995 + 49 * 64 + 4 * 16
    assert checks.depends_on(generator, "labels")


def test_groups_see_their_own_maps_only(checks):
    # Pairs of the 128 maps are pooled to 64, of which the first 32 feed the
    # first 112 maps of the fourth convolution.
    generator = LSUNGenerator(4)
    conv = generator.get_layer("conv_3")
    maps = keras.Model(generator.input, generator.get_layer("conv_4").output)
    inputs = checks.inputs(generator)
    before = checks.run(maps, inputs)
    kernel, bias = conv.get_weights()
    bias[:64] += 1.0
    conv.set_weights([kernel, bias])
    delta = np.abs(checks.run(maps, inputs) - before).max((0, 1, 2))
    assert delta[:112].max() > 0
    assert delta[112:].max() == 0


@pytest.mark.parametrize("name, maps", [("2", 368), ("4", 224)])
def test_dropout_drops_whole_maps(checks, generator, name, maps):
    layer = generator.get_layer(f"dropout_{name}")
    part = keras.Model(layer.input, layer.output)
    x = np.ones((4, 8, 8, maps), "float32")
    y = checks.run(part, x, training=True)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    assert np.mean(y == 0) == pytest.approx(0.5, abs=0.1)
    assert (y[0] != y[1]).any()


def test_training_normalizes_the_band(checks):
    generator = LSUNGenerator(8)
    inputs = checks.inputs(generator, batch=8)
    before = ops.convert_to_numpy(
        generator.get_layer("output_norm").moving_variance
    )
    band = checks.run(generator, inputs, training=True)
    np.testing.assert_allclose(band.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(band.std((0, 1, 2)), 1, atol=1e-2)
    after = ops.convert_to_numpy(
        generator.get_layer("output_norm").moving_variance
    )
    assert (after != before).all()


def test_initialization(checks, generator):
    for name, fan_in in (
        ("conv_1", 49 * 4),
        ("conv_2", 49 * 64 // 4),
        ("conv_3", 49 * 368 // 4),
        ("conv_4", 25 * 64 // 2),
    ):
        checks.torch_uniform(generator.get_layer(name), fan_in)


def test_mixed_precision(checks):
    generator = LSUNGenerator(4, dtype="mixed_bfloat16")
    checks.stays_float32(generator, "conv_1", "conv_4", "norm_2")
    assert generator.get_layer("output_norm").compute_dtype == "float32"
