"""Work out how long before an operation the parts that it needs are woken, on a chip that stops what waits.

With ``gating: idle`` or ``tile`` a part that has nothing to do is off, and works only when its wake time has passed. It
is woken ahead: the controller of a tile knows what a vector will need as soon as its turn has come, that is, when what
it waits for is there. So an operation begins at the earliest one wake time after that, and parts wake while the operand
is fetched, lines are driven, or the vector before is still at work. Where that takes longer than waking, it costs no
time.

What is not modelled: to wake while an operand still is on a link, or to leave parts on because the next vector is near.
Buffers stay on, and keep what is in them. A delay is a delay like any other: where a unit is shared it may change who
is served first, so that the whole may even end earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rpusim.arch.chips.description import TileKind
from rpusim.arch.parts.part import Part


@dataclass(frozen=True)
class Waking:
    """Hold wake times of what operations on one kind of tile need, in ps; 0: nothing is stopped.

    read:     to drive an array and let it settle.
    convert:  to convert its outputs.
    pulse:    to pulse or to write an array.
    digital:  to compute.
    """

    read: int = 0
    convert: int = 0
    pulse: int = 0
    digital: int = 0

    @staticmethod
    def of(kind: TileKind, parts: Mapping[str, Part], gating: str) -> Waking:
        """Find them.

        Args:
            kind: of tile.
            parts: of such a tile, by name.
            gating: of the chip.
        """
        if gating == "none":
            return Waking()
        support = {each.name: each.busy_during for each in kind.support}
        waiting = {name: part.wake_ps for name, part in parts.items() if part.idle_w}
        tile = 0
        if gating == "tile":
            tile = max((part.wake_ps for part in parts.values() if part.idle_w or part.leakage_w), default=0)

        def longest(names: set[str], during: str) -> int:
            needed = (ps for name, ps in waiting.items() if name in names or support.get(name) == during)
            return max(needed, default=0)

        return Waking(
            read=max(tile, longest({"array", "sample-and-hold", "input drivers"}, "drive")),
            convert=max(tile, longest({"ADC", "multiplexer"}, "convert")),
            pulse=max(tile, longest({"array", "pulse drivers"}, "pulse")),
            digital=max(tile, longest(set(), "digital")),
        )
