import json
import os
import pickle

import h5py
import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops

from keras_lapgan import PresetError
from keras_lapgan.presets.preset_folder import serialized
from keras_lapgan.presets.weights_file import assign_weights
from keras_lapgan.presets.weights_file import read_weights
from keras_lapgan.presets.weights_file import variables_by_path
from keras_lapgan.presets.weights_file import write_weights
from keras_lapgan.presets.weights_layout import weights_layout

LAYOUT = {"layers/a/vars/0": (2, 3), "layers/a/vars/1": ()}


def numpy(model, **kwargs):
    """A model's variables by path, as numpy."""
    return {
        name: np.array(ops.convert_to_numpy(variable))
        for name, variable in variables_by_path(model, **kwargs).items()
    }


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, name)


def read(path, model, **kwargs):
    return read_weights(path, weights_layout(serialized(model)), **kwargs)


@pytest.fixture
def made(tiny):
    """Makes the same model, all its numbers by a seed."""

    def make(seed=0):
        model = tiny.model((9, 4), num_classes=3, filters=2)
        model.compile("adam", keras.optimizers.SGD(momentum=0.5))
        model.optimizer.build(model.trainable_variables)
        rng = np.random.default_rng(seed)
        for variable in variables_by_path(model, True).values():
            variable.assign(rng.uniform(0, 99, variable.shape))
        return model

    return make


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.weights.h5"


# === What is written ===


@pytest.mark.parametrize("include_optimizer", [False, True])
def test_round_trip(made, path, include_optimizer):
    model = made()
    write_weights(path, model, include_optimizer=include_optimizer)
    arrays = read(path, model, has_optimizer=include_optimizer)
    expected = numpy(model, include_optimizer=include_optimizer)
    assert_same(arrays, expected)
    copy = made(seed=1)
    for name, value in numpy(copy).items():
        assert not np.array_equal(value, expected[name])
    assign_weights(copy, arrays, include_optimizer)
    assert_same(numpy(copy, include_optimizer=include_optimizer), expected)


def test_keras_reads_what_this_writes_and_the_other_way_round(made, path):
    model = made()
    write_weights(path, model, include_optimizer=True)
    copy = made(seed=1)
    copy.load_weights(path)
    assert_same(
        numpy(copy, include_optimizer=True),
        numpy(model, include_optimizer=True),
    )
    # Keras writes the state of a `MultiOptimizer` twice.
    model.optimizer = None
    model.save_weights(path)
    assert_same(read(path, model), numpy(model))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_of_half_the_size(made, path, dtype):
    model = made()
    write_weights(path, model, dtype, include_optimizer=True)
    arrays = read(path, model, has_optimizer=True)
    half = np.dtype(getattr(ml_dtypes, dtype, dtype))
    expected = {}
    for name, value in numpy(model, include_optimizer=True).items():
        network = any(role in name for role in ("generator", "discriminator"))
        assert (arrays[name].dtype == half) == network, name
        expected[name] = value.astype(half) if network else value
    assert_same(arrays, expected)
    for load in (
        lambda copy: assign_weights(copy, arrays, True),
        lambda copy: copy.load_weights(path),
    ):
        copy = made(seed=1)
        load(copy)
        assert_same(numpy(copy, include_optimizer=True), expected)


def test_a_weight_too_large_for_half_the_size(made, path):
    model = made()
    bias = model.level(0).generator.weights[1]
    bias.assign(ops.full(bias.shape, 70_000.0))
    with pytest.raises(PresetError, match="too large for float16"):
        write_weights(path, model, "float16")
    write_weights(path, model, "bfloat16")


def test_the_model_does_not_hold_on_to_the_file(made, path):
    model = made()
    write_weights(path, model)
    assign_weights(model, read(path, model))
    before = numpy(model)
    with open(path, "r+b") as file:
        file.write(b"\1" * os.path.getsize(path))
    assert_same(numpy(model), before)


def test_arrays_at_odd_places(made, path):
    model = made()
    write_weights(path, model)
    arrays = read(path, model)
    odd = {}
    for name, value in arrays.items():
        data = b"\0" + value.tobytes()
        odd[name] = np.frombuffer(data, value.dtype, value.size, 1)
        odd[name] = odd[name].reshape(value.shape)
    copy = made(seed=1)
    assign_weights(copy, odd)
    assert_same(numpy(copy), numpy(model))


# === What is refused ===


def file_of(path, **others):
    """Writes the arrays of `LAYOUT`, and others."""
    arrays = {name: np.ones(shape, "f4") for name, shape in LAYOUT.items()}
    arrays |= {name.replace("__", "/"): v for name, v in others.items()}
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            if value is not None:
                file[name] = value


def test_what_is_read(path):
    file_of(path)
    arrays = read_weights(path, LAYOUT)
    assert {name: value.shape for name, value in arrays.items()} == LAYOUT


@pytest.mark.parametrize(
    "others, message",
    [
        ({"layers__a__vars__1": None}, "layers/a/vars/1 is missing.*6 numbers"),
        ({"layers__b": np.ones(3)}, "layers/b is not of it.*10 numbers; .* 7."),
        ({"layers__a__vars__1": np.ones(1)}, r"vars/1 is \(1,\), not \(\)"),
        ({"optimizer__vars__0": np.ones(1)}, "optimizer/vars/0 is not of it"),
        (
            {"layers__a__vars__0": np.ones((3, 2)), "b": 1.0, "c": 1.0},
            r"is \(3, 2\), not \(2, 3\), and 2 more",
        ),
        ({"layers__a__vars__1": np.float32("nan")}, "vars/1 has values that"),
        ({"layers__a__vars__1": np.float16("inf")}, "vars/1 has values that"),
        # Finite, but not for the model.
        ({"layers__a__vars__1": 1e300}, "vars/1 has values that"),
        ({"layers__a__vars__1": h5py.SoftLink("/a")}, "not a plain HDF5 file"),
    ],
)
def test_arrays_that_do_not_fit(path, others, message):
    file_of(path, **others)
    with pytest.raises(PresetError, match=message):
        read_weights(path, LAYOUT)


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"optimizer__vars__1": 1.0},
        {"optimizer__vars__0": 1.0, "optimizer__vars__2": 1.0},
        {"optimizer__vars__0": 1.0, "optimizer__vars__00": 1.0},
    ],
)
def test_an_optimizer_s_state_has_no_gaps(path, others):
    file_of(path, **others)
    with pytest.raises(PresetError, match="lacks the optimizers' state"):
        read_weights(path, LAYOUT, has_optimizer=True)


def test_an_optimizer_s_state_of_another_recipe(made, path):
    model = made()
    write_weights(path, model, include_optimizer=True)
    arrays = dict(read(path, model, has_optimizer=True))
    model.compile("adam", "adam")
    model.optimizer.build(model.trainable_variables)
    before = numpy(model)
    with pytest.raises(PresetError, match="not of the recipe in config.json"):
        assign_weights(model, arrays, include_optimizer=True)
    assert_same(numpy(model), before)


@pytest.mark.parametrize(
    "content", [b"", b"\x89HDF\r\n\x1a\n", pickle.dumps(LAYOUT), b"PK\3\4"]
)
def test_other_files(path, content):
    path.write_bytes(content)
    with pytest.raises(PresetError, match="not a plain HDF5 file of weights"):
        read_weights(path, LAYOUT)


def test_no_file(tmp_path, path):
    for place in (tmp_path, path):
        with pytest.raises(PresetError, match="not a plain HDF5 file"):
            read_weights(place, LAYOUT)
    path.write_text(json.dumps(LAYOUT))
    with pytest.raises(PresetError, match="it is no HDF5 file"):
        read_weights(path, LAYOUT)
