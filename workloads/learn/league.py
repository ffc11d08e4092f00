"""The league of `rpusim arena`: how far every algorithm comes on every device, and what that costs with calibration.

A *place* is what one row came to on one device: means over the seeds with their 95 % intervals. On each device the rows
are ranked by their mean test error; a row's rank in the league is the mean of these. Ranks by pulses, seconds and
joules are among the rows that learn on that device, once without the calibration and once with it, and what that
changes is told row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COUNTED = {
    "pulses": ("pulses", "calibrated_pulses"),
    "seconds": ("training_time", "calibrated_time"),
    "joules": ("training_energy", "calibrated_energy"),
}
"""Figures of a place: without calibration, and with it, which only what is calibrated has."""
TO_TEN = {
    "pulses": "calibrated_pulses_to_10",
    "seconds": "calibrated_time_to_10",
    "joules": "calibrated_energy_to_10",
}
"""What it took to a test error of 10 %, calibration included: means of the seeds that got there."""
NEAR = 0.05
"""Above the best of its device by no more than this, in test error, a row learns there."""

Place = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A row of the arena. name: of the row. algorithm: of the list. calibrated: whether symmetry points are found."""

    name: str
    algorithm: str
    calibrated: bool


def of(groups: Mapping[int, Sequence[dict[str, Any]]], rows: Sequence[Entry]) -> dict[str, Any]:
    """Make the league.

    groups: of the study of each number of states. rows: all rows.

    Returns ``places``, one for each row, number of states and reference; ``league``, the rows with their mean ranks,
    the best first; and ``changes``, the rows of which calibration changes a rank by cost.
    """
    places = [place for states, found in groups.items() for place in _places(states, found, rows)]
    for device in {(place["states"], place["reference"]) for place in places}:
        _rank([place for place in places if (place["states"], place["reference"]) == device])
    league = [_standing(row, [place for place in places if place["row"] == row.name]) for row in rows]
    ran = [each for each in league if each["rank"] is not None]
    ran.sort(key=lambda each: each["rank"])
    return {
        "places": places,
        "league": ran + [each for each in league if each["rank"] is None],
        "changes": [
            each["row"]
            for each in ran
            if any(each[f"{figure}_rank"] != each[f"{figure}_rank_calibrated"] for figure in COUNTED)
        ],
    }


def _places(states: int, found: Sequence[dict[str, Any]], rows: Sequence[Entry]) -> list[Place]:
    """List what each row came to on devices of so many states, in the order of the rows."""
    by_row = {(group["settings"]["algorithm"], group["settings"]["reference"]): group for group in found}
    places = []
    for row in rows:
        for (name, reference), group in by_row.items():
            if name != row.name:
                continue
            metrics = group["metrics"]
            place: Place = {"row": name, "states": states, "reference": reference, "seeds": group["seeds"]}
            if "error" in metrics:
                place["error"] = _ends(metrics["error"])
            for figure, (plain, calibrated) in COUNTED.items():
                if plain in metrics:
                    place[figure] = _ends(metrics[plain])
                    place[f"{figure}_calibrated"] = _ends(metrics.get(calibrated, metrics[plain]))
            if to_ten := {figure: _ends(metrics[name]) for figure, name in TO_TEN.items() if name in metrics}:
                place["to_10"] = to_ten
            places.append(place)
    return places


def _ends(found: Mapping[str, float]) -> dict[str, float]:
    return {end: found[end] for end in ("mean", "low", "high")}


def _rank(places: Sequence[Place]) -> None:
    """Write into the places of one device which of them learn, and their ranks."""
    ran = [place for place in places if "error" in place]
    for number, place in enumerate(sorted(ran, key=lambda each: each["error"]["mean"]), 1):
        place["rank"] = number
    best = min((place["error"]["mean"] for place in ran), default=0.0)
    for place in places:
        place["learns"] = "error" in place and place["error"]["mean"] <= best + NEAR
    for figure in (each + way for each in COUNTED for way in ("", "_calibrated")):
        counted = [place for place in places if place["learns"] and figure in place]
        for number, place in enumerate(sorted(counted, key=lambda each: each[figure]["mean"]), 1):
            place[f"{figure}_rank"] = number


def _standing(row: Entry, places: Sequence[Place]) -> dict[str, Any]:
    """Sum up a row: on how many devices it ran and learned, and its mean ranks; None where it has none."""
    ran = [place for place in places if "rank" in place]
    found: dict[str, Any] = {"row": row.name, "algorithm": row.algorithm, "calibrated": row.calibrated}
    found |= {"devices": len(ran), "learns": sum(place["learns"] for place in places)}
    found["rank"] = sum(place["rank"] for place in ran) / len(ran) if ran else None
    for figure in COUNTED:
        for way in ("", "_calibrated"):
            ranks = [place[f"{figure}{way}_rank"] for place in places if f"{figure}{way}_rank" in place]
            found[f"{figure}_rank{way}"] = sum(ranks) / len(ranks) if ranks else None
    return found
