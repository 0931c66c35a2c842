import threading
import time

import pytest

from keras_lapgan.datasets import parallel


@pytest.mark.parametrize("seconds", [0, 2 * parallel.SHORT])
@pytest.mark.parametrize("total", [0, 1, 100])
def test_for_each(total, seconds):
    called, threads, progress = [], set(), []

    def function(i):
        time.sleep(seconds)
        called.append(i)
        threads.add(threading.get_ident())

    parallel.for_each(
        function, total, lambda done, total: progress.append(done), chunk=5
    )
    assert sorted(called) == list(range(total))
    assert progress == sorted(progress) and progress[-1] == total
    if total == 100 and not seconds:
        # The first few by the caller, to see how long they take.
        assert len(threads) == 2
        assert called == list(range(100))


@pytest.mark.parametrize("total", [0, 1, 8, 9, 100])
def test_for_each_of_batch(total, monkeypatch):
    monkeypatch.setattr(parallel, "num_threads", lambda: 3)
    called = []
    parallel.for_each_of_batch(called.append, total)
    assert sorted(called) == list(range(total))


@pytest.mark.parametrize("run", [parallel.for_each, parallel.for_each_of_batch])
@pytest.mark.parametrize("bad", [0, 99])
def test_an_error_reaches_the_caller(run, bad):
    def function(i):
        if i == bad:
            raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        run(function, 100)
    run(lambda i: None, 100)
