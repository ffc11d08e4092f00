"""Devices: what one pulse does to one cross-point. One file per device; `base` tells what a device is made of."""

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
