"""How the pulses of an array are computed, merged or one by one, and why: from its device, its update and its path.

Merged is what runs unless somebody asks otherwise, wherever `merged` covers the device's steps; it is the same in
distribution as one by one, which ``tests/kernels/pulses/test_merged_presets.py`` shows for every device and unit cell
that has a name. Elsewhere pulses go one by one, and `way_of` says why.
"""

from __future__ import annotations

from typing import NamedTuple

from rpusim.kernels.devices.base import Device, PulsedDevice
from rpusim.kernels.pulses import merged
from rpusim.kernels.pulses.trains import Execution, UpdateParameters


class Way(NamedTuple):
    """Say how pulses are computed; why: the reason if one by one, in words, else empty."""

    execution: Execution
    why: str = ""


def way_of(device: Device, parameters: UpdateParameters, path: str = "numba") -> Way | None:
    """Find how the pulses of an array are computed; None if it takes none.

    device: of the array. parameters: of its updates. path: "numba" (loops),
    "triton" (kernels) or "torch".
    """
    pulse_type = parameters.pulse_type
    if not isinstance(device, PulsedDevice) or not pulse_type.pulsed:
        return None
    if parameters.execution is Execution.EXACT:
        return Way(Execution.EXACT, "asked for")
    if path == "triton":
        return Way(Execution.EXACT, "kernels of a GPU send every pulse by itself")
    if path != "numba":
        return Way(Execution.EXACT, "only compiled loops merge, which need the CPU")
    if not pulse_type.random:
        return Way(Execution.EXACT, f"pulses of type {pulse_type} are not drawn at random")
    if not merged.covers(device):
        return Way(
            Execution.EXACT, f"steps of {device.kind} are neither linear in the weight nor a single exponential of it"
        )
    return Way(Execution.MERGED)
