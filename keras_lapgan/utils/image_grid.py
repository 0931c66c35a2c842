import math
from pathlib import Path

import numpy as np

from keras_lapgan.utils.files import write_file

_GAP = 2
_BACKGROUND = 255
_LEAST_SIDE = 84


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


def stage_strip(stages, scale=None):
    """Lays out how pictures grow: a row each, coarse to fine.

    Args:
        stages: list of uint8 arrays `(n, height, width, channels)`, finest
            first, as `LAPGAN.generate(return_pyramid=True)` returns them.
        scale: int or None. Enlargement of the finest stage; coarser ones are
            enlarged as often as fits into its size. Defaults to the least
            that makes all stages equally large, of at least 84 pixels.

    Returns:
        A uint8 array `(rows, columns, channels)`.
    """
    count, height, width, channels = stages[0].shape
    if scale is None:
        least = math.ceil(_LEAST_SIDE / width)
        side = math.lcm(*(stage.shape[2] for stage in stages))
        even = [s for s in range(least, 4 * least) if s * width % side == 0]
        scale = even[0] if even else least
    shape = (height * scale, width * scale, channels)
    cells = []
    for i in range(count):
        for stage in reversed(stages):
            cell = np.full(shape, _BACKGROUND, dtype="uint8")
            fit = min(shape[0] // stage.shape[1], shape[1] // stage.shape[2])
            image = enlarge(stage[i : i + 1], fit)[0]
            top = (shape[0] - image.shape[0]) // 2
            left = (shape[1] - image.shape[1]) // 2
            cell[top : top + image.shape[0], left : left + image.shape[1]] = (
                image
            )
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
    picture = Image.fromarray(image)
    write_file(Path(path), lambda file: picture.save(file, format="PNG"))
