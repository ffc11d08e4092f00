"""`reload`: blocks take turns on the arrays, which are written anew while a sample goes through the network.

All blocks of a weight are on arrays while its vectors are multiplied. Weights come in a fixed order, sample after
sample. For such a cycle the fewest writes are made if as many blocks as possible stay for ever and the others take
turns on the rest: whoever evicts the block that is needed last (Belady, IBM Systems Journal 5:78, 1966) does nearly
that. If q arrays are for turns, of a weight of s blocks at least s - q have to stay, and so

    q + sum over weights of max(0, s - q)  <=  arrays                                                         (1)

The least such q is taken; what is left of the arrays holds more blocks for ever, of the weights with the largest blocks
first. Turns go round the q arrays, so they
wear alike, and an array can be written while another one is at work. Every block that takes turns is written once for
each use of its weight, unless nobody had its array meanwhile.

A weight of more blocks than there are arrays comes in *rounds*: parts of its blocks, row of blocks by row of blocks, as
few and as equal as possible, each of which counts as a weight of its own in equation 1. All vectors of a sample are
multiplied by one part, then by the next, and what outputs have been summed to waits in between. Alone on a arrays,
s blocks in p rounds take

    (s - a) p / (p - 1)                                                                                       (2)

writes, at least s - a + 1 whatever is done: more rounds save writes, but each waits for the one before. The fewest have
the least product of rounds and writes. A recurrent layer cannot come in rounds, as each of its steps needs all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.fit.site import Settled, Site, Weight, check
from rpusim.arch.mapping.grids import Grid, balanced, grid
from rpusim.errors import InputError


def reloaded(every: Sequence[Weight], chip: Chip, cell: CellLayout) -> list[Settled]:
    """Settle where weights go if they take turns; those that have "as-is" in their `Fit` never leave.

    every: the weights in the order of their use. chip, cell: as of `rpusim.arch.mapping.placement.place`.

    Raises `InputError` for several arrays per unit cell or replicas, for a recurrent layer that the chip does not hold
    at once, and if the chip does not say how its cells are written.
    """
    if cell.arrays > 1 or cell.words:
        raise InputError(
            f"mapping.fit: got reload for unit cells of kind {cell.name!r}, which hold more than their weight; "
            f"accepted: cells of kind {SINGLE.name!r}, or another way"
        )
    if copied := next((weight for weight in every if weight.copies > 1), None):
        raise InputError(
            f"mapping.fit: got reload and {copied.copies} replicas of layer {copied.layer.name!r}, but what takes "
            "turns has no room for copies; accepted: one of each, or another way"
        )
    site, kinds, found = Site(chip, cell), list[int](), list[Settled]()
    for weight in every:
        check(chip, weight)
        kinds.append(site.needed(weight)[1])
    cuts = [
        grid(weight.layer, weight.columns, chip.tiles[kind], 1, weight.cut)
        for weight, kind in zip(every, kinds, strict=True)
    ]
    places: dict[int, _Turns] = {}
    for number in sorted(set(kinds)):
        mine = [k for k, chosen in enumerate(kinds) if chosen == number]
        places[number] = _of_kind(chip, number, [every[k] for k in mine], [cuts[k] for k in mine])
    for weight, kind_number, cut in zip(every, kinds, cuts, strict=True):
        found.append(places[kind_number].settle(kind_number, cut, weight.fit == "as-is"))
    return found


def _of_kind(chip: Chip, number: int, every: Sequence[Weight], cuts: Sequence[Grid]) -> _Turns:
    """Hand out the arrays of one kind of tile, by its number, to the weights that go there, cut so."""
    kind = chip.tiles[number]
    arrays = kind.count * kind.places
    taking_turns = [(weight, cut) for weight, cut in zip(every, cuts, strict=True) if weight.fit != "as-is"]
    lasting = sum(cut.blocks for cut in cuts) - sum(cut.blocks for _, cut in taking_turns)
    if lasting + bool(taking_turns) > arrays:
        others = ", and the others at least 1" if taking_turns else ""
        raise InputError(
            f"chip {chip.name}: layers that are to stay need {lasting} arrays of {kind.name!r}{others}, but there are "
            f"{arrays}; accepted: fewer layers with as-is"
        )
    sizes, held = list[int](), list[int]()
    for weight, cut in taking_turns:
        parts = rounds(weight, cut.blocks, arrays - lasting)
        if parts is None:
            raise InputError(
                f"chip {chip.name}: layer {weight.layer.name!r} needs {cut.blocks} arrays of {kind.name!r} in each of "
                f"its {weight.layer.vectors} steps, but {arrays - lasting} of {arrays} can be reloaded, and they are "
                "reloaded once for a sample; accepted: --fit grow, chips, or a chip with more tiles"
            )
        sizes += parts
        held += [weight.layer.rows * weight.columns // cut.blocks] * len(parts)
    if sum(sizes) > arrays - lasting:
        kind.writing(chip.name, "weights take turns on them (mapping.fit: reload)")
    return _Turns(sizes, held, arrays, lasting)


def rounds(weight: Weight, blocks: int, arrays: int) -> tuple[int, ...] | None:
    """Share a weight's blocks among the fewest rounds, in each of which they have arrays at once.

    Returns how many there are in each; None if that is not possible.
    """
    if blocks > arrays and weight.layer.is_recurrent:
        return None
    return balanced(blocks, arrays)


def for_turns(sizes: Sequence[int], arrays: int) -> int:
    """Find the least q of equation 1; 0 if all blocks can stay.

    sizes: blocks of each weight, or of each of its rounds, none of more than there are arrays.
    """
    if sum(sizes) <= arrays:
        return 0
    low, high = 1, max(sizes)
    while low < high:
        middle = (low + high) // 2
        if middle + sum(max(0, size - middle) for size in sizes) <= arrays:
            high = middle
        else:
            low = middle + 1
    return low


class _Turns:
    """Hand out the arrays of one kind of tile: first those of blocks that stay, then those for turns.

    sizes: blocks of the weights that may take turns, in order, round by round. held: weights on each of their blocks.
    arrays: of the kind. lasting: blocks of others.
    """

    def __init__(self, sizes: Sequence[int], held: Sequence[int], arrays: int, lasting: int) -> None:
        self._turning = for_turns(sizes, arrays - lasting)
        stay = [max(0, size - self._turning) for size in sizes]
        spare = arrays - lasting - self._turning - sum(stay)
        for number in sorted(range(len(sizes)), key=lambda number: -held[number]):
            more = min(spare, sizes[number] - stay[number])
            stay[number] += more
            spare -= more
        self._rounds = iter(zip(sizes, stay, strict=True))
        self._first = lasting + sum(stay)
        self._next, self._turn = 0, 0

    def settle(self, kind: int, cut: Grid, stays: bool) -> Settled:
        """Give arrays to the blocks of the next weight; stays: whether it never leaves."""
        arrays, rounds, left = list[int](), list[tuple[int, int]](), cut.blocks
        while left:
            there, staying = (left, left) if stays else next(self._rounds)
            arrays += range(self._next, self._next + staying)
            self._next += staying
            for _ in range(there - staying):
                arrays.append(self._first + self._turn % self._turning)
                self._turn += 1
            rounds.append((there, there - staying))
            left -= there
        return Settled(kind, cut, [(array, 0, 0) for array in arrays], tuple(rounds))
