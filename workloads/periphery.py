"""What a chip's circuits mean to the numbers: converters, read-out and pulse trains of a tile as kernel parameters.

One description of the chip serves both sides: the bits that set an ADC's energy and time are the bits it rounds to.
"""

from __future__ import annotations

from typing import Any

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


def splits(placement: Placement) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """How the kernel has to cut each layer so that its tiles are the chip's: (row splits, column splits) by name."""
    return {placed.layer.name: (placed.row_splits, placed.column_splits) for placed in placement.layers}
