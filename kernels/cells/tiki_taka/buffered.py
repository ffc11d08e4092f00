"""Buffered transfer: Tiki-Taka version 2, which collects read-outs in a digital buffer and writes whole pulses.

A float buffer H stands between the arrays A and C (one for each pair of neighbours). For a slice with read-out v,
granularity g of the written array and threshold theta = thres_scale g,

    omega = H + lr_C v                                                                            (1)
    n = trunc(omega / theta), at most desired_bl of transfer_update either way                    (2)
    H <- omega where n = 0;  momentum omega, or omega - (1 - momentum) n theta, elsewhere         (3)
    C takes n pulses (one for each |n| >= 1 with the standard transfer_update), up where n > 0    (4)

so C moves only when the gradient has agreed with itself for long: it needs tens of states, not thousands, and the noise
of reads averages out. Digital operations per transferred slice of N: N multiplications, additions and comparisons each.

Gokmen, "Enabling training of neural networks on noisy hardware", Front. Artif. Intell. 4:699148 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from rpusim.arch.contract.cell_layout import Crossings, FullTrains
from rpusim.arch.contract.digital_work import Work
from rpusim.errors import InputError
from rpusim.kernels.cells.base import Extra, Site, UnitCell
from rpusim.kernels.cells.tiki_taka.loops import Collecting, Numbers
from rpusim.kernels.cells.tiki_taka.transfer import Transfer, TransferCell, Turn
from rpusim.kernels.pulses.specification import UpdateParameters

Tensor = torch.Tensor

ONE_PULSE = UpdateParameters(desired_bl=1, update_management=False, update_bl_management=False)


@dataclass(frozen=True)
class BufferedTransfer(Transfer):
    """Learn by Tiki-Taka, version 2; besides the parameters of `Transfer`:

    thres_scale:   threshold in units of the written array's granularity.
    step:          size of a write in units of that granularity.
    momentum:      what a write leaves in the buffer.
    forget_buffer: equation 3: keep momentum times the whole buffer (else take away the pulses that were sent).
    """

    transfer_update: UpdateParameters = field(default=ONE_PULSE)
    thres_scale: float = 1.0
    step: float = 1.0
    momentum: float = 0.1
    forget_buffer: bool = True

    kind = "buffered-transfer"
    words = 1
    work_per_position = Work(multiply=1, add=1, compare=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("number", ("thres_scale", "step"), above=0.0)
        self._check("number", ("momentum",), low=0.0, high=1.0)
        self._check("flag", ("forget_buffer",))
        if self.with_reset_prob > 0.0:
            raise InputError(f"with_reset_prob: {self.with_reset_prob} was given; accepted is 0 with a buffer")

    def pulses_of_slice(self, length: int) -> FullTrains | Crossings:
        """Write a position where the buffer has passed its threshold: equation 4."""
        return Crossings(length, along_row=not self.transfer_columns)

    def build(self, site: Site) -> UnitCell:
        return BufferedTransferCell(self, site)


class BufferedTransferCell(TransferCell):
    """Hold arrays and buffers.

    buffer:     (pairs of arrays, rows, columns), in units of weights; `set_weights` leaves it as it is.
    kept_share: what is left of it when the next read-out comes.
    """

    buffer: Tensor
    kept_share = 1.0

    def __init__(self, parameters: BufferedTransfer, site: Site) -> None:
        super().__init__(parameters, site)
        self.b, self.pairs = parameters, parameters.number - int(parameters.no_self_transfer)
        self.register_buffer("buffer", torch.zeros(self.pairs, site.rows, site.columns))

    def gain(self, index: int, learning_rate: float, fast_rate: Numbers, ahead: Any = 0) -> Numbers:
        """lr_C of equation 1, which a read-out is multiplied by."""
        gains = self.gamma[index], self.gamma[self.p.target(index)]
        rate = self.transfer_rate(index, learning_rate)
        return rate * (gains[0] / gains[1] if min(gains) > 0.0 else 1.0)

    def threshold(self, to: int) -> float:
        """theta of equation 2: what the buffer in front of array ``to`` has to hold for a pulse."""
        return self.b.thres_scale * float(self._arrays[to].device.granularity)

    def write(self, index: int, turn: Turn, values: Tensor, extra: Extra, vector: int) -> None:
        to, b = self.p.target(index), self.b
        most, threshold = b.transfer_update.desired_bl, self.threshold(to)
        for value, i in zip(values, turn.slices, strict=True):
            held = self.held(index, i)
            omega = held * self.kept_share + value * turn.gain
            number = torch.trunc(omega / threshold).clamp_(-most, most)
            left = omega * b.momentum if b.forget_buffer else omega - number * ((1.0 - b.momentum) * threshold)
            held.copy_(torch.where(number == 0, omega, left))
            self.send_number(to, i, number, extra, vector)

    @cached_property
    def collecting(self) -> Collecting:
        b, threshold, f = self.b, self.threshold(1), np.float32
        return super().collecting._replace(
            rate=b.step * self._arrays[1].device.granularity,
            buffered=True,
            forget=b.forget_buffer,
            threshold=f(threshold),
            most=f(b.transfer_update.desired_bl),
            momentum=f(b.momentum),
            spent=f((1.0 - b.momentum) * threshold),
        )

    @property
    def memories(self) -> tuple[Tensor, ...]:
        return (self.buffer[0],)

    def held(self, index: int, i: int) -> Tensor:
        """Slice ``i`` of a buffer, not a copy."""
        return self.buffer[index, :, i] if self.p.transfer_columns else self.buffer[index, i]

    def send_number(self, to: int, i: int, number: Tensor, extra: Extra, vector: int) -> None:
        """Send numbers of pulses (length,) to slice ``i`` of an array, if there are any: equation 4."""
        if bool(number.any()):
            self.send(to, [i], -number[None], self.b.step * self._arrays[to].device.granularity, extra, vector)
        else:
            extra.add(vector, passes=1, work=self.work)
