"""Turns a run into a published preset's folder, in half precision.

    python tools/publish_run.py runs/a presets/lapgan_cifar10_small

Copies `config.json` and `log.csv`, stores the weights as float16 (no
optimizer state), checks that the stored model draws the same pictures to
within 2 of 255, and writes `metadata.json` last. Refuses a folder whose name
is not a published preset or whose architecture differs from it.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    run, target = arguments.run, arguments.target

    from keras_lapgan import LAPGAN
    from keras_lapgan.presets import get_preset
    from keras_lapgan.presets.preset_folder import CONFIG
    from keras_lapgan.presets.preset_folder import METADATA
    from keras_lapgan.presets.preset_folder import WEIGHTS
    from keras_lapgan.presets.preset_folder import sha256

    get_preset(target.name)
    model = LAPGAN.from_preset(run)
    published = LAPGAN.from_preset(target.name, load_weights=False)
    shapes = [[w.shape for w in m.weights] for m in (model, published)]
    if shapes[0] != shapes[1]:
        raise SystemExit(f"{run} is not of the architecture {target.name}")

    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(run / CONFIG, target / CONFIG)
    shutil.copy(run / "log.csv", target / "log.csv")
    halve(run / WEIGHTS, target / WEIGHTS)
    metadata = json.loads((run / METADATA).read_text())
    metadata["weights_sha256"] = sha256(target / WEIGHTS)
    (target / METADATA).write_text(json.dumps(metadata, indent=1))

    before = model.generate(64, seed=0).astype(int)
    after = LAPGAN.from_preset(target).generate(64, seed=0).astype(int)
    worst = np.abs(before - after).max()
    print(f"largest change of a pixel: {worst} of 255")
    if worst > 2:
        raise SystemExit("half precision changes the pictures")
    size = (target / WEIGHTS).stat().st_size / 1e6
    print(f"{target}: {size:.1f} MB")


if __name__ == "__main__":
    main()
