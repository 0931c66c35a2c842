import numpy as np
import pytest

from keras_lapgan.networks import ConvolutionalGenerator


def small(**kwargs):
    return ConvolutionalGenerator(
        **{"size": 8, "filters": 4, "kernel_sizes": (3, 3, 3), **kwargs}
    )


@pytest.mark.parametrize(
    "size, filters, num_classes, count",
    [
        (32, 64, 0, 218_179),
        (28, 128, 0, 837_763),
        (28, 128, 10, 852_659),
    ],
)
def test_parameter_counts_of_the_release(size, filters, num_classes, count):
    generator = ConvolutionalGenerator(
        size, filters=filters, num_classes=num_classes
    )
    assert generator.count_params() == count


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("conditional", [True, False])
def test_round_trip_and_gradients(checks, tmp_path, num_classes, conditional):
    generator = small(
        size=(6, 8),
        channels=2,
        num_classes=num_classes,
        conditional=conditional,
    )
    inputs = checks.inputs(generator)
    assert checks.run(generator, inputs).shape == (3, 6, 8, 2)
    for name in inputs:
        assert checks.depends_on(generator, name), name
    checks.all_learn(generator, inputs)
    checks.round_trip(generator, tmp_path)


def test_maps_are_noise_then_class_plane_then_condition(checks):
    # The order of the released weights, which a converter relies on.
    generator = small(num_classes=3)
    conv = generator.get_layer("conv_1")
    kernel, bias = conv.get_weights()
    for name, maps in (
        ("noise", slice(0, 1)),
        ("labels", slice(1, 2)),
        ("condition", slice(2, 5)),
    ):
        only = np.zeros_like(kernel)
        only[:, :, maps] = np.abs(kernel[:, :, maps])
        conv.set_weights([only, np.ones_like(bias)])
        for other in ("noise", "labels", "condition"):
            assert checks.depends_on(generator, other) == (other == name)


def test_output_is_linear(checks):
    generator = small()
    inputs = checks.inputs(generator)
    output = generator.get_layer("output")
    before = checks.run(generator, inputs)
    assert before.min() < 0 < before.max()
    output.set_weights([100 * w for w in output.get_weights()])
    np.testing.assert_allclose(
        checks.run(generator, inputs), 100 * before, rtol=1e-3, atol=1e-3
    )


def test_initialization(checks):
    generator = ConvolutionalGenerator(16, filters=64, num_classes=10)
    checks.torch_uniform(generator.get_layer("conv_1"), 49 * 5)
    checks.torch_uniform(generator.get_layer("conv_2"), 49 * 64)
    checks.torch_uniform(generator.get_layer("output"), 25 * 64)


def test_mixed_precision(checks):
    generator = small(num_classes=3, dtype="mixed_bfloat16")
    checks.stays_float32(generator, "conv_1", "conv_2")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"Received: kernel_sizes=\(7, 7\)"):
        small(kernel_sizes=(7, 7))
    with pytest.raises(ValueError, match="Received: filters=0"):
        small(filters=0)
