import numpy as np
import pytest

from keras_lapgan.networks import DenseGenerator


def small(**kwargs):
    return DenseGenerator(
        **{"size": 4, "hidden_units": (16, 12), "noise_dim": 5, **kwargs}
    )


def test_parameter_count_of_the_authors_class_conditional_network():
    generator = DenseGenerator(8, hidden_units=(600, 600), num_classes=10)
    assert generator.count_params() == 542_592


def test_parameter_count_of_the_paper():
    count = 101 * 1200 + 1201 * 1200 + 1201 * 192
    assert DenseGenerator(8).count_params() == count


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("conditional", [True, False])
def test_round_trip_and_gradients(checks, tmp_path, num_classes, conditional):
    generator = small(
        size=(4, 5),
        channels=2,
        num_classes=num_classes,
        conditional=conditional,
    )
    inputs = checks.inputs(generator)
    assert checks.run(generator, inputs).shape == (3, 4, 5, 2)
    for name in inputs:
        assert checks.depends_on(generator, name), name
    checks.all_learn(generator, inputs)
    checks.round_trip(generator, tmp_path)


@pytest.mark.parametrize("conditional", [True, False])
def test_equals_numpy(checks, conditional):
    # Also pins the order noise, condition, label of the first kernel.
    generator = small(num_classes=3, conditional=conditional)
    inputs = checks.inputs(generator)
    x = [inputs["noise"]]
    if conditional:
        x.append(inputs["condition"].reshape(3, -1))
    x = np.concatenate([*x, np.eye(3, dtype="float32")], axis=1)
    weights = generator.get_weights()
    for i in (0, 2):
        x = np.maximum(x @ weights[i] + weights[i + 1], 0)
    x = x @ weights[4] + weights[5]
    np.testing.assert_allclose(
        checks.run(generator, inputs), x.reshape(3, 4, 4, 3), atol=1e-5
    )


def test_an_activation_for_each_layer(checks, tmp_path):
    generator = small(activations=("relu", "sigmoid"))
    assert generator.get_layer("dense_1").activation.__name__ == "relu"
    assert generator.get_layer("dense_2").activation.__name__ == "sigmoid"
    checks.round_trip(generator, tmp_path)
    with pytest.raises(ValueError, match=r"2 hidden.*Received: activations="):
        small(activations=("relu",))


def test_initialization(checks):
    generator = DenseGenerator(8, hidden_units=(300, 200))
    for name in ("dense_1", "dense_2", "output"):
        checks.normal(generator.get_layer(name), 0.05)


def test_mixed_precision(checks):
    generator = small(num_classes=3, conditional=True, dtype="mixed_bfloat16")
    checks.stays_float32(generator, "dense_1", "dense_2")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"Received: hidden_units=\(\)"):
        small(hidden_units=())
    with pytest.raises(ValueError, match="Received: noise_dim=0"):
        small(noise_dim=0)
