"""The tutorials, typed from top to bottom: every command that they show runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from measured import write

TUTORIALS = sorted((Path(__file__).parents[3] / "docs" / "tutorials").glob("*.md"))


def typed(text: str) -> list[list[str]]:
    """The arguments of each `rpusim` in an indented block, without its comment."""
    return [shlex.split(line, comments=True) for line in re.findall(r"^    rpusim (.*)$", text, flags=re.MULTILINE)]


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_every_command_of_a_tutorial_runs(tutorial, rpusim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = tutorial.read_text(encoding="utf-8")
    write(tmp_path)  # soft.csv among them
    code = re.findall(r"^`(\w+\.py)`,.*?^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    for name, content in code:
        Path(name).write_text(content)
    commands = typed(text)
    assert len(commands) > 3
    for command in commands:
        outcome = rpusim(*command)
        assert outcome.status == 0, (command, outcome.stderr)
    for file in re.findall(r"`((?:fits|runs)/[\w./-]+)`", text):
        assert Path(file).is_file(), file


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_short(tutorial):
    assert len(tutorial.read_text(encoding="utf-8").splitlines()) < 80


def test_the_figures_of_the_architect_are_those_of_the_chip(rpusim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = next(path for path in TUTORIALS if path.stem == "architect").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```text\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    rpusim("new", "chip", "--like", "reram-512", "--out", "mine.yaml")
    shown = [line.rstrip() for line in rpusim("time", "fcn-digits", "--chip", "mine.yaml").stdout.splitlines()]
    assert all(line in shown for line in block.splitlines())
