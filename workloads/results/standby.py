"""Say what energy was drawn by part and state: at work, idle (on and waiting, or waking), and leakage."""

from __future__ import annotations

from typing import Any

from rpusim.arch.account.ledger import IDLE, STANDBY, Ledger
from rpusim.arch.account.rest import Rest
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.corner import mixture
from rpusim.arch.contract.quantity import ZEPTOJOULES_PER_JOULE
from rpusim.arch.schedule.plan import Plan

STATES = ("at_work_J", "idle_J", "leakage_J")
"""States of a part; leakage is that of circuits which are always on, too."""
_OF_PHASE = {IDLE: "idle_J", STANDBY: "leakage_J"}


def states(ledger: Ledger) -> list[dict[str, Any]]:
    """List the energy (J) of each part by state, largest part first.

    Returns rows of ``part`` and the three `STATES`, which add up to the part's energy.
    """
    found: dict[str, dict[str, int]] = {}
    for (part, phase, _), zeptojoules in ledger.energy.items():
        row = found.setdefault(part, dict.fromkeys(STATES, 0))
        row[_OF_PHASE.get(phase, STATES[0])] += zeptojoules
    ordered = sorted(found.items(), key=lambda item: -sum(item[1].values()))
    return [
        {"part": part, **{state: zj / ZEPTOJOULES_PER_JOULE for state, zj in row.items()}}
        for part, row in ordered
        if any(row.values())
    ]


def standby(plan: Plan, ledger: Ledger) -> dict[str, Any]:
    """Say how the chip's parts rest, and what the same work would take if all were on all the time.

    Returns ``gating``, ``ungated_J`` (total energy without any gating, in the same time), ``corner`` (of leakage, in a
    sentence) and, where leakage of neighbours differs much per area, ``warning``.
    """
    chip = plan.placement.chip
    bill = bill_of_parts(chip)
    busy = [ledger.busy_ps.get(name, 0) for name in plan.stations]
    at_work = sum(zj for (_, phase, _), zj in ledger.energy.items() if phase not in _OF_PHASE)
    ungated = at_work + Rest(plan, bill).ungated(ledger.time_ps, busy)
    corner, warning = mixture(bill.all_parts(), chip.leakage == "low-standby")
    return {
        "gating": chip.gating,
        "ungated_J": ungated / ZEPTOJOULES_PER_JOULE,
        "corner": corner,
        **({"warning": warning} if warning else {}),
    }
