import re

import pytest
from rich.console import Console

from keras_lapgan import list_presets


def test_whole_lines_where_there_is_no_terminal(run):
    result = run("presets")
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert header.split() == [
        "name",
        "data",
        "sizes",
        "classes",
        "parameters",
        "weights",
    ]
    assert [line.split()[0] for line in lines] == list(list_presets())
    by_name = {line.split()[0]: line.split() for line in lines}
    assert by_name["lapgan_scenes_small"][1:-1] == [
        "tiny_imagenet_scenes",
        "8-16-32-64",
        "24",
        f"{list_presets()['lapgan_scenes_small'].parameters:,}",
    ]
    assert all(line.split()[-1] in ("yes", "no") for line in lines)


@pytest.mark.parametrize("width, has_data", [(80, False), (140, True)])
def test_a_terminal_cuts_no_name(run, monkeypatch, width, has_data):
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", str(width))
    text = re.sub(r"\x1b\[[0-9;]*m", "", run("presets").stdout)
    header, *lines = text.splitlines()
    assert ("data" in header.split()) is has_data
    assert [line.split()[0] for line in lines] == list(list_presets())
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)


def test_long(run):
    header, *lines = run("presets", "--long").stdout.splitlines()
    assert header.split()[-4:] == ["MB", "licence", "recipe", "description"]
    assert len(lines) == len(list_presets())
    by_name = {line.split()[0]: line for line in lines}
    assert (
        "The paper's LAPGAN of LSUN's towers." in by_name["lapgan_lsun_tower"]
    )
    assert " quick " in by_name["lapgan_scenes_small"]
