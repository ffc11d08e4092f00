"""What a chip's circuits mean to the numbers: converters, read-out and pulse trains of a tile as kernel parameters.

One description of the chip serves both sides: the bits that set an ADC's energy and time are the bits it rounds to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rpusim.arch.activity import Activity, Phase
from rpusim.arch.chip import Chip, TileKind
from rpusim.arch.mapping import Bias, Placement
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, BoundManagement, IOParameters, PulsedDevice, UpdateParameters, device, preset
from rpusim.workloads.settings import Management


def build_device(given: str | dict[str, Any]) -> PulsedDevice:
    """The device of a preset's name, or of a mapping with ``model`` and its parameters."""
    if isinstance(given, str):
        return preset(given).device
    parameters = dict(given)
    model = parameters.pop("model", None)
    if not isinstance(model, str):
        raise InputError(f"device: got {given!r}, but a mapping needs 'model', such as model: constant-step")
    return device(model, **parameters)


def device_source(given: str | dict[str, Any]) -> str:
    """Where the numbers of `build_device` come from."""
    return preset(given).source if isinstance(given, str) else "given in the experiment, or the model's default"


def analog_configuration(kind: TileKind, management: Management, cell: PulsedDevice, bias: Bias) -> AnalogConfig:
    """Kernel parameters of one kind of tile. An n-bit converter has 2^n - 2 steps over its signed range."""
    if kind.pulses is None:
        raise InputError(f"chip: tiles {kind.name!r} have no pulses and cannot learn; a chip with pulses is needed")
    circuit: dict[str, Any] = {
        "inp_res": 1 / (2**kind.inputs.bits - 2),
        "inp_sto_round": management.stochastic_rounding,
        "out_res": 1 / (2**kind.adc.bits - 2),
        "out_bound": kind.adc.bound,
        "out_noise": kind.adc.noise,
        "noise_management": management.noise,
    }
    return AnalogConfig(
        device=cell,
        forward=IOParameters(**circuit, bound_management=BoundManagement(management.bound)),
        backward=IOParameters(**circuit, bound_management=BoundManagement.NONE),
        update=UpdateParameters(
            desired_bl=management.bl or kind.pulses.bl,
            update_management=management.update,
            update_bl_management=management.update_bl,
        ),
        analog_bias=bias == "column",
    )


def layer_configurations(placement: Placement, management: Management, cell: PulsedDevice) -> dict[str, AnalogConfig]:
    """Kernel parameters for every layer of a placement, by layer name: those of the kind of tile it lies on."""
    chip: Chip = placement.chip
    kinds = [analog_configuration(kind, management, cell, placement.bias) for kind in chip.tiles]
    return {placed.layer.name: kinds[placed.blocks[0].kind] for placed in placement.layers}


_PER_INPUT = {"none": 0, "constant": 1, "abs_max": 2, "max": 2, "average_abs_max": 2, "abs_max_np_sum": 4}
"""Digital operations of noise management per input: a scaling; the search for the largest; sums of either sign."""


def with_management(activity: Activity, placement: Placement, management: Management) -> Activity:
    """The same rows with the digital operations that management asks for, tile by tile.

    Noise management: see `_PER_INPUT`; stochastic rounding: one addition per input; bound management: every repeated
    pass scales its inputs again. An update turns each line's value into a firing probability (one multiplication);
    update and BL management first look for the largest of each side (one comparison per line).
    """
    rows, columns = np.zeros(len(activity), np.int64), np.zeros(len(activity), np.int64)
    for block in placement.blocks():
        here = (activity.layer == block.layer) & (activity.tile == block.tile)
        rows[here], columns[here] = block.rows, block.columns
    inputs = np.where(activity.phase == Phase.FORWARD, columns, rows)
    retries = np.maximum(activity.passes - 1, 0)
    read = inputs * (_PER_INPUT[management.noise] + management.stochastic_rounding + retries)
    update = (rows + columns) * (2 if management.update or management.update_bl else 1)
    operations = np.where(activity.phase == Phase.UPDATE, update, read)
    return replace(activity, digital_ops=activity.digital_ops + operations)


def splits(placement: Placement) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """How the kernel has to cut each layer so that its tiles are the chip's: (row splits, column splits) by name."""
    return {placed.layer.name: (placed.row_splits, placed.column_splits) for placed in placement.layers}
