"""DeviceArray: one array of devices, and everything that is done to it: written, pulsed, left alone.

It knows nothing of converters or layers. A tile has one of them; a unit cell has several. Its name (some integers)
and its counters fix all its random numbers, so that an array restored from its state continues bit for bit.
"""

from __future__ import annotations

from typing import Any

import torch

from rpusim.kernels import pulses, pulses_numba, rng
from rpusim.kernels.devices import Cells, PulsedDevice
from rpusim.kernels.pulses import UpdateCounts, UpdateParameters
from rpusim.kernels.rng import Purpose

Tensor = torch.Tensor


class DeviceArray(torch.nn.Module):
    """``rows`` x ``columns`` cells of one device.

    stream: names the array to the random numbers. path: "numba" or "torch", see `AnalogTile`.
    Attributes: weights (rows, columns) float32 without unit; cells.
    """

    weights: Tensor

    def __init__(self, rows: int, columns: int, device: PulsedDevice, stream: tuple[int, ...], path: str) -> None:
        super().__init__()
        self.device, self.stream, self.path = device, stream, path
        self._updates = self._steps = 0
        cells = device.sample(rows, columns, stream)
        for name in ("pulse", "decay", "target", "diffusion"):
            self.register_buffer(f"cell_{name}", getattr(cells, name))
        self.register_buffer("weights", cells.clip(torch.zeros(rows, columns)))

    @property
    def cells(self) -> Cells:
        """The frozen per-cell parameters."""
        held = self._buffers
        pulse = held["cell_pulse"]
        assert pulse is not None
        return Cells(pulse, held["cell_decay"], held["cell_target"], held["cell_diffusion"])

    def set_weights(self, weights: Tensor) -> None:
        """Write weights (rows, columns), limited to each cell's bounds (a stuck cell keeps its value)."""
        with torch.no_grad():
            self.weights.copy_(self.cells.clip(weights.to(self.weights.device, torch.float32)))

    def pulse(
        self,
        x: Tensor,
        d: Tensor,
        learning_rate: float,
        parameters: UpdateParameters,
        lines: tuple[int, ...] | None = None,
        only_up: bool = False,
    ) -> UpdateCounts:
        """Send the pairs in order as pulses: W <- W - learning_rate d x^T on average.

        x: (vectors, columns), d: (vectors, rows), contiguous float32. lines: names the bits of rows and columns if
        other arrays hang on the same drivers; None: drivers of its own. only_up: take no down pulses. InputError if
        x or d hold NaN or infinite numbers.
        """
        send = pulses_numba.update if self.path_now == "numba" else pulses.update
        counts = send(
            self.weights,
            self.cells,
            self.device,
            x,
            d,
            learning_rate,
            parameters,
            self.stream,
            self._updates,
            lines,
            only_up,
        )
        self._updates += x.shape[0]
        return counts

    def end_mini_batch(self) -> None:
        """What happens once per mini-batch whether or not there was an update: diffusion, then decay."""
        cells, w = self.cells, self.weights
        if cells.diffusion is not None:
            base = rng.key(*self.stream, Purpose.DIFFUSION)
            walk = rng.normal_matrix(base, self._steps, w.shape[0], w.shape[1], w.device)
            w.copy_(cells.clip(w + cells.diffusion * walk))
        if cells.decay is not None and cells.target is not None:
            w.copy_(cells.clip((w - cells.target) * cells.decay + cells.target))
        self._steps += 1

    @property
    def path_now(self) -> str:
        """The compiled path needs the CPU."""
        return self.path if self.weights.device.type == "cpu" else "torch"

    def get_extra_state(self) -> dict[str, Any]:
        """The counters and the name, which travel with `state_dict`."""
        return {"updates": self._updates, "steps": self._steps, "stream": self.stream}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._updates, self._steps, self.stream = state["updates"], state["steps"], tuple(state["stream"])
