"""What both drawings of a response share: the axis of the weights, and words for the numbers beside it."""

from __future__ import annotations

import math

from rpusim.reports.words.figures import Document


def weight_range(document: Document) -> tuple[float, float]:
    """Choose the lowest and the highest weight of a drawing.

    The mean cell is shown whole; sampled cells at most half the range between its bounds beyond them.
    """
    low, high = document["bounds"]
    margin = 0.5 * (high - low)
    seen = [value for curve in document["response"]["cells"] for value in curve]
    mean = document["response"]["mean"]
    lowest, highest = min([*seen, *mean]), max([*seen, *mean])
    lowest, highest = max(lowest, min(min(mean), low - margin)), min(highest, max(max(mean), high + margin))
    return lowest, highest if highest > lowest else lowest + 1.0


def weight_ticks(low: float, high: float) -> list[float]:
    """Choose round weights from ``low`` to ``high``, at most nine of them."""
    step = next(m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5) if (high - low) / (m * 10.0**e) <= 8)
    first = math.ceil(low / step - 1e-9)
    return [round(step * place, 9) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def sampled_cells(document: Document) -> str:
    """Name the sampled cells in a legend: "5 sampled cells"."""
    count = len(document["response"]["cells"])
    return f"{count} sampled cell{'s' if count > 1 else ''}"


def number_of_states(document: Document) -> str:
    """Write how many steps lie between the bounds, with a decimal where they are few."""
    return f"{document['states']:,.0f}" if document["states"] >= 10 else f"{document['states']:.1f}"


def signed(value: float, unit: str = "") -> str:
    """Write a number with its sign and two decimals, or with a unit and none; what is rounded to zero has no sign.

    >>> signed(0.25), signed(-12.3, "%"), signed(-0.001)
    ('+0.25', '-12%', '0.00')
    """
    words = f"{value:+.0f}" if unit else f"{value:+.2f}"
    return f"{words[1:] if not float(words) else words}{unit}"
