"""Chopped transfer (c-TTv2): buffered Tiki-Taka whose gradient changes sign from time to time, so that offsets cancel.

Each slice i and each position j of the slices has a chopper, +1 or -1. With c_ij the product of both:

    A_ij <- A_ij - lr_A c_ij d x^T        the signs go onto the lines of x and d                  (1)
    omega = H + kappa c_ij v,    kappa = lr_C / (buffer_granularity g_A)                          (2)
    n = trunc(omega), at most desired_bl;   H <- omega where n = 0, else momentum omega           (3)
    C takes n pulses;   W = gamma c_ij A_ij + C                                                   (4)

A constant error of the read-out, as from a reference that misses the symmetry point, enters H with changing sign and
averages to zero. After a slice has been read its chopper flips, at random or once in N = max(ceil(1 / in_chop_prob), 2)
cycles through all slices; the choppers of the positions may flip after each cycle. A itself is not touched by a flip.
The buffer has no unit, and its threshold is 1. g_A, g_C: granularities. With ``auto_granularity`` a, g_A in kappa is
multiplied by a / (slices transfer_every); with ``auto_scale`` lr_A = fast_lr desired_bl g_A / (m_x m_d) follows running
means m of the largest |x| and |d|; with ``correct_gradient_magnitudes`` kappa is |lr_C| / lr_A / (threshold g_C / g_A).

Digital operations per transferred slice of N: N multiplications, additions and comparisons each.

Rasch, Carta, Fagbohungbe & Gokmen, "Fast and robust analog in-memory deep neural network training", Nat. Commun.
15:7133 (2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.errors import InputError
from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Loop
from rpusim.kernels.cells.base import Extra, Name, Site, UnitCell, joined
from rpusim.kernels.cells.tiki_taka.buffered import BufferedTransfer, BufferedTransferCell
from rpusim.kernels.cells.tiki_taka.loops import Collecting, Numbers, chop, follow
from rpusim.kernels.cells.tiki_taka.transfer import Turn
from rpusim.kernels.devices import Device, PulsedDevice
from rpusim.kernels.pulses.specification import UpdateCounts

Tensor = torch.Tensor

_FOLLOW, _CHOP = Loop(follow), Loop(chop)


@dataclass(frozen=True)
class ChoppedTransfer(BufferedTransfer):
    """Learn by chopped Tiki-Taka; besides the parameters of `BufferedTransfer`, whose thres_scale has no meaning here:

    transfer_every:     may be negative: round(states of A / slices * its magnitude) vectors, at least 1.
    in_chop_prob:       how often the chopper of a slice flips: in every 1 / in_chop_prob th cycle.
    in_chop_random:     whether it flips at random, with that probability, instead of regularly.
    out_chop_prob:      probability that the chopper of a position flips after a cycle.
    buffer_granularity: divides what enters the buffer, see the module; 0 counts as 1.
    auto_granularity:   a of the module; 0: off.
    no_buffer:          start from an empty buffer every time.
    auto_scale:         let lr_A follow the largest |x| and |d|, see the module.
    auto_momentum:      what the running means of these keep in every mini-batch.
    correct_gradient_magnitudes: see the module.

    Source: Rasch et al. (2024); parameters and their defaults as in AIHWKit.
    """

    units_in_mbatch: bool = False
    scale_fast_lr: bool = False
    momentum: float = 0.0
    in_chop_prob: float = 0.1
    in_chop_random: bool = True
    out_chop_prob: float = 0.0
    buffer_granularity: float = 1.0
    auto_granularity: float = 0.0
    no_buffer: bool = False
    auto_scale: bool = False
    auto_momentum: float = 0.99
    correct_gradient_magnitudes: bool = False

    kind = "chopped-transfer"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("number", ("in_chop_prob", "out_chop_prob"), low=0.0, high=1.0)
        self._check("number", ("buffer_granularity", "auto_granularity"), low=0.0)
        self._check("number", ("auto_momentum",), low=0.0, high=1.0)
        self._check("flag", ("in_chop_random", "no_buffer", "auto_scale", "correct_gradient_magnitudes"))
        for name, only in (("number", 2), ("n_reads_per_transfer", 1), ("random_selection", False)):
            if getattr(self, name) != only:
                raise InputError(f"{name}: {getattr(self, name)!r} was given; accepted is {only!r} with choppers")

    @property
    def automatic_period(self) -> bool:
        return True

    def periods(self, device: Device, slices: int, length: int, vectors: int) -> list[int]:
        if self.transfer_every >= 0.0:
            return super().periods(device, slices, length, vectors)
        fast = self.device_of(0, device)
        if not isinstance(fast, PulsedDevice):
            raise InputError(
                f"transfer_every: {self.transfer_every} was given, which counts states, but A is made of exact "
                "devices; accepted is a number >= 0"
            )
        return [max(round(fast.num_states / slices * -self.transfer_every), 1), 0]

    def build(self, site: Site) -> UnitCell:
        return ChoppedTransferCell(self, site)


class ChoppedTransferCell(BufferedTransferCell):
    """Hold arrays A and C, and the choppers: vectors of +1 and -1, of slices and of their positions.

    Counters: cycle, through all slices; largest x, largest d: running means of the largest |x| and |d|.
    """

    slice_chopper: Tensor
    position_chopper: Tensor

    def __init__(self, parameters: ChoppedTransfer, site: Site) -> None:
        super().__init__(parameters, site)
        self.c = parameters
        self._chops = parameters.in_chop_prob > 0.0 or parameters.out_chop_prob > 0.0
        self.register_buffer("slice_chopper", torch.ones(self.slices))
        self.register_buffer("position_chopper", torch.ones(self.length))
        self.counters |= {"cycle": 0, "largest x": 0.0, "largest d": 0.0}
        c, (g_fast, g_slow) = parameters, (a.device.granularity for a in self._arrays[:2])
        # What a read-out is divided by in kappa, without and with corrected gradient magnitudes.
        self._unit = float((c.buffer_granularity or 1.0) * g_fast)
        if c.auto_granularity > 0.0:
            self._unit *= c.auto_granularity / (self.slices * (abs(c.transfer_every) or 1.0))
        self._corrected_unit: float = self._unit * g_slow / g_fast
        self._drawn: tuple[int, list[float]] = (-1, [])
        self.cycles_per_chop = max(math.ceil(1.0 / parameters.in_chop_prob), 2) if parameters.in_chop_prob else 0

    def decoded(self, index: int, weights: Tensor) -> Tensor:
        """Take the choppers off array A."""
        if index > 0 or "slice_chopper" not in self._buffers:  # there are none yet while the cell is being made
            return weights
        if self.p.transfer_columns:
            return weights * self.position_chopper[:, None] * self.slice_chopper
        return weights * self.slice_chopper[:, None] * self.position_chopper

    def pulses_at_once(self, vectors: int) -> bool:
        return super().pulses_at_once(vectors) and (vectors == 1 or not self.c.auto_scale)

    @property
    def regular(self) -> bool:
        """Whether the choppers of the slices flip after a fixed number of cycles."""
        return self.cycles_per_chop > 0 and not self.c.in_chop_random

    # --- the gradient onto A ------------------------------------------------------------------------------------------

    def learn(self, x: Tensor, d: Tensor, learning_rate: float, vectors: int) -> UpdateCounts:
        rates = self.fast_rates(x, d, learning_rate, vectors).tolist()
        self._fast_rate = rates[-1]
        x, d = self._chopped(x, d)
        if not self.c.auto_scale:
            return self.pulse(0, x, d, rates[0])
        pairs = zip(torch.split(x, 1), torch.split(d, 1), rates, strict=True)
        return joined([self.pulse(0, x_one, d_one, rate) for x_one, d_one, rate in pairs])

    @property
    def choppers(self) -> tuple[Tensor, Tensor] | None:
        """The signs of the columns and of the rows; None: they never change."""
        if not self._chops:
            return None
        sides = self.slice_chopper, self.position_chopper
        return sides if self.p.transfer_columns else sides[::-1]

    def _chopped(self, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """Put the signs on the lines: equation 1."""
        signs = self.choppers
        return (x, d) if signs is None else (x * signs[0], d * signs[1])

    def signed(
        self, x: Tensor, d: Tensor, events: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        choppers = self.choppers
        if choppers is None:
            return super().signed(x, d, events)
        on_columns, on_rows = (side.numpy() for side in choppers)
        signs = np.empty((len(events), self.length), np.float32)
        x_signed, d_signed = np.empty(x.shape, np.float32), np.empty(d.shape, np.float32)
        period, chances, keys = self.chopping
        _CHOP(
            x.numpy(), d.numpy(), events, on_columns, on_rows, self._fresh, self.counters["cycle"], period, *chances,
            *keys, x_signed, d_signed, signs,
        )  # fmt: skip
        return x_signed, d_signed, signs

    @property
    def chopping(self) -> tuple[int, tuple[float, float], list[np.uint64]]:
        """Say every how many cycles the choppers of slices flip (0: not regularly), with which chances those of slices
        and of positions do, and the keys of these chances."""
        keys = [np.uint64(rng.key(*self.site.stream, name)) for name in (Name.INPUT_CHOPPER, Name.OUTPUT_CHOPPER)]
        chances = self.c.in_chop_prob * self.c.in_chop_random, self.c.out_chop_prob
        return self.cycles_per_chop if self.regular else 0, chances, keys

    @property
    def _fresh(self) -> NDArray[np.bool_]:
        """Which slices have flipped since they were read; empty where that does not matter."""
        return np.zeros(0, np.bool_)

    def skip(self, vectors: int, transfers: int) -> None:
        self.counters["cycle"] = int(self.cycle(transfers))
        super().skip(vectors, transfers)

    def cycle(self, ahead: Any = 0) -> Any:
        """Number the cycle through all slices, ``ahead`` transfers after the next one."""
        return self.counters["cycle"] + (self.counters["slice 0"] + ahead) // self.slices

    def fast_rates(self, x: Tensor, d: Tensor, learning_rate: float, vectors: int) -> NDArray[np.float64]:
        """Under auto_scale, follow the running means of the largest |x| and |d|, which go on with every vector."""
        if not self.c.auto_scale:
            return super().fast_rates(x, d, learning_rate, vectors)
        c, share, product = self.c, (1.0 - self.c.auto_momentum) / vectors, np.ones(len(x))
        for name, side in (("largest x", x), ("largest d", d)):
            largest = side.abs().amax(1).cpu().numpy().astype(np.float64)
            self.counters[name] = _FOLLOW(self.counters[name], share, largest)
            product *= largest
        if c.fast_lr <= 0.0:
            return np.full(len(x), learning_rate)
        rates = np.full(len(x), c.fast_lr * self.site.update.desired_bl * self._arrays[0].device.granularity)
        np.divide(rates, product, out=rates, where=product > 0.0)
        return rates * learning_rate if c.scale_fast_lr else rates

    # --- the transfer to C --------------------------------------------------------------------------------------------

    def gain(self, index: int, learning_rate: float, fast_rate: Numbers, ahead: Any = 0) -> Numbers:
        """kappa of equation 2, which a read-out is multiplied by."""
        rate = abs(self.transfer_rate(0, learning_rate))
        if min(self.gamma) > 0.0:
            rate *= self.gamma[0] / self.gamma[1]
        if not self.c.correct_gradient_magnitudes:
            return rate / self._unit
        given = np.asarray(fast_rate)
        gains: NDArray[np.float64] = np.divide(rate, given, out=np.zeros(given.shape), where=given != 0.0)
        return gains / self._corrected_unit

    def threshold(self, to: int) -> float:
        """The threshold is 1: the buffer counts in pulses."""
        return 1.0

    def write(self, index: int, turn: Turn, values: Tensor, extra: Extra, vector: int) -> None:
        """Collect the next slice and send its pulses: equations 2 to 4."""
        number = self.collect(turn.slices[0], values[0], turn.gain)
        self.send_number(1, turn.slices[0], number, extra, vector)

    @property
    def limit(self) -> float:
        """What stays in the buffer where pulses were sent, at most; 0: no limit."""
        return 0.0

    @cached_property
    def collecting(self) -> Collecting:
        return super().collecting._replace(kept=not self.c.no_buffer, limit=np.float32(self.limit))

    def collect(self, i: int, value: Tensor, gain: float) -> Tensor:
        """Add a read-out (length,) to slice ``i`` of the buffer and return the numbers of pulses: equations 2 and 3."""
        c, most, held = self.c, self.c.transfer_update.desired_bl, self.held(0, i)
        step = value * gain
        if self._chops:
            step *= self.position_chopper * self.slice_chopper[i]
        omega = step if c.no_buffer else held + step
        number = torch.trunc(omega).clamp_(-most, most)
        left = omega * c.momentum if c.forget_buffer else omega - number * (1.0 - c.momentum)
        if self.limit > 0.0 and not c.forget_buffer:
            left = left.clamp(-self.limit, self.limit)
        held.copy_(torch.where(number == 0, omega, left))
        return number

    def advance(self, index: int, turn: Turn) -> None:
        """Go on in the cycle; the chopper of the slice may flip, after a cycle those of the positions too."""
        super().advance(index, turn)
        i, last = turn.slices[0], turn.slices[0] == self.slices - 1
        if self._chops:
            self._flip(i, last)
        if last:
            self.counters["cycle"] += 1

    def _flip(self, i: int, last: bool) -> None:
        c, cycle = self.c, self.counters["cycle"]
        due = self.regular and cycle % self.cycles_per_chop + 1 == self.cycles_per_chop
        if due or (c.in_chop_random and self._draws(cycle)[i] < c.in_chop_prob):
            self.slice_chopper[i] = -self.slice_chopper[i]
            self.flipped(i)
        if c.out_chop_prob > 0.0 and last:
            draws = self.uniform(Name.OUTPUT_CHOPPER, np.array([cycle]), self.length)[0]
            hit = (draws < c.out_chop_prob).to(self.position_chopper.device)
            self.position_chopper.copy_(torch.where(hit, -self.position_chopper, self.position_chopper))

    def flipped(self, i: int) -> None:
        """Note that the chopper of slice ``i`` has flipped."""

    def _draws(self, cycle: int) -> list[float]:
        """Draw one random number per slice, once per cycle."""
        if self._drawn[0] != cycle:
            numbers = self.uniform(Name.INPUT_CHOPPER, np.array([cycle]), self.slices)[0]
            self._drawn = (cycle, numbers.tolist())
        return self._drawn[1]

    def rename(self) -> None:
        super().rename()
        self._drawn = (-1, [])
