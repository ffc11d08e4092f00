"""Hamiltonian: Stochastic Hamiltonian Descent, two arrays that exchange momentum and position, all lines at once.

A, shifted to its symmetry points so that these count as 0, takes the pulses of the gradient; C, which is the visible
weight, takes what parallel reads of A give:

    A <- A - lr_A d x^T          every vector, by pulses                                          (1)
    C <- C + lr_C (A u) u^T      every ``transfer_every`` vectors, by pulses of u and A u         (2)

u has an entry of +1 or -1 for every column, so that a read involves all rows and columns, and the write too: no cell
waits for its column's turn, and no digital memory is needed. As the vectors u are orthogonal over a cycle (the rows of
a Walsh-Hadamard matrix), or random, the mean of u u^T is the identity and (2) is C <- C + lr_C A on average; what one
column contributes to another cancels over the cycle (or on average).

Reading of the method: A plays a momentum and C a position. Each pulse on A at weight a of a soft-bounds device also
moves it by about -|step| a / b towards its symmetry point, which is friction; it dissipates what the gradients do not
agree on. With r the ratio lr_C / (k lr_A), k = transfer_every, the total energy, loss plus the cost of asymmetry,

    E = L(C) + r / 2 |A|^2,     dE = - friction r |A|^2 <= 0 on average,                          (3)

falls until A rests at its symmetry points, where C is at a minimum. Compare Tiki-Taka (`transfer`): the same two arrays
and the same dynamics on average, but one column at a time, so that C follows N times more slowly for N columns.

Onen, Gokmen, Todorov, Nowicki, del Alamo, Rozen, Haensch & Kim, "Neural network training with asymmetric crosspoint
elements", Front. Artif. Intell. 5:891624 (2022), describes the method; the choice of u, its cycle and the names of
parameters are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.cell_layout import CellLayout, FullTrains, PeriodicWork
from rpusim.errors import InputError
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.arrays.zero_shift import ShiftedArray
from rpusim.kernels.cells.base import (
    MOST_PAIRS,
    CellActivity,
    CellParameters,
    Extra,
    Name,
    Site,
    UnitCell,
    changed,
    joined,
)
from rpusim.kernels.devices import Device
from rpusim.kernels.mvm.multiply import IOParameters
from rpusim.kernels.pulses.execution import Way
from rpusim.kernels.pulses.specification import UpdateCounts, UpdateParameters

Tensor = torch.Tensor


@dataclass(frozen=True)
class Hamiltonian(CellParameters):
    """Learn by Stochastic Hamiltonian Descent.

    transfer_every:   vectors from one parallel read of A to the next.
    fast_lr:          learning rate of A, times that of the optimizer if scale_fast_lr.
    transfer_lr:      learning rate of C, times that of the optimizer if scale_transfer_lr.
    scale_fast_lr, scale_transfer_lr: whether these are times that of the optimizer.
    orthogonal:       vectors u in cycles of a Walsh-Hadamard matrix (else random signs).
    transfer_forward: periphery of the read; its noise and bound management are always off.
    transfer_update:  how the write is pulsed.
    zero_shift_pairs: pairs of pulses that find A's symmetry points; 0: A counts from 0.
    """

    transfer_every: int = 1
    fast_lr: float = 1.0
    scale_fast_lr: bool = True
    transfer_lr: float = 1.0
    scale_transfer_lr: bool = True
    orthogonal: bool = True
    transfer_forward: IOParameters = field(default_factory=IOParameters)
    transfer_update: UpdateParameters = field(default_factory=UpdateParameters)
    zero_shift_pairs: int = 2000

    kind = "hamiltonian"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("integer", ("transfer_every",), low=1)
        self._check("integer", ("zero_shift_pairs",), low=0, high=MOST_PAIRS)
        self._check("number", ("fast_lr", "transfer_lr"), above=0.0)
        self._check("flag", ("scale_fast_lr", "scale_transfer_lr", "orthogonal"))
        checks.instance("transfer_forward", self.transfer_forward, IOParameters)
        checks.instance("transfer_update", self.transfer_update, UpdateParameters)
        if self.transfer_forward.inp_bound > 0.0 and self.transfer_forward.inp_bound < 1.0:
            raise InputError(
                f"transfer_forward.inp_bound: {self.transfer_forward.inp_bound} was given; accepted is at least 1, "
                "so that the inputs of +-1 are not clipped"
            )

    @property
    def arrays(self) -> int:
        return 2

    @property
    def layout(self) -> CellLayout:
        """A learns and is written to C, which is visible; with zero-shifting A has a reference."""
        made = replace(super().layout, visible=(1,), targets=((1,), (1,)), slices="all")
        return made.with_reference() if self.zero_shift_pairs else made

    @property
    def calibration_pairs(self) -> int:
        return self.zero_shift_pairs

    def periodic_work(self, device: Device, rows: int, columns: int, vectors: int) -> Iterator[PeriodicWork]:
        """One read of the whole array A, and pulses on the whole array C."""
        trains = FullTrains(self.transfer_update.desired_bl, rows, columns)
        yield PeriodicWork(Phase.TRANSFER, self.transfer_every, passes=1, pulses=trains)

    def build(self, site: Site) -> UnitCell:
        return HamiltonianCell(self, site)


class HamiltonianCell(UnitCell):
    """Hold the arrays A (momentum) and C (position, the visible weights)."""

    def __init__(self, parameters: Hamiltonian, site: Site) -> None:
        fast, slow = parameters.make_arrays(site)
        shifted: DeviceArray | ShiftedArray = fast
        if parameters.zero_shift_pairs:
            shifted = ShiftedArray(fast, site.array(2, fast.device), parameters.zero_shift_pairs)
        super().__init__(parameters, site, [shifted, slow])
        self.h = parameters
        self.transfer_update = parameters.transfer_update.executed_as(site.update)
        self.counters["reads"] = 0
        self.rename()

    def rename(self) -> None:
        site = self.site
        self.reader = Reader(self.h.transfer_forward, site.rows, site.columns, (*site.stream, Name.READ), True)

    @property
    def weights(self) -> Tensor:
        weights: Tensor = self._arrays[1].weights
        return weights

    def set_weights(self, weights: Tensor) -> None:
        """Program C, and put A to rest."""
        self._arrays[0].set_weights(torch.zeros(self.site.rows, self.site.columns))
        self._arrays[1].set_weights(weights)
        self.counters["updates"] = 0

    def way(self, index: int) -> Way | None:
        way: Way | None = self._arrays[index].way((self.site.update, self.transfer_update)[index])
        return way

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        vectors, start, period = len(x), self.counters["updates"], self.h.transfer_every
        fast = self.h.fast_lr * (learning_rate if self.h.scale_fast_lr else 1.0)
        slow = self.h.transfer_lr * (learning_rate if self.h.scale_transfer_lr else 1.0)
        parts: list[UpdateCounts] = []
        extra = Extra()
        at = 0
        while at < vectors:
            stop = min(at + period - (start + at) % period, vectors)
            parts.append(self.pulse(0, x[at:stop], d[at:stop], fast))
            at = stop
            self.counters["updates"] = start + at
            if (start + at) % period == 0:
                self._transfer(slow, extra, at - 1)
        return CellActivity(joined(parts), extra=extra)

    def _transfer(self, rate: float, extra: Extra, vector: int) -> None:
        """Read A with the next vector u, and pulse C: equation 2. ``vector`` made it due."""
        fast, slow = self._arrays
        count = self.counters["reads"]
        u = self._signs(count).to(slow.weights.device)
        y = self.reader.multiply(fast.weights, u, count, self.path_now)
        before = slow.weights.clone()
        counts = slow.pulse(u, -y, rate, self.transfer_update)
        self.counters["reads"] = count + 1
        extra.add(vector, passes=1, writes=changed(before, slow.weights), counts=counts)

    def _signs(self, count: int) -> Tensor:
        """Make the vector u of a read, +1 or -1 (1, columns): a row of a Walsh-Hadamard matrix, or random signs."""
        columns = self.site.columns
        if not self.h.orthogonal:
            draws = self.uniform(Name.CHOICE, np.array([count]), columns)
            return torch.where(draws < 0.5, -1.0, 1.0)
        size = 1 << max(columns - 1, 0).bit_length()
        shared = np.arange(columns) & (count % size)
        odd = np.zeros(columns, np.int64)
        while shared.any():
            odd ^= shared & 1
            shared = shared >> 1
        return torch.from_numpy(1.0 - 2.0 * odd).float()[None]
