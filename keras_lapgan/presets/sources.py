"""Where the presets that people name are found."""

import contextlib
import math
import os
import re
from pathlib import Path

from keras_lapgan.hub.download import download
from keras_lapgan.hub.hub_uri import HubUri
from keras_lapgan.presets.card import CARD
from keras_lapgan.presets.card import stated_license
from keras_lapgan.presets.preset_folder import CONFIG
from keras_lapgan.presets.preset_folder import JSON_BYTES
from keras_lapgan.presets.preset_folder import METADATA
from keras_lapgan.presets.preset_folder import NOTICE
from keras_lapgan.presets.preset_folder import WEIGHTS
from keras_lapgan.presets.preset_folder import read_checked_weights
from keras_lapgan.presets.preset_folder import read_config
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.presets.registry import get_preset
from keras_lapgan.presets.registry import is_published
from keras_lapgan.presets.registry import published_folder
from keras_lapgan.presets.schema import is_license
from keras_lapgan.presets.weights_layout import weights_layout
from keras_lapgan.utils.folder_swap import settled
from keras_lapgan.utils.preset_error import PresetError


class Source:
    """A preset that was found.

    Attributes:
        preset: str. As it was asked for.
        origin: str. Where it is, for people.
        folder: `pathlib.Path` or None, a published one without weights.
        published: `Preset` or None, of a published one.
    """

    def __init__(self, preset, origin, folder, published=None):
        self.preset = str(preset)
        self.origin = origin
        self.folder = folder
        self.published = published

    @property
    def has_weights(self):
        return self.folder is not None and (self.folder / WEIGHTS).is_file()

    @contextlib.contextmanager
    def settled(self):
        """Keeps the files of one save together while they are read."""
        if self.folder is None:
            yield
            return
        try:
            with settled(self.folder):
                yield
        except PresetError:
            raise
        except OSError as error:
            raise PresetError(
                f"{self.preset!r} cannot be read: {error}"
            ) from error

    def weights(self, config, metadata):
        """The arrays of the weights file, checked."""
        return read_checked_weights(self.folder, config, metadata, self.preset)

    def config(self, with_weights=True):
        """The model's config, checked.

        Args:
            with_weights: bool. Of a published preset: whether the one that its
                weights were trained with is meant, if it has some, or the
                recipe. Defaults to True.
        """
        trained = with_weights and self.has_weights
        if self.published is not None and not trained:
            return self.published.config()
        return read_config(self.folder, self.preset)

    def metadata(self):
        """What is known of the weights, checked; {} if there are none."""
        if self.folder is None:
            return {}
        metadata = read_metadata(self.folder, self.preset)
        card = self.folder / CARD
        if card.is_file() and card.stat().st_size <= JSON_BYTES:
            # On the Hub, people state a licence in the card.
            text = card.read_text(encoding="utf-8", errors="replace")
            license = stated_license(text)
            if license is not None and is_license(license):
                metadata["license"] = license
        return metadata


def find_preset(preset, revision=None, with_weights=True):
    """Finds what somebody calls a preset; what is on the Hub is downloaded.

    Args:
        preset: str or path. A published name, which wins over a folder of that
            name in the current directory (`./name` or a `Path` is the folder);
            a folder; `hf://user/name`, `hf://user/name@revision`, or the
            repository's web address.
        revision: str or None. A branch, tag or commit on the Hub. Defaults to
            None.
        with_weights: bool. Whether they are needed. Defaults to True.

    Returns:
        A `Source`.

    Raises:
        PresetError: there is none; the message says what to do.
    """
    if not isinstance(preset, (str, os.PathLike)) or not str(preset).strip():
        raise PresetError(
            "A preset is a published name, a folder or hf://user/name. "
            f"Received: {preset!r}"
        )
    if HubUri.is_one(preset):
        uri = HubUri.parse(preset, revision)
        folder = _downloaded(uri, with_weights)
        return Source(preset, f"the Hub, {uri.address}", folder)
    if revision is not None:
        raise PresetError(
            "`revision` is for presets on the Hub, hf://user/name. "
            f"Received: preset={str(preset)!r}, revision={revision!r}"
        )
    if is_published(preset):
        return _find_published(preset, with_weights)
    folder = Path(preset)
    if os.path.isdir(folder):
        found = Source(preset, f"the folder {str(folder)!r}", folder)
        # A first save may have been interrupted.
        with found.settled():
            is_preset = (folder / CONFIG).is_file()
        if not is_preset:
            raise PresetError(
                f"{str(folder)!r} is not a preset folder: it has no {CONFIG}."
            )
        return found
    text = str(preset)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", text) and not text.startswith("."):
        raise PresetError(
            f"There is no folder {text!r}. On the Hub it would be hf://{text}."
        )
    if os.sep in text or text.startswith("."):
        raise PresetError(f"There is no folder {text!r}.")
    return _find_published(text, with_weights)


def _find_published(name, with_weights):
    published = get_preset(name)
    folder = published_folder(name)
    origin = "this package"
    if folder is None and published.hub is not None and with_weights:
        uri = HubUri.parse(published.hub)
        origin = f"the Hub, {uri.address}"
        folder = _downloaded(uri, with_weights)
        found = read_metadata(folder, name)["weights_sha256"]
        if found != published.weights_sha256:
            raise PresetError(
                f"The weights of {name!r} at {uri} are not those that this "
                f"version of keras-lapgan names: their sha256 is {found}. "
                "Tell its maintainers."
            )
    return Source(name, origin, folder, published)


def _downloaded(uri, with_weights):
    """The folder in the Hub's cache; its weights once their size is known."""
    small = dict.fromkeys((CONFIG, METADATA, NOTICE, CARD), JSON_BYTES)
    must_have = [WEIGHTS] if with_weights else []
    folder = download(uri, small, optional=[NOTICE, CARD], must_have=must_have)
    if with_weights:
        config = read_config(folder, uri)
        metadata = read_metadata(folder, uri)
        numbers = sum(map(math.prod, weights_layout(config).values()))
        # At most 8 bytes each; an optimizer keeps two or three of each more.
        limit = 8 * numbers * (5 if metadata["has_optimizer"] else 1) + 10**6
        # Of the same commit, wherever the branch is by now.
        download(HubUri(uri.repo, folder.name), {WEIGHTS: limit})
    return folder
