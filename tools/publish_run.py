"""Turns a run into a published preset's folder, in half precision.

    keras-lapgan evaluate runs/a --output evaluation.json
    python tools/publish_run.py runs/a presets/lapgan_cifar10_small \\
        --note "80 minutes on two cores" --evaluation evaluation.json

Writes the model with float16 weights and no optimizer state, metadata without
the paths of the machine that trained, log and curves, a grid and a strip of
samples, the data's terms as NOTICE, and a card; in a card that is there
already, what somebody wrote stays. `--evaluation` takes several reports, of
other protocols; beside those made as `--authors` was, the report of the
paper's authors' samples, the card shows theirs. Only after the new files,
loaded, have drawn the same pictures as the run to within 2 of 255, they take
the place of the target's, all at once. Refuses a folder whose name is not a
published preset or whose architecture differs from it.
"""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from keras_lapgan.evaluation.report_figures import preset_metrics
from keras_lapgan.presets import get_preset
from keras_lapgan.presets.card import CARD
from keras_lapgan.presets.card import read_card
from keras_lapgan.presets.card import without_paths
from keras_lapgan.presets.preset_folder import WEIGHTS
from keras_lapgan.presets.preset_folder import read_config
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.presets.schema import ABOUT
from keras_lapgan.presets.schema import TRAINING
from keras_lapgan.publishing.public_preset import draw_pictures
from keras_lapgan.publishing.public_preset import write_card
from keras_lapgan.utils.folder_swap import swap_in

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NOTICE = """\
The weights in this folder
==========================

They were made by the contributors of keras-lapgan by training on the pictures
named below. The licence of the code of keras-lapgan does not cover them. The
contributors set no terms of their own for them, and can give no rights in the
pictures they were trained on.

{terms}
"""

_OF_A_PART = (
    *("epochs", "planned_epochs", "steps", "steps_per_epoch"),
    *("learning_rate_scale", "chained"),
)


def about(run, published, note, evaluations, authors):
    """The metadata of the published preset."""
    known = {**TRAINING, **ABOUT}
    found = {k: v for k, v in read_metadata(run).items() if k in known}
    metadata = without_paths(found)
    if metadata.get("preset") != published.name:
        # It went on from another run: of these the last part's are not all.
        for name in _OF_A_PART:
            metadata.pop(name, None)
    metadata |= {"preset": published.name, "license": published.license}
    if note:
        metadata["note"] = note
    if evaluations:
        if authors:
            authors = json.loads(authors.read_text())
        metadata["metrics"] = [
            metric
            for path in evaluations
            for metric in preset_metrics(json.loads(path.read_text()), authors)
        ]
    return metadata


def build(run, folder, model, published, metadata):
    """Fills an empty folder with the published preset."""
    model.save_to_preset(folder, metadata=metadata, weights_dtype="float16")
    for name in ("log.csv", "curves.png"):
        if (run / name).is_file():
            shutil.copy(run / name, folder / name)
    (folder / "NOTICE").write_text(
        NOTICE.format(terms=published.terms), encoding="utf-8"
    )


def check_architecture(model, published):
    from keras_lapgan import LAPGAN

    fresh = LAPGAN.from_preset(published.name, load_weights=False)
    shapes = [[w.shape for w in m.weights] for m in (model, fresh)]
    if shapes[0] != shapes[1]:
        raise SystemExit(f"not of the architecture {published.name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--note", help="stored in the metadata")
    parser.add_argument("--evaluation", type=Path, nargs="+", help="JSON files")
    parser.add_argument("--authors", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    run, target = arguments.run, arguments.target

    from keras_lapgan import LAPGAN

    published = get_preset(target.name)
    model = LAPGAN.from_preset(run)
    check_architecture(model, published)
    metadata = about(
        run,
        published,
        arguments.note,
        arguments.evaluation,
        arguments.authors,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / target.name
        build(run, folder, model, published, metadata)
        half = LAPGAN.from_preset(folder)
        before = model.generate(64, seed=0).astype(int)
        worst = np.abs(before - half.generate(64, seed=0)).max()
        print(f"largest change of a pixel: {worst} of 255")
        if worst > 2:
            raise SystemExit("half precision changes the pictures")
        draw_pictures(half, folder)
        write_card(
            folder,
            read_config(folder),
            read_metadata(folder),
            published.name,
            read_card(target / CARD),
        )

        def write(new):
            shutil.copytree(folder, new, dirs_exist_ok=True)

        swap_in(target, write)
    size = (target / WEIGHTS).stat().st_size / 1e6
    print(f"{target}: {size:.1f} MB")


if __name__ == "__main__":
    main()
