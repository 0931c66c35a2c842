import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.presets import preset_folder
from keras_lapgan.presets import save_preset
from keras_lapgan.presets.preset_folder import read_checked_weights
from keras_lapgan.presets.preset_folder import read_config
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.presets.preset_folder import sha256


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def change(path, **entries):
    """Changes entries of a JSON file; None removes one."""
    found = {**json.loads(path.read_text()), **entries}
    found = {k: v for k, v in found.items() if v is not None}
    path.write_text(json.dumps(found))


# === Saving ===


def test_what_is_written(saved):
    model, folder = saved
    assert sorted(content(folder)) == [
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]
    metadata = read_metadata(folder)
    assert metadata["format_version"] == preset_folder.FORMAT_VERSION
    assert metadata["keras_version"] == keras.__version__
    # What the paper counts: no moving averages, no statistics.
    assert metadata["parameter_count"] == sum(
        network.count_params()
        for level in model.levels
        for network in (level.generator, level.discriminator)
    )
    assert metadata["weights_sha256"] == sha256(folder / "model.weights.h5")
    assert (metadata["weights_dtype"], metadata["has_optimizer"]) == (
        "float32",
        False,
    )
    read_checked_weights(folder, read_config(folder), metadata)


def test_what_else_is_known(saved):
    model, folder = saved
    about = {"data": "cifar10", "epochs": 3, "levels": (0, 1)}
    model.save_to_preset(folder, metadata=about)
    assert read_metadata(folder)["levels"] == [0, 1]
    before = content(folder)
    with pytest.raises(PresetError, match="unknown entry 'auther'"):
        save_preset(model, folder, {"auther": "me"})
    with pytest.raises(PresetError, match="metadata`.epochs must be a whole"):
        save_preset(model, folder, {"epochs": "3"})
    with pytest.raises(PresetError, match="Received: weights_dtype='int8'"):
        model.save_to_preset(folder, weights_dtype="int8")
    assert content(folder) == before


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_of_half_the_size(saved, tmp_path, dtype):
    model, folder = saved
    small = tmp_path / dtype
    model.save_to_preset(small, weights_dtype=dtype)
    sizes = [
        sum(
            array.nbytes
            for network in (level.generator, level.discriminator)
            for array in network.get_weights()
        )
        for level in model.levels
    ]
    saved_bytes = (folder / "model.weights.h5").stat().st_size
    assert (small / "model.weights.h5").stat().st_size < saved_bytes - 0.4 * (
        sum(sizes)
    )
    copy = LAPGAN.from_preset(small)
    assert {w.dtype for w in copy.weights} == {w.dtype for w in model.weights}
    difference = model.generate(4, seed=1).astype(int) - copy.generate(
        4, seed=1
    )
    assert abs(difference).max() <= 3
    # A count of steps is no weight of a network.
    assert float(copy.level(0).averaged_steps.value) == float(
        model.level(0).averaged_steps.value
    )


def test_the_optimizers_go_along_if_asked_for(tiny, saved):
    model, folder = saved
    model.save_to_preset(folder, include_optimizer=True)
    assert read_metadata(folder)["has_optimizer"]
    copy = LAPGAN.from_preset(folder)
    expected = [ops.convert_to_numpy(v) for v in model.optimizer.variables]
    found = [ops.convert_to_numpy(v) for v in copy.optimizer.variables]
    assert tiny.same(found, expected)
    assert int(ops.convert_to_numpy(copy.optimizer.iterations.value)) > 0
    # Training goes on as if it had never stopped.
    for one in (model, copy):
        tiny.steps(one, tiny.images(size=10), tiny.labels())
    for a, b in zip(tiny.arrays(model), tiny.arrays(copy), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_network_of_one_s_own_is_refused(tiny, tmp_path):
    from keras_lapgan import LAPGANLevel
    from keras_lapgan import networks

    @keras.saving.register_keras_serializable("mine")
    class Own(networks.DenseDiscriminator):
        pass

    model = LAPGAN([LAPGANLevel(networks.DenseGenerator(4), Own(4))])
    with pytest.raises(
        PresetError, match=r"'Own' A preset takes only.*model.save"
    ):
        model.save_to_preset(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space"), KeyboardInterrupt])
def test_a_full_disk_leaves_the_old_preset(saved, monkeypatch, error):
    model, folder = saved
    before = content(folder)

    def write_weights(path, *args):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(preset_folder, "write_weights", write_weights)
    with pytest.raises((OSError, KeyboardInterrupt)):
        model.save_to_preset(folder)
    assert content(folder) == before
    assert list(folder.parent.iterdir()) == [folder]


def test_a_disk_that_is_too_full_is_refused_before_it_is_written(
    saved, monkeypatch
):
    import shutil

    model, folder = saved
    usage = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="MB are needed and 0 MB are free"):
        model.save_to_preset(folder)


def test_weights_that_are_not_finite_are_not_saved(tiny, tmp_path):
    model = tiny.model()
    kernel = model.level(0).generator.trainable_weights[0]
    kernel.assign(kernel * np.inf)
    with pytest.raises(PresetError, match="is not a number.*nothing was"):
        model.save_to_preset(tmp_path / "mine")
    kernel.assign(ops.full(kernel.shape, 1e6))
    with pytest.raises(PresetError, match="too large for float16"):
        model.save_to_preset(tmp_path / "mine", weights_dtype="float16")
    assert not (tmp_path / "mine").exists()
    model.save_to_preset(tmp_path / "mine", weights_dtype="bfloat16")


def test_an_optimizer_s_state_that_is_not_there(saved):
    _, folder = saved
    change(folder / "metadata.json", has_optimizer=True)
    with pytest.raises(PresetError, match="lacks the optimizers' state"):
        LAPGAN.from_preset(folder)


def test_other_files_stay(saved):
    model, folder = saved
    (folder / "grid.png").write_bytes(b"picture")
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "a").write_text("state")
    model.save_to_preset(folder)
    assert (folder / "grid.png").read_bytes() == b"picture"
    assert (folder / "checkpoint" / "a").read_text() == "state"
    # They may be another model's.
    assert "grid.png" not in (folder / "README.md").read_text()


@pytest.mark.parametrize("folder", ["hf://me/mine", "https://hf.co/a/b", ""])
def test_what_is_no_folder(tiny, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PresetError, match="upload_preset.*Received: folder="):
        tiny.model().save_to_preset(folder)
    assert list(tmp_path.iterdir()) == []


def test_the_config_of_something_else_is_not_replaced(tiny, tmp_path):
    files = {
        "config.json": '{"port": 80}',
        "metadata.json": '{"author": "me"}',
        "model.weights.h5": "weights",
    }
    for i, names in enumerate([files, *([name] for name in files)]):
        folder = tmp_path / str(i)
        folder.mkdir()
        for name in names:
            (folder / name).write_text(files[name])
        before = content(folder)
        message = f"{next(iter(names))} of something else.*Choose another"
        with pytest.raises(PresetError, match=message):
            tiny.model().save_to_preset(folder)
        assert content(folder) == before


def test_a_damaged_preset_can_be_saved_over(tiny, saved):
    model, folder = saved
    for name in ("metadata.json", "config.json"):
        (folder / name).write_text("{")
        model.save_to_preset(folder)
        assert LAPGAN.from_preset(folder).sizes == model.sizes


@pytest.mark.parametrize("metadata", [[1], {"epochs": object()}, {"note": 3}])
def test_metadata_that_are_none(tiny, tmp_path, metadata):
    with pytest.raises(PresetError, match="`metadata`"):
        tiny.model().save_to_preset(tmp_path / "mine", metadata=metadata)


def test_a_config_too_large_to_be_read_is_not_saved(tiny, tmp_path):
    from keras_lapgan import LAPGANLevel
    from keras_lapgan import networks

    pair = (
        networks.DenseGenerator(2, hidden_units=(2,), num_classes=10_000),
        networks.DenseDiscriminator(2, hidden_units=(2,), num_classes=10_000),
    )
    names = [f"{i:0200d}" for i in range(10_000)]
    model = LAPGAN([LAPGANLevel(*pair)], class_names=names)
    model.save_to_preset(tmp_path / "mine")
    assert LAPGAN.from_preset(tmp_path / "mine").class_names == names
    model.class_names = [3 * name for name in names]
    with pytest.raises(PresetError, match="cannot hold this model"):
        model.save_to_preset(tmp_path / "mine")


def test_terms_go_along(tiny, saved, tmp_path):
    model, folder = saved
    model.save_to_preset(folder, metadata={"license": "other"})
    (folder / "NOTICE").write_text("Mine: ask first.")
    copy = LAPGAN.from_preset(folder)
    copy.save_to_preset(tmp_path / "copy")
    assert read_metadata(tmp_path / "copy")["license"] == "other"
    assert (tmp_path / "copy" / "NOTICE").read_text() == "Mine: ask first."
    assert "other, see NOTICE" in (tmp_path / "copy/README.md").read_text()
    # Two sets of terms are two.
    (folder / "NOTICE").write_text("Others.")
    copy.save_to_preset(folder)
    copy.save_to_preset(folder)
    assert (folder / "NOTICE").read_text() == "Others.\n\nMine: ask first."
    # What a link leads to is nobody's terms.
    (folder / "NOTICE").unlink()
    (folder / "NOTICE").symlink_to(tmp_path / "copy" / "NOTICE")
    assert LAPGAN.from_preset(folder).terms == ("other", None)
    # Fresh weights have none.
    LAPGAN.from_preset(folder, load_weights=False).save_to_preset(
        tmp_path / "fresh"
    )
    assert not (tmp_path / "fresh" / "NOTICE").exists()
    assert "license" not in read_metadata(tmp_path / "fresh")


# === Reading ===


@pytest.mark.parametrize(
    "start",
    ["import keras, keras_lapgan", "from keras_lapgan import LAPGAN"],
)
def test_keras_opens_it_in_a_fresh_process(saved, tmp_path, start):
    model, folder = saved
    code = (
        f"{start}\nimport keras, numpy, warnings\n"
        "warnings.simplefilter('ignore')\n"
        f"model = keras.saving.load_model({str(folder)!r})\n"
        f"numpy.save({str(tmp_path / 'a.npy')!r}, model.generate(3, seed=1))\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=120, cwd=tmp_path
    )
    found = np.load(tmp_path / "a.npy").astype(int)
    assert abs(found - model.generate(3, seed=1)).max() <= 1


def test_an_older_format_loads(saved):
    model, folder = saved
    change(
        folder / "metadata.json",
        format_version=1,
        weights_dtype=None,
        has_optimizer=None,
    )
    assert LAPGAN.from_preset(folder).sizes == model.sizes


def test_a_newer_format_names_the_version_to_install(saved):
    _, folder = saved
    change(
        folder / "metadata.json",
        format_version=preset_folder.FORMAT_VERSION + 1,
        keras_lapgan_version="7.1.0",
        surprise=[1],
    )
    message = 'format version [0-9]+; .*pip install "keras-lapgan>=7.1.0"'
    with pytest.raises(PresetError, match=message):
        LAPGAN.from_preset(folder)
    # Not a word of it becomes a part of the command.
    for version in (["rm -rf"], '0" evil "', "\x1b[2J"):
        change(folder / "metadata.json", keras_lapgan_version=version)
        with pytest.raises(PresetError, match="Install a newer one.$"):
            LAPGAN.from_preset(folder)


def test_a_folder_that_keras_saved(saved, tmp_path):
    model, _ = saved
    (tmp_path / "keras").mkdir()
    keras.saving.save_model(model, tmp_path / "keras", zipped=False)
    with pytest.raises(PresetError, match="keras.saving.load_model"):
        LAPGAN.from_preset(tmp_path / "keras")


def test_other_weights_than_metadata_says(saved):
    _, folder = saved
    change(folder / "metadata.json", weights_sha256="0" * 64)
    with pytest.raises(PresetError, match="its sha256 differs"):
        LAPGAN.from_preset(folder)


def test_weights_cut_off(saved):
    _, folder = saved
    weights = folder / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:3000])
    with pytest.raises(PresetError, match="sha256 differs.*may be cut off"):
        LAPGAN.from_preset(folder)
    change(folder / "metadata.json", weights_sha256=sha256(weights))
    with pytest.raises(
        PresetError, match="not a plain HDF5 file of weights: it should have"
    ):
        LAPGAN.from_preset(folder)


def test_weights_of_another_model(tiny, saved):
    _, folder = saved
    weights = folder / "model.weights.h5"
    other = tiny.model((9, 4))
    other.optimizer = None
    other.save_weights(weights)
    change(folder / "metadata.json", weights_sha256=sha256(weights))
    with pytest.raises(PresetError, match="does not fit the model in config"):
        LAPGAN.from_preset(folder)


def test_metadata_of_another_model(saved):
    _, folder = saved
    change(folder / "metadata.json", parameter_count=17)
    message = "parameters, metadata.json of 17. They do not belong together"
    with pytest.raises(PresetError, match=message):
        LAPGAN.from_preset(folder)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "is not JSON"),
        ("[]", "holds a list, not names and values"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "must be a LAPGAN. Received: None"),
        ('{"class_name": "Lambda", "config": {}}', "Received: 'Lambda'"),
        (b"\xff", "is not JSON"),
        (b" " * 4_000_001, "is too large: 4,000,001 bytes"),
    ],
)
def test_bad_config(saved, text, message):
    _, folder = saved
    data = text.encode() if isinstance(text, str) else text
    (folder / "config.json").write_bytes(data)
    with pytest.raises(PresetError, match=message) as caught:
        LAPGAN.from_preset(folder)
    assert len(str(caught.value)) < 800


def test_a_missing_file_is_named(saved):
    _, folder = saved
    (folder / "metadata.json").unlink()
    with pytest.raises(PresetError, match="it has no metadata.json"):
        LAPGAN.from_preset(folder)
