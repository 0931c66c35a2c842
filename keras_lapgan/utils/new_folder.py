import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path


@contextlib.contextmanager
def new_folder(folder, overwrite=False):
    """Gives an empty folder to fill, which then becomes `folder`.

    Whatever goes wrong meanwhile, `folder` stays what it was, and nothing is
    left beside it.

    Args:
        folder: `pathlib.Path`. Folders above it are made.
        overwrite: bool. Replace what is there. Defaults to False.

    Raises:
        OSError: from the disk; something is there, and stays.
    """
    # What is behind a link is replaced, and not the link.
    folder = Path(folder).resolve()
    above = folder.parent
    while not above.exists():
        above = above.parent
    with tempfile.TemporaryDirectory(
        prefix=f".tmp_{folder.name[:50]}_",
        dir=above,
        ignore_cleanup_errors=True,
    ) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        yield new
        folder.parent.mkdir(parents=True, exist_ok=True)
        if overwrite and folder.is_dir():
            os.rename(folder, Path(scratch) / "old")
            try:
                os.rename(new, folder)
            except OSError:
                os.rename(Path(scratch) / "old", folder)
                raise
            shutil.rmtree(Path(scratch) / "old", ignore_errors=True)
            return
        try:
            # An empty folder may be there.
            os.rename(new, folder)
        except OSError as error:
            if not folder.exists():
                raise
            raise FileExistsError(
                errno.EEXIST, "exists by now", os.fspath(folder)
            ) from error
