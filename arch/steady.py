"""Steady state: equal mini-batches, one after the other, are timed a few times and counted as often as they are done.

Under the `sequential` schedule a mini-batch begins when the one before it has ended on every unit; all that reaches
over from one to the next is the fetch of its first sample. So the account, time and energy and busy time of every unit
alike, grows by the same amount per mini-batch as soon as that fetch has settled. `account` lets the number grow until
the growth has repeated itself to the picosecond and zeptojoule, and adds up the rest. Schedules without that barrier
have transients of any length, and are timed as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rpusim.arch.ledger import Ledger

EQUAL_GROWTHS = 3
"""How many times in a row the account has to grow by the same amount."""

Growth = tuple[int, dict[tuple[str, str, str], int], dict[str, int], dict[str, int]]


def account(timed: Callable[[int], Ledger], total: int) -> tuple[Ledger, int]:
    """The account of ``total`` equal mini-batches, and how many were timed for it.

    timed: the account of the first n of them, by the engine.
    """
    before, repeated = timed(1), 0
    growth: Growth | None = None
    for number in range(2, total + 1):
        after = timed(number)
        found = _growth(before, after)
        repeated = repeated + 1 if found == growth else 1
        before, growth = after, found
        if repeated == EQUAL_GROWTHS:
            return _grown(after, found, total - number), number
    return before, total


def _growth(before: Ledger, after: Ledger) -> Growth:
    return (
        after.time_ps - before.time_ps,
        {key: value - before.energy.get(key, 0) for key, value in after.energy.items()},
        {key: value - before.busy_ps.get(key, 0) for key, value in after.busy_ps.items()},
        {key: value - before.occupied_ps.get(key, 0) for key, value in after.occupied_ps.items()},
    )


def _grown(ledger: Ledger, growth: Growth, times: int) -> Ledger:
    time, energy, busy, occupied = growth
    return replace(
        ledger,
        time_ps=ledger.time_ps + times * time,
        energy={key: value + times * energy[key] for key, value in ledger.energy.items()},
        busy_ps={key: value + times * busy[key] for key, value in ledger.busy_ps.items()},
        occupied_ps={key: value + times * occupied[key] for key, value in ledger.occupied_ps.items()},
    )
