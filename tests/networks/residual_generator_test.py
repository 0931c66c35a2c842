import numpy as np
import pytest

from keras_lapgan.networks import ResidualGenerator


def small(**kwargs):
    return ResidualGenerator(
        **{"size": 8, "filters": (4, 6), "blocks": 1, "noise_dim": 5, **kwargs}
    )


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("filters", [(4, 6), (4, 4, 6), (4,)])
def test_round_trip_and_gradients(
    checks, tmp_path, num_classes, conditional, filters
):
    generator = small(
        size=(8, 12),
        channels=2,
        num_classes=num_classes,
        conditional=conditional,
        filters=filters,
    )
    noise = (8, 12, 1) if conditional else (5,)
    assert generator.noise_shape == noise
    assert tuple(generator.input["noise"].shape) == (None, *noise)
    checks.woken(generator)
    inputs = checks.inputs(generator)
    assert checks.run(generator, inputs).shape == (3, 8, 12, 2)
    for name in inputs:
        assert checks.depends_on(generator, name), name
    checks.all_learn(generator, inputs)
    checks.round_trip(generator, tmp_path)


def test_a_pixel_of_the_condition_reaches_all_of_the_band(checks):
    # The paper's 7x7, 7x7 and 5x5 kernels reach eight pixels.
    generator = checks.woken(ResidualGenerator(28, filters=(4, 4, 4), blocks=1))
    inputs = checks.inputs(generator, batch=1)
    before = checks.run(generator, inputs)
    inputs["condition"][0, 13, 14] += 10
    changed = np.abs(checks.run(generator, inputs) - before)[0].max(-1) > 0
    rows, columns = np.nonzero(changed)
    assert rows.min() <= 1 and rows.max() >= 26
    assert columns.min() <= 1 and columns.max() >= 26


def test_blocks_begin_as_nothing():
    # One on the way down, two for each resolution on the way up.
    generator = small(blocks=2)
    kernels = [w for w in generator.get_weights() if w.ndim == 4]
    assert sum(not kernel.any() for kernel in kernels) == 1 + 2 * 2
    assert len(kernels) == 2 * 5 + 4


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


def test_bfloat16_inside(checks):
    generator = small(num_classes=3, dtype="mixed_bfloat16")
    checks.stays_float32(generator, "conv_1", "up_1", "class_plane")
    assert generator.get_layer("output").compute_dtype == "float32"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": 6, "filters": (4, 4, 4)}, r"multiple of 4.*\(6, 6\)"),
        ({"filters": ()}, r"filters=\(\)"),
        ({"filters": 4}, "filters=4"),
        ({"blocks": 0}, "blocks=0"),
        ({"noise_dim": 2.0}, "noise_dim=2.0"),
        ({"size": 0}, "size=0"),
        ({"num_classes": -1}, "num_classes=-1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)
