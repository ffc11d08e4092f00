"""Where a network lies on a chip, and how long it takes there, without training anything: `rpusim map` and `time`.

No weight is allocated, so networks far larger than this machine's memory can be asked about.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

from rpusim.arch.contract.activity import EMPTY, Activity
from rpusim.arch.mapping.assumed_activity import PLAIN, STATEMENT, assumed_activity
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.contract.configuration import shown
from rpusim.arch.mapping.placement import Bias, Placement, place
from rpusim.arch.contract.cell_layout import SINGLE
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import Schedule
from rpusim.errors import InputError
from rpusim.workloads.cells import inference_cells
from rpusim.workloads.zoo import networks
from rpusim.workloads.cells.assumed_transfers import all_alike, assumed, statement
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.cells.inference_cells import InferenceCells
from rpusim.workloads.clock.meter import TRACED_EVENTS, Meter
from rpusim.workloads.cells.preparation import preparation
from rpusim.workloads.results.result import SCHEMA, Result, cost, operations_per_sample, package_version, placed_layers
from rpusim.workloads.cells.training_cells import Given, UnitCells, build
from rpusim.workloads.results.what_if import compared

MOST_ROWS = 20_000_000
"""Rows of activity that are timed in one go, at some hundred bytes each."""


def place_by_name(
    network: str,
    chip: str,
    bias: Bias = "column",
    cells: UnitCells | InferenceCells | None = None,
    replicas: Mapping[str, int] | None = None,
) -> Placement:
    """A network of the zoo on a chip (a preset or a YAML file); one device per weight unless ``cells`` are given."""
    with torch.device("meta"):
        module, input_shape = networks.build(network)
    layout = cells.layout if cells else SINGLE
    return place(capture(module, input_shape, network), Chip.load(chip), bias, layout, replicas)


def _cells(device: Given | None, chip: str) -> UnitCells | InferenceCells | None:
    return None if device is None else inference_cells.cells(device) or build(device, Chip.load(chip))


def map_network(
    network: str,
    chip: str,
    bias: Bias = "column",
    device: Given | None = None,
    replicas: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The placement as a document: every layer with its tiles, and totals.

    ``device``: a configuration or mapping, see `training_cells`, or a way to infer, see `inference`; ``replicas``: copies
    of layers, by name.
    """
    placement = place_by_name(network, chip, bias, _cells(device, chip), replicas)
    return {
        "network": network,
        "chip": placement.chip.name,
        "layers": placed_layers(placement),
        "totals": {
            "weights": placement.network.weights,
            "macs": placement.network.macs,
            "tiles": placement.tiles_used,
            "arrays": placement.arrays_used,
            "utilisation": placement.utilisation,
            "area_m2": bill_of_parts(placement.chip).area_m2,
        },
    }


def time_network(
    network: str,
    chip: str,
    samples: int,
    training: bool,
    schedule: Schedule,
    bias: Bias = "column",
    batch: int = 1,
    device: Given | None = None,
    replicas: Mapping[str, int] | None = None,
    whole: bool = False,
    program: bool = False,
    what_if: bool = False,
) -> Result:
    """Time and energy of ``samples`` samples from the engine alone, with assumed activity (see `assumption`).

    ``batch``: samples of a mini-batch in training. ``device``, ``replicas``: as for `map_network`; unit cells are
    assumed to do what `assumed_cells` says. ``whole``: every sample is timed, and every event of it traced.
    ``program``: calibrate and write the arrays first, see `preparation`. ``what_if``: time it on changed chips as well,
    see `what_if`.
    """
    cells = _cells(device, chip)
    placement = place_by_name(network, chip, bias, cells, replicas)
    for name, given in (("samples", samples), ("batch", batch)):
        if given < 1:
            raise InputError(f"{name}: got {given}, but at least 1 is needed")
    if not training and batch > 1:
        raise InputError(f"batch: got {batch} for inference, but mini-batches are for training; accepted: 1")
    if training and not placement.chip.trains:
        raise InputError(f"chip: {placement.chip.name} has tiles without pulses and only infers; ask for inference")
    if not training and schedule in ("minibatch-pipelined", "asynchronous"):
        raise InputError(
            f"schedule: got {schedule!r} for inference, but it is for training; accepted: sequential, layer-pipelined"
        )
    if training and isinstance(cells, InferenceCells):
        raise InputError(f"device: got {shown(str(device))}, whose cells only infer; ask for inference")
    learns = cells if isinstance(cells, UnitCells) else None
    learning = assumed(learns) if learns else PLAIN
    most = max(1, MOST_ROWS // len(assumed_activity(placement, 1, training, 1, learning)))
    size = batch if training else 1
    before = preparation(placement, cells) if program else EMPTY

    def work(number: int, size: int) -> Activity:
        return Activity.concatenate([before, assumed_activity(placement, number * size, training, size, learning)])

    alike = samples % size == 0 and (learns is None or all_alike(learns))
    steady = alike and not whole and (samples > most or schedule != "asynchronous")  # staleness is that of all
    if not steady and samples > most:
        raise InputError(
            f"samples: got {shown(samples)}, but of this network at most {most} can be timed in one go; of whole "
            "mini-batches, if cells do nothing between updates, any number can"
        )

    def metered(placement: Placement) -> Meter:
        meter = Meter(make_plan(placement), schedule, traced=sys.maxsize if whole else TRACED_EVENTS)
        if steady:
            meter.repeat(work, samples // size, size, most)
        else:
            meter.add(Activity.concatenate([before, assumed_activity(placement, samples, training, batch, learning)]))
        return meter

    meter = metered(placement)
    document = {
        "schema": SCHEMA,
        "network": network,
        "chip": placement.chip.name,
        "version": package_version(),
        "assumption": statement(learns) if learns and training else STATEMENT,
        **cost(meter.plan, meter.ledger(), samples, operations_per_sample(placement.network, training)),
        "activity": meter.activity(),
        "storage": meter.storage(),
        "analysis": meter.analysis(),
        "provenance": list(placement.chip.provenance()),
    }
    if what_if:
        outcomes = compared(placement, meter.ledger(), lambda changed: metered(changed).ledger())
        document["what_if"] = [outcome.document() for outcome in outcomes]
    return Result(document, meter.trace, meter.plan.stations, meter.details)
