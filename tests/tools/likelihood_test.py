import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from keras.ops import convert_to_numpy as array

from keras_lapgan.datasets import ImageSource
from keras_lapgan.datasets import load_images
from keras_lapgan.metrics import multi_scale_log_likelihood
from keras_lapgan.metrics import parzen_log_likelihood
from keras_lapgan.presets.preset_folder import read_metadata

NAME = "experiments/likelihood"
SAMPLE = ("--data", "sample", "--train", "train[:500]")


@pytest.fixture(scope="module")
def likelihood():
    path = Path(__file__).parents[2] / "tools" / f"{NAME}.py"
    spec = importlib.util.spec_from_file_location("likelihood", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def saved(model, folder):
    model.normalization.adapt(load_images("sample").read(range(500)))
    model.save_to_preset(folder)
    return folder


def test_the_table(tool, tiny, tmp_path, capsys):
    gan = saved(
        tiny.model((32,), num_classes=3, normalization="per_pixel"),
        tmp_path / "gan",
    )
    lapgan = saved(
        tiny.model((32, 16, 8), num_classes=2, normalization="per_pixel"),
        tmp_path / "lapgan",
    )
    figures = tmp_path / "x.json"
    tool(
        NAME,
        *("measure", gan, lapgan, *SAMPLE),
        *("--validation", "train[500:600]", "--test", "train[600:650]"),
        *("--samples", "400", "--draws", "4", "--level-images", "3"),
        *("--level-validation-images", "2", "--json", figures),
    )
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert (
        lines[0] == "| samples | plain | multi-scale | 8 px | 16 px | 32 px |"
    )
    assert lines[2].startswith("| real pictures | -")
    assert lines[3].startswith("| real, of the first 3 | -")
    assert lines[4].startswith(f"| {gan} | -")
    assert lines[5].startswith(f"| {lapgan} | -")
    assert lines[6] == "| GAN, as reported | -3617 ± 353 |  |  |  |  |"
    assert "not comparable" in out and "Theis et al." in out
    assert "their test pictures 3" in out
    assert "level 0: 10/10 pictures" in err or "level 1: 10/10" in err
    rows = json.loads(figures.read_text())["rows"]
    assert rows[3]["draws"] == 4
    for row in rows:
        levels = row["multi_scale"]["levels"]
        assert list(levels) == ["32", "16", "8"]
        total = sum(level["mean"] for level in levels.values())
        assert row["multi_scale"]["mean"] == pytest.approx(total)
    # What was measured of real pictures.
    images = load_images("sample").read(range(1000)).astype("float64")
    standard = (images - images[:500].mean(0)) / images[:500].std(0)
    expected = parzen_log_likelihood(
        standard[:400],
        standard[600:650],
        standard[500:600],
        widths=np.geomspace(0.2, 2, 30),
    )
    assert rows[0]["plain"] == pytest.approx(expected, rel=1e-4)


def test_a_run_is_trained_and_goes_on(tool, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ("--data", "sample", "--train", "train[:128]", "--minutes", "0")
    for epochs in (1, 2):
        tool(NAME, "train", "gan", run, *arguments)
        assert read_metadata(run)["epochs"] == epochs
    assert f"epoch {epochs}" in capsys.readouterr().err
    assert len((run / "log.csv").read_text().splitlines()) == 3
    assert len(list((run / "samples").iterdir())) == 2


def test_the_lapgan_is_an_orthogonal_pyramid(likelihood, tiny):
    model = likelihood.new_model("lapgan", 10)
    likelihood.check_model(model, "it")
    x = tiny.images(2, 32)
    model.normalization.adapt(x)
    for band, _ in model.pyramid.decompose(x)[:-1]:
        low_pass = likelihood.halved(array(band))
        np.testing.assert_allclose(low_pass, 0, atol=1e-3)


@pytest.fixture
def silent(tiny):
    """A LAPGAN 4-2 whose levels draw nothing but 0."""
    model = tiny.model((4, 2), normalization="unit", up="replicate")
    for level in model.levels:
        network = level.ema_generator
        network.set_weights([0 * w for w in network.get_weights()])
    return model


@pytest.mark.parametrize("normalization", ["unit", "per_pixel"])
def test_the_models_units_and_the_tables(
    likelihood, silent, tiny, normalization, monkeypatch
):
    images = tiny.images(50, 4)
    pictures = likelihood.Pictures(
        ImageSource(images[:40]), images[40:], images
    )
    model = silent
    if normalization == "per_pixel":
        model = tiny.model((4, 2), normalization="per_pixel", up="replicate")
        for level, source in zip(model.levels, silent.levels, strict=True):
            level.set_weights(source.get_weights())
        model.normalization.adapt(tiny.images(30, 4, seed=1))
    monkeypatch.setattr(likelihood, "BAND_WIDTHS", [0.7])
    result = likelihood.multi_scale_of_levels(
        model, pictures, 3, draws=2, images=6, validation=2, seed=0
    )
    # Draws are the mean everywhere: one Gaussian, in the table's units.
    mean, std = (
        array(w) for w in (model.normalization.mean, model.normalization.std)
    )
    centre = (mean - pictures.mean) / pictures.std
    width = 0.7 * std / pictures.std
    x = (images[:6] - pictures.mean) / pictures.std
    expected = -(((x - centre) / width) ** 2) / 2
    expected -= np.log(width * np.sqrt(2 * np.pi))
    expected = expected.sum((1, 2, 3))
    assert result["mean"] == pytest.approx(expected.mean())
    assert result["std"] == pytest.approx(expected.std())
    total = sum(level["mean"] for level in result["levels"].values())
    assert result["mean"] == pytest.approx(total)


def test_each_picture_has_draws_given_its_own_low_pass(likelihood, tiny):
    """By hand, of a model in the table's units."""
    model = tiny.model((4, 2), normalization="per_pixel", up="replicate")
    images = tiny.images(9, 4)
    model.normalization.adapt(images)
    pictures = likelihood.Pictures(ImageSource(images), images[:3], images[3:])
    result = likelihood.multi_scale_of_levels(
        model, pictures, 5, draws=4, images=6, validation=3, seed=7
    )
    fine, coarse = model.levels
    noise = coarse.noise.draw(5, 7, 1)
    samples = array(coarse.sample_band(noise=noise))
    calls = iter(range(9))

    def details(low_pass):
        condition = low_pass.repeat(2, axis=0).repeat(2, axis=1)
        condition = np.repeat(condition[None], 4, axis=0).astype("float32")
        noise = fine.noise.draw(4, 7, 0, 4 * next(calls))
        return array(fine.sample_band(condition, noise=noise))

    expected = multi_scale_log_likelihood(
        [details, samples],
        pictures.standardised(images[3:]),
        pictures.standardised(images[:3]),
        widths=likelihood.BAND_WIDTHS,
    )
    assert result["mean"] == pytest.approx(expected["mean"], rel=1e-4)
    assert result["levels"][4]["width"] == expected["levels"][4]["width"]


def test_models_without_a_place_in_the_table(tool, likelihood, tiny):
    with pytest.raises(SystemExit, match="lapgan_cifar10_small of 8-14-28"):
        tool(NAME, "measure", "lapgan_cifar10_small")
    for sizes in ((28,), (32, 16, 4), (64, 32)):
        with pytest.raises(SystemExit, match="halve from there"):
            likelihood.check_model(tiny.model(sizes), "x")
    with pytest.raises(SystemExit, match="down='burt'"):
        likelihood.check_model(tiny.model((32, 16), down="burt"), "x")


@pytest.mark.slow
def test_real_pictures_of_the_table(tool, capsys):
    if not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("TFDS_DATA_DIR is not set")
    tool(NAME, "measure", "--images", "1000")
    row = capsys.readouterr().out.splitlines()[2]
    means = [float(cell.split()[0]) for cell in row.split("|")[2:-1]]
    # Other test pictures change each by three of these at most.
    errors = [20, 23, 1.5, 5, 19]
    known = [-3409, -1587, -433, -646, -508]
    for mean, error, figure in zip(means, errors, known, strict=True):
        assert mean == pytest.approx(figure, abs=3 * error)
