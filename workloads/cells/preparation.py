"""What is done to the arrays before the first sample: symmetry points found, weights and references written.

Counted, not computed: every cell of a block is written, in as many pulses as the chip's `programming` takes in the
mean; where it verifies, the array is read column by column after every round of pulses. Of cells that infer, what
drift will be measured against is read after that, column by column, if it is compensated. Zero-shifting (Kim et al.
2019) sends alternating pulses to all cells at once, reads the array column by column, and writes what it finds to the
reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.configuration import shown
from rpusim.arch.mapping.fit.turns import turns, writing
from rpusim.arch.mapping.placement import Block, Placement
from rpusim.errors import InputError

if TYPE_CHECKING:
    from rpusim.workloads.cells.inference_cells import InferenceCells
    from rpusim.workloads.cells.training_cells import UnitCells

MOST_COUNT = 2**31 - 1
"""Pulses of a side in one row of activity."""


def preparation(placement: Placement, cells: UnitCells | InferenceCells | None) -> Activity:
    """List the work before the first mini-batch: rows of maintenance for every block of a placement.

    Where a weight has several uses its arrays are prepared once. Blocks that take turns are written when they come, but
    for those that the first sample finds on their arrays.

    cells: what stands at the cross-points; None: single devices.

    InputError: tiles do not say how they are written, or more pulses are asked for than a row can count.
    """
    later = {(layer, tile) for layer, tiles in turns(placement).items() for tile in tiles}
    every = (block for placed in placement.holders for block in placed.blocks)
    blocks = (block for block in every if (block.layer, block.tile) not in later)
    return Activity.concatenate(rows for block in blocks for rows in _of_block(placement, block, cells))


def _of_block(placement: Placement, block: Block, cells: UnitCells | InferenceCells | None) -> Iterator[Activity]:
    if block.turned is not None:  # as it lies on the array
        block = replace(block.turned, layer=block.layer, tile=block.tile)
    pairs = cells.calibration_pairs if cells else 0
    layout = placement.cell
    written = [array for array in layout.visible if array != layout.reference]
    if pairs:
        yield alternating_pulses(block, pairs)
    if pairs and layout.reference is not None:  # that of a reference cell is visible, and among the others
        written.append(layout.reference)
    for array in written:
        yield write_array(placement, block, array)
    if cells and cells.measures_drift:
        yield _measuring(block)


def alternating_pulses(block: Block, pairs: int, array: int = 0) -> Activity:
    """Send pairs of alternating pulses to all of an array, by its number, which is then read column by column.

    InputError: more pulses than a row of activity can count.
    """
    most = MOST_COUNT // (2 * max(block.rows, block.columns))
    if pairs > most:
        raise InputError(
            f"device.cell.zero_shift_pairs: got {shown(pairs)}, but the pulses of at most {most} pairs can be "
            f"counted on an array of {block.rows} x {block.columns}"
        )
    slots, met = 2 * pairs, pairs * block.rows * block.columns
    return Activity.rows(
        **_place(block),
        array=array,
        slots=slots,
        coincidences_up=met,
        coincidences_down=met,
        row_pulses=slots * block.rows,
        column_pulses=slots * block.columns,
        active_rows=block.rows,
        active_columns=block.columns,
        passes=block.columns,
    )


def write_array(placement: Placement, block: Block, array: int) -> Activity:
    """Write every cell of an array, by its number. InputError: the tile does not say how it is written."""
    return Activity.rows(**writing(placement.chip.tiles[block.kind], block, placement.chip.name), array=array)


def _measuring(block: Block) -> Activity:
    """Drive every column alone, and add up the magnitudes of the answers."""
    return Activity.rows(
        **_place(block),
        active_rows=block.rows,
        active_columns=block.columns,
        passes=block.columns,
        adds=block.rows * block.columns,
    )


def _place(block: Block) -> dict[str, int]:
    return {"phase": Phase.MAINTENANCE, "vector": -1, "layer": block.layer, "tile": block.tile}
