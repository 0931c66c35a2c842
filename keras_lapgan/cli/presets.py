import click


@click.command("presets")
def command():
    """List the published presets."""
    from rich.console import Console

    table = _table(gap=2, with_data=True)
    width = _width(table)
    if Console().is_terminal and Console().width < width:
        # A name tells its data; what must not be cut are the names.
        table = _table(gap=1, with_data=False)
        width = _width(table)
    # As wide as it is: Rich cuts what is longer than its console.
    Console(width=width).print(table)


def _table(gap, with_data):
    from rich.table import Table

    from keras_lapgan.presets.registry import list_presets
    from keras_lapgan.presets.registry import published_folder

    columns = [
        ("name", "left", lambda preset: preset.name),
        ("data", "left", lambda preset: preset.data),
        ("sizes", "left", lambda p: "-".join(map(str, reversed(p.sizes)))),
        ("classes", "right", lambda preset: str(preset.num_classes or "-")),
        ("parameters", "right", lambda preset: f"{preset.parameters:,}"),
        (
            "weights",
            "left",
            lambda preset: "yes" if published_folder(preset.name) else "no",
        ),
    ]
    if not with_data:
        columns = [column for column in columns if column[0] != "data"]
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for title, justify, _ in columns:
        table.add_column(title, justify=justify, no_wrap=True)
    for preset in list_presets().values():
        table.add_row(*(text(preset) for _, _, text in columns))
    return table


def _width(table):
    """How many characters a line of `table` takes."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=1000)
    return Measurement.get(console, console.options, table).maximum
