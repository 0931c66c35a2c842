import pytest

from keras_lapgan.callbacks import SaveError
from keras_lapgan.callbacks import TrainingCurves
from keras_lapgan.callbacks.training_curves import draw_curves
from keras_lapgan.callbacks.training_curves import logged_curve
from keras_lapgan.callbacks.training_curves import logged_levels
from keras_lapgan.utils import image_grid


def test_draws_the_log(tmp_path):
    (tmp_path / "log.csv").write_text(
        "epoch,d_loss_0,g_loss_0,d_accuracy_0,d_loss_1,g_loss_1,d_accuracy_1\n"
        "1,.69,.69,.5,.7,.6,.5\n2,.6,.8,.6,.6,.8,.7\n"
    )
    TrainingCurves(tmp_path).on_epoch_end(1)
    from PIL import Image

    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (2 * 420, 2 * 220)


def test_a_full_disk_keeps_the_curves_before(tmp_path, monkeypatch):
    (tmp_path / "log.csv").write_text("epoch,d_loss_0\n1,.69\n")
    TrainingCurves(tmp_path).on_epoch_end(0)
    before = (tmp_path / "curves.png").read_bytes()

    def fails(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_grid, "write_file", fails)
    with pytest.raises(SaveError, match="No space left on device"):
        TrainingCurves(tmp_path).on_epoch_end(0)
    assert (tmp_path / "curves.png").read_bytes() == before


def test_columns_of_a_log():
    rows = [
        {"epoch": "1", "d_loss_10": ".5", "d_loss_2": ".5"},
        {"epoch": "2", "d_loss_10": ".25", "d_loss_2": ".5"},
    ]
    assert logged_levels(rows) == [2, 10]
    assert logged_curve(rows, "d_loss_10") == ([1, 2], [0.5, 0.25])


def test_bands_against_real_where_they_are_logged():
    row = {"epoch": "1", "d_loss_0": ".7", "g_loss_0": ".7"}
    plain = draw_curves([row])
    watched = draw_curves([row, row | {"diversity_0": ".5", "band_std_0": "1"}])
    assert plain.shape == (220, 2 * 420, 3)
    assert watched.shape == (220, 3 * 420, 3)
    assert (watched[:, 2 * 420 :] != 255).any()
