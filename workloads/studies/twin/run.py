"""One run of the 2 x 2 array with AGAD, c-TTv2 or TTv2: cells, periphery and loop, from the settings.

The visible array C learns x -> T x from normal inputs: C is read, the error (C_read - T) x and x are sent to A as
pulses, every few updates a column of A is read into the buffer H, and where that passes its threshold a pulse goes to
C. Everything between is `rpusim.kernels`: devices, pulse trains, cells. Not modelled: converters, wires, half-selected
cells, and what the measured array does besides.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError, nearest
from rpusim.kernels import (
    AnalogConfig,
    AnalogTile,
    ChoppedTransfer,
    DynamicTransfer,
    IOParameters,
    SoftBounds,
    UpdateParameters,
)
from rpusim.kernels.devices import SoftBoundsReference
from rpusim.kernels.pulses.trains import Execution

FOLDER = Path(__file__).parent
ALGORITHMS = ("agad", "c-ttv2", "ttv2")


@cache
def settings() -> dict[str, Any]:
    """Load settings.yaml."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / "settings.yaml").read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Cells:
    """What the cells are, in weights of which -1 to 1 is the range of the mean cell.

    step: mean of the steps up and down in the middle. pulse_noise: of a step. read_noise: of one reading.
    symmetry_point, symmetry_point_spread: mean and standard deviation over cells. step_spread: relative. states: of
    the mean cell.
    """

    step: float
    pulse_noise: float
    read_noise: float
    symmetry_point: float
    symmetry_point_spread: float
    step_spread: float
    states: float

    @staticmethod
    def stated() -> Cells:
        """Return the fitted numbers of settings.yaml."""
        given = settings()["fitted"]
        return Cells(**{each.name: given[each.name] for each in fields(Cells)})


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    weights: (updates + 1,) mean squared error of the four weights of C, after each update and before the first.
    read:    the same of one noisy reading of each.
    fast, slow: pulses that the cells of A and of C took.
    """

    weights: NDArray[np.float64]
    read: NDArray[np.float64]
    fast: int
    slow: int


def run(algorithm: str, seed: int, cells: Cells | None = None, updates: int | None = None, **guesses: Any) -> Outcome:
    """Train once.

    algorithm: one of `ALGORITHMS`. seed: of cells, noise and start. cells: None: the stated ones. updates: None: all.
    guesses: other ones than those of settings.yaml, by name.

    Raises InputError for an unknown algorithm or guess.
    """
    if algorithm not in ALGORITHMS:
        raise InputError(f"algorithm: {algorithm!r} is unknown{nearest(algorithm, ALGORITHMS)}")
    known = settings()["guessed"]
    for name in guesses:
        if name not in known:
            raise InputError(f"guess: {name!r} is unknown{nearest(name, known)}")
    of, g, published = cells or Cells.stated(), known | guesses, settings()["published"]
    log = ActivityLog()
    tile = AnalogTile(2, 2, configuration(algorithm, of, g), seed=seed, log=log)
    target = torch.tensor(published["targets"])
    own = torch.Generator().manual_seed(seed)
    inputs = own if g["inputs"] == "own" else torch.Generator().manual_seed(published["input_seed"])
    middle = of.pulse_noise * of.step * torch.randn(2, 2, generator=own)
    tile.set_weights(2 * torch.rand(2, 2, generator=own) - 1 if g["start"] == "anywhere" else middle)
    noise = of.read_noise if g["reads"] == "noisy" else 0.0
    errors = [_errors(tile.weights, target, of.read_noise, own)]
    for _ in range(settings()["updates"] if updates is None else updates):
        x = torch.randn(1, 2, generator=inputs)
        seen = tile.weights + noise * torch.randn(2, 2, generator=own)
        tile.update(x, x @ (seen - target).t(), published["learning_rate"])
        errors.append(_errors(tile.weights, target, of.read_noise, own))
    rows = log.take()
    pulses = rows.coincidences_up + rows.coincidences_down
    fast, slow = (int(pulses[rows.phase == phase].sum()) for phase in (Phase.UPDATE, Phase.TRANSFER))
    weights, read = np.array(errors).T
    return Outcome(weights, read, fast, slow)


def _errors(weights: torch.Tensor, target: torch.Tensor, noise: float, draw: torch.Generator) -> tuple[float, float]:
    """Return the mean squared error of the weights, and that of one reading of them."""
    off = weights - target
    read = off + noise * torch.randn(2, 2, generator=draw)
    return float(off.pow(2).mean()), float(read.pow(2).mean())


def configuration(algorithm: str, of: Cells, g: dict[str, Any]) -> AnalogConfig:
    """Make arrays A and C, and what the algorithm does with them. g: the guesses."""
    published = settings()["published"]
    point = of.symmetry_point
    dw_min = of.step * (1.0 + abs(point))
    common: dict[str, Any] = {
        "dw_min": dw_min,
        "up_down": np.sign(point) * 2 * abs(point) / (1.0 + abs(point)),
        "up_down_dtod": of.symmetry_point_spread / (1.0 + abs(point)),
        "dw_min_dtod": of.step_spread,
        "dw_min_std": of.pulse_noise,
        "w_max": 1.0,
        "w_min": -1.0,
        "w_max_dtod": g["bounds_spread"],
        "w_min_dtod": g["bounds_spread"],
    }
    slow = SoftBounds(**common)
    error = of.pulse_noise * of.step if g["reference_error"] == "pulse" else 0.0
    referred = SoftBoundsReference(**common, mult_noise=True, subtract_symmetry_point=True, reference_std=error)
    unit = {"weights": 1.0, "steps": of.step, "states": 2.0 / of.states}[g["buffer_unit"]]
    cycle = 2 * published["transfer_every"]
    cycles = published["chopper_every"] // (cycle if g["chopper_unit"] == "updates" else 1)
    rate = published["learning_rate"] * (of.step * of.states / 2.0 if g["rate_unit"] == "states" else 1.0)
    noise = of.read_noise if g["reads"] == "noisy" else 0.0
    options: dict[str, Any] = {
        "devices": (slow if algorithm == "agad" else referred, slow),
        "transfer_every": published["transfer_every"],
        "fast_lr": rate,
        "transfer_lr": published["buffer_rate"],
        "scale_transfer_lr": False,
        "buffer_granularity": unit / dw_min,
        "in_chop_prob": 0.0 if algorithm == "ttv2" else 1.0 / cycles,
        "in_chop_random": False,
        "forget_buffer": g["forget"],
        "transfer_forward": IOParameters(inp_res=0.0, out_res=0.0, out_noise=noise),
        "transfer_update": UpdateParameters(desired_bl=1),
    }
    perfect = IOParameters(is_perfect=True)
    trains = UpdateParameters(
        published["bl"], update_management=False, update_bl_management=False, execution=Execution.EXACT
    )
    cell = (
        DynamicTransfer(**options, tail_weightening=published["mean_share"] * cycles)
        if algorithm == "agad"
        else ChoppedTransfer(**options)
    )
    return AnalogConfig(slow, trains, cell, forward=perfect, backward=perfect)
