"""The response of a device to a train of pulses: N up, then N down, as one measures it on a wafer.

Drawn are the mean cell without any variation or noise, and cells sampled with their device-to-device spread, whose
pulses have cycle-to-cycle noise and whose weights are seen with write noise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.base import rng
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.devices.base import Cells, PulsedDevice

Tensor = torch.Tensor


@dataclass(frozen=True)
class Response:
    """Weights after 0, 1, ..., 2 N pulses, of which the first N go up and the others down; all in weight.

    pulses:  N. mean: (2 N + 1,), the mean cell. cells: (count, 2 N + 1), sampled cells.
    up_step, down_step: sizes of the mean cell's steps at weight 0.
    symmetry_point, symmetry_points: of the mean cell and of the sampled cells (count,).
    bound_min, bound_max: of the mean cell.
    """

    pulses: int
    mean: Tensor
    cells: Tensor
    up_step: float
    down_step: float
    symmetry_point: float
    symmetry_points: Tensor
    bound_min: float
    bound_max: float


def mean_device(device: PulsedDevice) -> PulsedDevice:
    """Take the variation between cells out of a device; its noise from pulse to pulse is left as it is."""
    alike: dict[str, Any] = {
        field.name: 0.0
        for field in fields(device)
        if field.init and (field.name.endswith("_dtod") or field.name == "reference_std")
    }
    return replace(device, **alike, corrupt_devices_prob=0.0)


def default_pulses(device: PulsedDevice) -> int:
    """Choose pulses that show the whole curve: as many as mean steps fit between the bounds, from 10 to 20,000."""
    return int(min(max(round(device.num_states), 10), 20_000))


def respond(device: PulsedDevice, pulses: int | None = None, cells: int = 5, seed: int = 0) -> Response:
    """Pulse the mean cell and sampled ones from their lower bounds, up and then down.

    device: what is pulsed. pulses: how many in each direction, at least 1; None: `default_pulses`. cells: how many are
    sampled. seed: of all random numbers, 0 or more. InputError: a number is out of its range.
    """
    count = default_pulses(device) if pulses is None else pulses
    checks.integer("pulses", count, low=1)
    checks.integer("cells", cells, low=0)
    checks.integer("seed", seed, low=0)
    mean = mean_device(device).sample(1, 1, (seed,))
    sampled = device.sample(1, max(cells, 1), (seed,))
    together = Cells(torch.cat([mean.pulse, sampled.pulse[:, :cells]], dim=1))
    weights = _train(device, together, count, (seed,))
    up, down = (device.step(torch.zeros(1, 1), torch.zeros(1, 1), *mean.parameters(way)) for way in (True, False))
    points = device.symmetry_point(together)[0]
    return Response(
        count,
        weights[0],
        weights[1:],
        float(up),
        float(down),
        float(points[0]),
        points[1:],
        float(mean.bound_min),
        float(mean.bound_max),
    )


def _train(device: PulsedDevice, cells: Cells, count: int, stream: tuple[int, ...]) -> Tensor:
    """Pulse a row of cells: their weights (cells, 2 count + 1) as reads see them; the first cell has no noise."""
    width = cells.pulse.shape[1]

    def noise(purpose: Purpose, rows: int, deviation: float) -> Tensor:
        drawn = rng.normal_matrix(rng.key(*stream, purpose), 0, rows, width) * deviation
        drawn[:, 0] = 0.0
        return drawn

    of_pulses = noise(Purpose.PULSE_NOISE, 2 * count, device.dw_min_std)
    weights = [cells.bound_min]
    ways = (cells.parameters(up=True), cells.parameters(up=False))
    for number in range(2 * count):
        size = device.step(weights[-1], of_pulses[number], *ways[number >= count])
        weights.append(cells.clip(weights[-1] - size if number >= count else weights[-1] + size))
    return (torch.cat(weights) + noise(Purpose.WRITE_NOISE, 2 * count + 1, device.write_noise)).t()
