"""What unit cells are assumed to do where nothing is computed (`rpusim time`): transfers at their fixed periods.

Periods, slices and digital operations are the algorithm's own. What the data would decide is assumed: without a buffer
every slice is written by full pulse trains; with one, each position of a slice has passed its threshold with
`CROSSING_PROBABILITY`, independently, and takes one pulse. No cell is reset.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from rpusim.arch.contract.activity import Phase
from rpusim.arch.mapping.assumed_activity import STATEMENT, Between, Learning, trains
from rpusim.kernels.cells import (
    BufferedTransfer,
    CellParameters,
    ChoppedTransfer,
    DynamicTransfer,
    Hamiltonian,
    MixedPrecision,
    OneSided,
    Transfer,
    Vector,
)
from rpusim.kernels.cells.tiki_taka.buffered import BufferedTransferCell
from rpusim.kernels.cells.tiki_taka.dynamic import DynamicTransferCell
from rpusim.workloads.cells.training_cells import UnitCells, layout

CROSSING_PROBABILITY = 0.1
"""Of one position of a slice that is read. A guess: on the digits it is 0.45 in a fully connected network and 0.04 in a
convolutional one (chopped-ttv2-reram-sb, mini-batch 1)."""


def assumed(cells: UnitCells) -> Learning:
    """What these cells are taken to do."""
    collects = isinstance(cells.cell, MixedPrecision)
    return Learning(
        cells.update.desired_bl if cells.update else None,
        _together(cells.cell),
        operations=lambda rows, columns: 2 * rows * columns + rows if collects else 0,
        between=lambda rows, columns, vectors: _between(cells, cells.cell, rows, columns, vectors),
    )


def _together(cell: CellParameters) -> int:
    """How many arrays take every coincidence: all that learn from the same trains (of a one-sided pair either does)."""
    if isinstance(cell, MixedPrecision):
        return _together(cell.inner)
    return len(layout(cell).learning) if isinstance(cell, Vector) else 1


def all_alike(cells: UnitCells) -> bool:
    """Whether every mini-batch is like the one before: nothing falls due between updates with a period of its own."""
    return not list(_between(cells, cells.cell, 1, 1, 1))


def statement(cells: UnitCells) -> str:
    """The assumptions in words."""
    if all_alike(cells):
        return STATEMENT
    return (
        f"{STATEMENT}; {cells.cell.kind} cells: what they do between updates at its fixed periods, thresholds crossed "
        f"with probability {CROSSING_PROBABILITY}, nothing reset"
    )


def _between(cells: UnitCells, cell: CellParameters, rows: int, columns: int, vectors: int) -> Iterator[Between]:
    """Of a block, for ``vectors`` of it in a mini-batch."""
    if isinstance(cell, MixedPrecision):
        yield _row_writes(cell, rows, columns, vectors)
        yield from _between(cells, cell.inner, rows, columns, vectors)
    elif isinstance(cell, OneSided) and cell.refresh_every:
        period = cell.refresh_every * (vectors if cell.units_in_mbatch else 1)
        for array in (0, 1):
            yield Between(Phase.MAINTENANCE, period, array=array, read={"passes": columns})
    elif isinstance(cell, Hamiltonian):
        write = trains(cell.transfer_update.desired_bl, rows, columns)
        yield Between(Phase.TRANSFER, cell.transfer_every, written=1.0, read={"passes": 1}, write=write)
    elif isinstance(cell, Transfer):
        yield from _transfers(cells, cell, rows, columns, vectors)


def _row_writes(cell: MixedPrecision, rows: int, columns: int, vectors: int) -> Between:
    """Every row of the gradient in memory is examined; those in which a threshold was crossed are written."""
    share, pulses = _crossed(columns)
    sent = pulses["coincidences_up"] + pulses["coincidences_down"]
    met = {name: pulses[name] * _together(cell.inner) for name in ("coincidences_up", "coincidences_down")}
    return Between(
        Phase.TRANSFER,
        cell.transfer_every * vectors,
        slices=min(cell.n_rows_per_transfer or rows, rows),
        written=share,
        read={"digital_ops": columns},
        write=pulses | met | {"row_pulses": 1, "column_pulses": sent},
    )


def _transfers(cells: UnitCells, cell: Transfer, rows: int, columns: int, vectors: int) -> Iterator[Between]:
    """Of every array to the next one."""
    slices, length = (columns, rows) if cell.transfer_columns else (rows, columns)
    share, write, per_position = 1.0, trains(cell.transfer_update.desired_bl, length, 1), 0
    if isinstance(cell, BufferedTransfer):
        share, write = _crossed(length)
        write |= {"row_pulses": write["coincidences_up"] + write["coincidences_down"], "column_pulses": 1}
        of = DynamicTransferCell if isinstance(cell, DynamicTransfer) else BufferedTransferCell
        per_position = of.digital_ops_per_position
    for array, period in enumerate(periods(cells, cell, slices, length, vectors)):
        if period:
            read = {"passes": 1, "digital_ops": per_position * length}
            yield Between(Phase.TRANSFER, period, cell.n_reads_per_transfer, array, share, read, write)


def periods(cells: UnitCells, cell: Transfer, slices: int, length: int, vectors: int) -> list[int]:
    """After how many vectors each array is transferred; 0: never. As `TransferCell.periods`, which a test compares."""
    if isinstance(cell, ChoppedTransfer) and cell.transfer_every < 0.0:
        return [max(round(cells.device.num_states / slices * -cell.transfer_every), 1), 0]
    every = [cell.transfer_every * (length / cell.n_reads_per_transfer) ** k for k in range(cell.number)]
    every = list(cell.transfer_every_vec or every)
    if cell.no_self_transfer:
        every[-1] = 0.0
    return [math.ceil(given * vectors) if cell.units_in_mbatch else round(given) for given in every]


def _crossed(length: int) -> tuple[float, dict[str, int]]:
    """The share of slices in which some position crosses its threshold; one pulse for each of these positions."""
    share = 1.0 - (1.0 - CROSSING_PROBABILITY) ** length
    positions = max(round(CROSSING_PROBABILITY * length / share), 1)
    return share, {"slots": 1, "coincidences_up": positions // 2, "coincidences_down": positions - positions // 2}
