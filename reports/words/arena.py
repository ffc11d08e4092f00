"""What `rpusim arena` has to say, in words and tables, for the terminal and for its page."""

from __future__ import annotations

from typing import Any

from rpusim.reports.words.learn import percent
from rpusim.reports.words.readable import si

Document = dict[str, Any]
HEADINGS = (
    "algorithm",
    "mean rank by error",
    "learns on",
    "rank by energy",
    "with calibration",
    "rank by time",
    "with calibration",
    "rank by pulses",
    "with calibration",
)
TITLE = "Every training algorithm, on devices of few and many states"


def subtitle(document: Document) -> str:
    """Say on what they met."""
    seeds = f"{document['seeds']} seed{'s' if document['seeds'] > 1 else ''}"
    chip = f", chip {document['chip']}" if document["chip"] else ""
    return (
        f"{document['network']} on {document['data']}{chip}, {document['epochs']} epochs, {seeds}; soft bounds with "
        f"{', '.join(map(str, document['states']))} states, references: {'; '.join(document['references'])}"
    )


def devices(document: Document) -> list[tuple[int, str]]:
    """List the devices: numbers of states, and of each the references."""
    return [(states, reference) for states in document["states"] for reference in document["references"]]


def sentence(document: Document) -> str:
    """Say who leads, on how many devices something learns, and what calibration changes."""
    ran = [row for row in document["league"] if row["rank"] is not None]
    if not ran:
        return "No algorithm could be run."
    first, number = ran[0], len({(place["states"], place["reference"]) for place in document["places"]})
    said = (
        f"{first['row'][0].upper()}{first['row'][1:]} has the best mean rank by test error ({first['rank']:.1f} of "
        f"{len(ran)}) on {number} device{'s' if number != 1 else ''}, and is within 5 points of the best on "
        f"{first['learns']}."
    )
    if not document["changes"]:
        return f"{said} Calibration, counted, changes no rank by energy, time or pulses of those that learn."
    return f"{said} Calibration, counted, changes ranks by energy, time or pulses of {', '.join(document['changes'])}."


def table(document: Document) -> Document:
    """Tabulate the league, the best mean rank first."""
    rows = []
    for row in document["league"]:
        if row["rank"] is None:
            rows.append((row["row"], "cannot run", *[""] * (len(HEADINGS) - 2)))
            continue
        ranks = [
            "" if (found := row[f"{figure}_rank{way}"]) is None else f"{found:.1f}"
            for figure in ("joules", "seconds", "pulses")
            for way in ("", "_calibrated")
        ]
        rows.append((row["row"], f"{row['rank']:.1f}", f"{row['learns']} of {row['devices']}", *ranks))
    return {"headings": HEADINGS, "rows": rows}


def tip(place: Document) -> str:
    """Say all of a place: error with its interval, and what it took with calibration."""
    device = f"{place['row']}, {place['states']} states, reference {place['reference']}"
    if "error" not in place:
        return f"{device}: cannot run"
    error = place["error"]
    said = f"{device}: {percent(error['mean'])} ({percent(max(error['low'], 0))} to {percent(min(error['high'], 1))})"
    if "joules_calibrated" in place:
        said += f"; {si(place['seconds_calibrated']['mean'], 's')}, {si(place['joules_calibrated']['mean'], 'J')}"
    if "pulses_calibrated" in place:
        said += f", {place['pulses_calibrated']['mean']:,.0f} pulses a cell"
    if "to_10" in place:
        ten = place["to_10"]
        said += f"; to 10 %: {si(ten['seconds']['mean'], 's')}, {si(ten['joules']['mean'], 'J')}"
    return said


def notes(document: Document) -> list[str]:
    """Say how settings were found, what calibration is, and what learns and ranks mean."""
    search, pairs = document["search"], document["calibration"]
    tried = ", ".join(f"{number} for {states} states" for states, number in search["candidates"].items())
    listed = ", ".join(f"{int(number):,} for {states} states" for states, number in pairs.items())
    return [
        f"Settings were searched for each number of states ({tried}), for {search['epochs']} epochs with seed "
        f"{search['seed']} and references that are off by 0.05; the lowest test error counts.",
        f"Calibrated rows begin with pairs of pulses that find the symmetry points: {listed}. Their pulses, time and "
        "energy, and those of reading array A and writing its reference, are in all figures with calibration.",
        "A row learns on a device if its mean test error is within 5 points of the best one there. Ranks by cost are "
        "among the rows that learn.",
    ]
