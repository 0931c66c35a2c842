import errno
import os

import pytest

from keras_lapgan.utils.new_folder import new_folder


def fill(folder, text="new"):
    (folder / "sub").mkdir()
    (folder / "sub/a.txt").write_text(text)


def text(folder):
    return (folder / "sub/a.txt").read_text()


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    fill(folder, "old")
    return folder


def test_a_folder_appears_whole(tmp_path):
    path = tmp_path / "out"
    with new_folder(path) as folder:
        assert list(folder.iterdir()) == []
        fill(folder)
        assert not path.exists()
        # On the same disk, so that it can be moved at once.
        assert tmp_path in folder.parents
    assert text(path) == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_folders_above_it_are_made_at_the_end(tmp_path):
    with new_folder(tmp_path / "a/b/out") as folder:
        fill(folder)
        assert not (tmp_path / "a").exists()
    assert text(tmp_path / "a/b/out") == "new"
    assert os.listdir(tmp_path) == ["a"]
    assert os.listdir(tmp_path / "a/b") == ["out"]


def test_a_path_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with new_folder("out") as folder:
        fill(folder)
        monkeypatch.chdir("/")
    assert text(tmp_path / "out") == "new"


def test_a_long_name(tmp_path):
    path = tmp_path / ("ä" * 120)
    with new_folder(path) as folder:
        fill(folder)
    assert text(path) == "new"


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_leaves_nothing(tmp_path, overwrite, error):
    with pytest.raises(error), new_folder(tmp_path / "a/out", overwrite) as new:
        fill(new)
        raise error
    assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_old_folder(old, tmp_path):
    with pytest.raises(ValueError), new_folder(old, True) as folder:
        fill(folder)
        raise ValueError
    assert text(old) == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_replacing(old, tmp_path):
    (old / "more.txt").write_text("old")
    with new_folder(old, overwrite=True) as folder:
        fill(folder)
        assert text(old) == "old"
    assert text(old) == "new" and os.listdir(old) == ["sub"]
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_there_stays(old, tmp_path):
    with pytest.raises(FileExistsError) as error, new_folder(old) as folder:
        fill(folder)
    assert error.value.filename == str(old)
    assert text(old) == "old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_is_there_stays(tmp_path, overwrite):
    (tmp_path / "out").write_text("old")
    with pytest.raises(OSError), new_folder(tmp_path / "out", overwrite) as new:
        fill(new)
    assert (tmp_path / "out").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        fill(folder)
    assert text(tmp_path / "out") == "new"


def test_the_old_folder_comes_back(old, tmp_path, monkeypatch):
    rename = os.rename

    def fails(source, target):
        if str(source).endswith("new"):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(OSError) as error, new_folder(old, True) as folder:
        fill(folder)
    assert error.value.errno == errno.EIO
    assert text(old) == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_behind_a_link_is_replaced(old, tmp_path):
    (tmp_path / "link").symlink_to(old)
    with new_folder(tmp_path / "link", overwrite=True) as folder:
        fill(folder)
    assert (tmp_path / "link").is_symlink() and text(old) == "new"
    assert sorted(os.listdir(tmp_path)) == ["link", "out"]


def test_no_folder_above_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError), new_folder(tmp_path / "file/out"):
        pass
