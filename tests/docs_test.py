"""The commands in the documents: that there are such options."""

import re
import shlex
from pathlib import Path

import click
import pytest

from keras_lapgan.cli.main import cli

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]


def commands():
    for document in DOCUMENTS:
        text = (ROOT / document).read_text().replace("\\\n", " ")
        for block in re.findall(r"^```\n(.*?)^```$", text, re.S | re.M):
            for line in re.split(r"\n|&&", block):
                if line.strip().startswith("keras-lapgan "):
                    yield shlex.split(line, comments=True)[1:]


def test_there_are_commands():
    assert len(list(commands())) > 10


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_command_is_understood(words):
    name, *arguments = [word for word in words if word != "..."]
    command = cli.get_command(click.Context(cli), name)
    command.make_context(name, arguments)
