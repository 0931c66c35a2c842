import os


def write_file(path, write):
    """Writes a file whole or not at all.

    Args:
        path: `pathlib.Path`. What is there stays until the new file is
            complete.
        write: function that writes a file at the path it is given, in the
            same folder and with the same ending.
    """
    temporary = path.with_name(f".tmp_{path.name}")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
