"""What takes long says so, as often as it should and no longer than it takes."""

from __future__ import annotations

import time
from typing import Any

from rpusim.arch.contract import waiting
from rpusim.arch.contract.waiting import awaited


def test_a_line_is_said_again_and_again_until_it_is_done(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(waiting, "EVERY", 0.05)
    with awaited("placing a module"):
        time.sleep(0.28)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 5 and set(lines) == {"rpusim: placing a module, 0 s so far"}
    time.sleep(0.12)
    assert capsys.readouterr().err == ""


def test_what_is_quick_says_nothing_and_neither_does_an_empty_word(monkeypatch: Any, capsys: Any) -> None:
    with awaited("placing a module"):
        pass
    monkeypatch.setattr(waiting, "EVERY", 0.02)
    with awaited(lambda: ""):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_it_says_how_far_it_is_and_ends_with_an_error(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(waiting, "EVERY", 0.05)
    at = ["on the chip, 10% done"]
    try:
        with awaited(lambda: at[0]):
            time.sleep(0.07)
            at[0] = "on the chip, 60% done"
            time.sleep(0.06)
            raise ValueError
    except ValueError:
        pass
    said = capsys.readouterr().err
    assert said.startswith("rpusim: on the chip, 10% done") and "60%" in said
