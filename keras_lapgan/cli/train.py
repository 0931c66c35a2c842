import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import textwrap
import traceback
from pathlib import Path

import click
from click.core import ParameterSource

from keras_lapgan.cli import options

#: Settings that decide what a step of a run is; a resumed run keeps them.
FIXED = (
    "batch_size",
    "steps_per_epoch",
    "levels",
    "seed",
    "precision",
    "flip",
    "crop",
    "resize",
)
#: What a run folder may hold, so what `--overwrite` removes; a card only if
#: it is as it was generated.
FILES = (
    "NOTICE",
    "README.md",
    "best_levels",
    "checkpoint",
    "config.json",
    "curves.png",
    "log.csv",
    "metadata.json",
    "model.weights.h5",
    "options.json",
    "samples",
    "tensorboard",
    # The last: by it a folder is known as a run's, however it was left.
    "command.txt",
)
#: Options that a run may go on without, or with, and how it remembers them.
KEPT = ("monitor", "best_levels", "tensorboard", "save_steps", "strategy")
OPTIONS = "options.json"
#: What a worker that does not write the run needs of it to go on.
READ = ("NOTICE", "best_levels", "checkpoint", "log.csv", "metadata.json")
#: Pictures that the callbacks hold samples against.
HELD_OUT = 64


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
    "on TensorFlow, data-parallel on JAX); those of all workers of TF_CONFIG "
    "or Slurm.",
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
        options.check_output(output, overwrite, _is_run)
        metadata = {"preset": preset}
        behind = False
        settings |= _home_settings(source, settings)
    if settings["data"] is None:
        raise options.Mistake("--data: name the pictures to train on.")
    _train(preset, output, resume, behind, metadata, settings)


# === Settings ===


def _name(preset):
    """What the run of a preset is called if nobody says."""
    from keras_lapgan.hub.hub_uri import HubUri

    if HubUri.is_one(preset):
        preset = HubUri.parse(preset).repo
    return Path(preset).name


def _is_run(path):
    from keras_lapgan.presets.preset_folder import is_preset_folder

    if not path.is_dir():
        return False
    names = {entry.name for entry in path.iterdir()}
    return not names or "command.txt" in names or is_preset_folder(path)


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
    if not _is_resumable(output):
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
        "behind": not is_saved or not (steps or _is_drawn(output, epochs)),
    }


def _is_drawn(output, epochs):
    """Whether a run has its samples after so many epochs."""
    from keras_lapgan.presets.preset_folder import read_config

    config = read_config(output)["config"]
    # The coarsest level's come last.
    k = max(config.get("present", range(len(config["levels"]))))
    return (output / "samples" / f"epoch_{epochs:04d}_stage_{k}.png").is_file()


def _read_options(output):
    try:
        found = json.loads((output / OPTIONS).read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    kept, context = {}, click.get_current_context()
    for option in context.command.params:
        name = option.name
        try:
            if name in KEPT and name in found:
                kept[name] = option.type_cast_value(context, found[name])
        except (TypeError, click.BadParameter) as error:
            raise options.Mistake(
                f"--resume: {str(output / OPTIONS)!r} is damaged. Remove it, "
                "and give the options of the run again that are not default."
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
        elif name in FIXED and value != metadata[key]:
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


# === Training ===


def _train(preset, output, resume, behind, metadata, settings):
    from keras_lapgan.cli.backend import import_keras

    keras = import_keras(settings["seed"])
    if settings["precision"] == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")

    from keras_lapgan.training import strategy

    name = strategy.resolve(settings["strategy"], settings["batch_size"])
    workers, worker = strategy.workers_of(name)
    with contextlib.ExitStack() as stack:
        home = output
        if workers > 1:
            click.echo(
                f"worker {worker} of {workers} waits for the others, "
                f"{strategy.PATIENCE} seconds at most",
                err=True,
            )
            stack.enter_context(_one_of_several(preset, output))
        if worker:
            # Copied before the others are met: then the run goes on.
            home = stack.enter_context(_scratch(output, resume))
        chosen = strategy.make(name)
        click.echo(chosen.describe(), err=True)
        if not chosen.is_chief:
            stack.enter_context(_unheard())
        stack.enter_context(chosen.scope())
        _fit(keras, chosen, preset, home, resume, behind, metadata, settings)


@contextlib.contextmanager
def _scratch(output, resume):
    """A folder for a worker that does not write the run.

    Its steps are those of the chief, which take all workers, so it also does
    what the chief does after them, and saves: here, for nobody.
    """
    from keras_lapgan.callbacks import SaveError

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "run"
        if resume:
            home.mkdir()
        for name in READ if resume else ():
            if (output / name).is_dir():
                shutil.copytree(output / name, home / name)
            elif (output / name).exists():
                shutil.copy(output / name, home / name)
        try:
            yield home
        except click.ClickException as error:
            # What could not be written is here; what was is the chief's.
            if not isinstance(error.__cause__, SaveError):
                error.message = error.message.replace(str(home), str(output))
            raise


@contextlib.contextmanager
def _unheard():
    """Lets nothing be printed that the chief prints as well."""
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


@contextlib.contextmanager
def _one_of_several(preset, output):
    """Ends a worker's process at once if it fails, and tells why.

    By itself it would wait for the others, which may wait for it.
    """
    from keras_lapgan.training import strategy

    code = 1
    try:
        yield
        return
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except SystemExit as error:
        code = error.code or 0
    except KeyboardInterrupt:
        click.echo("\nInterrupted.", err=True)
        code = 128 + signal.SIGINT
    except Exception as error:
        if strategy.is_of_workers(error):
            kept = "Nothing was saved yet: start all of them again."
            if _is_resumable(output):
                kept = (
                    "The last checkpoint is kept. Start all of them again "
                    f"with: {_go_on(preset, output)}"
                )
            reason = textwrap.shorten(str(error), 150)
            click.echo(
                "Error: a worker of this job ended before the others "
                f"({type(error).__name__}: {reason}). {kept}",
                err=True,
            )
        elif isinstance(error, (OSError, ValueError)):
            click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        else:
            traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _go_on(preset, output):
    """The command that resumes a run."""
    return shlex.join(
        ["keras-lapgan", "train", preset]
        + ["--output", str(output), "--resume"]
    )


def _fit(keras, chosen, preset, output, resume, behind, metadata, settings):
    from keras_lapgan import callbacks
    from keras_lapgan import datasets
    from keras_lapgan.callbacks.save_error import save_errors
    from keras_lapgan.presets.preset_folder import checked_about
    from keras_lapgan.presets.preset_folder import read_metadata
    from keras_lapgan.presets.preset_folder import read_notice
    from keras_lapgan.presets.preset_folder import save_preset
    from keras_lapgan.presets.preset_folder import serialized
    from keras_lapgan.utils.checkpoints import list_checkpoints
    from keras_lapgan.utils.files import write_file

    seed = settings["seed"]
    done_epochs = done_steps = 0
    if resume:
        model, done_epochs, done_steps = _load_checkpoint(keras, output)
        license = read_metadata(output).get("license")
        model.terms = (license, read_notice(output))
    else:
        model = _new_model(preset, settings)
    source = _read(model, settings, datasets)
    if not resume:
        _compile(model, len(source), settings)
    if metadata.setdefault("images", len(source)) != len(source):
        raise options.Mistake(
            f"--data: the run was begun with {metadata['images']:,} pictures; "
            f"{settings['data']!r} has {len(source):,}. Start a new run from "
            "this one."
        )
    batches = datasets.ImageBatches(
        source,
        settings["batch_size"],
        steps=settings["steps_per_epoch"],
        seed=seed,
        with_labels=bool(model.num_classes),
    )
    if not model.normalization.is_adapted:
        click.echo("measuring mean and deviation of the pictures", err=True)
        # Of all pictures in a mixed order, however few are trained on; the
        # same whatever the seed, so that levels of several runs fit.
        model.adapt(datasets.ImageBatches(source, min(100, len(source))))

    # A level alone draws from real pictures.
    shown = None
    if not model.is_complete:
        shown = _spread(source, HELD_OUT, model)
    monitor, best, board = _watchers(
        model, source, settings, output, datasets, shown
    )
    metadata |= {name: settings[name] for name in ("data", "split", *FIXED)}
    metadata["planned_epochs"] = settings["epochs"]
    # What cannot be saved is told before it has been trained.
    checked_about(metadata)
    serialized(model)
    chosen.check(model, batches)
    if not resume and output.exists():
        _clear(output)
    output.mkdir(parents=True, exist_ok=True)
    with open(output / "command.txt", "a") as file:
        file.write(shlex.join(["keras-lapgan", *sys.argv[1:]]) + "\n")
    kept = json.dumps({name: settings[name] for name in KEPT}) + "\n"
    write_file(output / OPTIONS, lambda path: path.write_text(kept))

    epochs, steps = settings["epochs"], len(batches)
    checkpoint = callbacks.RunCheckpoint(
        output,
        steps,
        metadata,
        skipped=done_steps,
        unless=lambda: any(x.condemned for x in monitor),
        save_steps=settings["save_steps"],
        agree=chosen.any_worker if chosen.num_workers > 1 else None,
    )
    progress = callbacks.TrainingProgress(
        epochs * steps, steps, done=done_epochs * steps + done_steps
    )
    after = [
        callbacks.TrainingCurves(output),
        # The last: `_is_drawn`.
        callbacks.SampleGrid(output / "samples", seed=seed, images=shown),
    ]

    def fit(first, last, skip):
        batches.skip = skip
        model.fit(
            batches,
            initial_epoch=first,
            epochs=last,
            callbacks=[
                *monitor,
                *best,
                checkpoint,
                *board,
                *after,
                progress,
            ],
            verbose=0,
        )

    def catch_up():
        """Does what was to follow the checkpoint."""
        done = {"epochs": done_epochs, "steps": done_steps}
        with save_errors(output):
            save_preset(model, output, {**metadata, **done})
        for callback in [] if done_steps else after:
            callback.set_model(model)
            callback.on_epoch_end(done_epochs - 1)

    try:
        if behind:
            catch_up()
        if done_steps and done_epochs < epochs:
            # The rest of the epoch that was interrupted.
            fit(done_epochs, done_epochs + 1, done_steps)
            done_epochs += 1
        if done_epochs < epochs and not any(x.stopped for x in monitor):
            fit(done_epochs, epochs, 0)
        found = next(iter(list_checkpoints(output)), None)
        for keeper in best if found else []:
            keeper.set_model(model)
            keeper.put_back()
            done = dict(zip(("epochs", "steps"), found[1:], strict=True))
            with save_errors(output):
                save_preset(model, output, {**metadata, **done})
    except KeyboardInterrupt:
        progress.close()
        go_on = _go_on(preset, output)
        if checkpoint.saved:
            message = f"the run is saved. Go on with: {go_on}"
        elif _is_resumable(output):
            message = f"the last checkpoint is kept. Go on with: {go_on}"
        else:
            message = "nothing was saved yet."
        click.echo(f"\nInterrupted; {message}", err=True)
        sys.exit(128 + (checkpoint.signal or signal.SIGINT))
    except callbacks.SaveError as error:
        kept = (
            " The last checkpoint is kept: make room, then go on with --resume."
            if _is_resumable(output)
            else ""
        )
        raise click.ClickException(f"{error}{kept}") from error
    except callbacks.DivergenceError as error:
        raise click.ClickException(str(error)) from error
    finally:
        progress.close()
        checkpoint.close()
        if not resume:
            _remove_if_unsaved(output)
    if not found:
        raise click.ClickException(
            f"Training was stopped at {monitor[0].stopped}. Nothing was saved "
            "before."
        )
    for k, (value, epoch) in sorted((best[0].best if best else {}).items()):
        click.echo(f"level {k} is of epoch {epoch}: nearest draw {value:.4g}")
    _, done_epochs, done_steps = found
    steps_too = f" and {done_steps} steps" * bool(done_steps)
    if any(x.stopped for x in monitor):
        raise click.ClickException(
            f"Training was stopped at {monitor[0].stopped}. The weights of "
            f"{done_epochs} of {epochs} epochs{steps_too} are kept: {output}"
        )
    click.echo(f"{done_epochs} epochs: {output}")
    if model.is_complete:
        click.echo(f"Draw from it: {options.sample_command(output)}")
    else:
        runs = shlex.join(["keras-lapgan", "assemble", str(output)])
        click.echo(f"Join it with the other levels: {runs} ... --output ...")


def _load_checkpoint(keras, output):
    """`(model, epochs done, steps done of the next)` of the run's last save."""
    # Keras finds the classes only once they are registered.
    import keras_lapgan.models  # noqa: F401
    from keras_lapgan.utils.checkpoints import latest_checkpoint
    from keras_lapgan.utils.checkpoints import list_checkpoints

    path, epochs, steps = latest_checkpoint(output)
    newest = list_checkpoints(output)[0][0]
    if newest != path:
        click.echo(
            f"Warning: {str(newest)!r} is damaged; going on from the one "
            f"before, {path.name}.",
            err=True,
        )
    try:
        return keras.saving.load_model(path), epochs, steps
    except (KeyError, OSError, TypeError, ValueError) as error:
        # Keras' messages can hold a whole config.
        reason = textwrap.shorten(str(error).rstrip(". "), 200)
        raise click.ClickException(
            f"--resume: {str(path)!r} cannot be read: {reason}. Start a new "
            f"run from {str(output)!r}, with another --output."
        ) from error


def _new_model(preset, settings):
    from keras_lapgan import LAPGAN
    from keras_lapgan.presets.registry import is_published

    overrides = {
        name: settings[name]
        for name in ("flip", "crop")
        if settings[name] is not None
    }
    # A published name is a recipe, trained from the start.
    return LAPGAN.from_preset(
        preset,
        load_weights=not is_published(preset),
        levels=settings["levels"],
        **overrides,
    )


def _compile(model, images, settings):
    """Compiles with the run's settings.

    The decay and ramp of `DampedSGD` count passes over the data at hand.
    """
    config = model.get_compile_config()
    steps_per_epoch = max(1, images // settings["batch_size"])
    for name in ("d_optimizer", "g_optimizer"):
        found = config[name]
        for one in found if isinstance(found, list) else [found]:
            if one["class_name"] == "DampedSGD":
                one["config"]["steps_per_epoch"] = steps_per_epoch
    config |= {name: settings[name] for name in ("seed", "levels")}
    model.compile(**config)


def _read(model, settings, datasets):
    data = settings["data"]
    size = model.source_size or model.sizes[0][0]
    click.echo(f"reading {data}", err=True)
    source = datasets.load_images(
        data,
        settings["split"],
        size=size,
        resize=settings["resize"],
        strict=settings["strict"],
    )
    classes = source.num_classes
    if model.num_classes and classes != model.num_classes:
        raise options.Mistake(
            f"--data: this preset is class-conditional over "
            f"{model.num_classes} classes; {data!r} has "
            f"{classes if classes else 'no labels'}. Train an unconditional "
            "preset, or give data with these classes."
        )
    if model.num_classes and source.class_names:
        # The user's own classes, in the data's order.
        model.class_names = list(source.class_names)
    click.echo(
        f"{len(source):,} pictures of {size}x{size}"
        + (f", {classes} classes" if classes else ""),
        err=True,
    )
    return source


def _watchers(model, source, settings, output, datasets, shown):
    """`LevelMonitor`, `BestLevel` and `TensorBoard`, a list each.

    A list is empty where the callback was not asked for.
    """
    from keras_lapgan import callbacks

    monitor, best, board = [], [], []
    if settings["monitor"] != "off" or settings["best_levels"]:
        images, labels = _held_out(model, source, settings, datasets)
        count = min(HELD_OUT, len(images))
        # Of one picture there is no diversity.
        if settings["monitor"] != "off" and count > 1:
            monitor.append(
                callbacks.LevelMonitor(
                    images, labels, count, action=settings["monitor"]
                )
            )
        if settings["best_levels"]:
            best.append(
                callbacks.BestLevel(
                    images,
                    labels,
                    count=count,
                    folder=output / "best_levels",
                    # There may be two `fit`.
                    restore=False,
                    last=settings["epochs"],
                )
            )
    if settings["tensorboard"]:
        try:
            board.append(
                callbacks.TensorBoard(
                    output / "tensorboard",
                    seed=settings["seed"],
                    images=shown,
                )
            )
        except ImportError as error:
            raise click.ClickException(f"--tensorboard: {error}") from error
    return monitor, best, board


def _held_out(model, source, settings, datasets):
    """Some pictures of another split, or else of those trained on."""
    from keras_lapgan.datasets.held_out import load_held_out

    found, _ = load_held_out(
        settings["data"],
        settings["split"],
        ("validation", "val", "test"),
        4 * HELD_OUT,
        size=source.image_shape[0],
        resize=settings["resize"],
        labels=bool(model.num_classes),
    )
    if found and found.num_classes == model.num_classes:
        source = found
    else:
        click.echo(
            f"{settings['data']} has no other split for validation or test: "
            "training pictures stand in for held-out ones",
            err=True,
        )
    return _spread(source, 4 * HELD_OUT, model)


def _spread(source, most, model):
    """Pictures, and their labels or None, from all over a source."""
    # Many data sets are sorted by class.
    count = min(most, len(source))
    chosen = [i * len(source) // count for i in range(count)]
    labels = source.labels[chosen] if model.num_classes else None
    return source.read(chosen), labels


def _remove_if_unsaved(output):
    """Leaves no folder behind that holds no run."""
    if not _is_resumable(output):
        _clear(output)
        with contextlib.suppress(OSError):
            output.rmdir()


def _is_resumable(output):
    """Whether a run has been saved: its state, and its settings beside it."""
    from keras_lapgan.presets.preset_folder import METADATA
    from keras_lapgan.utils.checkpoints import list_checkpoints

    return (output / METADATA).is_file() and bool(list_checkpoints(output))


def _clear(output):
    """Removes a run's files."""
    from keras_lapgan.presets.card import CARD
    from keras_lapgan.presets.card import is_generated

    for name in FILES:
        if name != CARD or is_generated(output / name):
            options.remove(output / name)
