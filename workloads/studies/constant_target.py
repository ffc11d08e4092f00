"""The constant-target task: can a matrix of coarse devices learn a fixed matrix, and does a wrong reference spoil it?

An array of N x N soft-bounds devices with few states sees random inputs x and the errors d = (W - T) x of a constant
target T. The fast array A of the transfer cells is read against references that miss its symmetry points by
``offset`` (standard deviation over the cells, in weights of a range of 2). Tiki-Taka 2 takes the offset for a gradient
and writes it to C, chopping averages it out, and AGAD measures its references itself.

After Fig. 4 of Rasch, Carta, Fagbohungbe & Gokmen, Nat. Commun. 15:7133 (2024): 20 states, spread of the steps 0.1.
What the paper does not print is chosen here: N = 20, T normal with 0.3, x standard-normal, learning rate 0.02, rates of
the cells. Reads have output noise 0.05 and no quantisation; W is multiplied exactly. Weight errors of 10,000 vectors,
mean of 3 seeds, for offsets 0, 0.1 and 0.5: sgd 0.175; ttv2 0.045, 0.046, 0.43; c-ttv2 0.045, 0.044, 0.064; agad 0.049
for all. The paper has TTv2 fail from 0.1 on, and SGD at more than 0.25.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError, nearest
from rpusim.kernels import (
    AnalogConfig,
    AnalogTile,
    CellParameters,
    ChoppedTransfer,
    DynamicTransfer,
    IOParameters,
    Single,
    SoftBounds,
    UpdateParameters,
)
from rpusim.kernels.devices import SoftBoundsReference
from rpusim.kernels.pulses.trains import Execution

SIZE, BATCH = 20, 10
"""Rows and columns of the matrix, and vectors of a mini-batch."""
RATE = {"sgd": 0.01, "ttv2": 0.02, "c-ttv2": 0.02, "agad": 0.02}
"""Learning rate of each algorithm."""
ALGORITHMS = tuple(RATE)
_READ = IOParameters(inp_res=0.0, out_res=0.0, out_noise=0.05)


@dataclass(frozen=True)
class Outcome:
    """What one run came to.

    weight_error: root mean square of W - T over the last quarter of the run, without unit (weights reach +-1).
    fast_pulses, slow_pulses: pulses per cell and input vector on the array that takes the gradients, and on C.
    """

    weight_error: float
    fast_pulses: float
    slow_pulses: float


def run(algorithm: str, offset: float, *, states: int = 20, seed: int = 0, vectors: int = 10_000) -> Outcome:
    """Train once.

    algorithm:  sgd, ttv2, c-ttv2 or agad.
    offset:     by which references miss the symmetry points (standard deviation, in weights), at least 0; sgd has no
                reference.
    states:     of a device, between its bounds.
    seed:       of the target, the inputs, the devices and every noise.
    vectors:    how many are learned.

    Raises InputError for an unknown algorithm or a negative offset.
    """
    if algorithm not in ALGORITHMS:
        raise InputError(f"algorithm: {algorithm!r} is unknown{nearest(algorithm, ALGORITHMS)}")
    checks.number("offset", offset, low=0.0)
    log = ActivityLog()
    perfect = IOParameters(is_perfect=True)
    common: dict[str, Any] = {
        "dw_min": 2.0 / states,
        "dw_min_dtod": 0.1,
        "up_down_dtod": 0.1,
        "w_max": 1.0,
        "w_min": -1.0,
    }
    slow = SoftBounds(**common, w_max_dtod=0.0, w_min_dtod=0.0)
    fast = SoftBoundsReference(
        **common,
        w_max_dtod=0.1,
        w_min_dtod=0.1,
        dw_min_std=0.3,
        subtract_symmetry_point=True,
        reference_std=offset,
    )
    config = AnalogConfig(
        slow,
        UpdateParameters(desired_bl=5, execution=Execution.EXACT),
        _cell(algorithm, fast, slow),
        forward=perfect,
        backward=perfect,
    )
    tile = AnalogTile(SIZE, SIZE, config, seed=seed, log=log)
    generator = torch.Generator().manual_seed(seed)
    target = (0.3 * torch.randn(SIZE, SIZE, generator=generator)).clamp(-0.8, 0.8)
    errors = []
    for _ in range(vectors // BATCH):
        x = torch.randn(BATCH, SIZE, generator=generator)
        tile.update(x, x @ (tile.weights - target).t(), RATE[algorithm])
        errors.append(float((tile.weights - target).pow(2).mean().sqrt()))
    rows = log.take()
    pulses = (rows.coincidences_up + rows.coincidences_down) / (SIZE * SIZE * vectors)
    tail = errors[-(len(errors) // 4) :]
    phases = (rows.phase == Phase.UPDATE, rows.phase == Phase.TRANSFER)
    return Outcome(float(np.mean(tail)), *(float(pulses[phase].sum()) for phase in phases))


def _cell(algorithm: str, fast: SoftBoundsReference, slow: SoftBounds) -> CellParameters:
    if algorithm == "sgd":
        return Single()
    options: dict[str, Any] = {
        "devices": (fast, slow),
        "transfer_forward": _READ,
        "auto_scale": True,
        "fast_lr": 0.5,
        "auto_granularity": 50.0,
    }
    if algorithm == "agad":
        return DynamicTransfer(**options, in_chop_prob=0.1)
    return ChoppedTransfer(**options, in_chop_prob=0.1 if algorithm == "c-ttv2" else 0.0)
