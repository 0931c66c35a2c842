"""Threads for decoding; Pillow and numpy release the GIL while they work.

Of pictures of a few thousand bytes they release it for so short a time that
threads mostly wait for it: one thread alone decodes more of these than two.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import as_completed

CHUNK = 32
# Small, so that the threads end a batch at about the same time.
BATCH_CHUNK = 8
# Seconds that a call takes at least for threads to be of use.
SHORT = 100e-6

_pools = {}
_pools_lock = threading.Lock()


def num_threads():
    """int. How many threads decode at once."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return max(1, min(16, cores))


def are_short(function, total):
    """Calls `function(i)` for each i below `total`, and times the calls.

    Args:
        function: callable. Takes an int; its result is ignored.
        total: int. Number of calls, at least 1.

    Returns:
        bool. Whether one thread does more such calls than several do.
    """
    times = []
    for i in range(total):
        start = time.perf_counter()
        function(i)
        times.append(time.perf_counter() - start)
    # The others may have waited for whatever else the process does.
    return min(times) < SHORT


def for_each(function, total, progress=None, chunk=CHUNK):
    """Calls `function(i)` for each i below `total`, in several threads.

    The first exception ends it and is raised.

    Args:
        function: callable. Takes an int; its result is ignored.
        total: int. Number of calls.
        progress: callable, or None. Called now and then as
            `progress(done, total)` from the calling thread. Defaults to
            `None`.
        chunk: int. Calls that a thread makes in a row. Defaults to 32.
    """

    def run(start):
        stop = min(start + chunk, total)
        for i in range(start, stop):
            function(i)
        return stop - start

    done = min(chunk, total)
    short = total and are_short(function, done)
    if progress is not None:
        progress(done, total)
    with ThreadPoolExecutor(1 if short else num_threads()) as pool:
        futures = [pool.submit(run, i) for i in range(done, total, chunk)]
        try:
            for future in as_completed(futures):
                done += future.result()
                if progress is not None:
                    progress(done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def for_each_of_batch(function, total):
    """As `for_each` for a few calls: with threads that stay and are shared.

    However many batches are prepared at once, no more pictures are decoded at
    once than there are cores.

    Args:
        function: callable. Takes an int; must not call this again.
        total: int. Number of calls.
    """

    def run(start):
        for i in range(start, min(start + BATCH_CHUNK, total)):
            function(i)

    if total <= BATCH_CHUNK or num_threads() == 1:
        for i in range(total):
            function(i)
        return
    pool = _shared_pool()
    futures = [pool.submit(run, i) for i in range(0, total, BATCH_CHUNK)]
    try:
        for future in futures:
            future.result()
    finally:
        for future in futures:
            future.cancel()


def _shared_pool():
    # A fork has none of its parent's threads.
    key = os.getpid()
    with _pools_lock:
        if key not in _pools:
            _pools[key] = ThreadPoolExecutor(
                num_threads(), thread_name_prefix="decode"
            )
        return _pools[key]
