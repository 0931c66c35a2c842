"""The `README.md` of a preset folder: a model card, as the Hub shows it.

What is generated stands between marks, in the YAML lines and in the text.
Only that is renewed; what somebody wrote around it stays.
"""

import json
import math
import re
import shlex
import textwrap
from pathlib import PureWindowsPath

from keras_lapgan.presets.weights_layout import parameter_count
from keras_lapgan.utils.preset_error import PresetError

CARD = "README.md"
#: Pictures that a card shows if they are in its folder, and what they are.
PICTURES = {
    "grid.png": "Samples",
    "strip.png": "Samples, coarse to fine",
    "curves.png": "Losses of each level",
}
_BEGIN, _END = "keras-lapgan: begin", "keras-lapgan: end"
#: The first line of cards before they had marks.
_OLD_MARK = "<!-- written by keras-lapgan -->"
_MAX_BYTES = 200_000
_PAPER = "[Denton et al., 2015](https://arxiv.org/abs/1506.05751)"
#: Data sets that the Hub knows.
_HUB_DATA = {"cifar10": "uoft-cs/cifar10"}
_TRAINING = (
    "data",
    "split",
    "images",
    "epochs",
    "steps_per_epoch",
    "batch_size",
    "levels",
    "seed",
    "precision",
    "learning_rate_scale",
    "chained",
    "flip",
    "crop",
    "resize",
)
#: Figures of a metric, and their columns.
_FIGURES = {
    "value": "value",
    "floor": "real pictures",
    "authors": "authors' samples, 2015",
}
#: What a command need not say.
_DEFAULTS = {"precision": "float32", "resize": "crop"}


# === Cards that are there ===


def read_card(path):
    """Returns the text of a card, or None if there is none.

    Raises:
        PresetError: it is not a text that could be renewed.
    """
    if path.is_symlink():
        raise PresetError(f"{str(path)!r} is a link to another file.")
    if not path.is_file():
        return None
    return card_text(path.read_bytes(), str(path))


def card_text(data, name):
    """Returns the bytes of a card as text; see `read_card`."""
    if len(data) > _MAX_BYTES:
        raise PresetError(
            f"{name!r} is too large: {len(data):,} bytes, more than "
            f"{_MAX_BYTES:,}."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PresetError(f"{name!r} is not UTF-8: {error}.") from error


def is_generated(path):
    """Whether the card at `path` is ours alone, so may be removed."""
    try:
        text = read_card(path)
    except (OSError, PresetError):
        return False
    return text is not None and is_ours_alone(text)


def is_ours_alone(text):
    """Whether nobody has written anything into a card."""
    text = text.replace("\r\n", "\n")
    if text.startswith(_OLD_MARK):
        return True
    front, body = _split(text)
    found = _cut(body, "<!-- ", " -->")
    return found is not None and not (_own(front) + "".join(found)).strip()


def _split(text):
    """A card's YAML lines and what follows them."""
    lines = text.splitlines(keepends=True)
    if lines and lines[0].rstrip() == "---":
        for i, line in enumerate(lines[1:], start=1):
            if line.rstrip() == "---":
                return "".join(lines[1:i]), "".join(lines[i + 1 :])
    return "", text


def _cut(text, opening, closing):
    """What stands before and after the marked part, or None."""
    last = opening + _END + closing
    begin = text.find(opening + _BEGIN)
    end = text.find(last, begin)
    if begin < 0 or end < 0:
        return None
    return text[:begin], text[end + len(last) :].removeprefix("\n")


def _own(front):
    """The YAML lines that are the user's."""
    found = _cut(front, "# ", "")
    return front if found is None else "".join(found)


# === Cards that are made ===


def model_card(
    config,
    metadata,
    preset,
    pictures=(),
    has_notice=False,
    previous=None,
):
    """Returns the text of a card.

    Args:
        config: dict. The model in Keras' serialised form.
        metadata: dict, as `metadata.json` has it.
        preset: str. What `from_preset` takes: a name, a folder or `hf://`.
        pictures: names of files beside the card, out of `PICTURES`.
        has_notice: bool. Whether a NOTICE is beside it. Defaults to False.
        previous: str or None. A card of which to keep what is not generated;
            a text without marks is kept as it is. Defaults to None.

    Raises:
        PresetError: the YAML lines of `previous` are none.
    """
    if previous is None or previous.startswith(_OLD_MARK):
        previous = ""
    ends = "\r\n" if "\r\n" in previous else "\n"
    front, body = _split(previous.replace("\r\n", "\n"))
    around = _cut(body, "<!-- ", " -->")
    if around is None and body.strip():
        return previous
    before, after = around or ("\n", "")
    own = _own(front)
    said = _read_yaml(own)
    metadata = without_paths(metadata)
    facts = _facts(config, metadata, preset)
    license = said.get("license", metadata.get("license"))
    sections = _sections(facts, metadata, preset, pictures, has_notice, license)
    text = (
        _front_matter(facts, metadata, own, said, has_notice)
        + before
        + f"<!-- {_BEGIN}; what stands outside these marks stays -->\n"
        + "\n\n".join(sections)
        + f"\n<!-- {_END} -->\n"
        + after
    )
    return text.replace("\n", ends)


# === The facts ===


def _facts(config, metadata, preset):
    model = config["config"]
    sizes = [
        level["config"]["generator"]["config"]["size"]
        for level in model["levels"]
    ]
    first = model["levels"][0]["config"]["generator"]["config"]
    pairs = [[s, s] if isinstance(s, int) else s for s in sizes]
    return {
        # A repository's, a folder's or a published name.
        "name": _shown(preset.rstrip("/").rsplit("/", 1)[-1]),
        "pyramid": " -> ".join(
            str(h) if h == w else f"{h}x{w}" for h, w in reversed(pairs)
        ),
        "levels": len(pairs),
        "present": model.get("present"),
        "shape": (*pairs[0], first.get("channels", 3)),
        "coarsest": pairs[-1],
        "source": model.get("source_size") or sizes[0],
        "num_classes": first.get("num_classes", 0),
        "class_names": list(map(_shown, model.get("class_names") or [])),
        "parameters": parameter_count(config),
        "data": metadata.get("data"),
    }


def _shown(text):
    """Text of others within ours: no marks, no comments, one line."""
    text = str(text).replace("<!--", "&lt;!--")
    return " ".join(text.replace("keras-lapgan:", "keras-lapgan").split())


def _read_yaml(lines):
    """What the user's YAML lines say; without aliases, which can explode."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent, index):
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases are not read")
            return super().compose_node(parent, index)

    try:
        said = yaml.load(lines, Loader) or {}  # noqa: S506
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise PresetError(
            f"{CARD}: its YAML lines cannot be read: {_shown(error)}."
        ) from error
    if not isinstance(said, dict):
        raise PresetError(f"{CARD}: its YAML lines are not `name: value`.")
    return said


def _front_matter(facts, metadata, own, said, has_notice):
    """The YAML lines: the user's `own`, and what they do not say."""
    import yaml
    from huggingface_hub import EvalResult
    from huggingface_hub import ModelCardData

    results = [
        EvalResult(
            task_type="unconditional-image-generation",
            dataset_type=_shown(metric.get("dataset", "unknown")),
            dataset_name=_shown(metric.get("dataset", "unknown")),
            dataset_split=_shown(metric["split"])
            if "split" in metric
            else None,
            metric_type=metric.get("type", "other"),
            metric_name=_shown(metric["name"]),
            metric_value=metric["value"],
            metric_args=_arguments(metric),
        )
        for metric in metadata.get("metrics", [])
    ]
    license = metadata.get("license")
    link = license == "other" and has_notice
    data = ModelCardData(
        library_name="keras",
        pipeline_tag="unconditional-image-generation",
        license=license,
        license_name="see-notice" if link else None,
        license_link="NOTICE" if link else None,
        tags=["keras-lapgan", "gan", "lapgan", "arxiv:1506.05751"],
        datasets=[_HUB_DATA[facts["data"]]]
        if facts["data"] in _HUB_DATA
        else None,
        model_name=facts["name"],
        eval_results=results or None,
        ignore_metadata_errors=True,
    ).to_dict()
    data.pop("model_name", None)
    if "license" in said:
        said = {**said, "license_name": None, "license_link": None}
    ours = {name: value for name, value in data.items() if name not in said}
    lines = yaml.safe_dump(ours, sort_keys=False, allow_unicode=True)
    if own and not own.endswith("\n"):
        own += "\n"
    front = f"{own}# {_BEGIN}; lines outside stay\n{lines}# {_END}\n"
    # The user's lines may be good only by themselves.
    _read_yaml(front)
    return f"---\n{front}---\n"


def _arguments(metric):
    """What a metric's value is to be read with."""
    found = {}
    if "protocol" in metric:
        found["protocol"] = _shown(metric["protocol"])
    if "floor" in metric:
        found["real_pictures"] = metric["floor"]
    if "authors" in metric:
        found["authors_samples"] = metric["authors"]
    return found or None


def stated_license(text):
    """Returns the `license` in a card's YAML lines, or None."""
    try:
        said = _read_yaml(_split(text.replace("\r\n", "\n"))[0])
    except PresetError:
        return None
    found = said.get("license")
    return found if isinstance(found, str) else None


def without_paths(metadata):
    """Metadata in which what may be a path of this machine is only a name."""
    from keras_lapgan.presets.registry import is_published
    from keras_lapgan.presets.registry import list_presets

    metadata = dict(metadata)
    known = {published.data for published in list_presets().values()}
    for name in ("data", "preset"):
        text = metadata.get(name)
        if text is None or text in known or is_published(text):
            continue
        if not re.fullmatch(r"hf://[\w.-]+/[\w.-]+(@[\w./+-]+)?", text):
            metadata[name] = PureWindowsPath(text).name or name
    return metadata


# === The text ===


def _sections(facts, metadata, preset, pictures, has_notice, license):
    height, width, channels = facts["shape"]
    kind = "class-conditional " if facts["num_classes"] else ""
    yield f"# {facts['name']}"
    yield _filled(
        f"A {kind}Laplacian-pyramid GAN ({_PAPER}) for Keras 3: it draws "
        f"{height}x{width} pictures coarse to fine, {facts['pyramid']}. "
        f"{facts['parameters']:,} parameters, generators and discriminators."
    )
    for name, caption in PICTURES.items():
        if name in pictures:
            yield f"![{caption}]({name})"
    if facts["num_classes"]:
        names = ", ".join(facts["class_names"]) or "without names"
        yield _filled(f"Classes ({facts['num_classes']}): {names}.")
    yield "## Use"
    yield "```\npip install keras-lapgan\n```"
    if facts["present"] is None:
        yield from _snippets(facts, preset)
        yield f"""```
keras-lapgan sample {shlex.quote(preset)} --count 64 --seed 42
```"""
    else:
        yield _filled(
            f"It holds level {', '.join(map(str, facts['present']))} alone of "
            f"0 (the finest) to {facts['levels'] - 1}, and draws once it is "
            "joined with the others:"
        )
        yield f"""```
keras-lapgan assemble {shlex.quote(preset)} ... --output ...
```"""
    yield from _training(metadata)
    yield from _metrics(metadata)
    yield "## Limits and intended use"
    weak = " ".join(_weak_points(metadata))
    if weak:
        yield _filled(weak)
    yield _filled(
        "For research, teaching and play with small generative models, and as "
        "a start for training on other pictures. It draws nothing but "
        f"{height}x{width} pictures like those it was trained on, with their "
        "biases; some may resemble a training picture. They show nothing that "
        "happened and nobody who lives. Look at its samples and measure them "
        "on your own data before relying on it."
    )
    yield "## Licence"
    yield _filled(_licence(license, has_notice))


def _licence(license, has_notice):
    where = ", see NOTICE" if has_notice else ""
    if license is None:
        return (
            f"None is stated{where}: ask who made these weights before using "
            "them. The licence of the code of keras-lapgan does not cover them."
        )
    return (
        f"The weights: {_shown(license)}{where}. The licence of the code of "
        "keras-lapgan does not cover them."
    )


def _filled(text):
    return textwrap.fill(text, 79, break_long_words=False)


def _snippets(facts, preset):
    height, width, channels = facts["shape"]
    shape = f"{height}, {width}, {channels}"
    labels = ", labels=1" if facts["num_classes"] > 1 else ""
    yield f"""```python
from keras_lapgan import LAPGAN

model = LAPGAN.from_preset({json.dumps(preset)})
images = model.generate(16{labels}, seed=42)  # uint8 (16, {shape})
```"""
    if facts["levels"] > 1:
        small = ", ".join(map(str, facts["coarsest"]))
        yield f"""Every stage, and your own small pictures made finer:

```python
stages = model.generate(16, seed=42, return_pyramid=True)  # finest first
thumbnails = stages[-1]  # or yours, uint8 (n, {small}, {channels})
finer = model.generate_from(thumbnails, level={facts["levels"] - 1}, seed=7)
```"""
    else:
        yield """Without rounding to whole grey levels:

```python
exact = model.generate(16, seed=42, dtype="float32")  # 0 to 255
```"""
    source = facts["source"]
    side = [source, source] if isinstance(source, int) else source
    given = "images, labels" if facts["num_classes"] else "images"
    yield f"""Training goes on from these weights, with your own pictures, uint8
(n, {side[0]}, {side[1]}, {channels}):

```python
model.fit({given}, batch_size=64, epochs=1)
model.save_to_preset("./mine")
```"""


def _training(metadata):
    lines = [
        f"- {name.replace('_', ' ')}: {_shown(metadata[name])}"
        for name in _TRAINING
        if metadata.get(name) is not None
    ]
    if not lines and "note" not in metadata:
        return
    yield "## Training"
    if lines:
        yield "\n".join(lines)
    if "note" in metadata:
        yield _filled(_shown(metadata["note"]))
    command = _command(metadata)
    if command:
        yield f"A command that trains by this recipe:\n\n```\n{command}\n```"


def _command(metadata):
    from keras_lapgan.presets.registry import is_published

    preset = metadata.get("preset")
    if not is_published(preset) or not metadata.get("data"):
        return None
    words = ["keras-lapgan", "train", preset]
    for name in _TRAINING:
        value = metadata.get(name)
        option = f"--{name.replace('_', '-')}"
        if name == "images" or value is None or _DEFAULTS.get(name) == value:
            continue
        if isinstance(value, bool):
            words.append(option if value else f"--no-{name}")
        elif isinstance(value, list):
            words += [option, ",".join(map(str, value))]
        else:
            words += [option, str(value)]
    return shlex.join(words)


def metrics_by_protocol(metadata):
    """Yields each protocol, maybe `""`, and the metrics it made."""
    metrics = metadata.get("metrics", [])
    for protocol in dict.fromkeys(m.get("protocol", "") for m in metrics):
        yield (
            protocol,
            [m for m in metrics if m.get("protocol", "") == protocol],
        )


def _metrics(metadata):
    for i, (protocol, metrics) in enumerate(metrics_by_protocol(metadata)):
        if i == 0:
            yield "## Measured"
        if protocol:
            yield _filled(f"{_shown(protocol)}:")
        columns = {"what": [_cell(m["name"]) for m in metrics]}
        for name, title in _FIGURES.items():
            if any(name in m for m in metrics):
                columns[title] = [
                    _rounded(m[name]) if name in m else "" for m in metrics
                ]
        rows = [columns, *zip(*columns.values(), strict=True)]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, "|" + "---|" * len(columns))
        yield "\n".join(lines)


def _weak_points(metadata):
    """Sentences on where the figures are far from those of real pictures."""
    figures = {}
    for metric in metadata.get("metrics", []):
        if "floor" in metric and "type" in metric:
            figures.setdefault(
                metric["type"], (metric["value"], metric["floor"])
            )

    def told(kind):
        value, floor = figures[kind]
        return f"{_rounded(value)}; real pictures {_rounded(floor)}"

    def below(kind, share):
        value, floor = figures.get(kind, (0, 0))
        return value < share * floor

    for kind, (value, floor) in figures.items():
        if kind.startswith(("fd_", "fid")) and value > 1.5 * floor:
            yield (
                "Its pictures are far from real ones (Frechet distance "
                f"{told(kind)})."
            )
    if below("recall", 0.7):
        yield (
            "It draws fewer kinds of pictures than it was shown (recall "
            f"{told('recall')})."
        )
    if below("class_agreement", 0.7):
        yield (
            "It often misses the class asked for, as a classifier sees it "
            f"({told('class_agreement')})."
        )
    for kind in figures:
        if kind.startswith("band_std_") and below(kind, 0.95):
            side = kind.removeprefix("band_std_")
            yield f"Detail at {side} px is too faint (deviation {told(kind)})."


def _cell(text):
    return _shown(text).replace("|", "\\|")


def _rounded(value):
    digits = 3 - math.floor(math.log10(abs(value) or 1))
    return f"{round(value, max(0, digits)):,}"
