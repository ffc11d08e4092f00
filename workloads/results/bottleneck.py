"""Which kind of unit sets the pace of a run, for a document.

That a kind of unit is busy does not say that anything waits for it: it sets the pace if it also takes more of the
critical path than any other kind. Where another kind takes more, the sentence says so of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.schedule.plan import Plan

WAITING = "waiting"
"""Time on a critical path in which nothing on it is at work."""


def bottleneck(plan: Plan, ledger: Ledger, path: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Find the kind of unit that is in use for the largest share of the time, and the busiest unit of that kind.

    plan:    says which unit (station) is of which kind, and how many requests it serves at once.
    ledger:  how long kinds were occupied and units were busy, in picoseconds.
    path:    time on the critical path by kind of unit, in any unit; None or empty: it was not found.

    Returns the document's ``bottleneck``: part (the kind), busy_fraction (of the busiest unit), occupied_fraction (of
    the kind: the time in which any of its units was at work), unit (the busiest), a sentence, and, where there is a
    critical path, critical_fraction (of the kind, on it) and critical_part (the kind that takes most of it).
    """
    part = max(ledger.occupied_ps, key=lambda unit: ledger.occupied_ps[unit])
    share = ledger.occupied_ps[part] / ledger.time_ps
    of_kind = {
        station: ledger.busy_ps[station] / capacity
        for station, unit, capacity in zip(plan.stations, plan.station_parts, plan.station_capacity, strict=True)
        if unit == part
    }
    busiest = max(of_kind, key=lambda station: of_kind[station])
    busy = of_kind[busiest] / ledger.time_ps
    named = f"{busiest}{_layer_of(plan, busiest)}"
    found = {"part": part, "busy_fraction": busy, "occupied_fraction": share, "unit": busiest}
    whole = sum((path or {}).values())
    if not path or whole <= 0:
        sentence = f"The {_several(part)} set the pace: one of them is at work {share:.0%} of the time; the busiest, "
        return found | {"sentence": f"{sentence}{named}, {busy:.0%}."}
    first = max(path, key=lambda kind: (path[kind], kind == part))
    own = path.get(part, 0.0) / whole
    found |= {"critical_fraction": own, "critical_part": first}
    if first == part:
        sentence = (
            f"The {_several(part)} set the pace: one of them is at work {share:.0%} of the time, and they take "
            f"{own:.0%} of the critical path; the busiest, {named}, {busy:.0%}."
        )
    else:
        pace = f"{first.capitalize()} sets" if first == WAITING else f"The {_several(first)} set"
        sentence = (
            f"{pace} the pace, with {path[first] / whole:.0%} of the critical path; the {_several(part)} are busier, "
            f"one of them is at work {share:.0%} of the time (the busiest, {named}, {busy:.0%}), but take {own:.0%} of "
            "it."
        )
    return found | {"sentence": sentence}


def _several(part: str) -> str:
    """Name several units of a kind."""
    return part if part.endswith("s") else f"{part}s"


def _layer_of(plan: Plan, station: str) -> str:
    """Name the layer whose array, drivers or converters this station is; nothing for what layers share."""
    number = plan.stations.index(station)
    for layer in plan.layers:
        for block in layer.blocks:
            if any(number in vars(array).values() for array in block.arrays):
                return f" (layer {layer.placed.layer.name!r})"
    return ""
