"""What a unit cell says about itself to the chip: how many arrays it takes, and what it does to them between updates.

A unit cell is what stands at a cross-point of a weight matrix: one device, or several on arrays of their own that learn
together. The cells themselves are in `rpusim.kernels.cells`, one file each, and return the values that are defined
here. The mapper counts arrays by `CellLayout`; where nothing is computed, `PeriodicWork` says what to expect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.digital_work import NOTHING, Work


@dataclass(frozen=True)
class CellLayout:
    """The arrays and digital words that a unit cell needs for every weight.

    Arrays are numbered from 0, in the order in which the kernel builds them; a reference comes last.

    name:       the cell's kind, such as "single" or "chopped-transfer".
    arrays:     how many arrays hold something of the weight.
    visible:    arrays that forward and backward passes read, all together.
    learning:   arrays that take the pulses of the gradient; empty if the gradient is collected digitally.
    targets:    for every array, the arrays that are written with what a transfer has read from it.
    slices:     what a transfer reads and writes at a time: a column, a row, or the whole array.
    words:      digital words kept per weight: hidden buffers, running means, gradients not yet written.
    reference:  the array that holds the symmetry points of array 0 and is read together with it; None: there is none.
    own_trains: whether the cell makes its pulses in a way of its own, and states what that takes digitally.
    """

    name: str = "single"
    arrays: int = 1
    visible: tuple[int, ...] = (0,)
    learning: tuple[int, ...] = (0,)
    targets: tuple[tuple[int, ...], ...] = ((0,),)
    slices: Literal["column", "row", "all"] = "column"
    words: int = 0
    reference: int | None = None
    own_trains: bool = False

    def read_for(self, array: int) -> tuple[int, ...]:
        """Name the arrays that are read together when a transfer reads ``array``."""
        return (array,) if array or self.reference is None else (array, self.reference)

    def with_reference(self) -> CellLayout:
        """Add an array that holds the symmetry points of array 0 and is read wherever that array is."""
        reference = self.arrays
        visible = (*self.visible, reference) if 0 in self.visible else self.visible
        targets = (*self.targets, (reference,))
        return replace(self, arrays=reference + 1, visible=visible, targets=targets, reference=reference)


SINGLE = CellLayout()
"""One device per weight, read and pulsed in place."""


@dataclass(frozen=True)
class FullTrains:
    """Stochastic pulse trains on all lines of a rectangle of cells at once.

    slots:          pulse slots of the train.
    rows, columns:  lines that are driven on either side.
    """

    slots: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Crossings:
    """One pulse for every position of a slice whose collected value has passed its threshold, none for the others.

    How many positions that are is up to the data; whoever has none assumes a probability.

    positions:  of the slice.
    along_row:  whether the slice is a row, so that one row line fires and a column line per position; else a column.
    arrays:     how many arrays take each pulse.
    """

    positions: int
    along_row: bool = False
    arrays: int = 1


@dataclass(frozen=True)
class PeriodicWork:
    """What a unit cell does to one block of an array between updates, at a period of its own.

    phase:        TRANSFER, or MAINTENANCE for refreshes.
    period:       vectors of the block from one time to the next, at least 1.
    slices:       how many slices are worked on each time; the other fields are for one of them.
    array:        the array that is read, or in maintenance read and written.
    passes:       reads.
    work:         digital operations by class, pulses aside.
    pulses:       what is written; None: nothing.
    """

    phase: Phase
    period: int
    slices: int = 1
    array: int = 0
    passes: int = 0
    work: Work = NOTHING
    pulses: FullTrains | Crossings | None = None
