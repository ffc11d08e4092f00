"""What the analysis in a result document says, as labels and texts, like `figures`; nothing without an analysis."""

from __future__ import annotations

from dataclasses import dataclass

from rpusim.reports.words.figures import Document, Share
from rpusim.reports.words.readable import count, percent, si, significant, tera

MOST_SHOWN = 3
"""How many shares a sentence names, and how many units that are on at the peak of power."""


def path_shares(document: Document, by: str) -> list[Share]:
    """Break the time on the critical path down.

    by: "by_part", "by_phase" or "by_layer".
    """
    path = document["analysis"]["critical_path"]
    return [Share(name, si(seconds, "s"), seconds / path["total_s"]) for name, seconds in path[by].items()]


def path_sentence(document: Document) -> str:
    """Say where the time on the critical path went."""
    parts, phases = (path_shares(document, by)[:MOST_SHOWN] for by in ("by_part", "by_phase"))
    waiting = document["analysis"]["critical_path"]["waiting_s"]
    spent, doing = (", ".join(f"{share.name} {share.percent}" for share in shares) for shares in (parts, phases))
    idle = f"; waiting {si(waiting, 's')}" if waiting else ""
    return f"On the critical path: {spent}; {doing}{idle}."


def peak_sentence(document: Document) -> str:
    """Say when power is largest, and what is on then."""
    power = document["analysis"]["power"]
    on = ", ".join(
        f"{row['units']} × {row['unit']} ({row['phase']} of {row['layer']}) {si(row['power_W'], 'W')}"
        for row in power["at_peak"][:MOST_SHOWN]
    )
    left = len(power["at_peak"]) - MOST_SHOWN
    more = " and less" if left > 0 else ""
    return (
        f"Power peaks at {si(power['peak_W'], 'W')}, {si(power['peak_at_s'], 's')} after the start: standby "
        f"{si(power['standby_W'], 'W')}, {on}{more}."
    )


def what_if(document: Document) -> list[str]:
    """Give a sentence for each change that was tried, the fastest first."""
    return [outcome["sentence"] for outcome in document.get("what_if", ())]


def language(document: Document) -> list[str]:
    """Say how fast a language model reads and writes, and what was assumed; nothing of other networks."""
    found = document.get("language")
    if not found:
        return []
    reading, writing, cache = found["reading"], found.get("writing"), found["cache"]
    said = [
        f"Reading {count(found['prompt'])} tokens takes {si(reading['total_s'], 's')}: "
        f"{count(round(reading['tokens_per_s']))} tokens per second, {si(reading['per_token_J'], 'J')} a token."
    ]
    if writing:
        off = writing["off_by_at_most_s"] / writing["total_s"]
        said.append(
            f"Writing {count(found['generate'])} tokens takes {si(writing['total_s'], 's')}: "
            f"{count(round(writing['tokens_per_s']))} tokens per second, {si(writing['per_token_J'], 'J')} a token"
            + (f" (at most {percent(off)} off)." if off else ".")
        )
    lacks = f", for {si(cache['lacking_b'], 'b')} of which there is no room" if cache["lacking_b"] else ""
    where = {"buffer": "the tiles' buffers"}.get(cache["where"], f"the {cache['where']}")
    said.append(f"Keys and values, {si(cache['b'], 'b')}, wait in {where}{lacks}.")
    return [*said, *(f"Assumed: {each}." for each in found["assumed"])]


def utilisation(document: Document) -> list[list[str]]:
    """Tell how busy units are.

    Returns a row of texts for each kind of unit: its name, how many work, and the share of the time that they do, on
    average and of the busiest.
    """
    kinds = document["analysis"]["utilisation"]["by_kind"]
    return [[kind, count(row["units"]), percent(row["mean"]), percent(row["busiest"])] for kind, row in kinds.items()]


def rooflines(document: Document) -> list[list[str]]:
    """Tell what limits each layer.

    Returns a row of texts for each layer: name, operations per bit, the roofs of arrays and of data movement, what was
    reached, and which roof is the lower one.
    """
    return [
        [
            row["layer"],
            significant(row["ops_per_bit"]),
            *(tera(row[name], "OPS") for name in ("array_ops_per_s", "movement_ops_per_s", "reached_ops_per_s")),
            row["bound_by"],
        ]
        for row in document["analysis"]["roofline"]
    ]


@dataclass(frozen=True)
class Matrix:
    """A table of energies per sample: a row for each part or layer, a column for each phase."""

    phases: list[str]
    rows: list[tuple[str, list[str]]]


def matrix(document: Document, side: str) -> Matrix:
    """Break the energy of a sample down two ways at once.

    side: "part" or "layer", what the rows are; the columns are phases.
    """
    energy = document["energy"]
    scale = energy["per_sample_J"] / energy["total_J"]
    sums: dict[tuple[str, str], float] = {}
    for row in energy["matrix"]:
        key = (row[side], row["phase"])
        sums[key] = sums.get(key, 0.0) + row["J"] * scale
    phases = list(energy["by_phase"])
    names = [name for name in energy[f"by_{side}"] if any((name, phase) in sums for phase in phases)]
    cells = {name: [si(sums[name, p], "J") if (name, p) in sums else "" for p in phases] for name in names}
    return Matrix(phases, list(cells.items()))
