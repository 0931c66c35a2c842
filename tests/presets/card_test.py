import re

import pytest

from keras_lapgan import LAPGAN
from keras_lapgan.presets import save_preset
from keras_lapgan.presets.card import MARKER
from keras_lapgan.presets.card import is_generated


@pytest.fixture
def model(tiny):
    return tiny.model(num_classes=3, class_names=["a", "b", "c"])


def test_a_card_says_how_to_load_and_what_it_was_trained_on(
    model, tmp_path, monkeypatch
):
    metadata = {"data": "cifar10", "epochs": 3, "seed": 0, "split": None}
    save_preset(model, tmp_path / "my own", metadata)
    card = (tmp_path / "my own" / "README.md").read_text()
    assert card.startswith(MARKER + "\n# ")
    for text in (
        "4 -> 8",
        "Classes (3): a, b, c.",
        "- data: cifar10\n- epochs: 3\n- seed: 0\n",
        "keras-lapgan sample './my own' ",
        "arxiv.org/abs/1506.05751",
    ):
        assert text in card
    assert "split" not in card
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    names = {}
    exec(code, names)  # noqa: S102
    assert isinstance(names["model"], LAPGAN)
    assert names["images"].shape == (16, 8, 8, 3)


def test_only_a_generated_card_is_replaced(model, tmp_path):
    card = tmp_path / "README.md"
    save_preset(model, tmp_path, {"epochs": 1})
    save_preset(model, tmp_path, {"epochs": 2})
    assert is_generated(card) and "- epochs: 2" in card.read_text()
    card.write_text("# Mine\n")
    save_preset(model, tmp_path, {"epochs": 3})
    assert card.read_text() == "# Mine\n"


def test_what_is_no_card_of_ours(tmp_path):
    assert not is_generated(tmp_path / "README.md")
    (tmp_path / "README.md").write_bytes(b"\xff\xfe")
    assert not is_generated(tmp_path / "README.md")
