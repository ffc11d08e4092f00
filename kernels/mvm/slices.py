"""Bit slices: one weight W cut over several cells of few levels, each read and converted for itself.

With K cells of b bits, L = 2^b - 1 the highest level of a cell, n = K b, and w the largest magnitude of the tile's
weights, a weight becomes an integer v, and v the digits d_k = 0 ... L of its cells, lowest first: v = sum 2^(bk) d_k.

    signed    v = rint((2^n - 1) |W| / w)                  cells hold the digits with the sign of the weight         (1)
    offset    v = rint((2^(n-1) - 1) W / w) + 2^(n-1)      cells hold the digits, which are never negative           (2)
    flipped   as offset; where the cells of a slice of an output could together exceed the converter's range, they
              hold L - d_k, if that is less                                                                          (3)

In (2) and (3) a unit line, a further output whose cells all stand at level 1, counts the inputs: from it the offset is
taken off, and a flipped slice is turned back, sum_j d u = L sum_j u - sum_j (L - d) u.

Source of (2) and (3): Shafiee et al., "ISAAC", ISCA 2016, sections on signed arithmetic and on the encoding scheme
(secondary reading).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError

Tensor = torch.Tensor

MOST_BITS = 32
"""The widest weight, in bits of all its cells together."""


class Encoding(StrEnum):
    """What the cells of a slice hold.

    SIGNED: digits with the sign of the weight, so a cell is a pair of devices, or can be read in both directions.
    OFFSET: digits of the weight plus half the range, which are never negative. FLIPPED: the same, or the complement.
    """

    SIGNED = "signed"
    OFFSET = "offset"
    FLIPPED = "flipped"


@dataclass(frozen=True)
class Slices:
    """How a weight is cut over cells.

    number:    cells of one weight. bits: of one cell, which has 2^bits levels from 0 to 1. encoding: see `Encoding`.

    InputError: a field is out of its range, or all cells together have more than 32 bits.
    """

    number: int = 8
    bits: int = 2
    encoding: Encoding = Encoding.SIGNED

    def __post_init__(self) -> None:
        checks.integer("number", self.number, low=1)
        checks.integer("bits", self.bits, low=1)
        object.__setattr__(self, "encoding", checks.choose(Encoding, "encoding", self.encoding))
        if not 2 <= self.number * self.bits <= MOST_BITS:
            raise InputError(
                f"number: {self.number} cells of {self.bits} bits were given; accepted are 2 to {MOST_BITS} bits in all"
            )

    @property
    def top(self) -> int:
        """The highest level of a cell, an integer; it counts as 1."""
        return (1 << self.bits) - 1

    @property
    def has_unit_line(self) -> bool:
        """Whether one more output counts the inputs."""
        return self.encoding is not Encoding.SIGNED

    @property
    def offset(self) -> int:
        """What is added to the integer of a weight before it is cut."""
        return 1 << (self.number * self.bits - 1) if self.has_unit_line else 0

    @property
    def largest(self) -> int:
        """The integer that stands for the largest weight, without the offset."""
        return (1 << (self.number * self.bits - self.has_unit_line)) - 1

    def factors(self, largest: float) -> list[float]:
        """Say what a read-out of 1 of each slice is worth in weight, the lowest first; ``largest``: weight."""
        return [largest * self.top * 2.0 ** (self.bits * k) / self.largest for k in range(self.number)]


class SlicedCells(NamedTuple):
    """What the cells of a tile's weights hold.

    levels:   (slices, outputs, inputs) from -1 to 1, float32; 1 is the highest level.
    flipped:  (slices, outputs) which of them hold complements.
    unit:     (inputs,) cells of the unit line; None: there is none.
    largest:  magnitude of the tile's largest weight.
    """

    levels: Tensor
    flipped: Tensor
    unit: Tensor | None
    largest: float

    @property
    def matrix(self) -> Tensor:
        """All lines that are read, slice by slice, at last the unit line: (lines, inputs)."""
        lines = self.levels.flatten(0, 1)
        return lines if self.unit is None else torch.cat([lines, self.unit[None]])

    @property
    def turned(self) -> SlicedCells:
        """What is read backwards, where the rows of each slice are driven for themselves; only cells with signs are."""
        assert self.unit is None, "no unit line is read backwards"
        levels = self.levels.transpose(1, 2)
        return SlicedCells(levels, self.flipped.new_zeros(levels.shape[:2]), None, self.largest)


def cut(weights: Tensor, slices: Slices, bound: float) -> SlicedCells:
    """Cut weights into the exact levels of their cells.

    weights: (outputs, inputs). slices: how. bound: the largest sum of levels that a conversion holds, in highest
    levels x full-scale inputs; only complements ask for it. <= 0: there is none.
    """
    wide = weights.double()
    largest = float(wide.abs().max()) if weights.numel() else 0.0
    largest = largest if 0.0 < largest < float("inf") else 1.0
    rounded = torch.round(wide * (slices.largest / largest))
    value = (rounded.abs() if slices.offset == 0 else rounded + slices.offset).to(torch.int64)
    digits = torch.stack([value >> slices.bits * k & slices.top for k in range(slices.number)])
    flipped = torch.zeros(digits.shape[:2], dtype=torch.bool, device=weights.device)
    if slices.encoding is Encoding.FLIPPED and bound > 0.0:
        total = digits.sum(2)
        flipped = (total > bound * slices.top * (1.0 + 1e-6)) & (2 * total > slices.top * weights.shape[1])
        digits = torch.where(flipped[:, :, None], slices.top - digits, digits)
    levels = digits.to(torch.float32) / slices.top
    if slices.offset == 0:
        levels = torch.where(rounded < 0, -levels, levels)
    unit = torch.full((weights.shape[1],), 1.0 / slices.top, device=weights.device) if slices.has_unit_line else None
    return SlicedCells(levels, flipped, unit, largest)


def merged(cells: SlicedCells, slices: Slices) -> Tensor:
    """Put together what the cells weigh, their unit line included: (outputs, inputs)."""
    levels, factors = cells.levels.double(), slices.factors(cells.largest)
    unit = torch.zeros_like(levels[0, :1]) if cells.unit is None else cells.unit.double() * slices.top
    total = torch.zeros_like(levels[0])
    for number, factor in enumerate(factors):
        held = torch.where(cells.flipped[number, :, None], unit - levels[number], levels[number])
        total = total + held * factor
    return (total - unit * (slices.offset * cells.largest / slices.largest)).float()
