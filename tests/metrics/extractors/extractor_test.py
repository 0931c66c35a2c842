import keras
import numpy as np
import pytest
from keras import layers

from keras_lapgan.metrics.extractors import Extractor
from keras_lapgan.metrics.extractors.resizing import resize_images


class Counted(layers.Layer):
    """Counts how often it is called from Python."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 10, 3))
    x = Counted(name="counted")(inputs)
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(x / 255)
    features = layers.Flatten()(x)
    logits = layers.Dense(5)(features)
    return keras.Model(inputs, [features, logits], name="tiny")


def expected(model, images, mode="clean"):
    x = resize_images(images, (12, 10), mode)
    return [keras.ops.convert_to_numpy(y) for y in model(x)]


def test_features_and_logits(model, noise):
    images = noise(7, 9)
    extractor = Extractor(model, batch_size=3)
    assert (extractor.name, extractor.size) == ("tiny", (12, 10))
    assert not extractor.fid
    features, logits = extractor.extract(images)
    assert features.dtype == logits.dtype == np.float32
    assert features.shape == (7, 80) and logits.shape == (7, 5)
    for ours, theirs in zip(
        (features, logits), expected(model, images), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [[7], [1, 1, 5], [0, 6, 0, 1], [2, 3, 2]])
def test_a_stream_gives_what_an_array_gives(model, noise, sizes):
    images = noise(7, 9)
    extractor = Extractor(model, batch_size=3)
    whole = extractor.extract(images).features
    parts = np.split(images, np.cumsum(sizes)[:-1])
    stream = extractor.extract(part for part in parts).features
    np.testing.assert_array_equal(stream, whole)


def test_an_images_features_depend_on_it_alone(model, noise):
    images = noise(7, 9)
    extractor = Extractor(model, batch_size=3)
    whole = extractor.extract(images).features
    np.testing.assert_array_equal(
        extractor.extract(images[3:4]).features, whole[3:4]
    )


def test_progress(model, noise):
    calls = []
    extractor = Extractor(model, batch_size=3)
    extractor.extract(noise(7, 9), lambda *call: calls.append(call))
    assert calls == [(3, 7), (6, 7), (7, 7)]
    calls.clear()
    extractor.extract([noise(4, 9)], lambda *call: calls.append(call))
    assert calls == [(3, None), (4, None)]


def test_it_is_compiled_once(model, noise):
    if keras.backend.backend() == "torch":
        pytest.skip("torch runs layers one by one")
    extractor = Extractor(model, batch_size=3)
    extractor.extract(noise(1, 9))
    calls = model.get_layer("counted").calls
    extractor.extract(noise(8, 9))
    extractor.extract(noise(2, 20))
    assert model.get_layer("counted").calls == calls


def test_a_map_is_averaged(noise):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layers.Conv2D(4, 2)(inputs), name="map")
    extractor = Extractor(model, size=8, resize="legacy_tensorflow")
    images = noise(2, 5)
    features, logits = extractor.extract(images)
    x = resize_images(images, (8, 8), "legacy_tensorflow")
    x = keras.ops.convert_to_numpy(model(x)).mean((1, 2))
    np.testing.assert_allclose(features, x, rtol=1e-4, atol=1e-3)
    assert logits is None


def test_preprocess_and_name(model, noise):
    images = noise(3, 9)
    plain = Extractor(model, batch_size=2).extract(255 - images).features
    turned = Extractor(
        model, "other", preprocess=lambda x: 255 - x, batch_size=2
    )
    assert turned.name == "other"
    np.testing.assert_allclose(
        turned.extract(images).features, plain, rtol=1e-4, atol=1e-4
    )


def test_the_checksum_is_the_weights(model):
    first = Extractor(model).weights_sha256
    assert len(first) == 64
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    assert Extractor(copy).weights_sha256 == first
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] += 1
    model.set_weights(weights)
    assert Extractor(model).weights_sha256 != first


def small(units=4, activation="relu", **kwargs):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation=activation, **kwargs)(inputs / 255)
    x = layers.Flatten()(keras.ops.relu6(x))
    return keras.Model(inputs, layers.Dense(units)(x), name="small")


def test_a_fingerprint_names_all_that_matters(monkeypatch):
    backend = keras.backend.backend()
    text = Extractor(small()).fingerprint
    for part in ("small weights=", "size=8x8", "resize=clean", backend):
        assert part in text
    # Layers have other names by now; compiling changes nothing.
    model = small()
    model.compile(optimizer="sgd", loss="mse")
    assert Extractor(model).fingerprint == text
    others = [
        Extractor(small(units=5)),
        Extractor(small(activation="sigmoid")),
        Extractor(small(dtype="mixed_bfloat16")),
        Extractor(small(), "other"),
        Extractor(small(), resize="legacy_pytorch"),
    ]
    model = small()
    model.set_weights([1 + w for w in model.get_weights()])
    others.append(Extractor(model))
    texts = {text, *(other.fingerprint for other in others)}
    assert len(texts) == 1 + len(others) and None not in texts
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    assert Extractor(small()).fingerprint not in texts


def an_activation(x):
    return x


class Own(keras.Model):
    def call(self, x):
        return keras.ops.mean(x, axis=(1, 2))


def test_no_fingerprint_where_code_is_not_keras(model):
    # It has a layer of this file.
    assert Extractor(model).fingerprint is None
    inputs = keras.Input((8, 8, 3))
    own = keras.Model(inputs, layers.Lambda(an_activation)(inputs))
    for untold in (
        small(activation=an_activation),
        small(activation=lambda x: x),
        own,
    ):
        assert Extractor(untold).fingerprint is None
    assert Extractor(Own(), size=8).fingerprint is None
    assert Extractor(small(), preprocess=an_activation).fingerprint is None


def test_the_model_stays_as_it_was(model, noise):
    model.compile(optimizer="sgd", loss="mse", run_eagerly=True)
    Extractor(model).extract(noise(1, 9))
    assert model.run_eagerly and model.loss == "mse"


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_another_policy_changes_nothing(model, noise, policy):
    images = noise(2, 9)
    plain = Extractor(model, batch_size=2).extract(images).features
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        features = Extractor(model, batch_size=2).extract(images).features
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_array_equal(features, plain)


def test_images_that_are_not_so(model, noise):
    extractor = Extractor(model, batch_size=2)
    for images, message in (
        (noise(2, 9).astype("float32"), "uint8.*Received: .*float32"),
        (noise(1, 9)[0], r"\(n, height, width, channels\)"),
        (noise(2, 9, channels=1), r"np.repeat.*shape=\(2, 9, 9, 1\)"),
        (noise(0, 9), "at least one image"),
        ([], "at least one image"),
        ([noise(1, 9), noise(1, 8)], r"one size.*\(8, 8, 3\) after .*\(9, 9"),
    ):
        with pytest.raises(ValueError, match=message):
            extractor.extract(images)


def test_models_that_are_not_so(model, noise):
    inputs = keras.Input((None, None, 3))
    free = keras.Model(inputs, layers.Conv2D(4, 2)(inputs))
    with pytest.raises(ValueError, match="Expected size.*Received: size"):
        Extractor(free)
    with pytest.raises(ValueError, match="'clean'.*Received: resize='best'"):
        Extractor(model, resize="best")
    with pytest.raises(ValueError, match="batch_size=0"):
        Extractor(model, batch_size=0)
    flat = keras.Model(inputs, keras.ops.mean(inputs, axis=(1, 2, 3)))
    with pytest.raises(ValueError, match=r"outputs of shapes \[\(32,\)\]"):
        Extractor(flat, size=8).extract(noise(1, 9))
    named = keras.Model(inputs, {"a": inputs})
    with pytest.raises(ValueError, match=r"outputs of shapes \[None\]"):
        Extractor(named, size=8).extract(noise(1, 9))


def test_a_model_of_fewer_bits(noise):
    inputs = keras.Input((8, 8, 3))
    half = layers.Conv2D(4, 2, dtype="bfloat16")(inputs)
    features, _ = Extractor(keras.Model(inputs, half)).extract(noise(3, 8))
    assert features.dtype == "float32" and features.shape == (3, 4)
