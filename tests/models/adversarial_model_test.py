import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan import LAPGAN
from keras_lapgan.layers.randomness import StepRandom
from keras_lapgan.models.adversarial_model import Bands
from keras_lapgan.training.damped_sgd import DampedSGD
from keras_lapgan.training.objectives import OBJECTIVES

SGD = keras.optimizers.SGD
SHARED = SGD()
ROLES = ("generator", "discriminator", "ema_generator")


def networks(tiny, model, k):
    """The arrays of level `k` by role."""
    return {role: tiny.arrays(getattr(model.level(k), role)) for role in ROLES}


def learned(model, k, role):
    variables = getattr(model.level(k), role).trainable_variables
    return [ops.convert_to_numpy(v) for v in variables]


# === Who moves whom ===


@pytest.mark.parametrize("moving", ["discriminator", "generator"])
def test_a_step_moves_one_network_and_leaves_the_other(tiny, moving):
    rates = {"discriminator": 0.0, "generator": 0.0, moving: 0.1}
    model = tiny.model()
    model.compile(
        SGD(rates["discriminator"]), SGD(rates["generator"]), **tiny.quick
    )
    before = [networks(tiny, model, k) for k in range(2)]
    tiny.steps(model, tiny.images(), count=2)
    still = ({"discriminator", "generator"} - {moving}).pop()
    for k in range(2):
        after = networks(tiny, model, k)
        assert tiny.same(after[still], before[k][still])
        assert not tiny.same(after[moving], before[k][moving])
        moved = tiny.same(after["ema_generator"], before[k]["ema_generator"])
        assert moved == (moving == "discriminator")


def test_every_weight_learns(tiny):
    model = tiny.model(num_classes=3)
    model.compile("adam", "adam", **tiny.quick)
    before = [[learned(model, k, r) for r in ROLES[:2]] for k in range(2)]
    tiny.steps(model, tiny.images(), tiny.labels(), count=2)
    for k in range(2):
        for role, arrays in zip(ROLES, before[k], strict=False):
            for a, b in zip(learned(model, k, role), arrays, strict=True):
                assert not np.array_equal(a, b), (k, role, a.shape)


def test_levels_that_are_not_asked_for_stay(tiny):
    model = tiny.model(sizes=(16, 8, 4))
    model.compile("adam", "adam", levels=(1,), **tiny.quick)
    before = [networks(tiny, model, k) for k in range(3)]
    history = tiny.steps(model, tiny.images(size=16), count=2)
    for k in range(3):
        after = networks(tiny, model, k)
        for role in ROLES:
            assert tiny.same(after[role], before[k][role]) == (k != 1)
    assert set(history.history) == {
        "d_loss",
        "g_loss",
        "d_loss_1",
        "g_loss_1",
        "d_accuracy_1",
        "logit_gap_1",
        "d_gradient_norm_1",
        "g_gradient_norm_1",
    }


def test_one_by_one_is_together(tiny):
    images = tiny.images(24, size=10)
    together, alone = (tiny.model(source_size=10, flip=True) for _ in range(2))
    together.compile(seed=5, **tiny.quick)
    tiny.steps(together, images, count=3)
    for k in (1, 0):
        alone.compile(levels=[k], seed=5, **tiny.quick)
        tiny.steps(alone, images, count=3)
    for k in range(2):
        for role in ROLES:
            for a, b in zip(
                learned(together, k, role), learned(alone, k, role), strict=True
            ):
                np.testing.assert_allclose(a, b, atol=1e-6)
    assert not tiny.same(
        learned(together, 0, "generator"), learned(tiny.model(), 0, "generator")
    )


def test_the_seed_decides(tiny):
    results = []
    for seed in (1, 1, 2):
        model = tiny.model((4,))
        model.compile(seed=seed, **tiny.quick)
        tiny.steps(model, tiny.images(size=4), count=1)
        results.append(learned(model, 0, "discriminator"))
    assert tiny.same(results[0], results[1])
    assert not tiny.same(results[0], results[2])


def test_the_discriminator_looks_at_the_condition(tiny):
    level = tiny.model(sizes=(9, 4), filters=4).level(0)
    band = np.random.default_rng(0).normal(size=(3, 9, 9, 3))
    band = band.astype("float32")
    zero = ops.convert_to_numpy(level.score(band, 0 * band))
    assert zero.shape == (3, 1)
    other = ops.convert_to_numpy(level.score(band, 0 * band + 0.5))
    assert (zero != other).all()


def test_frozen_networks_stay(tiny):
    model = tiny.model(sizes=(4,))
    model.level(0).discriminator.trainable = False
    model.compile("adam", "adam", **tiny.quick)
    before = networks(tiny, model, 0)
    tiny.steps(model, tiny.images(size=4), count=1)
    after = networks(tiny, model, 0)
    assert tiny.same(after["discriminator"], before["discriminator"])
    assert not tiny.same(after["generator"], before["generator"])


def test_a_frozen_generator_keeps_its_average(tiny):
    model = tiny.model(sizes=(4,))
    model.compile(SGD(0.1), SGD(0.1), **tiny.quick)
    tiny.steps(model, tiny.images(size=4), count=2)
    model.level(0).generator.trainable = False
    model.compile(SGD(0.1), SGD(0.1), **tiny.quick)
    before = networks(tiny, model, 0)
    assert not tiny.same(before["ema_generator"], before["generator"])
    tiny.steps(model, tiny.images(size=4), count=1)
    after = networks(tiny, model, 0)
    assert tiny.same(after["ema_generator"], before["ema_generator"])


def test_freezing_and_thawing_leaves_the_average_frozen(tiny, tmp_path):
    model = tiny.model(sizes=(4,))
    model.trainable = False
    model.trainable = True
    assert not model.level(0).ema_generator.trainable_variables
    tiny.steps(model, tiny.images(size=4), count=1)
    model.level(0).generator.trainable = False
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert not loaded.level(0).generator.trainable_variables
    tiny.steps(loaded, tiny.images(size=4), count=1)


def test_training_on_keeps_a_trained_average(tiny):
    model = tiny.model(sizes=(4,))
    model.level(0).averaged_steps.assign(100_000)
    average = tiny.arrays(model.level(0).ema_generator)
    model.compile("sgd", SGD(1.0), ema_decay=0.9, **tiny.quick)
    tiny.steps(model, tiny.images(size=4), count=1)
    raw = tiny.arrays(model.level(0).generator)
    found = tiny.arrays(model.level(0).ema_generator)
    for a, r, f in zip(average, raw, found, strict=True):
        np.testing.assert_allclose(f, 0.9 * a + 0.1 * r, atol=1e-6)
    assert float(model.level(0).averaged_steps) == 100_001


# === The formula of a step ===


def test_first_d_step_by_hand(tiny):
    """Half real, half generated; one mean; the undamped first step."""
    model = tiny.model(sizes=(4,))
    level = model.level(0)
    # So that D's gradient does not depend on noise or masks: G is constant,
    # and D is linear, its hidden layers being out of play.
    constant = level.generator.get_layer("output")
    constant.kernel.assign(np.zeros(constant.kernel.shape))
    constant.bias.assign(np.full(constant.bias.shape, 0.25))
    output = level.discriminator.get_layer("output")
    output.kernel.assign(np.zeros(output.kernel.shape))
    output.bias.assign([0.7])
    model.compile(DampedSGD(0.1), DampedSGD(0.0), **tiny.quick)
    history = tiny.steps(model, tiny.images(8, size=4), count=1).history
    # All logits are 0.7.
    d_loss = (np.log1p(np.exp(-0.7)) + np.log1p(np.exp(0.7))) / 2
    assert history["d_loss"][0] == pytest.approx(d_loss, rel=1e-5)
    assert history["d_accuracy_0"][0] == 0.5
    sigmoid = 1 / (1 + np.exp(-0.7))
    gradient = (-(1 - sigmoid) + sigmoid) / 2
    bias = float(ops.convert_to_numpy(output.bias)[0])
    assert bias == pytest.approx(0.7 - 0.1 * gradient, rel=1e-5)
    # G's turn comes after D's step.
    g_loss = np.log1p(np.exp(-bias))
    assert history["g_loss"][0] == pytest.approx(g_loss, rel=1e-4)


def test_steps_count(tiny):
    model = tiny.model()
    model.compile(**tiny.quick)
    tiny.steps(model, tiny.images(), count=3)
    optimizers = [model.optimizer, *model.optimizer.optimizers]
    assert [int(o.iterations) for o in optimizers] == [3, 3, 3]


def test_an_optimizer_for_each_level(tiny):
    model = tiny.model()
    model.compile([SGD(0.0), SGD(0.1)], [SGD(0.1), SGD(0.0)], **tiny.quick)
    before = [networks(tiny, model, k) for k in range(2)]
    tiny.steps(model, tiny.images())
    for k, still in enumerate(("discriminator", "generator")):
        after = networks(tiny, model, k)
        for role in ("discriminator", "generator"):
            same = tiny.same(after[role], before[k][role])
            assert same == (role == still)
    config = model.get_compile_config()
    rates = [one["config"]["learning_rate"] for one in config["d_optimizer"]]
    assert rates == pytest.approx([0.0, 0.1])
    with pytest.raises(
        ValueError, match="`d_optimizer` must be one.*list of 2"
    ):
        model.compile([SGD()], "sgd")


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.999])
def test_ema_decay(tiny, decay):
    model = tiny.model(sizes=(4,))
    model.compile("sgd", SGD(1.0), ema_decay=decay, **tiny.quick)
    average = tiny.arrays(model.level(0).ema_generator)
    for t in range(3):
        model.train_on_batch(tiny.images(8, size=4, seed=t))
        keep = min(decay, (1 + t) / (10 + t))
        now = tiny.arrays(model.level(0).generator)
        average = [
            keep * a + (1 - keep) * b for a, b in zip(average, now, strict=True)
        ]
    found = tiny.arrays(model.level(0).ema_generator)
    for a, b in zip(found, average, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives_train(tiny, objective):
    model = tiny.model(sizes=(4,))
    model.compile(objective=objective, **tiny.quick)
    before = networks(tiny, model, 0)
    history = tiny.steps(model, tiny.images(size=4), count=1).history
    assert np.isfinite([v[0] for v in history.values()]).all()
    after = networks(tiny, model, 0)
    assert not any(tiny.same(after[role], before[role]) for role in ROLES)


def test_objectives_of_each_level(tiny):
    images = tiny.images()
    alone = {}
    for objective in ("hinge", "relativistic"):
        model = tiny.model()
        model.compile(objective=objective, **tiny.quick)
        alone[objective] = tiny.steps(model, images, count=1).history
    model = tiny.model()
    model.compile(objective=["hinge", "relativistic"], **tiny.quick)
    history = tiny.steps(model, images, count=1).history
    for name in ("d_loss", "g_loss", "d_accuracy"):
        for k, objective in enumerate(("hinge", "relativistic")):
            assert history[f"{name}_{k}"] == alone[objective][f"{name}_{k}"]


# === Gradient penalty ===


def steep_model(tiny, filters=None):
    """With discriminators without dropout, whose slopes can be measured."""
    model = tiny.model((9, 4), filters=filters)
    for level in model.levels:
        for layer in level.discriminator.layers:
            if layer.name.startswith("dropout"):
                layer.rate = 0.0
            elif layer.name.startswith(("dense", "output")):
                layer.kernel.assign(20 * ops.convert_to_tensor(layer.kernel))
    return model


def penalty_of(tiny, model, **compiled):
    """What a penalty of 1 adds to each level's loss."""
    losses = []
    for penalty in (0.0, 1.0):
        model.compile(SGD(0.0), SGD(0.0), gradient_penalty=penalty, **compiled)
        logs = model.train_on_batch(tiny.images(size=9), return_dict=True)
        losses.append([float(logs[f"d_loss_{k}"]) for k in range(2)])
    return np.subtract(*losses[::-1])


def test_penalty_of_a_linear_discriminator(tiny):
    # Its slope is its kernel, wherever it is taken.
    level = tiny.level(4)
    inputs = keras.Input((4, 4, 3), name="band")
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(inputs))
    kernel = np.arange(48, dtype="float32")[:, None] / 48
    linear = keras.Model({"band": inputs}, outputs)
    linear.layers[-1].kernel.assign(kernel)
    level.discriminator = linear
    random = StepRandom(0, 0)
    bands = np.random.default_rng(0).normal(size=(2, 5, 4, 4, 3))
    real, fake = (ops.convert_to_tensor(x, "float32") for x in bands)
    losses = [
        level.d_loss(
            Bands(real), fake, "hinge", random, gradient_penalty=penalty
        )[0]
        for penalty in (0.0, 0.3)
    ]
    # 0.3 / 2 times the squared norm, once for R1 and once for R2.
    assert float(losses[1] - losses[0]) == pytest.approx(
        0.3 * np.square(kernel).sum(), rel=1e-5
    )


@pytest.mark.parametrize("filters", [None, 4])
def test_penalty_is_the_slope_of_finite_differences(tiny, filters):
    model = steep_model(tiny, filters)
    level = model.level(0)
    bands = model.bands(tiny.images(4, size=9), StepRandom(0, 0), False)[0]
    size = (1, *bands.band.shape[1:])
    band, condition = (
        ops.convert_to_numpy(x)[:1] for x in (bands.band, bands.condition)
    )
    one = Bands(*map(ops.convert_to_tensor, (band, condition)))
    losses = [
        float(
            level.d_loss(
                one,
                one.band,
                "relativistic",
                StepRandom(0, 0),
                gradient_penalty=penalty,
            )[0]
        )
        for penalty in (0.0, 1.0)
    ]
    step = 2e-3
    moves = step * np.eye(band.size, dtype="float32").reshape(-1, *size[1:])
    conditions = np.repeat(condition, len(moves), axis=0)
    ahead, behind = (
        ops.convert_to_numpy(level.score(band + s * moves, conditions))
        for s in (1, -1)
    )
    slope = (ahead - behind) / (2 * step)
    assert losses[1] - losses[0] == pytest.approx(
        np.square(slope.astype("float64")).sum(), rel=1e-2
    )


def test_penalty_trains_and_flattens_the_discriminator(tiny):
    slopes = []
    for penalty in (0.0, 30.0):
        model = steep_model(tiny)
        model.compile(
            SGD(0.05),
            SGD(0.0),
            objective="relativistic",
            gradient_penalty=[0.0, penalty],
            **tiny.compiled,
        )
        tiny.steps(model, tiny.images(size=9), count=20)
        slopes.append(penalty_of(tiny, model, **tiny.quick))
    assert slopes[1][1] < 0.5 * slopes[0][1]
    assert slopes[1][0] == pytest.approx(slopes[0][0], rel=1e-4)


def test_no_penalty_in_a_test(tiny):
    model = tiny.model()
    found = []
    for penalty in (0.0, 5.0):
        model.compile(gradient_penalty=penalty, **tiny.quick)
        found.append(model.evaluate(tiny.images(), verbose=0))
    assert found[0] == found[1]


# === Logs ===


def test_logs(tiny):
    model = tiny.model()
    model.compile(**tiny.quick)
    history = tiny.steps(
        model, tiny.images(), count=2, validation_data=tiny.images(seed=1)
    ).history
    trained = {name for name in history if not name.startswith("val_")}
    # A test has no gradients.
    norms = {name for name in trained if "gradient_norm" in name}
    assert len(norms) == 4
    assert trained - norms == {
        name[4:] for name in history if name.startswith("val_")
    }
    for name in ("d_loss", "g_loss", "val_d_loss", "val_g_loss"):
        mean = (history[f"{name}_0"][0] + history[f"{name}_1"][0]) / 2
        assert history[name][0] == pytest.approx(mean, rel=1e-5)
    assert 0 <= history["d_accuracy_0"][0] <= 1


def test_gradient_norms_are_what_a_step_moves(tiny):
    model = tiny.model()
    model.compile(SGD(0.5), SGD(0.25), **tiny.quick)
    before = [[learned(model, k, role) for role in ROLES[:2]] for k in range(2)]
    history = tiny.steps(model, tiny.images(), count=1).history
    for k in range(2):
        for role, arrays in zip(ROLES, before[k], strict=False):
            rate = {"generator": 0.25, "discriminator": 0.5}[role]
            squares = sum(
                np.square((b - a).astype("float64")).sum()
                for a, b in zip(learned(model, k, role), arrays, strict=True)
            )
            norm = history[f"{role[0]}_gradient_norm_{k}"][0]
            assert norm == pytest.approx(np.sqrt(squares) / rate, rel=1e-2)
            assert norm > 0


def test_logit_gap_by_hand(tiny):
    model = tiny.model(sizes=(4,))
    model.compile(SGD(0.0), SGD(0.0), **tiny.quick)
    images = tiny.images(8, size=4)
    found = model.evaluate(images, verbose=0, return_dict=True)
    # Alone among the losses, it is linear in D's last layer.
    output = model.level(0).discriminator.get_layer("output")
    output.kernel.assign(3 * ops.convert_to_tensor(output.kernel))
    output.bias.assign([7.0])
    again = model.evaluate(images, verbose=0, return_dict=True)
    gap = found["logit_gap_0"]
    assert gap != 0
    assert again["logit_gap_0"] == pytest.approx(3 * gap, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("frozen", ROLES[:2])
def test_a_frozen_network_has_no_gradient(tiny, frozen):
    model = tiny.model()
    getattr(model.level(0), frozen).trainable = False
    model.compile(**tiny.quick)
    history = tiny.steps(model, tiny.images(), count=2).history
    norms = {
        (role, k): history[f"{role[0]}_gradient_norm_{k}"][0]
        for role in ROLES[:2]
        for k in range(2)
    }
    assert norms.pop((frozen, 0)) == 0
    assert all(norm > 0 for norm in norms.values())


def test_evaluate_changes_nothing_and_repeats(tiny):
    model = tiny.model(source_size=10)
    model.compile(**tiny.quick)
    tiny.steps(model, tiny.images(size=10), count=1)
    before = tiny.arrays(model)
    optimizer = [ops.convert_to_numpy(v) for v in model.optimizer.variables]
    images = tiny.images(size=10, seed=1)
    first, second = (
        model.evaluate(images, batch_size=8, verbose=0, return_dict=True)
        for _ in range(2)
    )
    assert first == second and first["d_loss"] > 0
    assert tiny.same(tiny.arrays(model), before)
    assert tiny.same(
        [ops.convert_to_numpy(v) for v in model.optimizer.variables], optimizer
    )


# === In the chain ===


def chained(tiny, share, count=8, **kwargs):
    """A model of three levels, and the bands of its first step."""
    model = tiny.model(sizes=(16, 8, 4), **kwargs)
    for level in model.levels:
        # The paper's dense generator begins with next to no band.
        for weight in level.ema_generator.weights:
            weight.assign(weight * 20)
    model.compile(chained=share, seed=3, **tiny.quick)
    random = StepRandom(3, 0).at("data")
    data = tiny.images(count, size=16)
    if kwargs.get("num_classes"):
        data = data, tiny.labels(count)
    return model, model.bands(data, random, training=True)


def test_what_chained_bands_are_drawn_on_is_what_the_averages_draw(tiny):
    model, bands = chained(tiny, 1.0, num_classes=3)
    noise = [
        level.noise(
            bands[k].band, random=StepRandom(3, 0).at(f"data/chain/level_{k}")
        )
        for k, level in enumerate(model.levels)
    ]
    labels = bands[0].labels
    assert bands[2].drawn_condition is None
    coarsest = model.level(2).sample_band(None, labels, noise[2])
    given = model.pyramid.condition(coarsest, 1)
    middle = given + model.level(1).sample_band(given, labels, noise[1])
    for k, wanted in ((1, given), (0, model.pyramid.condition(middle, 0))):
        found = ops.convert_to_numpy(bands[k].drawn_condition)
        np.testing.assert_allclose(
            found, ops.convert_to_numpy(wanted), atol=1e-5
        )
        real = ops.convert_to_numpy(bands[k].condition)
        assert np.abs(found - real).max() > 0.1


def test_the_share_that_is_chained(tiny):
    _, bands = chained(tiny, 0.25, count=256)
    for k in (0, 1):
        found = ops.convert_to_numpy(bands[k].drawn_condition)
        real = ops.convert_to_numpy(bands[k].condition)
        is_real = (found == real).all(axis=(1, 2, 3))
        assert (found == real).any(axis=(1, 2, 3)).tolist() == is_real.tolist()
        assert 0.15 < 1 - is_real.mean() < 0.35


@pytest.mark.parametrize("objective", ["non_saturating", "relativistic"])
def test_losses_of_chained_bands(tiny, objective):
    """Real bands on what is real, generated ones on what was drawn."""
    model, bands = chained(tiny, 1.0)
    random, batch, level = StepRandom(0, 0), bands[0], model.level(0)
    fake = level.generated(batch, random)
    given = batch.drawn_condition
    as_real = level.generated(Bands(batch.band, given), random)
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, (fake, as_real)))
    scores = [
        level.score(batch.band, batch.condition),
        level.score(fake, given),
    ]
    losses = OBJECTIVES[objective]
    d_loss, _ = level.d_loss(batch, fake, objective, random, training=False)
    g_loss, _ = level.g_loss(batch, objective, random, training=False)
    for found, wanted in (
        (d_loss, losses.discriminator(*scores)),
        (g_loss, losses.generator(*scores)),
    ):
        assert float(found) == pytest.approx(float(wanted), rel=1e-5)


def test_chained_training_learns_and_a_test_knows_nothing_of_it(tiny):
    model, _ = chained(tiny, 0.5)
    images = tiny.images(16, size=16)
    chain = model.evaluate(images, batch_size=8, verbose=0)
    before = [networks(tiny, model, k) for k in range(3)]
    model.compile(seed=3, **tiny.quick)
    assert model.evaluate(images, batch_size=8, verbose=0) == chain
    results = []
    for share in (0.0, 0.5):
        other = tiny.model(sizes=(16, 8, 4))
        other.set_weights(model.get_weights())
        other.compile("sgd", SGD(0.1), chained=share, seed=3, **tiny.quick)
        tiny.steps(other, images, count=2)
        results.append([learned(other, k, "generator") for k in range(3)])
    plain, mixed = results
    assert tiny.same(plain[2], mixed[2])
    for k in (0, 1):
        assert not tiny.same(plain[k], mixed[k])
        assert not tiny.same(mixed[k], before[k]["generator"])


def test_no_chain(tiny):
    level = tiny.level(4)
    level.compile(chained=0.5, **tiny.quick)
    with pytest.raises(ValueError, match="no chain: .*chained=0.5"):
        level.fit(np.zeros((8, 4, 4, 3), "float32"), verbose=0)


# === compile ===


def test_the_recipe_of_the_paper_is_the_default(tiny):
    model = tiny.model()
    config = model.get_compile_config()
    for name in ("d_optimizer", "g_optimizer"):
        assert config[name]["class_name"] == "DampedSGD"
    assert config["objective"] == "non_saturating"
    assert config["levels"] == [0, 1]
    assert config["jit_compile"] == "auto"


def test_compile_config_round_trip(tiny):
    model = tiny.model()
    model.compile(
        keras.optimizers.Adam(0.25),
        keras.optimizers.RMSprop(),
        objective=["hinge", "relativistic"],
        gradient_penalty=[0.0, 0.5],
        levels={1},
        ema_decay=0.5,
        chained=0.25,
        seed=9,
    )
    config = model.get_compile_config()
    copy = LAPGAN.from_config(model.get_config())
    copy.compile_from_config(config)
    found = copy.get_compile_config()
    for name, value in config.items():
        if not name.endswith("optimizer"):
            assert found[name] == value
    d_optimizer, g_optimizer = copy.optimizer.optimizers
    assert isinstance(d_optimizer, keras.optimizers.Adam)
    assert isinstance(g_optimizer, keras.optimizers.RMSprop)
    assert float(d_optimizer.learning_rate) == 0.25


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"objective": "l1"}, "must be one of.*Received: objective='l1'"),
        ({"levels": [2]}, r"some of \[0, 1\].*Received: levels=\[2\]"),
        ({"levels": []}, r"Received: levels=\[\]"),
        ({"levels": 5}, r"Received: levels=\(5,\)"),
        ({"objective": ["hinge"]}, r"Received: objective=\['hinge'\]"),
        ({"seed": "a"}, "Received: seed='a'"),
        ({"d_optimizer": ["sgd"]}, r"list of 2.*d_optimizer=\['sgd'\]"),
        ({"objective": ["hinge", "l1"]}, "Received: objective='l1'"),
        ({"gradient_penalty": -1}, "Received: gradient_penalty=-1"),
        ({"gradient_penalty": [0.1]}, r"list of 2.*penalty=\[0.1\]"),
        ({"gradient_penalty": [0.1, "a"]}, r"penalty=\[0.1, 'a'\]"),
        (
            {"d_optimizer": [SHARED, SHARED]},
            "2 different objects; to share one",
        ),
        ({"ema_decay": 1.0}, "Received: ema_decay=1.0"),
        ({"chained": 1.5}, "from 0 to 1. Received: chained=1.5"),
        ({"chained": True}, "Received: chained=True"),
        ({"chained": "all"}, "Received: chained='all'"),
        ({"loss": "mse", "metrics": []}, "Received: loss, metrics"),
    ],
)
def test_bad_arguments_leave_the_model_as_it_was(tiny, arguments, message):
    model = tiny.model()
    config = model.get_compile_config()
    with pytest.raises(ValueError, match=message):
        model.compile(**arguments)
    assert model.get_compile_config() == config


def test_one_optimizer_twice(tiny):
    optimizer = SGD(0.1)
    with pytest.raises(ValueError, match="must be two objects"):
        tiny.model().compile(optimizer, optimizer)


def test_the_values_of_a_test_fit_the_first_names(tiny):
    model = tiny.model()
    model.compile(**tiny.quick)
    images = tiny.images(8)
    named = model.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    listed = model.evaluate(images, batch_size=8, verbose=0)
    names = [metric.name for metric in model.metrics]
    assert set(names[: len(named)]) == set(named)
    for name, value in zip(names, listed, strict=False):
        assert value == pytest.approx(named[name], abs=1e-6)
    assert len(listed) == len(named) < len(names)


def test_a_data_set_of_unknown_length_counts_no_step_more(tiny):
    # Keras finds out within a step that there is no more data.
    tf = pytest.importorskip("tensorflow")
    known = tf.data.Dataset.from_tensor_slices(tiny.images(32)).batch(8)
    runs = []
    for data in (known, known.filter(lambda images: True)):
        model = tiny.model()
        model.compile(SGD(0.1), SGD(0.1), **tiny.compiled)
        runs.append(model.fit(data, epochs=2, verbose=0).history)
        assert int(ops.convert_to_numpy(model.optimizer.iterations)) == 8
        assert float(ops.convert_to_numpy(model.level(0).averaged_steps)) == 8
    for name, values in runs[0].items():
        np.testing.assert_allclose(runs[1][name], values, atol=1e-6)
