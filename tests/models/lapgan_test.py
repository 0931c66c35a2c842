import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan import LAPGAN
from keras_lapgan.layers.resampling import resampling_matrix

BACKEND = keras.backend.backend()


def stop_at(model, pictures):
    """Makes the averaged generators' bands so large that pixels overflow."""
    for level in model.levels:
        bias = level.ema_generator.get_layer("output").bias
        bias.assign(np.full(bias.shape, pictures))


def spread(model):
    """Makes the bands large and unlike, the same on every backend."""
    rng = np.random.default_rng(0)
    for level in model.levels:
        for weight in level.ema_generator.weights:
            shape = tuple(weight.shape)
            if len(shape) == 2:
                weight.assign(rng.normal(0, shape[0] ** -0.5, shape))
    return model


def restart(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def state(tiny, model):
    return tiny.arrays(model) + [
        ops.convert_to_numpy(v) for v in model.optimizer.variables
    ]


# === Sampling: equations (3) to (5) ===


def test_equation_5_by_hand(tiny):
    """The paper's example: 64-32-16-8 with four generators."""
    sizes = (64, 32, 16, 8)
    model = spread(tiny.model(sizes))
    noise = tiny.noise(model, 3)
    stages = [None] * 4
    for k in (3, 2, 1, 0):
        inputs = {"noise": noise[k]}
        if k < 3:
            u = resampling_matrix(sizes[k + 1], sizes[k], "linear")
            condition = np.einsum("ai,bj,nijc->nabc", u, u, stages[k + 1])
            inputs["condition"] = condition.astype("float32")
        band = ops.convert_to_numpy(model.level(k).ema_generator(inputs))
        stages[k] = band if k == 3 else condition + band
    assert all(0.1 < np.std(stage) < 2 for stage in stages)
    found = model.generate(noise=noise, return_pyramid=True, dtype="float32")
    for size, image, expected in zip(sizes, found, stages, strict=True):
        assert image.shape == (3, size, size, 3)
        expected = np.clip(expected * 127.5 + 127.5, 0, 255)
        np.testing.assert_allclose(image, expected, atol=255 * 1e-5)


def test_equations_3_and_4(tiny):
    model = tiny.model((64, 32, 16, 8))
    images = tiny.images(2, size=64).astype("float32") / 127.5 - 1
    parts = model.pyramid.decompose(images)
    again = model.pyramid.reconstruct([band for band, _ in parts])
    np.testing.assert_allclose(ops.convert_to_numpy(again), images, atol=1e-6)
    for (band, condition), finer in zip(
        parts, model.pyramid.gaussian(images), strict=True
    ):
        image = band if condition is None else band + condition
        np.testing.assert_allclose(
            ops.convert_to_numpy(image), ops.convert_to_numpy(finer), atol=1e-6
        )


def test_a_fresh_model_that_saw_no_picture_samples(tiny):
    model = tiny.model(normalization="per_pixel")
    images = model.generate(4, seed=1)
    assert images.shape == (4, 8, 8, 3) and images.dtype == "uint8"
    assert len(np.unique(images.reshape(4, -1), axis=0)) == 4


@pytest.mark.parametrize("value, pixel", [(1e4, 255), (-1e4, 0)])
def test_samples_are_clipped_not_wrapped(tiny, value, pixel):
    model = tiny.model()
    stop_at(model, value)
    for dtype in ("uint8", "float32"):
        for stage in model.generate(
            3, seed=1, return_pyramid=True, dtype=dtype
        ):
            assert (stage == pixel).all()
    images = model.generate_from(tiny.images(3, size=4), 1)
    assert (images == pixel).all()


def test_uint8_is_rounded(tiny):
    model = tiny.model()
    exact = model.generate(4, seed=1, dtype="float32")
    assert exact.dtype == "float32"
    np.testing.assert_array_equal(model.generate(4, seed=1), np.rint(exact))


def test_picture_i_of_a_seed_is_the_same(tiny):
    model = spread(tiny.model(num_classes=3))
    whole = model.generate(11, seed=7, dtype="float32")
    for count, batch_size in ((11, 4), (5, None), (11, 1), (11, 200)):
        images = model.generate(
            count, seed=7, batch_size=batch_size, dtype="float32"
        )
        np.testing.assert_allclose(images, whole[:count], atol=255e-5)
    assert np.abs(model.generate(11, seed=8) - whole).mean() > 1
    fresh = [model.generate(1) for _ in range(2)]
    assert (fresh[0] != fresh[1]).any()


def test_noise_by_hand_is_the_seed_s_noise(tiny):
    model = tiny.model()
    noise = [
        level.noise.draw(4, seed=3, level=k)
        for k, level in enumerate(model.levels)
    ]
    expected = model.generate(4, seed=3)
    for given in (noise, [noise[0], None], [None, noise[1]]):
        images = model.generate(4, seed=3, noise=given)
        np.testing.assert_array_equal(images, expected)


def test_labels(tiny):
    model = spread(tiny.model(num_classes=3))
    noise = [z.repeat(3, axis=0) for z in tiny.noise(model, 1)]
    images = model.generate(noise=noise)
    # All classes in turn, of the same noise.
    assert len(np.unique(images.reshape(3, -1), axis=0)) == 3
    for labels in ([0, 1, 2], np.arange(3, dtype="uint8")):
        np.testing.assert_array_equal(
            model.generate(labels=labels, noise=noise), images
        )
    one = model.generate(3, labels=1, noise=noise)
    np.testing.assert_array_equal(one, images[[1, 1, 1]])


def test_generate_from_goes_on_from_a_level(tiny):
    model = tiny.model((16, 8, 4))
    stages = model.generate(3, seed=5, return_pyramid=True, dtype="float32")
    assert all(0 < s.min() and s.max() < 255 for s in stages)
    for level in (1, 2):
        again = model.generate_from(
            stages[level],
            level,
            seed=5,
            return_pyramid=True,
            dtype="float32",
        )
        assert len(again) == level + 1
        for a, b in zip(again, stages, strict=False):
            np.testing.assert_allclose(a, b, atol=255e-5)
    images = model.generate_from(tiny.images(3, size=4), 2, seed=5)
    assert images.shape == (3, 16, 16, 3) and images.dtype == "uint8"


def test_generate_from_ends_where_it_is_told(tiny):
    model = tiny.model((16, 8, 4))
    coarse = tiny.images(3, size=4)
    _, stage, _ = model.generate_from(coarse, 2, seed=5, return_pyramid=True)
    alone = model.generate_from(coarse, 2, stop=1, seed=5, return_pyramid=True)
    np.testing.assert_array_equal(alone[0], stage)
    np.testing.assert_array_equal(alone[1], coarse)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "how many pictures. Received: count=None"),
        ({"count": 0}, "`count` must be.*Received: count=0"),
        ({"count": 2.5}, "Received: count=2.5"),
        ({"count": True}, "Received: count=True"),
        ({"count": 2, "labels": [0]}, "must agree.*count=2"),
        ({"count": 2, "labels": [0, 3]}, "from 0 to 2.*labels="),
        ({"count": 2, "labels": [0, -1]}, "from 0 to 2.*labels="),
        ({"count": 2, "labels": [0.0, 1.0]}, "must be integers"),
        ({"count": 2, "seed": -1}, "Received: seed=-1"),
        ({"count": 2, "dtype": "int8"}, "Received: dtype='int8'"),
        ({"count": 2, "batch_size": 0}, "Received: batch_size=0"),
        ({"count": 2, "noise": [None]}, "must have 2 entries.*Received: 1"),
        (
            {"noise": [np.zeros((2, 9)), None]},
            r"`noise\[0\]` must have shape \(2, 10\).*\(2, 9\)",
        ),
    ],
)
def test_bad_arguments_of_generate(tiny, arguments, message):
    model = tiny.model(num_classes=3)
    with pytest.raises(ValueError, match=message):
        model.generate(**arguments)


def test_bad_arguments_of_generate_from(tiny):
    model = tiny.model()
    for level in (0, 2, -1):
        with pytest.raises(ValueError, match=f"Received: level={level}"):
            model.generate_from(tiny.images(2, size=4), level)
    for stop in (1, -1, 0.5):
        with pytest.raises(ValueError, match=f"Received: stop={stop}"):
            model.generate_from(tiny.images(2, size=4), 1, stop=stop)
    with pytest.raises(ValueError, match=r"\(batch, 4, 4, 3\).*\(2, 8, 8, 3\)"):
        model.generate_from(tiny.images(2, size=8), 1)
    with pytest.raises(ValueError, match="not class-conditional"):
        model.generate_from(tiny.images(2, size=4), 1, labels=[0, 1])


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs eagerly")
def test_new_counts_do_not_compile_again(tiny, monkeypatch):
    from keras_lapgan import LAPGANLevel

    traces = []
    call = LAPGANLevel.call
    monkeypatch.setattr(
        LAPGANLevel, "call", lambda *args: traces.append(1) or call(*args)
    )
    model = tiny.model()
    model.generate(5, seed=1)
    first = len(traces)
    assert first > 0
    for count in (2, 3, 6, 7, 8):
        model.generate(count, seed=count)
    assert len(traces) == first
    # More than a batch: full ones, and a padded rest.
    model.generate(20, seed=1, batch_size=8)
    assert len(traces) == first


# === The model as a sampler ===


@pytest.mark.parametrize("num_classes", [0, 3])
def test_predict_is_the_call_is_generate(tiny, num_classes):
    model = tiny.model(num_classes=num_classes)
    noise = tiny.noise(model, 5)
    x = noise
    if num_classes:
        x = (noise, tiny.labels(5).astype("int32"))
    called = ops.convert_to_numpy(model(x))
    assert called.dtype == "float32"
    np.testing.assert_allclose(
        model.predict(x, batch_size=2, verbose=0), called, atol=255e-5
    )
    generated = model.generate(noise=noise, dtype="float32")
    np.testing.assert_allclose(generated, called, atol=255e-5)


def test_called_on_something_else(tiny):
    with pytest.raises(ValueError, match="a list of 2 tensors.*Received: 1"):
        tiny.model()(tiny.images())
    with pytest.raises(ValueError, match=r"model\(\(noise, labels\)\)"):
        tiny.model(num_classes=3)(tiny.images())


@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_single_size_is_the_plain_gan(tiny, num_classes):
    model = tiny.model((8,), num_classes)
    labels = tiny.labels() if num_classes else None
    model.compile(**tiny.quick)
    history = tiny.steps(model, tiny.images(), labels)
    assert set(history.history) >= {"d_loss", "g_loss_0"}
    z = tiny.noise(model, 3)
    images = model.generate(noise=z, dtype="float32")
    inputs = {"noise": z[0]}
    if num_classes:
        inputs["labels"] = np.arange(3, dtype="int32")
    band = ops.convert_to_numpy(model.level(0).ema_generator(inputs))
    np.testing.assert_allclose(images, band * 127.5 + 127.5, atol=255e-5)
    with pytest.raises(ValueError, match="Received: level=0"):
        model.generate_from(images, 0)
    x = (z, inputs["labels"]) if num_classes else z
    np.testing.assert_allclose(
        ops.convert_to_numpy(model(x)), images, atol=0.01
    )


# === Normalisation ===


@pytest.mark.parametrize("mode", ["per_channel", "per_pixel"])
def test_fit_learns_the_normalisation_once(tiny, mode):
    model = tiny.model(normalization=mode)
    model.compile(**tiny.quick)
    images = tiny.images(8)
    tiny.steps(model, images)
    axis = (0, 1, 2) if mode == "per_channel" else 0
    mean = images.mean(axis, dtype="float64")
    found = ops.convert_to_numpy(model.normalization.mean)
    np.testing.assert_allclose(np.squeeze(found), mean, rtol=1e-5)
    tiny.steps(model, images // 2)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(model.normalization.mean), found
    )
    # Samples are denormalised by it, also where a chain is entered.
    pixels = tiny.images(2, size=4).astype("float32")
    again = model.to_pixels(model.from_pixels(pixels, 1), 1)
    np.testing.assert_allclose(ops.convert_to_numpy(again), pixels, atol=1e-3)


def test_adapt_takes_every_form(tiny):
    images = tiny.images(8, size=10)
    means = []
    for x in (
        images,
        list(images),
        (images for _ in range(1)),
        [(images, tiny.labels(8))].__iter__(),
        {"image": images, "label": tiny.labels(8)},
    ):
        model = tiny.model(
            normalization="per_channel", source_size=10, crop="center"
        )
        model.adapt(x)
        means.append(ops.convert_to_numpy(model.normalization.mean))
    for mean in means:
        np.testing.assert_allclose(mean, means[0], rtol=1e-6)


# === Training data ===


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def forms(tiny, num_classes):
    """The same two batches in every form that `fit` takes."""
    images, labels = tiny.images(16), tiny.labels(16)
    batches = [(images[:8], labels[:8]), (images[8:], labels[8:])]
    dicts = [{"image": x, "label": y} for x, y in batches]
    if not num_classes:
        batches, labels = [x for x, _ in batches], None
    yield "array", images, labels
    yield "float", images.astype("float32"), labels
    yield "list", list(images), None if labels is None else list(labels)
    yield "generator", (batch for batch in batches), None
    yield "iterator", iter(dicts), None
    yield "PyDataset", Batches(batches), None
    yield "dicts", Batches(dicts), None
    try:
        import tensorflow as tf
    except ImportError:
        return
    whole = images if labels is None else (images, labels)
    yield "tf.data", tf.data.Dataset.from_tensor_slices(whole).batch(8), None
    item = {"image": images, "label": tiny.labels(16), "id": [b"x"] * 16}
    yield "tfds", tf.data.Dataset.from_tensor_slices(item).batch(8), None


@pytest.mark.parametrize("num_classes", [0, 3])
def test_fit_takes_every_form_of_data(tiny, num_classes):
    losses = {}
    model = tiny.model((4,), num_classes=num_classes, source_size=8)
    model.compile("sgd", "sgd", **tiny.quick)
    model.optimizer.build(model.trainable_variables)
    variables = model.weights + model.optimizer.variables
    start = [ops.convert_to_numpy(v) for v in variables]
    for name, x, y in forms(tiny, num_classes):
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        assert int(model.optimizer.iterations) == 2, name
        losses[name] = history.history["d_loss"][0]
    for name, loss in losses.items():
        assert loss == pytest.approx(losses["array"], abs=1e-6), name


def test_nothing_of_a_validation_generator_is_lost(tiny):
    model = tiny.model()
    model.compile(**tiny.quick)
    images = tiny.images(16, seed=1)
    history = tiny.steps(
        model,
        tiny.images(),
        validation_data=iter([images[:8], images[8:]]),
        validation_steps=2,
    ).history
    losses = model.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    for name, loss in losses.items():
        assert history[f"val_{name}"][0] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_bad_data_stops_before_anything_is_trained(tiny, num_classes):
    model = tiny.model(
        num_classes=num_classes, normalization="per_pixel", source_size=10
    )
    images, labels = tiny.images(), tiny.labels() if num_classes else None
    before = tiny.arrays(model)
    cases = [
        (tiny.images(size=9), labels, r"10, 10, 3\) or \(batch, 8, 8, 3"),
        (images[..., :1], labels, r"shape=\(16, 8, 8, 1\)"),
        (images[0], labels, "without a batch axis"),
        (images / np.nan, labels, "NaN or infinite"),
        (images / 255, labels, "x \\* 255"),
        (images[:0], labels, "empty"),
    ]
    if num_classes:
        cases += [
            (images, None, "no labels"),
            (images, labels + 1, "from 0 to 2.*from 1 to 3"),
            (images, np.eye(3)[labels], "One-hot"),
        ]
    for x, y, message in cases:
        with pytest.raises(ValueError, match=message):
            model.fit(x, y, verbose=0)
        with pytest.raises(ValueError, match=message):
            model.evaluate(x, y, verbose=0)
        with pytest.raises(ValueError, match=message):
            model.fit(
                images,
                labels,
                validation_data=x if y is None else (x, y),
                verbose=0,
            )
    assert tiny.same(tiny.arrays(model), before)
    assert not model.normalization.is_adapted


def test_a_later_batch_of_another_size(tiny):
    model = tiny.model()
    model.compile(**tiny.quick)
    batches = Batches([tiny.images(8), tiny.images(8, size=9)])
    with pytest.raises(ValueError, match=r"\(batch, 8, 8, 3\).*9, 9, 3\)"):
        model.fit(batches, verbose=0)


# === Saving and going on ===


def test_interrupted_is_not_interrupted(tiny, tmp_path):
    """2 steps + save + load + 2 steps = 4 steps, to the bit."""
    images, labels = tiny.images(32, size=10), tiny.labels(32)

    def model():
        model = tiny.model(
            (5, 4),
            num_classes=3,
            source_size=10,
            flip=True,
            normalization="per_pixel",
        )
        model.adapt(images)
        # Dampings and learning rates of their own, level by level.
        model.compile(["adam", "sgd"], seed=4, **tiny.compiled)
        return model

    straight, stopped = model(), model()
    for start in (0, 16):
        tiny.steps(straight, images[start : start + 16], labels[:16], count=2)
    tiny.steps(stopped, images[:16], labels[:16], count=2)
    before = stopped.generate(4, seed=1)
    stopped = restart(stopped, tmp_path)
    np.testing.assert_array_equal(stopped.generate(4, seed=1), before)
    assert int(stopped.optimizer.iterations) == 2
    tiny.steps(stopped, images[16:], labels[:16], count=2)
    assert tiny.same(state(tiny, stopped), state(tiny, straight))
    np.testing.assert_array_equal(
        stopped.generate(4, seed=1), straight.generate(4, seed=1)
    )


def test_weights_file(tiny, tmp_path):
    model, other = tiny.model(seed=1), tiny.model(seed=2)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert tiny.same(tiny.arrays(model), tiny.arrays(other))
    np.testing.assert_array_equal(
        model.generate(2, seed=1), other.generate(2, seed=1)
    )


def test_config_round_trip(tiny):
    model = tiny.model(
        (16, 8, 4),
        2,
        down="burt",
        up="burt",
        normalization="per_channel",
        source_size=20,
        crop="random",
        flip=True,
        class_names=["cat", "dog"],
        name="mine",
    )
    config = keras.saving.serialize_keras_object(model)
    assert config["registered_name"] == "keras_lapgan>LAPGAN"
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == model.get_config()
    assert copy.get_compile_config() == model.get_compile_config()
    assert (copy.crop.mode, copy.crop.flip) == ("random", True)
    assert (copy.pyramid.down, copy.pyramid.up) == ("burt", "burt")
    assert copy.class_names == ["cat", "dog"] and copy.name == "mine"
    assert [level.index for level in copy.levels] == [0, 1, 2]


def test_summary(tiny, capsys):
    model = tiny.model()
    model.summary()
    text = capsys.readouterr().out
    assert "LAPGANLevel" in text and "Total params" in text
    counted = sum(w.size for w in tiny.arrays(model))
    assert model.count_params() == counted


# === Keras' own callbacks and ways of running ===


@pytest.mark.filterwarnings("ignore:Skipping variable loading")
def test_early_stopping_and_checkpoints(tiny, tmp_path):
    model = tiny.model()
    model.compile(**tiny.quick)
    callbacks = [
        keras.callbacks.EarlyStopping(
            "g_loss",
            mode="min",
            baseline=-1.0,
            patience=1,
            restore_best_weights=True,
        ),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.weights.h5",
            monitor="d_loss",
            mode="min",
            save_best_only=True,
            save_weights_only=True,
        ),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    history = tiny.steps(
        model, tiny.images(), count=2, epochs=5, callbacks=callbacks
    )
    assert len(history.history["g_loss"]) < 5
    assert {path.name for path in tmp_path.iterdir()} >= {
        "1.keras",
        "best.weights.h5",
        "log.csv",
    }
    copy = keras.saving.load_model(tmp_path / "1.keras")
    assert int(copy.optimizer.iterations) == 2
    tiny.model(seed=3).load_weights(tmp_path / "best.weights.h5")


def test_learning_rate_scheduler(tiny):
    model = tiny.model()
    model.compile(**tiny.quick)
    scheduler = keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: 0.0 if epoch else rate
    )
    tiny.steps(model, tiny.images(), callbacks=[scheduler])
    moved = tiny.arrays(model.level(0).generator)
    assert not tiny.same(moved, tiny.arrays(tiny.model().level(0).generator))
    for optimizer in model.optimizer.optimizers:
        assert float(optimizer.learning_rate) == pytest.approx(0.02)
    history = tiny.steps(
        model, tiny.images(), epochs=2, initial_epoch=1, callbacks=[scheduler]
    )
    assert tiny.same(tiny.arrays(model.level(0).generator), moved)
    assert [
        value for name, value in history.history.items() if "rate" in name
    ] == [[0.0]]


def test_pictures_of_an_epoch_s_end(tiny):
    """A callback that samples sees the weights of the moment."""
    model = tiny.model()
    model.compile(g_optimizer=keras.optimizers.SGD(10.0), **tiny.compiled)
    pictures = []
    sample = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: pictures.append(
            model.generate(2, seed=1, dtype="float32")
        )
    )
    tiny.steps(model, tiny.images(), epochs=2, callbacks=[sample])
    assert np.abs(pictures[0] - pictures[1]).max() > 0
    np.testing.assert_array_equal(
        pictures[1], model.generate(2, seed=1, dtype="float32")
    )


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's callback")
def test_tensorboard(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    model = tiny.model()
    model.compile(**tiny.quick)
    callback = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)
    tiny.steps(model, tiny.images(), callbacks=[callback])
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_mixed_bfloat16(tiny):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny.model((9, 4), filters=4)
        model.compile(**tiny.quick)
        history = tiny.steps(model, tiny.images(size=9), count=2).history
        images = model.generate(2, seed=1, dtype="float32")
    finally:
        keras.config.set_dtype_policy(previous)
    layer = model.level(0).discriminator.get_layer("conv_1")
    assert layer.compute_dtype == "bfloat16"
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    assert images.dtype == "float32"
    for value in history.values():
        assert np.isfinite(value).all()


@pytest.mark.skipif(BACKEND == "torch", reason="not in Keras' torch trainer")
def test_several_steps_an_execution(tiny):
    images = tiny.images(32, size=4)
    one, two = tiny.model((4,)), tiny.model((4,))
    for model, steps in ((one, 1), (two, 2)):
        model.compile(
            "adam", "adam", steps_per_execution=steps, **tiny.compiled
        )
        tiny.steps(model, images, count=4)
    assert int(two.optimizer.iterations) == 4
    for a, b in zip(state(tiny, one), state(tiny, two), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="torch.compile takes minutes")
def test_xla(tiny):
    model = tiny.model((4,), source_size=8, flip=True)
    model.compile(jit_compile=True)
    history = tiny.steps(model, tiny.images(), count=2).history
    assert np.isfinite(history["d_loss"]).all()
    assert model.get_compile_config()["jit_compile"] is True


# === Bad models ===


def test_level(tiny):
    model = tiny.model()
    assert model.level(1) is model.levels[1]
    for k in (2, -1, "0"):
        with pytest.raises(ValueError, match=f"0 .finest. to 1.*k={k!r}"):
            model.level(k)


def test_bad_levels(tiny):
    def level(size, index, conditional, **kwargs):
        return tiny.level(size, index, conditional=conditional, **kwargs)

    for levels, message in (
        ([], "must not be empty"),
        ([level(4, 0, True), level(8, 1, False)], "decrease strictly"),
        ([level(8, 0, True), level(8, 1, False)], "decrease strictly"),
        ([level(8, 1, True), level(4, 0, False)], r"levels\[0\].index=1"),
        ([level(8, 0, False), level(4, 1, False)], "take a condition"),
        (
            [level(8, 0, True), level(4, 1, False, num_classes=2)],
            r"num_classes=\[0, 2\]",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            LAPGAN(levels)


def test_bad_arguments(tiny):
    with pytest.raises(ValueError, match="must name 3 classes.*1 names"):
        tiny.model(num_classes=3, class_names=["cat"])
    with pytest.raises(ValueError, match="normalization|mode"):
        tiny.model(normalization="none")
    with pytest.raises(ValueError, match="source_size"):
        tiny.model(source_size=6)
    with pytest.raises(ValueError, match="mode='middle'"):
        tiny.model(crop="middle")


def test_channels_first_is_refused(tiny):
    levels = [tiny.level(4)]
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="channels_last.*channels_first"):
            LAPGAN(levels)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_tests_take_the_middle_without_flips(tiny):
    plain = tiny.model(source_size=10)
    flipped = tiny.model(source_size=10, flip=True, crop="random")
    images = tiny.images(size=10)
    for model in (plain, flipped):
        model.compile("sgd", "sgd", **tiny.quick)
    losses = [
        m.evaluate(images, batch_size=8, verbose=0, return_dict=True)
        for m in (plain, flipped)
    ]
    assert losses[0] == losses[1]
    middle = images[:, 1:9, 1:9]
    again = plain.evaluate(middle, batch_size=8, verbose=0, return_dict=True)
    assert again == losses[0]


def test_a_generator_s_normalisation_is_of_many_pictures(tiny):
    images = tiny.images(64)

    def batches():
        for i in range(0, 64, 4):
            yield (images[i : i + 4],)

    model = tiny.model(normalization="per_channel")
    model.compile("sgd", "sgd", **tiny.quick)
    rest = model.adapt(batches())
    assert len(list(rest)) == 16
    mean = ops.convert_to_numpy(model.normalization.mean).ravel()
    np.testing.assert_allclose(mean, images.mean((0, 1, 2)), rtol=1e-4)


def test_weights_of_samples_are_refused(tiny):
    with pytest.raises(ValueError, match="no loss a picture to weigh"):
        tiny.model().fit(tiny.images(), sample_weight=np.ones(16))


def test_presets_of_the_class():
    assert "lapgan_cifar10" in LAPGAN.presets


def test_precision_survives_saving(tiny, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny.model()
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    dense = loaded.level(0).generator.get_layer("dense_1")
    assert dense.compute_dtype == "bfloat16"
    # The pictures themselves lose nothing.
    noise = tiny.noise(loaded)
    dtype = keras.backend.standardize_dtype(loaded(noise).dtype)
    assert dtype == "float32"
