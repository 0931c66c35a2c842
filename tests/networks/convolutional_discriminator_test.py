import numpy as np
import pytest

from keras_lapgan.networks import ConvolutionalDiscriminator


def small(**kwargs):
    return ConvolutionalDiscriminator(**{"size": 9, "filters": 4, **kwargs})


@pytest.mark.parametrize(
    "size, filters, count", [(32, 64, 116_545), (28, 128, 432_257)]
)
def test_parameter_counts_of_the_release(size, filters, count):
    discriminator = ConvolutionalDiscriminator(size, filters=filters)
    assert discriminator.count_params() == count


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("conditional", [True, False])
def test_round_trip_and_gradients(checks, tmp_path, num_classes, conditional):
    discriminator = small(
        size=(10, 12),
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
    checks.judges_the_sum(small(num_classes=num_classes))


def test_equals_torch(checks):
    torch = pytest.importorskip("torch")
    discriminator = small(size=14)
    inputs = checks.inputs(discriminator)
    weights = [torch.tensor(w) for w in discriminator.get_weights()]
    x = torch.tensor(inputs["band"] + inputs["condition"])
    x = x.permute(0, 3, 1, 2)
    for i, stride in ((0, 1), (2, 2)):
        kernel = weights[i].permute(3, 2, 0, 1)
        x = torch.conv2d(x, kernel, weights[i + 1], stride=stride).relu()
    x = x.permute(0, 2, 3, 1).flatten(1) @ weights[4] + weights[5]
    np.testing.assert_allclose(
        checks.run(discriminator, inputs), x.numpy(), atol=1e-5
    )


def test_dropout_only_in_training(checks):
    discriminator = small(filters=64)
    inputs = checks.inputs(discriminator)
    a, b = (checks.run(discriminator, inputs, training=True) for _ in "ab")
    assert np.abs(a - b).min() > 0
    a, b = (checks.run(discriminator, inputs) for _ in "ab")
    np.testing.assert_array_equal(a, b)


def test_initialization(checks):
    discriminator = ConvolutionalDiscriminator(16, filters=64, num_classes=10)
    checks.torch_uniform(discriminator.get_layer("conv_1"), 25 * 4)
    checks.torch_uniform(discriminator.get_layer("conv_2"), 25 * 64)
    output = discriminator.get_layer("output")
    assert output.kernel.shape == (16 * 64, 1)
    kernel, bias = output.get_weights()
    assert 0.95 / 32 < np.abs(kernel).max() <= 1 / 32
    assert 0 < abs(bias[0]) <= 1 / 32


def test_mixed_precision(checks):
    discriminator = small(num_classes=3, dtype="mixed_bfloat16")
    checks.stays_float32(discriminator, "conv_1", "conv_2")
    assert discriminator.get_layer("image").compute_dtype == "float32"


def test_too_small_a_size_names_the_minimum():
    small(size=9)
    with pytest.raises(ValueError, match="at least 9.*Received: size=8"):
        small(size=8)
    with pytest.raises(ValueError, match=r"Received: size=\(16, 8\)"):
        small(size=(16, 8))
    small(size=8, kernel_size=3)
    with pytest.raises(ValueError, match="Received: dropout=1"):
        small(dropout=1.0)
