import re
import secrets
from pathlib import Path

import click

from keras_lapgan.cli import options

_FILE = re.compile(r"\d{5}\.png")


@click.command("sample")
@click.argument("preset")
@click.option(
    "--count",
    type=click.IntRange(1, 100_000),
    help="How many pictures.  [default: 64, or 8 a class; 8 in a strip]",
)
@options.seed(None, "Same seed, same pictures.")
@click.option("--labels", help="Classes by name or number: cat,dog,3.")
@click.option(
    "--layout",
    type=click.Choice(["grid", "files", "strip"]),
    default="grid",
    show_default=True,
    help="One picture with all; a folder of files; or how each grows, "
    "coarse to fine.",
)
@click.option(
    "--random-weights",
    is_flag=True,
    help="Sample a preset that has no trained weights: noise.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A PNG file; with --layout files, a folder.  [default: samples.png "
    "or samples]",
)
@options.overwrite
def command(
    preset, count, seed, labels, layout, random_weights, output, overwrite
):
    """Draw pictures from PRESET.

    A published name, a folder of a run or a preset, or hf://user/name.
    """
    from keras_lapgan.presets.sources import find_preset

    if output is None:
        output = Path("samples" if layout == "files" else "samples.png")
    if layout != "files" and output.suffix.lower() != ".png":
        raise options.Mistake(
            f"--output must end in .png. Received: {str(output)!r}"
        )
    if not (random_weights or find_preset(preset).has_weights):
        raise options.Mistake(
            f"{preset!r} has no trained weights yet. Train it, `keras-lapgan "
            f"train {preset}`, or see what untrained ones draw with "
            "--random-weights."
        )
    is_ours = _is_folder_of_files if layout == "files" else Path.is_file
    options.check_output(output, overwrite, is_ours)
    if not output.parent.is_dir():
        raise options.Mistake(
            f"--output: there is no folder {str(output.parent)!r}. "
            f"Received: {str(output)!r}"
        )

    from keras_lapgan.cli.backend import import_keras

    import_keras()
    from keras_lapgan import LAPGAN
    from keras_lapgan.utils.image_grid import image_grid
    from keras_lapgan.utils.image_grid import save_png
    from keras_lapgan.utils.image_grid import stage_strip

    model = LAPGAN.from_preset(preset, load_weights=not random_weights)
    columns = None
    if labels is not None:
        labels = options.parse_labels(labels, model)
        columns = len(labels)
    elif model.num_classes:
        labels = range(model.num_classes)
        columns = model.num_classes
    if count is None:
        count = 8 if layout == "strip" else 8 * (columns or 8)
    if labels is not None:
        labels = [labels[i % len(labels)] for i in range(count)]
    if seed is None:
        # One that is easily typed again.
        seed = secrets.randbelow(10**6)
    stages = model.generate(
        count, labels=labels, seed=seed, return_pyramid=True
    )
    with options.new_output(output) as path:
        if layout == "files":
            path.mkdir()
            for i, image in enumerate(stages[0]):
                save_png(path / f"{i:05d}.png", image)
        elif layout == "strip":
            save_png(path, stage_strip(stages))
        else:
            scale = max(1, 56 // stages[0].shape[1])
            save_png(path, image_grid(stages[0], columns, scale))
    click.echo(f"{count} pictures of seed {seed}: {output}")


def _is_folder_of_files(path):
    return path.is_dir() and all(
        _FILE.fullmatch(file.name) for file in path.iterdir()
    )
