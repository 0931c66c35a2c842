import difflib
import importlib
import os
import signal
import sys

import click

from keras_lapgan.version import __version__


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
    # As Ctrl-C does, it lets every command clean up.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    cli(prog_name="keras-lapgan")


if __name__ == "__main__":
    main()
