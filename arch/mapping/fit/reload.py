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
"""

from __future__ import annotations

from collections.abc import Sequence

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.fit.site import Settled, Site, Weight, check
from rpusim.arch.mapping.grids import Grid, grid
from rpusim.errors import InputError


def reloaded(every: Sequence[Weight], chip: Chip, cell: CellLayout) -> list[Settled]:
    """Settle where weights go if they take turns; those that have "as-is" in their `Fit` never leave.

    every: the weights in the order of their use. chip, cell: as of `rpusim.arch.mapping.placement.place`.

    Raises `InputError` for several arrays per unit cell or replicas, for a weight that the chip does not hold at once,
    and if the chip does not say how its cells are written.
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
    for number, kind in enumerate(chip.tiles):
        mine = [k for k, chosen in enumerate(kinds) if chosen == number]
        if not mine:
            continue
        arrays, taking_turns = kind.count * kind.places, [k for k in mine if every[k].fit != "as-is"]
        turning = [cuts[k].blocks for k in taking_turns]
        lasting = sum(cuts[k].blocks for k in mine) - sum(turning)
        if max(turning, default=0) > arrays - lasting:
            largest = max(taking_turns, key=lambda k: cuts[k].blocks)
            raise InputError(
                f"chip {chip.name}: layer {every[largest].layer.name!r} needs {cuts[largest].blocks} arrays of "
                f"{kind.name!r} at once, but {max(arrays - lasting, 0)} of {arrays} can be reloaded; accepted: --fit "
                "grow, or a chip with more tiles"
            )
        if lasting > arrays:
            raise InputError(
                f"chip {chip.name}: layers that are to stay need {lasting} arrays of {kind.name!r}, but there are "
                f"{arrays}; accepted: fewer layers with as-is"
            )
        if sum(turning) > arrays - lasting:
            kind.writing(chip.name, "weights take turns on them (mapping.fit: reload)")
        held = [every[k].layer.rows * every[k].columns // cuts[k].blocks for k in taking_turns]
        places[number] = _Turns(turning, held, arrays, lasting)
    for weight, kind_number, cut in zip(every, kinds, cuts, strict=True):
        found.append(places[kind_number].settle(kind_number, cut, weight.fit == "as-is"))
    return found


def for_turns(sizes: Sequence[int], arrays: int) -> int:
    """Find the least q of equation 1; 0 if all blocks can stay.

    sizes: blocks of each weight, none of more than there are arrays.
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

    sizes: blocks of the weights that may take turns, in order. held: weights on each of their blocks. arrays: of the
    kind. lasting: blocks of others.
    """

    def __init__(self, sizes: Sequence[int], held: Sequence[int], arrays: int, lasting: int) -> None:
        self._turning = for_turns(sizes, arrays - lasting)
        stay = [max(0, size - self._turning) for size in sizes]
        spare = arrays - lasting - self._turning - sum(stay)
        for number in sorted(range(len(sizes)), key=lambda number: -held[number]):
            more = min(spare, sizes[number] - stay[number])
            stay[number] += more
            spare -= more
        self._stay = iter(stay)
        self._first = lasting + sum(stay)
        self._next, self._turn = 0, 0

    def settle(self, kind: int, cut: Grid, stays: bool) -> Settled:
        """Give arrays to the blocks of the next weight; stays: whether it never leaves."""
        staying = cut.blocks if stays else next(self._stay)
        arrays = list(range(self._next, self._next + staying))
        self._next += staying
        for _ in range(cut.blocks - staying):
            arrays.append(self._first + self._turn % self._turning)
            self._turn += 1
        return Settled(kind, cut, [(array, 0, 0) for array in arrays], cut.blocks - staying)
