import math

import numpy as np

_COLORS = (
    (31, 119, 180),
    (214, 39, 40),
    (44, 160, 44),
    (148, 103, 189),
    (255, 127, 14),
    (23, 190, 207),
)
_MARGIN = (56, 34, 16, 30)  # left, top, right, bottom


def line_chart(panels, columns=1, size=(520, 260)):
    """Draws curves, with nothing but Pillow.

    Args:
        panels: dict from a panel's title to its curves, a dict from a name to
            `(x, y)`, two sequences of numbers. Curves of the same name have
            the same colour in all panels.
        columns: int. Panels a row. Defaults to 1.
        size: pair of ints. Width and height of a panel. Defaults to
            `(520, 260)`.

    Returns:
        A uint8 array `(height, width, 3)`.
    """
    from PIL import Image
    from PIL import ImageDraw
    from PIL import ImageFont

    names = list(dict.fromkeys(n for curves in panels.values() for n in curves))
    color = {n: _COLORS[i % len(_COLORS)] for i, n in enumerate(names)}
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    image = Image.new("RGB", (columns * size[0], rows * size[1]), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12)
    for i, (title, curves) in enumerate(panels.items()):
        corner = (i % columns * size[0], i // columns * size[1])
        _panel(draw, font, corner, size, title, curves, color)
    return np.asarray(image)


def _panel(draw, font, corner, size, title, curves, color):
    left, top, right, bottom = _MARGIN
    x0, y0 = corner[0] + left, corner[1] + top
    x1, y1 = corner[0] + size[0] - right, corner[1] + size[1] - bottom
    x_low, x_high = _range([x for x, _ in curves.values()])
    y_low, y_high = _range([y for _, y in curves.values()])

    draw.text((x0, corner[1] + 4), title, fill="black", font=font)
    at = x1
    for name in reversed(curves):
        at -= draw.textlength(name, font=font)
        draw.text((at, corner[1] + 18), name, fill=color[name], font=font)
        at -= 12
    for value in _ticks(y_low, y_high):
        y = y1 - (value - y_low) / (y_high - y_low) * (y1 - y0)
        draw.line((x0, y, x1, y), fill=(225, 225, 225))
        draw.text((x0 - 6, y), f"{value:g}", "gray", font, anchor="rm")
    for value in _ticks(x_low, x_high):
        x = x0 + (value - x_low) / (x_high - x_low) * (x1 - x0)
        draw.line((x, y0, x, y1), fill=(240, 240, 240))
        draw.text((x, y1 + 6), f"{value:g}", "gray", font, anchor="mt")
    draw.rectangle((x0, y0, x1, y1), outline="gray")
    for name, (xs, ys) in curves.items():
        points = [
            (
                x0 + (x - x_low) / (x_high - x_low) * (x1 - x0),
                y1 - (y - y_low) / (y_high - y_low) * (y1 - y0),
            )
            for x, y in zip(xs, ys, strict=True)
            if np.isfinite(y)
        ]
        if len(points) == 1:
            x, y = points[0]
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=color[name])
        draw.line(points, fill=color[name], width=2)


def _range(sequences):
    values = np.concatenate(
        [[], *(np.asarray(s, "float64") for s in sequences)]
    )
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low - 0.5, high + 0.5
    return low, high


def _ticks(low, high):
    """Round numbers between `low` and `high`, about five."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next((m for m in (1, 2, 5) if (high - low) / (step * m) <= 6), 10)
    first = math.ceil(low / step)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + i) * step, 10) for i in range(count)]
