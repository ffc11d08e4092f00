"""Residual learning (RL): an array P learns what the weights W still lack, and is seen together with them.

    g = gradient of the loss at W + gamma P, gamma > 0                                            (1)
    P <- P - alpha g                every vector, by pulses                                       (2)
    W[:, i] <- W[:, i] + beta P[:, i]    every ``transfer_every`` vectors, for the next column i  (3)

Tiki-Taka (`rpusim.kernels.cells.tiki_taka.transfer`) transfers the mean gradient, which the drag of asymmetric cells
keeps from vanishing where the loss is least. Here P is at rest where W + gamma P is right, so that equation 3 ends at
P = 0, the symmetry point, and W has no bias. Arrays, reads and writes are those of Tiki-Taka; no digital memory.

The paper moves all of W at once; columns in turn, and rates that stand for themselves (alpha = ``fast_lr`` times the
learning rate, beta = ``transfer_lr``), are ours.

Wu, Gokmen, Rasch & Chen, "Analog in-memory training on general non-ideal resistive elements: The impact of response
functions", NeurIPS 2025, arXiv:2502.06309.
"""

from __future__ import annotations

from dataclasses import dataclass

from rpusim.errors import InputError
from rpusim.kernels.cells.tiki_taka.transfer import Transfer


@dataclass(frozen=True)
class ResidualLearning(Transfer):
    """Learn by residual learning; the parameters are those of `Transfer`, with other defaults:

    gamma:             how much of P is seen, equation 1; more than 0.
    units_in_mbatch:   False: a column goes to W after every ``transfer_every`` vectors.
    transfer_lr:       beta of equation 3, which the optimizer's learning rate does not change (scale_transfer_lr).

    Source: Wu et al. (2025). gamma = 0.1 and beta = 0.1 are ours, of the size of its settings.
    """

    gamma: float = 0.1
    units_in_mbatch: bool = False
    transfer_lr: float = 0.1
    scale_transfer_lr: bool = False

    kind = "residual-learning"

    def __post_init__(self) -> None:
        super().__post_init__()
        sees_residual(self)


def sees_residual(cell: Transfer) -> None:
    """Refuse a cell that does not see its residual array. InputError: gamma is 0."""
    if not cell.gammas[0] > 0.0:
        raise InputError(
            f"gamma: {cell.gammas[0]} was given; accepted is a number > 0, as {cell.kind} cells see the residual P"
        )
