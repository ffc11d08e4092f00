"""Several equal chips in a row, joined each to the next, as one large chip: `chips N` of `mapping.fit`.

Tiles of each kind are numbered through all chips, the first chip first, and are filled in this order. DRAM, global
buffer and host link are at the first chip, once; circuits that a chip has once are there in all of them.
"""

from __future__ import annotations

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.parts.chip_link import UCIE

SOURCE = "as many chips as were asked for (mapping.fit: chips)"


def several(chip: Chip, number: int) -> Chip:
    """Return so many of a chip in a row, joined as its file says, or by `UCIE`; itself if it is one.

    Raises `InputError` if its card of the link lacks a cost.
    """
    if number == 1:
        return chip
    kinds = tuple(
        kind.model_copy(update={"count": kind.count * number, "sources": {**kind.sources, "count": SOURCE}})
        for kind in chip.tiles
    )
    support = tuple(part.model_copy(update={"count": part.count * number}) for part in chip.support)
    made = chip.model_copy(
        update={
            "name": f"{number} x {chip.name}",
            "tiles": kinds,
            "support": support,
            "chips": number,
            "between": chip.between or UCIE,
        }
    )
    bill_of_parts(made)
    return made
