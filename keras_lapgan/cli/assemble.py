from pathlib import Path

import click

from keras_lapgan.cli import options
from keras_lapgan.cli.tables import new_table
from keras_lapgan.cli.tables import print_table


@click.command("assemble")
@click.argument("presets", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The new preset's folder.",
)
@options.overwrite
def command(presets, output, overwrite):
    """Join levels that were trained apart into one model.

    RUN... are the folders that `train --levels` left, or presets. Of a level
    that several have, the last that trained it counts.
    """
    options.check_output(output, overwrite, _is_assembled)
    from keras_lapgan.cli.backend import import_keras

    import_keras()
    from keras_lapgan import LAPGAN
    from keras_lapgan.callbacks.save_error import save_errors
    from keras_lapgan.presets.assemble import assemble_presets
    from keras_lapgan.presets.preset_folder import save_preset

    model, metadata, parts = assemble_presets(presets, LAPGAN)
    with save_errors(output):
        save_preset(model, output, metadata)
    columns = [
        ("level", "right"),
        ("size", "left"),
        ("from", "left"),
        ("epochs", "right"),
    ]
    rows = []
    for part in parts:
        height, width = model.sizes[part.level]
        epochs = "" if part.epochs is None else str(part.epochs)
        rows.append([str(part.level), f"{height}x{width}", part.preset, epochs])
    print_table(new_table(columns, rows))
    click.echo(f"Draw from it: {options.sample_command(output)}")


def _is_assembled(path):
    from keras_lapgan.presets.preset_folder import is_preset_folder

    # A run has more to lose than its weights.
    return is_preset_folder(path) and not (path / "command.txt").exists()
