import click

from keras_lapgan.cli.tables import new_table
from keras_lapgan.cli.tables import print_table
from keras_lapgan.cli.tables import table_width


@click.command("presets")
@click.option(
    "--long",
    "is_long",
    is_flag=True,
    help="With recipe, licence, size of the weights and a description.",
)
def command(is_long):
    """List the published presets; `info NAME` tells all about one."""
    from rich.console import Console

    if is_long:
        print_table(_long_table())
        return
    table = _table(gap=2, with_data=True)
    if Console().is_terminal and Console().width < table_width(table):
        # A name tells its data; what must not be cut are the names.
        table = _table(gap=1, with_data=False)
    print_table(table)


def _facts(preset):
    from keras_lapgan.presets.registry import published_folder

    folder = published_folder(preset.name)
    return {
        "name": preset.name,
        "data": preset.data,
        "sizes": "-".join(map(str, reversed(preset.sizes))),
        "classes": str(preset.num_classes or "-"),
        "parameters": f"{preset.parameters:,}",
        "weights": "yes" if folder or preset.hub else "no",
        "folder": folder,
    }


_RIGHT = ("classes", "parameters", "MB")


def _columns(names):
    return [(n, "right" if n in _RIGHT else "left") for n in names]


def _table(gap, with_data):
    from keras_lapgan.presets.registry import list_presets

    names = ["name", "data", "sizes", "classes", "parameters", "weights"]
    if not with_data:
        names.remove("data")
    rows = [
        [facts[name] for name in names]
        for facts in map(_facts, list_presets().values())
    ]
    return new_table(_columns(names), rows, gap)


def _long_table():
    from keras_lapgan.presets.preset_folder import WEIGHTS
    from keras_lapgan.presets.preset_folder import read_metadata
    from keras_lapgan.presets.registry import list_presets

    rows = []
    for preset in list_presets().values():
        facts = _facts(preset)
        folder = facts["folder"]
        size = licence = "-"
        if folder is not None:
            size = f"{(folder / WEIGHTS).stat().st_size / 1e6:.1f}"
            licence = read_metadata(folder).get("license", "not stated")
        rows.append(
            [
                facts["name"],
                facts["data"],
                facts["sizes"],
                facts["classes"],
                facts["parameters"],
                size,
                licence,
                preset.recipe,
                preset.description,
            ]
        )
    names = ["name", "data", "sizes", "classes", "parameters", "MB"]
    names += ["licence", "recipe", "description"]
    return new_table(_columns(names), rows)
