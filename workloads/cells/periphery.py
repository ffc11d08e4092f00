"""What a chip's circuits mean to the numbers: converters, read-out and pulse trains of a tile as kernel parameters.

One description of the chip serves both sides: the bits that set an ADC's energy and time are the bits it rounds to.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.arch.mapping.placement import Bias, PlacedLayer, Placement
from rpusim.errors import InputError
from rpusim.kernels import (
    AnalogConfig,
    BitSliced,
    BoundManagement,
    CellParameters,
    Encoding,
    IOParameters,
    MVType,
    NoiseManagement,
    Slices,
    UpdateParameters,
)
from rpusim.kernels.mvm.wires import Wires
from rpusim.kernels.tiles.tile import LayerConfig
from rpusim.workloads.cells import inference_cells
from rpusim.workloads.cells.inference_cells import InferenceCells
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.training_cells import UnitCells, read_through

Corner = tuple[int, int]
"""Rows and columns of weights of an array before the first ones of a layer: other than 0 where arrays are shared."""


def converters(kind: TileKind, management: Management, corner: Corner = (0, 0)) -> IOParameters:
    """The periphery that a kind of tile reads through, at the resolution of its parts.

    corner: where on its array the weights begin that are read.

    InputError: the management is one that means nothing where bits or slices are converted one by one.
    """
    serial, array = kind.inputs.kind == "bit-serial", kind.array
    if serial or array.cells_per_weight > 1:
        _check_management(kind, management)
    slices, drop = None, kind.drop
    if array.cells_per_weight > 1:
        assert array.cell_bits is not None, "cells of a weight that is cut have bits"
        conversion = kind.slice_conversion
        bound, resolution = conversion.full_scale, conversion.step / (2 * conversion.full_scale)
        slices = Slices(array.cells_per_weight, array.cell_bits, Encoding(array.encoding))
    else:
        assert kind.adc.bound is not None, "a chip that reads whole weights has a bound"
        bound, resolution = kind.adc.bound, 1 / kind.adc.steps
    return IOParameters(
        mv_type=MVType.BIT_SERIAL if serial else MVType.ONE_PASS,
        digit_bits=kind.inputs.digit_bits,
        inp_res=1 / kind.inputs.steps,
        inp_sto_round=management.stochastic_rounding,
        out_res=resolution,
        out_bound=bound,
        out_noise=kind.adc.noise,
        noise_management=NoiseManagement(management.noise),
        bound_management=BoundManagement(management.bound),
        slices=slices,
        wires=_wires(kind, drop.load, corner) if drop and drop.reads else None,
    )


def _wires(kind: TileKind, load: float, corner: Corner) -> Wires:
    """The wires of the arrays, forwards; all their lines count, whether they are used or not."""
    array, (row, column) = kind.array, corner
    lines = array.rows + array.unit_lines
    return Wires(load, array.columns, lines, first_read=column, first_driven=row * array.cells_per_weight)


def _check_management(kind: TileKind, management: Management) -> None:
    """Refuse management that looks at the sum of a whole input, which no conversion of a bit or slice sees."""
    how = f"weights cut over {kind.array.cells_per_weight} cells"
    how = "bit-serial inputs" if kind.inputs.kind == "bit-serial" else how
    for field, given, worst, accepted in (
        ("noise", management.noise, "abs_max_np_sum", "'abs_max' and others that look at single inputs"),
        ("bound", management.bound, "iterative_worst_case", "'none' and 'iterative'"),
    ):
        if given == worst:
            raise InputError(
                f"management.{field}: got {given!r}, but tiles {kind.name!r} of the chip have {how}, of which every "
                f"conversion has a sum of its own; accepted are {accepted}"
            )


def analog_configuration(
    kind: TileKind, management: Management, cells: UnitCells, bias: Bias, corner: Corner = (0, 0)
) -> AnalogConfig:
    """Make the kernel's parameters for arrays on one kind of tile that learn.

    kind:        the kind of tile: converters, pulses and how cells are written.
    management:  what the digital side does.
    cells:       what stands at the cross-points.
    bias:        where the bias is kept.
    corner:      where on its array the weights begin.

    InputError: the tiles have no pulses or cut weights over several cells, or cells are reset and the tiles do not say
    how they are written.

    A transfer reads its array through the same converters, without management and with an input that needs no rounding.
    """
    if kind.pulses is None:
        raise InputError(f"chip: tiles {kind.name!r} have no pulses and cannot learn; a chip with pulses is needed")
    _check_slices(kind, cells.cell)
    if cells.cell.resets:
        kind.writing(need=f"cells of kind {cells.cell.kind!r} are reset")
    forward = converters(kind, management, corner)
    turned, drop = forward.wires and forward.wires.turned, kind.drop
    backward = replace(forward, bound_management=BoundManagement.NONE, wires=turned)
    of_slices = replace(backward, inp_sto_round=False, noise_management=NoiseManagement.NONE, wires=forward.wires)
    trains = cells.update or UpdateParameters(desired_bl=kind.pulses.bl)
    return AnalogConfig(
        device=cells.device,
        cell=read_through(cells.cell, of_slices),
        forward=forward,
        backward=backward,
        update=replace(
            trains,
            desired_bl=management.bl or trains.desired_bl,
            update_management=management.update,
            update_bl_management=management.update_bl,
            execution=cells.execution,
        ),
        analog_bias=bias == "column",
        pulse_wires=_wires(kind, drop.load, corner) if drop and drop.steps else None,
        half_select=kind.pulses.half_select or 0.0,
    )


def _check_slices(kind: TileKind, cell: CellParameters) -> None:
    """Refuse cells that do not cut weights as the arrays of a kind of tile do, and arrays whose slices cannot learn."""
    array, sliced = kind.array, isinstance(cell, BitSliced)
    cut = f"chip: tiles {kind.name!r} cut a weight over {array.cells_per_weight} cells (array.cells_per_weight)"
    if array.cells_per_weight > 1 and not sliced:
        raise InputError(
            f"{cut}, which cells of kind {cell.kind!r} cannot train, as each of their pulses moves one cell; cells of "
            "kind 'bit-sliced', or a chip with one cell per weight, are needed"
        )
    if not isinstance(cell, BitSliced):
        return
    if array.cells_per_weight == 1:
        raise InputError(
            f"device.cell: got {cell.kind!r}, but tiles {kind.name!r} of the chip hold a weight in one cell; a chip "
            "with array.cells_per_weight of 2 or more is needed"
        )
    if array.encoding != "signed":
        raise InputError(
            f"{cut} of encoding {array.encoding!r} (array.encoding), which cannot be read backwards, as there is no "
            "unit line along the rows; 'signed' is needed for training"
        )
    if (array.cells_per_weight, array.cell_bits) != (cell.slices.number, cell.slices.bits):
        raise InputError(
            f"{cut} of {array.cell_bits} bits, but the unit cells have {cell.slices.number} of {cell.slices.bits}; all "
            "kinds of tile that train need the same"
        )
    if kind.drop is not None and kind.drop.reads:
        raise InputError(
            f"{cut} on lines whose wires lose voltage (array.wires), which is not modelled where slices are read "
            "backwards one after the other; array.wires: ideal is needed for training"
        )


def layer_configurations(
    placement: Placement, management: Management, cells: UnitCells | InferenceCells
) -> dict[str, LayerConfig]:
    """Make the kernel's parameters for every layer of a placement, by layer name: those of its kind of tile.

    All blocks of a layer on shared arrays are taken to lie where the farthest of them does, so their wires lose at
    least what they would.
    """

    @cache
    def of(number: int, corner: Corner) -> LayerConfig:
        kind = placement.chip.tiles[number]
        if isinstance(cells, InferenceCells):
            return inference_cells.configuration(cells, kind, converters(kind, management, corner), placement.bias)
        return analog_configuration(kind, management, cells, placement.bias, corner)

    for number in range(len(placement.chip.tiles)):
        of(number, (0, 0))  # a kind that cannot be used is refused, whether it is used or not
    return {placed.layer.name: of(placed.blocks[0].kind, _farthest(placed)) for placed in placement.holders}


def _farthest(placed: PlacedLayer) -> Corner:
    """Find the first row and column of the block of a layer, or of its joined groups, that is farthest out."""
    row = max(b.corner[0] + b.lines[0] // b.joined * (b.joined - 1) for b in placed.on_arrays.blocks)
    column = max(b.corner[1] + b.lines[1] // b.joined * (b.joined - 1) for b in placed.on_arrays.blocks)
    return row, column


_SCALED = Work(multiply=1)
_LARGEST = Work(multiply=1, compare=1)
_PER_INPUT = {
    "none": NOTHING,
    "constant": _SCALED,
    "abs_max": _LARGEST,
    "max": _LARGEST,
    "average_abs_max": _LARGEST,
    "abs_max_np_sum": _LARGEST + Work(add=2),
}
"""Digital work of noise management per input: a scaling; the search for the largest; sums of either sign. Where the
scale follows from the inputs it is one over the largest: a division per vector."""
_ROUNDED = Work(add=1, random=1)
"""Of stochastic rounding, per input."""


def with_management(activity: Activity, placement: Placement, management: Management) -> Activity:
    """Add to rows of activity the digital work that management asks for, tile by tile.

    Noise management and stochastic rounding: see `_PER_INPUT` and `_ROUNDED`; bound management: every repeated pass
    scales its inputs again, unless they come bit by bit and have half the read voltage instead. An update turns each
    line's value into a firing probability (one multiplication); update and BL management first look for the largest of
    each side (one comparison per line, and per vector a division for the ratio of both and one, as a guess, for its
    square root); a gradient that is collected digitally needs neither. A transfer that writes turns the values of its
    slice into probabilities; it is read without management. Cells that make their pulses themselves count that
    themselves.
    """
    rows, columns, inputs_of = np.zeros((3, len(activity)), np.int64)
    forward = activity.phase == Phase.FORWARD
    scaled_again = np.ones(len(activity), np.int64)
    joined = np.array([placed.joined for placed in placement.layers], np.int64)
    tile = activity.tile // joined[activity.layer]
    for block in placement.blocks():
        here, each = (activity.layer == block.layer) & (tile == block.tile), block.joined
        rows[here], columns[here] = (lines // each for lines in block.lines)
        inputs_of[here] = np.where(forward[here], block.columns // each, block.rows // each)
        scaled_again[here] = placement.chip.tiles[block.kind].inputs.kind != "bit-serial"
    reads, updates = activity.phase < Phase.UPDATE, activity.phase == Phase.UPDATE
    inputs = inputs_of * reads
    by_probabilities = not placement.cell.own_trains
    lines = (rows + columns) * updates * bool(placement.cell.learning and by_probabilities)
    slices = columns if placement.cell.slices == "row" else rows
    written = np.where(reads | updates | (activity.slots == 0), 0, slices * by_probabilities)
    searched = bool(management.update or management.update_bl)
    retries = np.maximum(activity.passes - 1, 0) * scaled_again
    per_input = _PER_INPUT[management.noise] + _ROUNDED * management.stochastic_rounding
    divided = reads * (per_input.compare > 0) + 2 * (lines > 0) * searched
    added = {
        "adds": inputs * per_input.add,
        "multiplies": inputs * (per_input.multiply + retries) + lines + written,
        "divides": divided,
        "compares": inputs * per_input.compare + lines * searched,
        "randoms": inputs * per_input.random,
    }
    return replace(activity, **{name: getattr(activity, name) + number for name, number in added.items()})


def splits(placement: Placement) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Say how the kernel has to cut each layer for its tiles to be the chip's: (row splits, column splits) by name."""
    found = {}
    for placed in placement.holders:
        grid, groups = placed.on_arrays, placed.joined  # groups that are joined are computed each for itself
        rows = tuple(size // groups for size in grid.row_splits for _ in range(groups))
        found[placed.layer.name] = rows, tuple(size // groups for size in grid.column_splits)
    return found
