"""The numbers of a cell as compiled loops find them: one row of ``Cells.pulse`` after the other, cell beside cell.

A cell has STRIDE numbers: lower bound, upper bound, from UP on the PARAMETERS of an up step, and from DOWN on as many
of a down step (`rpusim.kernels.devices.variation`). How many parameters a step takes differs between devices, so these
names are injected by `compile_loop`, together with functions that handle so many of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from rpusim.kernels.base.loops import Floats, inlined
from rpusim.kernels.devices.variation import UP


def rows_of(pulse: torch.Tensor) -> Floats:
    """View the numbers of all cells, (rows, columns, STRIDE) on the CPU, as compiled loops take them: a row per row."""
    rows: Floats = pulse.numpy().reshape(len(pulse), -1)
    return rows


def names_of(step: Callable[..., Any], parameters: int, only_up: bool = False) -> dict[str, Any]:
    """Name what compiled loops need to know of a device, for `compile_loop`.

    step: its step function. parameters: how many numbers this takes per cell after weight and noise, as
    `parameters_per_step` counts them. only_up: whether down pulses do nothing.
    """
    return {
        "step": step,
        "read": reader(parameters),
        "PARAMETERS": parameters,
        "DOWN": UP + parameters,
        "STRIDE": UP + 2 * parameters,
        "ONLY_UP": int(only_up),
    }


@cache
def reader(number: int) -> Any:
    """Compile a reader of ``number`` consecutive values: (values, at) -> (values[at], values[at + 1], ...)."""
    if number == 0:
        return inlined(lambda values, at: ())
    others = reader(number - 1)
    return inlined(lambda values, at: (values[at], *others(values, at + 1)))


@cache
def lanes_of(number: int) -> Any:
    """Compile a reader of ``number`` values that lie a stride apart: (values, at, stride) -> tuple."""
    if number == 0:
        return inlined(lambda values, at, stride: ())
    others = lanes_of(number - 1)
    return inlined(lambda values, at, stride: (values[at], *others(values, at + stride, stride)))


@cache
def chooser(number: int) -> Any:
    """Compile a choice between two tuples of ``number`` values: (first, one, other) -> one if first else other."""
    if number == 0:
        return inlined(lambda first, one, other: ())
    others = chooser(number - 1)
    return inlined(lambda first, one, other: (one[0] if first else other[0], *others(first, one[1:], other[1:])))
