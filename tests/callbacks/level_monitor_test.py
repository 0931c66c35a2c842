import json
import math

import keras
import numpy as np
import pytest

from keras_lapgan.callbacks import LevelMonitor
from keras_lapgan.callbacks import level_monitor
from keras_lapgan.callbacks.best_level import LevelState
from keras_lapgan.callbacks.best_level import draw_bands
from keras_lapgan.callbacks.best_level import held_out_bands
from keras_lapgan.callbacks.level_monitor import COLLAPSES
from keras_lapgan.callbacks.level_monitor import DIVERGES
from keras_lapgan.callbacks.level_monitor import IGNORES_NOISE
from keras_lapgan.callbacks.level_monitor import SATURATES

SGD = keras.optimizers.SGD


def adam(rate):
    return keras.optimizers.Adam(rate, beta_1=0.5)


class Then(keras.callbacks.Callback):
    """Calls a function of the model after an epoch (from 1)."""

    def __init__(self, epoch, function):
        super().__init__()
        self.epoch = epoch
        self.function = function

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            self.function(self.model)


@pytest.fixture
def lively(tiny):
    """Makes a model whose fresh bands differ as much as real ones."""

    def lively(**kwargs):
        model = tiny.model(**kwargs)
        size = model.sizes[0][0]
        labels = tiny.labels(8) if model.num_classes else None
        real = held_out_bands(model, tiny.images(8, size=size), labels, 8)
        for level in model.levels:
            for variable in level.generator.weights:
                if len(variable.shape) > 1:
                    variable.assign(6 * keras.ops.convert_to_tensor(variable))
            band, *given, _ = real[level.index]
            noise = level.noise.draw(8, 0, level.index)
            drawn = draw_bands(level.generator, noise, *given)
            output = level.generator.get_layer("output")
            kernel = keras.ops.convert_to_tensor(output.kernel)
            output.kernel.assign(kernel * float(band.std() / drawn.std()))
        return model

    return lively


def fit(model, images, *callbacks, epochs, labels=None):
    sizes = {"batch_size": 8} if isinstance(images, np.ndarray) else {}
    return model.fit(
        images,
        labels,
        epochs=epochs,
        verbose=0,
        callbacks=list(callbacks),
        **sizes,
    ).history


def watch(images, **kwargs):
    told = []
    kwargs = {"count": 8, "warm_up": 4, "report": told.append, **kwargs}
    return LevelMonitor(images, **kwargs), told


def silence(k):
    """Makes a level deaf to its inputs: it draws the same each time."""

    def function(model):
        for variable in model.level(k).generator.weights:
            if len(variable.shape) > 1:
                variable.assign(np.zeros(variable.shape))

    return function


def kinds(monitor):
    return [(t.level, t.kind) for t in monitor.troubles]


# === Figures ===


def test_a_healthy_run_has_figures_and_no_troubles(tiny, lively):
    images = tiny.images(64)
    model = lively(num_classes=3)
    model.compile(adam(1e-4), adam(1e-4), **tiny.compiled)
    labels = tiny.labels(64)
    monitor, told = watch(images, labels=labels, count=16)
    history = fit(model, images, monitor, epochs=3, labels=labels)
    assert told == monitor.troubles == []
    for k in (0, 1):
        for name in ("diversity", "band_std"):
            values = history[f"{name}_{k}"]
            assert len(values) == 3 and all(0.05 < x < 4 for x in values)
    assert all(0.05 < x < 2 for x in history["noise_effect_0"])
    assert "noise_effect_1" not in history


def test_figures_of_bands_that_are_known(tiny):
    images = tiny.images(8)
    model = tiny.model()
    monitor, _ = watch(images)
    monitor.set_model(model)
    monitor.on_train_begin()
    band = monitor._held_out[1].band
    np.testing.assert_allclose(
        band,
        keras.ops.convert_to_numpy(
            model.bands(images, None, training=False)[1].band
        ),
        atol=1e-6,
    )
    pairs = [
        math.dist(band[i].ravel(), band[j].ravel())
        for i in range(8)
        for j in range(8)
        if i != j
    ]
    assert level_monitor._spread(band) == pytest.approx(np.mean(pairs))
    silence(1)(model)
    figures = monitor._figures()[1]
    assert figures["diversity"] == pytest.approx(0, abs=1e-6)
    # Twice as much noise changes twice as much of a linear generator.
    found = []
    output = model.level(0).generator.get_layer("output")
    for scale in (1, 2):
        output.kernel.assign(scale * keras.ops.convert_to_tensor(output.kernel))
        found.append(monitor._figures()[0])
    assert found[1]["band_std"] == pytest.approx(
        2 * found[0]["band_std"], rel=1e-4
    )
    assert found[1]["noise_effect"] == pytest.approx(
        found[0]["noise_effect"], rel=1e-4
    )


def test_checks_at_a_frequency_and_logs_every_epoch(tiny):
    model = tiny.model(sizes=(4,))
    model.compile(adam(1e-2), adam(1e-2), **tiny.compiled)
    monitor, _ = watch(tiny.images(8, size=4), frequency=3)
    history = fit(model, tiny.images(8, size=4), monitor, epochs=5)
    a, b, c, d, e = history["band_std_0"]
    assert a == b != c == d != e


def test_levels_that_are_not_trained_are_not_watched(tiny):
    images = tiny.images(8)
    model = tiny.model()
    model.compile(levels=(1,), **tiny.compiled)
    monitor, _ = watch(images)
    history = fit(model, images, monitor, epochs=1)
    assert "diversity_1" in history and "diversity_0" not in history


def test_pictures_that_are_all_the_same_tell_nothing(tiny):
    images = np.full((8, 4, 4, 3), 7, "uint8")
    model = tiny.model(sizes=(4,))
    model.compile(**tiny.compiled)
    monitor, told = watch(images)
    history = fit(model, images, monitor, epochs=2)
    assert "diversity_0" not in history and told == []


# === Provoked failures ===


def test_a_collapse_is_told_once_until_it_is_over(tiny, lively):
    images = tiny.images(32)
    model = lively()
    model.compile(SGD(0.0), SGD(0.0), **tiny.compiled)
    healthy = tiny.arrays(model.level(1).generator)
    monitor, told = watch(images)
    fit(
        model,
        images,
        monitor,
        Then(2, silence(1)),
        Then(4, lambda m: m.level(1).generator.set_weights(healthy)),
        Then(5, silence(1)),
        epochs=7,
    )
    assert [t[:3] for t in monitor.troubles] == [
        (3, 1, COLLAPSES),
        (6, 1, COLLAPSES),
    ]
    assert told[0].startswith(
        "epoch 3: level 1 (4x4) collapses: its bands differ by 0.0% of what "
        "real ones do"
    )
    assert "lower learning rate of its generator" in told[0]
    assert not model.stop_training and monitor.stopped is None


def test_a_generator_that_learns_far_too_fast_collapses(tiny, lively):
    images = tiny.images(64)
    model = lively(sizes=(8, 4))
    model.compile(adam(1e-3), adam(0.3), **tiny.compiled)
    monitor, _ = watch(images, count=16)
    fit(model, images, monitor, epochs=6)
    assert {(0, COLLAPSES), (1, COLLAPSES)} & set(kinds(monitor))


def test_a_level_that_has_not_come_to_life_has_time(tiny):
    images = tiny.images(8, size=4)
    model = tiny.model(sizes=(4,))
    model.compile(SGD(0.0), SGD(0.0), **tiny.compiled)
    monitor, _ = watch(images)
    history = fit(model, images, monitor, epochs=41)
    assert history["diversity_0"][0] < level_monitor.LEAST_DIVERSITY
    assert [t[:3] for t in monitor.troubles] == [(40, 0, COLLAPSES)]


def test_a_discriminator_that_wins_saturates(tiny):
    images = tiny.images(64)
    model = tiny.model()
    model.compile(adam(0.03), SGD(0.0), **tiny.compiled)
    monitor, told = watch(images)
    fit(model, images, monitor, epochs=12)
    assert (1, SATURATES) in kinds(monitor)
    text = next(t for t in told if SATURATES in t)
    assert "level 1 (4x4) saturates: its discriminator is right" in text
    assert "the generator's gradient is" in text


def test_a_generator_without_gradient_saturates(tiny):
    monitor, _ = watch(tiny.images(8))
    monitor.set_model(tiny.model())
    monitor.model.optimizer.iterations.assign(100)
    logs = {"d_accuracy_0": 1.0, "logit_gap_0": 1.0}
    for _ in range(5):
        found = monitor._judge(0, {}, {**logs, "g_gradient_norm_0": 1.0})
        assert found == {}
    found = monitor._judge(0, {}, {**logs, "g_gradient_norm_0": 1e-3})
    assert list(found) == [SATURATES]
    logs["d_accuracy_0"] = 0.9
    assert monitor._judge(0, {}, {**logs, "g_gradient_norm_0": 1e-3}) == {}


def test_a_divergence(tiny):
    images = tiny.images(16)
    model = tiny.model()
    model.compile(SGD(1e-3), [SGD(1e7), SGD(1e-3)], **tiny.compiled)
    monitor, told = watch(images)
    fit(model, images, monitor, epochs=5)
    assert kinds(monitor)[0] == (0, DIVERGES)
    assert all(level == 0 for level, _ in kinds(monitor))
    assert "level 0 (8x8) diverges" in told[0]
    assert "times the real standard deviation" in told[0] or (
        "not finite" in told[0]
    )


def test_a_gradient_that_explodes(tiny):
    monitor, _ = watch(tiny.images(8))
    monitor.set_model(tiny.model())
    for norm in (1.0, 2.0, 3.0, 2.0, 1.0):
        assert monitor._judge(0, {}, {"d_gradient_norm_0": norm}) == {}
    found = monitor._judge(0, {}, {"d_gradient_norm_0": 41.0})
    assert "d_gradient_norm_0 is 41, its median 2." in found[DIVERGES]
    # One that begins to learn.
    for norm in (1e-5, 1e-5, 1e-5, 1e-4, 1e-3, 1.0):
        assert monitor._judge(1, {}, {"d_gradient_norm_1": norm}) == {}


def test_noise_that_does_nothing_is_told_once(tiny, lively):
    images = tiny.images(32, size=12)
    model = lively(sizes=(12, 4), filters=8)
    model.compile(SGD(0.0), SGD(0.0), **tiny.compiled)

    def deafen(model):
        # The first of the input's planes.
        kernel = model.level(0).generator.weights[0]
        values = np.array(keras.ops.convert_to_numpy(kernel))
        values[:, :, 0] = 0
        kernel.assign(values)

    # Ten times the warm-up is 4 steps, an epoch.
    monitor, told = watch(images, warm_up=1, action="stop")
    fit(model, images, monitor, Then(4, deafen), epochs=7)
    assert (0, IGNORES_NOISE) in kinds(monitor) and len(told) == 1
    assert "level 0 (12x12) ignores its noise: noise changes 0.0%" in told[0]
    assert monitor.stopped is None


# === What is done ===


def test_stop_stops(tiny, lively):
    images = tiny.images(32)
    model = lively()
    model.compile(SGD(0.0), SGD(0.0), **tiny.compiled)
    monitor, told = watch(images, action="stop")
    history = fit(model, images, monitor, Then(2, silence(0)), epochs=9)
    assert len(history["d_loss"]) == 3
    assert monitor.stopped == "epoch 3: level 0 (8x8) collapses"
    assert told[-1] == f"{monitor.stopped}. Training ends here."


def test_restore_puts_back_what_was_healthy_bit_for_bit(tiny, lively):
    images = tiny.images(32)
    model = lively()
    model.compile(adam(1e-4), adam(1e-4), **tiny.compiled)
    monitor, told = watch(images, action="restore")
    kept = {}

    def remember(model):
        for k in (0, 1):
            state = LevelState(model.level(k), model.level_optimizers(k))
            kept[k] = state._values

    after = {}

    def compare(model):
        for k in (0, 1):
            state = LevelState(model.level(k), model.level_optimizers(k))
            after[k] = state._values

    fit(
        model,
        images,
        monitor,
        Then(2, remember),
        Then(2, silence(1)),
        Then(3, compare),
        epochs=5,
    )
    assert kinds(monitor) == [(1, COLLAPSES)]
    assert told[-1] == (
        "epoch 3: level 1 (4x4) is put back to epoch 2 (1 of at most 3 times)."
    )
    assert tiny.same(after[1], kept[1])
    # Both networks, the average and its count, two slots a weight.
    level = model.level(1)
    slots = 2 * len(level.trainable_variables)
    assert len(after[1]) == len(level.weights) + slots
    assert not tiny.same(after[0], kept[0])
    # It learns on from there: on JAX, the trainer took the weights over.
    now = LevelState(level, model.level_optimizers(1))._values
    assert not tiny.same(now, after[1])
    for a, b in zip(now, after[1], strict=True):
        assert np.abs(a - b).max() < 0.1 or a.ndim == 0
    assert not model.stop_training


def test_restore_of_a_level_that_is_not_finite(tiny, lively):
    images = tiny.images(32)
    model = lively()
    model.compile(adam(1e-4), adam(1e-4), **tiny.compiled)

    def spoil(model):
        bias = model.level(0).generator.get_layer("output").bias
        bias.assign(np.full(bias.shape, np.nan))

    monitor, told = watch(images, action="restore")
    history = fit(model, images, monitor, Then(2, spoil), epochs=4)
    assert kinds(monitor) == [(0, DIVERGES)]
    assert "are not finite. Its weights are lost" in told[0]
    assert np.isfinite([v for vs in history.values() for v in vs]).all()
    assert history["diversity_0"][2] == history["diversity_0"][1]
    assert all(np.isfinite(w).all() for w in tiny.arrays(model))


def test_between_checks_losses_that_are_not_finite_are_seen(tiny, lively):
    images = tiny.images(32)
    model = lively()
    model.compile(adam(1e-4), adam(1e-4), **tiny.compiled)

    def spoil(model):
        bias = model.level(0).generator.get_layer("output").bias
        bias.assign(np.full(bias.shape, np.nan))

    monitor, told = watch(images, action="restore", frequency=10)
    history = fit(model, images, monitor, Then(2, spoil), epochs=4)
    assert kinds(monitor) == [(0, DIVERGES)]
    assert "level 0 (8x8) is put back to epoch 1 (1 of" in told[-1]
    assert np.isfinite([v for vs in history.values() for v in vs]).all()


def test_a_run_that_goes_on_is_put_back_to_where_it_began(tiny, lively):
    images = tiny.images(32)
    model = lively()
    model.compile(adam(1e-4), adam(1e-4), **tiny.compiled)
    fit(model, images, epochs=2)
    before = tiny.arrays(model.level(0))

    def spoil(model):
        bias = model.level(0).generator.get_layer("output").bias
        bias.assign(np.full(bias.shape, np.nan))

    monitor, told = watch(images, action="restore")
    fit(model, images, Then(1, spoil), monitor, epochs=1)
    assert "level 0 (8x8) is put back to where training began" in told[-1]
    assert tiny.same(tiny.arrays(model.level(0)), before)


def test_another_model_is_watched_afresh(tiny, lively):
    monitor, _ = watch(tiny.images(32), action="restore")
    for sizes in ((8, 4), (8,)):
        model = lively(sizes=sizes)
        model.compile(adam(1e-4), adam(1e-4), **tiny.compiled)
        history = fit(model, tiny.images(32), monitor, epochs=1)
        assert ("diversity_1" in history) == (len(sizes) == 2)
        assert list(monitor._healthy) == list(range(len(sizes)))


def test_restore_gives_up(tiny, lively):
    model = lively(sizes=(4,))
    model.compile(SGD(0.0), SGD(0.0), **tiny.compiled)

    class Always(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch >= 2:
                silence(0)(self.model)

    small = tiny.images(16, size=4)
    monitor, told = watch(small, action="restore")
    healthy = tiny.arrays(model.level(0).generator)
    history = fit(model, small, monitor, Always(), epochs=20)
    assert len(history["d_loss"]) == 6
    assert monitor.stopped == (
        "epoch 6: level 0 (4x4) collapses after it was put back 3 times; it "
        "has the weights of epoch 2"
    )
    assert tiny.same(tiny.arrays(model.level(0).generator), healthy)


@pytest.mark.parametrize("action", ["warn", "restore"])
def test_a_resumed_run_remembers(tiny, lively, action):
    class Always(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch >= 2:
                silence(0)(self.model)

    def run(parts):
        model = lively(sizes=(4,))
        model.compile(SGD(0.0), SGD(0.0), **tiny.compiled)
        images = tiny.images(16, size=4)
        told, state = [], None
        for first, last in parts:
            monitor, heard = watch(images, action=action)
            monitor.go_on(json.loads(json.dumps(state)))
            model.fit(
                images,
                batch_size=8,
                initial_epoch=first,
                epochs=last,
                verbose=0,
                callbacks=[monitor, Always()],
            )
            told += heard
            state = monitor.state()
        return told, {**state, "healthy": [x[:2] for x in state["healthy"]]}

    told, state = run([(0, 8)])
    assert run([(0, 4), (4, 8)]) == (told, state)
    if action == "warn":
        # Once, and not again.
        assert len(told) == 1
        assert state["told"] == [(0, COLLAPSES)]
        assert [len(x) for *_, x in state["history"]] == [8, 8]
    else:
        assert told[-1].endswith(
            "after it was put back 3 times; it has the weights of epoch 2. "
            "Training ends here."
        )
        assert state["restores"] == [(0, 3)]


def test_restore_with_nothing_healthy(tiny):
    images = tiny.images(8, size=4)
    model = tiny.model(sizes=(4,))
    model.compile(SGD(0.0), SGD(1e9), **tiny.compiled)
    monitor, _ = watch(images, action="restore")
    fit(model, images, monitor, epochs=3)
    assert "level 0 (4x4) diverges, and no check of it was" in monitor.stopped


def test_messages_go_to_stderr(tiny, capsys):
    images = tiny.images(8)
    monitor = LevelMonitor(images, count=2)
    monitor.report("one line")
    assert capsys.readouterr().err == "one line\n"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"count": 1}, "at least 2.*Received: count=1"),
        ({"count": 9}, "at least `count`.*8 pictures, count=9"),
        ({"frequency": 0}, "Received: frequency=0"),
        ({"action": "panic"}, "'restore'. Received: action='panic'"),
    ],
)
def test_bad_arguments(tiny, arguments, message):
    with pytest.raises(ValueError, match=message):
        LevelMonitor(tiny.images(8), **{"count": 4, **arguments})


def test_bad_pictures(tiny):
    with pytest.raises(ValueError, match="uint8 array.*dtype=float32"):
        LevelMonitor(tiny.images(8).astype("float32"))
    monitor, _ = watch(tiny.images(8))
    monitor.set_model(tiny.model(num_classes=3))
    with pytest.raises(ValueError, match="give `labels`.*no labels"):
        monitor.on_train_begin()


# === Real data ===


@pytest.mark.slow
def test_a_collapse_on_cifar10_is_caught_within_two_checks():
    pytest.importorskip("tensorflow_datasets")
    import os

    if "TFDS_DATA_DIR" not in os.environ:
        pytest.skip("needs TFDS_DATA_DIR with cifar10")
    from keras_lapgan import LAPGAN
    from keras_lapgan import datasets

    train = datasets.load_images("cifar10", "train[:2000]", size=32)
    test = datasets.load_images("cifar10", "test[:256]", size=32)
    keras.utils.set_random_seed(0)
    model = LAPGAN.from_preset("lapgan_cifar10_small", load_weights=False)
    batches = datasets.ImageBatches(train, 32, steps=30, with_labels=False)

    def hurry(model):
        # A hundred times too fast.
        _, optimizer = model.level_optimizers(1)
        optimizer.learning_rate = 100 * float(optimizer.learning_rate)

    monitor, told = watch(test.read(range(256)), count=64, warm_up=100)
    history = fit(model, batches, monitor, Then(6, hurry), epochs=8)
    # Its gradient may explode on the way.
    assert {t.level for t in monitor.troubles} == {1}, history
    assert COLLAPSES in [t.kind for t in monitor.troubles], history
    assert {t.epoch for t in monitor.troubles} <= {7, 8}
    assert len(told) == len(monitor.troubles)


def test_a_level_alone_is_refused_at_once(tiny):
    from keras_lapgan.callbacks import BestLevel
    from keras_lapgan.callbacks import TensorBoard

    level = tiny.level(8)
    level.compile(**tiny.quick)
    bands = tiny.images(16).astype("float32") / 128 - 1
    images = tiny.images(64)
    for callback in (LevelMonitor(images), BestLevel(images), TensorBoard()):
        with pytest.raises(ValueError, match="is for a `LAPGAN`.*LAPGANLevel"):
            level.fit(bands, callbacks=[callback], verbose=0)
