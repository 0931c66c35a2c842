import json
import tempfile
from pathlib import Path

from keras_lapgan.hub.hub_repository import HubRepository
from keras_lapgan.hub.hub_uri import HubUri
from keras_lapgan.presets.card import CARD
from keras_lapgan.presets.card import card_text
from keras_lapgan.presets.preset_folder import METADATA
from keras_lapgan.publishing.public_preset import public_preset
from keras_lapgan.utils.preset_error import PresetError

#: What a repository may hold before a model is put into it.
_NEUTRAL = {".gitattributes", ".gitignore", CARD, "LICENSE", "NOTICE"}


def upload_preset(
    uri,
    folder,
    *,
    private=False,
    token=None,
    revision=None,
    commit_message=None,
    create_pr=False,
):
    """Publishes a preset folder, or a run's, on the Hugging Face Hub.

    The repository is made if missing. Up go the model, a model card with
    pictures of samples, log and notices, in one commit. An upload that was
    interrupted can be repeated: what has arrived is not sent again. If you
    wrote into the folder's `README.md`, that one goes up; if not, of the
    repository's only what is generated is renewed.

    Args:
        uri: str. `hf://user/name`, `hf://user/name@branch` or the
            repository's web address.
        folder: path. What `save_to_preset` or `keras-lapgan train` wrote.
        private: bool. Make the repository private. Defaults to False.
        token: str or None. Defaults to None: `HF_TOKEN`, or the one of
            `hf auth login`.
        revision: str or None. The branch, made if missing. Defaults to None,
            `main`.
        commit_message: str or None. Defaults to None.
        create_pr: bool. Propose the commit as a pull request. Defaults to
            False.

    Returns:
        A `huggingface_hub.CommitInfo`: `.oid`, `.commit_url`, `.pr_url`.

    Raises:
        PresetError: (a ValueError) `folder` is no preset; nobody is logged
            in; no right to write; the repository holds something else; the
            Hub cannot be reached.

    Example:

    ```python
    model.save_to_preset("./mine")
    keras_lapgan.upload_preset("hf://me/mine", "./mine")
    ```
    """
    if not HubUri.is_one(str(uri)):
        raise PresetError(
            f"An upload goes to hf://user/name. Received: uri={str(uri)!r}"
        )
    uri = HubUri.parse(str(uri), revision)
    if create_pr and uri.revision not in (None, "main"):
        raise PresetError(
            "A pull request is made to the main branch. Received: "
            f"create_pr=True, revision={uri.revision!r}"
        )
    folder = Path(folder)
    if not folder.is_dir():
        raise PresetError(f"There is no folder {str(folder)!r} to upload.")
    repository = HubRepository(uri, token)
    files = repository.files()
    _check_purpose(repository, files or [])
    card = None
    if CARD in (files or []):
        card = card_text(repository.read(CARD), f"{uri.repo}/{CARD}")
    with tempfile.TemporaryDirectory() as staging:
        public_preset(folder, staging, f"hf://{uri.repo}", card)
        if not create_pr or files is None:
            repository.make(private)
        return repository.commit(
            staging,
            commit_message or "Upload with keras-lapgan",
            create_pr,
        )


def _check_purpose(repository, files):
    """Refuses a repository that holds something other than a preset."""
    others = sorted(set(files) - _NEUTRAL)
    if not others:
        return
    if METADATA in files:
        try:
            if "format_version" in json.loads(repository.read(METADATA)):
                return
        except (ValueError, TypeError, RecursionError):
            pass
    raise PresetError(
        f"{repository.uri.repo} holds something else than a preset of "
        f"keras-lapgan: {', '.join(map(repr, others[:3]))}. Choose another "
        "name; nothing was uploaded."
    )
