"""Tables on a terminal and in a pipe."""


def new_table(columns, rows, gap=2):
    """Makes a table without lines.

    Args:
        columns: list of `(title, "left" or "right")`.
        rows: iterable of lists of str, a cell a column.
        gap: int. Blanks between columns. Defaults to 2.

    Returns:
        A `rich.table.Table`.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for title, justify in columns:
        table.add_column(title, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def table_width(table):
    """How many characters a line of `table` takes."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=1000)
    return Measurement.get(console, console.options, table).maximum


def print_table(table):
    """Prints it as wide as it is: Rich cuts what is longer than a console."""
    from rich.console import Console

    Console(width=table_width(table)).print(table)
