"""Exports a preset in a process with the backend and device it takes."""

import json
import sys
from pathlib import Path


def main():
    """Reads what to do as JSON, and writes how it went."""
    job = json.load(sys.stdin)
    from keras_lapgan import LAPGAN

    try:
        model = LAPGAN.from_preset(job["preset"], dtype="float32")
        found = {"signature": model.export(job["path"], **job["options"])}
    except OSError as error:
        found = {
            "error": error.strerror or str(error),
            "errno": error.errno,
            "filename": error.filename and str(error.filename),
        }
    except ValueError as error:
        found = {"error": str(error)}
    Path(job["result"]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
