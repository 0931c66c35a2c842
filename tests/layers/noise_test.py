import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan.layers.noise import UniformNoise
from keras_lapgan.layers.noise import checked_seed
from keras_lapgan.layers.randomness import StepRandom

UNIT = np.float32(2.0**-24)


def test_seeds_mean_pictures_for_ever():
    # Whoever changes these numbers changes every published picture.
    noise = UniformNoise((5,))
    np.testing.assert_array_equal(
        noise.draw(2, seed=42, level=1),
        np.array(
            [
                [-1887541, 10616357, 302869, -3770893, -15938771],
                [15946553, -7135479, -9098747, -1302055, -7346445],
            ]
        )
        * UNIT,
    )
    np.testing.assert_array_equal(
        noise.draw(1, seed=2**64 - 1, level=0, start=10**6)[0, :3],
        np.array([5238159, -3857615, 8325815]) * UNIT,
    )


@pytest.mark.parametrize("shape", [(100,), (3, 3, 1), (8, 8, 1), (1,)])
def test_a_picture_has_its_noise_wherever_the_batch_starts(shape):
    noise = UniformNoise(shape)
    whole = noise.draw(10, seed=7, level=2)
    assert whole.shape == (10, *shape) and whole.dtype == "float32"
    parts = [
        noise.draw(stop - start, seed=7, level=2, start=start)
        for start, stop in ((0, 1), (1, 4), (4, 10))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_pictures_levels_and_seeds_differ():
    noise = UniformNoise((100,))
    draws = [
        *noise.draw(3, seed=1, level=0),
        *noise.draw(3, seed=1, level=1),
        *noise.draw(3, seed=2, level=0),
    ]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 0.5


def test_draw_is_uniform_strictly_inside():
    numbers = UniformNoise((100,)).draw(1000, seed=3, level=0)
    assert np.abs(numbers).max() < 1
    assert np.abs(numbers).max() > 0.999
    assert numbers.mean() == pytest.approx(0, abs=0.01)
    assert numbers.var() == pytest.approx(1 / 3, abs=0.01)


def test_call_draws_one_a_picture():
    noise = UniformNoise((4, 4, 1))
    numbers = ops.convert_to_numpy(
        noise(np.zeros((500, 2, 2, 3)), random=StepRandom(1, 0))
    )
    assert numbers.shape == (500, 4, 4, 1) and numbers.dtype == "float32"
    assert -1 <= numbers.min() < -0.99 and 0.99 < numbers.max() <= 1
    assert numbers.mean() == pytest.approx(0, abs=0.03)


def test_call_stays_float32_under_any_policy():
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        noise = UniformNoise((4,))
        numbers = noise(ops.zeros((2, 4), "bfloat16"), random=StepRandom(1, 0))
    finally:
        keras.config.set_dtype_policy(previous)
    assert keras.backend.standardize_dtype(numbers.dtype) == "float32"


def test_config():
    noise = UniformNoise((4, 4, 1), name="noise")
    config = keras.saving.serialize_keras_object(noise)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.shape == (4, 4, 1)
    assert copy.get_config() == noise.get_config()


def test_seeds():
    assert checked_seed(np.int64(5)) == 5
    assert checked_seed(2**64 - 1) == 2**64 - 1
    fresh = {checked_seed(None) for _ in range(4)}
    assert len(fresh) == 4 and all(0 <= seed < 2**64 for seed in fresh)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "1"])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="`seed` must be an integer.*Received"):
        checked_seed(seed)
