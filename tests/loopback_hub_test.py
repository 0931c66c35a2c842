"""What the Hub's real client sees of the loopback Hub."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import HfApi
from huggingface_hub import constants
from huggingface_hub import errors
from huggingface_hub import get_session
from huggingface_hub import hf_hub_download
from huggingface_hub import snapshot_download
from huggingface_hub import upload_folder
from loopback_hub import GIT_ATTRIBUTES
from loopback_hub import LoopbackHub

WEIGHTS = bytes(range(256)) * 1000
FILES = {
    "README.md": b"# A model\n",
    "config.json": b"{}",
    "model.weights.h5": WEIGHTS,
    "samples/grid.txt": b"a picture",
}


@pytest.fixture
def hub():
    tokens = {"hf_alice": "alice", "hf_bob": "bob", "hf_reader": "alice"}
    with LoopbackHub(
        tokens, expired=["hf_old"], read_only=["hf_reader"]
    ) as hub:
        hub.add_repo("alice/x", FILES)
        yield hub


@pytest.fixture
def anonymous(hub, monkeypatch, tmp_path):
    hub.patch(monkeypatch, tmp_path / "home")


@pytest.fixture
def alice(hub, monkeypatch, tmp_path):
    hub.patch(monkeypatch, tmp_path / "home", token="hf_alice")


@pytest.fixture
def waits(hub, monkeypatch):
    return hub.skip_waits(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    """Other files than the repository has."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_bytes(b'{"new": 1}')
    (folder / "model.weights.h5").write_bytes(os.urandom(4_000_000))
    return folder


def contents(folder):
    folder = Path(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def count(hub, method, pattern):
    return sum(
        m == method and bool(re.search(pattern, p)) for m, p in hub.requests
    )


class TestRepositories:
    def test_create(self, hub, alice):
        url = huggingface_hub.create_repo("alice/new", private=True)
        assert url == f"{hub.url}/alice/new" and hub.repos["alice/new"].private
        assert hub.files("alice/new") == {".gitattributes": GIT_ATTRIBUTES}
        huggingface_hub.create_repo("alice/new", exist_ok=True)
        with pytest.raises(errors.HfHubHTTPError, match="already") as caught:
            huggingface_hub.create_repo("alice/new")
        assert caught.value.response.status_code == 409
        with pytest.raises(errors.HfHubHTTPError, match="namespace"):
            huggingface_hub.create_repo("bob/new")
        huggingface_hub.delete_repo("alice/new")
        assert not huggingface_hub.repo_exists("alice/new")

    def test_info(self, hub, anonymous):
        info = huggingface_hub.model_info("alice/x")
        assert info.sha == hub.repos["alice/x"].find("main")
        assert not info.private and not info.gated
        assert [f.rfilename for f in info.siblings] == sorted(FILES)
        assert info.siblings[0].size is None
        info = huggingface_hub.model_info("alice/x", files_metadata=True)
        by_name = {file.rfilename: file for file in info.siblings}
        assert by_name["config.json"].size == 2
        # What `git hash-object` says of the two bytes.
        assert by_name["config.json"].blob_id.startswith("9e26dfeeb6e641a3")
        assert by_name["config.json"].lfs is None
        assert by_name["model.weights.h5"].lfs.size == len(WEIGHTS)

    def test_tree(self, anonymous):
        api = HfApi()
        tree = {f.path: f for f in api.list_repo_tree("alice/x")}
        assert set(tree) == {*FILES, "samples"} - {"samples/grid.txt"}
        assert isinstance(tree["samples"], huggingface_hub.hf_api.RepoFolder)
        tree = api.list_repo_tree("alice/x", "samples")
        assert [f.path for f in tree] == ["samples/grid.txt"]
        assert set(api.list_repo_files("alice/x")) == set(FILES)
        infos = api.get_paths_info("alice/x", ["config.json", "samples", "no"])
        assert [info.path for info in infos] == ["config.json", "samples"]
        assert api.file_exists("alice/x", "samples/grid.txt")
        assert not api.file_exists("alice/x", "grid.txt")

    def test_revisions(self, hub, alice):
        old = hub.repos["alice/x"].find("main")
        huggingface_hub.create_tag("alice/x", tag="v/1")
        huggingface_hub.create_branch("alice/x", branch="dev")
        new = hub.add_repo("alice/x", {"config.json": b"2"}, branch="dev")

        def config(revision):
            path = hf_hub_download("alice/x", "config.json", revision=revision)
            return Path(path).read_bytes()

        assert config("v/1") == config("main") == config(old) == b"{}"
        assert config("dev") == config(new) == b"2"
        refs = huggingface_hub.list_repo_refs("alice/x")
        assert {ref.name: ref.target_commit for ref in refs.branches} == {
            "main": old,
            "dev": new,
        }
        assert refs.tags[0].ref == "refs/tags/v/1"
        with pytest.raises(errors.HfHubHTTPError, match="409"):
            huggingface_hub.create_tag("alice/x", tag="v/1", revision="dev")
        commits = huggingface_hub.list_repo_commits("alice/x", revision="dev")
        assert [c.commit_id for c in commits[:2]] == [new, old]
        assert huggingface_hub.revision_exists("alice/x", "dev")
        assert not huggingface_hub.revision_exists("alice/x", "nope")


class TestDownloads:
    def test_snapshot(self, hub, anonymous):
        folder = snapshot_download("alice/x")
        assert contents(folder) == FILES
        hub.requests.clear()
        assert snapshot_download("alice/x") == folder
        assert hub.requests == [("GET", "/api/models/alice/x/revision/main")]

    def test_headers(self, hub):
        session = get_session()
        url = f"{hub.url}/alice/x/resolve/main/model.weights.h5"
        head = session.head(url)
        assert head.headers["X-Repo-Commit"] == hub.repos["alice/x"].find(
            "main"
        )
        assert head.headers["ETag"] == head.headers["X-Linked-Etag"]
        assert head.headers["X-Linked-Size"] == str(len(WEIGHTS))
        part = session.get(url, headers={"Range": "bytes=1000-1999"})
        assert part.status_code == 206 and part.content == WEIGHTS[1000:2000]
        assert part.headers["Content-Range"].endswith(f"/{len(WEIGHTS)}")
        part = session.get(url, headers={"Range": f"bytes={len(WEIGHTS)}-"})
        assert part.status_code == 416

    def test_missing(self, anonymous):
        with pytest.raises(errors.RemoteEntryNotFoundError):
            hf_hub_download("alice/x", "no.h5")
        with pytest.raises(errors.RevisionNotFoundError):
            hf_hub_download("alice/x", "config.json", revision="nope")
        with pytest.raises(errors.RevisionNotFoundError):
            snapshot_download("alice/x", revision="a" * 40)

    def test_stopped(self, hub, anonymous, waits):
        url = hub.url
        folder = snapshot_download("alice/x")
        hub.stop()
        assert snapshot_download("alice/x") == folder
        with pytest.raises(Exception, match="refused"):
            huggingface_hub.model_info("alice/x")
        with pytest.raises(errors.LocalEntryNotFoundError):
            hf_hub_download("alice/x", "other")
        assert waits == [1, 2, 4, 8, 8]
        hub.start()
        assert hub.url == url
        assert huggingface_hub.model_info("alice/x").author == "alice"

    def test_offline(self, hub, anonymous, monkeypatch, tmp_path):
        snapshot_download("alice/x")
        hub.requests.clear()
        hub.patch(monkeypatch, tmp_path / "home", offline=True)
        assert contents(snapshot_download("alice/x")) == FILES
        with pytest.raises(errors.OfflineModeIsEnabled):
            huggingface_hub.model_info("alice/x")
        hub.patch(monkeypatch, tmp_path / "other", offline=True)
        with pytest.raises(errors.LocalEntryNotFoundError, match="OFFLINE"):
            snapshot_download("alice/x")
        assert hub.requests == []

    def test_new_process(self, hub, tmp_path):
        hub.repos["alice/x"].private = True
        code = (
            "import huggingface_hub as hub;"
            "print(hub.hf_hub_download('alice/x', 'config.json'))"
        )
        for options in ({"token": "hf_alice"}, {"offline": True}):
            path = subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, **hub.environment(tmp_path, **options)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            assert tmp_path in Path(path).parents
        # The second ran on what the first had cached.
        assert [method for method, _ in hub.requests] == ["HEAD", "GET"]


class TestUploads:
    def test_folder(self, hub, alice, folder):
        commit = upload_folder(repo_id="alice/x", folder_path=folder)
        assert hub.files("alice/x") == {**FILES, **contents(folder)}
        assert commit.oid == hub.repos["alice/x"].find("main")
        assert count(hub, "PUT", "^/lfs/") == 1
        downloaded = contents(snapshot_download("alice/x"))
        assert downloaded == hub.files("alice/x")
        again = upload_folder(repo_id="alice/x", folder_path=folder)
        assert again.oid == commit.oid and count(hub, "POST", "/commit/") == 1

    def test_card_and_deletions(self, hub, alice, tmp_path):
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "README.md").write_text("# Another\n")
        (folder / "empty.h5").write_bytes(b"")
        upload_folder(
            repo_id="alice/x",
            folder_path=folder,
            delete_patterns=["samples/*", "*.json"],
        )
        files = hub.files("alice/x")
        assert set(files) == {"README.md", "empty.h5", "model.weights.h5"}
        assert files["README.md"] == b"# Another\n"

    def test_stale_parent(self, hub, alice, folder):
        old = hub.repos["alice/x"].find("main")
        hub.add_repo("alice/x", {"a": b"1"})
        with pytest.raises(errors.HfHubHTTPError, match="has happened since"):
            upload_folder(
                repo_id="alice/x", folder_path=folder, parent_commit=old
            )

    def test_pull_request(self, hub, monkeypatch, tmp_path, folder):
        hub.patch(monkeypatch, tmp_path / "home", token="hf_bob")
        commit = upload_folder(
            repo_id="alice/x", folder_path=folder, create_pr=True
        )
        assert commit.pr_url == f"{hub.url}/alice/x/discussions/1"
        assert commit.pr_revision == "refs/pr/1"
        assert hub.files("alice/x") == FILES
        path = snapshot_download("alice/x", revision="refs/pr/1")
        assert contents(path) == hub.files("alice/x", "refs/pr/1")
        assert contents(path) == {**FILES, **contents(folder)}
        refs = huggingface_hub.list_repo_refs(
            "alice/x", include_pull_requests=True
        )
        assert [ref.ref for ref in refs.pull_requests] == ["refs/pr/1"]
        hub.patch(monkeypatch, tmp_path / "home", token="hf_alice")
        (folder / "config.json").write_bytes(b"3")
        upload_folder(
            repo_id="alice/x", folder_path=folder, revision="refs/pr/1"
        )
        assert hub.files("alice/x", "refs/pr/1")["config.json"] == b"3"


ACCESS = [
    (None, "alice/none", errors.RepositoryNotFoundError, 401, "Invalid user"),
    ("hf_bob", "bob/none", errors.RepositoryNotFoundError, 404, "not found"),
    (None, "alice/p", errors.RepositoryNotFoundError, 401, "Invalid user"),
    ("hf_bob", "alice/p", errors.RepositoryNotFoundError, 404, "not found"),
    ("hf_bad", "alice/x", errors.HfHubHTTPError, 401, "Invalid credentials"),
    ("hf_old", "alice/x", errors.RepositoryNotFoundError, 401, "is expired"),
    (None, "alice/g", errors.GatedRepoError, 401, "Please log in"),
    ("hf_bob", "alice/g", errors.GatedRepoError, 403, "ask for access"),
]

PUSHES = [
    (None, "alice/x", errors.RepositoryNotFoundError, 401, "Invalid user"),
    ("hf_bob", "alice/x", errors.HfHubHTTPError, 403, "Authorization"),
    ("hf_bob", "alice/p", errors.RepositoryNotFoundError, 404, "not found"),
    ("hf_bad", "alice/x", errors.HfHubHTTPError, 401, "Invalid credentials"),
    ("hf_old", "alice/x", errors.RepositoryNotFoundError, 401, "is expired"),
    ("hf_reader", "alice/x", errors.HfHubHTTPError, 403, "write token"),
]


class TestAccess:
    @pytest.mark.parametrize(
        "download",
        [
            snapshot_download,
            lambda repo: hf_hub_download(repo, "config.json"),
        ],
        ids=["snapshot_download", "hf_hub_download"],
    )
    @pytest.mark.parametrize("token, repo, error, status, message", ACCESS)
    def test_refused(
        self,
        hub,
        monkeypatch,
        tmp_path,
        download,
        token,
        repo,
        error,
        status,
        message,
    ):
        hub.add_repo("alice/p", FILES, private=True)
        hub.add_repo("alice/g", FILES, gated=True)
        hub.patch(monkeypatch, tmp_path, token)
        with pytest.raises(error) as caught:
            download(repo)
        assert type(caught.value) is error
        assert caught.value.response.status_code == status
        assert message in caught.value.server_message

    @pytest.mark.parametrize("token, repo, error, status, message", PUSHES)
    def test_push_refused(
        self,
        hub,
        monkeypatch,
        tmp_path,
        folder,
        token,
        repo,
        error,
        status,
        message,
    ):
        hub.add_repo("alice/p", FILES, private=True)
        hub.patch(monkeypatch, tmp_path / "home", token)
        with pytest.raises(error) as caught:
            upload_folder(repo_id=repo, folder_path=folder)
        assert type(caught.value) is error
        assert caught.value.response.status_code == status
        assert message in caught.value.server_message
        assert hub.files(repo) == FILES

    def test_granted(self, hub, monkeypatch, tmp_path):
        hub.add_repo("alice/p", FILES, private=True)
        hub.add_repo("alice/g", FILES, gated=["bob"])
        hub.patch(monkeypatch, tmp_path, token="hf_bob")
        assert huggingface_hub.whoami()["name"] == "bob"
        assert huggingface_hub.model_info("alice/g").gated
        assert contents(snapshot_download("alice/g")) == FILES
        private = snapshot_download("alice/p", token="hf_alice")
        assert contents(private) == FILES


class TestFaults:
    @pytest.mark.parametrize("chunk, tries", [(50_000, 2), (None, 3)])
    def test_cut_download(
        self, hub, anonymous, waits, monkeypatch, chunk, tries
    ):
        """The client goes on after its last whole chunk, else from 0."""
        if chunk:
            monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", chunk)
        hub.fail("GET", r"\.h5", cut=100_000)
        # More than what is left, less than the whole.
        hub.fail("GET", r"\.h5", cut=200_000)
        assert contents(snapshot_download("alice/x")) == FILES
        assert count(hub, "GET", r"\.h5") == tries
        assert waits == [1] * (tries - 1)
        assert hub.faults == []

    def test_cut_for_ever(self, hub, anonymous, waits):
        hub.fail("GET", r"\.h5", cut=5000, times=math.inf)
        with pytest.raises(Exception, match="received 5000 bytes"):
            snapshot_download("alice/x")
        assert waits == [1] * 5
        hub.faults.clear()
        assert contents(snapshot_download("alice/x")) == FILES

    def test_no_reply(self, hub, anonymous):
        snapshot_download("alice/x")
        hub.fail("HEAD", "config", cut=0)
        with pytest.raises(Exception, match="disconnected"):
            hf_hub_download("alice/x", "config.json")
        assert hf_hub_download("alice/x", "config.json")

    def test_corrupted_download(self, hub, anonymous):
        """The client keeps it, and gives it out again."""
        hub.fail("GET", r"\.h5", corrupt=True)
        for _ in range(2):
            path = hf_hub_download("alice/x", "model.weights.h5")
            wrong = Path(path).read_bytes()
            assert len(wrong) == len(WEIGHTS)
            assert sum(map(int.__ne__, wrong, WEIGHTS)) == 1
        path = hf_hub_download(
            "alice/x", "model.weights.h5", force_download=True
        )
        assert Path(path).read_bytes() == WEIGHTS

    def test_refused_download(self, hub, anonymous, waits):
        """Of a file's own GET, only 429 is worth another try."""
        hub.fail("GET", r"\.h5", status=500)
        with pytest.raises(errors.HfHubHTTPError, match="500"):
            hf_hub_download("alice/x", "model.weights.h5")
        assert waits == []
        hub.fail("GET", r"\.h5", status=429, retry_after=7, times=2)
        assert hf_hub_download("alice/x", "model.weights.h5")
        assert waits == [8, 8]

    def test_refused_lookup(self, hub, anonymous, waits):
        hub.fail("GET", "/revision/", status=503)
        with pytest.raises(errors.LocalEntryNotFoundError, match="503"):
            snapshot_download("alice/x")
        hub.fail("HEAD", r"\.h5", status=500, times=3)
        assert contents(snapshot_download("alice/x")) == FILES
        assert waits == [1, 2]

    @pytest.mark.parametrize(
        "fault", [{"status": 503}, {"status": 429}, {"cut": 1_000_000}]
    )
    def test_upload_goes_on(self, hub, alice, waits, folder, fault):
        hub.fail("PUT", "/lfs/", times=2, **fault)
        upload_folder(repo_id="alice/x", folder_path=folder)
        assert hub.files("alice/x") == {**FILES, **contents(folder)}
        assert waits == [1, 2] and count(hub, "PUT", "/lfs/") == 3

    @pytest.mark.parametrize("fault", [{"status": 500}, {"cut": 1_000_000}])
    def test_upload_fails(self, hub, alice, waits, folder, fault):
        hub.fail("PUT", "/lfs/", times=math.inf, **fault)
        with pytest.raises(RuntimeError, match="model.weights.h5"):
            upload_folder(repo_id="alice/x", folder_path=folder)
        assert waits == [1, 2, 4, 8, 8]
        assert hub.files("alice/x") == FILES

    def test_preupload_is_retried(self, hub, alice, waits, folder):
        hub.fail("POST", "/preupload/", status=500)
        hub.fail("POST", "/lfs/objects/batch", status=429, retry_after=3)
        upload_folder(repo_id="alice/x", folder_path=folder)
        assert waits == [1, 4]

    def test_commit_is_not(self, hub, alice, waits, folder):
        hub.fail("POST", "/commit/", status=500)
        with pytest.raises(errors.HfHubHTTPError, match="500"):
            upload_folder(repo_id="alice/x", folder_path=folder)
        assert hub.files("alice/x") == FILES
        # The commit is made, and its reply lost.
        hub.fail("POST", "/commit/", cut=0)
        with pytest.raises(Exception, match="received 0 bytes"):
            upload_folder(repo_id="alice/x", folder_path=folder)
        assert hub.files("alice/x") == {**FILES, **contents(folder)}
        assert waits == [] and count(hub, "PUT", "/lfs/") == 1

    def test_refused_upload(self, hub, alice, waits, folder):
        hub.stop()
        with pytest.raises(Exception, match="refused"):
            upload_folder(repo_id="alice/x", folder_path=folder)
        assert waits == [1, 2, 4, 8, 8]
