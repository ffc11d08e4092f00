"""Where a network lies on a chip, and how long it takes there, without training anything: `rpusim map` and `time`.

No weight is allocated, so networks far larger than this machine's memory can be asked about.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import GivenChip, load_chip
from rpusim.arch.choice.balance import GivenReplicas
from rpusim.arch.choice.choose import place_chosen
from rpusim.arch.contract.activity import EMPTY
from rpusim.arch.contract.cell_layout import SINGLE
from rpusim.arch.contract.configuration import shown
from rpusim.arch.mapping.assumed_activity import PLAIN, STATEMENT
from rpusim.arch.mapping.assumed_work import AssumedWork, check
from rpusim.arch.mapping.fit.wanted import AS_IS, GivenFit
from rpusim.arch.mapping.placement import Bias, Placement
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import Schedule
from rpusim.errors import InputError
from rpusim.workloads.cells.assumed_transfers import all_alike, assumed, statement
from rpusim.workloads.cells.preparation import preparation
from rpusim.workloads.clock.beginning import TRACED_EVENTS
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.results import document, reloading
from rpusim.workloads.results.floor import floor, is_drawn
from rpusim.workloads.results.result import Result
from rpusim.workloads.results.what_if import compared
from rpusim.workloads.runs.given_network import load_network

if TYPE_CHECKING:
    from rpusim.workloads.runs.given_network import GivenNetwork
    from rpusim.workloads.runs.inputs import Cells, GivenDevice


def map_network(
    network: GivenNetwork,
    chip: GivenChip,
    bias: Bias = "column",
    device: GivenDevice | None = None,
    replicas: GivenReplicas = None,
    fit: GivenFit = AS_IS,
    tiles: int | None = None,
    placing: str = "in-order",
) -> dict[str, Any]:
    """Place a network on a chip, as a document: every layer with its tiles, and totals.

    network:   one of the zoo, ``file.py:function``, (module, shape of one sample), or what `rpusim.capture` found. On a
               chip that trains, layers that only training uses are placed as well.
    chip:      a preset, a YAML file, or a `Chip`.
    bias:      where biases are: a column of the array, or digital.
    device:    a way to train or to infer, whose unit cells say how many arrays a weight takes; None: one device each.
    replicas:  copies of layers, by name, which share the layer's vectors; "balance": as few as make the slowest stage
               as fast as the tiles allow; "max": one for every vector (see `rpusim.arch.choice.balance`).
    fit:       how blocks find arrays: as-is, pack or grow, for all layers or by layer (see
               `rpusim.arch.mapping.fit.wanted.GivenFit`).
    tiles:     how many "balance" may use; None: as many as the chip has.
    placing:   "in-order": layers one after the other, row of the mesh by row; "near": tiles near those with which they
               exchange bits (see `rpusim.arch.choice.near`).

    Raises InputError if something is missing, or the chip is too small.
    """
    on = load_chip(chip)
    placement, _ = _placed(network, on, bias, device, replicas, fit, on.trains, tiles, placing)
    found: dict[str, Any] = {
        "network": placement.network.name,
        "chip": placement.chip.name,
        "fit": str(placement.fit),
        "placing": placing,
        "layers": document.placed_layers(placement),
        "totals": {
            "weights": placement.network.weights,
            "macs": placement.network.macs,
            "products": placement.network.products,
            "tiles": placement.tiles_used,
            "arrays": placement.arrays_used,
            "tiles_of_the_chip": placement.chip.tile_count,
            "utilisation": placement.utilisation,
            "area_m2": bill_of_parts(placement.chip).area_m2,
        },
        "assumed": list(placement.network.assumptions),
    }
    if is_drawn(placement):
        found["floor"] = floor(make_plan(placement), training=False)
    if placement.reloads:
        found["reload"] = reloading.written(placement)
    return found


def time_network(
    network: GivenNetwork,
    chip: GivenChip,
    samples: int = 1,
    training: bool = False,
    schedule: Schedule = "sequential",
    bias: Bias = "column",
    batch: int = 1,
    device: GivenDevice | None = None,
    replicas: GivenReplicas = None,
    whole: bool = False,
    program: bool = False,
    what_if: bool = False,
    fit: GivenFit = AS_IS,
    tiles: int | None = None,
    placing: str = "in-order",
) -> Result:
    """Find the time and energy of a number of samples from the engine alone, with assumed activity.

    network, chip, bias, device, replicas, fit, tiles, placing: as for `map_network`; what unit cells are assumed to do,
              each of them says (see `rpusim.workloads.cells.assumed_transfers`).
    samples:  how many are sent through.
    training: whether they also go back and learn.
    schedule: what may overlap, see `rpusim.arch.schedule.schedules`.
    batch:    samples of a mini-batch, in training.
    whole:    time every sample, and trace every event of it.
    program:  calibrate and write the arrays first, see `rpusim.workloads.cells.preparation`.
    what_if:  time it on changed chips as well, see `rpusim.workloads.results.what_if`.

    Raises InputError on what cannot be used together, or timed in one go.
    """
    placement, cells = _placed(network, chip, bias, device, replicas, fit, training, tiles, placing)
    check(placement, samples, training, schedule, batch)
    _check(cells, device, training)
    learns = cells if cells and cells.learns else None
    before = preparation(placement, cells) if program else EMPTY
    work = AssumedWork(placement, samples, training, batch, assumed(learns) if learns else PLAIN, before)
    most = work.most
    repeats = samples % work.size == 0 and (learns is None or all_alike(learns))
    proven = repeats and not whole and (samples > most or schedule != "asynchronous")  # staleness is that of all
    if not proven and samples > most:
        raise InputError(
            f"samples: got {shown(samples)}, but of this network at most {most} can be timed in one go; of whole "
            "mini-batches, if cells do nothing between updates, any number can"
        )

    def metered(placement: Placement, work: AssumedWork = work) -> Meter:
        meter = Meter(make_plan(placement), schedule, traced=sys.maxsize if whole else TRACED_EVENTS)
        by_layer = None if whole else work.by_layer
        if by_layer and meter.layers(by_layer):
            return meter
        if proven:
            meter.repeat(work.mini_batches, samples // work.size, work.size, most)
        else:
            meter.add(work.all())
        return meter

    measured = metered(placement).measured()
    last = reloading.document(
        placement, measured.ledger, lambda still: metered(still, replace(work, placement=still)).ledger()
    )
    if what_if:
        outcomes = compared(placement, measured.ledger, lambda changed: metered(changed).ledger())
        last["what_if"] = [outcome.document() for outcome in outcomes]
    return document.result(
        measured,
        operations_per_sample=document.operations_per_sample(placement.network, training),
        provenance=[*placement.chip.provenance(), *(cells.provenance() if cells else ())],
        assumption=statement(learns) if learns and training else STATEMENT,
        last=last,
    )


def _placed(
    network: GivenNetwork,
    chip: GivenChip,
    bias: Bias,
    device: GivenDevice | None,
    replicas: GivenReplicas,
    fit: GivenFit,
    training: bool,
    tiles: int | None = None,
    placing: str = "in-order",
) -> tuple[Placement, Cells | None]:
    """Load what is named, and place it as in training or as in evaluation; None where no device is named."""
    on = load_chip(chip)
    cells = None
    if device is not None:
        from rpusim.workloads.runs.inputs import load_cells  # which needs torch

        cells = load_cells(device, on)
    layout = cells.layout if cells else SINGLE
    captured = load_network(network, training)
    return place_chosen(captured, on, bias, layout, replicas, fit, tiles, placing, training), cells


def _check(cells: Cells | None, device: GivenDevice | None, training: bool) -> None:
    """Refuse training with cells that only infer."""
    if training and cells and not cells.learns:
        raise InputError(f"device: got {shown(str(device))}, whose cells only infer; ask for inference")
