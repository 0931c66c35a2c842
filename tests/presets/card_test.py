import re

import pytest
import yaml
from huggingface_hub import ModelCard

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan.presets import save_preset
from keras_lapgan.presets.card import is_generated
from keras_lapgan.presets.card import model_card
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.presets.preset_folder import serialized

METADATA = {
    "preset": "lapgan_cifar10_small",
    "data": "cifar10",
    "split": "train[:90%]",
    "epochs": 3,
    "batch_size": 64,
    "seed": 0,
    "license": "other",
    "note": "Trained\non a laptop.",
    "metrics": [
        {
            "name": "Frechet distance | Lite0",
            "value": 41.25,
            "type": "frechet_distance",
            "dataset": "cifar10",
            "split": "test",
            "protocol": "n = 3000, floor 13.0",
        },
        {"name": "Recall", "value": 0.0312},
    ],
}


@pytest.fixture
def model(tiny):
    return tiny.model(num_classes=3, class_names=["a", "b", "c"])


def read(folder):
    return (folder / "README.md").read_text(encoding="utf-8")


def front(card):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, re.S)[1])


def test_what_the_hub_reads(model, tmp_path):
    save_preset(model, tmp_path / "mine", METADATA)
    facts = front(read(tmp_path / "mine"))
    assert facts["library_name"] == "keras"
    assert facts["pipeline_tag"] == "unconditional-image-generation"
    assert facts["tags"] == [
        "keras-lapgan",
        "gan",
        "lapgan",
        "arxiv:1506.05751",
    ]
    assert facts["datasets"] == ["uoft-cs/cifar10"]
    # A link to what is not there would be dead.
    assert facts["license"] == "other" and "license_link" not in facts
    first, second = (
        result["metrics"][0] for result in facts["model-index"][0]["results"]
    )
    assert first["value"] == 41.25 and second["value"] == 0.0312
    assert first["args"] == {"protocol": "n = 3000, floor 13.0"}
    # The client understands it the same way.
    card = ModelCard.load(tmp_path / "mine" / "README.md")
    results = {r.metric_name: r.metric_value for r in card.data.eval_results}
    assert results["Frechet distance | Lite0"] == 41.25


def test_what_people_read(model, tmp_path):
    save_preset(model, tmp_path / "my own", METADATA)
    card = read(tmp_path / "my own")
    for text in (
        "4 -> 8",
        "Classes (3): a, b, c.",
        "- data: cifar10\n- split: train[:90%]\n- epochs: 3\n",
        "keras-lapgan sample './my own' ",
        "keras-lapgan train lapgan_cifar10_small --data cifar10 --split "
        "'train[:90%]' --epochs 3 --batch-size 64 --seed 0\n",
        "n = 3000, floor 13.0:\n\n| what | value |\n|---|---|\n"
        "| Frechet distance \\| Lite0 | 41.25 |\n",
        "| Recall | 0.0312 |",
        "The weights: other. The licence",
        "## Limits and intended use",
    ):
        assert text in card
    # Long lines are tables, addresses and what is copied.
    assert "{" not in card and "None\n" not in card


def test_a_model_of_which_nothing_is_known(tiny, tmp_path):
    save_preset(tiny.model(sizes=(4,)), tmp_path / "mine")
    card = read(tmp_path / "mine")
    facts = front(card)
    assert "license" not in facts and "datasets" not in facts
    assert "model-index" not in facts
    for absent in ("## Training", "## Measured", "Classes", "generate_from"):
        assert absent not in card
    assert "None is stated" in card


def test_its_three_snippets_run(model, tiny, tmp_path, monkeypatch):
    save_preset(model, tmp_path / "my own")
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(
        r"```python\n(.*?)```", read(tmp_path / "my own"), re.DOTALL
    )
    assert len(snippets) == 3
    names = {"images": tiny.images(), "labels": tiny.labels()}
    for snippet in snippets:
        exec(snippet.replace("epochs=1", "verbose=0"), names)  # noqa: S102
    assert isinstance(names["model"], LAPGAN)
    assert names["images"].shape == (16, 8, 8, 3)
    assert names["finer"].shape == (16, 8, 8, 3)
    assert LAPGAN.from_preset("./mine").sizes == model.sizes


def test_the_snippets_of_a_plain_gan_run(tiny, tmp_path, monkeypatch):
    save_preset(tiny.model(sizes=(4,)), tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    names = {}
    snippets = re.findall(
        r"```python\n(.*?)```", read(tmp_path / "one"), re.DOTALL
    )
    for snippet in snippets:
        exec(snippet.replace("epochs=1", "verbose=0"), names)  # noqa: S102
    assert names["exact"].dtype == "float32"


def test_the_path_of_a_folder_is_no_data_set_s_name(model, tmp_path):
    save_preset(model, tmp_path, {"data": "/home/me/holidays"})
    assert "datasets" not in front(read(tmp_path))


def test_what_somebody_wrote_stays(model, tmp_path):
    card = tmp_path / "README.md"
    save_preset(model, tmp_path, {"epochs": 1})
    text = read(tmp_path)
    text = text.replace("---\n", "---\nlanguage: en\nlicense: mit\n", 1)
    text = text.replace("\n<!--", "\nBefore.\n\n<!--", 1) + "\nAfter: é.\n"
    card.write_text(text, encoding="utf-8")
    assert not is_generated(card)
    for _ in range(2):
        save_preset(model, tmp_path, {"epochs": 2, "license": "cc0-1.0"})
    text = read(tmp_path)
    facts = front(text)
    assert (facts["language"], facts["license"]) == ("en", "mit")
    assert text.count("license:") == 1
    assert text.count("\nBefore.\n") == text.count("\nAfter: é.\n") == 1
    assert "- epochs: 2" in text and "- epochs: 1" not in text


def test_a_card_without_marks_stays_as_it_is(model, tmp_path):
    card = tmp_path / "README.md"
    card.write_text("# Mine\n")
    save_preset(model, tmp_path, {"epochs": 3})
    assert card.read_text() == "# Mine\n"
    assert not is_generated(card)


def test_yaml_that_cannot_be_read_is_told(model, tmp_path):
    save_preset(model, tmp_path)
    card = tmp_path / "README.md"
    card.write_text(read(tmp_path).replace("---\n", "---\na: [\n", 1))
    before = card.read_text()
    # Whoever saves would lose more than a card.
    with pytest.warns(UserWarning, match="YAML lines cannot be read.*stays"):
        save_preset(model, tmp_path, {"epochs": 7})
    assert card.read_text() == before
    assert read_metadata(tmp_path)["epochs"] == 7


@pytest.mark.parametrize(
    "lines",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "date: 2020-99-99\n",
        "[" * 5000 + "\n",
        "- a\n",
        "? [1, 2]\n: b\n",
    ],
)
def test_yaml_that_is_too_clever(model, lines):
    previous = f"---\n{lines}---\n"
    with pytest.raises(PresetError, match="YAML lines"):
        model_card(serialized(model), {}, "x", previous=previous)


@pytest.mark.parametrize(
    "data, message",
    [
        ("Grüße".encode("latin-1"), "is not UTF-8"),
        (b"<!-- keras-lapgan: begin -->\n" * 7000, "too large: 203,000"),
    ],
)
def test_a_card_that_cannot_be_renewed_stays(model, tmp_path, data, message):
    (tmp_path / "README.md").write_bytes(data)
    with pytest.warns(UserWarning, match=message):
        save_preset(model, tmp_path)
    assert (tmp_path / "README.md").read_bytes() == data


def test_a_card_that_is_a_link_stays_one(model, tmp_path):
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "README.md").symlink_to(tmp_path / "secret")
    with pytest.warns(UserWarning, match="is a link"):
        save_preset(model, folder)
    assert (folder / "README.md").is_symlink()


def test_many_begins_take_no_time(model):
    previous = "<!-- keras-lapgan: begin -->\n" * 6000
    assert model_card(serialized(model), {}, "x", previous=previous) == previous


def test_line_ends_stay(model):
    config = serialized(model)
    card = model_card(config, {}, "x") + "\nMine.\n"
    windows = card.replace("\n", "\r\n")
    again = model_card(config, {"epochs": 2}, "x", previous=windows)
    assert again.endswith("\r\nMine.\r\n")
    assert again.count("\n") == again.count("\r\n")


def test_yaml_alone_gets_the_rest(model):
    previous = "---\nlicense: mit\n---\n"
    card = model_card(serialized(model), {}, "x", previous=previous)
    facts = front(card)
    assert facts["license"] == "mit" and facts["library_name"] == "keras"
    assert "The weights: mit." in card


def test_marks_in_what_others_wrote(model):
    config, note = serialized(model), "a <!-- keras-lapgan: end --> b"
    metric = {"name": "# keras-lapgan: end", "value": 1, "protocol": note}
    metadata = {"note": note, "metrics": [metric]}
    card = model_card(config, metadata, "x")
    assert model_card(config, metadata, "x", previous=card) == card


@pytest.mark.parametrize("lines", ["{license: mit}", "  a: b", "null"])
def test_yaml_that_takes_no_more_lines(model, lines):
    previous = f"---\n{lines}\n---\n"
    with pytest.raises(PresetError, match="YAML lines cannot be read"):
        model_card(serialized(model), {}, "x", previous=previous)


def test_a_card_says_no_paths(model):
    metadata = {"data": "/home/me/cats", "preset": "../mine"}
    assert "/home" not in model_card(serialized(model), metadata, "x")


def test_a_command_says_all_that_a_step_depends_on(model):
    metadata = {
        "preset": "gan_cifar10",
        "data": "cifar10",
        "steps_per_epoch": 7,
        "precision": "bfloat16",
        "flip": True,
        "crop": "center",
        "resize": "none",
        "levels": [0],
    }
    card = model_card(serialized(model), metadata, "x")
    assert (
        "keras-lapgan train gan_cifar10 --data cifar10 --steps-per-epoch 7 "
        "--levels 0 --precision bfloat16 --flip --crop center --resize none\n"
        in card
    )


def test_its_title_is_the_repository_s_name(model):
    card = model_card(serialized(model), {}, "hf://me/cats")
    assert "\n# cats\n" in card


def test_the_marks_of_older_cards(model, tmp_path):
    card = tmp_path / "README.md"
    card.write_text("<!-- written by keras-lapgan -->\n# old\n")
    assert is_generated(card)
    save_preset(model, tmp_path)
    assert "# old" not in read(tmp_path) and is_generated(card)


def test_what_is_no_card_of_ours(tmp_path):
    assert not is_generated(tmp_path / "README.md")
    (tmp_path / "README.md").write_bytes(b"\xff\xfe")
    assert not is_generated(tmp_path / "README.md")


def test_pictures_beside_it(model):
    card = model_card(
        serialized(model), {}, "hf://me/mine", ["grid.png", "strip.png"]
    )
    assert "![Samples](grid.png)" in card
    assert "![Samples, coarse to fine](strip.png)" in card
    assert 'LAPGAN.from_preset("hf://me/mine")' in card
