import shlex
import sys
from pathlib import Path

import click

from keras_lapgan.cli import options


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
    help="Passes over the data.",
)
@click.option(
    "--steps-per-epoch",
    type=click.IntRange(1),
    help="Cut an epoch to so many steps.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    help="Pictures a step.",
)
@click.option(
    "--levels",
    callback=_levels,
    help="Train only these, 0 the finest: 0,2.  [default: all]",
)
@options.seed(0)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
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
    "--output",
    type=click.Path(path_type=Path),
    help="The run's folder.  [default: runs/PRESET]",
)
@options.overwrite
@click.option("--resume", is_flag=True, help="Go on with the run at --output.")
def command(preset, output, overwrite, resume, **settings):
    """Train PRESET: a published name, or a run's folder to go on from.

    Leaves a run folder that every command takes: weights, log.csv, grids of
    samples after each epoch. Ctrl-C saves; --resume goes on.
    """
    if output is None:
        is_run = resume and Path(preset).is_dir()
        output = Path(preset) if is_run else Path("runs") / Path(preset).name
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    if not resume:
        options.check_free(output, overwrite)
    elif not output.is_dir():
        raise click.UsageError(
            f"--resume: there is no run at {str(output)!r}. Its folder is "
            "given with --output."
        )
    _train(preset, output, overwrite, resume, **settings)


def _train(
    preset,
    output,
    overwrite,
    resume,
    data,
    split,
    epochs,
    steps_per_epoch,
    batch_size,
    levels,
    seed,
    precision,
    flip,
    crop,
    resize,
    strict,
):
    import keras

    if precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")

    from keras_lapgan import LAPGAN
    from keras_lapgan import callbacks
    from keras_lapgan import datasets
    from keras_lapgan.callbacks.run_checkpoint import latest_checkpoint
    from keras_lapgan.presets.preset_folder import read_metadata
    from keras_lapgan.presets.registry import list_presets

    keras.utils.set_random_seed(seed % 2**32)
    done_epochs = done_steps = 0
    if resume:
        found = latest_checkpoint(output)
        if found is None:
            raise click.UsageError(
                f"{str(output)!r} has no checkpoint to resume. Start it "
                "again with --overwrite."
            )
        path, done_epochs, done_steps = found
        model = keras.saving.load_model(path)
        metadata = read_metadata(output)
    else:
        overrides = {"flip": flip, "crop": crop}
        overrides = {k: v for k, v in overrides.items() if v is not None}
        model = LAPGAN.from_preset(
            preset, load_weights=Path(preset).is_dir(), **overrides
        )
        published = list_presets().get(preset)
        if published is not None:
            data = data or published.data
            split = split or published.split
        metadata = {"preset": preset}
    data = data or metadata.get("data")
    split = split or metadata.get("split")
    if data is None:
        raise click.UsageError("--data: name the pictures to train on.")
    source = _read(data, split, model, resize, strict, datasets)
    metadata |= {
        "data": data,
        "split": split,
        "batch_size": batch_size,
        "seed": seed,
    }

    if not resume:
        config = model.get_compile_config()
        model.compile(**{**config, "seed": seed, "levels": levels})
    batches = datasets.ImageBatches(
        source,
        batch_size,
        steps=steps_per_epoch,
        seed=seed,
        with_labels=bool(model.num_classes),
    )
    steps = len(batches)
    if done_epochs >= epochs:
        raise click.UsageError(
            f"This run has done {done_epochs} epochs already; ask for more "
            f"with --epochs. Received: --epochs {epochs}"
        )
    if not model.normalization.is_adapted:
        click.echo("measuring mean and deviation of the pictures", err=True)
        model.adapt(batches)

    if overwrite:
        options.clear(output)
    output.mkdir(parents=True, exist_ok=True)
    command_line = shlex.join(["keras-lapgan", *sys.argv[1:]])
    with open(output / "command.txt", "a") as file:
        file.write(command_line + "\n")

    progress = callbacks.TrainingProgress(
        epochs * steps, steps, done=done_epochs * steps + done_steps
    )
    checkpoint = callbacks.RunCheckpoint(
        output, steps, metadata, skipped=done_steps
    )
    grid = callbacks.SampleGrid(output / "samples", seed=seed)
    try:
        if done_steps:
            # The rest of the epoch that was interrupted.
            batches.epoch, batches.skip = done_epochs, done_steps
            _fit(
                model,
                batches,
                done_epochs,
                done_epochs + 1,
                [checkpoint, grid, progress],
            )
            done_epochs += 1
        batches.epoch, batches.skip = done_epochs, 0
        if done_epochs < epochs:
            _fit(
                model,
                batches,
                done_epochs,
                epochs,
                [checkpoint, grid, progress],
            )
    except KeyboardInterrupt:
        progress.close()
        click.echo(
            f"\nInterrupted; the run is saved. Go on with: keras-lapgan "
            f"train {preset} --output {output} --resume",
            err=True,
        )
        sys.exit(130)
    except OSError as error:
        progress.close()
        raise click.ClickException(
            f"Could not save to {str(output)!r}: {error}. The checkpoint "
            "before this one is kept; make room, then go on with --resume."
        ) from error
    finally:
        progress.close()
    click.echo(f"{epochs} epochs: {output}")
    click.echo(f"Draw from it: keras-lapgan sample {output}")


def _fit(model, batches, initial_epoch, epochs, callbacks):
    model.fit(
        batches,
        initial_epoch=initial_epoch,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
    )


def _read(data, split, model, resize, strict, datasets):
    size = model.source_size or model.sizes[0][0]
    click.echo(f"reading {data}", err=True)
    source = datasets.load_images(
        data, split, size=size, resize=resize, strict=strict
    )
    classes = source.num_classes
    if model.num_classes and classes != model.num_classes:
        raise click.UsageError(
            f"This preset is class-conditional over {model.num_classes} "
            f"classes; {data!r} has "
            f"{classes if classes else 'no labels'}. Train an unconditional "
            "preset, or give data with these classes."
        )
    click.echo(
        f"{len(source):,} pictures of {size}x{size}"
        + (f", {classes} classes" if classes else ""),
        err=True,
    )
    return source
