import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_lapgan import ExportError
from keras_lapgan import networks
from keras_lapgan.export.plain_sampler import PlainSampler
from keras_lapgan.export.signature import file_inputs
from keras_lapgan.export.signature import file_outputs


def some(kinds, *few):
    """All kinds, or a few on JAX: the graph is the same, compiling is slow."""
    return few if keras.backend.backend() == "jax" else list(kinds)


def plain_sampler(model, level=None, stages=True, dtype="float32"):
    stages = stages and level is None
    return PlainSampler(
        model,
        file_inputs(model, level),
        file_outputs(model, level, stages, dtype),
    )


def values(model, count=5, seed=3, level=None):
    """What `generate` takes for the seed, by the names of the inputs."""
    levels = range(len(model.levels)) if level is None else [level]
    found = {
        f"noise_{k}": model.level(k).noise.draw(count, seed, k, 0)
        for k in levels
    }
    if model.num_classes:
        found["labels"] = np.arange(count, dtype="int32") % model.num_classes
    return found


def check(model, count=5, **kwargs):
    """Every stage is what `generate` draws; gives the plain sampler."""
    plain = plain_sampler(model)
    drawn = plain.model.predict_on_batch(values(model, count))
    wanted = model.generate(count, seed=3, return_pyramid=True, dtype="float32")
    assert list(drawn) == [f"images_{k}" for k in range(len(wanted))]
    for name, picture in zip(drawn, wanted, strict=True):
        assert picture.std() > 10
        np.testing.assert_allclose(drawn[name], picture, atol=2e-3)
    return plain


def adapted(model, seed=0):
    """Statistics that differ from pixel to pixel."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 255, (6, *model.image_shape))
    model.normalization.adapt(images.astype("float32"))
    return model


# === The networks of this package ===


def lsun(models, num_classes=0, **kwargs):
    """Grouped convolutions, pairs' norms and moved batch statistics."""
    return models.lapgan(
        networks.LSUNGenerator(8, num_classes=num_classes),
        networks.LSUNGenerator(4, num_classes=num_classes, conditional=False),
        **kwargs,
    )


MODELS = {
    "dense": lambda m: m.lapgan(m.dense(8, conditional=True), m.dense(4)),
    "convolutional": lambda m: m.chain(),
    "of classes": lambda m: m.chain(num_classes=3),
    "dense, of classes": lambda m: m.lapgan(
        m.dense(8, conditional=True, num_classes=3), m.dense(4, num_classes=3)
    ),
    "LSUN": lsun,
    "LSUN, of classes": lambda m: lsun(m, num_classes=2),
    "residual": lambda m: m.lapgan(
        m.residual((8, 12)), m.residual((4, 6), conditional=False)
    ),
    "residual, of classes": lambda m: m.lapgan(
        m.residual(8, num_classes=3, filters=(4, 4)),
        m.residual(4, num_classes=3, conditional=False),
    ),
    "one level": lambda m: m.lapgan(m.dense(8)),
    "one level of convolutions": lambda m: m.lapgan(
        m.convolutional(8, conditional=False, num_classes=3)
    ),
    "activations": lambda m: m.lapgan(
        m.dense(
            8,
            hidden_units=(6, 6, 6, 6),
            activations=("relu", "tanh", "sigmoid", "linear"),
        )
    ),
    "even kernels": lambda m: m.lapgan(
        m.convolutional(8, kernel_sizes=(2, 4, 1)), m.dense(4)
    ),
    "not square": lambda m: m.lapgan(m.convolutional((8, 14)), m.dense((3, 7))),
    "grey": lambda m: m.lapgan(
        m.convolutional(8, channels=1), m.dense(4, channels=1)
    ),
    "one pixel": lambda m: m.lapgan(m.convolutional(3), m.dense(1)),
}


@pytest.mark.parametrize("kind", some(MODELS, "dense, of classes"))
def test_it_draws_what_generate_draws(models, kind):
    check(MODELS[kind](models))


@pytest.mark.parametrize("up", some(["linear", "burt", "replicate"], "burt"))
def test_every_way_to_enlarge(models, up):
    check(models.lapgan(models.convolutional(8), models.dense(4), up=up))


@pytest.mark.parametrize(
    "mode", some(["per_channel", "per_pixel"], "per_pixel")
)
def test_normalisation(models, mode):
    generators = models.convolutional((8, 12)), models.dense((4, 6))
    model = adapted(models.lapgan(*generators, normalization=mode))
    plain = check(model)
    shape = (8, 12, 3) if mode == "per_pixel" else (3,)
    assert plain.arrays["pixels_0.scale"].shape == shape


def test_unit_normalisation_is_two_numbers(models):
    arrays = plain_sampler(models.lapgan(models.dense(4))).arrays
    assert arrays["pixels_0.scale"] == arrays["pixels_0.offset"] == 127.5
    assert arrays["pixels_0.scale"].size == 1


@pytest.mark.parametrize(
    "mode", some(["unit", "per_channel", "per_pixel"], "per_pixel")
)
def test_one_level(models, mode):
    model = adapted(models.chain(num_classes=3, normalization=mode))
    how = {"seed": 3, "return_pyramid": True, "dtype": "float32"}
    coarse = model.generate(5, **how)
    given = values(model, level=2)
    drawn = plain_sampler(model, level=2).model.predict_on_batch(given)
    assert list(drawn) == ["images_2"]
    np.testing.assert_allclose(drawn["images_2"], coarse[2], atol=2e-3)
    for k in (0, 1):
        given = {**values(model, level=k), f"images_{k + 1}": coarse[k + 1]}
        plain = plain_sampler(model, level=k)
        drawn = plain.model.predict_on_batch(given)
        wanted = model.generate_from(coarse[k + 1], k + 1, **how)[k]
        assert list(drawn) == [f"images_{k}"]
        np.testing.assert_allclose(drawn[f"images_{k}"], wanted, atol=2e-3)


def test_uint8_is_rounded_and_clipped(models):
    model = models.lapgan(models.dense(8))
    models.draw_weights(model)
    network = model.level(0).ema_generator
    network.set_weights([8 * w for w in network.get_weights()])
    plain = plain_sampler(model, dtype="uint8")
    drawn = plain.model.predict_on_batch(values(model))["images_0"]
    assert drawn.dtype == "uint8" and {0, 255} <= set(np.unique(drawn))
    wanted = model.generate(5, seed=3)
    assert np.abs(drawn.astype("int32") - wanted).max() <= 1
    assert (drawn == wanted).mean() > 0.99


def test_the_finest_stage_alone(models):
    model = models.chain()
    plain = plain_sampler(model, stages=False)
    assert list(plain.model.output) == ["images_0"]
    assert set(plain.model.input) == {"noise_0", "noise_1", "noise_2"}
    assert not any(node["name"] == "images_1" for node in plain.nodes)


def test_the_average_draws_and_not_the_generator_that_learns(models):
    model = models.lapgan(models.dense(4))
    network = model.level(0).generator
    network.set_weights([0 * w for w in network.get_weights()])
    check(model)


def test_names_of_networks_may_repeat(models):
    same = {"name": "generator"}
    model = models.lapgan(
        models.convolutional(8, **same), models.dense(4, **same)
    )
    plain = check(model)
    names = [node["name"] for node in plain.nodes]
    assert len(set(names)) == len(names)
    assert "level_0.conv_1.kernel" in plain.arrays
    assert "level_1.dense_1.kernel" in plain.arrays


def test_a_model_may_be_sampled_twice(models):
    model = models.lapgan(models.dense(4, num_classes=3))
    first, second = (check(model) for _ in range(2))
    assert first.nodes == second.nodes


def test_the_model_stays_what_it_was(models, tiny):
    model = models.lapgan(
        networks.LSUNGenerator(8, num_classes=2),
        models.dense(4, num_classes=2),
        normalization="per_pixel",
    )

    def state():
        found = []
        for level in model.levels:
            for network in (level.generator, level.ema_generator):
                for layer in network.layers:
                    nodes = len(layer._inbound_nodes) + len(
                        layer._outbound_nodes
                    )
                    found.append((layer.name, nodes, layer.compute_dtype))
        return found

    before, weights = state(), tiny.arrays(model)
    plain = plain_sampler(model)
    for variable in plain.model.variables:
        variable.assign(0 * variable.value)
    assert state() == before
    assert tiny.same(tiny.arrays(model), weights)
    assert model.generate(2, seed=1).std() > 10


# === Without this package ===

OPEN = """
import sys

import keras
import numpy as np

model = keras.saving.load_model("model.keras")
with np.load("wanted.npz") as file:
    given = dict(file)
wanted = {k: given.pop(k) for k in list(given) if k.startswith("images")}
drawn = model.predict_on_batch(given)
for name, picture in wanted.items():
    np.testing.assert_allclose(drawn[name], picture, atol=2e-3)
assert not [name for name in sys.modules if name.startswith("keras_lapgan")]
print("opened")
"""


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="as on torch, and JAX is slow"
)
def test_it_opens_where_this_package_is_not_imported(models, tmp_path):
    model = models.lapgan(
        networks.LSUNGenerator(8, num_classes=2), models.dense(4, num_classes=2)
    )
    plain_sampler(model).model.save(tmp_path / "model.keras")
    stages = model.generate(5, seed=3, return_pyramid=True, dtype="float32")
    stages = {f"images_{k}": stage for k, stage in enumerate(stages)}
    np.savez(tmp_path / "wanted.npz", **values(model), **stages)
    done = subprocess.run(
        [sys.executable, "-c", OPEN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        timeout=300,
    )
    assert done.stdout == "opened\n", done.stderr


# === Networks of one's own ===


def band(x):
    return layers.Reshape((8, 8, 3))(layers.Dense(192)(x))


def called_twice(inputs):
    layer = layers.Dense(6, activation="tanh", name="twice")
    return band(
        layers.Concatenate()(
            [layer(inputs["noise"]), layer(layers.Dense(6)(inputs["noise"]))]
        )
    )


def with_numbers(inputs):
    return band(2.0 * inputs["noise"] + 1.0)


def of_two_outputs(inputs):
    left, right = ops.split(inputs["noise"], 2, axis=-1)
    return band(ops.concatenate([right, left[:, :2]], axis=-1))


def nested(inputs):
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(6)]
    )
    x = keras.Input((6,))
    outer = keras.Model(x, layers.LayerNormalization()(inner(x)))
    return band(outer(inputs["noise"]))


def by_keyword(inputs):
    x = layers.Reshape((3, 2))(inputs["noise"])
    x = layers.MultiHeadAttention(2, 4)(query=x, value=x)
    return band(layers.Flatten()(x))


def upwards(inputs):
    x = layers.Dense(4 * 4 * 6)(inputs["noise"])
    x = layers.BatchNormalization()(layers.Reshape((4, 4, 6))(x))
    x = layers.UpSampling2D(2)(layers.Dropout(0.5)(layers.LeakyReLU()(x)))
    return layers.Conv2DTranspose(3, 3, padding="same")(x)


def of_classes(inputs):
    labels = inputs["labels"]
    codes = [ops.one_hot(labels, 3), layers.Embedding(3, 4)(labels)]
    more = ops.one_hot(labels, 5)
    return band(layers.Concatenate()([*codes, more, inputs["noise"]]))


OWN = [
    called_twice,
    with_numbers,
    of_two_outputs,
    nested,
    by_keyword,
    upwards,
]


@pytest.mark.parametrize(
    "body", some(OWN, called_twice, nested), ids=lambda body: body.__name__
)
def test_networks_of_one_s_own(models, body):
    plain = check(models.lapgan(models.own(body)))
    names = [node["name"] for node in plain.nodes]
    assert len(set(names)) == len(names)


def test_a_network_of_one_s_own_with_classes(models):
    check(models.lapgan(models.own(of_classes, num_classes=3)))


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_a_network_of_one_tensor_or_a_list(models):
    noise = keras.Input((6,), name="noise")
    network = keras.Model(noise, band(noise))
    check(models.lapgan(models.as_generator(network)))
    labels = keras.Input((), dtype="int32", name="labels")
    code = ops.one_hot(labels, 3)
    network = keras.Model(
        [labels, noise], band(layers.Concatenate()([noise, code]))
    )
    check(models.lapgan(models.as_generator(network, num_classes=3)))


def test_what_only_keras_knows_has_no_operation(models):
    nodes = plain_sampler(models.lapgan(models.own(upwards))).nodes
    unknown = {node["layer"] for node in nodes if node["op"] is None}
    assert unknown == {"Conv2DTranspose"}


def others_of_known_layers(inputs):
    """Layers whose ops are known, with arguments that are not."""
    x = layers.Reshape((2, 2, 6))(layers.Dense(24)(inputs["noise"]))
    x = layers.UpSampling2D(3)(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    x = layers.Add()([x, x, x])
    return band(layers.Flatten()(x))


def test_a_known_layer_with_other_arguments_has_no_operation(models):
    model = models.lapgan(models.own(others_of_known_layers))
    nodes = check(model).nodes
    unknown = [node["layer"] for node in nodes if node["op"] is None]
    assert unknown == [
        *["UpSampling2D"] * 2,
        "AveragePooling2D",
        "Add of more than two",
    ]


class Louder(networks.DenseGenerator):
    def call(self, inputs, training=False):
        return 2.0 * super().call(inputs, training=training)


class Shifted(keras.Model):
    def call(self, inputs, training=False):
        return 1.0 + super().call(inputs, training=training)


class NoGraph(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.band = keras.Sequential(
            [keras.Input((6,)), layers.Dense(192), layers.Reshape((8, 8, 3))]
        )

    def call(self, inputs):
        return self.band(inputs["noise"])


def functional(cls):
    inputs = {"noise": keras.Input((6,), name="noise")}
    return cls(inputs, band(inputs["noise"]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Louder(8, hidden_units=(4,), noise_dim=6),
        lambda: functional(Shifted),
        NoGraph,
    ],
    ids=["Louder", "Shifted", "NoGraph"],
)
def test_a_call_of_one_s_own_is_refused(models, make):
    model = models.lapgan(models.as_generator(make()))
    with pytest.raises(ExportError) as error:
        plain_sampler(model)
    assert "level 0 has a `call` of its own" in str(error.value)
    assert str(error.value).endswith(f"Received: {type(make()).__name__}")
