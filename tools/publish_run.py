"""Turns a run into a published preset's folder, in half precision.

    python tools/publish_run.py runs/a presets/lapgan_cifar10_small

Copies `config.json` and `log.csv`, stores the weights as float16 (no optimizer
state) and writes metadata and a card, without the paths of the machine that
trained, all in a temporary folder beside the target. Only after that folder,
loaded, has drawn the same pictures as the run to within 2 of 255, it takes the
target's place; a card that somebody wrote there is kept. Refuses a folder
whose name is not a published preset or whose architecture differs from it.
`--note` is stored in the metadata.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np

from keras_lapgan.presets import get_preset
from keras_lapgan.presets.card import CARD
from keras_lapgan.presets.card import is_generated
from keras_lapgan.presets.card import model_card
from keras_lapgan.presets.preset_folder import CONFIG
from keras_lapgan.presets.preset_folder import METADATA
from keras_lapgan.presets.preset_folder import WEIGHTS
from keras_lapgan.presets.preset_folder import sha256

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def halve(source, target):
    """Copies an HDF5 file of weights, floats as float16, compressed."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                group = new.require_group(name)
                group.attrs.update(item.attrs)
                return
            value = item[()]
            if value.dtype.kind == "f" and value.size > 1:
                value = value.astype("float16")
            stored = new.create_dataset(name, data=value)
            stored.attrs.update(item.attrs)

        old.visititems(copy)
        new.attrs.update(old.attrs)


def build(run, folder, model, name, note):
    """Fills the folder of the published preset `name` from a run's."""
    for file in (CONFIG, "log.csv"):
        shutil.copy(run / file, folder / file)
    halve(run / WEIGHTS, folder / WEIGHTS)
    metadata = json.loads((run / METADATA).read_text())
    metadata["preset"] = name
    if note:
        metadata["note"] = note
    metadata["weights_sha256"] = sha256(folder / WEIGHTS)
    (folder / METADATA).write_text(json.dumps(metadata, indent=1))
    (folder / CARD).write_text(
        model_card(model, name, metadata), encoding="utf-8"
    )


def replace(folder, target):
    """Moves `folder` to `target`, whose own card stays."""
    if not target.exists():
        folder.rename(target)
        return
    if (target / CARD).is_file() and not is_generated(target / CARD):
        shutil.copy(target / CARD, folder / CARD)
    old = target.with_name(f".old_{target.name}")
    target.rename(old)
    folder.rename(target)
    shutil.rmtree(old)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--note", help="stored in the metadata")
    arguments = parser.parse_args()
    run, target = arguments.run, arguments.target

    from keras_lapgan import LAPGAN

    get_preset(target.name)
    model = LAPGAN.from_preset(run)
    published = LAPGAN.from_preset(target.name, load_weights=False)
    shapes = [[w.shape for w in m.weights] for m in (model, published)]
    if shapes[0] != shapes[1]:
        raise SystemExit(f"{run} is not of the architecture {target.name}")

    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".tmp_{target.name}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        build(run, folder, model, target.name, arguments.note)
        before = model.generate(64, seed=0).astype(int)
        after = LAPGAN.from_preset(folder).generate(64, seed=0).astype(int)
        worst = np.abs(before - after).max()
        print(f"largest change of a pixel: {worst} of 255")
        if worst > 2:
            raise SystemExit("half precision changes the pictures")
        size = (folder / WEIGHTS).stat().st_size / 1e6
        replace(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{target}: {size:.1f} MB")


if __name__ == "__main__":
    main()
