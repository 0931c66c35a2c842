import difflib
import importlib
import os
import signal
import sys

import click

from keras_lapgan.version import __version__

#: Seconds after which a signal to end that had no effect is tried again.
_PATIENCE = 2.0


class _Group(click.Group):
    """Imports a command's file only when the command is asked for.

    A user's mistake, which the package raises as a ValueError or an OSError,
    ends in one line; `KERAS_LAPGAN_DEBUG=1` shows where it came from.
    """

    names = (
        "assemble",
        "evaluate",
        "export",
        "info",
        "presets",
        "push",
        "sample",
        "train",
    )

    def list_commands(self, ctx):
        return list(self.names)

    def get_command(self, ctx, name):
        if name not in self.names:
            return None
        module = importlib.import_module(f"keras_lapgan.cli.{name}")
        return module.command

    def resolve_command(self, ctx, args):
        name = args[0]
        if name in self.names or name.startswith("-"):
            return super().resolve_command(ctx, args)
        nearest = difflib.get_close_matches(name, self.names, n=1)
        hint = f"Did you mean {nearest[0]}? " if nearest else ""
        raise click.UsageError(
            f"There is no command {name!r}. {hint}Commands: "
            f"{', '.join(self.names)}.",
            ctx,
        )

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Who reads the output has had enough; click ends quietly.
            raise
        except (ValueError, OSError) as error:
            if os.environ.get("KERAS_LAPGAN_DEBUG"):
                raise
            raise click.ClickException(_one_line(error)) from error
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nInterrupted.", err=True)
            ctx.exit(130)


def _one_line(error):
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f"{str(error.filename)!r}: "
        return f"{name}{error.strerror}."
    return " ".join(str(error).split()) or type(error).__name__


@click.group(cls=_Group, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="keras-lapgan")
def cli():
    """Laplacian-pyramid GANs: train them, look at what they draw."""


def main():
    """Runs the command line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        cli(prog_name="keras-lapgan")
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


def _end(number, frame):
    """Ends the program on Ctrl-C and SIGTERM: every command cleans up."""
    if hasattr(signal, "setitimer"):
        # What is being imported or collected may have swallowed it by then.
        signal.signal(signal.SIGALRM, lambda *args: _end(number, frame))
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(143)


if __name__ == "__main__":
    main()
