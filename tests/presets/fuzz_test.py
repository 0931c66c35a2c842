"""Damaged and hostile preset folders: each loads whole, or is refused.

Run as a program, with a preset's folder and a number, it checks as many
damaged weights files without Keras, and prints what it took.
"""

import collections
import contextlib
import copy
import json
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import h5py
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_lapgan.presets import preset_folder
from keras_lapgan.presets import schema
from keras_lapgan.utils.preset_error import PresetError


def run(check, examples, *strategies):
    """Counts what `check` returns for so many examples; none may hang."""
    counts = collections.Counter()

    def hang(*_):
        raise AssertionError("more than 20 seconds")

    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.tuples(*strategies))
    def one(mutation):
        signal.alarm(20)
        counts[check(*mutation)] += 1
        signal.alarm(0)

    before = signal.signal(signal.SIGALRM, hang)
    try:
        one()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return counts


def peak_megabytes():
    status = pathlib.Path("/proc/self/status")
    if status.is_file():
        # `ru_maxrss` begins with what the parent process had.
        found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(counts, start):
    """Shown with -s, and of tests that fail."""
    print(
        f"{dict(counts)}, {time.perf_counter() - start:.0f} s, "
        f"{peak_megabytes():.0f} MB at the peak"
    )


# === config.json and metadata.json ===

_SCHEDULE = {
    "module": "keras.optimizers.schedules",
    "class_name": "PiecewiseConstantDecay",
    "config": {"boundaries": [1], "values": [1, 2]},
    "registered_name": None,
}
_LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"function": "os.system"},
    "registered_name": None,
}
_CLASSES = [
    *schema.GENERATORS,
    *schema.DISCRIMINATORS,
    *schema._OPTIMIZERS,
    *schema._SCHEDULES,
    "DampedSGD",
]
_HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 20),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from([0.5, 4096, 4097, 2**63, 2**64, 10**400, 1e12, 1e300]),
    st.sampled_from(["a/b", "..", "\x1b[2J", "\ud800", "$(x)", "%s", "{}"]),
    st.sampled_from([[], {}, [[]], [1, 2, 3], [4, 9], "x" * 5000]),
    st.sampled_from([_SCHEDULE, _LAMBDA, *_CLASSES]),
    st.sampled_from(["bfloat16", "float16", "burt", "random", "per_channel"]),
)
_KEYS = st.sampled_from(
    sorted(
        {
            *schema._EVERY_OPTIMIZER,
            *schema._DAMPED_SGD,
            *schema.TRAINING,
            *schema.ABOUT,
            *(
                key
                for classes in (schema.GENERATORS, schema.DISCRIMINATORS)
                for keys in classes.values()
                for key in keys
            ),
            *(
                "dtype",
                "name",
                "num_classes",
                "conditional",
                "down",
                "__class__",
            ),
            *("learning_rate", "objective", "levels", "shared_object_id", ""),
        }
    )
)
_PLACE = st.integers(0, 10_000)
_CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), _PLACE, _HOSTILE),
        st.tuples(st.just("delete"), _PLACE, st.none()),
        st.tuples(st.just("insert"), _PLACE, st.tuples(_KEYS, _HOSTILE)),
        st.tuples(st.just("repeat"), _PLACE, st.none()),
        st.tuples(st.just("swap"), _PLACE, _PLACE),
        st.tuples(st.just("scale"), _PLACE, st.sampled_from([-1, 0.5, 2, 1e6])),
        st.tuples(st.just("class"), _PLACE, st.sampled_from(_CLASSES)),
    ),
    min_size=1,
    max_size=3,
)
_BYTES = st.one_of(
    st.none(),
    st.tuples(
        _PLACE,
        st.integers(0, 300),
        st.one_of(
            st.binary(max_size=3),
            st.sampled_from(
                [b"[" * 100_000, b"9" * 5000, b"NaN", b"1e999", b'"\\ud800"']
            ),
        ),
    ),
)


def nodes(tree, path=()):
    yield path
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield from nodes(tree[key], (*path, key))


def changed(tree, changes):
    """A JSON tree with changes at some of its nodes."""
    tree = {"root": copy.deepcopy(tree)}
    for kind, place, value in changes:
        found = list(nodes(tree))[1:]
        if kind == "class":
            found = [path for path in found if path[-1] == "class_name"]
        if not found:
            continue
        *path, last = found[place % len(found)]
        home = tree
        for key in path:
            home = home[key]
        item = home[last]
        if kind in ("replace", "class"):
            home[last] = copy.deepcopy(value)
        elif kind == "delete" and path:
            del home[last]
        elif kind == "insert" and isinstance(item, dict):
            item[value[0]] = copy.deepcopy(value[1])
        elif kind == "insert" and isinstance(item, list):
            item.append(copy.deepcopy(value[1]))
        elif kind == "repeat" and isinstance(home, list):
            home.insert(last, copy.deepcopy(item))
        elif kind == "scale" and isinstance(item, int | float):
            with contextlib.suppress(OverflowError):
                home[last] = item * value
        elif kind == "swap":
            other = tree
            *path, key = found[value % len(found)]
            for part in path:
                other = other[part]
            home[last], other[key] = (
                copy.deepcopy(other[key]),
                copy.deepcopy(item),
            )
    return tree["root"]


@pytest.fixture(scope="module")
def preset(tiny, tmp_path_factory):
    """A folder with all that a preset can have."""
    import keras

    from keras_lapgan.training import DampedSGD

    model = tiny.model((9, 4), 3, filters=2, class_names=["a", "b", "c"])
    model.compile(
        [keras.optimizers.Adam(), DampedSGD()], DampedSGD(), **tiny.quick
    )
    folder = tmp_path_factory.mktemp("preset") / "mine"
    model.save_to_preset(folder, include_optimizer=True)
    return folder


def is_whole(model):
    picture = model.generate(1)
    assert picture.dtype == "uint8"
    assert picture.shape == (1, *model.image_shape)


def fuzz_json(preset, folder, examples):
    import keras

    from keras_lapgan import LAPGAN

    shutil.copytree(preset, folder, dirs_exist_ok=True)
    whole = {
        name: json.loads((preset / name).read_text())
        for name in ("config.json", "metadata.json")
    }

    def check(name, changes, edit, load_weights):
        for other, tree in whole.items():
            tree = changed(tree, changes) if other == name else tree
            data = json.dumps(tree).encode()
            if edit and other == name:
                place, length, new = edit
                place %= len(data)
                data = data[:place] + new + data[place + length :]
            (folder / other).write_bytes(data)
        try:
            model = LAPGAN.from_preset(folder, load_weights=load_weights)
        except PresetError as error:
            assert len(str(error)) < 3000
            return "refused"
        is_whole(model)
        # What Keras remembers of each model.
        keras.utils.clear_session(free_memory=False)
        return "loaded"

    return run(
        check,
        examples,
        # The config has more to it.
        st.sampled_from(["config.json", "config.json", "metadata.json"]),
        _CHANGES,
        st.one_of(st.none(), st.none(), st.none(), _BYTES),
        st.booleans(),
    )


def test_json(preset, tmp_path):
    counts = fuzz_json(preset, tmp_path, 60)
    assert {*counts} == {"loaded", "refused"}


@pytest.mark.slow
def test_much_json(preset, tmp_path):
    start = time.perf_counter()
    counts = fuzz_json(preset, tmp_path, 2000)
    report(counts, start)
    assert min(counts["loaded"], counts["refused"]) > 200


# === model.weights.h5 ===


def _link(file, name):
    file["b"] = h5py.SoftLink(f"/{name}")


def _hard_link(file, name):
    file["b"] = file[name]


def _external_link(file, name):
    file["b"] = h5py.ExternalLink("/etc/passwd", name)


def _another(file, name):
    file["b"] = np.ones(3)


def _delete(file, name):
    del file[name]


def _loop(file, name):
    file[f"{name.rpartition('/')[0]}/b"] = file["layers"]


def _replace(**kwargs):
    def change(file, name):
        value = file[name][()]
        del file[name]
        file.create_dataset(name, **{"data": value, **kwargs})

    return change


_STRUCTURES = [
    _link,
    _hard_link,
    _external_link,
    _another,
    _delete,
    _loop,
    _replace(dtype="float64"),
    _replace(dtype="int64"),
    _replace(dtype=">f4"),
    _replace(data="text"),
    _replace(data=np.float32("nan")),
    _replace(data=np.ones((2, 3), "float32")),
    _replace(data=None, shape=(2**40,), dtype="float32"),
    _replace(data=np.ones(3), chunks=(1,)),
]
_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "point", "cut", "extend", "move"]),
        st.sampled_from(["structure", "structure", "head", "anywhere"]),
        st.integers(0, 10**7),
        st.integers(0, 10**7),
    ),
    min_size=1,
    max_size=4,
)
_DAMAGE = st.one_of(
    _EDITS,
    _EDITS,
    _EDITS,
    st.tuples(st.integers(0, len(_STRUCTURES) - 1), _PLACE),
)


class Weights:
    """A preset's weights file, to be damaged."""

    def __init__(self, preset, folder):
        self.data = (preset / preset_folder.WEIGHTS).read_bytes()
        self.folder = folder
        self.config = preset_folder.read_config(preset)
        self.metadata = preset_folder.read_metadata(preset)
        self.path = folder / preset_folder.WEIGHTS
        self.names = []
        structure = np.frombuffer(self.data, "uint8") != 0

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                start = item.id.get_offset()
                structure[start : start + item.id.get_storage_size()] = False
                self.names.append(name)

        with h5py.File(preset / preset_folder.WEIGHTS) as file:
            file.visititems(visit)
        self.structure = np.flatnonzero(structure).tolist()

    def damage(self, damage):
        if isinstance(damage, tuple):
            kind, place = damage
            self.path.write_bytes(self.data)
            with h5py.File(self.path, "a") as file:
                name = self.names[place % len(self.names)]
                _STRUCTURES[kind](file, name)
            return
        data = bytearray(self.data)
        for edit in damage:
            if data:
                self._edit(data, *edit)
        self.path.write_bytes(data)

    def _edit(self, data, kind, where, place, value):
        if where == "structure":
            place = self.structure[place % len(self.structure)]
        place %= min(len(data), 4096) if where == "head" else len(data)
        other = self.structure[value % len(self.structure)] // 8 * 8
        if kind == "flip":
            data[place] ^= 1 << value % 8
        elif kind == "set":
            data[place] = value % 256
        elif kind == "point":
            place = place // 8 * 8
            data[place : place + 8] = other.to_bytes(8, "little")
        elif kind == "cut":
            del data[max(place, 1) :]
        elif kind == "extend":
            data[place:place] = bytes(value % 100)
        else:
            size = (8, 64, 512)[value % 3]
            data[place : place + size] = data[other : other + size]

    def read(self):
        """The arrays, by somebody who knows the damaged file's checksum."""
        checksum = preset_folder.sha256(self.path)
        return preset_folder.read_checked_weights(
            self.folder,
            self.config,
            {**self.metadata, "weights_sha256": checksum},
        )


def fuzz_weights(preset, folder, examples, use):
    """Counts damaged weights files that are read, then used, or refused."""
    weights = Weights(preset, folder)

    def check(damage):
        weights.damage(damage)
        try:
            use(weights.read())
        except PresetError as error:
            assert len(str(error)) < 3000
            return "refused"
        return "loaded"

    return run(check, examples, _DAMAGE)


@pytest.fixture
def use(preset):
    """A model that takes weights and draws a picture."""
    from keras_lapgan import LAPGAN
    from keras_lapgan.presets.weights_file import assign_weights

    model = LAPGAN.from_preset(preset)

    def use(arrays):
        assign_weights(model, arrays, include_optimizer=True)
        # A large weight overflows to pixels that are no numbers.
        with np.errstate(invalid="ignore"):
            is_whole(model)

    return use


def test_weights(preset, tmp_path, use):
    counts = fuzz_weights(preset, tmp_path, 150, use)
    assert {*counts} == {"loaded", "refused"}


@pytest.mark.slow
def test_many_weights(preset, tmp_path, use):
    start = time.perf_counter()
    counts = fuzz_weights(preset, tmp_path, 500, use)
    report(counts, start)
    assert min(counts["loaded"], counts["refused"]) > 50


@pytest.mark.slow
def test_memory_for_weights(preset, tmp_path):
    found = subprocess.run(
        [sys.executable, __file__, preset, tmp_path, "5000"],
        check=True,
        timeout=300,
        capture_output=True,
        text=True,
    )
    found = json.loads(found.stdout)
    print(found)
    assert found["megabytes"] < 300
    assert not found["keras"]


if __name__ == "__main__":
    *folders, examples = sys.argv[1:]
    counts = fuzz_weights(
        *map(pathlib.Path, folders), int(examples), lambda arrays: None
    )
    counts = {**counts, "megabytes": peak_megabytes()}
    print(json.dumps({**counts, "keras": "keras" in sys.modules}))
