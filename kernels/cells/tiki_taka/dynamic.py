"""Dynamic transfer (AGAD): chopped Tiki-Taka that finds the reference of each read-out by itself.

For every cell of A a digital memory keeps a running mean mu of the read-outs v and a reference P: what mu was when the
chopper of the slice flipped last. Only the difference counts, so that A needs no symmetry point at zero at all.

    at the first read after a flip:   P <- mu   (mu goes on)                                      (1)
    omega = H + kappa c_ij (v - P)                                                                (2)
    mu <- (1 - beta) mu + beta v,     beta = min(tail_weightening / N, 1)                         (3)

and the rest as in `chopped`, with N = max(ceil(1 / in_chop_prob), 2) cycles from flip to flip (``in_chop_random`` adds
random flips). C is not written in the first N + 1 cycles, though the buffer loses the pulses.

Digital operations per transferred slice of N: those of `chopped`, N additions to subtract the reference, and N
multiplications and 2 N additions of the mean, mu + beta (v - mu).

Rasch, Carta, Fagbohungbe & Gokmen, Nat. Commun. 15:7133 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.arch.contract.digital_work import Work
from rpusim.errors import InputError
from rpusim.kernels.cells.base import Extra, Site, UnitCell
from rpusim.kernels.cells.tiki_taka.chopped import ChoppedTransfer, ChoppedTransferCell
from rpusim.kernels.cells.tiki_taka.loops import Collecting, Numbers
from rpusim.kernels.cells.tiki_taka.transfer import Turn

Tensor = torch.Tensor


@dataclass(frozen=True)
class DynamicTransfer(ChoppedTransfer):
    """Learn by AGAD; besides the parameters of `ChoppedTransfer`:

    tail_weightening: equation 3; larger: the mean remembers only the end of a phase.
    buffer_cap:       without forget_buffer, limit of what stays in the buffer, in units of desired_bl; 0: none.
    correct_accumulation: divide kappa by the cycles since the flip (at most 1 / g_A), as A sums up the gradient.
    """

    in_chop_random: bool = False
    tail_weightening: float = 5.0
    buffer_cap: float = 0.0
    correct_accumulation: bool = False

    kind = "dynamic-transfer"
    words = 3
    work_per_position = Work(multiply=2, add=4, compare=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("number", ("tail_weightening",), above=0.0)
        self._check("number", ("buffer_cap",), low=0.0)
        self._check("flag", ("correct_accumulation",))
        if self.in_chop_prob == 0.0:
            raise InputError("in_chop_prob: 0 was given; accepted is a number > 0, as the reference needs choppers")

    def build(self, site: Site) -> UnitCell:
        return DynamicTransferCell(self, site)


class DynamicTransferCell(ChoppedTransferCell):
    """Hold arrays A and C and the digital memories of AGAD.

    mean, past: mu and P (rows, columns). fresh: which slices have flipped since they were read (slices,).
    """

    mean: Tensor
    past: Tensor
    fresh: Tensor

    def __init__(self, parameters: DynamicTransfer, site: Site) -> None:
        super().__init__(parameters, site)
        self.a = parameters
        self.register_buffer("mean", torch.zeros(site.rows, site.columns))
        self.register_buffer("past", torch.zeros(site.rows, site.columns))
        self.register_buffer("fresh", torch.zeros(self.slices, dtype=torch.bool))
        self.tail = min(parameters.tail_weightening / self.cycles_per_chop, 1.0)

    @property
    def regular(self) -> bool:
        """Always true: random flips come on top."""
        return True

    @property
    def limit(self) -> float:
        return self.a.buffer_cap * self.a.transfer_update.desired_bl

    def turn(self, index: int, learning_rate: float, fast_rate: float) -> Turn:
        turn = super().turn(index, learning_rate, fast_rate)
        return turn._replace(fresh=bool(self.fresh[turn.slices[0]]))

    @property
    def writes_from(self) -> int:
        cycles: int = self.cycles_per_chop + 1 - self.counters["cycle"]
        return cycles * self.slices - int(self.counters["slice 0"])

    def gain(self, index: int, learning_rate: float, fast_rate: Numbers, ahead: Any = 0) -> Numbers:
        gain = super().gain(index, learning_rate, fast_rate, ahead)
        if self.a.correct_accumulation:
            most = 1.0 / self._arrays[0].device.granularity
            gain = gain / np.minimum(self.cycle(ahead) % self.cycles_per_chop + 1, most)
        return gain

    def write(self, index: int, turn: Turn, values: Tensor, extra: Extra, vector: int) -> None:
        i, value, by_columns = turn.slices[0], values[0], self.p.transfer_columns
        mean, past = ((m[:, i] if by_columns else m[i]) for m in (self.mean, self.past))
        if turn.fresh:
            past.copy_(mean)
        number = self.collect(i, value - past, turn.gain)
        mean.copy_(mean * (1.0 - self.tail) + value * self.tail)
        if turn.writes:
            self.send_number(1, i, number, extra, vector)
        else:
            extra.add(vector, passes=1, work=self.work)

    @cached_property
    def collecting(self) -> Collecting:
        shares = np.float32(1.0 - self.tail), np.float32(self.tail)
        return super().collecting._replace(referred=True, old=shares[0], new=shares[1])

    @property
    def memories(self) -> tuple[Tensor, ...]:
        return self.buffer[0], self.mean, self.past

    @property
    def _fresh(self) -> NDArray[np.bool_]:
        fresh: NDArray[np.bool_] = self.fresh.numpy()
        return fresh

    def advance(self, index: int, turn: Turn) -> None:
        if turn.fresh:
            self.fresh[turn.slices[0]] = False
        super().advance(index, turn)

    def flipped(self, i: int) -> None:
        self.fresh[i] = True
