"""What norms and masks of a network hold: the modules behind them, as rows of a table and as numbers that are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from rpusim.errors import InputError
from rpusim.kernels.base.loops import Floats
from rpusim.kernels.step.between import norms

Tensor = torch.Tensor


@dataclass(frozen=True)
class Dropout:
    """Draw the masks of a dropout from torch's generator, by torch's own function: the same numbers as in torch's way.

    module:     which says whether it trains, and how likely a number is left out.
    field:      in which of its fields; or how likely that is.
    shape:      of a sample.
    channels:   whether whole channels are left out.
    time_first: whether torch has it drawn for the first step of all samples, then for the second, and so on.
    """

    module: nn.Module
    field: str | float
    shape: tuple[int, ...]
    channels: bool = False
    time_first: bool = False

    def drawn(self, batch: int) -> Floats:
        """Draw a mask for so many samples: what every number is multiplied by, in the order of the memory."""
        shape = (self.shape[0], batch, *self.shape[1:]) if self.time_first else (batch, *self.shape)
        share = float(getattr(self.module, self.field)) if isinstance(self.field, str) else self.field
        if not self.module.training or not share:
            return np.ones(math.prod(shape), np.float32)
        with torch.no_grad():
            draw = torch.feature_dropout if self.channels else functional.dropout
            mask: Tensor = draw(torch.ones(shape), share, True)
        return (mask.transpose(0, 1) if self.time_first else mask).reshape(-1).numpy()


@dataclass(frozen=True)
class Norm:
    """A module with factors that learn: one that normalises, or whose slopes learn (PReLU).

    module:  one of torch. channels: of what it reads; numbers: that have statistics together, in one sample.
    """

    module: Any
    channels: int
    numbers: int

    @property
    def over_batch(self) -> bool:
        """Whether its statistics are those of a mini-batch, or running ones."""
        return isinstance(self.module, nn.modules.batchnorm._BatchNorm)

    @property
    def from_batch(self) -> bool:
        """Whether they are those of what it reads now."""
        return not self.over_batch or self.module.training or self.module.running_mean is None

    @property
    def factors(self) -> int:
        """How many factors it has, whether it has them or not."""
        return self.numbers if isinstance(self.module, nn.LayerNorm) else self.channels

    def sizes(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Say what an instruction has to say, in the order of `norms`, of samples of a shape."""
        if isinstance(self.module, nn.PReLU):
            return 0, 0, math.prod(shape), math.prod(shape[1 if self.channels > 1 else 0 :]), self.channels
        spread = 1 if isinstance(self.module, nn.LayerNorm) else math.prod(shape[1:])
        groups = math.prod(shape) // self.numbers
        return int(self.over_batch), groups, self.numbers, spread, self.factors

    @staticmethod
    def of(module: nn.Module, shape: Sequence[int]) -> Norm | None:
        """Describe a module that reads samples of a shape; None: it is none of those that are known."""
        known = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
        if isinstance(module, known) and type(module).forward is nn.modules.batchnorm._BatchNorm.forward:
            return Norm(module, shape[0], math.prod(shape[1:]))
        if type(module) is nn.PReLU:
            return Norm(module, module.num_parameters, 0)
        if type(module) is nn.LayerNorm:
            return Norm(module, shape[0], math.prod(module.normalized_shape))
        if type(module) is nn.GroupNorm:
            return Norm(module, shape[0], math.prod(shape) // module.num_groups)
        return None


class Norms:
    """The table of all norms of a program.

    found:  the norms, by their numbers in the program.

    Attributes:
    rows, numbers:  (norms, NORM_COLUMNS), (norms,), see `norms`.
    """

    def __init__(self, found: Sequence[Norm]) -> None:
        self.found = found
        self.rows = np.zeros((len(found), norms.NORM_COLUMNS), np.int64)
        self.numbers: NDArray[np.float64] = np.zeros(len(found), np.float64)

    @property
    def counts(self) -> list[int]:
        """How many factors each norm has."""
        return [norm.factors for norm in self.found]

    def look_up(self, batch: int) -> None:
        """Write where the tensors lie now, and what the modules do.

        batch: samples of a mini-batch that will be normalised; 0: none will. Raises InputError if they are too few.
        """
        self._held: list[Tensor] = []
        for norm, row in zip(self.found, self.rows, strict=True):
            module, keeps = norm.module, norm.over_batch and norm.module.training
            offsets = getattr(module, "bias", None)
            row[[norms.FACTORS, norms.OFFSETS]] = self._address(module.weight), self._address(offsets)
            running = norm.over_batch and (keeps or not norm.from_batch)
            for column, name in (
                (norms.RUNNING_MEAN, "running_mean"),
                (norms.RUNNING_VARIANCE, "running_var"),
                (norms.TRACKED, "num_batches_tracked"),
            ):
                row[column] = self._address(getattr(module, name)) if running else 0
            row[norms.FROM_BATCH] = norm.from_batch
            learns = (each is not None and each.requires_grad for each in (module.weight, offsets))
            row[[norms.FACTORS_LEARN, norms.OFFSETS_LEARN]] = (*learns,)
            if norm.over_batch and norm.from_batch and batch * norm.numbers == 1:
                raise InputError(
                    "a mini-batch of one sample was given to a norm over the mini-batch (BatchNorm) whose channels "
                    "have one number; accepted are two samples or more"
                )
        for number, norm in enumerate(self.found):
            momentum = getattr(norm.module, "momentum", None)
            self.numbers[number] = -1.0 if momentum is None else momentum

    def _address(self, tensor: Tensor | None) -> int:
        """Return where a tensor lies, which is kept until the next time; 0 for none."""
        if tensor is None:
            return 0
        tensor = tensor.detach()
        assert tensor.is_contiguous() and tensor.is_cpu, "numbers in a row, which loops can read"
        self._held.append(tensor)
        return tensor.data_ptr()
