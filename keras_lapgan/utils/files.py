import os


def write_file(path, write):
    """Writes a file whole or not at all.

    Args:
        path: `pathlib.Path`. What is there stays until the new file is
            complete.
        write: function that writes a file at the path it is given, in the
            same folder and with the same ending.
    """
    write_files({path: write})


def write_files(files):
    """Writes files that belong together: all of them whole, or none.

    Args:
        files: dict from a `pathlib.Path` to its `write`, see `write_file`;
            they are called in order. What is there stays until all new files
            are complete.
    """
    temporaries = {path: path.with_name(f".tmp_{path.name}") for path in files}
    try:
        for path, write in files.items():
            write(temporaries[path])
            with open(temporaries[path], "rb+") as file:
                os.fsync(file.fileno())
        for path, temporary in temporaries.items():
            os.replace(temporary, path)
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
