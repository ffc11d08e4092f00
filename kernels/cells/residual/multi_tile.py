"""Multi-tile residual learning: several arrays of cells with few states, each for what the coarser ones leave.

    W = sum over k of gamma^k W_k,     k = 0 the coarsest of n arrays                             (1)

A cell with few states comes no nearer to a weight than a fraction of a step; the next array covers that fraction with
the same number of states, so that n arrays of s states resolve about gamma^-(n-1) s levels. Arrays start one after the
other (warm start): the gradient pulses array k alone, with the learning rate over gamma^k, until the error stands
still; then the arrays up to k rest, and k + 1 begins, at 0. What stands for the loss in a tile is the mean square of
the errors d that arrive, over ``patience`` mini-batches: it stands still when it is above (1 - ``improvement``) times
that of the ``patience`` mini-batches before. The sum of the squares is digital: a multiplication and an addition per
row and vector.

The paper compares losses and trains the finer arrays at rates of their own; the measure above, that coarser arrays
rest, and the numbers of ``patience`` and ``improvement`` are ours.

Li et al., "In-memory training on analog devices with limited conductance states via multi-tile residual learning",
arXiv:2510.02516 (2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.contract.digital_work import Work
from rpusim.errors import InputError
from rpusim.kernels.cells.base import MOST_ARRAYS, CellActivity, CellParameters, Site, UnitCell
from rpusim.kernels.cells.summed import SummedCell

Tensor = torch.Tensor


@dataclass(frozen=True)
class MultiTile(CellParameters):
    """Put several arrays of few states at every cross-point, which learn one after the other.

    number:       n, how many arrays.
    gamma:        what an array is worth in units of the coarser one before it: more than 0, at most 1.
    patience:     mini-batches over which errors are averaged.
    improvement:  by which share they have to fall for the same array to go on.

    Source: the module; the numbers are ours.
    """

    number: int = 3
    gamma: float = 0.25
    patience: int = 100
    improvement: float = 0.02

    kind = "multi-tile"

    def __post_init__(self) -> None:
        self._check("integer", ("number",), low=1, high=MOST_ARRAYS)
        super().__post_init__()
        self._check("number", ("gamma",), above=0.0, high=1.0)
        self._check("integer", ("patience",), low=1)
        self._check("number", ("improvement",), low=0.0, high=1.0)
        if self.gamma ** (self.number - 1) < 1e-6:
            raise InputError(f"gamma: {self.gamma} was given; accepted is a number whose power number - 1 is >= 1e-6")

    @property
    def arrays(self) -> int:
        return self.number

    @property
    def layout(self) -> CellLayout:
        """All arrays are seen. They take turns at learning, and the first stands for all."""
        targets = tuple((k,) for k in range(self.number))
        return CellLayout(self.kind, self.number, visible=tuple(range(self.number)), targets=targets)

    def work_per_vector(self, rows: int, columns: int) -> Work:
        """The square of every error, added up."""
        return Work(multiply=rows, add=rows)

    def build(self, site: Site) -> UnitCell:
        return MultiTileCell(self, site)


class MultiTileCell(SummedCell):
    """Hold the arrays, coarsest first.

    Counters: array, the one that learns; batches of the present mean; error, the sum of squares of its errors; before,
    the mean square that it has to be below.
    """

    def __init__(self, parameters: MultiTile, site: Site) -> None:
        worth = [parameters.gamma**k for k in range(parameters.number)]
        super().__init__(parameters, site, parameters.make_arrays(site), worth)
        self.t = parameters
        self.counters |= {"array": 0, "batches": 0, "error": 0.0, "errors": 0, "before": 0.0}

    def set_weights(self, weights: Tensor) -> None:
        """Program the coarsest array and set the others to 0; learning starts with the coarsest again."""
        for k, array in enumerate(self._arrays):
            array.set_weights(weights if k == 0 else torch.zeros(self.site.rows, self.site.columns))
        self.counters |= {"array": 0, "batches": 0, "error": 0.0, "errors": 0, "before": 0.0}
        self.show()

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        k = self.counters["array"]
        counts = self.pulse(k, x, d, learning_rate / self.worth[k])
        self.counters["updates"] += len(x)
        self._watch(d)
        self.show()
        return CellActivity(counts, self.t.work_per_vector(self.site.rows, self.site.columns))

    def _watch(self, d: Tensor) -> None:
        """Note the errors of a mini-batch; go on to the next array when they stand still."""
        c, t = self.counters, self.t
        c["error"] += float((d.double() ** 2).sum())
        c["errors"] += d.numel()
        c["batches"] += 1
        if c["batches"] < t.patience or not c["errors"]:
            return
        mean, before = c["error"] / c["errors"], c["before"]
        still = before > 0.0 and mean > (1.0 - t.improvement) * before
        c |= {"batches": 0, "error": 0.0, "errors": 0, "before": mean}
        if still and c["array"] < t.number - 1:
            c |= {"array": c["array"] + 1, "before": 0.0}
