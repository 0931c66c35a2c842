import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from keras_lapgan.cli import main
from keras_lapgan.version import __version__


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize("command", [[], ["train"], ["sample"], ["presets"]])
def test_help_and_tables_answer_without_keras(command):
    args = command if command == ["presets"] else [*command, "--help"]
    done = python(
        "import sys\n"
        f"sys.argv = ['keras-lapgan', *{args!r}]\n"
        "from keras_lapgan.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    slow = {'keras', 'tensorflow', 'jax', 'torch', 'numpy'}\n"
        "    print(sorted(slow & set(sys.modules)), file=sys.stderr)\n"
    )
    assert done.returncode == 0
    assert done.stderr == "[]\n"
    assert "lapgan" in done.stdout


def test_version():
    result = CliRunner().invoke(main.cli, ["--version"])
    assert result.output == f"keras-lapgan, version {__version__}\n"


@pytest.mark.parametrize(
    "name, hint", [("sampel", "Did you mean sample?"), ("x", "Commands: ")]
)
def test_an_unknown_command(name, hint):
    result = CliRunner().invoke(main.cli, [name])
    assert result.exit_code == 2
    line = result.stderr.splitlines()[-1]
    assert f"no command {name!r}" in line and hint in line


@pytest.mark.parametrize(
    "error, code, output",
    [
        (ValueError("a\n  b"), 1, "Error: a b\n"),
        (PermissionError(13, "Denied", "f"), 1, "Error: 'f': Denied.\n"),
        (OSError("plain"), 1, "Error: plain\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted.\n"),
    ],
)
def test_errors_end_in_one_line(monkeypatch, error, code, output):
    @click.command()
    def command():
        raise error

    monkeypatch.setattr(main._Group, "get_command", lambda *args: command)
    monkeypatch.delenv("KERAS_LAPGAN_DEBUG", raising=False)
    result = CliRunner().invoke(main.cli, ["train"])
    assert (result.exit_code, result.stderr) == (code, output)


def test_debugging_shows_where_an_error_came_from(monkeypatch):
    @click.command()
    def command():
        raise ValueError("a")

    monkeypatch.setattr(main._Group, "get_command", lambda *args: command)
    monkeypatch.setenv("KERAS_LAPGAN_DEBUG", "1")
    result = CliRunner().invoke(main.cli, ["train"])
    assert isinstance(result.exception, ValueError)


@pytest.mark.skipif(os.name != "posix", reason="this system has no SIGTERM")
@pytest.mark.parametrize("swallow", [True, False])
@pytest.mark.parametrize("name, code", [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_to_end_ends_it(swallow, name, code):
    done = python(
        f"""
import click, os, signal, sys, time
from keras_lapgan.cli import main
def command():
    try:
        os.kill(os.getpid(), signal.{name})
    except BaseException:
        if not {swallow}:
            raise
    time.sleep(60)
main.cli.add_command(click.Command("stall", callback=command))
main._Group.names += ("stall",)
main._Group.get_command = click.Group.get_command
sys.argv[1:] = ["stall"]
main._PATIENCE = 0.2
main.main()
"""
    )
    assert done.returncode == code
    assert done.stderr.strip() == ("Interrupted." if code == 130 else "")
