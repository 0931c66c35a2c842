import os
import shlex
import sys
from pathlib import Path

import click

from keras_lapgan.cli import options
from keras_lapgan.export import FORMATS
from keras_lapgan.export import ExportError
from keras_lapgan.export.formats import CPU_ONLY


class _Batch(click.ParamType):
    name = "N|dynamic"

    def convert(self, value, param, ctx):
        if value == "dynamic" or isinstance(value, int):
            return value
        if not value.isdecimal() or int(value) < 1:
            self.fail(
                f"{value!r} is neither a number of pictures, at least 1, nor "
                "'dynamic'.",
                param,
                ctx,
            )
        return int(value)


@click.command("export")
@click.argument("preset", metavar="MODEL")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--format",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="The runtime that is to draw.",
)
@click.option(
    "--level",
    type=click.IntRange(0),
    help="Only this level, 0 the finest.  [default: the whole chain]",
)
@click.option("--stages", is_flag=True, help="Give every stage's picture.")
@click.option(
    "--batch",
    type=_Batch(),
    default="dynamic",
    show_default=True,
    help="Pictures a call.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float32",
    show_default=True,
    help="Of what is stored.",
)
@click.option(
    "--dtype",
    type=click.Choice(["uint8", "float32"]),
    default="uint8",
    show_default=True,
    help="Of the pictures, in 0..255.",
)
@click.option("--revision", help="A branch, tag or commit on the Hub.")
@click.option(
    "--random-weights",
    is_flag=True,
    help="Export a preset that has no trained weights.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace an earlier export at OUT."
)
def command(
    preset,
    out,
    format,
    level,
    stages,
    batch,
    precision,
    dtype,
    revision,
    random_weights,
    overwrite,
):
    """Write MODEL for another runtime, to the new folder OUT.

    MODEL is a published name, a folder of a run or a preset, or
    hf://user/name. OUT gets the file, signature.json and run.py, which draws
    without Keras. The file is run, and compared with Keras, before OUT
    appears.
    """
    from keras_lapgan.export.request import check_request
    from keras_lapgan.presets.sources import find_preset

    asked = {
        "level": level,
        "stages": stages,
        "batch": batch,
        "precision": precision,
        "dtype": dtype,
        "overwrite": overwrite,
    }
    try:
        check_request(out, format, **asked)
    except ExportError as error:
        raise options.Mistake(str(error)) from error
    weights = not random_weights
    if weights and not find_preset(preset, revision).has_weights:
        raise options.Mistake(
            f"{preset!r} has no trained weights yet. Train it, `keras-lapgan "
            f"train {preset}`, or export untrained ones with "
            "--random-weights."
        )
    if "keras" not in sys.modules:
        os.environ.update(CPU_ONLY)
        if FORMATS[format].backend is not None:
            os.environ["KERAS_BACKEND"] = FORMATS[format].backend

    from keras_lapgan.cli.backend import import_keras

    import_keras(seed=0 if random_weights else None)
    from keras_lapgan import LAPGAN
    from keras_lapgan.cli.backend import quiet
    from keras_lapgan.export.export_model import export_model

    with quiet() as say:
        model = LAPGAN.from_preset(
            preset, load_weights=weights, revision=revision, dtype="float32"
        )
        signature = export_model(model, out, format, progress=say, **asked)
    for line in _told(out, signature):
        click.echo(line)


def _told(out, signature):
    """What was written, and how near it is."""
    size = sum(
        file.stat().st_size
        for file in out.rglob("*")
        if file.is_file() and file.name not in ("run.py", "signature.json")
    )
    line = f"{out / signature['file']}: {size / 1e6:.1f} MB"
    if signature["precision"] != "float32":
        whole = signature["float32_bytes"] / 1e6
        line += f"; its weights would be {whole:.1f} MB in float32"
    yield line
    found = signature["verified"]
    *counts, last = map(str, found["batches"])
    counts = f"{', '.join(counts)} and {last}" if counts else last
    if signature["precision"] != "float32":
        how = (
            f"pixels change by {found['mean_difference']:.2g} of 255 grey "
            f"levels on average, at most by {found['max_difference']:.2g}"
        )
    elif found["max_difference"]:
        how = f"as Keras draws, to {found['max_difference']:.1g} grey levels"
    else:
        how = "as Keras draws"
    yield f"Checked on {counts} pictures: {how}"
    names = [spec["name"] for spec in signature["inputs"]]
    more = " --images coarse.png" if names[-1].startswith("images") else ""
    script = shlex.quote(str(out / "run.py"))
    # Else a name could be read as an option.
    script = f"./{script}" if script.startswith("-") else script
    yield f"Draw: python {script} --seed 42{more}"
