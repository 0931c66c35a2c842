import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.randomness import StepRandom
from keras_lapgan.layers.randomness import active_random


def draw(seed=1, step=0, scope="", stream="noise", shape=(64,)):
    numbers = StepRandom(seed, step, scope).uniform(shape, stream)
    return ops.convert_to_numpy(numbers)


def test_is_a_function_of_its_names():
    np.testing.assert_array_equal(draw(), draw())


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"step": 1}, {"scope": "level_1/"}, {"stream": "dropout"}],
)
def test_every_name_counts(other):
    assert not np.isin(draw(), draw(**other)).any()


def test_at_nests_scopes():
    random = StepRandom(1, 0).at("level_2").at("d")
    assert random.scope == "level_2/d/"
    np.testing.assert_array_equal(
        ops.convert_to_numpy(random.uniform((64,), "noise")),
        draw(scope="level_2/d/"),
    )


def test_is_uniform():
    numbers = draw(shape=(100, 100))
    assert numbers.dtype == "float32"
    assert 0 <= numbers.min() and numbers.max() < 1
    assert numbers.mean() == pytest.approx(1 / 2, abs=0.01)
    assert numbers.var() == pytest.approx(1 / 12, abs=0.003)


def test_steps_and_streams_are_not_correlated():
    rows = [draw(step=step, shape=(2000,)) for step in range(4)]
    rows += [draw(stream=name, shape=(2000,)) for name in ("a", "b")]
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(correlation).max() < 0.1


def test_a_traced_step_gives_the_same_numbers():
    def function(step):
        return StepRandom(1, step).uniform((64,), "noise")

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        function = tf.function(function)
    elif backend == "jax":
        import jax

        function = jax.jit(function)
    for step in (0, 7):
        traced = function(ops.convert_to_tensor(step, dtype="int32"))
        np.testing.assert_array_equal(
            ops.convert_to_numpy(traced), draw(step=step)
        )


def test_active_is_innermost_and_ends():
    outer, inner = StepRandom(1, 0), StepRandom(2, 0)
    assert active_random() is None
    with outer.active():
        with pytest.raises(RuntimeError), inner.active() as got:
            assert got is inner and active_random() is inner
            raise RuntimeError
        assert active_random() is outer
    assert active_random() is None


def test_each_replica_draws_its_own_numbers():
    draws = [
        ops.convert_to_numpy(
            StepRandom(1, 2, replica=r).at("scope").uniform((1000,), "stream")
        )
        for r in range(3)
    ]
    one = StepRandom(1, 2).at("scope").uniform((1000,), "stream")
    np.testing.assert_array_equal(draws[0], ops.convert_to_numpy(one))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(draws[a], draws[b])[0, 1]) < 0.15
