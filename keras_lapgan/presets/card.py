"""The short `README.md` of a preset folder."""

import json
import shlex

CARD = "README.md"
MARKER = "<!-- written by keras-lapgan -->"
_PAPER = "[arXiv:1506.05751](https://arxiv.org/abs/1506.05751)"
_KEYS = ("data", "split", "epochs", "batch_size", "seed", "note")


def is_generated(path):
    """Whether the card at `path` is one of ours, so may be replaced."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip() == MARKER
    except (OSError, UnicodeDecodeError):
        return False


def model_card(model, preset, metadata):
    """Returns a card: what the model is, how to draw from it, its training.

    Args:
        model: `LAPGAN`.
        preset: str. What `from_preset` takes: a name or a folder.
        metadata: dict, as `metadata.json` has it.
    """
    pyramid = " -> ".join(str(size[0]) for size in reversed(model.sizes))
    shape = ", ".join(map(str, model.image_shape))
    text = f"""{MARKER}
# {model.name}

A Laplacian-pyramid GAN (Denton et al., 2015, {_PAPER}),
{pyramid}, with {metadata["parameter_count"]:,} parameters.

```python
from keras_lapgan import LAPGAN

model = LAPGAN.from_preset({json.dumps(preset)})
images = model.generate(16, seed=42)  # uint8 (16, {shape})
```

```
keras-lapgan sample {shlex.quote(preset)} --count 64 --seed 42
```
"""
    if model.num_classes:
        names = ", ".join(model.class_names or []) or "without names"
        text += f"\nClasses ({model.num_classes}): {names}.\n"
    known = [key for key in _KEYS if metadata.get(key) not in (None, "")]
    if known:
        lines = [f"- {k.replace('_', ' ')}: {metadata[k]}" for k in known]
        text += "\n## Training\n\n" + "\n".join(lines) + "\n"
    return text
