from keras_lapgan.callbacks.training_curves import TrainingCurves


def test_draws_the_log(tmp_path):
    (tmp_path / "log.csv").write_text(
        "epoch,d_loss_0,g_loss_0,d_accuracy_0,d_loss_1,g_loss_1,d_accuracy_1\n"
        "1,.69,.69,.5,.7,.6,.5\n2,.6,.8,.6,.6,.8,.7\n"
    )
    TrainingCurves(tmp_path).on_epoch_end(1)
    from PIL import Image

    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (2 * 420, 2 * 220)
