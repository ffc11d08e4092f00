"""The document of a result: the one place where its parts are put together, in the order in which they are written.

Quantities are SI floats. docs/results.md describes every key, and `rpusim schema result` prints their JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.engine.events import Events
from rpusim.arch.mapping.placement import Placement
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import Plan
from rpusim.workloads.results import intervals, wires
from rpusim.workloads.results.bottleneck import bottleneck
from rpusim.workloads.results.floor import floor
from rpusim.workloads.results.result import SCHEMA, Result
from rpusim.workloads.results.standby import standby, states


@dataclass(frozen=True)
class Measured:
    """What the engine and the ledger found about a run, as a meter hands it over.

    plan:      the network as scheduled work on its chip.
    ledger:    time and energy of all samples.
    samples:   how many samples that was; at least 1.
    activity:  the document's ``activity``: what the arrays did, and how much of it was timed.
    storage:   the document's ``storage``: where waits what is needed again.
    analysis:  the document's ``analysis``: where time and power went.
    trace:     the first events of the run; None if nothing was timed.
    details:   further columns of these events, by name.
    sensitivity:  the document's ``sensitivity``: what each assumption does to the total; empty if nothing was timed.
    """

    plan: Plan
    ledger: Ledger
    samples: int
    activity: dict[str, Any]
    storage: dict[str, Any]
    analysis: dict[str, Any]
    trace: Events | None
    details: dict[str, np.ndarray]
    sensitivity: dict[str, Any] = field(default_factory=dict)


def result(
    measured: Measured,
    *,
    operations_per_sample: float,
    provenance: Sequence[dict[str, Any]],
    title: str | None = None,
    training: dict[str, Any] | None = None,
    seed: int | None = None,
    configuration: str | None = None,
    assumption: str | None = None,
    accuracy: dict[str, Any] | None = None,
    samples_per_epoch: int | None = None,
    pulses: dict[str, Any] | None = None,
    endurance: dict[str, Any] | None = None,
    calibration: dict[str, Any] | None = None,
    conductance: list[dict[str, Any]] | None = None,
    replicas: list[dict[str, Any]] | None = None,
    steps: dict[str, str] | None = None,
    last: Mapping[str, Any] | None = None,
) -> Result:
    """Make a result of what was measured and what else a run has to say; parts that are None are left out.

    measured:               time, energy, activity, and the trace.
    operations_per_sample:  operations of one sample, 2 per multiply-accumulate; a mean where samples differ.
    provenance:             every number that went in: field, value, unit, source.
    title, training, seed:  of an experiment: its title, everything else it sets, and its seed.
    configuration:          digest of all that an experiment sets.
    assumption:             what was assumed in place of a computation.
    accuracy:               test errors and learning curve.
    samples_per_epoch:      training samples, for the time of an epoch.
    pulses:                 how pulses were computed, and why.
    endurance:              how worn the cells are.
    calibration:            what symmetry points took that were found before the first sample.
    conductance:            which part of the range of conductances the weights use.
    replicas:               how replicas shared vectors, and how alike they are.
    steps:                  how each training was computed.
    last:                   parts that end the document, in this order.
    """
    placement = measured.plan.placement
    found = {
        "schema": SCHEMA,
        "title": title,
        "network": placement.network.name,
        "chip": placement.chip.name,
        "training": training,
        "steps": steps,
        "seed": seed,
        "configuration": configuration,
        "version": package_version(),
        "assumption": assumption,
        "accuracy": None if accuracy is None else _with_intervals(accuracy),
        **cost(
            measured.plan,
            measured.ledger,
            measured.samples,
            operations_per_sample,
            samples_per_epoch,
            measured.analysis.get("critical_path", {}).get("by_part"),
        ),
        "floor": floor(measured.plan, training=measured.ledger.by(1).get("backward", 0) > 0),
        "activity": measured.activity,
        "storage": measured.storage,
        "pulses": pulses,
        "wires": wires.document(placement),
        "endurance": endurance,
        "calibration": calibration,
        "conductance": conductance,
        "replicas": replicas,
        "analysis": measured.analysis,
        "sensitivity": measured.sensitivity or None,
        "provenance": [*provenance, *without_rules(placement.network)],
    }
    document = {key: value for key, value in found.items() if value is not None} | dict(last or {})
    return Result(document, measured.trace, measured.plan.stations, measured.details)


def cost(
    plan: Plan,
    ledger: Ledger,
    samples: int,
    operations_per_sample: float,
    samples_per_epoch: int | None = None,
    path: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Make the parts about time, energy, power, throughput, area, tiles, layers and bottleneck.

    ledger: the account of all ``samples`` samples (at least 1). path: time on the critical path by kind of unit; None:
    it is not known. For the other arguments see `result`.
    """
    chip = plan.placement.chip
    total_s, total_j = ledger.time_ps / PICOSECONDS_PER_SECOND, ledger.total_zj / ZEPTOJOULES_PER_JOULE
    area = bill_of_parts(chip).total("area_m2")
    time = {
        "per_sample_s": total_s / samples,
        "total_s": total_s,
        "samples_per_s": samples / total_s,
    }
    if samples_per_epoch is not None:
        time["per_epoch_s"] = time["per_sample_s"] * samples_per_epoch

    def joules(column: int) -> dict[str, float]:
        return {name: zj / ZEPTOJOULES_PER_JOULE for name, zj in ledger.by(column).items()}

    return {
        "time": time,
        "energy": {
            "per_sample_J": total_j / samples,
            "total_J": total_j,
            "by_part": joules(0),
            "by_phase": joules(1),
            "by_layer": joules(2),
            "states": states(ledger),
            "standby": standby(plan, ledger),
            "matrix": _matrix(ledger),
        },
        "power": {"average_W": total_j / total_s, "peak_W": ledger.peak_w},
        "throughput": {
            "ops_per_s": operations_per_sample * samples / total_s,
            "ops_per_J": operations_per_sample * samples / total_j,
            "operations_per_sample": round(operations_per_sample),
        },
        "area": {"total_m2": sum(area.values()), "by_part": dict(sorted(area.items(), key=lambda item: -item[1]))},
        "tiles": {
            "count": plan.placement.tiles_used,
            "of": chip.tile_count,
            "arrays": plan.placement.arrays_used,
            "utilisation": plan.placement.utilisation,
        },
        "layers": placed_layers(plan.placement),
        "bottleneck": bottleneck(plan, ledger, path),
    }


def _matrix(ledger: Ledger) -> list[dict[str, Any]]:
    """List energy by part, phase and layer at once, largest first."""
    ordered = sorted(ledger.energy.items(), key=lambda item: -item[1])
    names = ("part", "phase", "layer", "J")
    return [dict(zip(names, (*key, zj / ZEPTOJOULES_PER_JOULE), strict=True)) for key, zj in ordered if zj]


def operations_per_sample(network: Network, training: bool) -> int:
    """Count the operations of one sample: 2 per multiply-accumulate; forward, backward and update each count once.

    network:   its layers and how they are connected.
    training:  whether samples also go back and learn. A layer that reads only the network's input has no backward
               pass (unless tables or other parameters before it learn), and the first step of a recurrent one neither.
    """
    macs, products = network.macs, network.products
    if training:
        inner = (network.goes_back(i) for i in range(len(network.layers)))
        back = (layer.weights * (layer.vectors - layer.unread) for layer in network.layers)
        macs += network.macs + sum(number for number, has in zip(back, inner, strict=True) if has)
        products *= 3  # the gradient of each factor
    return 2 * (macs + products)


def operations(placement: Placement, activity: Activity) -> int:
    """Count the operations of what the arrays really did: 2 per multiply-accumulate of every vector in every phase.

    placement: of the layers that the rows of activity number.
    activity:  what was done; rows of the first matrix of a replica stand for all of them.
    """
    of_layer = np.array([2 * layer.macs // layer.vectors for layer in placement.network.layers], np.int64)
    parts = np.array([placed.parts for placed in placement.layers], np.int64)
    counted = (activity.tile % parts[activity.layer] == 0) & (activity.phase <= Phase.UPDATE)
    return int((of_layer[activity.layer] * activity.count)[counted].sum())


def without_rules(network: Network) -> list[dict[str, Any]]:
    """List what had to be assumed of operations of a network, as rows of provenance: numbers per sample."""
    return [
        {
            "field": f"network.{operation.name}",
            "value": max((number for _, number in operation.functions), default=0),
            "unit": "1",
            "source": f"assumption: {operation.assumed}",
        }
        for operation in network.operations
        if operation.assumed
    ]


def placed_layers(placement: Placement) -> list[dict[str, Any]]:
    """Describe every weight layer with the blocks it lies on.

    Rows and columns are those of the matrix W in y = W x, bias column included; vectors and macs are per sample. A
    layer that uses the weight of an earlier one names that as ``arrays_of``, and says if it is ``transposed``. Blocks
    of a layer that is packed say ``at`` which row and column of weights of their array they begin, and how many groups
    of a convolution are ``joined`` on their diagonal, whose columns are counted one group after the other.
    """
    layers = []
    for placed in placement.layers:
        layer = placement.network.layers[placed.index]
        tiles = [
            {
                "tile": tile,
                "array": array,
                "kind": placement.chip.tiles[b.kind].name,
                "rows": [b.row_start, b.row_stop],
                "columns": [b.column_start, b.column_stop],
                **({"at": list(b.corner)} if placement.fit.of_layer(layer.name) == "pack" else {}),
                **({"joined": b.joined} if b.joined > 1 else {}),
            }
            for b in placed.blocks
            for tile, array in b.slots
        ]
        layers.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "rows": layer.rows,
                "columns": sum(placed.column_splits) // placed.joined,
                "vectors": layer.vectors,
                "macs": layer.macs,
                "weights": layer.weights,
                "replicas": placed.replicas,
                "tiles": tiles,
            }
        )
        if placed.turned:
            layers[-1]["transposed"] = True
        if (first := placement.network.uses(placed.index)[0]) != placed.index:
            layers[-1]["arrays_of"] = placement.network.layers[first].name
    return layers


def package_version() -> str:
    """Return the version of the installed rpusim, such as "0.1.0"."""
    return version("rpusim")


def _with_intervals(accuracy: dict[str, Any]) -> dict[str, Any]:
    """Add 95 % intervals to the two test errors: how far they may be off as so few samples were tested."""
    names, samples = ("test_error", "test_error_floating_point"), accuracy["test_samples"]
    return accuracy | {f"{name}_interval": list(intervals.of_share(accuracy[name], samples)) for name in names}
