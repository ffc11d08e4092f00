"""Devices: what one pulse does to one cross-point.

    base        what every device is: its parameters, their variation over the cells of an array, its step function
    variation   the cells of one array, and the random numbers they are drawn with
    reference   devices that are read against a second, fixed conductance
    symmetry    where a cell's up step equals its down step
    drift       relaxation with the logarithm of time
    response    what a train of pulses does, as one measures it on a wafer
    presets     devices with a name, fitted to measurements, each with its source
    models/     one file per device

A device knows one cell and one pulse; how pulses come about is told in `rpusim.kernels.pulses`, what else happens to an
array in `rpusim.kernels.arrays`. To add one, write a step function and a class in a file of its own in ``models/``
(``docs/add-a-device.md`` shows a whole one), name the class here, and give it a row in the two tests of
``tests/kernels/devices``: `test_contract` for what every device fulfils, `test_models` for its equations. Measured
devices of a known kind are a `presets.DevicePreset`.
"""

from rpusim.kernels.devices.base import Cells, Device, PulsedDevice
from rpusim.kernels.devices.drift import Drift
from rpusim.kernels.devices.models.cmos_rpu import CmosRpu
from rpusim.kernels.devices.models.constant_step import ConstantStep
from rpusim.kernels.devices.models.exact import ExactDevice, FloatingPointDevice, IdealDevice
from rpusim.kernels.devices.models.exp_step import ExpStep
from rpusim.kernels.devices.models.linear_step import LinearStep
from rpusim.kernels.devices.models.piecewise_step import PiecewiseStep
from rpusim.kernels.devices.models.pow_step import PowStep
from rpusim.kernels.devices.models.pow_step_reference import PowStepReference
from rpusim.kernels.devices.models.soft_bounds import SoftBounds
from rpusim.kernels.devices.models.soft_bounds_pmax import SoftBoundsPmax
from rpusim.kernels.devices.models.soft_bounds_reference import SoftBoundsReference

PULSED: dict[str, type[PulsedDevice]] = {
    kind.kind: kind
    for kind in (
        ConstantStep,
        LinearStep,
        SoftBounds,
        SoftBoundsPmax,
        SoftBoundsReference,
        PowStep,
        PowStepReference,
        ExpStep,
        PiecewiseStep,
        CmosRpu,
    )
}
EXACT: dict[str, type[ExactDevice]] = {kind.kind: kind for kind in (IdealDevice, FloatingPointDevice)}
KINDS: dict[str, type[Device]] = {**PULSED, **EXACT}

__all__ = [
    "EXACT",
    "KINDS",
    "PULSED",
    "Cells",
    "CmosRpu",
    "ConstantStep",
    "Device",
    "Drift",
    "ExactDevice",
    "ExpStep",
    "FloatingPointDevice",
    "IdealDevice",
    "LinearStep",
    "PiecewiseStep",
    "PowStep",
    "PowStepReference",
    "PulsedDevice",
    "SoftBounds",
    "SoftBoundsPmax",
    "SoftBoundsReference",
]
