"""The activity of a weight that a module uses more than once: told apart by use, as the chip's plan counts it.

A module that is called twice, a loop that is written out, or two modules with one weight have one `AnalogLayer`, and
one set of tiles: what its vectors find there, all uses before them have left, and the pairs of all uses are collected
in one gradient and sent in the order of the calls. In the network each use is a layer of its own (`Network.uses`), so
the rows that the tiles write get the layer of the call that they come from: the first call within a call of the whole
module is the first use, and so on. Rows of a use of the weight transposed also get the number that the tile's block has
there; what they say of rows and columns is said of the array's lines whichever way they are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.mapping.placement import PlacedLayer
from rpusim.kernels.layers import AnalogLayer


class UsesLog(ActivityLog):
    """Hand on what the tiles of one layer write, with the layer of the network that each row belongs to.

    log:    where the rows go.
    layer:  whose tiles write here.
    uses:   the network's layers that use its weight, as they are placed, in the order in which they do.
    """

    def __init__(self, log: ActivityLog, layer: AnalogLayer, uses: Sequence[PlacedLayer]) -> None:
        super().__init__()
        self._log, self._layer, self.uses = log, layer, tuple(use.index for use in uses)
        self.tiles = tuple(np.argsort(_as_on_arrays(use)) if use.turned else None for use in uses)
        """By use: the number of every tile among the blocks of the use; None: the tile's own."""

    def follow(self, module: nn.Module) -> None:
        """Be told of every call of the whole ``module``, in which the uses are counted from the first one."""
        module.register_forward_pre_hook(self._begin)

    def _begin(self, module: nn.Module, given: object) -> None:
        """Let the calls of the layer go on at a multiple of its uses, so that the remainder says which use one is."""
        every = len(self.uses)
        self._layer.calls = -(-self._layer.calls // every) * every

    @property
    def whole(self) -> ActivityLog:
        """The log of the whole run."""
        return self._log.whole

    def append(self, length: int, **columns: ArrayLike) -> None:
        """Hand rows on; those of an update count the vectors of each use by themselves."""
        at_work = self._layer.at_work
        vector = np.broadcast_to(np.asarray(columns.get("vector", 0)), (length,))
        if isinstance(at_work, int):  # a multiplication, or maintenance, which belongs to the first use
            number = at_work % len(self.uses) if np.all(vector >= 0) else 0
            self._log.append(length, **columns | {"layer": self.uses[number], "tile": self._tile(number, columns)})
            return
        use = at_work % len(self.uses)
        within = np.zeros(len(use), np.int64)
        for number in range(len(self.uses)):
            within[use == number] = np.arange(np.count_nonzero(use == number))
        of_rows = np.where(vector >= 0, use[vector], 0)
        for number, index in enumerate(self.uses):
            mine = np.flatnonzero(of_rows == number)
            if len(mine):
                own: dict[str, Any] = {}
                for name, values in columns.items():
                    own[name] = np.asarray(values)[mine] if np.ndim(values) else values
                own |= {"layer": index, "vector": np.where(vector[mine] >= 0, within[vector[mine]], vector[mine])}
                own["tile"] = self._tile(number, own)
                self._log.append(len(mine), **own)

    def _tile(self, use: int, columns: Mapping[str, Any]) -> Any:
        """Return the number that a tile has among the blocks of a use."""
        numbers, tile = self.tiles[use], columns.get("tile", 0)
        return tile if numbers is None else int(numbers[tile])


def _as_on_arrays(placed: PlacedLayer) -> list[int]:
    """List the tile of every block of a use of a weight transposed, as they are numbered on the arrays."""
    return [block.tile if block.turned is None else block.turned.tile for block in placed.blocks]
