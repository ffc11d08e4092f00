"""What unit cells are assumed to do where nothing is computed (`rpusim time`).

Periods, slices and digital operations are the algorithm's own, and each cell states them
(`rpusim.kernels.cells.CellParameters.periodic_work`). What the data would decide is assumed in
`rpusim.arch.mapping.assumed_activity`, which makes rows of activity of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpusim.arch.mapping.assumed_activity import CROSSING_PROBABILITY, STATEMENT, Learning

if TYPE_CHECKING:
    from rpusim.workloads.cells.training_cells import UnitCells


def assumed(cells: UnitCells) -> Learning:
    """Say what these cells are taken to do with a vector's gradient, and between updates.

    cells: what stands at the cross-points. Returns what `assumed_activity` wants as ``learning``.
    """
    cell = cells.cell
    return Learning(
        cell.slots_per_vector or (cells.update.desired_bl if cells.update else None),
        cell.arrays_per_coincidence,
        work=cell.work_per_vector,
        between=lambda rows, columns, vectors: cell.periodic_work(cells.device, rows, columns, vectors),
    )


def all_alike(cells: UnitCells) -> bool:
    """Tell whether every mini-batch is like the one before: nothing falls due between updates at its own period."""
    return not any(True for _ in cells.cell.periodic_work(cells.device, 1, 1, 1))


def statement(cells: UnitCells) -> str:
    """Put the assumptions in words, for the result."""
    if all_alike(cells):
        return STATEMENT
    return (
        f"{STATEMENT}; {cells.cell.kind} cells: what they do between updates at its fixed periods, thresholds crossed "
        f"with probability {CROSSING_PROBABILITY}, nothing reset"
    )
