import numpy as np
import pytest

from keras_lapgan.networks import ResidualDiscriminator


def small(**kwargs):
    return ResidualDiscriminator(
        **{"size": 8, "filters": (4, 6), "units": 5, **kwargs}
    )


@pytest.mark.parametrize("filters", [(4, 6), (4, 4, 6), (4,)])
def test_unconditional(checks, tmp_path, filters):
    discriminator = checks.woken(
        small(size=(8, 12), channels=2, filters=filters)
    )
    inputs = checks.inputs(discriminator)
    assert checks.run(discriminator, inputs).shape == (3, 1)
    assert checks.depends_on(discriminator, "band")
    checks.judges_the_sum(discriminator)
    checks.all_learn(discriminator, inputs)
    checks.round_trip(discriminator, tmp_path)


def test_class_conditional(checks, tmp_path):
    discriminator = checks.woken(
        small(num_classes=3, conditional=False, blocks=2)
    )
    assert set(discriminator.input) == {"band", "labels"}
    inputs = checks.inputs(discriminator)
    assert checks.run(discriminator, inputs).shape == (3, 1)
    assert checks.depends_on(discriminator, "labels")
    checks.all_learn(discriminator, inputs)
    checks.round_trip(discriminator, tmp_path)


def test_the_label_chooses_an_output(checks):
    discriminator = small(num_classes=3)
    inputs = checks.inputs(discriminator)
    before = checks.run(discriminator, inputs)
    output = discriminator.get_layer("output")
    kernel, bias = output.get_weights()
    output.set_weights([kernel, bias + [1, 10, 100]])
    # Labels 0, 1, 2.
    np.testing.assert_allclose(
        checks.run(discriminator, inputs) - before,
        [[1], [10], [100]],
        rtol=1e-4,
    )


def test_no_normalization_and_no_dropout(checks):
    discriminator = checks.woken(small())
    assert not discriminator.non_trainable_variables
    inputs = checks.inputs(discriminator)
    np.testing.assert_array_equal(
        checks.run(discriminator, inputs, training=True),
        checks.run(discriminator, inputs, training=False),
    )


def test_bfloat16_inside(checks):
    discriminator = small(num_classes=3, dtype="mixed_bfloat16")
    checks.stays_float32(discriminator, "conv_1", "down_1", "dense")
    assert discriminator.get_layer("output").compute_dtype == "float32"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": 6, "filters": (4, 4, 4)}, r"multiple of 4.*\(6, 6\)"),
        ({"filters": [4, 0]}, r"filters=\[4, 0\]"),
        ({"blocks": 0}, "blocks=0"),
        ({"units": 0}, "units=0"),
        ({"channels": 0}, "channels=0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)
