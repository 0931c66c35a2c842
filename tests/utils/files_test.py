import pytest

from keras_lapgan.utils.files import write_file
from keras_lapgan.utils.files import write_files


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(temporary):
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert path.read_text() == "old"

    write_file(path, write)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_belong_together(tmp_path):
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text("old")

    def write_b(temporary):
        # All are written before the first is replaced.
        assert a.read_text() == "old"
        temporary.write_text("b")

    write_files({a: lambda path: path.write_text("new"), b: write_b})
    assert (a.read_text(), b.read_text()) == ("new", "b")
    assert sorted(tmp_path.iterdir()) == [a, b]


def test_the_last_of_several_fails(tmp_path):
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text("old")

    def fails(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_files({a: lambda path: path.write_text("new"), b: fails})
    assert a.read_text() == "old"
    assert list(tmp_path.iterdir()) == [a]
