import importlib.util
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    """Runs a script of `tools/` in this process, as a command."""

    def tool(name, *args):
        path = TOOLS / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        argv = [str(path), *map(str, args)]
        monkeypatch.setattr(sys, "argv", argv)
        module.main()
        return module

    return tool
