import random

import keras
import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.callbacks import SampleGrid

SMALL = "lapgan_cifar10_small"


def fresh(levels=None, seed=0, **kwargs):
    random.seed(seed)
    return LAPGAN.from_preset(
        SMALL, load_weights=False, levels=levels, **kwargs
    )


@pytest.fixture(scope="module")
def whole():
    return fresh()


def same(a, b):
    return all(map(np.array_equal, a.get_weights(), b.get_weights()))


def test_a_level_begins_alike_alone_and_beside_others(whole):
    for k in range(3):
        alone = fresh([k])
        assert same(alone.level(k), whole.level(k))
        assert not alone.is_complete and whole.is_complete
        assert alone.trained_levels() == [alone.level(k)]
    assert not same(fresh([2], seed=1).level(2), whole.level(2))


def test_the_memory_of_one_level(whole):
    alone = fresh([2])
    level = whole.level(2)
    statistics = whole.normalization.count_params()
    assert alone.count_params() == level.count_params() + statistics
    alone.optimizer.build(alone.trainable_variables)
    # Adam's two for each of what it trains, and counts and rates.
    slots = [v for v in alone.optimizer.variables if len(v.shape)]
    assert len(slots) == 2 * len(level.trainable_variables)


def test_it_is_saved_and_loaded_as_it_is(tmp_path):
    model = fresh([0, 2])
    model.save_to_preset(tmp_path / "preset", include_optimizer=True)
    model.save(tmp_path / "model.keras")
    for found in (
        LAPGAN.from_preset(tmp_path / "preset"),
        keras.saving.load_model(tmp_path / "model.keras"),
        keras.saving.load_model(tmp_path / "preset"),
    ):
        assert [x.index for x in found.trainable_levels()] == [0, 2]
        assert same(found, model)
        assert found.get_config() == model.get_config()
    text = (tmp_path / "preset" / "README.md").read_text()
    assert "level 0, 2 alone of 0 (the finest) to 2" in " ".join(text.split())
    assert "generate(" not in text


def test_levels_of_a_preset_with_all(tmp_path, whole):
    whole.save_to_preset(tmp_path, include_optimizer=True)
    for levels in ([1], [2, 0], (0, 1, 2)):
        found = LAPGAN.from_preset(tmp_path, levels=levels)
        assert [x.index for x in found.trained_levels()] == sorted(levels)
        assert all(same(found.level(k), whole.level(k)) for k in levels)


def test_no_chain(tiny):
    model = fresh([0, 1])
    model.compile(**{**model.get_compile_config(), "chained": 0.5})
    with pytest.raises(PresetError, match="has 0, 1 alone of 0 to 2.*=0.5"):
        model.fit(tiny.images(2, size=32), batch_size=2, verbose=0)


@pytest.mark.parametrize("levels", [[], [3], [0, -1], 1, "01", [1.0], [True]])
def test_levels_that_there_are_not(levels):
    with pytest.raises(PresetError, match=r"has the levels 0, 1, 2 \(0 is"):
        fresh(levels)


def test_what_takes_all_levels_says_so(tmp_path):
    model = fresh([1])
    message = "takes levels 0, 1, 2; this model has 1 alone of 0 to 2"
    for function in (
        lambda: model.generate(2),
        lambda: model.export(tmp_path / "out"),
        lambda: model.diagnose("sample"),
    ):
        with pytest.raises(PresetError, match=message):
            function()
    with pytest.raises(PresetError, match="takes level 0; this model has 1"):
        model.level(0)
    with pytest.raises(PresetError, match="takes levels 0, 1; this model"):
        model.generate_from(np.zeros((1, 8, 8, 3), "uint8"), level=2)
    # What there is draws.
    drawn = model.generate_from(
        np.zeros((1, 8, 8, 3), "uint8"), level=2, stop=1, seed=0
    )
    assert drawn.shape == (1, 14, 14, 3)


def test_recipes_by_level_stay_whole(tmp_path):
    model = fresh()
    rates = [0.1, 0.2, 0.3]
    model.compile(
        d_optimizer=[keras.optimizers.SGD(x) for x in rates],
        g_optimizer="adam",
    )
    model.save_to_preset(tmp_path)
    alone = LAPGAN.from_preset(tmp_path, levels=[1])
    assert float(alone.level_optimizers(1)[0].learning_rate) == (
        pytest.approx(0.2)
    )
    kept = alone.get_compile_config()["d_optimizer"]
    assert [x["config"]["learning_rate"] for x in kept] == pytest.approx(rates)


def test_a_grid_of_what_one_level_draws(tmp_path, whole):
    images = np.random.default_rng(0).integers(
        0, 256, (6, 32, 32, 3), dtype="uint8"
    )
    model = fresh([1])
    model.normalization.set_weights(whole.normalization.get_weights())
    with pytest.raises(ValueError, match="give SampleGrid `images`"):
        model.fit(images, callbacks=[SampleGrid(tmp_path)], verbose=0)
    grid = SampleGrid(tmp_path, count=4, images=(images, None))
    model.fit(images, batch_size=2, callbacks=[grid], verbose=0)
    assert [x.name for x in tmp_path.iterdir()] == ["epoch_0001_stage_1.png"]
