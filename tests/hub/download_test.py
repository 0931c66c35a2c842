import math

import pytest

from keras_lapgan import PresetError
from keras_lapgan.hub import HubUri
from keras_lapgan.hub.download import download

LIMITS = {"config.json": 100, "model.weights.h5": None}
FILES = {
    "config.json": b"{}",
    "model.weights.h5": bytes(range(256)) * 8000,
    "other.bin": b"no",
}


@pytest.fixture
def repo(hub):
    hub.add_repo("alice/x", FILES)
    return HubUri("alice/x")


def fetched(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


WANTED = {name: FILES[name] for name in LIMITS}


def test_only_what_is_wanted_comes(hub, repo, logged_in):
    logged_in()
    assert fetched(download(repo, LIMITS)) == WANTED
    before = len(hub.requests)
    assert fetched(download(repo, LIMITS)) == WANTED
    again = [path for _, path in hub.requests[before:]]
    assert not any("/resolve/" in path for path in again)


def test_revisions(hub, repo, logged_in):
    logged_in()
    first = hub.add_repo("alice/x", {**FILES, "config.json": b"1"}, branch="v1")
    assert fetched(download(repo, LIMITS))["config.json"] == b"{}"
    for revision in ("v1", first):
        uri = HubUri("alice/x", revision)
        assert fetched(download(uri, LIMITS))["config.json"] == b"1"


def message(uri, limits=LIMITS):
    with pytest.raises(PresetError) as caught:
        download(uri, limits)
    text = str(caught.value)
    assert text.startswith(("Could not load ", "'hf://"))
    assert "\n" not in text and len(text) < 400
    return text


# === Who is refused, and why ===


def test_no_such_repository(logged_in):
    logged_in()
    text = message(HubUri("alice/none"))
    assert "no such repository, or it is private and you have given no" in text
    assert "hf auth login" in text
    logged_in("hf_alice")
    text = message(HubUri("alice/none"))
    assert "no such repository that your token may see" in text


def test_a_private_repository(hub, logged_in):
    hub.add_repo("alice/p", FILES, private=True)
    logged_in()
    assert "given no token" in message(HubUri("alice/p"))
    logged_in("hf_bob")
    assert "your token may see" in message(HubUri("alice/p"))
    logged_in("hf_alice")
    assert fetched(download(HubUri("alice/p"), LIMITS)) == WANTED


def test_a_gated_repository(hub, logged_in):
    hub.add_repo("alice/g", FILES, gated=True)
    for token in (None, "hf_bob"):
        logged_in(token)
        text = message(HubUri("alice/g"))
        assert "is gated. Ask for access at" in text and "alice/g" in text


def test_tokens_that_are_refused(repo, logged_in):
    logged_in("hf_wrong")
    assert "does not know your token. Check HF_TOKEN" in message(repo)
    logged_in("hf_old")
    assert "your token has expired. Make a new one" in message(repo)


def test_no_such_revision(repo, logged_in):
    logged_in()
    for revision in ("v9", "a" * 40):
        text = message(HubUri("alice/x", revision))
        assert f"has no revision {revision!r}. See its branches" in text


def test_not_a_preset(hub, repo, logged_in):
    logged_in()
    hub.add_repo("alice/llm", {"config.json": b"{}", "a.safetensors": b""})
    text = message(HubUri("alice/llm"))
    assert "is not a preset of keras-lapgan" in text
    assert "has no model.weights.h5" in text
    text = message(repo, {**LIMITS, "config.json": 1})
    assert "config.json has 2 bytes, more than 1" in text
    assert not any("/resolve/" in path for _, path in hub.requests)


# === No network ===


def test_offline_with_and_without_a_cache(hub, repo, logged_in):
    home = logged_in()
    assert fetched(download(repo, LIMITS)) == WANTED
    logged_in(offline=True, home=home)
    assert fetched(download(repo, LIMITS)) == WANTED
    logged_in(offline=True)
    text = message(repo)
    assert "HF_HUB_OFFLINE is set, and it is not in the cache" in text
    assert "Unset HF_HUB_OFFLINE" in text
    hub.stop()
    logged_in(home=home)
    assert fetched(download(repo, LIMITS)) == WANTED
    logged_in()
    text = message(repo)
    assert "the Hub cannot be reached, and it is not in the cache" in text


def test_a_cache_with_a_part_of_it(hub, repo, logged_in):
    home = logged_in()
    download(repo, {"config.json": 100})
    hub.stop()
    assert "cache of this machine, or only in part" in message(repo)
    hub.start()
    assert fetched(download(repo, LIMITS)) == WANTED
    logged_in(home=home, offline=True)
    assert fetched(download(repo, LIMITS)) == WANTED


# === What goes wrong on the way ===


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("path", ["/api/models/", r"/resolve/.*\.h5"])
def test_errors_that_pass(hub, repo, logged_in, status, path):
    logged_in()
    hub.fail("GET", path, status=status, times=2)
    assert fetched(download(repo, LIMITS)) == WANTED


def test_the_hub_says_how_long_to_wait(hub, repo, logged_in):
    logged_in()
    hub.fail("GET", "/api/models/", status=429, retry_after=9, times=1)
    assert fetched(download(repo, LIMITS)) == WANTED
    assert any(wait >= 9 for wait in hub.waits)


def test_errors_that_do_not_pass(hub, repo, logged_in):
    logged_in()
    hub.fail("GET", r"\.h5", status=500, times=math.inf)
    assert "the Hub answers 500. Try again in a while." in message(repo)
    # What did come is not fetched again.
    hub.faults.clear()
    before = len(hub.requests)
    assert fetched(download(repo, LIMITS)) == WANTED
    later = [f"{m} {path}" for m, path in hub.requests[before:]]
    assert not any(line.endswith("config.json") for line in later)


def test_a_connection_cut_in_the_middle(hub, repo, logged_in):
    logged_in()
    hub.fail("GET", r"\.h5", cut=100_000, times=2)
    assert fetched(download(repo, LIMITS)) == WANTED


def test_a_connection_that_is_always_cut(hub, repo, logged_in):
    logged_in()
    hub.fail("GET", r"\.h5", cut=100_000, times=math.inf)
    text = message(repo)
    assert "the Hub cannot be reached" in text
    assert "what is done already is not repeated" in text


@pytest.mark.parametrize("name", list(LIMITS))
def test_a_file_that_arrives_damaged_is_fetched_again(
    hub, repo, logged_in, name
):
    logged_in()
    hub.fail("GET", f"/resolve/.*{name}", corrupt=True, times=1)
    assert fetched(download(repo, LIMITS)) == WANTED


def test_a_file_that_always_arrives_damaged_is_not_kept(hub, repo, logged_in):
    logged_in()
    hub.fail("GET", r"\.h5", corrupt=True, times=2)
    text = message(repo)
    assert "model.weights.h5 arrives damaged, its checksum differs" in text
    assert "Nothing of it was kept" in text
    assert fetched(download(repo, LIMITS)) == WANTED
