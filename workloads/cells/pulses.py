"""How the pulses of a run were computed: merged or one by one, array by array of the unit cells, and why.

Both give weights of the same distribution, and the same activity: slots, lines that fire and coincidences are drawn
before any cell moves. What differs is the time that it takes to compute, and single random numbers.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from rpusim.kernels import AnalogTile
from rpusim.kernels.pulses.trains import Execution

_MERGED = (
    "Pulses of one cell were added up wherever that is the same in distribution, and computed one by one elsewhere."
)


def document(model: nn.Module) -> dict[str, Any] | None:
    """Write what result.json says of the way in which pulses were computed; None if nothing is pulsed.

    model: on arrays; all its tiles have the same kind of unit cells.

    ``arrays`` has for every pulsed array of a unit cell its number, its ``execution`` and ``why`` it is exact (no such
    key where it is merged); ``sentence`` says the same in words.
    """
    tile = next((part for part in model.modules() if isinstance(part, AnalogTile)), None)
    if tile is None:
        return None
    found = [(number, tile.cell.way(number)) for number in range(len(tile.cell.arrays))]
    rows = [
        {"array": number, "execution": way.execution.value} | ({"why": way.why} if way.why else {})
        for number, way in found
        if way is not None
    ]
    return {"arrays": rows, "sentence": _sentence(rows)} if rows else None


def _sentence(rows: list[dict[str, Any]]) -> str:
    """Say in words how the pulses of some arrays were computed."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["execution"] == Execution.EXACT:
            reasons.setdefault(row["why"], []).append(str(row["array"]))
    if not reasons:
        return _MERGED
    if len(reasons) == 1 and len(next(iter(reasons.values()))) == len(rows):
        return f"Every pulse was computed on its own: {next(iter(reasons))}."
    parts = [
        f"{'arrays' if len(numbers) > 1 else 'array'} {', '.join(numbers)}: {why}" for why, numbers in reasons.items()
    ]
    return f"{_MERGED} One by one as a whole: {'; '.join(parts)}."
