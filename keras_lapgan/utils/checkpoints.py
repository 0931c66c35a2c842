import hashlib
import json
import math
import os
import re
import zipfile
from pathlib import Path

from keras_lapgan.utils.files import write_file

_NAME = re.compile(r"epoch_(\d+)_step_(\d+)\.keras")
#: Bytes of a sha256 in hexadecimal.
_DIGEST = 64
#: The last record of a zip without a comment: its mark, 16 bytes, length 0.
_ZIP_END = re.compile(rb"PK\x05\x06.{16}\0\0", re.DOTALL)
_BLOCK = 2**20


def checkpoint_path(folder, epoch, step):
    """Returns where a run keeps its state after `epoch` epochs and `step`."""
    name = f"epoch_{epoch:04d}_step_{step:06d}.keras"
    return Path(folder) / "checkpoint" / name


def list_checkpoints(folder):
    """Returns `(path, epochs done, steps done of the next)` of each, newest
    first, whole or not."""
    found = [
        (int(match[1]), int(match[2]), path)
        for path in (Path(folder) / "checkpoint").glob("*.keras")
        if (match := _NAME.fullmatch(path.name))
    ]
    return [(path, *done) for *done, path in sorted(found, reverse=True)]


def latest_checkpoint(folder, before=(math.inf, 0)):
    """Returns the newest of `list_checkpoints` that is whole, or None.

    Args:
        folder: path of the run.
        before: pair of epochs and steps. Only those with less done count.
            Defaults to all.
    """
    for path, *done in list_checkpoints(folder):
        if tuple(done) < before and is_whole(path):
            return path, *done
    return None


def write_checkpoint(path, model, notes):
    """Saves a model as Keras does, and makes sure of each of its bytes.

    The zip's comment, which Keras does not look at, is `notes` as JSON and a
    sha256 of all that comes before it.

    Args:
        path: `pathlib.Path`.
        model: `keras.Model`.
        notes: dict. JSON of at most 65,000 bytes.
    """

    def write(temporary):
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = json.dumps(notes).encode() + b" " * _DIGEST
        with open(temporary, "rb+") as file:
            file.truncate(file.seek(-_DIGEST, os.SEEK_END))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256")
            file.write(digest.hexdigest().encode())

    write_file(path, write)


def read_notes(path):
    """Returns the `notes` of a whole checkpoint."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.comment[:-_DIGEST] or "{}")


def is_whole(path):
    """Whether a checkpoint is, byte for byte, what was written."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            left = file.seek(0, os.SEEK_END) - _DIGEST
            file.seek(0)
            while block := file.read(min(_BLOCK, max(0, left))):
                digest.update(block)
                left -= len(block)
            end = file.read()
        return end == digest.hexdigest().encode() or (
            # What Keras alone saved, as versions before this one did.
            _ZIP_END.fullmatch(end[-22:]) is not None and _is_whole_zip(path)
        )
    except OSError:
        return False


def _is_whole_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    # What zipfile raises depends on the byte.
    except Exception:
        return False
