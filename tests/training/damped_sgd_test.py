import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.training.damped_sgd import DampedSGD

RECIPE = {
    "learning_rate": 0.1,
    "momentum": 0.5,
    "momentum_ramp": 0.2,
    "max_momentum": 0.8,
    "decay": 0.05,
    "steps_per_epoch": 2,
}
START = np.array([1.0, -2.0, 0.5], "float32")
GRADIENTS = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")


def run(optimizer, gradients=GRADIENTS):
    """The variable after each step."""
    variable = keras.Variable(START)
    path = []
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)], [variable])
        path.append(ops.convert_to_numpy(variable.value).copy())
    return np.array(path)


def epoch_values(epoch):
    """Learning rate and momentum of `RECIPE`."""
    return 0.1 / 1.05**epoch, min(0.5 + 0.2 * epoch, 0.8)


def test_equals_the_formula():
    x, velocity, path = START.astype("float64"), 0.0, []
    for t, gradient in enumerate(GRADIENTS):
        lr, m = epoch_values(t // 2)
        velocity = m * velocity + (1 - m) * gradient if t else gradient
        x = x - lr * velocity
        path.append(x)
    np.testing.assert_allclose(run(DampedSGD(**RECIPE)), path, atol=1e-6)


def test_equals_torch():
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.tensor(START))
    optimizer = torch.optim.SGD([parameter], 0.1, momentum=0.5, dampening=0.5)
    path = []
    for t, gradient in enumerate(GRADIENTS):
        lr, m = epoch_values(t // 2)
        optimizer.param_groups[0].update(lr=lr, momentum=m, dampening=m)
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        path.append(parameter.detach().numpy().copy())
    # Seven steps of two an epoch cross three ends and reach the ramp's.
    np.testing.assert_allclose(run(DampedSGD(**RECIPE)), path, atol=1e-6)


def test_steps_are_smaller_than_those_of_keras_sgd():
    # The mistake this class is here to prevent.
    constant = np.ones((30, 3), "float32")
    ours = run(DampedSGD(0.1, momentum_ramp=0, decay=0), constant)
    theirs = run(keras.optimizers.SGD(0.1, momentum=0.5), constant)
    np.testing.assert_allclose(ours[-1] - ours[-2], -0.1, rtol=1e-4)
    np.testing.assert_allclose(theirs[-1] - theirs[-2], -0.2, rtol=1e-4)


def test_the_paper_s_numbers_are_the_defaults():
    config = DampedSGD().get_config()
    assert config["learning_rate"] == pytest.approx(0.02)
    assert (config["momentum"], config["max_momentum"]) == (0.5, 0.8)
    assert config["momentum_ramp"] == 0.0008 and config["decay"] == 4e-5
    # 45,000 pictures in batches of 128.
    assert config["steps_per_epoch"] == 352


def test_the_learning_rate_has_a_floor():
    optimizer = DampedSGD(1e-3, momentum=0, momentum_ramp=0, decay=1e6)
    optimizer.steps_per_epoch = 1
    path = run(optimizer, np.full((3, 3), 1000.0, "float32"))
    np.testing.assert_allclose(path[2] - path[1], -1e-3, rtol=1e-3)


def test_a_momentum_above_the_maximum_stays():
    optimizer = DampedSGD(**{**RECIPE, "momentum": 0.9, "max_momentum": 0.8})
    path = run(optimizer, np.eye(3, dtype="float32")[:2])
    # The second step takes a tenth of its own gradient.
    assert path[1][1] - path[0][1] == pytest.approx(-0.1 * 0.1, rel=1e-5)


def test_the_learning_rate_can_be_set_and_scheduled():
    optimizer = DampedSGD(0.1, decay=0)
    optimizer.learning_rate = 0.0
    np.testing.assert_array_equal(run(optimizer)[-1], START)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0], [0.1, 0.0]
    )
    path = run(DampedSGD(schedule, decay=0))
    assert (path[0] != START).all()
    np.testing.assert_array_equal(path[-1], path[0])


def test_config_round_trip():
    optimizer = DampedSGD(**RECIPE, clipnorm=1.0, name="mine")
    config = keras.optimizers.serialize(optimizer)
    assert config["registered_name"] == "keras_lapgan>DampedSGD"
    copy = keras.optimizers.deserialize(config)
    assert copy.get_config() == optimizer.get_config()
    np.testing.assert_array_equal(run(copy), run(optimizer))


@pytest.mark.parametrize(
    "arguments",
    [
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"max_momentum": 1.5},
        {"steps_per_epoch": 0},
    ],
)
def test_bad_arguments(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}={value}"):
        DampedSGD(**arguments)
