import numpy as np
import pytest
from PIL import Image

from keras_lapgan.utils import image_grid as module
from keras_lapgan.utils.image_grid import image_grid
from keras_lapgan.utils.image_grid import save_png
from keras_lapgan.utils.image_grid import stage_strip


def pictures(count, size, start=1):
    """Picture `i` is all of the value `start + i`."""
    values = np.arange(start, start + count, dtype="uint8")
    return np.broadcast_to(
        values[:, None, None, None], (count, size, size, 3)
    ).copy()


def test_grid_has_every_picture_in_its_place_and_white_between():
    grid = image_grid(pictures(5, 4), columns=3, scale=2)
    assert grid.shape == (2 * 10 + 2, 3 * 10 + 2, 3)
    assert grid.dtype == np.uint8
    expected = np.full_like(grid, 255)
    for i in range(5):
        top, left = 2 + 10 * (i // 3), 2 + 10 * (i % 3)
        expected[top : top + 8, left : left + 8] = i + 1
    np.testing.assert_array_equal(grid, expected)


@pytest.mark.parametrize(
    "count, columns, cells",
    [(64, None, (8, 8)), (5, None, (2, 3)), (2, 10, (1, 2)), (20, 10, (2, 10))],
)
def test_grid_columns(count, columns, cells):
    shape = image_grid(pictures(count, 3), columns).shape
    assert shape == (cells[0] * 5 + 2, cells[1] * 5 + 2, 3)


def test_scaling_repeats_pixels():
    image = np.arange(4, dtype="uint8").reshape(1, 2, 2, 1)
    grid = image_grid(image, scale=3)[2:-2, 2:-2, 0]
    np.testing.assert_array_equal(
        grid, image[0, :, :, 0].repeat(3, 0).repeat(3, 1)
    )


@pytest.mark.parametrize(
    "sizes, side", [((28, 14, 8), 112), ((96, 64, 32, 16, 8), 192), ((28,), 84)]
)
def test_strip_shows_equally_large_stages_coarse_to_fine(sizes, side):
    count = 2
    stages = [pictures(count, s, 10 * k + 1) for k, s in enumerate(sizes)]
    strip = stage_strip(stages)
    assert strip.shape == (
        count * (side + 2) + 2,
        len(sizes) * (side + 2) + 2,
        3,
    )
    for i in range(count):
        for column, k in enumerate(reversed(range(len(sizes)))):
            top, left = 2 + i * (side + 2), 2 + column * (side + 2)
            cell = strip[top : top + side, left : left + side]
            assert (cell == 10 * k + 1 + i).all()


def test_strip_centres_what_does_not_fit_evenly():
    strip = stage_strip([pictures(1, 9), pictures(1, 4, 7)], scale=1)
    cell = strip[2:11, 2:11, 0]
    assert (cell[:8, :8] == 7).all()
    assert (cell[8] == 255).all() and (cell[:, 8] == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_png_gives_the_pixels_back(tmp_path, channels):
    image = np.arange(6 * 5 * channels, dtype="uint8").reshape(6, 5, channels)
    save_png(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as read:
        np.testing.assert_array_equal(
            np.asarray(read).reshape(image.shape), image
        )
    assert [f.name for f in tmp_path.iterdir()] == ["a.png"]


def test_a_png_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_text("old")

    def save(self, file, format):
        file.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(OSError, match="No space"):
        module.save_png(path, np.zeros((2, 2, 3), "uint8"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
