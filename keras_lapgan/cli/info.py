import click

from keras_lapgan.cli.tables import new_table
from keras_lapgan.cli.tables import print_table


@click.command("info")
@click.argument("preset")
@click.option("--revision", help="A branch, tag or commit on the Hub.")
def command(preset, revision):
    """Tell what PRESET is: levels, recipe, measures, licence.

    PRESET is a published name, a folder of a run or a preset, or
    hf://user/name. Nothing is built from it.
    """
    from keras_lapgan.presets.sources import find_preset

    source = find_preset(preset, revision)
    with source.settled():
        metadata, config = source.metadata(), source.config()
        if source.has_weights:
            source.weights(config, metadata)
    model = config["config"]
    click.echo(f"{model.get('name', 'lapgan')}, from {source.origin}")
    if source.folder is not None:
        click.echo(f"folder: {source.folder}")
    click.echo()
    _print_levels(config)
    click.echo()
    for name, text in _lines(source, config, metadata):
        click.echo(f"{name and name + ':':10} {text}")


def _print_levels(config):
    from keras_lapgan.presets.weights_layout import parameter_counts

    columns = [
        ("level", "right"),
        ("size", "left"),
        ("generator", "left"),
        ("parameters", "right"),
        ("discriminator", "left"),
        ("parameters", "right"),
    ]
    rows, totals = [], [0, 0]
    from keras_lapgan.presets.weights_layout import present_levels

    counts, present = parameter_counts(config), present_levels(config)
    for k, level in enumerate(config["config"]["levels"]):
        networks = [
            level["config"][role] for role in ("generator", "discriminator")
        ]
        size = networks[0]["config"]["size"]
        height, width = [size] * 2 if isinstance(size, int) else size
        row = [str(k), f"{height}x{width}"]
        for i, network in enumerate(networks):
            row += [_described(network), f"{counts[k][i]:,}"]
            totals[i] += counts[k][i] if k in present else 0
        rows.append(row)
    rows.append(["all", "", "", f"{totals[0]:,}", "", f"{totals[1]:,}"])
    print_table(new_table(columns, rows))


def _described(network):
    name, config = network["class_name"], network["config"]
    name = name.removesuffix("Generator").removesuffix("Discriminator")
    widths = config.get("hidden_units") or config.get("filters")
    if isinstance(widths, list):
        widths = "/".join(map(str, widths))
    return name if widths is None else f"{name} {widths}"


def _lines(source, config, metadata):
    from keras_lapgan.presets.card import metrics_by_protocol

    model = config["config"]
    first = model["levels"][0]["config"]["generator"]["config"]
    if first.get("num_classes"):
        names = model.get("class_names") or []
        yield "classes", f"{first['num_classes']}: {', '.join(names)}"
    if "present" in model:
        yield "levels", f"{', '.join(map(str, model['present']))} alone"
    yield "pixels", _pixels(model)
    yield from _recipe(config.get("compile_config") or {})
    trained = [
        f"{name.replace('_', ' ')} {metadata[name]}"
        for name in ("data", "split", "images", "epochs", "batch_size", "seed")
        if metadata.get(name) is not None
    ]
    if trained:
        yield "trained", ", ".join(trained)
    for protocol, metrics in metrics_by_protocol(metadata):
        # Those of levels are in the card.
        if metrics[0].get("type", "").startswith("level_"):
            continue
        yield "measured", protocol
        for metric in metrics:
            told = f"  {metric['name']}: {metric['value']:g}"
            if "floor" in metric:
                told += f" (real pictures: {metric['floor']:.3g})"
            yield "", told
    if "note" in metadata:
        yield "note", metadata["note"].replace("\n", "\n" + 11 * " ")
    if source.has_weights:
        yield "weights", _weights(source, metadata)
        licence = metadata.get("license")
        has_notice = (source.folder / "NOTICE").is_file()
        more = ", see NOTICE in the folder" if has_notice else ""
        if licence is None:
            yield "licence", f"not stated{more}; ask who made the weights"
        else:
            yield "licence", f"{licence}{more}"
    else:
        yield "weights", "none yet"


def _pixels(model):
    source = model.get("source_size")
    cut = f", cut from {source} ({model.get('crop')})" if source else ""
    return f"normalised {model.get('normalization', 'unit')}{cut}"


def _recipe(recipe):
    for name in ("d_optimizer", "g_optimizer"):
        found = recipe.get(name)
        if found is None:
            continue
        yield f"{name[0].upper()} by", _each(found, _optimizer)
    if "objective" in recipe:
        yield "objective", _each(recipe["objective"])
    if _each(recipe.get("gradient_penalty", 0)) != "0":
        yield "gradient penalty", _each(recipe["gradient_penalty"])
    if recipe.get("chained"):
        yield "chained", f"{recipe['chained']:.0%} of the generated bands"


def _each(found, text_of=str):
    """What all levels have, or one a level, finest first."""
    each = found if isinstance(found, list) else [found]
    texts = [text_of(one) for one in each]
    return ", ".join(texts if len(set(texts)) > 1 else texts[:1])


def _optimizer(config):
    rate = config["config"].get("learning_rate")
    text = f" {rate:.4g}" if isinstance(rate, (int, float)) else " scheduled"
    return config["class_name"] + ("" if rate is None else text)


def _weights(source, metadata):
    from keras_lapgan.presets.preset_folder import WEIGHTS

    size = (source.folder / WEIGHTS).stat().st_size / 1e6
    dtype = metadata.get("weights_dtype", "float16 or float32")
    more = ", with optimizers" if metadata["has_optimizer"] else ""
    return (
        f"{size:.1f} MB of {dtype}{more}, sha256 "
        f"{metadata['weights_sha256'][:12]}..., by keras-lapgan "
        f"{metadata['keras_lapgan_version']}"
    )
