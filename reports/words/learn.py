"""What `rpusim learn` has to say, in words and tables, for the terminal and for its page."""

from __future__ import annotations

from typing import Any

from rpusim.reports.words.readable import si

Document = dict[str, Any]
HEADINGS = (
    "algorithm",
    "test error",
    "95 %",
    "pulses a cell",
    "training time",
    "training energy",
    "calibration: pulses",
    "time",
    "energy",
    "setting",
)


def title(document: Document) -> str:
    """Say what was asked."""
    return f"Which algorithms learn on {document['device']}?"


def subtitle(document: Document) -> str:
    """Say on what they were tried."""
    seeds = f"{document['seeds']} seed{'s' if document['seeds'] > 1 else ''}"
    return (
        f"{document['network']} on {document['data']}, chip {document['chip']}, {document['epochs']} epochs, {seeds}; "
        f"device: {document['title'] or document['model']}"
    )


def percent(value: float) -> str:
    """Write a share.

    >>> percent(0.0345)
    '3.5 %'
    """
    return f"{100 * value:.1f} %"


def table(document: Document) -> Document:
    """Tabulate the algorithms, the best first. Training time and energy have the calibration in them."""
    rows = []
    for row in document["algorithms"]:
        if "error" not in row:
            rows.append((row["title"], row["verdict"], *[""] * (len(HEADINGS) - 2)))
            continue
        error, before = row["error"], row["calibration"]
        interval = f"{100 * max(error['low'], 0):.1f} to {100 * min(error['high'], 1):.1f}"
        counted = [si(before["seconds"], "s"), si(before["joules"], "J")] if before["pulses"] else ["", ""]
        rows.append(
            (
                row["title"],
                percent(error["mean"]),
                interval,
                f"{row['pulses']['mean']:,.0f}" if "pulses" in row else "",
                si(row["training_time"]["mean"], "s"),
                si(row["training_energy"]["mean"], "J"),
                f"{before['pulses']:,.0f}" if before["pulses"] else "none",
                *counted,
                row["setting"],
            )
        )
    return {"headings": HEADINGS, "rows": rows}


def notes(document: Document) -> list[str]:
    """Say how settings were found, what calibration is, and what learns means."""
    return [
        f"Settings: {document['search']['sentence']}",
        f"Calibration: {document['calibration']['sentence']} Pulses, time and energy contain it.",
        "An algorithm learns if its mean test error is within 5 points of floating point, and does not if it is nearer "
        "to guessing.",
    ]
