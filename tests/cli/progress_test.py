import sys

from keras_lapgan.cli.progress import StepProgress


def test_in_a_pipe_a_line_when_something_begins(capsys):
    progress = StepProgress()
    for done in range(3):
        progress("drawing", done, 3)
    progress("measuring")
    progress.close()
    out, err = capsys.readouterr()
    assert out == "" and err == "drawing\nmeasuring\n"


def test_on_a_terminal_one_line_that_is_cleared(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = StepProgress()
    progress("drawing", 0, 4)
    progress("measuring", 1, 4)
    progress.close()
    err = capsys.readouterr().err
    assert err == "\r\x1b[2Kdrawing\r\x1b[2Kmeasuring 25 %\r\x1b[2K"
