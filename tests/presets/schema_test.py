import copy
import functools
import re

import keras
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import LAPGANLevel
from keras_lapgan import PresetError
from keras_lapgan import networks
from keras_lapgan.layers import crop
from keras_lapgan.layers import normalization
from keras_lapgan.layers import resampling
from keras_lapgan.presets import get_preset
from keras_lapgan.presets import list_presets
from keras_lapgan.presets import schema
from keras_lapgan.presets.preset_folder import serialized
from keras_lapgan.presets.schema import check_about
from keras_lapgan.presets.schema import check_config
from keras_lapgan.presets.schema import check_metadata
from keras_lapgan.presets.schema import check_policy
from keras_lapgan.training import OBJECTIVES
from keras_lapgan.training import DampedSGD

NETWORKS = {**schema.GENERATORS, **schema.DISCRIMINATORS}
SCHEDULES = {
    "CosineDecay": (0.1, 100),
    "CosineDecayRestarts": (0.1, 100),
    "ExponentialDecay": (0.1, 100, 0.9),
    "InverseTimeDecay": (0.1, 100, 0.9),
    "PiecewiseConstantDecay": ([10, 20], [0.3, 0.2, 0.1]),
    "PolynomialDecay": (0.1, 100),
}
METADATA = {
    "format_version": 2,
    "keras_version": "3.15.1",
    "keras_lapgan_version": "1.0.0.dev1",
    "parameter_count": 100,
    "weights_sha256": "0" * 64,
}


# === What this package writes ===


@pytest.mark.parametrize("name", list_presets())
def test_published_presets(name):
    check_config(get_preset(name).config())


@pytest.mark.parametrize(
    "kind, dtype",
    [
        ("Dense", "float32"),
        ("Dense", "bfloat16"),
        ("Convolutional", "mixed_bfloat16"),
        ("LSUN", None),
    ],
)
def test_models(kind, dtype):
    def level(k, size):
        generator, discriminator = (
            getattr(networks, f"{kind}{role}")(
                size, num_classes=2, conditional=k == 0, dtype=dtype
            )
            for role in ("Generator", "Discriminator")
        )
        return LAPGANLevel(generator, discriminator, index=k)

    model = LAPGAN(
        [level(0, (26, 28)), level(1, (13, 14))],
        down="burt",
        up="burt",
        source_size=(30, 40),
        crop="random",
        flip=True,
        class_names=["a", "tree frog, Hyla"],
    )
    serialized(model)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
        ("AdamW", {"clipnorm": 1}),
        ("RMSprop", {"centered": True, "gradient_accumulation_steps": 2}),
        ("SGD", {"momentum": 0.9, "nesterov": True, "clipvalue": 0.5}),
        *(
            (name, {"learning_rate": 1e-5, "use_ema": True, "name": "mine"})
            for name in schema._OPTIMIZERS
        ),
    ],
)
def test_optimizers(tiny, name, arguments):
    optimizer = getattr(keras.optimizers, name)(**arguments)
    model = tiny.model((4,))
    model.compile(optimizer, DampedSGD(0.1, decay=1.001))
    serialized(model)


@pytest.mark.parametrize("name, arguments", SCHEDULES.items())
def test_schedules(tiny, name, arguments):
    schedule = getattr(keras.optimizers.schedules, name)(*arguments)
    model = tiny.model()
    model.compile(
        [keras.optimizers.Adam(schedule), DampedSGD(schedule)],
        "sgd",
        objective="hinge",
        levels=[1],
        ema_decay=0.5,
        chained=0.5,
        seed=3,
        steps_per_execution=2,
    )
    serialized(model)


# === The tables agree with the classes ===


@pytest.mark.parametrize("name, own", NETWORKS.items())
def test_arguments_of_networks(name, own):
    network = getattr(networks, name)(16)
    assert {*schema._network, *own} == set(network.get_config())
    assert {*NETWORKS} == {*networks.__all__}


@pytest.mark.parametrize("name", [*schema._OPTIMIZERS, "DampedSGD"])
def test_arguments_of_optimizers(name):
    own = schema._OPTIMIZERS.get(name, schema._DAMPED_SGD)
    optimizer = getattr(keras.optimizers, name, DampedSGD)()
    assert {"name", "learning_rate", *schema._EVERY_OPTIMIZER, *own} == set(
        optimizer.get_config()
    )


@pytest.mark.parametrize("name, arguments", SCHEDULES.items())
def test_arguments_of_schedules(name, arguments):
    schedule = getattr(keras.optimizers.schedules, name)(*arguments)
    own = schema._SCHEDULES[name]
    assert {"name", *own} == set(schedule.get_config())
    assert {*SCHEDULES} == {*schema._SCHEDULES}


def test_arguments_of_models(tiny):
    model = tiny.model()
    model.compile("adam", "adam")
    config = serialized(model)
    # What a model without some of its levels has.
    config["config"]["present"] = [0]
    level = config["config"]["levels"][0]
    for found in (
        config,
        config["config"],
        config["compile_config"],
        level["config"],
    ):
        expected = {*found}
        found["unknown"] = 1
        with pytest.raises(PresetError, match="unknown entry") as caught:
            check_config(config)
        del found["unknown"]
        known = str(caught.value).split("Known: ")[1].rstrip(".").split(", ")
        # All that Keras writes, and nothing but that.
        assert {*known} == expected


# === What is refused ===


@functools.cache
def published():
    return get_preset("lapgan_cifar10_class_conditional_small").config()


def changed(place, value, tree=None):
    """The published config with another value at a place."""
    config = copy.deepcopy(tree or published())
    *path, last = (
        int(part) if part.isdigit() else part
        for part in re.findall(r"[^.\[\]]+", place)
    )
    item = config
    for part in path:
        item = item[part]
    if value is ...:
        del item[last]
    else:
        item[last] = value
    return config


def allowed(place):
    """The texts that may stand at a place, by the message."""
    with pytest.raises(PresetError, match=f"{re.escape(place)} must") as caught:
        check_config(changed(place, "wrong"))
    return set(re.findall(r"'(\w+)'", str(caught.value).split("Received")[0]))


def test_choices():
    model = "config"
    assert allowed("compile_config.objective") == {*OBJECTIVES}
    assert allowed(f"{model}.crop") == {*crop.MODES}
    assert allowed(f"{model}.normalization") == {*normalization.MODES}
    methods = {*resampling.DOWN_METHODS, *resampling.UP_METHODS}
    assert allowed(f"{model}.down") == allowed(f"{model}.up") == methods
    activations = allowed(
        "config.levels[2].config.generator.config.activations"
    )
    assert all(callable(keras.activations.get(name)) for name in activations)
    for name in allowed("config.levels[0].config.generator.config.dtype"):
        check_policy(name, "`dtype`")


G = "config.levels[0].config.generator"
D = "config.levels[2].config.discriminator"
OPTIMIZER = "compile_config.d_optimizer[0]"
HUGE = 10**400
NESTED = functools.reduce(lambda inner, _: [inner], range(500), [])
LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"function": "os.system"},
    "registered_name": None,
}


@pytest.mark.parametrize(
    "place, value, message",
    [
        # Entries.
        (f"{G}.config.evil", 1, "has an unknown entry 'evil'"),
        (f"{G}.config.\x1b", 1, r"unknown entry '\\x1b"),
        (f"{G}.config." + "k" * 5000, 1, "unknown entry 'kkk"),
        (f"{G}.config.noise_dim", 3, "unknown entry 'noise_dim'"),
        (f"{D}.config.filters", 3, "unknown entry 'filters'"),
        (f"{G}.build_config", {"input_shape": [1]}, "input_shape must be one"),
        (f"{G}.compile_config", {"loss": "x"}, "unknown entry 'loss'"),
        ("shared_object_id", 1, "unknown entry 'shared_object_id'"),
        (f"{G}.config.size", ..., "config lacks 'size'"),
        (f"{G}.config", ..., "lacks 'config'"),
        (f"{G}.module", ..., "lacks 'module'"),
        ("config.levels", ..., "lacks 'levels'"),
        ("config.levels[1].config.index", ..., "lacks 'index'"),
        # Classes.
        ("class_name", "LAPGANLevel", "must be a LAPGAN. Received: 'LAPGANL"),
        ("class_name", ["LAPGAN"], "must be a LAPGAN. Received: "),
        (G, LAMBDA, "must be a DenseGenerator or .* Received: 'Lambda'"),
        (G, None, "must be a DenseGenerator or"),
        (f"{G}.class_name", "os.system", "Received: 'os.system'"),
        (f"{G}.class_name", "DenseDiscriminator", "Received: 'DenseDisc"),
        (f"{G}.module", "os", "module must be a text like"),
        (f"{G}.module", "keras_lapgan.networks\n", "module must be a text"),
        (f"{G}.module", "keras_lapgan..networks", "module must be a text"),
        (f"{G}.registered_name", "keras>Dense", "must be one of 'keras_lapgan"),
        (f"{G}.registered_name", None, "registered_name must be one of"),
        (f"{G}.config.dtype", LAMBDA, "must be a DTypePolicy"),
        # Whole numbers.
        (f"{G}.config.size", True, "size must be a whole number.*: True"),
        (f"{G}.config.size", 8.0, "size must be a whole number.*: 8.0"),
        (f"{G}.config.size", "8", "size must be a whole number.*: '8'"),
        (f"{G}.config.size", 0, "from 1 to 1024. Received: 0"),
        (f"{G}.config.size", -1, "from 1 to 1024. Received: -1"),
        (f"{G}.config.size", 1025, "from 1 to 1024. Received: 1025"),
        (f"{G}.config.size", HUGE, "from 1 to 1024. Received: 1000"),
        (f"{G}.config.size", [1, 2, 3], "a list of 2 to 2. Received: "),
        (f"{G}.config.size", [8, 0], r"size\[1\] must .* Received: 0"),
        (f"{G}.config.size", {}, "size must be a whole number"),
        (f"{G}.config.kernel_sizes", [7, 7], "a list of 3 to 3"),
        (f"{D}.config.hidden_units", [], "a list of 1 to 16"),
        (f"{D}.config.hidden_units", [1] * 17, "a list of 1 to 16"),
        (f"{D}.config.num_classes", -1, "num_classes must be"),
        ("config.source_size", [4097, 1], r"source_size\[0\] must be"),
        # Numbers.
        (f"{D}.config.dropout", float("nan"), "from 0 to 1. Received: nan"),
        (f"{D}.config.dropout", float("inf"), "from 0 to 1. Received: inf"),
        (f"{D}.config.dropout", False, "from 0 to 1. Received: False"),
        (f"{OPTIMIZER}.config.beta_1", float("inf"), "beta_1 must be a number"),
        (f"{OPTIMIZER}.config.beta_1", HUGE, "beta_1 must be a number"),
        (f"{OPTIMIZER}.config.beta_1", [0.5], "beta_1 must be a number"),
        (f"{OPTIMIZER}.config.learning_rate", -1.0, "from 0 to 1e"),
        (f"{OPTIMIZER}.config.learning_rate", None, "from 0 to 1e"),
        ("compile_config.seed", 2**64, "seed must be a whole number"),
        ("compile_config.ema_decay", 1.5, "ema_decay must be a number from"),
        ("compile_config.chained", 2, "chained must be a number from 0"),
        # Texts.
        ("config.name", "a/b", "config.name must be a name without /"),
        ("config.name", " ", "config.name must be a name without /"),
        ("config.name", "x" * 201, "a text of at most 200 characters"),
        ("config.name", "\x1b[31m", "a text without control characters"),
        ("config.name", "\ud800", "a text without control characters"),
        (
            "config.levels[0].config.name",
            "$(x)",
            "name must be a name of letters",
        ),
        (f"{G}.config.name", "../x", "a name of letters"),
        ("config.class_names[3]", "x" * 201, r"class_names\[3\] must be a"),
        ("config.class_names[3]", None, r"class_names\[3\] must be a"),
        # Switches and choices.
        ("config.flip", 1, "flip must be one of True, False. Received: 1"),
        (f"{G}.config.trainable", "yes", "trainable must be one of"),
        (f"{G}.config.dtype", "float16", "dtype must be one of"),
        ("config.crop", ["random"], "crop must be one of"),
        ("config.dtype", "mixed_float16", "dtype must be one of"),
        # Optimizers.
        (OPTIMIZER, "adam", "must be one of Adadelta, .*Received: 'adam'"),
        (OPTIMIZER, LAMBDA, "must be one of Adadelta, .*Received: 'Lambda'"),
        (f"{OPTIMIZER}.module", "keras.optimizersX", "module must be a text"),
        (f"{OPTIMIZER}.registered_name", "mine>Adam", "must be one of None"),
        (f"{OPTIMIZER}.config.rho", 0.5, "unknown entry 'rho'"),
        (f"{OPTIMIZER}.config.learning_rate", LAMBDA, "Received: 'Lambda'"),
        ("compile_config.d_optimizer", [], "a list of 1 to 16"),
        ("compile_config.loss", "mse", "unknown entry 'loss'"),
        ("compile_config", [], "compile_config must be a table"),
        # Depth.
        ("config.levels", [], "levels must be a list of 1 to 16"),
        ("config.levels", [1] * 17, "levels must be a list of 1 to 16"),
        ("config.levels", NESTED, r"levels\[0\] must be a LAPGANLevel"),
        ("config", NESTED, "config must be a table of names and values"),
    ],
)
def test_what_is_refused(place, value, message):
    with pytest.raises(PresetError, match=message) as caught:
        check_config(changed(place, value))
    text = str(caught.value)
    assert f"config.json.{place}".rpartition(".")[0] in text
    assert len(text) < 1000 and text.isprintable()


def test_policies():
    with pytest.raises(PresetError, match="Use mixed_bfloat16"):
        check_policy("mixed_float16", "`dtype`")
    with pytest.raises(PresetError, match="Received: 'int8'"):
        check_policy("int8", "`dtype`")


# === Metadata ===


def test_metadata():
    check_metadata(METADATA)
    about = {
        "license": "cc-by-4.0",
        "note": "Two lines.\nÀ la carte.",
        "metrics": [{"name": "FID", "value": 12.5, "protocol": "10k"}],
        "epochs": 3,
        "split": None,
        "levels": [0, 2],
    }
    check_metadata(
        {
            **METADATA,
            "weights_dtype": "bfloat16",
            "has_optimizer": True,
            **about,
        }
    )
    check_about(about)
    check_about({})


@pytest.mark.parametrize(
    "place, value, message",
    [
        ("author", "me", "has an unknown entry 'author'"),
        ("weights_sha256", ..., "lacks 'weights_sha256'"),
        ("weights_sha256", "0" * 63, "weights_sha256 must be a text like"),
        ("weights_sha256", "G" * 64, "weights_sha256 must be a text like"),
        ("format_version", True, "format_version must be a whole number"),
        ("format_version", 0, "format_version must be a whole number"),
        ("parameter_count", 0, "parameter_count must be a whole number"),
        ("parameter_count", 1e3, "parameter_count must be a whole number"),
        ("keras_version", "3; rm -rf", "keras_version must be a version"),
        ("keras_version", None, "keras_version must be a text"),
        ("weights_dtype", "int8", "weights_dtype must be one of"),
        ("has_optimizer", 1, "has_optimizer must be one of True, False"),
        ("license", "MIT License", "license must be a licence"),
        ("note", "x" * 5001, "note must be a text of at most 5000"),
        ("note", "\x1b[2J", "note must be a text without control"),
        ("metrics", [{"value": 1}], r"metrics\[0\] lacks 'name'"),
        ("metrics", [{"name": "a", "value": float("nan")}], "Received: nan"),
        ("metrics", [{"name": "a", "value": "1"}], "value must be a number"),
        ("metrics", [{}] * 201, "metrics must be a list of 0 to 200"),
        ("epochs", "3", "epochs must be a whole number"),
        ("seed", HUGE, "seed must be a whole number"),
    ],
)
def test_refused_metadata(place, value, message):
    with pytest.raises(PresetError, match=message) as caught:
        check_metadata(changed(place, value, METADATA))
    assert str(caught.value).startswith("metadata.json")


def test_what_a_user_cannot_say():
    with pytest.raises(PresetError, match="unknown entry 'format_version'"):
        check_about({"format_version": 2})
