import contextlib
import json
from pathlib import Path

import click

from keras_lapgan.cli import options
from keras_lapgan.cli.progress import StepProgress
from keras_lapgan.cli.tables import new_table
from keras_lapgan.cli.tables import print_table

#: How train and other programs call the same crops.
_CROPS = {
    "corners": "corners",
    "corner": "corners",
    "random": "random",
    "center": "center",
    "centre": "center",
    "none": "none",
}
#: Below this, distances are mostly noise.
_LEAST_COUNT = 500


class _Crop(click.ParamType):
    name = "corners|center|random|none"

    def convert(self, value, param, ctx):
        if value not in _CROPS:
            self.fail(f"{value!r} is not one of {', '.join(_CROPS)}.")
        return _CROPS[value]


@click.command("evaluate")
@click.argument("what", metavar="MODEL|SAMPLES")
@click.option(
    "--data",
    help="Real pictures, as in train.  [default: what the model was made for]",
)
@click.option(
    "--split", help="What samples are compared with.  [default: train]"
)
@click.option(
    "--heldout",
    metavar="SPLIT",
    help="Other real pictures, for the floor.  [default: test, if there is "
    "one; else others of --split]",
)
@click.option(
    "--count",
    type=click.IntRange(10),
    help="Pictures for each measure.  [default: 6000 for pixels, 3000 for "
    "features, 1000 for levels and copies]",
)
@options.seed(0, "Of the samples drawn, or chosen.")
@click.option(
    "--crop",
    type=_Crop(),
    metavar="[corners|center|random|none]",
    help="How the samples' size is cut from larger real pictures; none scales "
    "them.  [default: the model's; corners for samples]",
)
@click.option(
    "--stretch/--no-stretch",
    default=None,
    help="Bring each picture's values to 0..255.  [default: if the samples "
    "seem to be]",
)
@click.option(
    "--extractor",
    type=click.Choice(["auto", "inception", "lite0", "none"]),
    default="auto",
    show_default=True,
    help="Whose features are compared; auto is what is on this machine.",
)
@click.option(
    "--diagnose/--no-diagnose",
    default=True,
    show_default=True,
    help="Of a model, measure each level too.",
)
@click.option("--revision", help="A branch, tag or commit on the Hub.")
@click.option(
    "--no-cache", is_flag=True, help="Keep nothing of the real pictures."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="evaluation.json",
    show_default=True,
    help="A JSON file; its picture goes beside it as .png.",
)
@options.overwrite
def command(
    what,
    data,
    split,
    heldout,
    count,
    seed,
    crop,
    stretch,
    extractor,
    diagnose,
    revision,
    no_cache,
    output,
    overwrite,
):
    """Measure what MODEL draws, or SAMPLES, against real pictures.

    MODEL is a published name, a folder of a run or a preset, or
    hf://user/name. SAMPLES is an .npz or .npy file or a folder of pictures,
    whoever made them. Every figure stands beside its floor: what other real
    pictures get.
    """
    if output.suffix.lower() != ".json":
        raise options.Mistake(
            f"--output must end in .json. Received: {str(output)!r}"
        )
    figure = output.with_suffix(".png")
    options.check_output(output, overwrite, _is_ours)
    # The picture goes with its report.
    options.check_output(figure, overwrite, lambda path: output.is_file())
    if not output.parent.is_dir():
        raise options.Mistake(
            f"--output: there is no folder {str(output.parent)!r}. "
            f"Received: {str(output)!r}"
        )
    path = _samples_path(what)
    source = None
    if path is not None and revision is not None:
        raise options.Mistake(
            "--revision is of models on the Hub; samples have none. "
            f"Received: {revision!r}"
        )
    if path is None:
        source = _trained(what, revision)
        data, split = _home(source, data, split)
    if data is None:
        raise options.Mistake(
            "--data: name the real pictures to compare with, a data set or a "
            "folder."
        )

    from keras_lapgan.cli.backend import import_keras

    import_keras()
    from keras_lapgan import LAPGAN
    from keras_lapgan.evaluation import RealPictures
    from keras_lapgan.evaluation import ResultCache
    from keras_lapgan.evaluation import choose_extractor
    from keras_lapgan.evaluation import draw_evaluation
    from keras_lapgan.evaluation import evaluate_model
    from keras_lapgan.utils.image_grid import save_png

    progress = StepProgress()
    with contextlib.closing(progress):
        network = choose_extractor(extractor)
        if network is None and extractor == "auto":
            click.echo(
                "Without features (FD, KD, IS, precision, recall): "
                '`pip install "keras-lapgan[evaluate]"` brings them.',
                err=True,
            )
        asked = {
            "count": count,
            "extractor": network,
            "cache": ResultCache(False if no_cache else None),
            "progress": progress,
        }
        opened = {"data": data, "split": split, "heldout": heldout}
        if path is None:
            progress("loading the model")
            model = LAPGAN.from_preset(what, revision=revision)
            model.check_present()
            progress(f"reading {data}")
            real = RealPictures.for_model(
                model, **opened, crop=crop, stretch=bool(stretch)
            )
            found = evaluate_model(
                model, real, seed=seed, levels=diagnose, **asked
            )
            metadata = source.metadata()
            found.report["protocol"] |= {
                name: metadata[name]
                for name in ("weights_sha256", "epochs")
                if name in metadata
            }
        else:
            found = _evaluate_samples(path, opened, crop, stretch, seed, asked)
        found.report["protocol"]["evaluated"] = what
        progress("drawing the figure")
        picture = draw_evaluation(found)
    # First what cannot get lost on a full disk.
    _print_report(found.report)
    with options.new_output(output) as temporary:
        temporary.write_text(json.dumps(found.report, indent=1) + "\n")
    with options.new_output(figure) as temporary:
        save_png(temporary, picture)
    click.echo(f"\n{output}, {figure}")


def _is_ours(path):
    """Whether a file is an earlier report."""
    try:
        return "protocol" in json.loads(path.read_text())
    except (OSError, TypeError, ValueError):
        return False


# === What is evaluated ===


def _samples_path(what):
    """The path of samples; None if `what` is a model."""
    from keras_lapgan.presets.preset_folder import is_preset_folder
    from keras_lapgan.presets.registry import is_published

    path = Path(what).expanduser()
    if path.suffix in (".npz", ".npy") and not path.exists():
        raise options.Mistake(f"There is no file {what!r}.")
    if is_published(what) or not path.exists() or is_preset_folder(path):
        return None
    return path


def _trained(preset, revision):
    from keras_lapgan.presets.sources import find_preset

    source = find_preset(preset, revision)
    if not source.has_weights:
        raise options.Mistake(
            f"{preset!r} has no trained weights yet. Train it: `keras-lapgan "
            f"train {preset}`."
        )
    return source


def _home(source, data, split):
    """Data and split that a model was made with, where none are named."""
    home = source.metadata()
    if source.published is not None:
        home = {n: getattr(source.published, n) for n in ("data", "split")}
    if data is None or data == home.get("data"):
        return home.get("data"), split or home.get("split")
    return data, split


def _numbered_as(real, samples):
    """The samples' labels with the real pictures' numbers, or None."""
    import numpy as np

    if samples.labels is None or not (samples.class_names and real.class_names):
        return samples.labels
    known = list(real.class_names)
    unknown = [name for name in samples.class_names if name not in known]
    if unknown:
        click.echo(
            f"The samples' classes are not those of the real pictures "
            f"({unknown[0]!r} is none of them): left out.",
            err=True,
        )
        return None
    numbers = np.array([known.index(name) for name in samples.class_names])
    return numbers[samples.labels]


def _evaluate_samples(path, opened, crop, stretch, seed, asked):
    import numpy as np

    from keras_lapgan.datasets import DataError
    from keras_lapgan.datasets import load_images
    from keras_lapgan.evaluation import RealPictures
    from keras_lapgan.evaluation import evaluate_samples
    from keras_lapgan.evaluation.evaluate import PIXEL_COUNT
    from keras_lapgan.evaluation.real_pictures import seem_stretched
    from keras_lapgan.evaluation.real_pictures import stretched

    progress = asked["progress"]
    progress(f"reading {path}")
    samples = load_images(path)
    # In a mixed order: a folder's is by class.
    order = np.random.default_rng(seed).permutation(len(samples))
    order = order[: max(PIXEL_COUNT, asked["count"] or 0)]
    images = samples.read(order)
    if stretch is None and seem_stretched(images):
        stretch = True
        click.echo(
            "The samples' values reach from 0 to 255 in nearly all: real "
            "pictures are stretched so as well (--no-stretch leaves them).",
            err=True,
        )
    stretch = bool(stretch)
    size = images.shape[1:3]
    crop = crop or "corners"
    if crop == "none" and size[0] != size[1]:
        raise options.Mistake(
            "--crop none scales real pictures to squares; the samples are "
            f"{size[0]}x{size[1]}. Give real pictures of that size."
        )
    progress(f"reading {opened['data']}")
    try:
        real = RealPictures.open(
            **opened,
            size=size,
            source_size=size[0] if crop == "none" else None,
            crop=crop,
            stretch=stretch,
        )
    except DataError as error:
        if crop == "none" or " size" not in str(error):
            raise
        raise options.Mistake(
            f"{error} (--crop none brings real pictures to the samples' size.)"
        ) from error
    if stretch:
        images = stretched(images)
    labels = _numbered_as(real.source, samples)
    if labels is not None:
        labels = labels[order]
    found = evaluate_samples(images, real, labels=labels, **asked)
    found.report["protocol"]["seed"] = seed
    return found


# === What is printed ===


def _print_report(report):
    from keras_lapgan.evaluation.report_figures import crop_words
    from keras_lapgan.evaluation.report_figures import named_figures

    protocol = report["protocol"]
    height, width = protocol["size"]
    cut = crop_words(protocol["crop"])
    if protocol["stretch"]:
        cut += ", stretched"
    click.echo(
        f"{protocol['evaluated']}, {height}x{width}, against "
        f"{protocol['data']} {protocol['split']} ({cut}).\n"
        f"Column real: {protocol['floor']} against the same pictures."
    )
    if height != width:
        click.echo("Not square: without SWD and bands, which want squares.")
    columns = [("measure", "left")] + [
        (title, "right") for title in ("n", "value", "real")
    ]
    columns.append(("better", "left"))
    figures = list(named_figures(report))
    rows = [
        [
            figure.name,
            str(figure.n),
            _number(figure.value),
            _number(figure.floor),
            figure.better,
        ]
        for figure in figures
    ]
    copies = report["memorisation"]
    rows.append(
        [
            "Nearer than half of that: likely copies",
            str(copies["n"]),
            f"{100 * copies['share']:.1f} %",
            f"{100 * copies['heldout_share']:.1f} %",
            "as real",
        ]
    )
    for name, title in (("mean", "mean"), ("std", "deviation")):
        if name in report.get("channels", {}):
            found = report["channels"][name]
            rows.append(
                [
                    f"Channels' {title}",
                    str(found["n"]),
                    " ".join(f"{v:.0f}" for v in found["value"]),
                    " ".join(f"{v:.0f}" for v in found["floor"]),
                    "as real",
                ]
            )
    click.echo()
    print_table(new_table(columns, rows))
    if figures[0].n < _LEAST_COUNT:
        click.echo(
            f"n = {figures[0].n}: so few pictures tell apart only what is "
            "very different."
        )
    if "levels" in report:
        click.echo()
        _print_levels(report)


def _print_levels(report):
    from keras_lapgan.evaluation.report_figures import level_figures

    click.echo(
        "Levels: what each draws from real pictures of the next coarser one, "
        "and in the chain,\nagainst real pictures of its size"
        + (", unstretched." if report["protocol"]["stretch"] else ".")
    )
    columns = [("level", "left"), ("measure", "left")] + [
        (title, "right")
        for title in ("n", "given real", "in the chain", "real")
    ]
    rows, last = [], None
    for level, given, figure in level_figures(report):
        height, width = level["size"]
        title = f"{level['level']}: {height}x{width}"
        rows.append(
            [
                title if title != last else "",
                figure.name,
                str(figure.n),
                _number(given.value) if given else "",
                _number(figure.value),
                _number(figure.floor),
            ]
        )
        last = title
    print_table(new_table(columns, rows))
    if report["weakest"] is not None:
        level = report["levels"][report["weakest"]]
        given = " given real pictures" if "given_real" in level else ""
        click.echo(
            f"Weakest by itself: level {level['level']} "
            f"({level['size'][0]} px), whose kernel distance{given} is "
            f"{1000 * level['excess']:.0f} above that of real pictures (x 1e3)."
        )


def _number(value):
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
