import math

import numpy as np

_GAP = 2
_BACKGROUND = 255


def image_grid(images, columns=None, scale=1):
    """Lays pictures out in rows.

    Args:
        images: uint8 array `(n, height, width, channels)`.
        columns: int or None. Pictures a row. Defaults to about a square.
        scale: int. Each pixel becomes `scale` x `scale` pixels. Defaults to
            1.

    Returns:
        A uint8 array `(rows, columns, channels)`, white between pictures.
    """
    images = enlarge(np.asarray(images), scale)
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    grid = np.full(
        (
            rows * (height + _GAP) + _GAP,
            columns * (width + _GAP) + _GAP,
            channels,
        ),
        _BACKGROUND,
        dtype="uint8",
    )
    for i, image in enumerate(images):
        top = _GAP + (i // columns) * (height + _GAP)
        left = _GAP + (i % columns) * (width + _GAP)
        grid[top : top + height, left : left + width] = image
    return grid


def stage_strip(stages, scale=2):
    """Lays out how pictures grow: a row each, coarse to fine.

    Args:
        stages: list of uint8 arrays `(n, height, width, channels)`, finest
            first, as `LAPGAN.generate(return_pyramid=True)` returns them.
        scale: int. Enlargement of the finest stage; coarser ones are enlarged
            to about its size, in squares. Defaults to 2.

    Returns:
        A uint8 array `(rows, columns, channels)`.
    """
    count = len(stages[0])
    side = stages[0].shape[1] * scale
    cells = []
    for i in range(count):
        for stage in reversed(stages):
            cell = np.full(
                (side, side, stage.shape[3]), _BACKGROUND, dtype="uint8"
            )
            image = enlarge(stage[i : i + 1], side // stage.shape[1])[0]
            top = (side - image.shape[0]) // 2
            left = (side - image.shape[1]) // 2
            height, width = image.shape[:2]
            cell[top : top + height, left : left + width] = image
            cells.append(cell)
    return image_grid(np.stack(cells), columns=len(stages))


def enlarge(images, scale):
    """Repeats every pixel `scale` times along rows and columns."""
    return images.repeat(scale, axis=1).repeat(scale, axis=2)


def save_png(path, image):
    """Writes a uint8 array `(height, width, 3 or 1)` as a PNG file."""
    from PIL import Image

    if image.shape[2] == 1:
        image = image[:, :, 0]
    Image.fromarray(image).save(path, format="PNG")
