import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lapgan.callbacks import BestLevel
from keras_lapgan.callbacks import SaveError
from keras_lapgan.callbacks import best_level
from keras_lapgan.callbacks.best_level import Best
from keras_lapgan.callbacks.best_level import held_out_bands
from keras_lapgan.callbacks.best_level import nearest_draw


class Entry(keras.callbacks.Callback):
    """Puts figures of levels into the log, an epoch after the other."""

    def __init__(self, *figures):
        super().__init__()
        self.figures = figures
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        for k, value in enumerate(self.figures[epoch]):
            logs[f"figure_{k}"] = value
        self.weights.append(
            [[w.copy() for w in x.get_weights()] for x in self.model.levels]
        )


def fit(model, images, *callbacks, labels=None, **kwargs):
    return model.fit(
        images,
        labels,
        batch_size=8,
        verbose=0,
        callbacks=list(callbacks),
        **kwargs,
    ).history


def compiled(tiny, **kwargs):
    model = tiny.model(**kwargs)
    model.compile("adam", "adam", **tiny.quick)
    return model


def choose(**kwargs):
    return BestLevel(
        None, monitor="figure_{level}", mode="max", frequency=1, **kwargs
    )


# === The figure ===


def test_nearest_draw_by_hand(tiny):
    model = tiny.model(num_classes=3)
    images, labels = tiny.images(7), tiny.labels(7)
    real = held_out_bands(model, images, labels, 7)
    for k in (0, 1):
        level = model.level(k)
        # It is the average that is judged.
        level.generator.set_weights(
            [0 * w for w in level.generator.get_weights()]
        )
        noise = level.noise.draw(5, 0, k)
        distances = []
        for i in range(7):
            condition = real[k].condition
            drawn = level.sample_band(
                None if k else np.repeat(condition[i : i + 1], 5, axis=0),
                np.full(5, labels[i]),
                noise,
            )
            drawn = keras.ops.convert_to_numpy(drawn)
            distances.append(
                min(
                    math.dist(one.ravel(), real[k].band[i].ravel())
                    for one in drawn
                )
            )
        found = nearest_draw(level, real[k], draws=5)
        assert found == pytest.approx(np.mean(distances), rel=1e-5)


@pytest.mark.parametrize("draws", [1, 100, 300])
def test_any_number_of_draws(tiny, draws):
    model = tiny.model()
    real = held_out_bands(model, tiny.images(3), None, 3)
    few, many = (nearest_draw(model.level(0), real[0], n) for n in (1, draws))
    assert many <= few


def test_held_out_pictures_are_spread(tiny):
    images = tiny.images(10)
    model = tiny.model()
    found = held_out_bands(model, images, None, 4)
    expected = held_out_bands(model, images[[0, 3, 6, 9]], None, 4)
    np.testing.assert_array_equal(found[1].band, expected[1].band)


# === Choosing ===


def test_each_level_gets_its_own_best_weights_back(tiny):
    images = tiny.images(16)
    model = compiled(tiny)
    entry = Entry((1, 3), (2, 1), (0, math.nan), (1, 2))
    best = choose()
    fit(model, images, entry, best, epochs=4)
    assert best.best == {0: Best(2.0, 2), 1: Best(3.0, 1)}
    assert tiny.same(model.level(0).get_weights(), entry.weights[1][0])
    assert tiny.same(model.level(1).get_weights(), entry.weights[0][1])
    assert not tiny.same(entry.weights[0][0], entry.weights[3][0])
    # And trains on: on JAX, from what the trainer took over.
    fit(model, images, epochs=1)
    assert not tiny.same(model.level(0).get_weights(), entry.weights[1][0])


def test_the_default_figure_is_logged_and_the_least_kept(tiny):
    images = tiny.images(16)
    model = compiled(tiny)
    held_out = tiny.images(8, seed=1)
    best = BestLevel(held_out, frequency=2, count=4, draws=3)
    history = fit(model, images, best, epochs=5)
    real = held_out_bands(model, held_out, None, 4)
    for k in (0, 1):
        a, b, c, d, e = values = history[f"nearest_draw_{k}"]
        assert b != c == a or a != b == c
        assert d != c
        assert best.best[k].value == min(values)
        assert nearest_draw(model.level(k), real[k], 3) == pytest.approx(
            min(values), rel=1e-5
        )
        assert e > 0


def test_only_trained_levels_are_chosen(tiny):
    images = tiny.images(8)
    model = tiny.model()
    model.compile(levels=[1], **tiny.quick)
    best = BestLevel(images, count=4, draws=2)
    history = fit(model, images, best, epochs=1)
    assert list(best.best) == [1] and "nearest_draw_0" not in history


def test_a_run_of_two_fits_puts_back_at_its_end(tiny):
    images = tiny.images(16)
    model = compiled(tiny, sizes=(8,))
    entry = Entry((2,), (1,))
    best = choose(restore=False)
    fit(model, images, entry, best, epochs=1)
    fit(model, images, entry, best, initial_epoch=1, epochs=2)
    assert tiny.same(model.level(0).get_weights(), entry.weights[1][0])
    best.put_back()
    assert tiny.same(model.level(0).get_weights(), entry.weights[0][0])


# === A folder ===


def test_a_resumed_run_knows_its_best(tiny, tmp_path):
    images = tiny.images(16)
    folder = tmp_path / "run" / "best"
    model = compiled(tiny)
    entry = Entry((2, 1), (1, 2))
    fit(model, images, entry, choose(folder=folder), epochs=2)
    assert sorted(path.name for path in folder.iterdir()) == [
        "best_level_0.weights.h5",
        "best_level_1.weights.h5",
        "best_levels.json",
    ]
    content = json.loads((folder / "best_levels.json").read_text())
    assert content["protocol"]["monitor"] == "figure_{level}"
    assert content["levels"] == {
        "0": {"value": 2.0, "epoch": 1},
        "1": {"value": 2.0, "epoch": 2},
    }
    assert content["latest"] == {"0": 1.0, "1": 2.0}
    other = compiled(tiny)
    again = Entry((0, 0), (0, 0), (1, 3))
    best = choose(folder=folder)
    fit(other, images, again, best, initial_epoch=2, epochs=3)
    assert best.best == {0: Best(2.0, 1), 1: Best(3.0, 3)}
    assert tiny.same(other.level(0).get_weights(), entry.weights[0][0])
    assert tiny.same(other.level(1).get_weights(), again.weights[0][1])


def test_another_figure_s_best_is_not_compared(tiny, tmp_path):
    images = tiny.images(8)
    model = compiled(tiny)
    fit(model, images, Entry((2, 1)), choose(folder=tmp_path), epochs=1)
    best = BestLevel(images, count=4, draws=2, folder=tmp_path)
    fit(model, images, best, epochs=1)
    assert best.best[0].value != 2.0
    content = json.loads((tmp_path / "best_levels.json").read_text())
    assert content["protocol"]["monitor"] == "nearest_draw"


def test_another_model_s_best_is_not_its_own(tiny):
    images = tiny.images(16)
    best = choose()
    first, second = compiled(tiny), compiled(tiny)
    fit(first, images, Entry((5, 5)), best, epochs=1)
    fit(second, images, Entry((1, 2)), best, epochs=1)
    assert best.best == {0: Best(1.0, 1), 1: Best(2.0, 1)}


def test_other_pictures_make_another_figure(tiny, tmp_path):
    images = tiny.images(16)
    model = compiled(tiny)
    held_out = tiny.images(4, seed=1)
    for given in (held_out, 255 - held_out):
        best = BestLevel(given, count=4, draws=2, folder=tmp_path)
        fit(model, images, best, epochs=1)
        figures = held_out_bands(model, given, None, 4)
        assert best.best[1].value == pytest.approx(
            nearest_draw(model.level(1), figures[1], 2), rel=1e-5
        )


def test_the_best_of_a_folder_is_put_back_without_a_fit(tiny, tmp_path):
    images = tiny.images(16)
    model = compiled(tiny)
    entry = Entry((3, 3), (1, 4))
    fit(model, images, entry, choose(folder=tmp_path), epochs=2)
    other = compiled(tiny)
    best = choose(folder=tmp_path)
    best.set_model(other)
    best.put_back()
    assert tiny.same(other.level(0).get_weights(), entry.weights[0][0])
    assert tiny.same(other.level(1).get_weights(), entry.weights[1][1])


def test_a_resumed_run_looks_when_an_uninterrupted_one_does(tiny, tmp_path):
    images = tiny.images(16)

    def run(*spans, folder=None):
        model = compiled(tiny)
        found = []
        for first, last in spans:
            # What a process that was killed knew is gone.
            best = BestLevel(
                images, frequency=4, count=4, draws=2, folder=folder, last=6
            )
            history = fit(model, images, best, initial_epoch=first, epochs=last)
            found += history["nearest_draw_0"]
        return found

    found = run((0, 2), (2, 5), (5, 6), folder=tmp_path)
    a, b, c, d, e, f = found
    assert a == b == c != d == e != f


def test_an_entry_of_a_test_comes_with_some_epochs(tiny):
    images = tiny.images(16)
    model = compiled(tiny)
    best = BestLevel(
        None, monitor="val_g_loss_{level}", mode="min", frequency=1
    )
    history = fit(
        model,
        images,
        best,
        validation_data=images,
        validation_freq=2,
        epochs=5,
    )
    for k in (0, 1):
        values = history[f"val_g_loss_{k}"]
        assert len(values) == 2
        assert best.best[k].value == min(values)
        assert best.best[k].epoch == 2 * values.index(min(values)) + 2
    best = BestLevel(None, monitor="val_g_loss_{level}", mode="min")
    with pytest.warns(UserWarning, match="chose nothing: no epoch's log had"):
        fit(model, images, best, epochs=1)


def test_a_save_that_fails_half_way_keeps_the_best_before(
    tiny, tmp_path, monkeypatch
):
    images = tiny.images(8)
    model = compiled(tiny, sizes=(8,))
    fit(model, images, Entry((1,)), choose(folder=tmp_path), epochs=1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fails(path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model.level(0), "save_weights", fails)
    with pytest.raises(SaveError, match="No space left on device"):
        fit(model, images, Entry((2,)), choose(folder=tmp_path), epochs=1)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


# === Mistakes ===


def test_an_entry_that_nobody_logs(tiny):
    images = tiny.images(8)
    model = compiled(tiny, sizes=(8,))
    best = BestLevel(None, monitor="diversity_{level}", mode="max")
    with pytest.raises(ValueError, match="no 'diversity_0'.*comes before"):
        fit(model, images, best, epochs=1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"frequency": 0}, "Received: frequency=0"),
        ({"draws": 1.5}, "Received: draws=1.5"),
        ({"count": 9}, "8 pictures, count=9"),
        ({"mode": "best"}, "Received: mode='best'"),
        ({"monitor": "g_loss_{level}"}, "Received: mode=None, monitor="),
        ({"monitor": "g_loss", "mode": "min"}, "level left open.*'g_loss'"),
    ],
)
def test_bad_arguments(tiny, arguments, message):
    with pytest.raises(ValueError, match=message):
        BestLevel(tiny.images(8), **{"count": 4, **arguments})


def test_slots_are_found_by_place():
    a, b = (keras.Variable(np.zeros(n), name="same") for n in (2, 3))
    for optimizer in (
        keras.optimizers.Adam(),
        keras.optimizers.SGD(momentum=0.5),
        keras.optimizers.SGD(),
        keras.optimizers.Adagrad(),
    ):
        optimizer.build([a, b])
        slots = best_level._slots(optimizer, [b])
        # But for the step's number and the learning rate.
        assert 2 * len(slots) == len(optimizer.variables) - 2
        assert all(tuple(slot.shape) == (3,) for slot in slots)
