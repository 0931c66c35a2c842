import importlib
import os
import sys

import click

from keras_lapgan.version import __version__


class _LazyGroup(click.Group):
    """Imports a command's file only when the command is asked for."""

    names = ("presets", "sample", "train")

    def list_commands(self, ctx):
        return list(self.names)

    def get_command(self, ctx, name):
        if name not in self.names:
            return None
        module = importlib.import_module(f"keras_lapgan.cli.{name}")
        return module.command


@click.group(cls=_LazyGroup, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="keras-lapgan")
def cli():
    """Laplacian-pyramid GANs: train them, look at what they draw."""


def main():
    """Runs the command line; a user's mistake ends in one clear line."""
    # Before anything imports TensorFlow or Keras.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    choose_backend()
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ValueError, OSError) as error:
        if os.environ.get("KERAS_LAPGAN_DEBUG"):
            raise
        click.ClickException(str(error)).show()
        sys.exit(1)


def choose_backend():
    """Without `KERAS_BACKEND`, takes TensorFlow or else what there is."""
    if os.environ.get("KERAS_BACKEND"):
        return
    from importlib.util import find_spec

    for backend in ("tensorflow", "jax", "torch"):
        if find_spec(backend):
            os.environ["KERAS_BACKEND"] = backend
            return


if __name__ == "__main__":
    main()
