"""Where accuracy is lost: the words of a waterfall and of the layers' signal to noise, and what the terminal shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words.figures import Document
from rpusim.reports.words.readable import age, count, percent

CAUSES_HEAD = ("cause", "test error", "95 %", "adds", "95 %", "")
LAYERS_HEAD = ("layer", "output, dB", "alone, dB", "weights, dB")
RATIOS = ("output_dB", "alone_dB", "weights_dB")
RATIO_WORDS = (
    "output: of a layer's product on the chip, with the errors of all layers before it; alone: of the layer itself, "
    "given clean inputs; weights: what its cells hold beside what was to be written. 20 dB: the error has a tenth of "
    "the signal's size."
)


def title(found: Document) -> str:
    """Say what is divided: "Where accuracy is lost, 1 year after programming"."""
    return f"Where accuracy is lost, {age(found['seconds_since_programming'])} after programming"


def sentence(found: Document) -> str:
    """Say how much is lost in all, and what costs most."""
    rows = found["causes"]
    lost = rows[-1]["test_error"] - rows[0]["test_error"]
    said = (
        f"From {percent(rows[0]['test_error'])} in floating point to {percent(rows[-1]['test_error'])} on the chip, "
        f"{points(lost)} points in all"
    )
    worst = max(rows[1:], key=lambda row: row["added"], default=None)
    if worst is None or worst["added"] <= 0.0:
        return f"{said}; no cause adds to the error."
    sure = "" if worst["added_low"] > 0.0 else ", which may be chance"
    return f"{said}; most is added by {worst['cause']}: {points(worst['added'])} points{sure}."


def notes(found: Document) -> list[str]:
    """Say in which order causes come, what intervals mean, and which causes this network does not have."""
    said = [
        found["order"],
        f"Intervals are of {found['draws']} draw{'s' if found['draws'] > 1 else ''} of noise, programming and drift of "
        f"one network, on {count(found['samples'])} test samples; networks that are trained anew may differ by more.",
    ]
    if found["absent"]:
        said.append(f"Not here: {', '.join(found['absent'])}.")
    return said


def points(share: float) -> str:
    """Write a difference of two shares in percentage points with its sign: +1.4, −0.3, 0.

    >>> points(0.0143), points(-0.002), points(0.0)
    ('+1.4', '−0.20', '0')
    """
    hundred = 100 * share
    if abs(hundred) < 5e-4:
        return "0"
    digits = f"{abs(hundred):.1f}" if abs(hundred) >= 1 else f"{abs(hundred):.2f}"
    return f"{'+' if hundred > 0 else '−'}{digits}"


def decibels(value: Any) -> str:
    """Write a ratio in decibels: 24.3, or ∞ where there is no error.

    >>> decibels(24.31), decibels("inf"), decibels(-3.0)
    ('24.3', '∞', '−3.0')
    """
    value = float(value)
    if math.isinf(value):
        return "∞"
    return f"{value:.1f}".replace("-", "−")


def cause_rows(found: Document) -> list[list[str]]:
    """Write a row of texts for each cause, in the order of `CAUSES_HEAD`."""
    rows = []
    for row in found["causes"]:
        added = ["", ""]
        if "added" in row:
            added = [points(row["added"]), _range(row["added_low"], row["added_high"], points)]
        rows.append(
            [
                row["cause"],
                percent(row["test_error"]),
                _range(max(row["low"], 0.0), min(row["high"], 1.0), percent),
                *added,
                row["meaning"],
            ]
        )
    return rows


def _range(low: float, high: float, written: Callable[[float], str]) -> str:
    """Write an interval; nothing where all draws gave the same."""
    return f"{written(low)} to {written(high)}" if low < high else ""


def layer_rows(found: Document) -> list[list[str]]:
    """Write a row of texts for each layer, in the order of `LAYERS_HEAD`."""
    return [
        [row["layer"], *(decibels(row[ratio]["mean"]) if ratio in row else "" for ratio in RATIOS)]
        for row in found["layers"]
    ]


def shown(found: Document) -> RenderableType:
    """Show a waterfall on a terminal: the sentence, a table of causes, and one of layers."""
    return Group(
        Text(title(found), style="bold"),
        Text(sentence(found)),
        "",
        _table(CAUSES_HEAD[:-1], [row[:-1] for row in cause_rows(found)], "lrrrr"),
        "",
        _table(LAYERS_HEAD, layer_rows(found), "lrrr"),
        "",
        *(Text(note, style="dim") for note in (*notes(found), RATIO_WORDS)),
    )


def _table(head: tuple[str, ...], rows: list[list[str]], sides: str) -> Table:
    """Make a table without lines; sides: l or r for each column."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name, side in zip(head, sides, strict=True):
        table.add_column(name, justify="right" if side == "r" else "left")
    for row in rows:
        table.add_row(*row)
    return table
