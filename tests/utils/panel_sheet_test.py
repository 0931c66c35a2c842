import numpy as np

from keras_lapgan.utils.panel_sheet import panel_sheet


def plain(height, width, value):
    return np.full((height, width, 3), value, "uint8")


def test_pictures_stand_in_rows_under_their_titles():
    sheet = panel_sheet(
        [
            [("", plain(10, 30, 0)), ("", plain(20, 40, 100))],
            [("a title", plain(5, 8, 50))],
        ]
    )
    assert sheet.shape == (16 + 40 + 16 + 25 + 16, 16 + 30 + 16 + 40 + 16, 3)
    assert (sheet[36:46, 16:46] == 0).all()
    assert (sheet[36:56, 62:102] == 100).all()
    assert (sheet[92:97, 16:24] == 50).all()
    # Letters, and white around.
    assert sheet[72:92, 16:80].min() < 60
    assert (sheet[:16] == 255).all() and (sheet[:, :16] == 255).all()


def test_a_long_title_is_not_cut():
    title = "a title much longer than its picture is wide"
    short = panel_sheet([[("", plain(5, 8, 50))]])
    assert panel_sheet([[(title, plain(5, 8, 50))]]).shape[1] > (
        short.shape[1] + 150
    )
