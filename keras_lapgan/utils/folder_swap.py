"""A folder's files replaced all at once, whatever stops the process."""

import contextlib
import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path

#: Where the new files are written, and where they only wait to be moved.
_NEW, _READY = ".keras_lapgan_new", ".keras_lapgan_ready"


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
            old files as they were.
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
            write(new)
            if beside and not is_new:
                _keep_others(folder, new)
            for file in new.iterdir():
                _sync(file)
            _sync(new)
            if is_new:
                os.rename(new, folder)
                _sync(folder.parent)
            elif beside and _exchange(folder, new):
                _sync(folder.parent)
            else:
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
    if (folder / _READY).exists() or _beside(folder).exists():
        with _locked(folder):
            _finish(folder)
    with _locked(folder, shared=True):
        yield


def _finish(folder):
    if (folder / _READY).is_dir():
        _move_in(folder)
    _remove_unfinished(folder)


def _remove_unfinished(folder):
    for rest in (_beside(folder), folder / _NEW):
        shutil.rmtree(rest, ignore_errors=True)


def _move_in(folder):
    ready = folder / _READY
    for file in sorted(ready.iterdir()):
        os.replace(file, folder / file.name)
    _sync(folder)
    shutil.rmtree(ready)


def _beside(folder):
    return folder.with_name(f".{folder.name}{_NEW}")


def _can_be_exchanged(folder):
    # Who stands in a folder would find it removed.
    with contextlib.suppress(FileNotFoundError):
        if Path.cwd().is_relative_to(folder):
            return False
    return not (
        folder.is_mount()
        or any(entry.is_dir() for entry in folder.iterdir())
        or not os.access(folder.parent, os.W_OK)
    )


def _keep_others(folder, new):
    shutil.copymode(folder, new)
    for entry in folder.iterdir():
        kept = new / entry.name
        if kept.exists():
            continue
        try:
            os.link(entry, kept, follow_symlinks=False)
        except OSError:
            shutil.copy2(entry, kept, follow_symlinks=False)


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
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM):
        # A file system that cannot.
        return False
    raise OSError(number, os.strerror(number), str(one))


def _sync(path):
    """Brings a file or a folder to the disk."""
    if path.is_symlink() or (path.is_dir() and os.name != "posix"):
        return
    flags = os.O_RDONLY if os.name == "posix" else os.O_RDWR
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(folder, shared=False):
    """Holds the lock of swaps beside `folder`, where the system has locks.

    The system frees it when the process ends, however that happens.
    """
    try:
        import fcntl

        handle = os.open(folder.parent, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
