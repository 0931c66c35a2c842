"""A small Hugging Face Hub on 127.0.0.1, in memory, models only.

    with LoopbackHub(tokens={"hf_alice": "alice"}) as hub:
        hub.add_repo("alice/x", {"config.json": b"{}"})
        hub.patch(monkeypatch, tmp_path)
        huggingface_hub.hf_hub_download("alice/x", "config.json")

It speaks what the real client asks for: git LFS, not Xet. Who may see what,
and the status and headers of a refusal, are the real Hub's.
"""

import base64
import contextlib
import dataclasses
import datetime
import functools
import hashlib
import http.server
import importlib
import json
import re
import socket
import sys
import threading
import time
import urllib.parse

GIT_ATTRIBUTES = b"*.h5 filter=lfs\n*.keras filter=lfs\n"
LFS_SUFFIXES = (".h5", ".keras")
LFS_BYTES = 1_000_000

WRONG_TOKEN = "Invalid credentials in Authorization header"
ANONYMOUS = "Invalid username or password."


class LoopbackHub:
    """Serves repositories while it is a context, or from `start` to `stop`.

    A stopped hub keeps its repositories and comes back at the same address.
    A repository that is created has a `.gitattributes`, as on the real Hub;
    one from `add_repo` has only what is given.

    Args:
        tokens: dict from token to user name.
        expired: tokens that were valid once.
        read_only: those of `tokens` that may not write.

    Attributes:
        url: str.
        repos: dict from `owner/name` to repository.
        requests: list of (method, path), the path as it was sent.
        faults: list of what `fail` has ordered and did not happen yet.
    """

    def __init__(self, tokens=None, expired=(), read_only=()):
        self.tokens = dict(tokens or {})
        self.expired = set(expired)
        self.read_only = set(read_only)
        self.repos = {}
        self.uploads = {}
        self.requests = []
        self.faults = []
        self.lock = threading.RLock()
        self.url = None
        self._address = ("127.0.0.1", 0)
        self._server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    def start(self):
        self._server = _Server(self._address, self)
        self._address = self._server.server_address
        self.url = "http://{}:{}".format(*self._address)
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()

    def stop(self):
        """Refuses connections from now on, also on those that are open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    def add_repo(
        self, name, files=None, private=False, gated=False, branch="main"
    ):
        """Commits to a repository, made if missing, as its owner would.

        Args:
            name: str, `owner/name`.
            files: dict from name to bytes. Defaults to None, an empty commit.
            private: bool. Only the owner sees it. Of a new repository, as is
                the next. Defaults to False.
            gated: bool, or the names of the users who were let in. Defaults
                to False.
            branch: str. Made from main if missing. Defaults to `"main"`.

        Returns:
            str. The commit.
        """
        with self.lock:
            if name not in self.repos:
                self.repos[name] = _Repo(name, private, gated)
            repo = self.repos[name]
            ref = f"refs/heads/{branch}"
            parent = repo.refs.get(ref, repo.refs["refs/heads/main"])
            added = {
                path: _File(bytes(data), is_lfs(path, len(data)))
                for path, data in (files or {}).items()
            }
            for file in added.values():
                self.uploads[file.sha256] = file.data
            files = {**repo.commits[parent].files, **added}
            return repo.commit(ref, parent, files, "Add files")

    def files(self, name, revision="main"):
        """Returns a dict from file name to bytes."""
        with self.lock:
            repo = self.repos[name]
            commit = repo.commits[repo.find(revision)]
            return {path: file.data for path, file in commit.files.items()}

    def fail(self, method, pattern, times=1, **fault):
        """Spoils the next requests; what is ordered first happens first.

        Args:
            method: str, such as `"GET"`.
            pattern: str. Searched in the path, a regular expression.
            times: int, or `math.inf`. Defaults to 1.
            status: int. Refuses with that status.
            retry_after: int. Seconds in the header of that refusal.
            cut: int. Bytes of the body after which the connection closes: of
                a PUT, which is not done then, else of the reply to a request
                that is done. A HEAD has no reply at all.
            corrupt: bool. Replies with one byte changed, all else the same.
        """
        fault = _Fault(method, re.compile(pattern), times, **fault)
        self.faults.append(fault)

    def take_fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault.method == method and fault.pattern.search(path):
                    fault.times -= 1
                    if not fault.times:
                        self.faults.remove(fault)
                    return fault
        return _Fault(method, None, 0)

    def environment(self, home, token=None, offline=False):
        """Returns what a client reads when `huggingface_hub` is imported.

        Args:
            home: path of an empty folder, for its cache.
            token: str. Defaults to None, anonymous.
            offline: bool. Defaults to False.
        """
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_CACHE": f"{home}/hub",
            "HF_TOKEN": token or "",
            "HF_TOKEN_PATH": f"{home}/token",
            "HF_HUB_OFFLINE": str(int(offline)),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HUGGING_FACE_HUB_TOKEN": "",
            "HF_OIDC_RESOURCE": "",
            "NO_PROXY": "127.0.0.1",
        }

    def patch(self, monkeypatch, home, token=None, offline=False):
        """Turns the client of this process to this hub, for one test.

        Takes the same as `environment`, which it sets as well.
        """
        from huggingface_hub import close_session
        from huggingface_hub import constants
        from huggingface_hub import hf_api

        environment = self.environment(home, token, offline)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for name, value in {
            "ENDPOINT": self.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": self.url
            + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HOME": environment["HF_HOME"],
            "HF_HUB_CACHE": environment["HF_HUB_CACHE"],
            "HF_TOKEN_PATH": environment["HF_TOKEN_PATH"],
            "HF_STORED_TOKENS_PATH": f"{home}/stored_tokens",
            "HF_HUB_OFFLINE": offline,
            "HF_HUB_DISABLE_XET": True,
            # Else the first request asks the Hub for a list of agents.
            "HF_HUB_DISABLE_TELEMETRY": True,
        }.items():
            monkeypatch.setattr(constants, name, value)
        bars = importlib.import_module("huggingface_hub.utils.tqdm")
        monkeypatch.setattr(bars, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        # `huggingface_hub.upload_folder` and its like are methods of this.
        monkeypatch.setattr(hf_api.api, "endpoint", self.url)
        # The next session reads NO_PROXY.
        close_session()

    @staticmethod
    def skip_waits(monkeypatch):
        """Lets the client try again at once; it waits half a minute else.

        Returns:
            list. Gets the seconds that it would have waited.
        """
        waits = []
        monkeypatch.setattr(time, "sleep", waits.append)
        return waits


def is_lfs(path, size):
    """Whether the Hub wants a file through LFS; an empty one never."""
    return size > 0 and (size > LFS_BYTES or path.endswith(LFS_SUFFIXES))


@dataclasses.dataclass
class _Fault:
    method: str
    pattern: re.Pattern
    times: int
    status: int = None
    retry_after: int = None
    cut: int = None
    corrupt: bool = False


@dataclasses.dataclass
class _File:
    data: bytes
    lfs: bool

    @functools.cached_property
    def sha256(self):
        return hashlib.sha256(self.data).hexdigest()

    @functools.cached_property
    def oid(self):
        """Git's, of an LFS file that of its pointer."""
        data = self.data
        if self.lfs:
            data = (
                "version https://git-lfs.github.com/spec/v1\n"
                f"oid sha256:{self.sha256}\nsize {len(data)}\n"
            ).encode()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def etag(self):
        return self.sha256 if self.lfs else self.oid

    def info(self):
        info = {"size": len(self.data), "oid": self.oid}
        if self.lfs:
            info["lfs"] = {
                "oid": self.sha256,
                "sha256": self.sha256,
                "size": len(self.data),
                "pointerSize": 134,
            }
        return info


@dataclasses.dataclass
class _Commit:
    files: dict
    parent: str
    title: str
    date: str


class _Repo:
    def __init__(self, name, private=False, gated=False, files=None):
        self.name = name
        self.owner = name.split("/")[0]
        self.private = private
        self.gated = bool(gated)
        self.granted = set() if isinstance(gated, bool) else set(gated)
        self.commits = {}
        self.refs = {}
        self.commit("refs/heads/main", None, files or {}, "initial commit")

    def commit(self, ref, parent, files, title):
        now = datetime.datetime.now(datetime.UTC)
        files = dict(sorted(files.items()))
        content = {path: file.oid for path, file in files.items()}
        key = [self.name, parent, content, title, len(self.commits)]
        sha = hashlib.sha1(json.dumps(key).encode()).hexdigest()
        date = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self.commits[sha] = _Commit(files, parent, title, date)
        self.refs[ref] = sha
        return sha

    def find(self, revision):
        """The commit of a branch, a tag, a pull request or itself."""
        for ref in (f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if ref in self.refs:
                return self.refs[ref]
        sha = self.refs.get(revision, revision)
        if sha not in self.commits:
            raise _Refusal(
                404, f"Invalid rev id: {revision}", "RevisionNotFound"
            )
        return sha

    def list_refs(self, kind):
        prefix = f"refs/{kind}/"
        return [
            {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": sha}
            for ref, sha in self.refs.items()
            if ref.startswith(prefix)
        ]


class _Refusal(Exception):
    def __init__(self, status, message, code=None, **extra):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.extra = extra


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, hub):
        super().__init__(address, _Handler)
        self.hub = hub
        self.connections = set()

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self):
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """Says nothing of a client that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


_ROUTES = []


def _route(methods, pattern):
    """Registers a method; the pattern's groups are its arguments."""
    pattern = pattern.replace("REPO", "((?:[^/]+/)?[^/]+)")
    pattern = pattern.replace("REV", "([^/]+)")

    def register(function):
        _ROUTES.append((methods.split(), re.compile(pattern), function))
        return function

    return register


class _Handler(http.server.BaseHTTPRequestHandler):
    """One method an endpoint; each returns (status, body, headers) or JSON."""

    protocol_version = "HTTP/1.1"
    # Headers and body are sent apart, which would wait for each other.
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def handle_request(self):
        self.hub = self.server.hub
        self.route, _, query = self.path.partition("?")
        self.query = urllib.parse.parse_qs(query)
        self.hub.requests.append((self.command, self.route))
        fault = self.hub.take_fault(self.command, self.route)
        if fault.cut is not None and self.command in ("PUT", "HEAD"):
            size = int(self.headers.get("Content-Length", 0))
            self.rfile.read(min(fault.cut, size))
            self.hang_up()
            return
        self.content = self.read_content()
        try:
            if fault.status:
                raise _Refusal(fault.status, "As the test has ordered.")
            with self.hub.lock:
                reply = self.answer()
        except _Refusal as refusal:
            reply = self.refuse(refusal, fault.retry_after)
        status, body, headers = reply
        if fault.corrupt and body:
            middle = len(body) // 2
            flipped = bytes([body[middle] ^ 1])
            body = body[:middle] + flipped + body[middle + 1 :]
        self.send(status, body, headers, fault.cut)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def read_content(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def answer(self):
        for methods, pattern, function in _ROUTES:
            match = pattern.fullmatch(self.route)
            if match and self.command in methods:
                groups = [g and urllib.parse.unquote(g) for g in match.groups()]
                reply = function(self, *groups)
                if isinstance(reply, tuple):
                    return reply
                return self.json(200, reply)
        raise _Refusal(404, f"No such endpoint: {self.command} {self.route}")

    def json(self, status, content, **headers):
        headers["Content-Type"] = "application/json"
        return status, json.dumps(content).encode(), headers

    def refuse(self, refusal, retry_after):
        headers = {"X-Error-Message": refusal.message}
        code = refusal.code
        on_repo = re.match("/api/models/|/.+/resolve/", self.route)
        if refusal.status == 401 and refusal.message != WRONG_TOKEN and on_repo:
            # The client takes every such 401 for this, but only over https.
            code = code or "RepoNotFound"
        if code:
            headers["X-Error-Code"] = code
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        content = {"error": refusal.message, **refusal.extra}
        return self.json(refusal.status, content, **headers)

    def send(self, status, body, headers, cut):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def user(self, required=False):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in self.hub.expired:
            raise _Refusal(401, 'User Access Token "test" is expired')
        if token and token not in self.hub.tokens:
            raise _Refusal(401, WRONG_TOKEN)
        if required and not token:
            raise _Refusal(401, ANONYMOUS)
        if required == "write" and token in self.hub.read_only:
            raise _Refusal(
                403,
                "Forbidden: you must use a write token to upload to a "
                "repository.",
            )
        return self.hub.tokens.get(token)

    def repo(self, name, write=False):
        user = self.user()
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and user != repo.owner):
            if user is None:
                raise _Refusal(401, ANONYMOUS, "RepoNotFound")
            raise _Refusal(404, "Repository not found", "RepoNotFound")
        if write and self.user("write") != repo.owner:
            raise _Refusal(403, "Authorization error.")
        return repo

    def commit_at(self, name, revision):
        repo = self.repo(name)
        return repo.commits[repo.find(revision)]

    def wants_pull_request(self):
        return self.query.get("create_pr") == ["1"]

    @_route("GET", "/api/whoami-v2")
    def whoami(self):
        name = self.user(required=True)
        return {"type": "user", "name": name, "orgs": []}

    @_route("POST", "/api/repos/create")
    def create(self):
        content = json.loads(self.content)
        user = self.user("write")
        owner = content.get("organization") or user
        if owner != user:
            raise _Refusal(
                403,
                "You don't have the rights to create a model under the "
                f'namespace "{owner}"',
            )
        name = f"{owner}/{content['name']}"
        reply = {"url": f"{self.hub.url}/{name}", "name": name}
        if name in self.hub.repos:
            raise _Refusal(409, "You already created this model repo", **reply)
        self.hub.repos[name] = _Repo(
            name,
            private=content.get("visibility") == "private",
            files={".gitattributes": _File(GIT_ATTRIBUTES, lfs=False)},
        )
        return reply

    @_route("DELETE", "/api/repos/delete")
    def delete(self):
        content = json.loads(self.content)
        owner = content.get("organization") or self.user("write")
        repo = self.repo(f"{owner}/{content['name']}", write=True)
        del self.hub.repos[repo.name]
        return {}

    @_route("POST", "/api/validate-yaml")
    def validate_card(self):
        self.user()
        return {"errors": [], "warnings": []}

    @_route("GET", "/api/models/REPO(?:/revision/REV)?")
    def info(self, name, revision):
        repo = self.repo(name)
        sha = repo.find(revision or "main")
        siblings = []
        for path, file in repo.commits[sha].files.items():
            sibling = {"rfilename": path}
            if "blobs" in self.query:
                sibling |= file.info()
                sibling["blobId"] = sibling.pop("oid")
            siblings.append(sibling)
        return {
            "id": name,
            "modelId": name,
            "author": repo.owner,
            "sha": sha,
            "lastModified": repo.commits[sha].date,
            "private": repo.private,
            "gated": "auto" if repo.gated else False,
            "disabled": False,
            "tags": [],
            "siblings": siblings,
        }

    @_route("GET", "/api/models/REPO/refs")
    def refs(self, name):
        repo = self.repo(name)
        reply = {
            "branches": repo.list_refs("heads"),
            "tags": repo.list_refs("tags"),
            "converts": [],
        }
        if "include_prs" in self.query:
            reply["pullRequests"] = repo.list_refs("pr")
        return reply

    @_route("POST DELETE", "/api/models/REPO/branch/REV")
    def branch(self, name, branch):
        repo = self.repo(name, write=True)
        start = json.loads(self.content or b"{}").get("startingPoint", "main")
        return self.change_ref(repo, f"refs/heads/{branch}", start)

    @_route("POST DELETE", "/api/models/REPO/tag/REV")
    def tag(self, name, revision):
        repo = self.repo(name, write=True)
        tag = json.loads(self.content or b"{}").get("tag", revision)
        return self.change_ref(repo, f"refs/tags/{tag}", revision)

    def change_ref(self, repo, ref, revision):
        if self.command == "DELETE":
            repo.refs.pop(ref, None)
        elif ref in repo.refs:
            raise _Refusal(409, "Reference already exists")
        else:
            repo.refs[ref] = repo.find(revision)
        return {}

    @_route("GET", "/api/models/REPO/commits/REV")
    def commits(self, name, revision):
        repo = self.repo(name)
        sha, history = repo.find(revision), []
        while sha:
            commit = repo.commits[sha]
            history.append(
                {
                    "id": sha,
                    "title": commit.title,
                    "message": "",
                    "date": commit.date,
                    "authors": [{"user": repo.owner}],
                }
            )
            sha = commit.parent
        return history

    @_route("GET", "/api/models/REPO/tree/REV(?:/(.+))?")
    def tree(self, name, revision, folder):
        folder = f"{folder}/" if folder else ""
        recursive = self.query.get("recursive") == ["true"]
        entries = {}
        for path, file in self.commit_at(name, revision).files.items():
            if path.startswith(folder):
                inner, *deeper = path.removeprefix(folder).split("/")
                if deeper and not recursive:
                    path = folder + inner
                    entries[path] = self.entry(path, None)
                else:
                    entries[path] = self.entry(path, file)
        return list(entries.values())

    @_route("POST", "/api/models/REPO/paths-info/REV")
    def paths_info(self, name, revision):
        files = self.commit_at(name, revision).files
        paths = urllib.parse.parse_qs(self.content.decode())["paths"]
        return [
            self.entry(path, files.get(path))
            for path in paths
            if path in files or any(p.startswith(f"{path}/") for p in files)
        ]

    def entry(self, path, file):
        if file is None:
            oid = hashlib.sha1(path.encode()).hexdigest()
            return {"type": "directory", "path": path, "oid": oid}
        return {"type": "file", "path": path, **file.info()}

    @_route("GET HEAD", "/REPO/resolve/REV/(.+)")
    def resolve(self, name, revision, path):
        repo = self.repo(name)
        user = self.user()
        if repo.gated and user not in {repo.owner, *repo.granted}:
            message = f"Access to model {name} is restricted"
            if user is None:
                raise _Refusal(
                    401,
                    f"{message}. You must have access to it and be "
                    "authenticated to access it. Please log in.",
                    "GatedRepo",
                )
            raise _Refusal(
                403,
                f"{message} and you are not in the authorized list. Visit "
                f"{self.hub.url}/{name} to ask for access.",
                "GatedRepo",
            )
        sha = repo.find(revision)
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        file = repo.commits[sha].files.get(path)
        if file is None:
            headers["X-Error-Code"] = "EntryNotFound"
            headers["X-Error-Message"] = "Entry not found"
            return 404, b"Entry not found", headers
        headers["ETag"] = f'"{file.etag}"'
        if file.lfs:
            headers["X-Linked-Etag"] = headers["ETag"]
            headers["X-Linked-Size"] = str(len(file.data))
        asked = re.fullmatch(
            r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")
        )
        if not asked or self.command == "HEAD":
            return 200, file.data, headers
        size = len(file.data)
        first, last = int(asked[1]), int(asked[2] or size - 1)
        if first >= size:
            headers["Content-Range"] = f"bytes */{size}"
            return 416, b"", headers
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return 206, file.data[first : last + 1], headers

    @_route("POST", "/api/models/REPO/preupload/REV")
    def preupload(self, name, revision):
        self.user(required=True)
        repo = self.repo(name, write=not self.wants_pull_request())
        files = repo.commits[repo.find(revision)].files
        reply = []
        for asked in json.loads(self.content)["files"]:
            path = asked["path"]
            lfs = is_lfs(path, asked["size"])
            reply.append(
                {
                    "path": path,
                    "uploadMode": "lfs" if lfs else "regular",
                    "shouldIgnore": False,
                    "oid": files[path].etag if path in files else None,
                }
            )
        return {"files": reply}

    @_route("POST", r"/REPO\.git/info/lfs/objects/batch")
    def lfs_batch(self, name):
        content = json.loads(self.content)
        self.user(required=True)
        # A pull request's comes without a ref.
        self.repo(name, write="ref" in content)
        objects = []
        for asked in content["objects"]:
            reply = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.hub.uploads:
                upload = f"{self.hub.url}/lfs/{asked['oid']}"
                verify = f"{self.hub.url}/{name}.git/info/lfs/verify"
                reply["actions"] = {
                    "upload": {"href": upload},
                    "verify": {"href": verify},
                }
            objects.append(reply)
        return {"transfer": "basic", "objects": objects}

    @_route("PUT", "/lfs/([0-9a-f]{64})")
    def lfs_upload(self, oid):
        if hashlib.sha256(self.content).hexdigest() != oid:
            raise _Refusal(400, "The content's sha256 is another one")
        self.hub.uploads[oid] = self.content
        return 200, b"", {}

    @_route("POST", r"/REPO\.git/info/lfs/verify")
    def lfs_verify(self, name):
        content = json.loads(self.content)
        if content["oid"] not in self.hub.uploads:
            raise _Refusal(404, "Object not found")
        return {}

    @_route("POST", "/api/models/REPO/commit/REV")
    def commit(self, name, revision):
        self.user(required=True)
        repo = self.repo(name, write=not self.wants_pull_request())
        parent = repo.find(revision)
        files = dict(repo.commits[parent].files)
        title = ""
        for line in self.content.splitlines():
            line = json.loads(line)
            key, value = line["key"], line["value"]
            if key == "header":
                title = value["summary"]
                if value.get("parentCommit", parent) != parent:
                    raise _Refusal(
                        412,
                        "A commit has happened since. Please refresh and try "
                        "again.",
                    )
            elif key == "file":
                data = base64.b64decode(value["content"])
                files[value["path"]] = _File(data, lfs=False)
            elif key == "lfsFile":
                if value["oid"] not in self.hub.uploads:
                    raise _Refusal(
                        400,
                        "LFS pointer pointed to a file that does not exist",
                    )
                data = self.hub.uploads[value["oid"]]
                files[value["path"]] = _File(data, lfs=True)
            elif key == "deletedFile":
                files.pop(value["path"], None)
            elif key == "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                for path in [p for p in files if p.startswith(folder)]:
                    del files[path]
        reply = {"success": True}
        if self.wants_pull_request():
            number = len(repo.list_refs("pr")) + 1
            ref = f"refs/pr/{number}"
            reply["pullRequestUrl"] = (
                f"{self.hub.url}/{name}/discussions/{number}"
            )
        elif revision in repo.refs:
            ref = revision
        else:
            ref = f"refs/heads/{revision}"
            if ref not in repo.refs:
                raise _Refusal(
                    404, f"Invalid rev id: {revision}", "RevisionNotFound"
                )
        sha = repo.commit(ref, parent, files, title)
        reply["commitOid"] = sha
        reply["commitUrl"] = f"{self.hub.url}/{name}/commit/{sha}"
        return reply
