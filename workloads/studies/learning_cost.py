"""What learning on an asymmetric device costs: test error against simulated seconds and joules.

The task of `learning` and the algorithms of `algorithms`, on the chip rpu-2016: its converters read and write, its
clock runs, its ledger pays. The device has up steps twice as large as its down steps; plain SGD does not learn on it,
Tiki-Taka does, for the price of its transfers. ``symmetric`` is plain SGD on the device that one would like to have.

    python -m rpusim.workloads.studies.learning_cost > learning-cost.json    (a minute on one core)
    python -m rpusim.reports.curves.costs learning-cost.json > learning-cost.svg
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rpusim.arch.contract import checks
from rpusim.kernels import AnalogConfig, CellParameters, Device, IOParameters, UpdateParameters
from rpusim.workloads.runs import settings, simulate
from rpusim.workloads.studies import learning
from rpusim.workloads.studies.algorithms import ALGORITHMS

CHIP = "rpu-2016"
NAMES = ("symmetric", "sgd", "tiki-taka", "ttv2", "agad")
"""Which of the algorithms are trained."""


def mapping(config: AnalogConfig) -> dict[str, Any]:
    """Write device and unit cell of a configuration as an experiment names them (see `Experiment.device`).

    Reads and pulses are left out, as those of an experiment are its chip's.
    """
    return _device(config.device) | {"cell": _cell(config.cell)}


def _device(device: Device) -> dict[str, Any]:
    given = [field.name for field in fields(device) if field.init and field.name != "drift"]  # type: ignore[arg-type]
    return {"model": device.kind, **{name: getattr(device, name) for name in given}}


def _cell(cell: CellParameters) -> dict[str, Any]:
    values = {field.name: getattr(cell, field.name) for field in fields(cell)}
    plain = {n: v for n, v in values.items() if not isinstance(v, IOParameters | UpdateParameters)}
    return {"kind": cell.kind, **plain, "devices": [_device(device) for device in cell.devices]}


def run(name: str, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """Train once.

    name:     of the algorithm.
    seed:     of the experiment.
    changes:  of other fields of the experiment, or of its recipe.

    Returns ``algorithm``, ``seed``, the ``curve`` (seconds, joules and test error after each epoch), the energy of
    transfers in ``transfer_J`` and the number of ``arrays``.
    """
    algorithm = ALGORITHMS[name]
    checks.instance("config", algorithm.config, AnalogConfig)
    assert algorithm.config
    base = settings.load("fcn-digits")
    recipe: dict[str, float] = {"epochs": learning.EPOCHS, "batch": learning.BATCH, "halve_every": learning.HALVE_EVERY}
    recipe["learning_rate"] = algorithm.rate
    management = base.management.model_copy(update={"bound": "iterative"}).model_dump()
    given = {"device": mapping(algorithm.config), "chip": CHIP, "management": management, "seed": seed}
    result = simulate.run(settings.changed(base, given | recipe | changes))
    points = ("seconds", "joules", "test_error")
    return {
        "algorithm": name,
        "seed": seed,
        "curve": [{point: epoch[point] for point in points} for epoch in result["accuracy"]["curve"]],
        "transfer_J": result["energy"]["by_phase"].get("transfer", 0.0),
        "arrays": result["tiles"]["arrays"],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON document; progress goes to stderr."""
    parser = argparse.ArgumentParser("python -m rpusim.workloads.studies.learning_cost")
    parser.add_argument("--only", action="append", choices=list(NAMES))
    parser.add_argument("--epochs", type=int, default=learning.EPOCHS)
    given = parser.parse_args(arguments)
    rows = []
    for name in given.only or NAMES:
        rows.append(run(name, epochs=given.epochs))
        print(name, rows[-1]["curve"][-1], file=sys.stderr, flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
