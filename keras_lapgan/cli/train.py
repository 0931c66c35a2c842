import json
from pathlib import Path

import click
from click.core import ParameterSource

from keras_lapgan.cli import options
from keras_lapgan.cli import run_folder
from keras_lapgan.cli.run import Run


def _levels(ctx, param, value):
    if value is None:
        return None
    try:
        return sorted({int(part) for part in value.split(",")})
    except ValueError:
        raise click.BadParameter(
            f"numbers with commas are expected, 0 the finest. Received: "
            f"{value!r}"
        ) from None


@click.command("train")
@click.argument("preset")
@click.option(
    "--data",
    help="A TFDS name, a folder of pictures, a TFDS or LMDB folder, an .npz "
    "file, or `sample`.  [default: the preset's data set]",
)
@click.option("--split", help="For example train, or train[:1000].")
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=25,
    show_default=True,
    help="Passes over the data, with those before --resume.",
)
@click.option(
    "--steps-per-epoch",
    type=click.IntRange(1),
    help="Cut an epoch to so many steps.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Pictures a step.  [default: the preset's, 128 or 64]",
)
@click.option(
    "--levels",
    callback=_levels,
    help="Build and train only these, 0 the finest: 0,2; `assemble` joins "
    "them.  [default: all]",
)
@options.seed(0, "Same seed, same run.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
)
@click.option(
    "--learning-rate-scale",
    type=click.FloatRange(0, 1e6, min_open=True),
    metavar="FACTOR",
    help="Multiply the recipe's learning rates, to go on with smaller steps.",
)
@click.option(
    "--chained",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Draw this share of the generated bands on what the coarser levels "
    "draw, once these are trained.  [default: the preset's, or 0]",
)
@click.option("--flip/--no-flip", default=None, help="Mirror half of them.")
@click.option(
    "--crop",
    type=click.Choice(["corners", "random", "center"]),
    help="How the model's size is cut out.  [default: the preset's]",
)
@click.option(
    "--resize",
    type=click.Choice(["crop", "none"]),
    default="crop",
    show_default=True,
    help="Pictures of other sizes: resized and cropped, or refused.",
)
@click.option("--strict", is_flag=True, help="Stop at a broken picture.")
@click.option(
    "--monitor",
    type=click.Choice(["warn", "stop", "restore", "off"]),
    default="warn",
    show_default=True,
    help="What to do when a level collapses, saturates or diverges.",
)
@click.option(
    "--best-levels/--no-best-levels",
    default=False,
    help="End with the weights of each level's best epoch, by the paper's "
    "nearest draw.",
)
@click.option(
    "--tensorboard/--no-tensorboard",
    default=False,
    help="Write losses and samples for TensorBoard into the run's folder.",
)
@click.option(
    "--save-steps",
    type=click.IntRange(1),
    metavar="N",
    help="Save within epochs too, every N steps.  [default: after each epoch]",
)
@click.option(
    "--strategy",
    # As in `training/strategy.py`, which imports Keras.
    type=click.Choice(
        ["auto", "one", "mirrored", "multi-worker", "data-parallel"]
    ),
    default="auto",
    show_default=True,
    help="Devices that share each batch: one; all of this machine (mirrored "
    "on TensorFlow, data-parallel on JAX); those of all workers that "
    "TF_CONFIG, Keras' variables or Slurm name.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The run's folder.  [default: runs/PRESET]",
)
@options.overwrite
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run at --output, with its settings.",
)
@click.pass_context
def command(ctx, preset, output, overwrite, resume, **settings):
    """Train PRESET: a published name, or what to go on from.

    That is a folder of a run or a preset, or hf://user/name.

    Leaves a run folder that every command takes: weights, log.csv, grids of
    samples after each epoch. Ctrl-C saves; --resume goes on.
    """
    if resume and overwrite:
        raise options.Mistake("--resume and --overwrite exclude each other.")
    from keras_lapgan.presets.registry import is_published
    from keras_lapgan.presets.sources import find_preset

    is_folder = not is_published(preset) and Path(preset).is_dir()
    if output is None:
        output = Path("runs") / _name(preset)
        if resume and is_folder:
            output = Path(preset)
    if resume:
        given = {
            name
            for name in settings
            if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
        }
        run = _read_run(preset, output)
        settings = _resumed_settings(run, settings, given)
        for name in ("data", "split"):
            if settings[name] != run.get(name):
                click.echo(
                    f"Warning: --{name}: the run was begun with "
                    f"{run.get(name)!r} and goes on with {settings[name]!r}.",
                    err=True,
                )
        # Not the old weights' checksum and the like.
        metadata = {k: run[k] for k in ("preset", "images") if k in run}
        behind = run["behind"]
    else:
        source = find_preset(preset)
        if is_folder and output.resolve() == Path(preset).resolve():
            raise options.Mistake(
                f"A run cannot go on into its own folder, {str(preset)!r}. "
                "Choose another --output, or continue it with --resume."
            )
        options.check_output(output, overwrite, run_folder.is_run)
        metadata = {"preset": preset}
        behind = False
        settings |= _home_settings(source, settings)
    if settings["data"] is None:
        raise options.Mistake("--data: name the pictures to train on.")
    Run(preset, output, metadata, settings, resume, behind).start()


# === Settings ===


def _name(preset):
    """What the run of a preset is called if nobody says."""
    from keras_lapgan.hub.hub_uri import HubUri

    if HubUri.is_one(preset):
        preset = HubUri.parse(preset).repo
    return Path(preset).name


def _home_settings(source, settings):
    """Data, split and batch size that a preset or a run was made with."""
    published = source.published
    if published is None:
        home = source.metadata()
    else:
        home = {k: getattr(published, k) for k in ("data", "split")}
        home["batch_size"] = published.batch_size
    found = {
        "batch_size": settings["batch_size"] or home.get("batch_size", 128)
    }
    if settings["data"] in (None, home.get("data")):
        found["data"] = home.get("data")
        found["split"] = settings["split"] or home.get("split")
    return found


def _read_run(preset, output):
    """The metadata of the run to resume, with what its checkpoint has done.

    It is `behind` where what follows a checkpoint, the preset files and the
    epoch's samples, is of another one or was not finished.
    """
    from keras_lapgan.presets.preset_folder import read_metadata
    from keras_lapgan.utils.checkpoints import latest_checkpoint

    if not output.is_dir():
        raise options.Mistake(
            f"--resume: there is no run at {str(output)!r}. Its folder is "
            "given with --output."
        )
    if not run_folder.is_resumable(output):
        raise options.Mistake(
            f"--resume: {str(output)!r} has no checkpoint to resume. Start "
            "it again with --overwrite in place of --resume."
        )
    metadata = read_metadata(output)
    begun = metadata.get("preset", preset)
    if preset != begun and Path(preset).resolve() != output.resolve():
        raise options.Mistake(
            f"--resume: the run at {str(output)!r} is of {begun!r}. "
            f"Received: {preset!r}"
        )
    found = latest_checkpoint(output)
    if not found:
        raise click.ClickException(
            f"--resume: the checkpoints of {str(output)!r} are damaged. Start "
            "a new run from it, with another --output."
        )
    _, *done = found
    epochs, steps = done
    is_saved = [metadata.get("epochs"), metadata.get("steps")] == done
    return {
        **metadata,
        **_read_options(output),
        "has_best_levels": (output / "best_levels").is_dir(),
        "epochs": epochs,
        "steps": steps,
        "behind": not is_saved
        or not (steps or run_folder.is_drawn(output, epochs)),
    }


def _read_options(output):
    path = output / run_folder.OPTIONS
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    kept, context = {}, click.get_current_context()
    for option in context.command.params:
        name = option.name
        try:
            if name in run_folder.KEPT and name in found:
                kept[name] = option.type_cast_value(context, found[name])
        except (TypeError, click.BadParameter) as error:
            raise options.Mistake(
                f"--resume: {str(path)!r} is damaged. Remove it, and "
                "give the options of the run again that are not default."
            ) from error
    return kept


def _resumed_settings(metadata, settings, given):
    """The settings of the run that is resumed, and those that may change."""
    settings = dict(settings)
    for name, value in settings.items():
        key = "planned_epochs" if name == "epochs" else name
        if key not in metadata:
            continue
        if name not in given:
            settings[name] = metadata[key]
        elif name in run_folder.FIXED and value != metadata[key]:
            option = "--" + name.replace("_", "-")
            raise options.Mistake(
                f"{option} stays as the run was begun, with "
                f"{metadata[key]!r}; leave the option out, or start a new "
                f"run from this one. Received: {value!r}"
            )
    done = metadata["epochs"]
    # Levels may still have to get their best weights back.
    left = metadata["behind"] or (
        settings["best_levels"] and metadata["has_best_levels"]
    )
    if done == settings["epochs"] and "epochs" in given and not left:
        # A job that was sent once more.
        click.echo(f"{done} epochs are done already.")
        click.get_current_context().exit()
    if done >= settings["epochs"] and not left:
        raise options.Mistake(
            f"This run has done {done} epochs already; ask for more with "
            f"--epochs. Received: --epochs {settings['epochs']}"
        )
    return settings
