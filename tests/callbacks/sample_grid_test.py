import numpy as np
import pytest
from PIL import Image

from keras_lapgan.callbacks import SampleGrid
from keras_lapgan.callbacks import SaveError


def cells(path, size, columns, rows):
    with Image.open(path) as image:
        grid = np.asarray(image)
    assert grid.shape == (rows * (size + 2) + 2, columns * (size + 2) + 2, 3)
    grid = grid[2:, 2:].reshape(rows, size + 2, columns, size + 2, 3)
    return grid[:, :size, :, :size].swapaxes(1, 2)


def test_draws_every_stage_of_the_same_pictures(tmp_path, make_model, images):
    model = make_model()
    folder = tmp_path / "runs" / "samples"
    model.fit(
        images,
        batch_size=12,
        epochs=2,
        verbose=0,
        callbacks=[SampleGrid(folder, count=6, seed=5)],
    )
    assert sorted(file.name for file in folder.iterdir()) == [
        f"epoch_{epoch:04d}_stage_{k}.png" for epoch in (1, 2) for k in (0, 1)
    ]
    stages = model.generate(6, seed=5, return_pyramid=True)
    for k, scale in enumerate((2, 4)):
        drawn = cells(folder / f"epoch_0002_stage_{k}.png", 32, 3, 2)
        np.testing.assert_array_equal(
            drawn.reshape(6, 32, 32, 3)[:, ::scale, ::scale], stages[k]
        )


def test_a_column_a_class(tmp_path, make_model):
    model = make_model(num_classes=3)
    callback = SampleGrid(tmp_path, count=8)
    callback.set_model(model)
    callback.on_epoch_end(0)
    drawn = cells(tmp_path / "epoch_0001_stage_0.png", 32, 3, 2)
    alone = model.generate(labels=[0, 1, 2] * 2, seed=0)
    np.testing.assert_array_equal(
        drawn.reshape(6, 32, 32, 3)[:, ::2, ::2], alone
    )


def test_a_folder_that_cannot_be_made(tmp_path, make_model):
    (tmp_path / "file").write_text("")
    callback = SampleGrid(tmp_path / "file" / "samples", count=2)
    callback.set_model(make_model())
    with pytest.raises(SaveError, match="Could not save to .*samples"):
        callback.on_epoch_end(0)
