import numpy as np
import pytest

from keras_lapgan.networks import LSUNDiscriminator


def test_parameter_count_of_the_release():
    assert LSUNDiscriminator(32).count_params() == 873_761


def test_unconditional(checks, tmp_path):
    discriminator = LSUNDiscriminator(13)
    inputs = checks.inputs(discriminator)
    assert checks.run(discriminator, inputs).shape == (3, 1)
    assert checks.depends_on(discriminator, "band")
    checks.judges_the_sum(discriminator)
    checks.all_learn(discriminator, inputs)
    checks.round_trip(discriminator, tmp_path)


def test_class_conditional(checks, tmp_path):
    discriminator = LSUNDiscriminator(
        (13, 14), channels=1, num_classes=3, conditional=False
    )
    assert set(discriminator.input) == {"band", "labels"}
    inputs = checks.inputs(discriminator)
    assert checks.depends_on(discriminator, "labels")
    checks.all_learn(discriminator, inputs)
    checks.round_trip(discriminator, tmp_path)


def test_no_normalization_and_no_dropout(checks):
    discriminator = LSUNDiscriminator(13)
    assert not discriminator.non_trainable_variables
    inputs = checks.inputs(discriminator)
    np.testing.assert_array_equal(
        checks.run(discriminator, inputs, training=True),
        checks.run(discriminator, inputs, training=False),
    )


def test_equals_torch(checks):
    torch = pytest.importorskip("torch")
    discriminator = LSUNDiscriminator(14)
    inputs = checks.inputs(discriminator, batch=2)
    weights = [torch.tensor(w) for w in discriminator.get_weights()]
    x = torch.tensor(inputs["band"] + inputs["condition"])
    x = x.permute(0, 3, 1, 2)
    for i, groups in ((0, 1), (2, 4), (4, 16)):
        kernel = weights[i].permute(3, 2, 0, 1)
        x = torch.conv2d(x, kernel, weights[i + 1], groups=groups).relu()
    x = x.permute(0, 2, 3, 1).flatten(1) @ weights[6] + weights[7]
    np.testing.assert_allclose(
        checks.run(discriminator, inputs), x.numpy(), atol=1e-5
    )


def test_initialization(checks):
    discriminator = LSUNDiscriminator(32)
    for name, fan_in in (
        ("conv_1", 9 * 3),
        ("conv_2", 25 * 48 // 4),
        ("conv_3", 49 * 448 // 16),
    ):
        checks.torch_uniform(discriminator.get_layer(name), fan_in)
    kernel, _ = discriminator.get_layer("output").get_weights()
    assert np.abs(kernel).max() <= 166_400**-0.5


def test_mixed_precision(checks):
    discriminator = LSUNDiscriminator(13, dtype="mixed_bfloat16")
    checks.stays_float32(discriminator, "conv_1", "conv_3")
    assert discriminator.get_layer("image").compute_dtype == "float32"


def test_too_small_a_size_names_the_minimum():
    with pytest.raises(ValueError, match="at least 13.*Received: size=12"):
        LSUNDiscriminator(12)
