"""CustomPair: pairs of devices whose conductances follow tables of your own.

A table gives a device's conductance at equally spaced weights from -max|W| to max|W|, with straight lines between.
With significances f_k, what the pairs hold together has to be proportional to the weight, else a weight could not be
read back:

    sum_k f_k (g+_k(w) - g-_k(w)) = r w    at every node                                                             (1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.base.elementwise import interpolate
from rpusim.kernels.inference.converters.base import Converter, Fit, largest

Tensor = torch.Tensor
_TOLERANCE = 1e-6  # of the largest value in (1)


@dataclass(frozen=True)
class CustomPair(Converter):
    """Let pairs of devices stand for a weight by tables of your own.

    tables: conductances in siemens, the positive and the negative device of each pair in turn; all equally long.
    significances: a factor for the current of each pair.
    """

    tables: tuple[tuple[float, ...], ...] = ((0.0, 0.0, 25e-6), (25e-6, 0.0, 0.0))
    significances: tuple[float, ...] = (1.0,)

    kind = "custom-pair"

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", tuple(tuple(table) for table in self.tables))
        object.__setattr__(self, "significances", tuple(self.significances))
        for factor in self.significances:
            checks.number("significances", factor, above=0.0)
        if len(self.tables) != 2 * len(self.significances) or not self.tables:
            raise InputError(
                f"tables: {len(self.tables)} were given for {len(self.significances)} significances; accepted are two "
                "tables for each pair"
            )
        nodes = {len(table) for table in self.tables}
        if len(nodes) != 1 or min(nodes) < 2:
            raise InputError(f"tables: lengths {sorted(nodes)} were given; accepted is one length of at least 2")
        for table in self.tables:
            for conductance in table:
                checks.number("tables", conductance, low=0.0)
        held = self._held()
        wanted = np.linspace(-1.0, 1.0, len(held)) * held[-1]
        if held[-1] <= 0.0 or np.abs(held - wanted).max() > _TOLERANCE * held[-1]:
            worst = int(np.abs(held - wanted).argmax())
            raise InputError(
                f"tables: at node {worst} the pairs hold {held[worst]:g} S together; accepted is what is proportional "
                f"to the weight, {wanted[worst]:g} S there, so that weights can be read back"
            )

    def _held(self) -> np.ndarray:
        """The left side of (1) at every node."""
        signs = np.repeat(self.significances, 2) * np.tile([1.0, -1.0], len(self.significances))
        held: np.ndarray = signs @ np.array(self.tables)
        return held

    @property
    def devices(self) -> int:
        return len(self.tables)

    @property
    def conductance_range(self) -> tuple[float, float]:
        return min(map(min, self.tables)), max(map(max, self.tables))

    def fit(self, weights: Tensor) -> Fit:
        return largest(weights), float(self._held()[-1]) / largest(weights)

    def conductances(self, weights: Tensor, fit: Fit) -> list[Tensor]:
        position = (weights / fit[0] + 1.0) * ((len(self.tables[0]) - 1) / 2)
        return [interpolate(position, tuple(torch.full_like(weights, g) for g in table)) for table in self.tables]

    def weights(self, conductances: Sequence[Tensor], fit: Fit) -> Tensor:
        total = torch.zeros_like(conductances[0])
        for pair, factor in enumerate(self.significances):
            total += factor * (conductances[2 * pair] - conductances[2 * pair + 1])
        return total / fit[1]
