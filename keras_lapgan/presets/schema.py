"""What may stand in the JSON files of a preset folder.

A preset can come from anybody. Before anything is built from it, every key
and value is looked at here: unknown keys, wrong types, numbers out of range
and classes that are not listed are refused.

A check is a function of a value and of the place where it stands.
"""

import re
import reprlib
import unicodedata

from keras_lapgan.utils.preset_error import PresetError

_POLICIES = ("float32", "bfloat16", "mixed_bfloat16")
_ACTIVATIONS = (
    "elu",
    "gelu",
    "leaky_relu",
    "linear",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
)


#: What turns the direction of text, so that it reads as something else.
_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SHORT = reprlib.Repr()
_SHORT.maxstring = 100


def _refuse(where, expected, value):
    raise PresetError(
        f"{where} must be {expected}. Received: {_SHORT.repr(value)}"
    )


# === Kinds of checks ===


def _integer(low, high):
    def check(value, where):
        if type(value) is not int or not low <= value <= high:
            _refuse(where, f"a whole number from {low} to {high}", value)

    return check


def _number(low=-1e12, high=1e12):
    def check(value, where):
        if type(value) not in (int, float) or not low <= value <= high:
            _refuse(where, f"a number from {low:g} to {high:g}", value)

    return check


def _text(length=200, pattern=None, kind=None, several_lines=False):
    def check(value, where):
        if not isinstance(value, str) or len(value) > length:
            _refuse(where, f"a text of at most {length} characters", value)
        if any(
            (unicodedata.category(c) in ("Cc", "Cs") or c in _TURNS)
            and not (several_lines and c == "\n")
            for c in value
        ):
            _refuse(where, "a text without control characters", value)
        if pattern and not re.fullmatch(pattern, value):
            _refuse(where, kind or f"a text like {pattern}", value)

    return check


def _one_of(*allowed):
    def check(value, where):
        if not any(type(value) is type(a) and value == a for a in allowed):
            _refuse(where, f"one of {', '.join(map(repr, allowed))}", value)

    return check


def _list(check_item, low=0, high=16):
    def check(value, where):
        if not isinstance(value, list) or not low <= len(value) <= high:
            _refuse(where, f"a list of {low} to {high}", value)
        for i, item in enumerate(value):
            check_item(item, f"{where}[{i}]")

    return check


def _list_or(check_item, **limits):
    check_list = _list(check_item, **limits)

    def check(value, where):
        (check_list if isinstance(value, list) else check_item)(value, where)

    return check


def _or_none(check_some):
    def check(value, where):
        if value is not None:
            check_some(value, where)

    return check


def _record(required, optional=None):
    known = {**required, **(optional or {})}

    def check(value, where):
        if not isinstance(value, dict):
            _refuse(where, "a table of names and values", value)
        for name in value:
            if name not in known:
                raise PresetError(
                    f"{where} has an unknown entry {_SHORT.repr(name)}. "
                    f"Known: {', '.join(known)}."
                )
        for name in required:
            if name not in value:
                raise PresetError(f"{where} lacks {name!r}.")
        for name, item in value.items():
            known[name](item, f"{where}.{name}")

    return check


_boolean = _one_of(True, False)


# === Keras objects ===


def _object(classes, module, registered=True, optional=None):
    """One of some classes, in Keras' serialised form.

    Args:
        classes: dict from a class' name to the check of its config.
        module: str. A pattern of the module's name.
        registered: bool. Whether they are this package's.
        optional: dict of other entries that the object may have.
    """

    def check(value, where):
        if not isinstance(value, dict) or value.get("class_name") not in (
            *classes,
        ):
            name = value.get("class_name") if isinstance(value, dict) else value
            _refuse(where, f"a {' or '.join(classes)}", name)
        name = value["class_name"]
        identity = f"keras_lapgan>{name}" if registered else None
        _record(
            {
                "module": _text(pattern=module),
                "class_name": _one_of(name),
                "config": classes[name],
                "registered_name": _one_of(identity),
            },
            optional,
        )(value, where)

    return check


_OURS = r"keras_lapgan(\.\w+)*"

_policy_object = _object(
    {"DTypePolicy": _record({"name": _one_of(*_POLICIES)})},
    r"keras",
    registered=False,
)


def _policy(value, where):
    (_one_of(*_POLICIES) if isinstance(value, str) else _policy_object)(
        value, where
    )


def check_policy(dtype, where):
    """Checks a dtype policy's name, and returns it."""
    dtype = getattr(dtype, "name", dtype)
    if dtype in ("float16", "mixed_float16"):
        raise PresetError(
            f"{where}: float16 needs scaled losses, which two optimizers in "
            "one step do not get. Use mixed_bfloat16. "
            f"Received: dtype={dtype!r}"
        )
    _one_of(*_POLICIES)(dtype, where)
    return dtype


# A name is a part of paths; those of levels and networks are TensorFlow
# scopes.
_name = _text(pattern=r"[^/\s]([^/]*[^/\s])?", kind="a name without /")
_scope = _text(
    pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    kind="a name of letters, digits, _, . and -",
)
_any_object = {
    "name": _name,
    "trainable": _boolean,
    "dtype": _or_none(_policy),
}

# === Optimizers ===

_learning_rate = _number(0, 1e6)
_steps = _integer(0, 10**12)
_SCHEDULES = {
    "CosineDecay": (
        "initial_learning_rate",
        "decay_steps",
        "alpha",
        "warmup_target",
        "warmup_steps",
    ),
    "CosineDecayRestarts": (
        "initial_learning_rate",
        "first_decay_steps",
        "t_mul",
        "m_mul",
        "alpha",
    ),
    "ExponentialDecay": (
        "initial_learning_rate",
        "decay_steps",
        "decay_rate",
        "staircase",
    ),
    "InverseTimeDecay": (
        "initial_learning_rate",
        "decay_steps",
        "decay_rate",
        "staircase",
    ),
    "PiecewiseConstantDecay": ("boundaries", "values"),
    "PolynomialDecay": (
        "initial_learning_rate",
        "decay_steps",
        "end_learning_rate",
        "power",
        "cycle",
    ),
}
_ADAM = ("beta_1", "beta_2", "epsilon", "amsgrad")
_OPTIMIZERS = {
    "Adadelta": ("rho", "epsilon"),
    "Adagrad": ("initial_accumulator_value", "epsilon"),
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "Adamax": ("beta_1", "beta_2", "epsilon"),
    "Lion": ("beta_1", "beta_2"),
    "Nadam": ("beta_1", "beta_2", "epsilon"),
    "RMSprop": ("rho", "momentum", "epsilon", "centered"),
    "SGD": ("momentum", "nesterov"),
}
_DAMPED_SGD = (
    "momentum",
    "momentum_ramp",
    "max_momentum",
    "decay",
    "steps_per_epoch",
)
_EVERY_OPTIMIZER = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


def _setting(value, where):
    """A hyperparameter: a number, a switch or None."""
    if value is not None and type(value) is not bool:
        _number()(value, where)


def _settings(names, **others):
    return _record({}, {**dict.fromkeys(names, _setting), **others})


_schedule = _object(
    {
        name: _settings(
            names,
            name=_name,
            **{
                key: _list(_number(), high=1000)
                for key in ("boundaries", "values")
                if key in names
            },
        )
        for name, names in _SCHEDULES.items()
    },
    r"keras\.optimizers\.schedules",
    registered=False,
)


def _rate(value, where):
    (_schedule if isinstance(value, dict) else _learning_rate)(value, where)


def _optimizer_config(names):
    return _settings(
        (*_EVERY_OPTIMIZER, *names), name=_name, learning_rate=_rate
    )


_keras_optimizer = _object(
    {name: _optimizer_config(names) for name, names in _OPTIMIZERS.items()},
    r"keras\.optimizers",
    registered=False,
)
_damped_sgd = _object({"DampedSGD": _optimizer_config(_DAMPED_SGD)}, _OURS)


def _optimizer(value, where):
    name = value.get("class_name") if isinstance(value, dict) else value
    if not isinstance(name, str) or name not in (*_OPTIMIZERS, "DampedSGD"):
        known = ", ".join((*_OPTIMIZERS, "DampedSGD"))
        _refuse(where, f"one of {known}", name)
    (_damped_sgd if name == "DampedSGD" else _keras_optimizer)(value, where)


_objective = _one_of(
    "non_saturating", "minimax", "least_squares", "hinge", "relativistic"
)
_compile_config = _record(
    {},
    {
        "d_optimizer": _list_or(_optimizer, low=1),
        "g_optimizer": _list_or(_optimizer, low=1),
        "objective": _list_or(_objective, low=1),
        "gradient_penalty": _list_or(_number(0, 1e6), low=1),
        "levels": _or_none(_list(_integer(0, 15), low=1)),
        "ema_decay": _number(0, 1),
        "chained": _number(0, 1),
        "seed": _integer(0, 2**64 - 1),
        "jit_compile": _one_of("auto", True, False),
        "steps_per_execution": _integer(1, 10_000),
        "run_eagerly": _boolean,
    },
)


# === Networks and model ===

_side = _integer(1, 1024)
_size = _list_or(_side, low=2, high=2)
_width = _integer(1, 65_536)
_classes = _integer(0, 10_000)
_network = {
    **_any_object,
    "name": _scope,
    "size": _size,
    "channels": _integer(1, 64),
    "num_classes": _classes,
    "conditional": _boolean,
}
_dropout = _number(0, 1)
_kernel = _integer(1, 64)
_units = _list(_width, low=1)
_count = _integer(1, 64)

GENERATORS = {
    "DenseGenerator": {
        "hidden_units": _units,
        "noise_dim": _width,
        "activations": _list_or(_one_of(*_ACTIVATIONS), low=1),
    },
    "ConvolutionalGenerator": {
        "filters": _width,
        "kernel_sizes": _list(_kernel, low=3, high=3),
    },
    "LSUNGenerator": {"dropout": _dropout},
    "ResidualGenerator": {
        "filters": _units,
        "blocks": _count,
        "noise_dim": _width,
    },
}
DISCRIMINATORS = {
    "DenseDiscriminator": {
        "hidden_units": _units,
        "dropout": _dropout,
        "kernel_stddev": _number(1e-12, 1e6),
    },
    "ConvolutionalDiscriminator": {
        "filters": _width,
        "kernel_size": _kernel,
        "dropout": _dropout,
    },
    "LSUNDiscriminator": {},
    "ResidualDiscriminator": {
        "filters": _units,
        "blocks": _count,
        "units": _width,
    },
}


def _networks(classes):
    return _object(
        {
            name: _record({"size": _size}, {**_network, **own})
            for name, own in classes.items()
        },
        _OURS,
        optional={
            "build_config": _record({"input_shape": _one_of(None)}),
            "compile_config": _record({}),
        },
    )


_level = _object(
    {
        "LAPGANLevel": _record(
            {
                "generator": _networks(GENERATORS),
                "discriminator": _networks(DISCRIMINATORS),
                "index": _integer(0, 15),
            },
            {**_any_object, "name": _scope},
        )
    },
    _OURS,
    optional={"compile_config": _compile_config},
)
_resampling = _one_of("area", "linear", "burt", "replicate")
_class_names = _list(_text(), high=10_000)
_model = _object(
    {
        "LAPGAN": _record(
            {"levels": _list(_level, low=1)},
            {
                **_any_object,
                "down": _resampling,
                "up": _resampling,
                "normalization": _one_of("unit", "per_channel", "per_pixel"),
                "source_size": _or_none(_size),
                "crop": _one_of("corners", "random", "center"),
                "flip": _boolean,
                "class_names": _or_none(_class_names),
                "present": _list(_integer(0, 15), low=1),
            },
        )
    },
    _OURS,
    optional={"compile_config": _or_none(_compile_config)},
)


def check_config(config, where="config.json"):
    """Checks a model in Keras' serialised form, before it is built.

    Raises:
        PresetError: something in it is not what this package writes; the
            message names the place and the value.
    """
    _model(config, where)
    count = len(config["config"]["levels"])
    present = config["config"].get("present", [])
    if len(set(present)) < len(present) or max(present, default=0) >= count:
        _refuse(
            f"{where}.config.present",
            f"a list of different levels from 0 to {count - 1}",
            present,
        )


# === Metadata ===

_version = _text(50, r"[\w.+-]+", "a version")
_METRIC = {
    "name": _text(),
    "value": _number(),
    "floor": _number(),
    "authors": _number(),
    "type": _text(60, r"[a-z0-9_]+"),
    "dataset": _text(),
    "split": _text(),
    "protocol": _text(2000),
}
#: What training leaves in `metadata.json`.
TRAINING = {
    "preset": _text(5000),
    "data": _or_none(_text(5000)),
    "split": _or_none(_text(1000)),
    "images": _integer(0, 10**12),
    "batch_size": _integer(1, 10**9),
    "steps_per_epoch": _or_none(_integer(1, 10**12)),
    "levels": _or_none(_list(_integer(0, 15))),
    "seed": _integer(0, 2**64 - 1),
    "precision": _one_of("float32", "bfloat16"),
    "learning_rate_scale": _or_none(_number(0, 1e6)),
    "chained": _or_none(_number(0, 1)),
    "flip": _or_none(_boolean),
    "crop": _or_none(_one_of("corners", "random", "center")),
    "resize": _one_of("crop", "none"),
    "planned_epochs": _integer(0, 10**12),
    "epochs": _integer(0, 10**12),
    "steps": _integer(0, 10**12),
}
#: What else somebody may say about a model.
ABOUT = {
    "license": _text(
        60, r"[a-z0-9.-]+", "a licence as the Hub calls it, mit or cc-by-4.0"
    ),
    "note": _text(5000, several_lines=True),
    "metrics": _list(
        _record({"name": _METRIC["name"], "value": _METRIC["value"]}, _METRIC),
        high=200,
    ),
}
_metadata = _record(
    {
        "format_version": _integer(1, 10**6),
        "keras_version": _version,
        "keras_lapgan_version": _version,
        "parameter_count": _integer(1, 10**12),
        "weights_sha256": _text(64, r"[0-9a-f]{64}"),
    },
    {
        "weights_dtype": _one_of("float32", "float16", "bfloat16"),
        "has_optimizer": _boolean,
        **TRAINING,
        **ABOUT,
    },
)


def check_metadata(metadata, where="metadata.json"):
    """Checks the content of a preset's `metadata.json`.

    Raises:
        PresetError: an entry is unknown, missing or of another kind.
    """
    _metadata(metadata, where)


def is_license(text):
    """Whether a text is a licence as the Hub calls them."""
    try:
        ABOUT["license"](text, "license")
    except PresetError:
        return False
    return True


def check_about(metadata):
    """Checks what a user adds to the metadata of a model."""
    _record({}, {**TRAINING, **ABOUT})(metadata, "`metadata`")
