"""Selective updating (EaPU): the gradient is collected digitally, and written only where that is worth a write.

With chi the digital gradient of `rpusim.kernels.cells.mixed_precision`, epsilon a pulse and theta = ``threshold``
epsilon the size of a write (in the paper, that of the error which a write makes), at every transfer

    probabilistic:   where |chi| >= theta, n = round(chi / epsilon);                              (1)
                     elsewhere n = sign(chi) ``threshold`` with probability |chi| / theta, else 0;
                     chi <- 0
    accumulating:    where |chi| >= theta, n = round(chi / epsilon) and chi <- chi - n epsilon;   (2)
                     elsewhere nothing is written, and chi goes on

Both write what the gradient is in the mean, in few large steps instead of many small ones: of a thousand cells less
than one in a mini-batch in the paper. The probabilistic rule is its; the accumulating one loses nothing and draws no
numbers. A row is written as in mixed precision, with at most desired_bl pulses a cell: what it asks for beyond is lost.

Digital operations are those of mixed precision, and for the probabilistic rule a random number per examined weight.

Liu, Shi, Liu et al., "Error-aware probabilistic training for memristive neural networks", Nat. Commun. (2025),
doi:10.1038/s41467-025-66240-7. The rule is told after its abstract and summaries; nothing of its code was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rpusim.arch.contract.digital_work import Work
from rpusim.kernels.cells.base import Name, Site, UnitCell
from rpusim.kernels.cells.mixed_precision import MixedPrecision, MixedPrecisionCell

Tensor = torch.Tensor


@dataclass(frozen=True)
class Selective(MixedPrecision):
    """Write selectively; besides the parameters of `MixedPrecision`:

    threshold:      theta in units of epsilon. 4 is ours; the paper takes the noise of its writes.
    probabilistic:  write small values with a probability, equation 1; False: collect them, equation 2.

    Source: the module.
    """

    threshold: int = 4
    probabilistic: bool = True

    kind = "selective"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("integer", ("threshold",), low=1, high=1 << 24)
        self._check("flag", ("probabilistic",))

    def examined(self, columns: int) -> Work:
        """Digital operations of a row of ``columns``: a comparison each, and a random number where writes are drawn."""
        return Work(compare=columns, random=columns if self.probabilistic else 0)

    def build(self, site: Site) -> UnitCell:
        return SelectiveCell(self, site)


class SelectiveCell(MixedPrecisionCell):
    """Hold the inner cell and chi."""

    def __init__(self, parameters: Selective, site: Site) -> None:
        super().__init__(parameters, site)
        self.s, self.theta = parameters, parameters.threshold * self.epsilon

    def _taken(self, places: list[int]) -> Tensor:
        chi = self.chi[places]
        due, size = chi.abs() >= self.theta, torch.round(chi / self.epsilon)
        if not self.s.probabilistic:
            number = torch.where(due, size, torch.zeros_like(size))
            self.chi[places] = chi - number * self.epsilon
            return number
        step = np.array([self.counters["transfers"]])
        rows, columns = self.site.rows, self.site.columns
        draws = self.uniform(Name.CHOICE_OF_WRITES, step, rows * columns).reshape(rows, columns)[places]
        hit = draws.to(chi.device) * self.theta < chi.abs()
        one = torch.sign(chi) * float(self.s.threshold)
        self.chi[places] = 0.0
        return torch.where(due, size, torch.where(hit, one, torch.zeros_like(one)))
