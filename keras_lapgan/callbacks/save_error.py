import contextlib
import textwrap


class SaveError(OSError):
    """A run that cannot be saved: a full disk, a folder that has gone."""


@contextlib.contextmanager
def save_errors(folder):
    """Turns what goes wrong when writing to `folder` into a `SaveError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # HDF5 raises RuntimeErrors too, and tells its whole life.
        reason = textwrap.shorten(
            getattr(error, "strerror", None) or str(error), 200
        )
        raise SaveError(
            f"Could not save to {str(folder)!r}: {reason.rstrip('.')}."
        ) from error
