"""Which kind of unit sets the pace of a run, for a document."""

from __future__ import annotations

from typing import Any

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.schedule.plan import Plan


def bottleneck(plan: Plan, ledger: Ledger) -> dict[str, Any]:
    """Find the kind of unit that is in use for the largest share of the time, and the busiest unit of that kind.

    plan:    says which unit (station) is of which kind, and how many requests it serves at once.
    ledger:  how long kinds were occupied and units were busy, in picoseconds.

    Returns the document's ``bottleneck``: part (the kind), busy_fraction (of the busiest unit), occupied_fraction (of
    the kind: the time in which any of its units was at work), unit (the busiest) and a sentence.
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
    plural = {"ADC": "ADCs", "row drivers": "row drivers", "column drivers": "column drivers"}.get(part, f"{part}s")
    sentence = (
        f"The {plural} set the pace: one of them is at work {share:.0%} of the time; the busiest, {busiest}"
        f"{_layer_of(plan, busiest)}, {busy:.0%}."
    )
    return {"part": part, "busy_fraction": busy, "occupied_fraction": share, "unit": busiest, "sentence": sentence}


def _layer_of(plan: Plan, station: str) -> str:
    """Name the layer whose array, drivers or converters this station is; nothing for what layers share."""
    number = plan.stations.index(station)
    for layer in plan.layers:
        for block in layer.blocks:
            if any(number in vars(array).values() for array in block.arrays):
                return f" (layer {layer.placed.layer.name!r})"
    return ""
