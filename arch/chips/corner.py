"""Leakage of digital circuits and memories brought to one corner: low-standby transistors at 27 degrees Celsius.

Published figures of leakage are of different transistors, temperatures and tools; side by side on a chip they differ
by factors of a hundred and more per area, and standby then says more of the choice of sources than of the chip. A chip
file with ``leakage: low-standby`` has every card of a digital circuit leak in proportion to its area: `LOGIC` watts per
square metre, on-chip memory `MEMORY`. Both are of a 32 nm class; as in `scaling`, a circuit is taken to leak in
proportion to its area at every node.

Not brought there: analog circuits and what is not on the chip (as in `scaling`), and cards that leak nothing, as their
sources count leakage within another figure. At other corners: leakage doubles with about every ten degrees, and
high-performance transistors leak some hundred times as much.
"""

from __future__ import annotations

from collections.abc import Iterable

from rpusim.arch.chips.scaling import ANALOG_OR_ELSEWHERE
from rpusim.arch.parts.part import Card, Part

LOGIC = 88.0
"""W/m2 of logic: mean of 0.076 and 0.10 mW/mm2."""
LOGIC_SOURCE = "DNN+NeuroSim V2.1 rebuilt (Technology.cpp, 32 nm low standby power, 300 K): 0.076 to 0.10 mW/mm2"
MEMORY = 28.0
"""W/m2 of on-chip memory: 2.8 uW of 64 KB on 0.10 mm2."""
MEMORY_SOURCE = "CACTI, 64 KB SRAM at 32 nm, low standby power: 2.8 uW on 0.10 mm2"
UNLIKE = 10.0
"""By which factor neighbours may differ in leakage per area before a result warns of it."""


def at_low_standby(card: Card) -> Card:
    """Bring the leakage of a card to the corner of this module.

    card: of any part; analog ones, those off the chip and those without leakage stay as they are.
    Returns a card whose sources say so, or ``card`` itself.
    """
    if card.part in ANALOG_OR_ELSEWHERE or not card.leakage or not card.area:
        return card
    density, source = (MEMORY, MEMORY_SOURCE) if card.part == "buffer" else (LOGIC, LOGIC_SOURCE)
    how = f"leakage: low-standby, {density:g} W/m2 x area ({source}); the card itself has {card.leakage:.3g} W"
    return card.model_copy(
        update={
            "leakage": density * card.area,
            "basis": "derived",
            "ranges": {name: text for name, text in card.ranges.items() if name != "leakage"},
            "sources": {**card.sources, "leakage": how},
        }
    )


def densities(parts: Iterable[Part]) -> dict[str, float]:
    """Compute leakage per area (W/m2) of the digital parts that leak, by name, most first."""
    found = {
        part.name: part.card.leakage / part.card.area
        for part in parts
        if part.card.part not in ANALOG_OR_ELSEWHERE and part.card.leakage and part.card.area
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def mixture(parts: Iterable[Part], at_one_corner: bool) -> tuple[str, str]:
    """Say at which corner parts leak, and warn where their leakage per area differs more than `UNLIKE`-fold.

    parts: of the chip.
    at_one_corner: whether the chip's file asks for that.
    Returns two sentences, the second one empty if there is nothing to warn of.
    """
    found = densities(parts)
    if at_one_corner:
        says = "Digital circuits and memories leak as low-standby transistors at 27 degrees Celsius do."
    else:
        says = "Cards leak as their sources say, each at a corner of its own (leakage: as-published)."
    if len(found) < 2 or max(found.values()) <= UNLIKE * min(found.values()):
        return says, ""
    (most, high), (least, low) = next(iter(found.items())), list(found.items())[-1]
    return says, (
        f"Warning: per area, the {most} leaks {high / low:.0f} times as much as the {least} beside it "
        f"({high * 1e-3:.3g} and {low * 1e-3:.3g} mW/mm2); leakage: low-standby in the chip's file brings them "
        "together."
    )
