"""A folder's files replaced all at once, whatever stops the process."""

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import time
from pathlib import Path

#: Where the new files are written, and where they only wait to be moved.
_NEW, _READY = ".keras_lapgan_new", ".keras_lapgan_ready"
#: Seconds to wait for another process' swap, and for its reading.
_PATIENCE = 60


def swap_in(folder, write):
    """Replaces files of a folder: all of them, or none.

    The new files are written apart and brought to the disk first. Then, where
    the system can, the folder and a new one beside it exchange their names in
    one call, so that nobody ever sees a mixture. Where it cannot, and for a
    folder that has sub-folders (a run), is mounted or is the working folder,
    the files are moved in one after the other; `settled` and the next
    `swap_in` end what was interrupted there. Other files of the folder stay.

    Args:
        folder: path. Made if missing.
        write: function of a path, an empty folder, that puts files there.

    Raises:
        OSError: from the disk; like every error of `write`, it leaves the
            old files as they were. Only while files are moved in, it leaves
            what `settled` and the next `swap_in` end.
    """
    folder = Path(folder).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _finish(folder)
        is_new = not folder.exists()
        beside = is_new or _can_be_exchanged(folder)
        new = _beside(folder) if beside else folder / _NEW
        try:
            new.mkdir()
            exchange = beside and not is_new and _made_alike(folder, new)
            write(new)
            for file in new.iterdir():
                if (folder / file.name).is_file():
                    shutil.copymode(folder / file.name, file)
                _sync(file)
            others = _keep_others(folder, new) if exchange else []
            _sync(new)
            if is_new:
                os.rename(new, folder)
                _sync(folder.parent)
            elif exchange and _exchange(folder, new):
                _sync(folder.parent)
                _bring_back(new, folder)
            else:
                for other in others:
                    other.unlink()
                _check_room_for(new, folder)
                # From this rename on the new files count.
                os.rename(new, folder / _READY)
                _sync(folder)
                _move_in(folder)
        finally:
            _remove_unfinished(folder)


@contextlib.contextmanager
def settled(folder):
    """Holds off every `swap_in` of a folder while it is read.

    One that was interrupted is ended first.

    Raises:
        OSError: files are left to be moved, and cannot be.
    """
    folder = Path(folder).resolve()
    while True:
        with _locked(folder, shared=True):
            if not _is_ready(folder):
                yield
                return
        with _locked(folder):
            _finish(folder)


def _finish(folder):
    if _is_ready(folder):
        _move_in(folder)
    else:
        _remove(folder / _READY)
    _remove_unfinished(folder)


def _is_ready(folder):
    """Whether files are left to be moved: our own, not those of a link."""
    ready = folder / _READY
    return ready.is_dir() and not ready.is_symlink()


def _remove_unfinished(folder):
    for rest in (_beside(folder), folder / _NEW):
        _remove(rest)


def _remove(path):
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def _check_room_for(new, folder):
    for file in new.iterdir():
        target = folder / file.name
        if target.is_dir():
            raise IsADirectoryError(
                errno.EISDIR, "a folder is where a file should be", str(target)
            )


def _move_in(folder):
    ready = folder / _READY
    files = sorted(ready.iterdir())
    for file in files:
        if file.is_symlink() or not file.is_file():
            raise OSError(
                errno.EINVAL,
                f"this is no file of a save: remove {str(ready)!r}",
                str(file),
            )
    for file in files:
        os.replace(file, folder / file.name)
    _sync(folder)
    shutil.rmtree(ready)


def _beside(folder):
    # Not longer than names may be.
    return folder.with_name(f".{folder.name[:50]}{_NEW}")


def _can_be_exchanged(folder):
    # Who stands in a folder would find it removed.
    with contextlib.suppress(FileNotFoundError):
        if Path.cwd().is_relative_to(folder):
            return False
    if folder.is_mount() or any(entry.is_dir() for entry in folder.iterdir()):
        return False
    # What cannot leave the folder is below a mount that `is_mount` misses, or
    # the folder's parent is somebody else's.
    inside, beside = folder / _NEW, _beside(folder)
    try:
        inside.mkdir()
        os.rename(inside, beside)
        beside.rmdir()
    except OSError:
        _remove_unfinished(folder)
        return False
    return True


def _made_alike(folder, new):
    """Gives an empty folder the owner, group and mode of another, if it can."""
    wanted = folder.stat()
    with contextlib.suppress(AttributeError, OSError):
        os.chown(new, wanted.st_uid, wanted.st_gid)
    shutil.copystat(folder, new)
    found = new.stat()
    return (found.st_uid, found.st_gid) == (wanted.st_uid, wanted.st_gid)


def _keep_others(folder, new):
    """Links what else is in `folder` into `new`; returns the links."""
    others = []
    for entry in folder.iterdir():
        kept = new / entry.name
        if kept.exists():
            continue
        others.append(kept)
        try:
            os.link(entry, kept, follow_symlinks=False)
        except OSError:
            shutil.copy2(entry, kept, follow_symlinks=False)
            if not kept.is_symlink():
                _sync(kept)
    return others


def _bring_back(old, folder):
    """Moves back what came into a folder while it was exchanged."""
    for entry in old.iterdir():
        if not os.path.lexists(folder / entry.name):
            with contextlib.suppress(OSError):
                os.rename(entry, folder / entry.name)


def _exchange(one, other):
    """Exchanges the names of two folders; False where that is impossible."""
    a, b = (ctypes.c_char_p(os.fsencode(path)) for path in (one, other))
    here, exchange = -100, 2
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            failed = libc.renamex_np(a, b, exchange)
        else:
            failed = libc.renameat2(here, a, here, b, exchange)
    except (AttributeError, OSError, TypeError):
        return False
    return not failed


def _sync(path):
    """Brings a file to the disk; a folder too, where that is possible."""
    flags = os.O_RDONLY if os.name == "posix" else os.O_RDWR
    try:
        handle = os.open(path, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        if not path.is_dir():
            raise


@contextlib.contextmanager
def _locked(folder, shared=False):
    """Holds the lock of swaps beside `folder`, where the system has locks.

    The system frees it when the process ends, however that happens. A reader
    does not wait for ever: what it then reads it has to check anyway.
    """
    try:
        import fcntl

        handle = os.open(folder.parent, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(handle, how)
            except BlockingIOError:
                if time.monotonic() < end:
                    time.sleep(0.02)
                    continue
                if not shared:
                    raise OSError(
                        errno.EAGAIN,
                        "other processes have been using it, or what is "
                        f"beside it, for {_PATIENCE} seconds",
                        str(folder),
                    ) from None
            except OSError:
                # A file system without locks.
                pass
            break
        yield
    finally:
        # A process forked meanwhile has the handle too, and with it the lock.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
