import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.training.gradients import apply_gradients
from keras_lapgan.training.gradients import value_and_gradients
from keras_lapgan.training.gradients import value_and_slope


def variable(value, **kwargs):
    return keras.Variable(np.asarray(value, "float32"), **kwargs)


def array(x):
    return ops.convert_to_numpy(x)


def test_loss_gradients_and_whatever_else():
    w, b = variable([1.0, 2.0]), variable(3.0)

    def function():
        y = ops.square(w.value) * b.value
        return ops.sum(y), {"y": y}

    loss, aux, gradients = value_and_gradients(function, [w, b])
    assert float(array(loss)) == 15
    np.testing.assert_array_equal(array(aux["y"]), [3, 12])
    np.testing.assert_array_equal(array(gradients[0]), [6, 12])
    np.testing.assert_array_equal(array(gradients[1]), 5)


def test_assignments_inside_last():
    w, seen = variable(2.0), variable(0.0, trainable=False)

    def function():
        seen.assign(seen.value + w.value)
        return ops.square(w.value), None

    for expected in (2, 4):
        _, _, (gradient,) = value_and_gradients(function, [w], [seen])
        assert float(array(seen.value)) == expected
        assert float(array(gradient)) == 4


def test_only_the_variables_asked_for():
    w, other = variable(2.0), variable(5.0)
    _, _, gradients = value_and_gradients(
        lambda: (w.value * other.value, None), [w], [other]
    )
    assert [float(array(g)) for g in gradients] == [5]
    if keras.backend.backend() == "torch":
        assert w.value.grad is None and other.value.grad is None


def test_nothing_to_learn():
    loss, _, gradients = value_and_gradients(
        lambda: (ops.convert_to_tensor(4.0), None), []
    )
    assert float(array(loss)) == 4 and gradients == []


def test_a_weight_that_is_not_used():
    w, unused = variable(2.0), variable(5.0)
    _, _, gradients = value_and_gradients(
        lambda: (ops.square(w.value), None), [w, unused]
    )
    assert float(array(gradients[0])) == 4
    assert gradients[1] is None or float(array(gradients[1])) == 0


def slope_penalty(w, x):
    """Sum of the squared slopes of w x^2, to be differentiated by w."""

    def function():
        values, slope = value_and_slope(
            lambda x: ops.square(x) * w.value, x, [w]
        )
        return ops.sum(ops.square(slope)), (values, slope)

    return value_and_gradients(function, [w])


def test_a_slope_is_differentiated_again():
    w, x = variable(3.0), ops.convert_to_tensor([1.0, -2.0])
    loss, (values, slope), (gradient,) = slope_penalty(w, x)
    np.testing.assert_allclose(array(values), [3, 12])
    np.testing.assert_allclose(array(slope), [6, -12])
    assert float(array(loss)) == 180
    # Of 4 w^2 (1 + 4).
    assert float(array(gradient)) == pytest.approx(120)


def test_a_slope_that_changes_state():
    w, seen = variable(2.0), variable(1.0, trainable=False)

    def function(x):
        seen.assign(seen.value + 1.0)
        return x * w.value * seen.value

    _, slope = value_and_slope(
        function, ops.convert_to_tensor([1.0]), [w, seen]
    )
    assert float(array(slope)[0]) == 4 and float(array(seen.value)) == 2


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="torch.compile is torch's"
)
def test_a_slope_within_torch_compile():
    import torch

    w, x = variable(3.0), ops.convert_to_tensor([1.0, -2.0])
    compiled = torch.compile(slope_penalty, backend="aot_eager")
    assert float(array(compiled(w, x)[2][0])) == pytest.approx(120)


def test_a_step():
    w = variable([1.0, 2.0])
    optimizer = keras.optimizers.SGD(0.5)
    for expected in ([0.0, 0.0], [0.0, 0.0]):
        _, _, gradients = value_and_gradients(
            lambda: (ops.sum(ops.square(w.value)), None), [w]
        )
        apply_gradients(optimizer, gradients, [w])
        np.testing.assert_array_equal(array(w.value), expected)
    assert int(array(optimizer.iterations.value)) == 2


def test_gradients_of_levels_do_not_mix():
    a, b = variable(2.0), variable(3.0)

    def summed():
        return ops.square(a.value) + ops.exp(b.value), None

    def alone():
        return ops.square(a.value), None

    _, _, (both, _) = value_and_gradients(summed, [a, b])
    _, _, (one,) = value_and_gradients(alone, [a], [b])
    assert float(array(both)) == pytest.approx(float(array(one)), abs=0)
