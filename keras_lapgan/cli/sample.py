from pathlib import Path

import click

from keras_lapgan.cli import options


@click.command("sample")
@click.argument("preset")
@click.option(
    "--count",
    type=click.IntRange(1, 100_000),
    help="How many pictures.  [default: 64; 8 in a strip]",
)
@options.seed(None)
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
    """Draw pictures from PRESET: a published name or a run's folder."""
    if output is None:
        output = Path("samples" if layout == "files" else "samples.png")
    if layout != "files" and output.suffix.lower() != ".png":
        raise click.UsageError(
            f"--output must end in .png. Received: {str(output)!r}"
        )
    options.check_free(output, overwrite)
    if not output.parent.is_dir():
        raise click.UsageError(
            f"--output: there is no folder {str(output.parent)!r}."
        )

    from keras_lapgan import LAPGAN
    from keras_lapgan.layers.noise import checked_seed
    from keras_lapgan.utils.image_grid import image_grid
    from keras_lapgan.utils.image_grid import save_png
    from keras_lapgan.utils.image_grid import stage_strip

    model = LAPGAN.from_preset(preset, load_weights=not random_weights)
    columns = None
    if count is None:
        count = 8 if layout == "strip" else 64
    if labels is not None:
        named = options.parse_labels(labels, model)
        labels = [named[i % len(named)] for i in range(count)]
        columns = len(named) if len(named) > 1 else None
    elif model.num_classes:
        columns = model.num_classes
    seed = checked_seed(seed)
    stages = model.generate(
        count, labels=labels, seed=seed, return_pyramid=True
    )
    options.clear(output)
    if layout == "files":
        output.mkdir()
        for i, image in enumerate(stages[0]):
            save_png(output / f"{i:05d}.png", image)
    elif layout == "strip":
        save_png(output, stage_strip(stages, scale=3))
    else:
        scale = max(1, 56 // stages[0].shape[1])
        save_png(output, image_grid(stages[0], columns, scale))
    click.echo(f"{count} pictures of seed {seed}: {output}")
