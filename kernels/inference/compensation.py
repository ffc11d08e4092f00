"""Drift compensation: what an array answers to known inputs, just after programming and now, gives a digital factor.

Each input line is driven alone (one-hot vectors through the noisy periphery, as many passes as there are columns); the
magnitudes of the answers are averaged, and outputs are multiplied by the average then over the average now. Joshi et
al., Nat. Commun. 11:2473 (2020).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from rpusim.arch.contract import checks

Tensor = torch.Tensor

SMALLEST = 1e-4
"""The least that an average counts as, so that nothing is divided by 0."""


@dataclass(frozen=True)
class Compensation(ABC):
    """Choose how drift is measured; ``kind`` is its name.

    exact_reference: compute the average just after programming from the weights that were to be programmed, instead of
                     measuring it.
    """

    exact_reference: bool = False

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        checks.flag("exact_reference", self.exact_reference)

    @abstractmethod
    def average(self, answers: Tensor) -> Tensor:
        """Average the answers (inputs, rows) to one-hot inputs: for every row what its factor is made of (rows,)."""


@dataclass(frozen=True)
class GlobalCompensation(Compensation):
    """Take one factor for the whole tile."""

    kind = "global"

    def average(self, answers: Tensor) -> Tensor:
        return answers.abs().mean().clamp(min=SMALLEST).expand(answers.shape[1])


@dataclass(frozen=True)
class PerColumnCompensation(Compensation):
    """Take a factor for every output line (a column of the array as chips are drawn)."""

    kind = "per-column"

    def average(self, answers: Tensor) -> Tensor:
        return answers.abs().mean(0).clamp(min=SMALLEST)


COMPENSATIONS: dict[str, type[Compensation]] = {kind.kind: kind for kind in (GlobalCompensation, PerColumnCompensation)}
