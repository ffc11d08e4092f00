"""What every device is, and what every pulsed device shares: parameters and their variation over the cells of an array.

A device is described by its mean parameters (a frozen dataclass). `Device.sample` draws the cells of one array from
them: this device-to-device variation is frozen. Each pulse then moves one cell by the device's ``step``, with fresh
cycle-to-cycle noise. A cell in up direction and in down direction is the same law with two sets of numbers, so a
device has ONE step function, the size of one pulse in one direction:

    step(weight, noise, *parameters of this cell in this direction) -> size
    weight <- clip(weight + size)   for an up pulse,      weight <- clip(weight - size)   for a down pulse

``noise`` is dw_min_std times a standard-normal number. The function is called with float32 tensors by the torch path
and compiled by numba for float32 scalars. So it is plain arithmetic of its arguments and functions of
`rpusim.kernels.base.elementwise`; a Python literal would widen the numba path to float64. A step may come out negative:
noise can reverse a pulse, and is not rectified.

Weights have no unit (normalised conductance). Modelled: step size and its asymmetry, bounds, stuck cells, write noise,
decay and diffusion per mini-batch, leakage and drift with time, reset, and smaller steps of cells at which less of a
pulse arrives. Not modelled: half-select disturbance, any other dependence on pulse amplitude, temperature.

Sources: Gokmen & Vlasov, Front. Neurosci. 10:333 (2016) for the variations; the parameters are named as in IBM's analog
hardware acceleration kit (Rasch et al. 2021), whose semantics are followed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.devices.drift import Drift
from rpusim.kernels.devices.variation import Cells, Draw, Steps

__all__ = ["Cells", "Device", "Draw", "PulsedDevice", "Steps"]

Tensor = torch.Tensor

MOST_SPREAD = 1e3
"""The largest spread that is relative to something."""
MOST_WEIGHT = 1e6
"""The largest bound, step or offset, in weight; published ones are around 1."""


class Device(ABC):
    """What can stand at a cross-point.

    kind:        the name by which a user asks for the device, such as "soft-bounds".
    write_noise: standard deviation, in weight, between the persistent weight that pulses move and the apparent weight
                 that reads see; drawn anew when the cell is touched. 0: they are the same.
    apply_write_noise_on_set: whether writing the weights directly has that noise too.
    reset_std:   standard deviation, in weight, of what a reset leaves around its target.
    drift:       relaxation with time.
    perfect_reads: whether it is read exactly, past all periphery.
    granularity: the expected size of one pulse, in weight, which turns a learning rate into a number of pulses.
    """

    kind: ClassVar[str]
    perfect_reads: ClassVar[bool] = False
    apply_write_noise_on_set: bool = True
    reset_std: float
    drift: Drift

    @property
    def write_noise(self) -> float:
        """Standard deviation, in weight, of the apparent weight around the persistent one; 0 unless overridden."""
        return 0.0

    @property
    @abstractmethod
    def granularity(self) -> float:
        """The expected size of one pulse, in weight."""

    def numbers(self) -> dict[str, float]:
        """List every parameter under a flat name (``drift.nu``, ``piecewise_up[0]``), for tables.

        The parameters of a drift are left out where there is none.
        """
        flat: dict[str, float] = {}
        for name, value in vars(self).items():
            if isinstance(value, Drift):
                flat |= {f"{name}.{of_drift}": number for of_drift, number in vars(value).items() if value.nu != 0.0}
            elif isinstance(value, tuple):
                flat |= {f"{name}[{place}]": number for place, number in enumerate(value)}
            else:
                flat[name] = value
        return flat

    @abstractmethod
    def sample(self, rows: int, columns: int, stream: tuple[int, ...], reach: Tensor | None = None) -> Cells:
        """Draw the cells of an array.

        rows, columns: its size. stream: (seed, layer, tile) or any integers that name the array. reach: (rows, columns)
        what of a full step a pulse makes in each cell, as it loses voltage on its way; None: all of it.
        """

    @abstractmethod
    def symmetry_point(self, cells: Cells) -> Tensor:
        """Find the weights (rows, columns) that alternating up and down pulses lead to.

        Where up and down steps are nowhere equal, this is the bound on the side of the larger ones.
        """


@dataclass(frozen=True)
class PulsedDevice(Device):
    """Mean parameters of a device that is moved by pulses.

    Weights have no unit. ``dtod`` means from device to device, over the cells of an array; spreads are standard
    deviations, relative to the mean unless said otherwise.

    dw_min:            mean size of one pulse, in weight (at weight 0 for most devices).
    dw_min_dtod:       spread of the step size, common to both directions; exp(dw_min_dtod xi) if
                       ``dw_min_dtod_log_normal``, else 1 + dw_min_dtod xi.
    dw_min_dtod_log_normal: whether that spread is log-normal.
    dw_min_std:        cycle-to-cycle noise of one pulse, relative to the step.
    up_down:           systematic asymmetry: shrinks the down steps if > 0, the up steps if < 0, by this fraction.
    up_down_dtod:      spread of the asymmetry, in units of dw_min, opposite in the two directions.
    w_max, w_min:      mean bounds, in weight.
    w_max_dtod, w_min_dtod: their spreads.
    enforce_consistency: make steps and bounds that came out with the wrong sign positive (else such a cell is dead).
    corrupt_devices_prob, corrupt_devices_range: probability that a cell is stuck, and how far from 0 at most (in
                       weight).
    perfect_bias:      the last column has ideal steps and 100 times wider bounds.
    diffusion, diffusion_dtod: standard deviation of the random walk per mini-batch, in weight; its spread.
    lifetime, lifetime_dtod: decay time in mini-batches (0: no decay; up to 1: gone after one mini-batch), its spread.
    reset, reset_dtod, reset_std: the weight that decay and reset end at, its spread over cells, and the spread of a
                       reset around it (all absolute).
    retention, retention_dtod: time constant in seconds with which what a cell holds leaks away, towards the same weight
                       (0: it keeps it); its spread, that of its logarithm.
    write_noise_std:   noise of the apparent weight around the persistent one, in units of dw_min.
    apply_write_noise_on_set: whether it is also drawn when weights are written directly.
    drift:             relaxation with time, see `Drift`.
    """

    dw_min: float = 0.001
    dw_min_dtod: float = 0.3
    dw_min_dtod_log_normal: bool = False
    dw_min_std: float = 0.3
    up_down: float = 0.0
    up_down_dtod: float = 0.01
    w_max: float = 0.6
    w_min: float = -0.6
    w_max_dtod: float = 0.3
    w_min_dtod: float = 0.3
    enforce_consistency: bool = True
    corrupt_devices_prob: float = 0.0
    corrupt_devices_range: float = 0.1
    perfect_bias: bool = False
    diffusion: float = 0.0
    diffusion_dtod: float = 0.0
    lifetime: float = 0.0
    lifetime_dtod: float = 0.0
    reset: float = 0.0
    reset_dtod: float = 0.0
    reset_std: float = 0.01
    write_noise_std: float = 0.0
    apply_write_noise_on_set: bool = True
    drift: Drift = field(default_factory=Drift)
    retention: float = 0.0
    retention_dtod: float = 0.0

    def __post_init__(self) -> None:
        for name in ("dw_min_dtod_log_normal", "enforce_consistency", "perfect_bias", "apply_write_noise_on_set"):
            checks.flag(name, getattr(self, name))
        checks.number("dw_min", self.dw_min, above=0.0)
        for name in ("dw_min_dtod", "dw_min_std", "up_down_dtod", "w_max_dtod", "w_min_dtod", "diffusion_dtod"):
            checks.number(name, getattr(self, name), low=0.0, high=MOST_SPREAD)
        for name in ("lifetime_dtod", "write_noise_std"):
            checks.number(name, getattr(self, name), low=0.0, high=MOST_SPREAD)
        checks.number("retention_dtod", self.retention_dtod, low=0.0, high=10.0)
        for name in ("corrupt_devices_range", "diffusion", "reset_dtod", "reset_std"):
            checks.number(name, getattr(self, name), low=0.0, high=MOST_WEIGHT)
        for name in ("lifetime", "retention"):
            checks.number(name, getattr(self, name), low=0.0)
        checks.number("up_down", self.up_down, low=-1.0, high=1.0)
        checks.number("w_max", self.w_max, low=0.0, high=MOST_WEIGHT)
        checks.number("w_min", self.w_min, low=-MOST_WEIGHT, high=0.0)
        checks.number("corrupt_devices_prob", self.corrupt_devices_prob, low=0.0, high=1.0)
        checks.number("reset", self.reset)
        checks.instance("drift", self.drift, Drift)
        if self.w_max == self.w_min:
            raise InputError(f"w_max: {self.w_max!r} equals w_min; accepted is a w_max above w_min")
        if self.dw_min > self.w_max - self.w_min:
            raise InputError(
                f"dw_min: {self.dw_min!r} was given; accepted is a step within the bounds, here at most "
                f"{self.w_max - self.w_min:g}"
            )

    @property
    @abstractmethod
    def step(self) -> Callable[..., Tensor]:
        """The step function (module docstring); a plain function at module level, so that it can be compiled."""

    @abstractmethod
    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        """Compute what ``step`` takes per cell after weight and noise.

        steps: sampled sizes and bounds. draw: random numbers for spreads of the device's own.
        Returns tensors (rows, columns) for up pulses, and as many for down pulses.
        """

    def vary(self, steps: Steps, draw: Draw) -> Steps:
        """Vary steps and bounds beyond the common parameters; most devices do nothing here."""
        return steps

    def referred(self, cells: Cells, draw: Draw) -> Cells:
        """Express the cells in terms of the weight, where that is not the state of the device; see `reference`."""
        return cells

    @property
    def granularity(self) -> float:
        """The expected size of one pulse, in weight, which turns a learning rate into a number of pulses."""
        return self.dw_min

    @property
    def num_states(self) -> float:
        """Number of mean steps between the mean bounds."""
        return (self.w_max - self.w_min) / self.granularity

    @property
    def write_noise(self) -> float:
        """Standard deviation, in weight, of the apparent weight around the persistent one."""
        return self.write_noise_std * self.dw_min

    def sample(self, rows: int, columns: int, stream: tuple[int, ...], reach: Tensor | None = None) -> Cells:
        """Draw the cells of an array: steps and bounds, then what the device makes of them, then what time does.

        rows, columns: its size. stream: (seed, layer, tile) or any integers that name the array. reach: see `Device`;
        the ideal steps of a ``perfect_bias`` are whole.
        """
        draw = Draw(rows, columns, stream)
        steps = self.vary(self._steps(draw), draw)
        if reach is not None:
            reach = reach.clone()
            reach[:, -1] = 1.0 if self.perfect_bias else reach[:, -1]
            steps = replace(steps, up=steps.up * reach, down=steps.down * reach)
        parameters_up, parameters_down = self.step_parameters(steps, draw)
        pulse = torch.stack([steps.bound_min, steps.bound_max, *parameters_up, *parameters_down], dim=-1)
        decay = target = diffusion = None
        if self.diffusion > 0.0:
            diffusion = (self.diffusion * (1.0 + self.diffusion_dtod * draw.normal())).abs()
        if self.lifetime > 0.0 or self.reset != 0.0 or self.reset_dtod > 0.0:
            target = self.reset + self.reset_dtod * draw.normal()
        if self.lifetime > 0.0:
            time = self.lifetime * (1.0 + self.lifetime_dtod * draw.normal())
            decay = torch.where(time > 1.0, 1.0 - 1.0 / time, torch.zeros(()))
        exponents = self.drift.exponents(draw)
        cells = Cells(pulse.contiguous(), decay, target, diffusion, exponents)
        return self.referred(self.leaking(cells, draw), draw)

    def leaking(self, cells: Cells, draw: Draw) -> Cells:
        """Give each cell a time constant, where they leak."""
        if self.retention == 0.0:
            return cells
        rest = cells.clip(torch.zeros_like(cells.bound_min) if cells.target is None else cells.target)
        return replace(cells, target=rest, retention=self.retention * torch.exp(self.retention_dtod * draw.normal()))

    def _steps(self, draw: Draw) -> Steps:
        """Draw the variation that all pulsed devices have."""
        bound_max = self.w_max * (1.0 + self.w_max_dtod * draw.normal())
        bound_min = self.w_min * (1.0 + self.w_min_dtod * draw.normal())
        spread = self.dw_min_dtod * draw.normal()
        gain = torch.exp(spread) if self.dw_min_dtod_log_normal else 1.0 + spread
        asymmetry = self.up_down_dtod * draw.normal()
        up = (gain + min(self.up_down, 0.0) + asymmetry) * self.dw_min
        down = (gain - max(self.up_down, 0.0) - asymmetry) * self.dw_min

        if self.enforce_consistency:
            up, down = up.abs(), down.abs()
            bound_min, bound_max = torch.minimum(bound_min, bound_max), torch.maximum(bound_min, bound_max)
            bound_min, bound_max = -bound_min.abs(), bound_max.abs()
        else:
            middle = (bound_min + bound_max) / 2
            dead = bound_min > bound_max
            bound_min, bound_max = torch.where(dead, middle, bound_min), torch.where(dead, middle, bound_max)
        stuck = draw.uniform() < self.corrupt_devices_prob
        low = torch.clamp(bound_min, min=-self.corrupt_devices_range)
        high = torch.clamp(bound_max, max=self.corrupt_devices_range)
        value = low + (high - low) * draw.uniform()
        bound_min, bound_max = torch.where(stuck, value, bound_min), torch.where(stuck, value, bound_max)
        up, down = torch.where(stuck, 0.0, up), torch.where(stuck, 0.0, down)
        if self.perfect_bias:
            up[:, -1] = down[:, -1] = self.dw_min
            bound_min[:, -1], bound_max[:, -1] = 100.0 * self.w_min, 100.0 * self.w_max
        return Steps(up, down, bound_min, bound_max)
