from keras_lapgan.utils.checkpoints import checkpoint_path
from keras_lapgan.utils.checkpoints import latest_checkpoint


def test_latest_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in (
        "epoch_0001_step_000000.keras",
        "epoch_0001_step_000040.keras",
        ".tmp_epoch_0002_step_000000.keras",
        "epoch_10000_step_000000.txt",
    ):
        (folder / name).touch()
    path, epochs, steps = latest_checkpoint(tmp_path)
    assert path.name == "epoch_0001_step_000040.keras"
    assert (epochs, steps) == (1, 40)


def test_a_path_is_found_again(tmp_path):
    path = checkpoint_path(tmp_path, 12_345, 7)
    path.parent.mkdir()
    path.touch()
    assert latest_checkpoint(tmp_path) == (path, 12_345, 7)
