import sys
import time


class StepProgress:
    """Says on stderr what a long command is doing.

    One line that changes on a terminal; elsewhere a line when something new
    begins. Called as `progress(what, done, total)`.
    """

    def __init__(self):
        self._terminal = sys.stderr.isatty()
        self._last = None
        self._shown = 0.0

    def __call__(self, what, done=0, total=None):
        is_new = what != self._last
        self._last = what
        if not self._terminal:
            if is_new:
                print(what, file=sys.stderr, flush=True)
            return
        now = time.monotonic()
        if is_new or now - self._shown > 0.2:
            self._shown = now
            share = f" {100 * done // total} %" if total and done else ""
            self._write(f"{what}{share}")

    def close(self):
        """Clears the line."""
        if self._terminal and self._last is not None:
            self._write("")
        self._last = None

    def _write(self, text):
        print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)
