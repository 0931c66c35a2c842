import contextlib
import json
import shlex
import signal
import sys
import textwrap

import click

from keras_lapgan.cli import options
from keras_lapgan.cli import run_folder
from keras_lapgan.cli import workers
from keras_lapgan.cli.backend import import_keras
from keras_lapgan.cli.backend import silent

#: Pictures that the callbacks hold samples against.
HELD_OUT = 64


class Run:
    """A run of `train`, from its model to its last save.

    Args:
        preset: str. What is trained, as the user called it.
        output: path. The run's folder.
        metadata: dict. What `metadata.json` is to say beside the settings.
        settings: dict. The options of `train` by name.
        resume: bool. Whether the folder holds a run to go on with.
        is_behind: bool. Whether what follows its checkpoint is still to do.
    """

    def __init__(self, preset, output, metadata, settings, resume, is_behind):
        self.preset = preset
        self.output = output
        self.metadata = metadata
        self.settings = settings
        self.resume = resume
        self.is_behind = is_behind
        #: Epochs done, and steps of the next, when it begins.
        self.done = (0, 0)
        #: What the last checkpoint notes.
        self.notes = {}
        #: What a worker does before it is aborted.
        self.clean_ups = []

    def start(self):
        """Trains on the devices that the settings ask for."""
        keras = import_keras(self.settings["seed"])
        if self.settings["precision"] == "bfloat16":
            keras.config.set_dtype_policy("mixed_bfloat16")

        from keras_lapgan.training import processes
        from keras_lapgan.training import strategy

        name = strategy.resolve(
            self.settings["strategy"], self.settings["batch_size"]
        )
        count, worker = strategy.workers_of(name)
        with contextlib.ExitStack() as stack:
            if count > 1:
                click.echo(
                    f"worker {worker} of {count} waits for the others, "
                    f"{processes.PATIENCE} seconds at most",
                    err=True,
                )
                stack.enter_context(
                    workers.one_of_several(
                        self.preset, self.output, self.clean_ups
                    )
                )
            with silent(1):
                # Gloo, of JAX, tells of itself.
                self.strategy = strategy.make(name)
            click.echo(self.strategy.describe(), err=True)
            stack.enter_context(self.strategy.scope())
            if worker:
                self.output = stack.enter_context(
                    workers.scratch(self.output, self.resume, self.clean_ups)
                )
                stack.enter_context(workers.silenced())
            # Once all have copied what they need, the run goes on.
            self.strategy.any_worker(False)
            self._prepare(keras)
            self._train()

    # === Before ===

    def _prepare(self, keras):
        """Makes the model, its data and callbacks, then the folder."""
        from keras_lapgan import datasets
        from keras_lapgan.presets.preset_folder import checked_about
        from keras_lapgan.presets.preset_folder import serialized

        settings = self.settings
        if self.resume:
            self.model, self.done, self.notes = _load_checkpoint(
                keras, self.output
            )
        else:
            self.model = _new_model(self.preset, settings)
        source = _read(self.model, settings, datasets)
        if not self.resume:
            _compile(self.model, len(source), settings)
        images = self.metadata.setdefault("images", len(source))
        if images != len(source):
            raise options.Mistake(
                f"--data: the run was begun with {images:,} pictures; "
                f"{settings['data']!r} has {len(source):,}. Start a new run "
                "from this one."
            )
        self.batches = datasets.ImageBatches(
            source,
            settings["batch_size"],
            steps=settings["steps_per_epoch"],
            seed=settings["seed"],
            with_labels=bool(self.model.num_classes),
        )
        if not self.model.normalization.is_adapted:
            click.echo("measuring mean and deviation of the pictures", err=True)
            # Of all pictures in a mixed order, however few are trained on; the
            # same whatever the seed, so that levels of several runs fit.
            self.model.adapt(
                datasets.ImageBatches(source, min(100, len(source)))
            )
        for name in ("data", "split", *run_folder.FIXED):
            self.metadata[name] = settings[name]
        self.metadata["planned_epochs"] = settings["epochs"]
        self._make_callbacks(source, datasets)
        # What cannot be saved is told before it has been trained.
        checked_about(self.metadata)
        serialized(self.model)
        self.strategy.check(self.model, self.batches)
        self._open_folder()

    def _make_callbacks(self, source, datasets):
        from keras_lapgan import callbacks

        # A level alone draws from real pictures.
        shown = None
        if not self.model.is_complete:
            shown = _spread(source, HELD_OUT, self.model)
        self.monitor, self.best, self.board = _watchers(
            self.model, source, self.settings, self.output, datasets, shown
        )
        for monitor in self.monitor:
            monitor.go_on(self.notes.get("monitor"))
        epochs, steps = self.settings["epochs"], len(self.batches)
        several = self.strategy
        self.checkpoint = callbacks.RunCheckpoint(
            self.output,
            steps,
            self.metadata,
            skipped=self.done[1],
            unless=lambda: any(x.condemned for x in self.monitor),
            save_steps=self.settings["save_steps"],
            agree=several.any_worker if several.num_workers > 1 else None,
            notes=self._notes,
        )
        self.progress = callbacks.TrainingProgress(
            epochs * steps, steps, done=self.done[0] * steps + self.done[1]
        )
        self.after = [
            callbacks.TrainingCurves(self.output),
            # The last: `run_folder.is_drawn`.
            callbacks.SampleGrid(
                self.output / "samples",
                seed=self.settings["seed"],
                images=shown,
            ),
        ]

    def _notes(self):
        return {"monitor": self.monitor[0].state()} if self.monitor else {}

    def _open_folder(self):
        from keras_lapgan.utils.files import write_file

        if not self.resume:
            if self.output.exists():
                run_folder.clear(self.output)
            self.clean_ups.append(
                lambda: run_folder.remove_if_unsaved(self.output)
            )
        self.output.mkdir(parents=True, exist_ok=True)
        with open(self.output / "command.txt", "a") as file:
            file.write(shlex.join(["keras-lapgan", *sys.argv[1:]]) + "\n")
        kept = {name: self.settings[name] for name in run_folder.KEPT}
        write_file(
            self.output / run_folder.OPTIONS,
            lambda path: path.write_text(json.dumps(kept) + "\n"),
        )

    # === Training ===

    def _train(self):
        """Trains, however it ends, and tells how it did."""
        from keras_lapgan import callbacks

        try:
            self._fit()
            saved = self._put_best_back()
        except KeyboardInterrupt:
            self.progress.close()
            self._tell_interrupted()
            if self.checkpoint.ended:
                self.strategy.leave()
            sys.exit(128 + (self.checkpoint.signal or signal.SIGINT))
        except callbacks.SaveError as error:
            kept = (
                " The last checkpoint is kept: make room, then go on with "
                "--resume."
                if run_folder.is_resumable(self.output)
                else ""
            )
            raise click.ClickException(f"{error}{kept}") from error
        except callbacks.DivergenceError as error:
            # What ends one worker so ends all.
            self.strategy.leave()
            raise click.ClickException(str(error)) from error
        finally:
            self.progress.close()
            self.checkpoint.close()
            if not self.resume:
                run_folder.remove_if_unsaved(self.output)
        self.strategy.leave()
        self._tell_end(saved)

    def _fit(self):
        epochs = self.settings["epochs"]
        done, steps = self.done
        if self.is_behind:
            self._catch_up()
        if steps and done < epochs:
            # The rest of the epoch that was interrupted.
            self._fit_epochs(done, done + 1, steps)
            done += 1
        if done < epochs and not self._stopped:
            self._fit_epochs(done, epochs, 0)

    def _fit_epochs(self, first, last, skip):
        self.batches.skip = skip
        self.model.fit(
            self.batches,
            initial_epoch=first,
            epochs=last,
            callbacks=[
                *self.monitor,
                *self.best,
                self.checkpoint,
                *self.board,
                *self.after,
                self.progress,
            ],
            verbose=0,
        )

    def _catch_up(self):
        """Does what was to follow the checkpoint."""
        self.checkpoint.remove_older(*self.done)
        self._save_preset(*self.done)
        epochs, steps = self.done
        for callback in [] if steps else self.after:
            callback.set_model(self.model)
            callback.on_epoch_end(epochs - 1)

    def _put_best_back(self):
        """Ends with the best levels, if asked for; `(epochs, steps)` or None.

        None: nothing was saved.
        """
        from keras_lapgan.utils.checkpoints import list_checkpoints

        found = next(iter(list_checkpoints(self.output)), None)
        if found is None:
            return None
        for keeper in self.best:
            keeper.set_model(self.model)
            keeper.put_back()
            self._save_preset(*found[1:])
        return found[1:]

    def _save_preset(self, epochs, steps):
        from keras_lapgan.callbacks.save_error import save_errors
        from keras_lapgan.presets.preset_folder import save_preset

        done = {"epochs": epochs, "steps": steps}
        with save_errors(self.output):
            save_preset(self.model, self.output, {**self.metadata, **done})

    @property
    def _stopped(self):
        """Why the monitor ended training, or None."""
        return self.monitor[0].stopped if self.monitor else None

    # === After ===

    def _tell_interrupted(self):
        go_on = run_folder.go_on(self.preset, self.output)
        if self.checkpoint.saved:
            message = f"the run is saved. Go on with: {go_on}"
        elif run_folder.is_resumable(self.output):
            message = f"the last checkpoint is kept. Go on with: {go_on}"
        else:
            message = "nothing was saved yet."
        click.echo(f"\nInterrupted; {message}", err=True)

    def _tell_end(self, saved):
        """Says what the run has come to, `(epochs, steps)` that are saved."""
        if not saved:
            raise click.ClickException(
                f"Training was stopped at {self._stopped}. Nothing was saved "
                "before."
            )
        best = self.best[0].best if self.best else {}
        for k, (value, epoch) in sorted(best.items()):
            click.echo(
                f"level {k} is of epoch {epoch}: nearest draw {value:.4g}"
            )
        epochs, steps = saved
        if self._stopped:
            steps_too = f" and {steps} steps" * bool(steps)
            raise click.ClickException(
                f"Training was stopped at {self._stopped}. The weights of "
                f"{epochs} of {self.settings['epochs']} epochs{steps_too} are "
                f"kept: {self.output}"
            )
        click.echo(f"{epochs} epochs: {self.output}")
        if self.model.is_complete:
            click.echo(f"Draw from it: {options.sample_command(self.output)}")
        else:
            runs = shlex.join(["keras-lapgan", "assemble", str(self.output)])
            click.echo(
                f"Join it with the other levels: {runs} ... --output ..."
            )


# === Its parts ===


def _load_checkpoint(keras, output):
    """A run's model at its last save, `(epochs, steps)` done, and its notes."""
    # Keras finds the classes only once they are registered.
    import keras_lapgan.models  # noqa: F401
    from keras_lapgan.presets.preset_folder import read_metadata
    from keras_lapgan.presets.preset_folder import read_notice
    from keras_lapgan.utils.checkpoints import latest_checkpoint
    from keras_lapgan.utils.checkpoints import list_checkpoints
    from keras_lapgan.utils.checkpoints import read_notes

    path, *done = latest_checkpoint(output)
    newest = list_checkpoints(output)[0][0]
    if newest != path:
        click.echo(
            f"Warning: {str(newest)!r} is damaged; going on from the one "
            f"before, {path.name}.",
            err=True,
        )
    try:
        model = keras.saving.load_model(path)
    except (KeyError, OSError, TypeError, ValueError) as error:
        # Keras' messages can hold a whole config.
        reason = textwrap.shorten(str(error).rstrip(". "), 200)
        raise click.ClickException(
            f"--resume: {str(path)!r} cannot be read: {reason}. Start a new "
            f"run from {str(output)!r}, with another --output."
        ) from error
    model.terms = (read_metadata(output).get("license"), read_notice(output))
    return model, done, read_notes(path)


def _new_model(preset, settings):
    from keras_lapgan import LAPGAN
    from keras_lapgan.presets.registry import is_published
    from keras_lapgan.presets.sources import find_preset
    from keras_lapgan.presets.weights_layout import present_levels

    overrides = {
        name: settings[name]
        for name in ("flip", "crop")
        if settings[name] is not None
    }

    # A published name is a recipe, trained from the start.
    trained = not is_published(preset)

    def build(levels):
        return LAPGAN.from_preset(
            preset, load_weights=trained, levels=levels, **overrides
        )

    levels, chained = settings["levels"], settings["chained"]
    config = find_preset(preset, with_weights=trained).config(trained)
    if chained is None:
        chained = (config.get("compile_config") or {}).get("chained")
    if not levels or not chained:
        return build(levels)
    if not trained:
        raise options.Mistake(
            "--chained with --levels draws on coarser levels as they are, and "
            "a published name starts from fresh ones. Give the folder of a "
            f"trained preset, or --chained 0. Received: {preset}"
        )
    there = present_levels(config)
    return build([k for k in there if k >= levels[0]])


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
            _scale_rate(one["config"], settings["learning_rate_scale"])
    config |= {name: settings[name] for name in ("seed", "levels")}
    if settings["chained"] is not None:
        config["chained"] = settings["chained"]
    model.compile(**config)
    model.check_chain()


def _scale_rate(optimizer, scale):
    if scale is None:
        return
    rate = optimizer.get("learning_rate")
    if not isinstance(rate, (int, float)):
        raise options.Mistake(
            "--learning-rate-scale: the recipe has a schedule of its own. "
            f"Received: {scale}"
        )
    optimizer["learning_rate"] = rate * scale


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
