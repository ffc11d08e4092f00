"""Some hundred altered inputs of every kind, as `make fuzz` tries ten thousand."""

from __future__ import annotations

from collections import Counter

import fuzz


def test_altered_inputs_are_taken_or_refused_in_one_sentence() -> None:
    tally: Counter[str] = Counter()
    failed: list[tuple[int, str, str, str]] = []

    def report(number: int, kind: str, how: str, said: str) -> None:
        tally[how] += 1
        if how not in ("taken", "refused"):
            failed.append((number, kind, how, said))

    fuzz.fuzz(300, 1, 1, report)
    assert not failed
    assert tally["taken"] > 20 and tally["refused"] > 100
