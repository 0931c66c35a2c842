"""Swaps of a folder, among them ones that are stopped between two steps.

Run as a script, without Keras, this file is the process that is stopped:
`folder_swap_test.py kills exchanged /tmp/a`.
"""

import collections
import ctypes
import errno
import itertools
import json
import mmap
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import keras_lapgan
from keras_lapgan.utils import folder_swap
from keras_lapgan.utils.folder_swap import settled
from keras_lapgan.utils.folder_swap import swap_in

FILES = ("README.md", "config.json", "model.weights.h5")
READY = folder_swap._READY
KINDS = ("new", "exchanged", "without_links", "sub_folder", "no_exchange")
#: Those whose files are moved one after the other.
IN_PLACE = ("sub_folder", "no_exchange")
FULL = OSError(errno.ENOSPC, "No space left on device")
_STOPPED, _FAILED = 10, 11

needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no os.fork"
)


def put(owner):
    """Returns a function that writes `owner`'s files."""

    def write(new):
        for name in FILES:
            (new / name).write_text(owner)

    return write


def whose(folder):
    """Whose files they are, all of them; None without a folder."""
    if not folder.exists():
        return None
    owners = {(folder / name).read_text() for name in FILES}
    assert len(owners) == 1, f"a mixture of {sorted(owners)}"
    return owners.pop()


def prepare(folder, kind):
    """Makes a folder of old files and others; nothing of kind `new`."""
    if kind == "new":
        return
    folder.mkdir()
    put("old")(folder)
    (folder / "log.csv").write_text("loss")
    (folder / "link").symlink_to("log.csv")
    (folder / "broken").symlink_to("nowhere")
    if kind == "sub_folder":
        (folder / "runs").mkdir()
        (folder / "runs" / "a").write_text("1")


def others(folder):
    """What is in and beside a folder, but for `FILES`, and its content."""
    return {
        str(path.relative_to(folder.parent)): os.readlink(path)
        if path.is_symlink()
        else path.is_file() and path.read_text()
        for path in folder.parent.rglob("*")
        if path.parent != folder or path.name not in FILES
    }


def no_exchange(one, other):
    return False


def no_link(*args, **kwargs):
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Returns a function of a kind that makes its folder."""

    def make(kind):
        if kind == "no_exchange":
            monkeypatch.setattr(folder_swap, "_exchange", no_exchange)
        if kind == "without_links":
            monkeypatch.setattr(os, "link", no_link)
        folder = tmp_path / "home" / "mine"
        folder.parent.mkdir()
        prepare(folder, kind)
        return folder

    return make


# === What a swap does ===


def test_a_new_folder(tmp_path):
    folder = tmp_path / "some" / "where"
    swap_in(folder, put("new"))
    assert whose(folder) == "new"
    assert others(folder) == {"where": False}


@pytest.mark.parametrize("kind", KINDS[1:])
def test_files_are_replaced_and_others_stay(made, kind):
    folder = made(kind)
    folder.chmod(0o750)
    (folder / "log.csv").chmod(0o640)
    os.utime(folder / "log.csv", (1e9, 1e9))
    before = others(folder)
    for owner in ("new", "newer"):
        swap_in(folder, put(owner))
        assert whose(folder) == owner
        assert others(folder) == before
        assert folder.stat().st_mode & 0o777 == 0o750
        assert (folder / "log.csv").stat().st_mode & 0o777 == 0o640
        assert (folder / "log.csv").stat().st_mtime == 1e9


@pytest.mark.parametrize("kind", KINDS[1:])
def test_how_it_is_done(made, kind):
    folder = made(kind)
    before = folder.stat().st_ino
    swap_in(folder, put("new"))
    assert (folder.stat().st_ino == before) == (kind in IN_PLACE)


def test_an_open_file_is_still_the_folder_s(made):
    folder = made("exchanged")
    with open(folder / "log.csv", "a") as log:
        swap_in(folder, put("new"))
        log.write(", more")
    assert (folder / "log.csv").read_text() == "loss, more"


def test_files_that_are_written_nowhere(made):
    folder = made("exchanged")
    before = others(folder)
    swap_in(folder, lambda new: None)
    assert whose(folder) == "old" and others(folder) == before


def test_a_link_to_a_folder(made):
    folder = made("exchanged")
    link = folder.parent / "link"
    link.symlink_to("mine")
    before = others(folder)
    swap_in(link, put("new"))
    assert whose(folder) == "new" and others(folder) == before
    with settled(link):
        assert whose(link) == "new"


def test_a_link_to_a_folder_that_is_not_there_yet(made):
    folder = made("new")
    (folder.parent / "link").symlink_to("mine")
    swap_in(folder.parent / "link", put("new"))
    assert whose(folder) == "new" and not folder.is_symlink()


def test_a_relative_path(made, monkeypatch):
    folder = made("exchanged")
    monkeypatch.chdir(folder.parent)
    before = others(folder)
    swap_in("mine", put("new"))
    assert whose(folder) == "new" and others(folder) == before


@pytest.mark.parametrize("path", [".", "../mine"])
def test_the_working_folder(made, monkeypatch, path):
    folder = made("exchanged")
    monkeypatch.chdir(folder)
    before = others(folder)
    swap_in(path, put("new"))
    assert whose(Path()) == whose(folder) == "new"
    assert Path.cwd() == folder and others(folder) == before


def test_a_mount_point_is_not_exchanged(made, monkeypatch):
    folder = made("exchanged")
    monkeypatch.setattr(Path, "is_mount", lambda path: path == folder)
    before = folder.stat().st_ino, others(folder)
    swap_in(folder, put("new"))
    assert whose(folder) == "new"
    assert (folder.stat().st_ino, others(folder)) == before


@pytest.mark.parametrize(
    "number", ["EINVAL", "ENOSYS", "ENOTSUP", "EPERM", "EXDEV", "EBUSY"]
)
def test_a_file_system_that_cannot_exchange(made, monkeypatch, number):
    # EXDEV: a folder of a container's image; EBUSY: a bind mount.
    folder = made("exchanged")

    class Libc:
        def renameat2(self, *args):
            ctypes.set_errno(getattr(errno, number))
            return -1

        renamex_np = renameat2

    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **kwargs: Libc())
    before = folder.stat().st_ino, others(folder)
    swap_in(folder, put("new"))
    assert whose(folder) == "new"
    assert (folder.stat().st_ino, others(folder)) == before


def test_a_system_without_the_call(made, monkeypatch):
    folder = made("exchanged")
    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **kwargs: object())
    before = others(folder)
    swap_in(folder, put("new"))
    assert whose(folder) == "new" and others(folder) == before


@pytest.mark.parametrize("mount", ["bind", "overlay"])
def test_a_folder_of_a_container(tmp_path, mount):
    done = script(
        "mounted", mount, tmp_path, before=["unshare", "-rm", "--"], check=False
    )
    if done is None:
        pytest.skip("this system lets nobody mount: `unshare -rm` failed")
    assert done == {"owner": "new", "others_stay": True}


def test_a_name_as_long_as_names_may_be(made):
    folder = made("new").with_name("a" * 255)
    swap_in(folder, put("new"))
    with settled(folder):
        assert whose(folder) == "new"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root can give folders away",
)
@pytest.mark.parametrize("kind", ["exchanged", "sub_folder"])
def test_a_folder_stays_its_owner_s(made, kind):
    folder = made(kind)
    os.chown(folder, 1234, 5678)
    swap_in(folder, put("new"))
    found = folder.stat()
    assert whose(folder) == "new"
    assert (found.st_uid, found.st_gid) == (1234, 5678)


@pytest.mark.parametrize("kind", ["exchanged", "sub_folder"])
def test_others_need_not_be_readable(made, monkeypatch, kind):
    # Among them are pipes, which would be waited for.
    folder = made(kind)
    opened = os.open

    def refuse(path, *args, **kwargs):
        if Path(path).name == "log.csv":
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    swap_in(folder, put("new"))
    assert whose(folder) == "new"


# === Errors ===


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_an_error_while_writing(made, kind, error):
    folder = made(kind)
    before = whose(folder), others(folder)

    def write(new):
        (new / FILES[0]).write_text("new")
        raise error

    with pytest.raises(type(error)):
        swap_in(folder, write)
    assert (whose(folder), others(folder)) == before
    swap_in(folder, put("new"))
    assert whose(folder) == "new"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
def test_an_error_means_old_files(made, monkeypatch, kind, call):
    """The disk is full at the first call, at the second, and so on."""
    folder = made(kind)
    before = whose(folder), others(folder)
    real, failed = getattr(os, call), 0
    for full in itertools.count(1):
        calls = itertools.count(1)

        def once(*args, calls=calls, full=full, **kwargs):
            if next(calls) == full:
                raise FULL
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, once)
            try:
                swap_in(folder, put("new"))
            except OSError:
                failed += 1
                assert (whose(folder), others(folder)) == before
                continue
        assert whose(folder) == "new"
        assert {**others(folder), **before[1]} == others(folder)
        if next(calls) <= full:
            # It was never called that often.
            break
        shutil.rmtree(folder)
        prepare(folder, kind)
    assert failed or call == "rename"


@pytest.mark.parametrize("kind", IN_PLACE)
def test_moving_is_ended_later(made, monkeypatch, kind):
    folder = made(kind)
    before = others(folder)
    for failing in range(len(FILES)):
        calls = itertools.count()
        replace = os.replace

        def refuse(*args, calls=calls, failing=failing, replace=replace):
            if next(calls) >= failing:
                raise FULL
            replace(*args)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", refuse)
            for _ in range(2):
                with pytest.raises(OSError, match="No space left"):
                    swap_in(folder, put(str(failing)))
                # Rather nothing than a mixture.
                with pytest.raises(OSError, match="No space left"):
                    with settled(folder):
                        raise AssertionError("read")
        with settled(folder):
            assert whose(folder) == str(failing)
        assert others(folder) == before


# === Locks ===


@pytest.mark.parametrize("kind", KINDS)
def test_without_locks(made, monkeypatch, kind):
    folder = made(kind)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    swap_in(folder, put("new"))
    with settled(folder):
        assert whose(folder) == "new"


def test_a_file_system_without_locks(made, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    folder = made("exchanged")

    def refuse(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    swap_in(folder, put("new"))
    with settled(folder):
        assert whose(folder) == "new"


def test_settled_of_a_folder_that_is_not_there(tmp_path):
    with settled(tmp_path / "none" / "at all"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_ends_with_the_swap(made, monkeypatch):
    """Also where a process that was started meanwhile still holds its file."""
    fcntl = pytest.importorskip("fcntl")
    folder = made("exchanged")
    opened, copies = os.open, []

    def copied(path, *args, **kwargs):
        handle = opened(path, *args, **kwargs)
        if Path(path) == folder.parent:
            copies.append(os.dup(handle))
        return handle

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", copied)
        swap_in(folder, put("new"))
    handle = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        for file in (handle, *copies):
            os.close(file)
    assert copies


def test_a_writer_that_dies_while_a_reader_waits(made, monkeypatch):
    folder = made("sub_folder")
    locked, deaths = folder_swap._locked, []

    def after_a_death(path, shared=False):
        if shared and not deaths:
            deaths.append(path)
            (folder / READY).mkdir()
            put("new")(folder / READY)
            os.replace(folder / READY / FILES[0], folder / FILES[0])
        return locked(path, shared)

    monkeypatch.setattr(folder_swap, "_locked", after_a_death)
    with settled(folder):
        assert whose(folder) == "new"
    assert deaths


# === Other processes ===


def script(*args, before=(), check=True):
    """Runs this file as a script; returns what it prints."""
    done = subprocess.run(
        [*before, sys.executable, __file__, *map(str, args)],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(keras_lapgan.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode == 1 and not check and "unshare" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_fork
@pytest.mark.parametrize("name", [READY, folder_swap._NEW])
def test_a_link_in_place_of_our_own_is_not_followed(tmp_path, name):
    folder, victim = tmp_path / "mine", tmp_path / "victim"
    swap_in(folder, put("old"))
    victim.mkdir()
    (victim / "key").write_text("secret")
    (folder / name).symlink_to(victim)
    with settled(folder):
        assert whose(folder) == "old"
    swap_in(folder, put("new"))
    assert whose(folder) == "new"
    assert (victim / "key").read_text() == "secret"
    assert not (folder / "key").exists()


def test_only_files_are_moved_in(tmp_path):
    folder = tmp_path / "mine"
    swap_in(folder, put("old"))
    (folder / READY).mkdir()
    (folder / READY / "README.md").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="no file of a save"):
        with settled(folder):
            pass
    assert whose(folder) == "old"


def test_a_file_that_comes_meanwhile_stays(made, monkeypatch):
    exchange = folder_swap._exchange

    def meanwhile(one, other):
        (one / "notes.txt").write_text("mine")
        return exchange(one, other)

    folder = made("exchanged")
    monkeypatch.setattr(folder_swap, "_exchange", meanwhile)
    swap_in(folder, put("new"))
    assert whose(folder) == "new"
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", ["exchanged", "sub_folder"])
def test_modes_of_files_stay(made, kind):
    folder = made(kind)
    (folder / "config.json").chmod(0o600)
    swap_in(folder, put("new"))
    assert (folder / "config.json").stat().st_mode & 0o777 == 0o600


def test_somebody_who_never_lets_go(made, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    folder = made("exchanged")
    monkeypatch.setattr(folder_swap, "_PATIENCE", 0.1)
    handle = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with settled(folder):
            assert whose(folder) == "old"
        with pytest.raises(OSError, match="other processes have been using"):
            swap_in(folder, put("new"))
    finally:
        os.close(handle)
    assert whose(folder) == "old"


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_between_every_two_steps(tmp_path, kind):
    counts = script("kills", kind, tmp_path)
    print(counts)
    assert counts["kills"] > 50
    assert counts["old"] and counts["new"]
    assert counts["recoveries"] > 0


@needs_fork
@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_reader_never_sees_a_mixture(tmp_path, kind):
    counts = script("read", kind, tmp_path)
    print(counts)
    assert sum(counts.values()) > 10


@needs_fork
@pytest.mark.parametrize("kind", KINDS)
def test_writers_at_once(tmp_path, kind):
    counts = script("write", kind, tmp_path)
    print(counts)
    assert sum(counts.values()) > 10


def forked(action):
    """Starts a process that does `action` and nothing else."""
    pid = os.fork()
    if pid:
        return pid
    try:
        action()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(_FAILED)


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def stopped(step, action):
    """Does `action` in a process that ends before its `step`-th line.

    Returns:
        False if it came to its end before.
    """
    traced = {folder_swap.__file__, shutil.__file__, __file__}

    def traced_action():
        steps = itertools.count()

        def trace(frame, event, arg):
            if frame.f_code.co_filename not in traced:
                return None
            if event == "line" and next(steps) == step:
                os._exit(_STOPPED)
            return trace

        sys.settrace(trace)
        action()

    code = ended(forked(traced_action))
    assert code in (0, _STOPPED), code
    return code == _STOPPED


def kills(kind, root):
    """Stops a swap before each of its lines; then what mends it, likewise."""
    folder, states = root / "home" / "mine", root / "states"
    states.mkdir()
    counts = collections.Counter()
    outcomes, queue = {}, []

    def again(source=None):
        shutil.rmtree(folder.parent, ignore_errors=True)
        if source is None:
            folder.parent.mkdir()
            prepare(folder, kind)
        else:
            shutil.copytree(source, folder.parent, symlinks=True)

    def settle():
        with settled(folder):
            return whose(folder)

    def mended(expected):
        """Checks what comes of the state after a stop."""
        if kind not in IN_PLACE:
            assert whose(folder) in (first, "new")
        state = repr(sorted([*others(folder).items(), *files(folder)]))
        if state not in outcomes:
            saved = states / str(len(outcomes))
            shutil.copytree(folder.parent, saved, symlinks=True)
            outcomes[state] = settle()
            queue.append((saved, outcomes[state]))
            swap_in(folder, put("newer"))
            assert settle() == "newer"
            assert {**rest, "mine": False} == others(folder)
        assert outcomes[state] in expected
        return outcomes[state]

    again()
    first, rest = whose(folder), others(folder)
    for step in itertools.count():
        again()
        if not stopped(step, lambda: swap_in(folder, put("new"))):
            assert whose(folder) == "new"
            break
        counts["kills"] += 1
        counts["new" if mended([first, "new"]) == "new" else "old"] += 1
    while queue:
        saved, outcome = queue.pop()
        for step in itertools.count():
            again(saved)
            if not stopped(step, settle):
                break
            counts["recoveries"] += 1
            mended([outcome])
    return {**counts, "states": len(outcomes)}


def files(folder):
    for name in FILES:
        if (folder / name).exists():
            yield name, (folder / name).read_text()


def read(kind, root):
    """Reads a folder while another process swaps it."""
    folder = root / "mine"
    prepare(folder, kind)
    return watched(folder, [("new", "old")])


def write(kind, root):
    """Two processes swap a folder; the end is one of them, whole."""
    folder = root / "mine"
    prepare(folder, kind)
    before = others(folder)
    counts = watched(folder, [("one",), ("two",)])
    assert whose(folder) in ("one", "two")
    assert others(folder) == {**before, "mine": False}
    return counts


def watched(folder, writers):
    """Counts what a reader sees while each writer swaps 200 times, or more.

    They go on until the reader has seen all of them.
    """
    wanted = {owner for owners in writers for owner in owners}
    all_seen = mmap.mmap(-1, 1)

    def swap(owners):
        for swaps, owner in enumerate(itertools.cycle(owners)):
            if swaps >= 200 and all_seen[0]:
                break
            swap_in(folder, put(owner))

    pids = [forked(lambda owners=owners: swap(owners)) for owners in writers]
    counts = collections.Counter()
    while pids:
        pid, code = os.waitpid(-1, os.WNOHANG)
        assert code == 0
        if pid:
            pids.remove(pid)
        with settled(folder):
            counts[str(whose(folder))] += 1
        all_seen[0] = wanted <= counts.keys()
    return counts


def mounted(mount, root):
    """Swaps a folder that a container would have from its image or host."""
    source, target = root / "source", root / "target"
    folder = target / "mine"
    for name in ("source", "upper", "work", "target"):
        (root / name).mkdir()
    prepare(source / "mine", "exchanged")
    if mount == "bind":
        folder.mkdir()
        options = ["--bind", source / "mine", folder]
    else:
        options = [
            *("-t", "overlay", "overlay", "-o"),
            f"userxattr,lowerdir={source},upperdir={root / 'upper'},"
            f"workdir={root / 'work'}",
            target,
        ]
    try:
        subprocess.run(["mount", *options], check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"unshare: {error}")
    before = others(folder)
    swap_in(folder, put("new"))
    return {"owner": whose(folder), "others_stay": others(folder) == before}


if __name__ == "__main__":
    if "keras" in sys.modules:
        sys.exit("Keras has been imported")
    # Who kills a process leaves the system, and what it has not yet synced.
    os.fsync = lambda handle: None
    task, kind, root = sys.argv[1:]
    if kind == "no_exchange":
        folder_swap._exchange = no_exchange
    if kind == "without_links":
        os.link = no_link
    tasks = {"kills": kills, "read": read, "write": write, "mounted": mounted}
    print(json.dumps(tasks[task](kind, Path(root))))
