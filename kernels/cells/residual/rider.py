"""Tracked residual learning (RIDER, E-RIDER): the symmetry point is found while learning, not calibrated before.

Three arrays P, W and R, a chopper c = +1 or -1 for all of a tile, a digital mean Q and a buffer H. With the read-out v
of column i,

    W + gamma c (P - R)             is what forward and backward passes see                       (1)
    P <- P - alpha c d x^T          every vector, by pulses                                       (2)
    omega = H + kappa c (v - Q),    Q <- (1 - eta) Q + eta v                                      (3)
    n = trunc(omega), at most desired_bl;   H <- omega - n;   W takes n pulses                    (4)
    R <- R + (Q - R)                every N cycles through all columns, when c <- -c              (5)

Pulses drag P to the symmetry points of its cells, wherever these are: Q follows P and finds them (eta: ``mean_share``),
so that only what P holds beyond goes to W, and R takes the same out of what is seen. RIDER has no chopper, and N is
``program_every``. E-RIDER flips c every N = max(ceil(1 / in_chop_prob), 2) cycles, so that what eta leaves of the
gradient in Q, and errors of the read-outs, average out. kappa, the threshold of 1, ``auto_scale`` and
``auto_granularity`` are those of `rpusim.kernels.cells.tiki_taka.chopped`, on whose code the paper's stands.

Without a chopper, the sum of v - Q over all reads of a cell is the way of Q over eta, so that W - (beta / eta) Q stays
where it was (beta: what a read-out is worth in W): RIDER reaches weights W only with Q at (eta / beta) W, and needs an
eta far below beta. With the sign that changes, E-RIDER is free of that.

Equation 5 is one read of each column of R through the converters, and one pulsed update by the difference
(``program``): what a train of pulses misses stays until the next time. Digital operations per transferred column of N:
2 N multiplications, 4 N additions and N comparisons, as for AGAD; per programmed column N additions.

Ours, as the paper does not say: a fixed period of the chopper and its flip at the end of a cycle; how R is programmed;
that equation 3 takes Q as it was before v; mean_share.

Xiao, Li, Wu, Gokmen & Chen, "Dynamic symmetric point tracking: Tackling non-ideal reference in analog in-memory
training", arXiv:2602.21321 (2026).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.cell_layout import CellLayout, FullTrains, PeriodicWork
from rpusim.arch.contract.digital_work import Work
from rpusim.errors import InputError
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.cells.base import Extra, Name, Site, UnitCell
from rpusim.kernels.cells.residual.residual_learning import sees_residual
from rpusim.kernels.cells.tiki_taka.chopped import ChoppedTransfer, ChoppedTransferCell
from rpusim.kernels.cells.tiki_taka.loops import COLUMN, FRESH, VECTOR, Collecting, Numbers
from rpusim.kernels.cells.tiki_taka.transfer import Turn
from rpusim.kernels.devices import Device
from rpusim.kernels.pulses.trains import Execution, UpdateParameters

Tensor = torch.Tensor

P, W, R = range(3)
"""The arrays, in the order of the layout."""


@dataclass(frozen=True)
class Rider(ChoppedTransfer):
    """Learn by RIDER, or with choppers by E-RIDER; besides the parameters of `ChoppedTransfer`:

    gamma:          equation 1; more than 0.
    in_chop_prob:   1 / N, once in how many cycles the chopper flips; 0: there is none, which is RIDER.
    mean_share:     eta of equation 3.
    program_every:  N of equation 5 without a chopper.
    program:        how R is pulsed.

    Not accepted are random and output choppers, other numbers of arrays, and zero_shift_pairs: nothing is calibrated.

    Source: Xiao et al. (2026); gamma as in its tables, mean_share and program_every ours.
    """

    gamma: float = 0.1
    in_chop_prob: float = 0.0
    in_chop_random: bool = False
    forget_buffer: bool = False
    mean_share: float = 0.05
    program_every: int = 1
    program: UpdateParameters = field(default_factory=UpdateParameters)

    kind = "rider"
    words = 2
    work_per_position = Work(multiply=2, add=4, compare=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("number", ("mean_share",), above=0.0, high=1.0)
        self._check("integer", ("program_every",), low=1)
        checks.instance("program", self.program, UpdateParameters)
        for name, only in (
            *(("in_chop_random", False), ("out_chop_prob", 0.0), ("gamma_vec", ())),
            *(("zero_shift_pairs", 0), ("no_buffer", False), ("no_self_transfer", True)),
        ):
            if getattr(self, name) != only:
                raise InputError(f"{name}: {getattr(self, name)!r} was given; accepted is {only!r} with {self.kind}")
        sees_residual(self)

    @property
    def arrays(self) -> int:
        return 3

    @property
    def layout(self) -> CellLayout:
        """All of P, W and R are seen; P goes to W, and R is programmed in place."""
        return replace(super().layout, arrays=3, visible=(P, W, R), targets=((W,), (W,), (R,)))

    @property
    def cycles_per_program(self) -> int:
        """N of equation 5."""
        return max(math.ceil(1.0 / self.in_chop_prob), 2) if self.in_chop_prob else self.program_every

    def periodic_work(self, device: Device, rows: int, columns: int, vectors: int) -> Iterator[PeriodicWork]:
        """Transfers of P, and every so many cycles through all slices each slice of R read and programmed."""
        yield from super().periodic_work(device, rows, columns, vectors)
        slices, length = (columns, rows) if self.transfer_columns else (rows, columns)
        period = self.periods(device, slices, length, vectors)[P]
        of_slice = (length, 1) if self.transfer_columns else (1, length)
        if period:
            yield PeriodicWork(
                Phase.TRANSFER,
                period * slices * self.cycles_per_program,
                slices,
                R,
                passes=1,
                work=Work(add=length),
                pulses=FullTrains(self.program.desired_bl, *of_slice),
            )

    def build(self, site: Site) -> UnitCell:
        return RiderCell(self, site)


@dataclass(frozen=True)
class EnhancedRider(Rider):
    """Learn by E-RIDER: `Rider` with a chopper, which flips once in 20 cycles (as in the paper) unless given."""

    in_chop_prob: float = 0.05

    kind = "e-rider"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.in_chop_prob == 0.0:
            raise InputError("in_chop_prob: 0 was given; accepted is a number > 0; without a chopper it is rider")


class RiderCell(ChoppedTransferCell):
    """Hold arrays P, W and R, the buffer H, and Q.

    mean: Q (rows, columns). All choppers of slices are one, those of positions stay +1.
    """

    mean: Tensor

    def __init__(self, parameters: Rider, site: Site) -> None:
        super().__init__(parameters, site)
        self.r = parameters
        self.register_buffer("mean", torch.zeros(site.rows, site.columns))
        self.counters[f"reads {R}"] = 0
        self.program_update = replace(parameters.program, execution=Execution.EXACT)
        self._before = torch.zeros(site.rows, site.columns)  # Q before a read-out, where compiled loops put it
        self._stops: list[int] = []
        self.show()

    def rename(self) -> None:
        super().rename()
        site, p = self.site, self.p
        stream = (*site.stream, Name.READ + R)
        self._reader = Reader(p.transfer_forward, site.rows, site.columns, stream, p.transfer_columns)

    def show(self) -> None:
        """Sum up what is seen: equation 1."""
        if self.visible is not None and "slice_chopper" in self._buffers:
            residual = self._arrays[P].weights - self._arrays[R].weights
            torch.add(self._arrays[W].weights, self.decoded(P, residual), alpha=self.gamma[P], out=self.visible)

    def set_weights(self, weights: Tensor) -> None:
        """Program W and set P and R to 0; the cycle of transfers starts again."""
        nothing = torch.zeros(self.site.rows, self.site.columns)
        for array, values in zip(self._arrays, (nothing, weights, nothing), strict=True):
            array.set_weights(values)
        self.counters |= {"updates": 0, "slice 0": 0, "cycle": 0}
        self.show()

    # --- P to W -------------------------------------------------------------------------------------------------------

    def write(self, index: int, turn: Turn, values: Tensor, extra: Extra, vector: int) -> None:
        """Collect what the next slice of P holds beyond Q, and send its pulses: equations 3 and 4."""
        i, value = turn.slices[0], values[0]
        mean = self.mean[:, i] if self.p.transfer_columns else self.mean[i]
        number = self.collect(i, value - mean, turn.gain)
        old, new = self._shares
        mean.copy_(mean * old + value * new)
        self.send_number(W, i, number, extra, vector)

    def gain(self, index: int, learning_rate: float, fast_rate: Numbers, ahead: Any = 0) -> Numbers:
        """Give kappa of equation 3, into which gamma does not enter."""
        return super().gain(index, learning_rate, fast_rate, ahead) / self.gamma[P]

    @property
    def _shares(self) -> tuple[float, float]:
        return float(np.float32(1.0 - self.r.mean_share)), float(np.float32(self.r.mean_share))

    @cached_property
    def collecting(self) -> Collecting:
        old, new = map(np.float32, self._shares)
        return super().collecting._replace(referred=True, old=old, new=new)

    @property
    def memories(self) -> tuple[Tensor, ...]:
        return self.buffer[0], self.mean, self._before

    def _flip(self, i: int, last: bool) -> None:
        """Leave the chopper alone: it flips when R is programmed."""

    def transfer(self, index: int, learning_rate: float, extra: Extra, vector: int) -> None:
        super().transfer(index, learning_rate, extra, vector)
        if self._ends_period(self.counters["cycle"], self.counters["slice 0"]):
            if self._chops:
                self.slice_chopper.neg_()
            self.at_stop(extra, vector)

    def _ends_period(self, cycle: int, following: int) -> bool:
        """Tell whether N cycles end with a transfer after which slice ``following`` of cycle ``cycle`` comes next."""
        return following == 0 and cycle % self.r.cycles_per_program == 0

    # --- Q to R -------------------------------------------------------------------------------------------------------

    def at_stop(self, extra: Extra, vector: int) -> None:
        """Program R from Q, slice by slice: equation 5."""
        array, slices, by_columns = self._arrays[R], list(range(self.slices)), self.p.transfer_columns
        found = self._reader.read(array.weights, slices, self.counters[f"reads {R}"], self.path_now)
        lines = (found - (self.mean.t() if by_columns else self.mean)).contiguous()
        hot, before = self._reader.one_hot(slices, lines.device), array.weights.clone()
        x, d = (hot, lines) if by_columns else (lines, hot)
        counts = array.pulse(x, d, 1.0, self.program_update)
        moved = (before != array.weights).sum(0 if by_columns else 1).tolist()
        extra.array, work = R, Work(add=self.length)
        for i in slices:
            extra.add(vector, passes=1, writes=moved[i], work=work, counts=counts, entry=i)
        self.counters[f"reads {R}"] += self.slices

    # --- for the compiled loops ---------------------------------------------------------------------------------------

    def signed(
        self, x: Tensor, d: Tensor, events: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Put the chopper on the vectors, as `ChoppedTransferCell.signed` does, and note where R is programmed."""
        events[:, FRESH] = True  # then the loop takes Q before the read-out as the reference
        cycles = self.counters["cycle"] + (self.counters["slice 0"] + 1 + np.arange(len(events))) // self.slices
        following = (events[:, COLUMN] + 1) % self.slices
        ends = [e for e in np.flatnonzero(following == 0).tolist() if self._ends_period(int(cycles[e]), 0)]
        self._stops = [e + 1 for e in ends]
        signs = np.full((len(events), self.length), float(self.slice_chopper[0]), np.float32)
        if not self._chops:
            return x.numpy(), d.numpy(), signs
        of_vectors = np.full((len(x), 1), float(self.slice_chopper[0]), np.float32)
        for e in ends:
            of_vectors[events[e, VECTOR] + 1 :] *= -1.0
            signs[e + 1 :] *= -1.0
            self.slice_chopper.neg_()
        return x.numpy() * of_vectors, d.numpy(), signs

    @property
    def stops(self) -> Sequence[int]:
        return self._stops
