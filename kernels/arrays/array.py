"""DeviceArray: one array of devices, and everything that is done to it: written, pulsed, reset, left alone.

It knows nothing of converters or layers. A tile has one of them; a unit cell has several. Its name (some integers)
and its counters fix all its random numbers, so that an array restored from its state continues bit for bit.

A device with write noise has two weights: the *persistent* one, which pulses, decay, diffusion, drift and resets move
and the bounds limit, and the *apparent* one, ``weights``, which reads see (`write_noise`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from operator import is_
from typing import Any

import numpy as np
import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.arrays.leakage import SHORT, leak
from rpusim.kernels.base import rng
from rpusim.kernels.base.paths import path_at
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.devices import Cells, Device, ExactDevice, PulsedDevice
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.pulses import compiled, specification, write_noise
from rpusim.kernels.pulses.counts import UpdateCounts
from rpusim.kernels.pulses.execution import Way, way_of
from rpusim.kernels.pulses.half_select import disturb, half_selected
from rpusim.kernels.pulses.recorder import Recorder
from rpusim.kernels.pulses.trains import Execution, PulseType, UpdateParameters
from rpusim.kernels.triton.devices import why_not

Tensor = torch.Tensor
# Fields of the cells, and the buffers that hold them.
_CELLS = {field.name: f"cell_{field.name}" for field in fields(Cells)}
_COUNTERS = ("updates", "steps", "redraws", "resets", "drifts")


class DeviceArray(torch.nn.Module):
    """``rows`` x ``columns`` cells of one device.

    device: what the cells are. stream: integers that name the array to the random numbers. path: how numbers are
    computed, see `rpusim.kernels.base.paths`. reach: (rows, columns) what of a step a pulse makes in
    each cell; None: all of it. half_select: what of a step a pulse on one of its lines makes, see `pulses.half_select`.
    Attributes: weights (rows, columns) float32 without unit, as reads see them; persistent, the same without write
    noise, or None if the device has none; cells, their frozen parameters; clock, the seconds that `elapse` let pass;
    counters, how often what was done; taken (rows, columns) int32, pulses of every cell, or None until `count_wear`;
    recorder, which notes every pulse and has them sent by the specification, or None.
    """

    weights: Tensor
    persistent: Tensor | None
    taken: Tensor | None

    def __init__(
        self,
        rows: int,
        columns: int,
        device: Device,
        stream: tuple[int, ...],
        path: str,
        reach: Tensor | None = None,
        half_select: float = 0.0,
    ) -> None:
        super().__init__()
        self.device, self.stream, self.path = device, stream, path
        self.counters = dict.fromkeys(_COUNTERS, 0)
        self.recorder: Recorder | None = None
        self.half_select = half_select
        self.clock = 0.0
        cells = device.sample(rows, columns, stream, reach)
        for name, buffer in _CELLS.items():
            self.register_buffer(buffer, getattr(cells, name))
        self._known: tuple[list[Tensor | None], Cells] | None = None  # the buffers when `cells` was last asked for
        self._place, self._senders = 0, compiled.Senders()  # where the weights lie, and what sends pulses to them
        self._before: write_noise.Before | None = None
        self._redraw: write_noise.Redraw | None = None
        self._shortest: tuple[Tensor | None, float] = (None, 0.0)  # retention of the cells, and the smallest of them
        start = cells.clip(torch.zeros(rows, columns))
        self.register_buffer("weights", start)
        self.register_buffer("taken", None)
        self.register_buffer("persistent", start.clone() if device.write_noise > 0.0 else None)
        self.register_buffer("residue", torch.zeros(rows, columns) if cells.retention is not None else None)
        drifts = cells.drift is not None
        self.register_buffer("drift_origin", start.clone() if drifts else None)
        self.register_buffer("drift_last", start.clone() if drifts else None)
        self.register_buffer("drift_since", torch.zeros(rows, columns, dtype=torch.float64) if drifts else None)

    @property
    def cells(self) -> Cells:
        """The frozen per-cell parameters."""
        held = list(map(self._buffers.__getitem__, _CELLS.values()))
        if self._known is None or not all(map(is_, held, self._known[0])):
            self._known = held, Cells(**dict(zip(_CELLS, held, strict=True)))  # type: ignore[arg-type]
        return self._known[1]

    @property
    def stored(self) -> Tensor:
        """What pulses act on: the persistent weights, which without write noise are the weights."""
        held = self._buffers
        stored = held["weights"] if held["persistent"] is None else held["persistent"]
        assert stored is not None
        return stored

    def set_weights(self, weights: Tensor) -> None:
        """Write weights (rows, columns), limited to each cell's bounds (a stuck cell keeps its value)."""
        with torch.no_grad():
            self.stored.copy_(self.cells.clip(weights.to(self.weights.device, torch.float32)))
            if (residue := self._buffers["residue"]) is not None:
                residue.zero_()
            if self.persistent is not None and not self.device.apply_write_noise_on_set:
                self.weights.copy_(self.persistent)
            else:
                self.show()

    def count_wear(self) -> None:
        """Count the pulses that every cell takes from now on, in ``taken`` (rows, columns)."""
        if self.taken is None:
            self.taken = torch.zeros(self.weights.shape, dtype=torch.int32, device=self.weights.device)

    def pulse(
        self,
        x: Tensor,
        d: Tensor,
        learning_rate: float,
        parameters: UpdateParameters,
        lines: tuple[int, ...] | None = None,
        only_up: bool = False,
    ) -> UpdateCounts:
        """Send the pairs in order as pulses: W <- W - learning_rate d x^T on average; an exact device takes the sum.

        x: (vectors, columns), d: (vectors, rows), contiguous float32. learning_rate: in weight. parameters: how pulses
        are made. lines: names the bits of rows and columns if other arrays hang on the same drivers; None: drivers of
        its own. only_up: take no down pulses.
        Returns what was counted, per vector. InputError: x or d hold NaN or infinite numbers.
        """
        if isinstance(self.device, ExactDevice):
            parameters = replace(parameters, pulse_type=PulseType.NONE)
        if self.half_select and parameters.pulse_type.pulsed:
            return self._pulse_and_disturb(x, d, learning_rate, parameters, lines, only_up)
        return self._pulse(x, d, learning_rate, parameters, lines, only_up)

    def _pulse_and_disturb(
        self,
        x: Tensor,
        d: Tensor,
        learning_rate: float,
        parameters: UpdateParameters,
        lines: tuple[int, ...] | None,
        only_up: bool,
    ) -> UpdateCounts:
        """Do what `pulse` does, pair by pair, and after each let half-selected cells creep."""
        device, parts = self.device, [UpdateCounts.zeros(0)]
        assert isinstance(device, PulsedDevice), "only pulses select cells"
        strength = abs(learning_rate) / device.granularity
        for vector, (x_one, d_one) in enumerate(zip(x, d, strict=True)):
            step, before = self.counters["updates"], self.before
            pair = slice(vector, vector + 1)
            parts.append(self._pulse(x[pair], d[pair], learning_rate, parameters, lines, only_up))
            if before is not None:
                before.keep(self.stored)
            seen = half_selected(x_one, d_one, strength, parameters, lines or self.stream, step)
            disturb(self.stored, self.cells, device, self.half_select, *seen, x_one, d_one, learning_rate, only_up)
            if before is not None:
                self.show(before)
        return UpdateCounts(*map(np.concatenate, zip(*parts, strict=True)))

    def _pulse(
        self,
        x: Tensor,
        d: Tensor,
        learning_rate: float,
        parameters: UpdateParameters,
        lines: tuple[int, ...] | None,
        only_up: bool,
    ) -> UpdateCounts:
        """Do what `pulse` does to the cells that are selected."""
        stored, device, first = self.stored, self.device, self.counters["updates"]
        before, taken = self.before, self._buffers["taken"]
        if stored.data_ptr() != self._place:  # moved within the same tensor, as by share_memory
            self._place, self._senders, self._redraw = stored.data_ptr(), compiled.Senders(), None
        if self.path_now == "numba" and parameters.pulse_type.random:
            assert isinstance(device, PulsedDevice), "only an update in floating point needs no pulses"
            sender = self._senders.of(stored, self.cells, device, parameters, self.stream, lines, only_up)
            counts = sender(x, d, learning_rate, first, taken, before)
        elif self.path_now == "numba":
            pairs = x, d, learning_rate, parameters, self.stream, first
            counts = compiled.update(stored, self.cells, device, *pairs, lines, only_up, taken, before)
        else:
            if before is not None:
                before.keep(stored)
            pairs = x, d, learning_rate, parameters, self.stream, first
            if self.path_now == "triton" and self._untranslated is None:
                from rpusim.kernels.triton import update

                counts = update.update(stored, self.cells, device, *pairs, lines, only_up, taken)
            else:
                counts = specification.update(stored, self.cells, device, *pairs, lines, only_up, taken, self.recorder)
        self.counters["updates"] += x.shape[0]
        if before is not None:
            self.show(before)
        return counts

    def end_mini_batch(self) -> None:
        """End a mini-batch, whether or not there was an update: diffusion, then decay."""
        step, held = self._next("steps"), self._buffers
        if held["cell_diffusion"] is None and held["cell_decay"] is None:
            return
        cells, w = self.cells, self.stored
        if cells.diffusion is not None:
            w.copy_(cells.clip(w + cells.diffusion * self._normal(Purpose.DIFFUSION, step)))
        if cells.decay is not None:
            target = 0.0 if cells.target is None else cells.target
            w.copy_(cells.clip((w - target) * cells.decay + target))
        self.show()

    def reset(
        self,
        first: int = 0,
        columns: int | None = None,
        probability: float = 1.0,
        only: Tensor | None = None,
        whole: bool = False,
    ) -> None:
        """Reset cells of some columns with a probability: w <- clip(target + reset_std xi).

        first: the first column. columns: how many, continuing at column 0 after the last; None: all. probability: that
        a cell of these columns is reset. only: the cells (rows, columns) that may be reset; None: all. whole: the
        probability is that of a column, all of whose cells are reset or none.
        InputError: the array does not have these columns.
        """
        width = self.weights.shape[1]
        count = width if columns is None else columns
        checks.integer("first", first, low=0)
        checks.integer("columns", count, low=0)
        checks.number("probability", probability, low=0.0, high=1.0)
        if first >= width or count > width:
            raise InputError(f"reset of {count} columns from column {first} was asked for; the array has {width}")
        cells, w, number = self.cells, self.stored, self._next("resets")
        chosen = self._draw(rng.uniform_matrix, Purpose.RESET, 2 * number) < probability
        if whole:
            chosen = chosen[:1].repeat(len(chosen), 1)
        chosen &= (torch.arange(width, device=w.device) - first) % width < count
        if only is not None:
            chosen &= only
        target = 0.0 if cells.target is None else cells.target
        fresh = cells.clip(target + self.device.reset_std * self._normal(Purpose.RESET, 2 * number + 1))
        w.copy_(torch.where(chosen, fresh, w))
        if self.taken is not None:
            self.taken += chosen
        self.show()

    @property
    def volatile(self) -> bool:
        """Whether time alone moves its weights."""
        return self.cells.retention is not None or self.cells.drift is not None

    def elapse(self, seconds: float) -> None:
        """Let ``seconds`` pass: what cells hold leaks away (`leakage`), weights that nothing writes drift (`Drift`).

        Negative seconds take back what was let pass too early; leakage is undone exactly.
        """
        checks.number("seconds", seconds)
        self.clock += seconds
        if seconds and self.cells.retention is not None:
            self._leak(seconds)
        if self.cells.drift is not None:
            self._drift()

    def _leak(self, seconds: float) -> None:
        cells, residue = self.cells, self._buffers["residue"]
        assert cells.retention is not None and cells.target is not None and residue is not None
        leak(self.stored, residue, cells.retention, cells.target, seconds, self._retained(), self.path_now)
        self.show()

    def _retained(self) -> float:
        """Return the shortest retention of a cell (s)."""
        retention = self.cells.retention
        assert retention is not None
        if self._shortest[0] is not retention:
            self._shortest = retention, float(retention.min())
        return self._shortest[1]

    @property
    def soon(self) -> float:
        """Up to how many seconds compiled loops can compute what leaks; 0 where they cannot."""
        return SHORT * self._retained() if self.path_now == "numba" and self.cells.retention is not None else 0.0

    def _drift(self) -> None:
        cells, w, held = self.cells, self.stored, self._buffers
        origin, last, since = held["drift_origin"], held["drift_last"], held["drift_since"]
        if cells.drift is None or origin is None or last is None or since is None:
            return
        law, number = self.device.drift, self._next("drifts")
        if number == 0:
            origin.copy_(w)
            last.copy_(w)
        moved = (w - last).abs() > law.reset_tol
        origin.copy_(torch.where(moved, w, origin))
        since.copy_(torch.where(moved, self.clock, since))
        relaxed = law.relaxed(origin, self.clock - since, cells.drift, w, self._normal(Purpose.DRIFT, 2 * number))
        fresh = torch.where(moved, w, relaxed)
        if law.w_noise_std > 0.0:
            fresh = fresh + law.w_noise_std * self._normal(Purpose.DRIFT, 2 * number + 1)
        w.copy_(cells.clip(fresh))
        last.copy_(w)
        self.show()

    @property
    def path_now(self) -> str:
        """The path that is taken where the weights lie now, see `rpusim.kernels.base.paths`."""
        weights = self._buffers["weights"]
        return "torch" if weights is None or self.recorder is not None else path_at(self.path, weights)

    def way(self, parameters: UpdateParameters) -> Way | None:
        """Say how pulses are computed where the weights lie now; None if the array takes none."""
        found, path = way_of(self.device, parameters, self.path_now), self.path_now
        if found is None or path != "triton" or self._untranslated is None:
            return found
        return Way(Execution.EXACT, f"no kernel for a GPU, so that torch computes them: {self._untranslated}")

    @property
    def _untranslated(self) -> str | None:
        """Why the device's step is no function of a kernel; None if it is, or if there are no steps."""
        if not isinstance(self.device, PulsedDevice):
            return None
        return why_not(self.device.step, parameters_per_step(self.cells.pulse))

    @property
    def before(self) -> write_noise.Before | None:
        """Room to remember the weights before they move, for `show`; None without write noise."""
        persistent = self._buffers["persistent"]
        if persistent is not None and (self._before is None or self._before.weights.device != persistent.device):
            self._before = write_noise.Before(persistent)
        return self._before

    def show(self, before: write_noise.Before | None = None) -> None:
        """Draw the apparent weights anew; before: what the persistent ones were, None: all have moved."""
        persistent, weights = self._buffers["persistent"], self._buffers["weights"]
        if persistent is None or weights is None:
            return
        number, made = self._next("redraws"), self._redraw
        if before is not None and made is not None and made.fits(weights, persistent, before):
            made(number)
            return
        base, noise = rng.key(*self.stream, Purpose.WRITE_NOISE), self.device.write_noise
        write_noise.redraw(weights, persistent, before, noise, base, number, self.path_now)
        if before is not None and self.path_now == "numba":
            self._redraw = write_noise.Redraw(weights, persistent, before, noise, base)

    def _next(self, counter: str) -> int:
        self.counters[counter] += 1
        return self.counters[counter] - 1

    def _normal(self, purpose: Purpose, step: int) -> Tensor:
        return self._draw(rng.normal_matrix, purpose, step)

    def _draw(self, matrix: Callable[..., Tensor], purpose: Purpose, step: int) -> Tensor:
        return matrix(rng.key(*self.stream, purpose), step, *self.weights.shape, self.weights.device)

    def get_extra_state(self) -> dict[str, Any]:
        """Give the counters, the clock and the name, which travel with `state_dict`."""
        return {**self.counters, "clock": self.clock, "stream": self.stream}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_extra_state` gave, maybe of another run."""
        self.counters = {name: state.get(name, 0) for name in _COUNTERS}
        self.clock, self.stream = state.get("clock", 0.0), tuple(state["stream"])
        self._shortest, self._redraw = (None, 0.0), None
