import csv
import errno
import json
import os
import shutil
import signal
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from keras_lapgan import LAPGAN
from keras_lapgan import callbacks
from keras_lapgan.callbacks import run_checkpoint
from keras_lapgan.cli.run import _compile
from keras_lapgan.cli.run import _held_out
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.training import DampedSGD

SHORT = ("--data", "sample", "--steps-per-epoch", 3, "--batch-size", 4)


def weights(folder):
    return LAPGAN.from_preset(folder).get_weights()


def interrupt_at(monkeypatch, step, number=signal.SIGINT):
    """Sends this process a signal in a step of the whole run."""
    end = callbacks.TrainingProgress.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        end(self, batch, logs)
        if self.done == step:
            os.kill(os.getpid(), number)

    # The progress comes after the checkpoint: it sees the signal a step later.
    monkeypatch.setattr(
        callbacks.TrainingProgress, "on_train_batch_end", on_train_batch_end
    )


def test_leaves_a_run_folder(run, preset, tmp_path):
    result = run("train", preset, *SHORT, "--epochs", 2, "--output", "runs/a")
    assert result.exit_code == 0, result.output
    assert "2 epochs: runs/a" in result.stdout
    assert "step 6/6 (epoch 2.00) d_loss" in result.stderr
    folder = tmp_path / "runs" / "a"
    assert sorted(os.listdir(folder)) == [
        "README.md",
        "checkpoint",
        "command.txt",
        "config.json",
        "curves.png",
        "log.csv",
        "metadata.json",
        "model.weights.h5",
        "options.json",
        "samples",
    ]
    assert (folder / "command.txt").read_text() == (
        f"keras-lapgan train {preset} --data sample --steps-per-epoch 3 "
        "--batch-size 4 --epochs 2 --output runs/a\n"
    )
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["data"] == "sample"
    assert (metadata["epochs"], metadata["planned_epochs"]) == (2, 2)
    with open(folder / "log.csv") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert len(os.listdir(folder / "samples")) == 4
    with Image.open(folder / "samples" / "epoch_0002_stage_0.png") as image:
        assert image.size == (8 * 34 + 2, 8 * 34 + 2)
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(weights(preset), weights(folder), strict=True)
    ]
    assert any(moved)


@pytest.mark.parametrize(
    "step, saved, number",
    [(1, (0, 2), signal.SIGINT), (3, (1, 0), signal.SIGTERM)],
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    run, preset, monkeypatch, step, saved, number
):
    # Not looked at here, and slow to compile.
    monkeypatch.setattr(
        callbacks.SampleGrid, "on_epoch_end", lambda *args: None
    )
    run("train", preset, *SHORT, "--epochs", 2, "--output", "whole")
    with monkeypatch.context() as patch:
        interrupt_at(patch, step, number)
        result = run("train", preset, *SHORT, "--epochs", 2, "--output", "a")
    assert result.exit_code == 128 + number
    assert f"train {preset} --output a --resume" in result.stderr
    assert run_checkpoint.latest_checkpoint("a")[1:] == saved
    # Settings come from the run.
    result = run("train", preset, "--output", "a", "--resume")
    assert result.exit_code == 0, result.output
    for a, b in zip(weights("whole"), weights("a"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert Path("a/log.csv").read_text() == Path("whole/log.csv").read_text()
    with open("a/command.txt") as file:
        assert len(file.readlines()) == 2


def test_more_epochs_for_a_finished_run(run, fails, trained):
    error = fails("train", "a", "--resume", code=2)
    assert "done 1 epochs already; ask for more with --epochs" in error
    error = fails("train", "a", "--resume", "--epochs", 2, "--seed", 3, code=2)
    assert "--seed stays as the run was begun, with 0" in error
    error = fails("train", "gan_cifar10", "--output", "a", "--resume", code=2)
    assert "the run at 'a' is of" in error and "'gan_cifar10'" in error
    result = run("train", "a", "--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert run_checkpoint.latest_checkpoint("a")[1:] == (2, 0)


def test_a_run_as_the_start_of_another(run, fails, trained):
    error = fails("train", "a", "--output", "a", "--overwrite", code=2)
    assert "cannot go on into its own folder" in error
    # The data set is the first run's.
    result = run(
        "train", "a", *SHORT[2:], "--epochs", 1, "--levels", 0, "--output", "b"
    )
    assert result.exit_code == 0, result.output
    with open("b/log.csv") as file:
        header = next(csv.reader(file))
    assert "d_loss_0" in header and "d_loss_1" not in header
    assert "Join it with the other levels: keras-lapgan assemble b" in (
        result.stdout
    )
    a, b = LAPGAN.from_preset("a"), LAPGAN.assemble(["a", "b"])
    for k, same in ((0, False), (1, True)):
        pairs = zip(
            a.level(k).generator.get_weights(),
            b.level(k).generator.get_weights(),
            strict=True,
        )
        assert all(np.array_equal(x, y) for x, y in pairs) is same


def test_classes_are_called_as_in_the_data(run, class_preset):
    result = run("train", class_preset, *SHORT, "--epochs", 1, "--output", "a")
    assert result.exit_code == 0, result.output
    model = LAPGAN.from_preset("a")
    assert model.class_names[3] == "cat"


def test_adapts_to_all_pictures_however_few_steps(run, preset):
    run("train", preset, *SHORT, "--epochs", 1, "--output", "a")
    from keras_lapgan.datasets import load_images

    mean = LAPGAN.from_preset("a").normalization.mean
    images = load_images("sample", size=20).read(range(1000))
    np.testing.assert_allclose(
        np.ravel(mean), images.mean((0, 1, 2)), rtol=0.05
    )


def test_overwrite_replaces_a_run_and_nothing_else(run, fails, preset, trained):
    Path("a/samples/epoch_0002_stage_0.png").touch()
    with open("a/notes.txt", "w") as file:
        file.write("mine")
    again = ("train", preset, *SHORT, "--epochs", 1, "--output", "a")
    assert "'a' exists. Choose another --output" in fails(*again, code=2)
    result = run(*again, "--overwrite")
    assert result.exit_code == 0, result.output
    assert os.listdir("a/checkpoint") == ["epoch_0001_step_000000.keras"]
    assert len(os.listdir("a/samples")) == 2
    assert os.path.exists("a/notes.txt")
    os.mkdir("mine")
    with open("mine/thesis.tex", "w") as file:
        file.write("years")
    error = fails(*again[:-1], "mine", "--overwrite", code=2)
    assert "'mine' is not what this command writes" in error
    error = fails(*again[:-1], "mine/thesis.tex", "--overwrite", code=2)
    assert "'mine/thesis.tex' is not what this command writes" in error
    error = fails(*again[:-1], "mine/thesis.tex/a", code=2)
    assert "is a file, not a folder" in error


@pytest.mark.parametrize(
    "args, code, message",
    [
        (["lapgan_cifar1"], 1, "'lapgan_cifar1'. Did you mean lapgan_cifar10"),
        (["./nowhere"], 1, "no folder './nowhere'"),
        (["TINY"], 2, "--data: name the pictures to train on"),
        (["TINY", "--data", "sampel"], 1, "Did you mean sample"),
        (["TINY", *SHORT, "--levels", "a"], 2, "'--levels': numbers with"),
        (["TINY", *SHORT, "--levels", "7"], 1, "0, 1 (0 is the finest)"),
        (["TINY", *SHORT, "--split", "test"], 1, "split='test'"),
        (["TINY", *SHORT, "--batch-size", 2000], 1, "batch_size=2000"),
        (["TINY", *SHORT, "--resize", "none"], 1, "20"),
        (["TINY", *SHORT, "--resume"], 2, "there is no run at"),
        (["TINY", *SHORT, "--resume", "--overwrite"], 2, "exclude each other"),
        (
            ["lapgan_scenes_small", *SHORT],
            2,
            "over 24 classes; 'sample' has 10",
        ),
        (["TINY", "--data", "EMPTY"], 1, "holds no images"),
    ],
)
def test_mistakes_end_in_one_line(fails, preset, tmp_path, args, code, message):
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {"TINY": preset, "EMPTY": empty}
    args = [places.get(arg, arg) for arg in args]
    error = fails("train", *args, "--output", "a", code=code)
    assert message in error


def test_a_run_without_a_checkpoint(fails, preset, tmp_path):
    (tmp_path / "a").mkdir()
    error = fails("train", preset, "--output", "a", "--resume", code=2)
    assert "'a' has no checkpoint to resume. Start it again" in error


def test_checkpoints_that_are_all_damaged(fails, trained):
    path = run_checkpoint.latest_checkpoint("a")[0]
    path.write_bytes(path.read_bytes()[:5000])
    error = fails("train", "a", "--resume", "--epochs", 2, code=1)
    assert "the checkpoints of 'a' are damaged. Start a new run" in error


def test_a_checkpoint_of_something_else(fails, trained):
    path = run_checkpoint.latest_checkpoint("a")[0]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{" * 1000)
    error = fails("train", "a", "--resume", "--epochs", 2, code=1)
    assert str(path) in error and "cannot be read" in error
    assert len(error) < 500


def test_a_damaged_checkpoint_gives_way_to_the_one_before(run, preset):
    args = ("train", preset, *SHORT, "--epochs", 3, "--monitor", "off")
    assert run(*args, "--output", "whole").exit_code == 0
    shutil.copytree("whole", "a")
    damaged, before = sorted(Path("a/checkpoint").iterdir(), reverse=True)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = run("train", preset, "--output", "a", "--resume")
    assert result.exit_code == 0, result.output
    assert (
        f"Warning: '{damaged}' is damaged; going on from the one before, "
        f"{before.name}.\n"
    ) in result.stderr
    for a, b in zip(weights("whole"), weights("a"), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("log.csv", "metadata.json"):
        assert Path("a", name).read_text() == Path("whole", name).read_text()
    names = ["epoch_0002_step_000000.keras", "epoch_0003_step_000000.keras"]
    assert sorted(os.listdir("a/checkpoint")) == names
    assert run_checkpoint.latest_checkpoint("a")[1:] == (3, 0)


def test_saves_within_an_epoch(run, preset, monkeypatch):
    saved = []
    save = callbacks.RunCheckpoint._save

    def spy(self, epoch, step, *args, **kwargs):
        saved.append((epoch, step))
        save(self, epoch, step, *args, **kwargs)

    monkeypatch.setattr(callbacks.RunCheckpoint, "_save", spy)
    args = ("train", preset, *SHORT, "--epochs", 1, "--output", "a")
    result = run(*args, "--save-steps", 2, "--monitor", "off")
    assert result.exit_code == 0, result.output
    # And is asked of the run's continuation.
    assert run("train", "a", "--resume", "--epochs", 2).exit_code == 0
    assert saved == [(0, 2), (1, 0), (1, 2), (2, 0)]


def test_what_was_to_follow_the_last_save_does(run, fails, trained):
    grids = sorted(Path("a/samples").iterdir())
    expected = [grid.read_bytes() for grid in grids]
    grids[1].unlink()
    grids[0].write_bytes(b"")
    Path("a/curves.png").unlink()
    result = run("train", "a", "--resume")
    assert result.exit_code == 0, result.output
    assert [grid.read_bytes() for grid in grids] == expected
    assert Path("a/curves.png").is_file()
    error = fails("train", "a", "--resume", code=2)
    assert "done 1 epochs already" in error


def test_pictures_that_became_fewer(run, fails, preset):
    pictures = np.random.default_rng(0).integers(0, 255, (12, 20, 20, 3))
    np.save("data.npy", pictures.astype("uint8"))
    args = ("train", preset, "--data", "data.npy", "--batch-size", 4)
    run(*args, "--epochs", 1, "--output", "a")
    np.save("data.npy", pictures[:8].astype("uint8"))
    error = fails("train", "a", "--resume", "--epochs", 2, code=2)
    assert "begun with 12 pictures; 'data.npy' has 8" in error


def no_room(*args):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_the_first_save(fails, preset, monkeypatch):
    monkeypatch.setattr(run_checkpoint, "save_preset", no_room)
    error = fails("train", preset, *SHORT, "--output", "a", code=1)
    assert "Could not save to 'a': No space left on device." in error


def test_a_full_disk_later(run, fails, trained, monkeypatch, tmp_path):
    monkeypatch.setattr(run_checkpoint, "save_preset", no_room)
    error = fails("train", "a", "--resume", "--epochs", 2, code=1)
    assert "Could not save to 'a': No space left on device." in error
    assert "The last checkpoint is kept: make room" in error
    assert run_checkpoint.latest_checkpoint("a")[1:] == (2, 0)
    assert read_metadata("a")["epochs"] == 1
    # The epoch is done, its preset files are not.
    monkeypatch.undo()
    os.chdir(tmp_path)
    result = run("train", "a", "--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert read_metadata("a")["epochs"] == 2
    checkpoint = run_checkpoint.latest_checkpoint("a")[0]
    expected = keras.saving.load_model(checkpoint).get_weights()
    for a, b in zip(weights("a"), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    # A job that is sent once more has nothing to do.
    result = run("train", "a", "--resume", "--epochs", 2)
    assert result.exit_code == 0
    assert result.stdout == "2 epochs are done already.\n"


def test_progress_is_the_checkpoint_s(run, trained):
    metadata = read_metadata("a")
    metadata |= {"epochs": 7, "steps": 1}
    Path("a/metadata.json").write_text(json.dumps(metadata))
    result = run("train", "a", "--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert run_checkpoint.latest_checkpoint("a")[1:] == (2, 0)
    assert read_metadata("a")["epochs"] == 2


def test_training_that_diverges(run, fails, trained, monkeypatch):
    on_epoch_end = callbacks.RunCheckpoint.on_epoch_end

    def diverged(self, epoch, logs=None):
        on_epoch_end(self, epoch, {**logs, "g_loss_0": float("nan")})

    monkeypatch.setattr(callbacks.RunCheckpoint, "on_epoch_end", diverged)
    error = fails("train", "a", "--resume", "--epochs", 2, code=1)
    assert "Training diverged: g_loss_0 is nan at epoch 2" in error
    assert run_checkpoint.latest_checkpoint("a")[1:] == (1, 0)


def test_other_data_for_a_resumed_run(run, trained):
    shape = (read_metadata("a")["images"], 20, 20, 3)
    images = np.random.default_rng(0).integers(0, 255, shape)
    np.save("data.npy", images.astype("uint8"))
    result = run("train", "a", "--resume", "--epochs", 2, "--data", "data.npy")
    assert result.exit_code == 0, result.output
    assert (
        "Warning: --data: the run was begun with 'sample' and goes on with "
        "'data.npy'.\n" in result.stderr
    )


def test_damped_sgd_counts_passes_over_the_data(run, preset):
    run("train", preset, *SHORT, "--epochs", 1, "--output", "a")
    config = LAPGAN.from_preset("a").get_compile_config()
    for name in ("d_optimizer", "g_optimizer"):
        assert config[name]["config"]["steps_per_epoch"] == 1000 // 4


def test_damped_sgd_of_some_levels(tiny):
    model = tiny.model()
    model.compile(
        ["adam", DampedSGD(0.2)], [DampedSGD(0.1), DampedSGD()], **tiny.quick
    )
    settings = {"batch_size": 16, "seed": 3, "levels": None, "chained": None}
    settings["learning_rate_scale"] = None
    _compile(model, 10, settings)
    config = model.get_compile_config()
    assert config["seed"] == 3
    optimizers = config["d_optimizer"] + config["g_optimizer"]
    assert optimizers[0]["class_name"] == "Adam"
    damped = [one["config"] for one in optimizers[1:]]
    assert [one["steps_per_epoch"] for one in damped] == [1, 1, 1]
    rates = [one["learning_rate"] for one in damped]
    np.testing.assert_allclose(rates, [0.2, 0.1, 0.02], rtol=1e-6)


def test_smaller_steps(run, fails, trained):
    def rates(folder):
        config = LAPGAN.from_preset(folder).get_compile_config()
        return [
            config[name]["config"]["learning_rate"]
            for name in ("d_optimizer", "g_optimizer")
        ]

    args = ("train", "a", *SHORT, "--epochs", 1, "--learning-rate-scale", 0.25)
    assert run(*args, "--output", "b").exit_code == 0
    assert rates("b") == pytest.approx([rate / 4 for rate in rates("a")])
    assert "- learning rate scale: 0.25" in Path("b/README.md").read_text()
    args = ("train", "a", "--output", "b", "--resume", "--epochs", 2)
    assert run(*args).exit_code == 0
    assert rates("b") == pytest.approx([rate / 4 for rate in rates("a")])
    model = LAPGAN.from_preset("a")
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model.compile(keras.optimizers.SGD(schedule), "sgd")
    model.save_to_preset("c")
    args = ("train", "c", *SHORT, "--learning-rate-scale", 0.5, "--output", "d")
    error = fails(*args, code=2)
    assert "has a schedule of its own. Received: 0.5" in error


def test_terms_of_the_start_are_the_run_s_too(run, trained):
    from keras_lapgan import LAPGAN

    Path("a/NOTICE").write_text("Ask first.")
    model = LAPGAN.from_preset("a")
    model.save_to_preset("a", metadata={"license": "cc-by-4.0"})
    few = ["--data", "sample", "--steps-per-epoch", "1", "--batch-size", "4"]
    for more in (["--epochs", "1"], ["--epochs", "2", "--resume"]):
        settings = few if "--resume" not in more else []
        result = run("train", "a", *settings, *more, "--output", "b")
        assert result.exit_code == 0, result.output
        assert read_metadata("b")["license"] == "cc-by-4.0"
        assert Path("b/NOTICE").read_text() == "Ask first."


def test_hints_can_be_pasted(run, preset, monkeypatch):
    args = ("train", preset, *SHORT, "--epochs", 1, "--output", "my run")
    assert "Draw from it: keras-lapgan sample 'my run'\n" in run(*args).stdout
    interrupt_at(monkeypatch, 1)
    result = run(*args, "--overwrite")
    assert f"train {preset} --output 'my run' --resume" in result.stderr


def test_overwrite_keeps_a_card_that_somebody_wrote(run, preset, trained):
    Path("a/README.md").write_text("# Mine\n")
    args = ("train", preset, *SHORT, "--epochs", 1, "--output", "a")
    assert run(*args, "--overwrite").exit_code == 0
    assert Path("a/README.md").read_text() == "# Mine\n"


def test_bfloat16_and_the_largest_seed(run, preset):
    result = run(
        *("train", preset, *SHORT, "--epochs", 1, "--output", "a"),
        *("--precision", "bfloat16", "--seed", 2**64 - 1),
    )
    assert result.exit_code == 0, result.output
    assert all(np.isfinite(w).all() for w in weights("a"))


def test_chained(run, fails, trained):
    args = ("train", "a", *SHORT, "--epochs", 1, "--chained", 0.25)
    assert run(*args, "--output", "b").exit_code == 0
    for levels, share in ((None, 0.25), ([0], 0.0), ([1], 0.25)):
        config = LAPGAN.from_preset("b", levels=levels).get_compile_config()
        assert config["chained"] == share
    assert "\n- chained: 0.25\n" in Path("b/README.md").read_text()
    assert "25% of the generated bands" in run("info", "b").output
    again = ("train", "b", *SHORT, "--epochs", 1)
    # It is the start's, unless another is asked for.
    for options, share in (((), 0.25), (("--chained", 0), 0.0)):
        assert (
            run(*again, *options, "--output", "c", "--overwrite").exit_code == 0
        )
        config = LAPGAN.from_preset("c").get_compile_config()
        assert config["chained"] == share
    # Of one level too, with the coarser ones that it takes.
    assert run(*again, "--levels", 0, "--output", "d").exit_code == 0
    model = LAPGAN.from_preset("d")
    assert model.is_complete and model.get_compile_config()["chained"] == 0.25
    resumed = ("train", "a", "--output", "b", "--resume", "--epochs", 2)
    error = fails(*resumed, "--chained", 1, code=2)
    assert "--chained stays as the run was begun, with 0.25" in error


def test_a_level_chained_to_coarser_ones_as_they_are(run, fails, trained, tiny):
    args = ("--levels", 0, "--epochs", 1, "--chained", 0.5, "--output", "b")
    error = fails("train", "lapgan_cifar10_small", *args, code=2)
    assert "--chained 0" in error
    assert run("train", "a", *SHORT, *args).exit_code == 0
    before, after = LAPGAN.from_preset("a"), LAPGAN.from_preset("b")
    for k in range(2):
        pairs = (model.level(k).get_weights() for model in (before, after))
        assert tiny.same(*pairs) == (k == 1)
    # The coarser ones must be there to be drawn on.
    alone = ("--levels", 0, "--epochs", 1, "--output", "c")
    assert run("train", "a", *SHORT, *alone).exit_code == 0
    error = fails("train", "c", *SHORT, *args, "--overwrite", code=1)
    assert "has 0 alone of 0 to 1" in error


# === What watches the run ===


def log(folder):
    with open(f"{folder}/log.csv") as file:
        return list(csv.DictReader(file))


def test_the_monitor_is_on_unless_it_is_off(run, preset):
    args = ("train", preset, *SHORT, "--epochs", 1, "--output")
    result = run(*args, "on")
    assert "training pictures stand in for held-out ones" in result.stderr
    assert float(log("on")[0]["diversity_0"]) > 0
    result = run(*args, "off", "--monitor", "off")
    assert "stand in" not in result.stderr
    assert "diversity_0" not in log("off")[0]
    for a, b in zip(weights("on"), weights("off"), strict=True):
        np.testing.assert_array_equal(a, b)


BEGIN = callbacks.RunCheckpoint.on_epoch_begin


def spoil(monkeypatch, epoch):
    """Makes the finest level draw far too much from an epoch (from 0) on."""

    def on_epoch_begin(self, now, logs=None):
        if now >= epoch:
            kernel = self.model.level(0).generator.get_layer("output").kernel
            kernel.assign(np.full(kernel.shape, 1e3))
        BEGIN(self, now, logs)

    monkeypatch.setattr(
        callbacks.RunCheckpoint, "on_epoch_begin", on_epoch_begin
    )


def test_a_run_that_the_monitor_stops(run, preset, monkeypatch):
    spoil(monkeypatch, 1)
    result = run(
        *("train", preset, *SHORT, "--epochs", 5, "--output", "a"),
        *("--monitor", "stop"),
    )
    assert result.exit_code == 1, result.output
    assert "epoch 2: level 0 (16x16) diverges: its bands" in result.stderr
    assert (
        "Error: Training was stopped at epoch 2: level 0 (16x16) diverges. "
        "The weights of 1 of 5 epochs are kept: a"
    ) in result.stderr
    assert run_checkpoint.latest_checkpoint("a")[1:] == (1, 0)
    assert read_metadata("a")["epochs"] == 1
    assert [row["epoch"] for row in log("a")] == ["1", "2"]
    kernels = LAPGAN.from_preset("a").level(0).generator.get_weights()
    assert max(abs(kernel).max() for kernel in kernels) < 10
    # What was asked of the run is asked of its continuation.
    assert run("train", "a", "--resume").exit_code == 1
    assert len(log("a")) == 2
    spoil(monkeypatch, 9)
    result = run("train", "a", "--resume", "--monitor", "off", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert json.loads(Path("a/options.json").read_text())["monitor"] == "off"


def test_a_run_that_the_monitor_stops_at_once(run, preset, monkeypatch):
    spoil(monkeypatch, 0)
    result = run(
        *("train", preset, *SHORT, "--epochs", 5, "--output", "a"),
        *("--monitor", "stop"),
    )
    assert result.exit_code == 1, result.output
    assert "diverges. Nothing was saved before." in result.stderr
    assert not os.path.exists("a")


def test_a_run_that_the_monitor_restores(run, preset, monkeypatch):
    spoil(monkeypatch, 4)
    args = ("train", preset, *SHORT, "--epochs", 5, "--output", "a")
    result = run(*args, "--monitor", "restore")
    assert result.exit_code == 0, result.output
    assert "level 0 (16x16) is put back to epoch 4 (1 of" in result.stderr
    kernels = LAPGAN.from_preset("a").level(0).generator.get_weights()
    assert max(abs(kernel).max() for kernel in kernels) < 10


def test_best_levels_are_the_run_s_and_known_to_a_resumed_one(run, preset):
    result = run(
        *("train", preset, *SHORT, "--epochs", 1, "--output", "a"),
        *("--best-levels", "--monitor", "off"),
    )
    assert result.exit_code == 0, result.output
    assert "level 1 is of epoch 1: nearest draw " in result.stdout
    assert sorted(os.listdir("a/best_levels")) == [
        "best_level_0.weights.h5",
        "best_level_1.weights.h5",
        "best_levels.json",
    ]
    assert float(log("a")[0]["nearest_draw_1"]) > 0
    # One that nothing can be better than.
    path = Path("a/best_levels/best_levels.json")
    content = json.loads(path.read_text())
    content["levels"]["0"]["value"] = 0.0
    path.write_text(json.dumps(content))
    first = LAPGAN.from_preset("a").level(0).get_weights()
    result = run("train", "a", "--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert "level 0 is of epoch 1: nearest draw 0\n" in result.stdout
    assert read_metadata("a")["epochs"] == 2
    kept = LAPGAN.from_preset("a").level(0).get_weights()
    assert all(map(np.array_equal, kept, first))
    # Training goes on from where it was, not from the best.
    checkpoint = run_checkpoint.latest_checkpoint("a")[0]
    last = keras.saving.load_model(checkpoint).level(0).get_weights()
    assert not all(map(np.array_equal, kept, last))


def test_best_levels_are_put_back_by_a_resume(run, preset, monkeypatch):
    args = ("train", preset, *SHORT, "--output", "a", "--best-levels")
    put_back = callbacks.BestLevel.put_back

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.BestLevel, "put_back", interrupted)
    result = run(*args, "--epochs", 2, "--monitor", "off")
    assert result.exit_code == 130, result.output
    monkeypatch.setattr(callbacks.BestLevel, "put_back", put_back)
    path = Path("a/best_levels/best_levels.json")
    levels = json.loads(path.read_text())["levels"]
    # Of another epoch than the last.
    LAPGAN.from_preset(preset).level(1).save_weights(
        path.with_name("best_level_1.weights.h5")
    )
    result = run("train", "a", "--resume")
    assert result.exit_code == 0, result.output
    assert f"level 1 is of epoch {levels['1']['epoch']}: " in result.stdout
    expected = LAPGAN.from_preset(preset).level(1).get_weights()
    found = LAPGAN.from_preset("a").level(1).get_weights()
    assert all(map(np.array_equal, found, expected))


def test_tensorboard_files(run, fails, preset, monkeypatch):
    pytest.importorskip("tensorboard")
    args = ("train", preset, *SHORT, "--epochs", 1, "--monitor", "off")
    result = run(*args, "--tensorboard", "--output", "a")
    assert result.exit_code == 0, result.output
    assert len(os.listdir("a/tensorboard/train")) == 1
    result = run("train", "a", "--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert len(os.listdir("a/tensorboard/train")) == 2
    run(*args, "--output", "a", "--overwrite")
    assert not os.path.exists("a/tensorboard")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    error = fails(*args, "--tensorboard", "--output", "b", code=1)
    assert "--tensorboard: " in error and "pip install" in error


def test_pictures_that_are_held_out(run, preset, tmp_path):
    rng = np.random.default_rng(0)
    for split, value in (("train", 50), ("val", 200)):
        for name in ("a", "b"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(3):
                noise = rng.integers(0, 20, (20, 20, 3)) + value
                Image.fromarray(noise.astype("uint8")).save(folder / f"{i}.png")
    from keras_lapgan import datasets

    settings = {"data": "data", "split": None, "resize": "crop"}
    source = datasets.load_images("data", size=20)
    model = LAPGAN.from_preset(preset)
    images, labels = _held_out(model, source, settings, datasets)
    assert len(images) == 6 and images.min() >= 200 and labels is None
    # Those that are trained on are not held out.
    settings["split"] = "val"
    source = datasets.load_images("data", "val", size=20)
    images, _ = _held_out(model, source, settings, datasets)
    assert images.min() >= 200
    result = run(
        *("train", preset, "--data", "data", "--batch-size", 4),
        *("--epochs", 1, "--output", "a"),
    )
    assert result.exit_code == 0, result.output
    assert "stand in" not in result.stderr
