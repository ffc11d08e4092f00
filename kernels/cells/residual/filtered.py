"""Filtered residual learning (RLv2): residual learning whose way from P to W goes through a digital low-pass filter.

A float buffer H stands between the arrays P and W. For a column with read-out v (P with the noise of the read), share b
of the filter, and granularity g of W,

    omega = (1 - b) H + b transfer_lr v                                                           (1)
    n = trunc(omega / theta), theta = thres_scale g, at most desired_bl of transfer_update        (2)
    H <- omega - n theta,   W takes n pulses (up where n > 0)                                     (3)

The filter takes the noise of reads out, and W moves in whole steps, so that few states are enough. H forgets: a P that
stays below theta / transfer_lr never moves W, however long it stays. Digital operations per transferred column of N:
2 N multiplications (both terms of equation 1), N additions and N comparisons. The update of the residual is that of
`residual_learning`.

Wu, Gokmen, Rasch & Chen, NeurIPS 2025, arXiv:2502.06309 (Residual Learning v2). Whole pulses out of H follow its code,
which stands on Tiki-Taka version 2; the factor transfer_lr on read-outs is ours, and 1 unless given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rpusim.arch.contract.digital_work import Work
from rpusim.kernels.cells.base import Site, UnitCell
from rpusim.kernels.cells.residual.residual_learning import sees_residual
from rpusim.kernels.cells.tiki_taka.buffered import BufferedTransfer, BufferedTransferCell
from rpusim.kernels.cells.tiki_taka.loops import Collecting, Numbers


@dataclass(frozen=True)
class FilteredResidual(BufferedTransfer):
    """Learn by residual learning, version 2; the parameters are those of `BufferedTransfer`, with other defaults, and

    share:  b of equation 1: what a new read-out is in the buffer.

    Source: Wu et al. (2025); gamma = 0.1 and share = 0.2 are ours.
    """

    gamma: float = 0.1
    units_in_mbatch: bool = False
    scale_transfer_lr: bool = False
    momentum: float = 0.0
    forget_buffer: bool = False
    share: float = 0.2

    kind = "filtered-residual"
    work_per_position = Work(multiply=2, add=1, compare=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("number", ("share",), above=0.0, high=1.0)
        sees_residual(self)

    def build(self, site: Site) -> UnitCell:
        return FilteredResidualCell(self, site)


class FilteredResidualCell(BufferedTransferCell):
    """Hold arrays P and W, and the filter H between them (`BufferedTransferCell.buffer`)."""

    def __init__(self, parameters: FilteredResidual, site: Site) -> None:
        super().__init__(parameters, site)
        self.kept_share = float(np.float32(1.0 - parameters.share))
        self._share = parameters.share

    def gain(self, index: int, learning_rate: float, fast_rate: Numbers, ahead: Any = 0) -> Numbers:
        """Give what read-outs are multiplied by in equation 1: b transfer_lr."""
        return self._share * self.transfer_rate(index, learning_rate)

    @cached_property
    def collecting(self) -> Collecting:
        return super().collecting._replace(stays=np.float32(self.kept_share))
