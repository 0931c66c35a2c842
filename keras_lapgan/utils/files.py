import contextlib
import errno
import os
import shutil


def write_file(path, write):
    """Writes a file whole or not at all, even if the power fails.

    Args:
        path: `pathlib.Path`. What is there stays until the new file is
            complete.
        write: function that writes a file at the path it is given, in the
            same folder and with the same ending.
    """
    temporary = path.with_name(f".tmp_{path.name}")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder):
    """Brings a folder's names to the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_room(path, needed):
    """Refuses to begin what a disk has no room for.

    Args:
        path: `pathlib.Path` that will be on the disk.
        needed: int. Bytes.

    Raises:
        OSError: `ENOSPC`, with the figures.
    """
    home = path
    while not home.is_dir():
        home = home.parent
    free = shutil.disk_usage(home).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are "
            "free",
            os.fspath(path),
        )
