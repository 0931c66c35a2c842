import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from keras_lapgan import LAPGAN
from keras_lapgan import PresetError
from keras_lapgan import upload_preset
from keras_lapgan.presets import find_preset

NAME = "hf://alice/mine"


def uploaded(hub, revision="main", repo="alice/mine"):
    return hub.files(repo, revision=revision)


def card(hub):
    return uploaded(hub)["README.md"].decode()


def test_it_goes_up_and_comes_back(hub, run, tmp_path):
    commit = upload_preset(NAME, run, commit_message="First")
    assert len(commit.oid) == 40 and commit.oid in commit.commit_url
    files = uploaded(hub)
    assert set(files) - {".gitattributes"} == {
        "README.md",
        "config.json",
        "grid.png",
        "log.csv",
        "metadata.json",
        "model.weights.h5",
        "strip.png",
    }
    expected = LAPGAN.from_preset(run).generate(4, seed=3)
    for preset in (NAME, f"{NAME}@{commit.oid}", f"{hub.url}/alice/mine"):
        model = LAPGAN.from_preset(preset)
        np.testing.assert_array_equal(model.generate(4, seed=3), expected)
    model = LAPGAN.from_preset(NAME, revision="main", load_weights=False)
    assert model.class_names == ["a", "b", "c"]


@pytest.mark.parametrize("offline", [False, True])
def test_a_fresh_process_draws_the_same(hub, run, tmp_path, offline):
    upload_preset(NAME, run)
    code = (
        "import sys, numpy\nfrom keras_lapgan import LAPGAN\n"
        f"model = LAPGAN.from_preset({NAME!r})\n"
        "numpy.save(sys.argv[1], model.generate(4, seed=3))\n"
    )
    for i, is_offline in enumerate([False, offline]):
        if is_offline:
            hub.stop()
        environment = hub.environment(tmp_path / "cache", offline=is_offline)
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / f"{i}.npy"],
            env={**os.environ, **environment},
            check=True,
            timeout=120,
        )
        if not offline:
            break
    expected = LAPGAN.from_preset(run).generate(4, seed=3).astype(int)
    for path in tmp_path.glob("*.npy"):
        assert abs(np.load(path) - expected).max() <= 1


def test_again_changes_nothing(hub, run):
    first = upload_preset(NAME, run)
    again = upload_preset(NAME, run)
    assert again.oid == first.oid


def test_what_somebody_wrote_on_the_hub_stays(hub, run):
    upload_preset(NAME, run)
    # A card that its user wrote beside the model is the first one.
    own = shutil.copytree(run, run.parent / "own_card")
    (own / "README.md").write_text("# My own\n")
    upload_preset(NAME, own)
    assert card(hub) == "# My own\n"
    # If there is none, the Hub's stays.
    upload_preset(NAME, run)
    assert card(hub) == "# My own\n"
    hub.add_repo("alice/mine", {**uploaded(hub), "README.md": b""})
    upload_preset(NAME, run)
    text = card(hub).replace("---\n", "---\nlicense: mit\n", 1) + "\nMine.\n"
    hub.add_repo("alice/mine", {**uploaded(hub), "README.md": text.encode()})
    upload_preset(NAME, run)
    assert "license: mit\n" in card(hub) and "weights: mit" in card(hub)
    assert card(hub).endswith("\nMine.\n")
    # A new branch starts from it too.
    upload_preset(NAME, run, revision="v2")
    assert uploaded(hub, "v2")["README.md"].decode() == card(hub)
    assert find_preset(NAME).metadata()["license"] == "mit"


def test_branches_and_pull_requests(hub, run):
    upload_preset(NAME, run)
    upload_preset(NAME, run, revision="v2")
    assert "model.weights.h5" in uploaded(hub, "v2")
    assert LAPGAN.from_preset(f"{NAME}@v2").num_classes == 3
    hub.add_repo("alice/other", {"README.md": b"# Old\n"})
    commit = upload_preset("hf://alice/other", run, create_pr=True)
    assert commit.pr_url.endswith("/discussions/1")
    assert set(uploaded(hub, repo="alice/other")) == {"README.md"}
    proposed = LAPGAN.from_preset("hf://alice/other", revision="refs/pr/1")
    assert proposed.num_classes == 3
    with pytest.raises(PresetError, match="to the main branch.*'v2'"):
        upload_preset(NAME, run, revision="v2", create_pr=True)


def test_private(hub, run, monkeypatch, tmp_path):
    upload_preset(NAME, run, private=True)
    assert hub.repos["alice/mine"].private
    hub.patch(monkeypatch, tmp_path / "other", token="hf_bob")
    with pytest.raises(PresetError, match="that your token may see"):
        LAPGAN.from_preset(NAME)
    hub.patch(monkeypatch, tmp_path / "again", token="hf_alice")
    hub.add_repo("alice/open", {})
    with pytest.raises(PresetError, match="everybody can see it"):
        upload_preset("hf://alice/open", run, private=True)
    assert uploaded(hub, repo="alice/open") == {}


# === Who may not ===


def refused(run, message, uri=NAME, **kwargs):
    with pytest.raises(PresetError, match=message) as caught:
        upload_preset(uri, run, **kwargs)
    assert len(str(caught.value)) < 400


def test_nobody_is_logged_in(hub, run, monkeypatch, tmp_path):
    hub.patch(monkeypatch, tmp_path / "none", token=None)
    refused(run, "nobody is logged in. Log in with `hf auth login`")
    assert hub.requests == []
    upload_preset(NAME, run, token="hf_alice")


def test_tokens_that_may_not(hub, run, monkeypatch, tmp_path):
    refused(run, "does not know your token", token="hf_wrong")
    refused(run, "your token has expired", token="hf_old")
    refused(run, "your token may not do that", token="hf_bob")
    refused(run, "your token may not do that", token="hf_reader")
    assert "alice/mine" not in hub.repos
    upload_preset(NAME, run)
    before = uploaded(hub)
    refused(run, "your token may not do that", token="hf_bob")
    assert uploaded(hub) == before


def test_a_repository_of_something_else(hub, run):
    files = {"config.json": b"{}", "model.safetensors": b"1"}
    hub.add_repo("alice/mine", files)
    refused(run, "holds something else.*'config.json', 'model.safetensors'")
    hub.add_repo("alice/mine", {**files, "metadata.json": b"[]"})
    for revision in (None, "v2"):
        refused(run, "holds something else", revision=revision)
    assert uploaded(hub) == {**files, "metadata.json": b"[]"}


def test_a_folder_that_is_no_preset(hub, run, tmp_path):
    refused(tmp_path / "none", "There is no folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is not a preset folder")
    refused(run, "written hf://user/name", uri="hf://alice")
    refused(NAME, "An upload goes to hf://user/name", uri=str(run))
    assert "alice/mine" not in hub.repos


# === What goes wrong on the way ===


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/api/models/"),
        ("POST", "/api/repos/create"),
        ("POST", "/preupload/"),
        ("POST", "/objects/batch"),
        ("PUT", "/lfs/"),
        ("POST", "/commit/"),
    ],
)
@pytest.mark.parametrize("status", [429, 500])
def test_errors_that_pass(hub, run, method, path, status):
    hub.fail(method, path, status=status, times=2)
    upload_preset(NAME, run)
    assert LAPGAN.from_preset(NAME).num_classes == 3


def test_an_upload_cut_in_the_middle(hub, run):
    hub.fail("PUT", "/lfs/", cut=2000, times=2)
    upload_preset(NAME, run)
    assert LAPGAN.from_preset(NAME).num_classes == 3


def test_a_commit_whose_answer_is_lost(hub, run):
    hub.fail("POST", "/commit/", cut=0, times=1)
    commit = upload_preset(NAME, run)
    assert commit.oid
    assert LAPGAN.from_preset(NAME).num_classes == 3


def test_an_upload_that_was_given_up_goes_on(hub, run):
    hub.fail("POST", "/commit/", status=500, times=math.inf)
    refused(run, "the Hub answers 500. Try again in a while.")
    assert "model.weights.h5" not in uploaded(hub)
    hub.faults.clear()
    before = len(hub.requests)
    upload_preset(NAME, run)
    # The weights had arrived.
    assert not any(method == "PUT" for method, _ in hub.requests[before:])
    assert LAPGAN.from_preset(NAME).num_classes == 3


def test_no_network(hub, run):
    hub.stop()
    refused(run, "the Hub cannot be reached")
