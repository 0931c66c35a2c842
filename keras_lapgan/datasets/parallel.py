"""Threads for decoding; Pillow and numpy release the GIL while they work."""

import os
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import as_completed

CHUNK = 32


def num_threads():
    """int. How many threads decode at once."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return max(1, min(16, cores))


def for_each(function, total, progress=None):
    """Calls `function(i)` for each i below `total`, in several threads.

    The first exception ends it and is raised.

    Args:
        function: callable. Takes an int; its result is ignored.
        total: int. Number of calls.
        progress: callable, or None. Called now and then as
            `progress(done, total)` from the calling thread. Defaults to
            `None`.
    """

    def run(start):
        stop = min(start + CHUNK, total)
        for i in range(start, stop):
            function(i)
        return stop - start

    done = 0
    with ThreadPoolExecutor(num_threads()) as pool:
        futures = [pool.submit(run, i) for i in range(0, total, CHUNK)]
        try:
            for future in as_completed(futures):
                done += future.result()
                if progress is not None:
                    progress(done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
