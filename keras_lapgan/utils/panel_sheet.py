import numpy as np

_GAP = 16
_TITLE = 20


def panel_sheet(rows):
    """Lays pictures of any size out in rows, each under its title.

    Args:
        rows: list of rows, each a list of `(title, image)` with a uint8 array
            `(height, width, 3)`.

    Returns:
        A uint8 array `(height, width, 3)` on white.
    """
    from PIL import Image
    from PIL import ImageDraw
    from PIL import ImageFont

    font = ImageFont.load_default(13)
    drawn = []
    for row in rows:
        cells = []
        for title, image in row:
            needed = int(font.getlength(title)) + 1
            height, width = image.shape[:2]
            size = (max(width, needed), height + _TITLE)
            cell = Image.new("RGB", size, "white")
            ImageDraw.Draw(cell).text((0, 2), title, "black", font)
            cell.paste(Image.fromarray(image), (0, _TITLE))
            cells.append(cell)
        drawn.append(cells)
    width = max(
        sum(cell.width + _GAP for cell in cells) + _GAP for cells in drawn
    )
    heights = [max(cell.height for cell in cells) for cells in drawn]
    sheet = Image.new(
        "RGB", (width, sum(heights) + _GAP * (len(rows) + 1)), "white"
    )
    top = _GAP
    for cells, height in zip(drawn, heights, strict=True):
        left = _GAP
        for cell in cells:
            sheet.paste(cell, (left, top))
            left += cell.width + _GAP
        top += height + _GAP
    return np.asarray(sheet)
