"""What every noise model answers: what becomes of a conductance when it is programmed, and afterwards.

    programmed = model.programmed(target, draw)          what write and verify leave                       (siemens)
    frozen = model.frozen(target, draw)                  what a device keeps for good, such as its exponent of drift
    later = model.after(programmed, frozen, seconds, draw)    what a read sees so many seconds after programming

All are tensors of one shape, one entry per device; ``draw`` gives random numbers of that shape
(`rpusim.kernels.inference.draw`). A time that the measurements behind a model do not cover is an InputError.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.inference.draw import CellDraw

Tensor = torch.Tensor

MICRO = 1e-6
"""Siemens in a microsiemens, the unit in which such measurements are published."""


class NoiseModel(ABC):
    """Model the noise of programming, drift and reading; a frozen dataclass in a file of its own.

    kind:           its name.
    around_target:  whether later conductances are drawn around the target, not from what was programmed.
    """

    kind: ClassVar[str]
    around_target: ClassVar[bool] = False

    @property
    @abstractmethod
    def conductance_range(self) -> tuple[float, float]:
        """The conductances that the model covers, in siemens."""

    @abstractmethod
    def programmed(self, target: Tensor, draw: CellDraw) -> Tensor:
        """Draw what programming to ``target`` leaves.

        target: conductances in siemens, of any shape. draw: random numbers of that shape. Returns siemens.
        """

    def frozen(self, target: Tensor, draw: CellDraw) -> Tensor:
        """Draw what each device keeps for good, such as its exponent of drift; zeros unless a model says so."""
        return torch.zeros_like(target)

    @abstractmethod
    def after(self, programmed: Tensor, frozen: Tensor, seconds: float, draw: CellDraw) -> Tensor:
        """Draw what a read sees ``seconds`` after programming.

        programmed: what programming left, in siemens (the target, if ``around_target``). frozen: see `frozen`.
        Returns siemens. InputError: the time is not covered.
        """

    def check_time(self, seconds: float) -> None:
        """Refuse a time in ``seconds`` that the model does not cover, with an InputError."""
        checks.number("seconds", seconds, low=0.0)


def polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """Compute sum_k coefficients[k] x^k."""
    total = torch.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total
