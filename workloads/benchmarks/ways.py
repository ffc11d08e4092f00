"""The ways in which we train a case: each makes, of a case, what trains so many of its mini-batches in one call.

    torch     the layers of `rpusim.kernels.layers` in torch's autograd, as in a loop of the user's own
    compiled  the compiled step of a captured network, as in `rpusim run`; none where that cannot compute the network

A further way is an entry of `WAYS`; the bench then has rows for it, under its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.kernels import AnalogConfig, AnalogLayer, AnalogSGD, AnalogTile
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.pulses.trains import Execution
from rpusim.kernels.step import Unsuitable
from rpusim.kernels.tiles.presets import configuration
from rpusim.workloads.benchmarks import aihwkit_peer, cases
from rpusim.workloads.benchmarks.aihwkit_peer import Train
from rpusim.workloads.benchmarks.cases import Case
from rpusim.workloads.capture.capture import capture_modes
from rpusim.workloads.runs.step_of import step_of

Way = Callable[[Case, str], Train | None]
"""Makes of a case and an execution (exact, merged) what trains its mini-batches; None: it cannot."""


def configured(case: Case, execution: str) -> AnalogConfig:
    """Return the arrays of a case: its preset, with the update of its regime and pulses computed so."""
    config = configuration(case.preset).config
    changes = cases.REGIMES[case.regime].update
    return replace(config, update=replace(config.update, execution=Execution(execution), **changes))


def on_arrays(case: Case, execution: str) -> nn.Module:
    """Build the network of a case on arrays."""
    return convert(cases.module(case.network), configured(case, execution))


def by_torch(case: Case, execution: str) -> Train:
    """Train in torch's autograd, one mini-batch after the other."""
    model = on_arrays(case, execution)
    x, y = cases.samples(case.network, case.regime)
    return aihwkit_peer.trainer(model, AnalogSGD(model, lr=case.rate), x, y, case.batch)


def by_step(case: Case, execution: str) -> Train | None:
    """Train by the compiled step, many mini-batches in one call."""
    model = on_arrays(case, execution)
    x, y = cases.samples(case.network, case.regime)
    network, _ = capture_modes(cases.module(case.network), x.shape[1:], case.network)
    try:
        step = step_of(network, model, None)
    except Unsuitable:
        return None
    whole, place = len(x) // case.batch, [0]

    def train(mini_batches: int) -> None:
        while mini_batches > 0:
            piece = min(mini_batches, whole - place[0])
            part = slice(place[0] * case.batch, (place[0] + piece) * case.batch)
            # Losses add up in the other ways, over samples and their steps.
            step.train(x[part], y[part], case.batch, case.rate * y[: case.batch].numel())
            place[0], mini_batches = (place[0] + piece) % whole, mini_batches - piece

    return train


WAYS: dict[str, Way] = {"torch": by_torch, "compiled": by_step}
"""Our ways to train, by name."""


def floating_point(case: Case) -> Train:
    """Train the same network in plain torch, without any array."""
    model = cases.module(case.network)
    x, y = cases.samples(case.network, case.regime)
    return aihwkit_peer.trainer(model, torch.optim.SGD(model.parameters(), lr=case.rate), x, y, case.batch)


def pulses(case: Case, mini_batches: int) -> tuple[float, float]:
    """Count what the first mini-batches of a case send: slots of a vector's update, and pulses of a cell per vector.

    Both on average over all arrays, a cell's over all cells. Cells that transfer: pulses of the updates alone.
    """
    model, log = on_arrays(case, "merged"), ActivityLog()
    cells: dict[int, int] = {}
    for number, layer in enumerate(part for part in model.modules() if isinstance(part, AnalogLayer)):
        layer.log = log
        for tile in layer.tiles:
            assert isinstance(tile, AnalogTile), "an array that learns"
            tile.layer, cells[number] = number, tile.rows * tile.columns
    x, y = cases.samples(case.network, case.regime)
    aihwkit_peer.trainer(model, AnalogSGD(model, lr=case.rate), x, y, case.batch)(mini_batches)
    rows = log.take()
    updates = rows.select(rows.phase == Phase.UPDATE)
    exposed = sum(cells[int(layer)] for layer in updates.layer)
    coincidences = float((updates.coincidences_up + updates.coincidences_down).sum())
    return float(updates.slots.mean()), coincidences / exposed
