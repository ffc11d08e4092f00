"""Explain energy by part and state: at work, idle (on and waiting, or waking), and leakage; and standby in a sentence."""

from __future__ import annotations

from typing import Any

from rpusim.arch.account.ledger import IDLE, STANDBY, Ledger
from rpusim.arch.account.rest import Rest
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.corner import mixture
from rpusim.arch.contract.quantity import ZEPTOJOULES_PER_JOULE
from rpusim.arch.schedule.plan import Plan

AT_WORK, WAITING, LEAKAGE = "at work", "idle", "leakage"
"""States of a part; leakage is that of circuits which are always on, too."""

_OF_PHASE = {IDLE: WAITING, STANDBY: LEAKAGE}
_STOPS = {
    "none": "nothing is gated",
    "idle": "converters and drivers stop when they are idle and are woken before they work",
    "tile": "converters and drivers stop when they are idle, and tiles on which nothing works are cut off",
}


def states(ledger: Ledger) -> list[dict[str, Any]]:
    """List the energy (J) of each part by state, largest part first.

    Returns rows of ``part``, ``at_work_J``, ``idle_J`` and ``leakage_J``, which add up to the part's energy.
    """
    found: dict[str, dict[str, int]] = {}
    for (part, phase, _), zeptojoules in ledger.energy.items():
        row = found.setdefault(part, {AT_WORK: 0, WAITING: 0, LEAKAGE: 0})
        row[_OF_PHASE.get(phase, AT_WORK)] += zeptojoules
    ordered = sorted(found.items(), key=lambda item: -sum(item[1].values()))
    return [
        {"part": part, **{f"{state.replace(' ', '_')}_J": zj / ZEPTOJOULES_PER_JOULE for state, zj in row.items()}}
        for part, row in ordered
        if any(row.values())
    ]


def standby_sentence(plan: Plan, ledger: Ledger, samples: int) -> str:
    """Say in a sentence how much of the energy is drawn while parts do nothing, by which, and what gating saves of it.

    plan:     the network as scheduled work on its chip.
    ledger:   the account of all samples.
    samples:  how many.
    """
    chip, total = plan.placement.chip, ledger.total_zj
    bill = bill_of_parts(chip)
    idle, leakage = (
        {part: zj for (part, p, _), zj in ledger.energy.items() if p == phase} for phase in (IDLE, STANDBY)
    )
    if not sum(idle.values()) + sum(leakage.values()) or not total:
        return "Nothing is drawn by parts that do nothing: no card of this chip has leakage or idle power."
    shares = f"{_percent(sum(idle.values()) / total)} by parts that are on and wait{_most(idle)}"
    shares += f" and {_percent(sum(leakage.values()) / total)} by leakage{_most(leakage)}"
    says = f"Standby is {_percent((sum(idle.values()) + sum(leakage.values())) / total)} of the energy, {shares}"
    says += f"; {_STOPS[chip.gating]} (gating: {chip.gating})"
    if chip.gating != "none":
        saved = _ungated(plan, ledger)
        says += f", without which a sample would take {(saved / samples) / ZEPTOJOULES_PER_JOULE:.3g} J"
    return f"{says}. {mixture(bill.all_parts(), chip.leakage == 'low-standby')}"


def _ungated(plan: Plan, ledger: Ledger) -> int:
    """Return the energy (zJ) of the same work if every part were on all the time."""
    rest = Rest(plan, bill_of_parts(plan.placement.chip))
    at_work = sum(zj for (_, phase, _), zj in ledger.energy.items() if phase not in _OF_PHASE)
    return at_work + rest.ungated(ledger.time_ps, [ledger.busy_ps.get(name, 0) for name in plan.stations])


def _most(parts: dict[str, int]) -> str:
    """Name the part that draws most, with its share; nothing if no part draws any."""
    whole = sum(parts.values())
    if not whole:
        return ""
    name = max(parts, key=lambda part: parts[part])
    return f" ({_percent(parts[name] / whole)} of that in the part {name!r})"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"
