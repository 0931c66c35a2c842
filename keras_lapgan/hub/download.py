import contextlib
import hashlib
from pathlib import Path

from keras_lapgan.hub.requests import hub_errors
from keras_lapgan.hub.requests import is_unreachable
from keras_lapgan.hub.requests import patiently
from keras_lapgan.utils.preset_error import PresetError


def download(uri, limits, optional=(), must_have=()):
    """Brings files of a repository into the Hub's cache on this machine.

    What is there already is not fetched again; without a network it is what
    counts.

    Args:
        uri: `HubUri`.
        limits: dict from a file's name to how many bytes it may have at most,
            or None.
        optional: names out of `limits` that may be missing; those larger than
            their limit are left where they are.
        must_have: names of other files without which nothing is fetched.

    Returns:
        `pathlib.Path` of the folder with the files.

    Raises:
        PresetError: no such repository or revision, no access, a file that is
            missing, too large or damaged, nobody there and nothing cached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub import snapshot_download

    def fetch(**how):
        folder = snapshot_download(
            uri.repo,
            revision=uri.revision,
            allow_patterns=list(limits),
            **how,
        )
        return Path(folder)

    limits = dict(limits)
    required = [name for name in limits if name not in optional]
    with hub_errors(uri, "load"):
        try:
            info = patiently(
                lambda: HfApi().model_info(
                    uri.repo, revision=uri.revision, files_metadata=True
                )
            )
        except Exception as error:
            if not is_unreachable(error):
                raise
            return _cached(uri, fetch, required, error)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings}
        for name in optional:
            if sizes.get(name, 0) > limits[name]:
                del limits[name]
        _check_listing(uri, sizes, limits, [*required, *must_have])
        folder = patiently(fetch)
        for name in limits:
            if not _is_whole(folder / name):
                _fetch_again(uri, info.sha, folder / name)
    return folder


def _cached(uri, fetch, required, reason):
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.errors import OfflineModeIsEnabled

    offline = isinstance(reason, OfflineModeIsEnabled)
    with contextlib.suppress(LocalEntryNotFoundError):
        folder = fetch(local_files_only=True)
        # A folder with only some of them is found without a complaint.
        if all((folder / name).is_file() for name in required):
            return folder
    why = "HF_HUB_OFFLINE is set" if offline else "the Hub cannot be reached"
    raise PresetError(
        f"Could not load {str(uri)!r}: {why}, and it is not in the cache of "
        "this machine, or only in part. "
        + ("Unset HF_HUB_OFFLINE" if offline else "Try again with a network")
        + ", or give a folder that holds it."
    ) from reason


def _check_listing(uri, sizes, limits, required):
    """Refuses, before anything is fetched, what is no preset."""
    missing = [name for name in required if name not in sizes]
    if missing:
        raise PresetError(
            f"{str(uri)!r} is not a preset of keras-lapgan: the repository "
            f"has no {', '.join(missing)}. See {uri.address}."
        )
    for name, limit in limits.items():
        if limit is not None and sizes.get(name, 0) > limit:
            raise PresetError(
                f"{str(uri)!r} is not a preset of keras-lapgan: its {name} "
                f"has {sizes[name]:,} bytes, more than {limit:,}."
            )


def _is_whole(path):
    """Whether a file of the cache is what its name there says: a hash."""
    if not path.is_file():
        return True
    name = path.resolve().name
    with open(path, "rb") as file:
        if len(name) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest() == name
        if len(name) == 40:
            data = file.read()
            blob = b"blob %d\0" % len(data) + data
            return hashlib.sha1(blob).hexdigest() == name  # noqa: S324
    return True


def _fetch_again(uri, commit, path):
    from huggingface_hub import hf_hub_download

    patiently(
        lambda: hf_hub_download(
            uri.repo, path.name, revision=commit, force_download=True
        )
    )
    if not _is_whole(path):
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise PresetError(
            f"Could not load {str(uri)!r}: {path.name} arrives damaged, its "
            "checksum differs from the Hub's. Nothing of it was kept; try "
            "again, on another network if it goes on."
        )
