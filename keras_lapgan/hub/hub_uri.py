import os
import re
from typing import NamedTuple
from urllib.parse import unquote

from keras_lapgan.utils.preset_error import PresetError

_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def hub_address():
    """The Hub's web address, or that of `HF_ENDPOINT`."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


class HubUri(NamedTuple):
    """A model repository on the Hugging Face Hub, maybe at a revision.

    Attributes:
        repo: str. `"user/name"`.
        revision: str or None. A branch, a tag or a commit; None is `main`.
    """

    repo: str
    revision: str | None = None

    def __str__(self):
        at = "" if self.revision is None else f"@{self.revision}"
        return f"hf://{self.repo}{at}"

    @property
    def address(self):
        """The repository's web address."""
        return f"{hub_address()}/{self.repo}"

    @staticmethod
    def is_one(text):
        """Whether `text` names something on the Hub, rightly or wrongly."""
        return isinstance(text, str) and re.match(r"(hf|https?)://", text)

    @classmethod
    def parse(cls, text, revision=None):
        """Reads `hf://user/name`, `hf://user/name@revision` or a web address.

        Args:
            text: str.
            revision: str or None. What was asked for beside it.

        Raises:
            PresetError: `text` names no model repository, or another revision
                than `revision`.
        """
        for home in (hub_address(), "https://huggingface.co", "https://hf.co"):
            if text.startswith(home + "/"):
                path, _, _ = text[len(home) + 1 :].partition("?")
                path = unquote(path.partition("#")[0]).strip("/")
                repo, _, found = path.partition("/tree/")
                break
        else:
            if not text.startswith("hf://"):
                raise PresetError(
                    f"{text!r} is not on the Hub, {hub_address()}. Download "
                    "it, and give its folder; or use hf://user/name."
                )
            repo, _, found = text[len("hf://") :].partition("@")
            repo = repo.removesuffix("/")
        if not _REPO.fullmatch(repo) or repo.endswith(".git"):
            raise PresetError(
                "A model on the Hub is written hf://user/name, or "
                f"hf://user/name@revision. Received: {text!r}"
            )
        if found and revision and found != revision:
            raise PresetError(
                f"Two revisions are asked for. Received: {text!r}, "
                f"revision={revision!r}"
            )
        revision = found or revision or None
        if revision is not None and not _is_revision(revision):
            raise PresetError(
                "A revision is a branch, a tag or a commit. Received: "
                f"revision={revision!r}"
            )
        return cls(repo, revision)


def _is_revision(text):
    """Whether git would take it: it becomes a folder's name in the cache."""
    return (
        isinstance(text, str)
        and re.fullmatch(r"[\w][\w./+-]{0,200}", text)
        and ".." not in text
        and not text.endswith(("/", ".lock"))
    )
