"""What would happen if a network were placed on a chip, way by way: what `rpusim map --all` lists.

Nothing is placed where a count says enough, so that a table of all networks and chips takes seconds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.fit.reload import for_turns, rounds
from rpusim.arch.mapping.fit.site import HasWeights, Site, Weight, check, tiles_for, weights
from rpusim.arch.mapping.fit.wanted import Fit
from rpusim.errors import InputError


@dataclass(frozen=True)
class Prospect:
    """How a network would fit on a chip.

    there:        arrays of the chip.
    needed:       arrays that it takes if every block has one of its own, of the kinds that suit the layers best.
    as_is:        whether the chip has them.
    packed:       arrays that it takes if they are shared; None: the chip has too few.
    utilisation:  cells with weights over those of the arrays used, packed if it is; None: it fits neither way.
    written:      blocks that are written for every sample of inference if they take turns; None: they cannot.
    tiles:        that the chip would need, besides other kinds that it has, for each block to have an array.
    refused:      why no number of tiles would do; "": some number does.
    """

    there: int
    needed: int
    as_is: bool
    packed: int | None
    utilisation: float | None
    written: int | None
    tiles: int
    refused: str = ""

    @property
    def way(self) -> str:
        """The first way that does: "as-is", "pack", "reload" or "grow"; "" if none does."""
        if self.refused:
            return ""
        ways = {"as-is": self.as_is, "pack": self.packed is not None, "reload": self.written is not None, "grow": True}
        return next(way for way, does in ways.items() if does)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"way": self.way, **asdict(self)}


def prospect(network: HasWeights, chip: Chip) -> Prospect:
    """Find how a network would fit on a chip, biases in columns, with single cells and without replicas."""
    kinds = chip.tiles
    there = sum(kind.count * kind.places for kind in kinds)
    every = list(weights(network, True, Fit()))
    try:
        for weight in every:
            check(chip, weight)
    except InputError as error:
        return Prospect(there, 0, False, None, None, None, 0, str(error))
    site = Site(chip)
    wanted = sum(site.needed(weight)[0] for weight in every)
    as_is = wanted <= there and all(site.settle(weight) for weight in every)
    packed = Site(chip)
    fits = _room(every, chip) and all(packed.settle(weight) for weight in weights(network, True, Fit("pack")))
    arrays = sum(each.taken for each in packed.arrays) if fits else None
    used = packed if fits else site if as_is else None
    utilisation = None if used is None else _utilisation(every, chip, used)
    return Prospect(there, wanted, as_is, arrays, utilisation, _written(every, site), sum(tiles_for(every, site)))


def _written(every: list[Weight], site: Site) -> int | None:
    """Count the blocks that are written for a sample, see `rpusim.arch.mapping.fit.reload`; None: there is no way."""
    sizes: dict[int, list[int]] = {}
    for weight in every:
        blocks, kind = site.needed(weight)
        tiles = site.chip.tiles[kind]
        parts = rounds(weight, blocks, tiles.count * tiles.places)
        if parts is None:
            return None
        sizes.setdefault(kind, []).extend(parts)
    written = 0
    for number, mine in sizes.items():
        tiles = site.chip.tiles[number]
        arrays = tiles.count * tiles.places
        if turning := for_turns(mine, arrays):
            if tiles.programming is None:
                return None
            written += sum(mine) - (arrays - turning)
    return written


def _held(every: list[Weight]) -> int:
    return sum(weight.layer.rows * weight.columns for weight in every)


def _room(every: list[Weight], chip: Chip) -> bool:
    """Tell whether the chip has as many places for weights as there are weights."""
    room = sum(kind.count * kind.places * kind.array.weight_rows * kind.array.columns for kind in chip.tiles)
    return _held(every) <= room


def _utilisation(every: list[Weight], chip: Chip, site: Site) -> float:
    cells = [
        arrays.taken * kind.array.weight_rows * kind.array.columns
        for arrays, kind in zip(site.arrays, chip.tiles, strict=True)
    ]
    return _held(every) / sum(cells)
