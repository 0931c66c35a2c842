import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan import LAPGANLevel
from keras_lapgan import networks


def bands(tiny, model, images):
    """`(band, condition)` of each level, as numpy."""
    parts = model.pyramid.decompose(model.normalization(images))
    return [
        tuple(None if x is None else ops.convert_to_numpy(x) for x in part)
        for part in parts
    ]


def fit(level, x, y=None, **kwargs):
    kwargs = {"batch_size": 8, "shuffle": False, "verbose": 0, **kwargs}
    return level.fit(x, y, **kwargs)


def test_a_level_by_itself_learns_as_in_its_pyramid(tiny):
    images, labels = tiny.images(16), tiny.labels(16)
    model, parts = (tiny.model(num_classes=3) for _ in range(2))
    model.compile(seed=3, **tiny.quick)
    tiny.steps(model, images, labels, count=2)
    for k, (band, condition) in enumerate(bands(tiny, parts, images)):
        level = parts.level(k)
        level.compile(seed=3, **tiny.quick)
        fit(level, band if k == 1 else (band, condition), labels)
        for a, b in zip(
            tiny.arrays(level.generator) + tiny.arrays(level.discriminator),
            tiny.arrays(model.level(k).generator)
            + tiny.arrays(model.level(k).discriminator),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_fit_compiled_and_saved(tiny, tmp_path):
    level = tiny.level(4)
    level.compile("adam", "adam", **tiny.compiled)
    x = np.random.default_rng(0).normal(size=(16, 4, 4, 3)).astype("float32")
    history = fit(level, x, validation_data=x)
    assert {"d_loss_0", "g_loss_0", "val_d_loss"} <= set(history.history)
    assert {"logit_gap_0", "g_gradient_norm_0"} <= set(history.history)
    level.save(tmp_path / "level.keras")
    copy = keras.saving.load_model(tmp_path / "level.keras")
    assert tiny.same(tiny.arrays(copy), tiny.arrays(level))
    for model in (level, copy):
        fit(model, x)
    assert tiny.same(tiny.arrays(copy.generator), tiny.arrays(level.generator))


@pytest.mark.parametrize("conditional", [False, True])
def test_residual_networks_learn(tiny, conditional):
    # The penalty differentiates them twice.
    shared = {"size": 4, "filters": (3, 4), "blocks": 1, "num_classes": 3}
    level = LAPGANLevel(
        networks.ResidualGenerator(**shared, conditional=conditional),
        networks.ResidualDiscriminator(**shared, conditional=conditional),
    )
    level.compile(
        keras.optimizers.Adam(0.01),
        keras.optimizers.Adam(0.01),
        objective="relativistic",
        gradient_penalty=0.02,
        **tiny.compiled,
    )
    x = np.random.default_rng(0).normal(size=(32, 4, 4, 3)).astype("float32")
    trained = level.generator, level.discriminator
    before = [np.array(w) for n in trained for w in tiny.arrays(n)]
    fit(level, (x, x) if conditional else x, tiny.labels(32))
    after = [w for n in trained for w in tiny.arrays(n)]
    assert all(np.isfinite(w).all() for w in after)
    # Of a pair's two logits the last bias is the same.
    assert not any(
        np.array_equal(a, b)
        for a, b in zip(before, after, strict=True)
        if a.ndim > 1
    )


def test_sampling_uses_the_average(tiny):
    level = tiny.level(4)
    noise = level.noise.draw(3, seed=1, level=0)
    before = ops.convert_to_numpy(level.sample_band(noise=noise))
    assert before.shape == (3, 4, 4, 3)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(level({"noise": noise})), before
    )
    output = level.generator.get_layer("output").bias
    output.assign(output + 1)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(level.sample_band(noise=noise)), before
    )
    output = level.ema_generator.get_layer("output").bias
    output.assign(output + 1)
    np.testing.assert_allclose(
        ops.convert_to_numpy(level.sample_band(noise=noise)),
        before + 1,
        atol=1e-6,
    )


def test_the_average_starts_at_the_generator(tiny):
    level = tiny.level(4)
    assert tiny.same(
        tiny.arrays(level.ema_generator), tiny.arrays(level.generator)
    )
    assert not level.ema_generator.trainable_variables


def test_sample_band_draws_its_noise(tiny):
    level = tiny.level(8, index=2, conditional=True)
    condition = tiny.images(3).astype("float32") / 255
    noise = level.noise.draw(3, seed=5, level=2)
    tensor = ops.convert_to_tensor(condition)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(level.sample_band(tensor, seed=5)),
        ops.convert_to_numpy(level.sample_band(condition, noise=noise)),
    )
    with pytest.raises(ValueError, match=r"\(batch, 10\).*noise=None"):
        level.sample_band()


def test_labels_count(tiny):
    level = tiny.level(4, num_classes=3)
    noise = level.noise.draw(1, seed=1, level=0)
    first, second = (
        ops.convert_to_numpy(level.sample_band(labels=[k], noise=noise))
        for k in (0, 1)
    )
    assert (first != second).any()
    band = np.zeros((1, 4, 4, 3), "float32")
    first, second = (
        ops.convert_to_numpy(level.score(band, labels=np.array([k])))
        for k in (0, 1)
    )
    assert first != second


def test_config_round_trip(tiny):
    level = tiny.level(8, index=1, num_classes=3, conditional=True, name="mine")
    config = keras.saving.serialize_keras_object(level)
    assert config["registered_name"] == "keras_lapgan>LAPGANLevel"
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == level.get_config()
    assert (copy.index, copy.size, copy.num_classes) == (1, 8, 3)
    assert copy.conditional and copy.name == "mine"
    copy.set_weights(level.get_weights())
    condition = np.zeros((2, 8, 8, 3), "float32")
    labels = np.array([0, 1])
    np.testing.assert_array_equal(
        *(
            ops.convert_to_numpy(x.sample_band(condition, labels, seed=1))
            for x in (level, copy)
        )
    )


def test_weights_file(tiny, tmp_path):
    level, other = tiny.level(4), tiny.level(4)
    assert not tiny.same(tiny.arrays(level), tiny.arrays(other))
    level.save_weights(tmp_path / "level.weights.h5")
    other.load_weights(tmp_path / "level.weights.h5")
    assert tiny.same(tiny.arrays(level.generator), tiny.arrays(other.generator))
    assert tiny.same(
        tiny.arrays(level.ema_generator), tiny.arrays(other.ema_generator)
    )


def test_summary(tiny, capsys):
    tiny.level(4).summary()
    text = capsys.readouterr().out
    assert "generator" in text and "discriminator" in text


def test_networks_must_agree():
    generator = networks.DenseGenerator(4, hidden_units=(4,))
    with pytest.raises(ValueError, match="generator.size=4, discr.*size=8"):
        LAPGANLevel(
            generator, networks.DenseDiscriminator(8, hidden_units=(4,))
        )
    with pytest.raises(ValueError, match="must be a `keras.Model`"):
        LAPGANLevel(generator, None)
