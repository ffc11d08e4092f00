"""What it takes to bring cells to their symmetry points before a training run, as work that the engine times.

Algorithms that count from a symmetry point need to know it. Zero-shifting (Kim et al. 2019) finds it: alternating
pulses to all cells of an array at once, every column read once, and what was found written to the reference. It is done

* where a cell says so (``zero_shift_pairs``): so many pairs on its first array;
* where a device is given as already on its point (``subtract_symmetry_point``), on every array of such devices. The
  numbers then start from there, and somebody has brought them there: assumed are the pairs after which 1 % of the way
  is left, n = ln(100) / (dw_min (1 / w_max + 1 / |w_min|)), exact for soft bounds (`rpusim.kernels.arrays.zero_shift`).

Time and energy of a training run are without it; what it adds is told beside them, with both sums. The engine times it
as it stands before a sample, and what that sample takes alone is taken off again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.contract.activity import Activity
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Block, Placement
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import run
from rpusim.kernels.devices.reference import Referenced
from rpusim.workloads.cells.preparation import alternating_pulses, write_array
from rpusim.workloads.cells.training_cells import UnitCells

LEFT = 0.01
"""Share of the way to the symmetry point that is left where a device is given as being there: an assumption."""
GIVEN = "zero_shift_pairs of the cell"
ASSUMED = "assumption: the device starts on its symmetry point, which zero-shifting brings it to but for 1 % of the way"
UNCOUNTED = "writing of the references: the chip does not say how its arrays are written (programming)"


def pairs(cells: UnitCells) -> dict[int, tuple[int, str]]:
    """Say how many pairs of pulses each array takes before the first sample, by its number, and why."""
    if cells.calibration_pairs:
        return {0: (cells.calibration_pairs, GIVEN)}
    found = {}
    for array in range(cells.cell.arrays):
        device = cells.cell.device_of(array, cells.device)
        if isinstance(device, Referenced) and device.subtract_symmetry_point:
            rate = device.dw_min * (1.0 / device.w_max + 1.0 / abs(device.w_min))
            found[array] = math.ceil(math.log(1.0 / LEFT) / rate), ASSUMED
    return found


def document(plan: Plan, cells: UnitCells, without: Mapping[str, float]) -> dict[str, Any] | None:
    """Write what result.json says of calibration; None where nothing is calibrated.

    plan:     of the network on its chip. cells: what stands at the cross-points.
    without:  ``seconds``, ``joules`` and ``pulses_per_cell`` of the training without it.

    InputError: more pairs than a row of activity can count.
    """
    arrays = pairs(cells)
    if not arrays:
        return None
    activity = Activity.concatenate(_rows(plan.placement, arrays))
    sample = assumed_activity(plan.placement, 1, training=False)
    (long, much), (short, little) = (_account(plan, rows) for rows in ([activity, sample], [sample]))
    took = {
        "seconds": (long - short) / PICOSECONDS_PER_SECOND,
        "joules": (much - little) / ZEPTOJOULES_PER_JOULE,
        "pulses_per_cell": 2.0 * sum(number for number, _ in arrays.values()) / plan.placement.cell.arrays,
    }
    found: dict[str, Any] = {
        "arrays": [{"array": k, "pairs": number, "why": why} for k, (number, why) in arrays.items()],
        **took,
        "columns_read": int(activity.passes.sum()),
        "cells_written": int(activity.writes.sum()),
        "total": {
            **{f"{name}_without": float(value) for name, value in without.items()},
            **{f"{name}_with": float(without[name]) + value for name, value in took.items()},
        },
    }
    if not all(_programmed(plan.placement, block) for block in _blocks(plan.placement)):
        found["uncounted"] = [UNCOUNTED]
    return found


def _account(plan: Plan, rows: list[Activity]) -> tuple[int, int]:
    """Time and price work in the order in which it stands: picoseconds and zeptojoules."""
    activity = Activity.concatenate(rows)
    ledger, _ = Pricer(plan).piece(run(plan, activity, "sequential"), activity, None)
    return ledger.time_ps, ledger.total_zj


def _blocks(placement: Placement) -> Iterator[Block]:
    for placed in placement.holders:
        for block in (each for each in placed.blocks if not each.reloaded):
            turned = block.turned
            yield block if turned is None else replace(turned, layer=block.layer, tile=block.tile)


def _programmed(placement: Placement, block: Block) -> bool:
    return placement.chip.tiles[block.kind].programming is not None


def _rows(placement: Placement, arrays: Mapping[int, tuple[int, str]]) -> Iterator[Activity]:
    """List the work of every block: pulses and reads of each calibrated array, and the writing of its reference."""
    reference = placement.cell.reference
    for block in _blocks(placement):
        for array, (number, _) in arrays.items():
            yield alternating_pulses(block, number, array)
            if _programmed(placement, block):
                yield write_array(placement, block, array if reference is None else reference)
