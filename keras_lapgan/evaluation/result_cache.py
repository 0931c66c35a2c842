import functools
import hashlib
import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np

from keras_lapgan import metrics
from keras_lapgan.utils.files import write_file

#: What the cache holds at most; the longest unused goes first.
_MOST_BYTES = 2 * 2**30
_FILE = re.compile(r"[0-9a-f]{64}\.(npz|json)")


class ResultCache:
    """Keeps what was computed of real pictures, by their content.

    Features of real pictures and their distances from each other take most
    of the time of an evaluation, and are the same each time. A file a result,
    named by the hash of all that it depends on, the metrics' code too. What
    cannot be read is computed again, and where nothing can be written nothing
    is kept.

    Args:
        folder: path or None, in which a folder `evaluation` is made. Defaults
            to None, `KERAS_LAPGAN_CACHE` or `~/.cache/keras-lapgan`. False
            keeps nothing.
    """

    def __init__(self, folder=None):
        if folder is None:
            folder = os.environ.get("KERAS_LAPGAN_CACHE") or None
        if folder is None:
            home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            folder = Path(home, "keras-lapgan")
        self.folder = None if folder is False else Path(folder, "evaluation")

    def arrays(self, what, of, compute):
        """Returns a dict of arrays, computed or kept.

        Args:
            what: str or None. Names the computation and all it depends on but
                the pictures; None computes it always.
            of: list of arrays. The pictures.
            compute: function without arguments that returns the dict.
        """

        def write(path, result):
            with open(path, "wb") as file:
                np.savez(file, **result)

        def read(path):
            with np.load(path, allow_pickle=False) as file:
                return dict(file)

        return self._result(what, of, compute, "npz", read, write)

    def figures(self, what, of, compute):
        """Returns a dict that JSON can hold, computed or kept."""

        def write(path, result):
            path.write_text(json.dumps(result))

        def read(path):
            return json.loads(path.read_text())

        return self._result(what, of, compute, "json", read, write)

    def _result(self, what, of, compute, suffix, read, write):
        if self.folder is None or what is None:
            return compute()
        path = self.folder / f"{_digest(what, of)}.{suffix}"
        try:
            result = read(path)
            if isinstance(result, dict) and result:
                os.utime(path)
                return result
        except (OSError, TypeError, ValueError, EOFError, zipfile.BadZipFile):
            pass
        result = compute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_file(path, lambda temporary: write(temporary, result))
            self._shrink()
        except OSError:
            # It only costs time the next time.
            pass
        return result

    def _shrink(self):
        files = []
        for path in self.folder.iterdir():
            if _FILE.fullmatch(path.name):
                stat = path.stat()
                files.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files)[:-1]:
            if total <= _MOST_BYTES:
                break
            path.unlink(missing_ok=True)
            total -= size


def _digest(what, of):
    digest = hashlib.sha256(f"{_code()} {what}".encode())
    for array in of:
        digest.update(content_hash(array).encode())
    return digest.hexdigest()


@functools.cache
def _code():
    """A hash of the code of the metrics: other code, other results."""
    digest = hashlib.sha256()
    for path in sorted(Path(metrics.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def content_hash(array):
    """sha256 of an array's type, shape and values, in hexadecimal."""
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
