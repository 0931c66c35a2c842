import os

import numpy as np
import pytest
from PIL import Image

from keras_lapgan import LAPGAN
from keras_lapgan.utils import image_grid


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_grid(run, preset):
    result = run("sample", preset, "--seed", 4, "--count", 6)
    assert result.exit_code == 0, result.output
    assert result.stdout == "6 pictures of seed 4: samples.png\n"
    images = LAPGAN.from_preset(preset).generate(6, seed=4)
    np.testing.assert_array_equal(
        pixels("samples.png"), image_grid.image_grid(images, scale=3)
    )


def test_a_fresh_seed_is_told_and_gives_the_same_again(run, preset):
    first = run("sample", preset, "--output", "a.png").stdout
    seed = first.split("seed ")[1].split(":")[0]
    run("sample", preset, "--output", "b.png", "--seed", seed)
    np.testing.assert_array_equal(pixels("a.png"), pixels("b.png"))


def test_the_largest_seed(run, fails, preset):
    seed = 2**64 - 1
    result = run("sample", preset, "--seed", seed, "--count", 1)
    assert f"of seed {seed}" in result.stdout
    error = fails("sample", preset, "--seed", seed + 1, code=2)
    assert str(seed + 1) in error


def test_a_strip_from_coarse_to_fine(run, preset):
    args = ("--layout", "strip", "--seed", 1, "--count", 2, "--output", "a.png")
    assert run("sample", preset, *args).exit_code == 0
    strip = pixels("a.png")
    assert strip.shape == (2 * 98 + 2, 2 * 98 + 2, 3)
    fine, coarse = LAPGAN.from_preset(preset).generate(
        2, seed=1, return_pyramid=True
    )
    for i in range(2):
        row = strip[2 + 98 * i :][:96]
        np.testing.assert_array_equal(row[::12, 2:98:12], coarse[i])
        np.testing.assert_array_equal(row[::6, 100:196:6], fine[i])


def test_files(run, fails, preset):
    args = ("sample", preset, "--layout", "files", "--seed", 1)
    assert run(*args, "--count", 3).exit_code == 0
    assert sorted(os.listdir("samples")) == [f"0000{i}.png" for i in range(3)]
    images = LAPGAN.from_preset(preset).generate(3, seed=1)
    np.testing.assert_array_equal(pixels("samples/00002.png"), images[2])
    assert "'samples' exists" in fails(*args, code=2)
    assert run(*args, "--count", 2, "--overwrite").exit_code == 0
    assert len(os.listdir("samples")) == 2
    os.rename("samples/00001.png", "samples/holiday.png")
    error = fails(*args, "--overwrite", code=2)
    assert "'samples' is not what this command writes" in error


def test_a_column_a_class(run, class_preset):
    args = ("sample", class_preset, "--seed", 1, "--output")
    run(*args, "all.png")
    model = LAPGAN.from_preset(class_preset)
    images = model.generate(80, labels=np.arange(80) % 10, seed=1)
    np.testing.assert_array_equal(
        pixels("all.png"), image_grid.image_grid(images, 10, 3)
    )
    result = run(*args, "some.png", "--labels", "Cat, 4,big dog")
    assert "24 pictures" in result.stdout
    images = model.generate(24, labels=[0, 4, 1] * 8, seed=1)
    np.testing.assert_array_equal(
        pixels("some.png"), image_grid.image_grid(images, 3, 3)
    )


@pytest.mark.parametrize(
    "labels, message",
    [
        ("kat", "no class 'kat'. Did you mean cat"),
        ("cat,10", "no class '10'. Classes: cat, big_dog, a, "),
        ("-1", "no class '-1'"),
        (" , ", "no class is named"),
    ],
)
def test_unknown_classes(fails, class_preset, labels, message):
    error = fails("sample", class_preset, "--labels", labels, code=2)
    assert message in error


def test_labels_of_an_unconditional_model(fails, preset):
    error = fails("sample", preset, "--labels", "cat", code=2)
    assert "not class-conditional" in error and "'cat'" in error


@pytest.mark.parametrize(
    "args, code, message",
    [
        (["lapgan_cifar1"], 1, "Did you mean lapgan_cifar10"),
        (["lapgan_stl10"], 2, "no trained weights yet. Train it, `keras-lap"),
        (["EMPTY"], 1, "is not a preset folder: it has no config.json"),
        (["TINY", "--output", "a.jpg"], 2, "must end in .png. Received: 'a.j"),
        (["TINY", "--output", "b/a.png"], 2, "there is no folder 'b'"),
        (["TINY", "--count", "0"], 2, "'--count'"),
        (["TINY", "--seed", "-1"], 2, "'--seed'"),
        (["TINY", "--layout", "row"], 2, "'row'"),
    ],
)
def test_mistakes_end_in_one_line(fails, preset, tmp_path, args, code, message):
    (tmp_path / "empty").mkdir()
    places = {"TINY": preset, "EMPTY": "empty"}
    args = [places.get(arg, arg) for arg in args]
    assert message in fails("sample", *args, code=code)


def test_weights_that_are_cut_off(fails, preset, tmp_path):
    folder = tmp_path / "cut"
    folder.mkdir()
    for file in preset.iterdir():
        (folder / file.name).write_bytes(file.read_bytes()[:20_000])
    error = fails("sample", "cut", code=1)
    assert "'cut': model.weights.h5" in error and "sha256 differs" in error


def test_a_full_disk_keeps_the_old_picture(run, preset, monkeypatch, tmp_path):
    (tmp_path / "samples.png").write_text("old")

    def save(self, file, format):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save)
    result = run("sample", preset, "--overwrite")
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "Error: Could not write 'samples.png': No space left on device.\n"
    )
    assert os.listdir() == ["samples.png"]
    assert (tmp_path / "samples.png").read_text() == "old"


def test_random_weights(run):
    result = run(
        "sample", "lapgan_cifar10_small", "--random-weights", "--count", 1
    )
    assert result.exit_code == 0, result.output
    assert pixels("samples.png").shape == (60, 60, 3)
