"""Options that mean the same in every command."""

import contextlib
import difflib
import os
import shlex
import shutil

import click

overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace what is at --output."
)


class Mistake(click.ClickException):
    """What the user asked for cannot be done; one line says why."""

    exit_code = 2


def seed(default, help):
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**64 - 1),
        default=default,
        show_default=True if default is not None else "a fresh one",
        help=help,
    )


def check_output(path, overwrite, is_ours):
    """Refuses an output that cannot be written or may not be replaced.

    Args:
        path: `pathlib.Path`.
        overwrite: bool. Whether the user lets it be replaced.
        is_ours: function of the path to a bool: whether what is there looks
            like an earlier output of the command. Nothing else is replaced.
    """
    if path.exists():
        if not overwrite:
            raise Mistake(
                f"{str(path)!r} exists. Choose another --output, or replace "
                "it with --overwrite."
            )
        if not is_ours(path):
            raise Mistake(
                f"{str(path)!r} is not what this command writes, so "
                "--overwrite leaves it alone. Choose another --output."
            )
    home = path.absolute().parent
    while not home.exists():
        home = home.parent
    if not home.is_dir():
        raise Mistake(
            f"--output: {str(home)!r} is a file, not a folder. "
            f"Received: {str(path)!r}"
        )
    if not os.access(home, os.W_OK | os.X_OK):
        raise Mistake(
            f"--output: the folder {str(home)!r} is not writable. "
            f"Received: {str(path)!r}"
        )


@contextlib.contextmanager
def new_output(path):
    """Gives a path to write to, which becomes `path` once all is written.

    Args:
        path: `pathlib.Path` of a file or folder. What is there is replaced.
    """
    temporary = path.with_name(f".tmp_{path.name}")
    remove(temporary)
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except OSError as error:
        raise click.ClickException(
            f"Could not write {str(path)!r}: {error.strerror or error}."
        ) from error
    finally:
        remove(temporary)


def sample_command(folder):
    """The command that draws from a preset's folder."""
    from keras_lapgan.presets.registry import is_published

    # A published name would be another model.
    shown = f"./{folder}" if is_published(str(folder)) else str(folder)
    return shlex.join(["keras-lapgan", "sample", shown])


def remove(path):
    """Removes a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def parse_labels(text, model):
    """Turns `"cat,dog,3"` into class numbers.

    Args:
        text: str. Names or numbers of classes, with commas.
        model: `LAPGAN`.

    Returns:
        A list of int.
    """
    if not model.num_classes:
        raise Mistake(
            "--labels: this model is not class-conditional; leave the option "
            f"out. Received: {text!r}"
        )
    names = [_simple(name) for name in model.class_names or []]
    labels = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if _simple(word) in names:
            labels.append(names.index(_simple(word)))
        elif word.isdecimal() and int(word) < model.num_classes:
            labels.append(int(word))
        else:
            nearest = difflib.get_close_matches(
                _simple(word), names, n=3, cutoff=0.4
            )
            hint = f"Did you mean {', '.join(nearest)}? " if nearest else ""
            known = f"Classes: {', '.join(names)}; or" if names else "Use"
            raise Mistake(
                f"--labels: there is no class {word!r}. {hint}{known} "
                f"numbers 0 to {model.num_classes - 1}."
            )
    if not labels:
        raise Mistake(f"--labels: no class is named. Received: {text!r}")
    return labels


def _simple(name):
    return name.casefold().replace(" ", "_")
