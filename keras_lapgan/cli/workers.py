"""What a process does that trains with others, beside training."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import traceback
from pathlib import Path

import click

from keras_lapgan.cli import run_folder
from keras_lapgan.cli.backend import silent


@contextlib.contextmanager
def scratch(output, resume, clean_ups):
    """A folder for a worker that does not write the run.

    Its steps are those of the chief, which take all workers, so it also does
    what the chief does after them, and saves: here, for nobody.
    """
    from keras_lapgan.callbacks import SaveError

    with tempfile.TemporaryDirectory() as folder:
        clean_ups.append(lambda: shutil.rmtree(folder, ignore_errors=True))
        home = Path(folder) / "run"
        if resume:
            home.mkdir()
        for name in run_folder.READ if resume else ():
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
def silenced():
    """Lets nothing be printed that the chief prints as well."""
    with (
        silent(1),
        silent(2),
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


@contextlib.contextmanager
def one_of_several(preset, output, clean_ups):
    """Ends a worker's process at once if it fails, and tells why.

    By itself it would wait for the others, which may wait for it.

    Args:
        preset: str. What is trained, as the user called it.
        output: path. The run's folder.
        clean_ups: list of functions, which may grow. They remove what is not
            to be left, where JAX aborts the process and no `finally` is
            reached.
    """
    from keras_lapgan.training import processes

    def left_alone(reason):
        kept = "Nothing was saved yet: start all of them again."
        if run_folder.is_resumable(output):
            kept = (
                "The last checkpoint is kept. Start all of them again with: "
                f"{run_folder.go_on(preset, output)}"
            )
        return (
            f"Error: a worker of this job ended before the others ({reason}). "
            f"{kept}"
        )

    def on_abort():
        with contextlib.suppress(OSError):
            text = left_alone("JAX does not reach it any more")
            os.write(console, f"{text}\n".encode())
        for clean_up in clean_ups:
            # The main thread may still write there.
            with contextlib.suppress(Exception):
                clean_up()
        os._exit(1)

    try:
        # Heard when standard error is silenced, too.
        console = os.dup(2)
    except OSError:
        console = -1
    code = 1
    with processes.on_abort(on_abort):
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
            if processes.is_of_others(error):
                reason = textwrap.shorten(str(error), 150)
                reason = f"{type(error).__name__}: {reason}"
                click.echo(left_alone(reason), err=True)
            elif isinstance(error, (OSError, ValueError)):
                click.echo(f"Error: {' '.join(str(error).split())}", err=True)
            else:
                traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
