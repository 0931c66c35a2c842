import click


@click.command("presets")
def command():
    """List the published presets."""
    from rich.console import Console
    from rich.table import Table

    from keras_lapgan.presets.registry import list_presets
    from keras_lapgan.presets.registry import published_folder

    table = Table(box=None, pad_edge=False)
    for title, justify in (
        ("name", "left"),
        ("data", "left"),
        ("sizes", "left"),
        ("classes", "right"),
        ("parameters G + D", "right"),
        ("weights", "left"),
    ):
        table.add_column(title, justify=justify, no_wrap=True)
    for name, preset in list_presets().items():
        table.add_row(
            name,
            preset.data,
            " -> ".join(map(str, reversed(preset.sizes))),
            str(preset.num_classes or "-"),
            f"{preset.parameters:,}",
            "yes" if published_folder(name) else "no",
        )
    # A pipe gets whole lines: no terminal says how wide it is.
    width = None if click.get_text_stream("stdout").isatty() else 120
    Console(width=width).print(table)
