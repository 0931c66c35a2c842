import pytest

from keras_lapgan import PresetError
from keras_lapgan.hub import HubUri


@pytest.mark.parametrize(
    "text, repo, revision",
    [
        ("hf://user/name", "user/name", None),
        ("hf://user/name/", "user/name", None),
        ("hf://user/name@v1.0", "user/name", "v1.0"),
        ("hf://user/name@refs/pr/1", "user/name", "refs/pr/1"),
        ("https://huggingface.co/user/name", "user/name", None),
        ("https://huggingface.co/user/name/", "user/name", None),
        ("https://hf.co/user/name?library=keras#use", "user/name", None),
        ("https://huggingface.co/user/name/tree/v1", "user/name", "v1"),
        (
            "https://huggingface.co/user/name/tree/refs%2Fpr%2F1",
            "user/name",
            "refs/pr/1",
        ),
    ],
)
def test_what_is_understood(text, repo, revision):
    uri = HubUri.parse(text)
    assert uri == HubUri(repo, revision)
    assert HubUri.is_one(text)
    assert HubUri.parse(str(uri)) == uri


def test_another_hub(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:81/")
    uri = HubUri.parse("http://127.0.0.1:81/user/name")
    assert uri.repo == "user/name"
    assert uri.address == "http://127.0.0.1:81/user/name"


def test_a_revision_beside_it():
    assert HubUri.parse("hf://a/b", "v1").revision == "v1"
    assert HubUri.parse("hf://a/b@v1", "v1").revision == "v1"
    with pytest.raises(PresetError, match="Two revisions.*revision='v2'"):
        HubUri.parse("hf://a/b@v1", "v2")


@pytest.mark.parametrize(
    "text, message",
    [
        ("hf://name", "written hf://user/name"),
        ("hf://", "written hf://user/name"),
        ("hf://a/b/c", "written hf://user/name"),
        ("hf://a/../b", "written hf://user/name"),
        ("hf://datasets/a/b", "written hf://user/name"),
        ("hf://a/b.git", "written hf://user/name"),
        ("hf://a b/c", "written hf://user/name"),
        ("https://huggingface.co/datasets/a/b", "written hf://user/name"),
        ("https://huggingface.co/a/b/blob/main/x", "written hf://user/name"),
        ("https://example.com/a/b", "is not on the Hub"),
        ("./a/b", "is not on the Hub"),
        ("hf://a/b@../../x", "A revision is a branch"),
        ("hf://a/b@-x", "A revision is a branch"),
        ("hf://a/b@a b", "A revision is a branch"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(PresetError, match=message) as caught:
        HubUri.parse(text)
    assert text in str(caught.value) or "revision=" in str(caught.value)


@pytest.mark.parametrize("text", ["lapgan_cifar10", "./hf", None, 3])
def test_what_is_not_of_the_hub(text):
    assert not HubUri.is_one(text)
