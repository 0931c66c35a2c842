import os
from pathlib import Path

import numpy as np

from keras_lapgan import LAPGAN
from keras_lapgan.presets.preset_folder import read_metadata

SHORT = ("--data", "sample", "--steps-per-epoch", 3, "--batch-size", 4)


def train(run, preset, output, *more):
    args = ("train", preset, *SHORT, "--epochs", 2, "--seed", 5)
    result = run(*args, "--output", output, "--monitor", "off", *more)
    assert result.exit_code == 0, result.output
    return result


def test_levels_of_separate_commands_are_those_of_one(run, fails, preset):
    # The preset's architecture with weights of its own for every run.
    train(run, preset, "all")
    for k in (0, 1):
        result = train(run, preset, f"l{k}", "--levels", k)
        assert f"assemble l{k} ... --output ..." in result.stdout
        assert sorted(os.listdir(f"l{k}/samples")) == [
            f"epoch_000{epoch}_stage_{k}.png" for epoch in (1, 2)
        ]
    result = run("assemble", "l1", "l0", "--output", "both")
    assert result.exit_code == 0, result.output
    assert "16x16" in result.stdout and "l1" in result.stdout
    assert "Draw from it: keras-lapgan sample both" in result.stdout
    joint, found = LAPGAN.from_preset("all"), LAPGAN.from_preset("both")
    for a, b in zip(joint.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    assert read_metadata("both")["epochs"] == 2
    assert run("sample", "both", "--output", "grid.png").exit_code == 0

    # A level alone goes on where it was, and says what it cannot do.
    result = run("train", "l0", "--resume", "--epochs", 3)
    assert result.exit_code == 0, result.output
    assert "l0 with 3" not in result.stdout
    error = fails("sample", "l0", "--output", "a.png", code=1)
    assert "takes levels 0, 1; this model has 0 alone" in error
    error = fails("push", "l0", "hf://me/l0", "--dry-run", code=1)
    assert "'l0' holds some levels alone. Join them" in error
    error = fails("evaluate", "l0", "--data", "sample", code=1)
    assert "takes levels 0, 1; this model has 0 alone" in error
    result = run("info", "l0")
    assert "levels:    0 alone" in result.stdout


def test_mistakes(run, fails, preset, trained):
    error = fails("assemble", "a", "no", "--output", "b", code=1)
    assert "no" in error
    error = fails("assemble", "a", "--output", "a", code=2)
    assert "'a' exists" in error
    error = fails("assemble", "a", "--output", "a", "--overwrite", code=2)
    assert "is not what this command writes" in error
    Path("b").mkdir()
    result = run("assemble", "a", "--output", "c")
    assert result.exit_code == 0, result.output
    result = run("assemble", "a", "--output", "c", "--overwrite")
    assert result.exit_code == 0, result.output
