import pytest
from loopback_hub import LoopbackHub


@pytest.fixture
def hub(monkeypatch, tmp_path_factory):
    with LoopbackHub(tokens={"hf_alice": "alice"}) as hub:
        hub.skip_waits(monkeypatch)
        home = tmp_path_factory.mktemp("home")
        hub.patch(monkeypatch, home, token="hf_alice")
        yield hub


def test_push_and_use(run, trained, hub):
    result = run("push", "a", "hf://alice/mine", "--message", "First")
    assert result.exit_code == 0, result.output
    link, load = result.stdout.splitlines()
    assert link.startswith(f"{hub.url}/alice/mine/commit/")
    assert load == 'Load it: LAPGAN.from_preset("hf://alice/mine")'
    assert "grid.png" in hub.files("alice/mine")
    for args in (
        ["info", "hf://alice/mine"],
        ["sample", "hf://alice/mine", "--count", "4", "--seed", "1"],
        ["train", "hf://alice/mine", "--data", "sample", "--epochs", "1"]
        + ["--steps-per-epoch", "1", "--batch-size", "4"],
    ):
        result = run(*args)
        assert result.exit_code == 0, result.output
    # The run is named after the repository.
    assert "runs/mine" in result.stdout


def test_options(run, trained, hub):
    run("push", "a", "hf://alice/mine", "--private", "--revision", "v1")
    assert hub.repos["alice/mine"].private
    assert "config.json" in hub.files("alice/mine", revision="v1")
    result = run("push", "a", f"{hub.url}/alice/mine", "--create-pr")
    link, load = result.stdout.splitlines()
    assert link == f"{hub.url}/alice/mine/discussions/1"
    assert load.endswith('("hf://alice/mine@refs/pr/1")')
    run("push", "a", "hf://alice/mine")
    result = run("push", "a", "hf://alice/mine", "--create-pr")
    assert result.stdout == "Nothing has changed: no pull request was made.\n"


def test_a_dry_run_sends_nothing(run, trained, hub):
    result = run("push", "a", "hf://alice/mine", "--dry-run")
    assert result.exit_code == 0
    first, *files = result.stdout.splitlines()
    assert first == f"Would go to {hub.url}/alice/mine:"
    names = [line.split()[-1] for line in files]
    assert "model.weights.h5" in names and "checkpoint" not in names
    assert hub.requests == [] and hub.repos == {}


def test_mistakes_end_in_one_line(fails, trained, hub, monkeypatch, tmp_path):
    line = fails("push", "b", "hf://alice/mine", code=2)
    assert "There is no folder 'b'" in line
    line = fails("push", "a", "alice/mine", code=1)
    assert "use hf://user/name" in line
    line = fails("push", "a", "hf://bob/mine", code=1)
    assert "your token may not do that" in line
    hub.patch(monkeypatch, tmp_path.parent / "none", token=None)
    line = fails("push", "a", "hf://alice/mine", code=1)
    assert "nobody is logged in" in line
