"""Options that mean the same in every command."""

import shutil
from pathlib import Path

import click

overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace what is at --output."
)


def seed(default):
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=default,
        show_default=True if default is not None else "a fresh one",
        help="Same seed, same pictures.",
    )


def check_free(path, overwrite):
    """Refuses an output that exists, unless it may be replaced."""
    path = Path(path)
    if path.exists() and not overwrite:
        raise click.UsageError(
            f"{str(path)!r} exists. Choose another --output, or replace it "
            "with --overwrite."
        )


def clear(path):
    """Removes a file or a folder that is to be replaced."""
    path = Path(path)
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def parse_labels(text, model):
    """Turns `"cat,dog,3"` into class numbers.

    Args:
        text: str. Names or numbers of classes, with commas.
        model: `LAPGAN`.

    Returns:
        A list of int.
    """
    import difflib

    if not model.num_classes:
        raise click.UsageError("--labels: this model is not class-conditional.")
    names = model.class_names or []
    labels = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word in names:
            labels.append(names.index(word))
        elif word.isdigit() and int(word) < model.num_classes:
            labels.append(int(word))
        else:
            nearest = difflib.get_close_matches(word, names, n=3, cutoff=0.4)
            hint = f"Did you mean {', '.join(nearest)}? " if nearest else ""
            known = f"Classes: {', '.join(names)}; or" if names else "Use"
            raise click.UsageError(
                f"--labels: there is no class {word!r}. {hint}{known} "
                f"numbers 0 to {model.num_classes - 1}."
            )
    if not labels:
        raise click.UsageError("--labels: no class is named.")
    return labels
