import pickle

import pytest

from keras_lapgan.datasets.names import Names


def test_names():
    expected = [b"a/0.png", b"", "\u00e4.png".encode(), b"\xff"]
    names = Names(iter(expected))
    for found in (names, pickle.loads(pickle.dumps(names))):
        assert len(found) == 4
        assert [found[i] for i in range(4)] == expected
    with pytest.raises(IndexError):
        names[4]
    assert len(Names([])) == 0
