"""The `README.md` of a preset folder: a model card, as the Hub shows it.

What is generated stands between marks, in the YAML lines and in the text.
Only that is renewed; what somebody wrote around it stays.
"""

import json
import math
import re
import shlex
import textwrap

from keras_lapgan.presets.weights_layout import parameter_counts
from keras_lapgan.utils.preset_error import PresetError

CARD = "README.md"
#: Pictures that a card shows if they are in its folder, and what they are.
PICTURES = {
    "grid.png": "Samples",
    "strip.png": "Samples, coarse to fine",
    "curves.png": "Losses of each level",
}
_BEGIN, _END = "keras-lapgan: begin", "keras-lapgan: end"
_YAML = re.compile(rf"^# {_BEGIN}.*?\n(.*?)^# {_END}\n", re.S | re.M)
_TEXT = re.compile(rf"<!-- {_BEGIN}.*?-->\n(.*?)<!-- {_END} -->\n?", re.S)
_FRONT = re.compile(r"\A---\s*\n(.*?)^---[ \t]*(?:\n|\Z)", re.S | re.M)
#: The first line of cards before they had marks.
_OLD_MARK = "<!-- written by keras-lapgan -->"
_PAPER = "[Denton et al., 2015](https://arxiv.org/abs/1506.05751)"
_TRAINING = (
    "data",
    "split",
    "images",
    "epochs",
    "batch_size",
    "levels",
    "seed",
    "precision",
)


def is_generated(path):
    """Whether the card at `path` is ours alone, so may be removed."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return text.startswith(_OLD_MARK) or (
        _TEXT.search(text) is not None and _without_ours(text) == ""
    )


def _without_ours(text):
    front = _FRONT.match(text)
    if front:
        own = _YAML.sub("", front[1])
        text = own + text[front.end() :]
    return _TEXT.sub("", text).strip()


def model_card(config, metadata, preset, pictures=(), previous=None):
    """Returns the text of a card.

    Args:
        config: dict. The model in Keras' serialised form.
        metadata: dict, as `metadata.json` has it.
        preset: str. What `from_preset` takes: a name, a folder or `hf://`.
        pictures: names of files beside the card, out of `PICTURES`.
        previous: str or None. A card of which to keep what is not generated;
            one without marks is kept as it is. Defaults to None.

    Raises:
        PresetError: the YAML lines of `previous` are none.
    """
    facts = _facts(config, metadata)
    text = (
        f"<!-- {_BEGIN}; what stands outside these marks stays -->\n"
        + "\n\n".join(_sections(facts, config, metadata, preset, pictures))
        + f"\n<!-- {_END} -->\n"
    )
    if previous is None or previous.startswith(_OLD_MARK):
        return _front_matter(facts, metadata, "") + "\n" + text
    if not _TEXT.search(previous):
        return previous
    front = _FRONT.match(previous)
    own = _YAML.sub("", front[1]) if front else ""
    rest = previous[front.end() :] if front else previous
    return _front_matter(facts, metadata, own) + _TEXT.sub(
        lambda _: text, rest, count=1
    )


# === The facts ===


def _facts(config, metadata):
    model = config["config"]
    sizes = [
        level["config"]["generator"]["config"]["size"]
        for level in model["levels"]
    ]
    first = model["levels"][0]["config"]["generator"]["config"]
    pairs = [[s, s] if isinstance(s, int) else s for s in sizes]
    data = metadata.get("data")
    return {
        "name": model.get("name", "lapgan"),
        "pyramid": " -> ".join(
            str(h) if h == w else f"{h}x{w}" for h, w in reversed(pairs)
        ),
        "levels": len(pairs),
        "shape": (*pairs[0], first.get("channels", 3)),
        "coarsest": pairs[-1],
        "source": model.get("source_size") or sizes[0],
        "num_classes": first.get("num_classes", 0),
        "class_names": model.get("class_names") or [],
        "parameters": sum(map(sum, parameter_counts(config))),
        # A folder's path is nobody's business.
        "data": data if data and re.fullmatch(r"[\w-]+(/\w+)?", data) else None,
    }


def _front_matter(facts, metadata, own):
    """The YAML lines: the user's `own`, and what they do not say."""
    import yaml
    from huggingface_hub import EvalResult
    from huggingface_hub import ModelCardData

    try:
        said = yaml.safe_load(own) or {}
        if not isinstance(said, dict):
            raise PresetError(f"{CARD}: its YAML lines are not names: values.")
    except yaml.YAMLError as error:
        raise PresetError(
            f"{CARD}: its YAML lines cannot be read: {error}"
        ) from error
    results = [
        EvalResult(
            task_type="unconditional-image-generation",
            dataset_type=metric.get("dataset") or facts["data"] or "unknown",
            dataset_name=metric.get("dataset") or facts["data"] or "unknown",
            dataset_split=metric.get("split"),
            metric_type=metric.get("type", "other"),
            metric_name=metric["name"],
            metric_value=metric["value"],
            metric_args={"protocol": metric["protocol"]}
            if "protocol" in metric
            else None,
        )
        for metric in metadata.get("metrics", [])
    ]
    data = ModelCardData(
        library_name="keras",
        pipeline_tag="unconditional-image-generation",
        license=metadata.get("license"),
        license_name="see-notice"
        if metadata.get("license") == "other"
        else None,
        license_link="NOTICE" if metadata.get("license") == "other" else None,
        tags=["keras-lapgan", "gan", "lapgan", "arxiv:1506.05751"],
        datasets=[facts["data"]] if facts["data"] else None,
        model_name=facts["name"],
        eval_results=results or None,
        ignore_metadata_errors=True,
    ).to_dict()
    data.pop("model_name", None)
    ours = {name: value for name, value in data.items() if name not in said}
    lines = yaml.safe_dump(ours, sort_keys=False, allow_unicode=True)
    if own and not own.endswith("\n"):
        own += "\n"
    return f"---\n{own}# {_BEGIN}; lines outside stay\n{lines}# {_END}\n---\n"


# === The text ===


def _sections(facts, config, metadata, preset, pictures):
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
    yield from _snippets(facts, preset)
    yield f"""```
keras-lapgan sample {shlex.quote(preset)} --count 64 --seed 42
```"""
    yield from _training(metadata)
    yield from _metrics(metadata)
    yield "## Limits and intended use"
    yield _filled(
        "For research, teaching and play with small generative models, and as "
        "a start for training on other pictures. It draws nothing but "
        f"{height}x{width} pictures like those it was trained on, with their "
        "biases; some may resemble a training picture. They show nothing that "
        "happened and nobody who lives. Look at its samples and measure them "
        "on your own data before relying on it."
    )
    yield "## Licence"
    yield _filled(_licence(metadata))


def _licence(metadata):
    found = metadata.get("license")
    if found is None:
        return (
            "None is stated: ask who made these weights before using them. "
            "The licence of the code of keras-lapgan does not cover them."
        )
    where = ", see NOTICE" if found == "other" else ""
    return (
        f"The weights: {found}{where}. The licence of the code of "
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
        f"- {name.replace('_', ' ')}: {metadata[name]}"
        for name in _TRAINING
        if metadata.get(name) is not None
    ]
    if not lines and "note" not in metadata:
        return
    yield "## Training"
    if lines:
        yield "\n".join(lines)
    if "note" in metadata:
        yield _filled(metadata["note"])
    command = _command(metadata)
    if command:
        yield f"The recipe as a command:\n\n```\n{command}\n```"


def _command(metadata):
    from keras_lapgan.presets.registry import is_published

    preset = metadata.get("preset")
    if not is_published(preset) or not metadata.get("data"):
        return None
    words = ["keras-lapgan", "train", preset]
    for name in ("data", "split", "epochs", "batch_size", "seed"):
        if metadata.get(name) is not None:
            words += [f"--{name.replace('_', '-')}", str(metadata[name])]
    if metadata.get("levels") is not None:
        words += ["--levels", ",".join(map(str, metadata["levels"]))]
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
            yield _filled(f"{' '.join(protocol.split())}:")
        rows = [
            f"| {_cell(m['name'])} | {_rounded(m['value'])} |" for m in metrics
        ]
        yield "| what | value |\n|---|---|\n" + "\n".join(rows)


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def _rounded(value):
    digits = 3 - math.floor(math.log10(abs(value) or 1))
    return f"{round(value, max(0, digits)):,}"
