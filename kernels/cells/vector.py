"""Vector: several devices per cross-point that share one weight.

    W = sum_k gamma_k W_k,      gamma_k = 1/n unless given                                        (1)

    all                every device gets the same coincidences (the lines fire once), each with its own noise
    single_fixed       one device learns, the others stay
    single_sequential  the device that learns advances by one before each vector
    single_random      it is drawn for each vector

The numbers of pulses follow from the mean granularity of the devices. Several devices per weight reduce variations and
noise: Gokmen, Onen & Haensch, Front. Neurosci. 11:538 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.arch.contract import checks
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.errors import InputError
from rpusim.kernels.cells.base import (
    MOST_ARRAYS,
    CellActivity,
    CellParameters,
    Name,
    Site,
    UnitCell,
    scattered,
    together,
)
from rpusim.kernels.cells.summed import SummedCell

Tensor = torch.Tensor


class Policy(StrEnum):
    """Choose the devices that learn from a vector; see the module's docstring."""

    ALL = "all"
    SINGLE_FIXED = "single_fixed"
    SINGLE_SEQUENTIAL = "single_sequential"
    SINGLE_RANDOM = "single_random"


@dataclass(frozen=True)
class Vector(CellParameters):
    """Put several devices at every cross-point.

    number:       how many devices.
    policy:       a `Policy` or its name: which of them learn.
    first_index:  the device that learns (single_fixed), or that learned last (single_sequential).
    gamma:        weights of the devices in the sum; empty: 1/n each.

    Source: Gokmen, Onen & Haensch (2017); policies and their names as in AIHWKit (Rasch et al. 2021).
    """

    number: int = 2
    policy: Policy = Policy.ALL
    first_index: int = 0
    gamma: tuple[float, ...] = ()

    kind = "vector"

    def __post_init__(self) -> None:
        self._check("integer", ("number",), low=1, high=MOST_ARRAYS)
        super().__post_init__()
        object.__setattr__(self, "policy", checks.choose(Policy, "policy", self.policy))
        object.__setattr__(self, "gamma", tuple(self.gamma))
        self._check("integer", ("first_index",), low=0)
        if self.first_index >= self.number:
            raise InputError(f"first_index: {self.first_index} was given; accepted is 0 to {self.number - 1}")
        if self.gamma and len(self.gamma) != self.number:
            raise InputError(f"gamma: {len(self.gamma)} were given; accepted are {self.number}, one for each device")

    @property
    def arrays(self) -> int:
        return self.number

    @property
    def layout(self) -> CellLayout:
        """All arrays are seen. Of those that take turns at learning, ``first_index`` stands for all: they are alike."""
        everything = tuple(range(self.number))
        learning = everything if self.policy is Policy.ALL else (self.first_index,)
        return replace(super().layout, visible=everything, learning=learning)

    @property
    def arrays_per_coincidence(self) -> int:
        return self.number if self.policy is Policy.ALL else 1

    @property
    def only_learns(self) -> bool:
        return True

    def build(self, site: Site) -> UnitCell:
        return VectorCell(self, site)


class VectorCell(SummedCell):
    """Hold ``number`` arrays on the same drivers."""

    def __init__(self, parameters: Vector, site: Site) -> None:
        number = parameters.number
        super().__init__(parameters, site, parameters.make_arrays(site), parameters.gamma or (1.0 / number,) * number)
        self.policy = parameters.policy
        self.counters["index"] = parameters.first_index

    def set_weights(self, weights: Tensor) -> None:
        """Set every device to these weights (with single_fixed only the one that learns)."""
        fixed = self.policy is Policy.SINGLE_FIXED
        for array in [self._arrays[self.counters["index"]]] if fixed else self._arrays:
            array.set_weights(weights)
        self.show()

    def set_index(self, index: int) -> None:
        """Choose the device that learns and is set under the policy single_fixed."""
        checks.integer("index", index, low=0)
        if index >= len(self._arrays):
            raise InputError(f"index: {index} was given; accepted is 0 to {len(self._arrays) - 1}")
        self.counters["index"] = index

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        vectors, number = len(x), len(self._arrays)
        if self.policy is Policy.ALL:
            lines = (*self.site.stream, Name.DRIVERS)
            counts = together([self.pulse(k, x, d, learning_rate, lines=lines) for k in range(number)])
        elif self.policy is Policy.SINGLE_FIXED:
            counts = self.pulse(self.counters["index"], x, d, learning_rate)
        else:
            chosen = self._chosen(vectors)
            parts = []
            for k in range(number):
                # The arrays do not see each other, so each takes its vectors at once.
                places = np.flatnonzero(chosen == k)
                if len(places):
                    if self._arrays[k].recorder is not None:
                        self._arrays[k].recorder.places = places
                    where = torch.from_numpy(places).to(x.device)
                    parts.append((places, self.pulse(k, x[where], d[where], learning_rate)))
            counts = scattered(vectors, parts)
        self.counters["updates"] += vectors
        self.show()
        return CellActivity(counts)

    def _chosen(self, vectors: int) -> NDArray[np.int64]:
        """Choose the array that learns, for each of the next vectors."""
        number = len(self._arrays)
        chosen: NDArray[np.int64]
        if self.policy is Policy.SINGLE_SEQUENTIAL:
            chosen = (self.counters["index"] + 1 + np.arange(vectors)) % number
        else:
            steps = self.counters["updates"] + np.arange(vectors)
            chosen = (self.uniform(Name.CHOICE, steps, 1)[:, 0] * number).long().numpy()
        self.counters["index"] = int(chosen[-1]) if vectors else self.counters["index"]
        return chosen
