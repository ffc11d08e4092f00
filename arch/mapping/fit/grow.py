"""`grow`: the chip gets as many tiles as the network takes, and what follows from that: area, standby, longer ways."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.description import TileKind

SOURCE = "as many as the network takes (mapping.fit: grow)"


def grown(chip: Chip, arrays: Sequence[int]) -> Chip:
    """Return the chip with enough tiles, and a mesh that is wide enough to be no higher than wide.

    arrays: how many are needed of each kind of tile. A kind that has enough keeps its tiles, a chip that has enough of
    all is returned as it is.
    """
    kinds = tuple(_with(kind, -(-number // kind.places)) for kind, number in zip(chip.tiles, arrays, strict=True))
    if kinds == chip.tiles:
        return chip
    tiles, mesh = sum(kind.count for kind in kinds), chip.mesh
    columns = max(mesh.columns, math.isqrt(-(-tiles // mesh.tiles_per_router) - 1) + 1)
    if columns != mesh.columns:
        mesh = mesh.model_copy(update={"columns": columns, "sources": {**mesh.sources, "columns": SOURCE}})
    name = f"{chip.name} grown to {tiles} tiles"
    return chip.model_copy(update={"name": name, "tiles": kinds, "mesh": mesh})


def _with(kind: TileKind, tiles: int) -> TileKind:
    if tiles <= kind.count:
        return kind
    return kind.model_copy(update={"count": tiles, "sources": {**kind.sources, "count": SOURCE}})
