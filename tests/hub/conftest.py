import pytest
from loopback_hub import LoopbackHub


@pytest.fixture
def hub():
    """A Hub on this machine; `patch` makes it this process' Hub."""
    with LoopbackHub(
        tokens={
            "hf_alice": "alice",
            "hf_bob": "bob",
            "hf_reader": "alice",
        },
        expired=["hf_old"],
        read_only=["hf_reader"],
    ) as hub:
        yield hub


@pytest.fixture
def logged_in(hub, tmp_path, monkeypatch):
    """Goes to the Hub with a token, or none, and an empty cache."""
    homes = iter(range(100))

    def logged_in(token=None, offline=False, home=None):
        home = home or tmp_path / f"home_{next(homes)}"
        hub.patch(monkeypatch, home, token=token, offline=offline)
        return home

    hub.waits = hub.skip_waits(monkeypatch)
    return logged_in
