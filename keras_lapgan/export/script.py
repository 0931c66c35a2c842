"""`run.py`, which draws from an exported file without this package."""

import ast
import importlib.util
import sys
from importlib import resources

#: The script beside an exported model.
SCRIPT = "run.py"
_MARK = "# === Runtime ===\n"


def script_text(format):
    """The script for one format: the common part and its runtime's."""
    home = resources.files("keras_lapgan.export.scripts")
    main = (home / SCRIPT).read_text(encoding="utf-8")
    runtime = (home / f"runtime_{format}.py").read_text(encoding="utf-8")
    after = ast.parse(runtime).body[0].end_lineno
    body = "".join(runtime.splitlines(keepends=True)[after:])
    # Which the common part has imported.
    body = body.replace("import numpy as np\n", "", 1).strip("\n")
    before, _, rest = main.partition(_MARK)
    # The common part names what only the runtime defines.
    before = before.replace("  # noqa: F821", "")
    return f"{before}{_MARK}\n\n{body}\n{rest}"


def load_script(folder):
    """Imports the script of an exported folder as a module."""
    name = "keras_lapgan_exported_run"
    spec = importlib.util.spec_from_file_location(name, folder / SCRIPT)
    module = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module
