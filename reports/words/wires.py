"""Sentences about the wires of a chip's arrays."""

from __future__ import annotations

from typing import Any

from rpusim.reports.words.readable import percent, si


def sentences(document: dict[str, Any]) -> list[str]:
    """Tell, kind by kind of tile, what wires do to reads and updates, or why they do nothing.

    Documents of earlier versions say nothing.
    """
    rows = document.get("wires", [])
    return [_sentence(row, f" of tiles {row['tiles']}" if len(rows) > 1 else "") for row in rows]


def _sentence(row: dict[str, Any], whose: str) -> str:
    if row["model"] in ("ideal", "unknown"):
        why = "as the chip says" if row["model"] == "ideal" else "as nothing is known of them"
        return f"Wires{whose} are ideal, {why}: {row['source']}."
    losses = f"a read loses up to {percent(row['loss'])} of a weight ({percent(row['loss_used'])} where weights are)"
    if "step" in row:
        step, used = percent(1.0 - row["step"]), percent(1.0 - row["step_used"])
        losses += f", an update up to {step} of a step ({used})"
    settled = f"they settle in {si(row['settling_s'], 's')}"
    if row["settling_s"] > row["integration_s"]:
        settled += f", which sets the read, as the chip's {si(row['integration_s'], 's')} are too short"
    else:
        settled += f" of {si(row['read_s'], 's')}"
    if row["model"] == "negligible":
        losses = f"{losses}, too little to show, and left out"
    return f"On the wires{whose} {losses}; {settled}."
