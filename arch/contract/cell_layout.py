"""."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CellLayout:
    """What a unit cell needs of the chip, for every weight.

    arrays:     how many arrays hold something of it.
    visible:    which of them are read, together, by forward and backward passes.
    learning:   which take the pulses of the gradient; none if it is collected digitally.
    targets:    of every array, those that are written with what a transfer has read from it.
    slices:     what a transfer reads and writes at a time: a column, a row, or all of an array.
    words:      digital words kept per weight (hidden buffers, references, gradients not yet written).
    reference:  an array that is read together with array 0, whose symmetry points it holds; None: there is none.
    """

    name: str = "single"
    arrays: int = 1
    visible: tuple[int, ...] = (0,)
    learning: tuple[int, ...] = (0,)
    targets: tuple[tuple[int, ...], ...] = ((0,),)
    slices: Literal["column", "row", "all"] = "column"
    words: int = 0
    reference: int | None = None

    def read_for(self, array: int) -> tuple[int, ...]:
        """Arrays that are read together when a transfer reads this one."""
        return (array,) if array or self.reference is None else (array, self.reference)


SINGLE = CellLayout()
