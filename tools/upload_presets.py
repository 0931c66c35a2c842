"""Publishes the presets of `presets/` on the Hugging Face Hub.

    python tools/upload_presets.py --owner keras-lapgan            # dry run
    python tools/upload_presets.py --owner keras-lapgan --upload
    python tools/upload_presets.py --owner me lapgan_cifar10_small --upload

Each goes to `hf://OWNER/NAME`. Without `--upload` nothing is sent: it checks
every folder as loading does and tells what would go. What is up already is
not sent again, so a command that was interrupted is simply repeated; one
preset that fails does not keep the others back, and ends in exit code 1. For
weights too large for the wheel it prints the commit and the sha256 that their
`Preset` pins.
"""

import argparse
import os
import tempfile
from pathlib import Path

from keras_lapgan import PresetError
from keras_lapgan.presets import get_preset
from keras_lapgan.presets.preset_folder import WEIGHTS
from keras_lapgan.presets.preset_folder import read_metadata
from keras_lapgan.publishing import public_preset
from keras_lapgan.publishing import upload_preset

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PRESETS = Path(__file__).resolve().parents[1] / "presets"


def describe(folder, uri):
    """Tells what would go up, once all of it has been made."""
    with tempfile.TemporaryDirectory() as staging:
        public_preset(folder, staging, uri)
        files = sorted(Path(staging).iterdir())
        size = sum(file.stat().st_size for file in files) / 1e6
        names = ", ".join(file.name for file in files)
    return f"would go up, {size:.1f} MB: {names}"


def upload(folder, uri, private):
    commit = upload_preset(uri, folder, private=private)
    sha256 = read_metadata(folder)["weights_sha256"]
    return f"{commit.commit_url}\n  hub {uri}@{commit.oid}, sha256 {sha256}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="default: all with weights")
    parser.add_argument("--owner", required=True)
    parser.add_argument("--presets", type=Path, default=PRESETS)
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--upload", action="store_true")
    arguments = parser.parse_args()
    names = arguments.names or sorted(
        path.parent.name for path in arguments.presets.glob(f"*/{WEIGHTS}")
    )
    failed = False
    for name in names:
        folder, uri = arguments.presets / name, f"hf://{arguments.owner}/{name}"
        try:
            get_preset(name)
            done = (
                upload(folder, uri, arguments.private)
                if arguments.upload
                else describe(folder, uri)
            )
            print(f"{uri}: {done}", flush=True)
        except (PresetError, OSError) as error:
            failed = True
            print(f"{uri}: FAILED: {error}", flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
