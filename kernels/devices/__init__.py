"""Devices: what one pulse does to one cross-point. One file per device; `base` tells what a device is made of."""

from rpusim.kernels.devices.base import Cells, PulsedDevice
from rpusim.kernels.devices.constant_step import ConstantStep
from rpusim.kernels.devices.linear_step import LinearStep
from rpusim.kernels.devices.soft_bounds import SoftBounds

KINDS: dict[str, type[PulsedDevice]] = {kind.kind: kind for kind in (ConstantStep, LinearStep, SoftBounds)}

__all__ = ["KINDS", "Cells", "ConstantStep", "LinearStep", "PulsedDevice", "SoftBounds"]
