"""Devices with a name, in the periphery they were published with, and `device`, which makes one from its name.

The devices themselves, with their sources, are in `rpusim.kernels.devices.presets`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from rpusim.errors import InputError
from rpusim.kernels import checks
from rpusim.kernels.config import AnalogConfig
from rpusim.kernels.devices import KINDS, ConstantStep, PulsedDevice
from rpusim.kernels.devices.presets import DEVICES
from rpusim.kernels.mvm import BoundManagement, IOParameters, NoiseManagement
from rpusim.kernels.pulses import UpdateParameters

# The periphery that AIHWKit's presets share: 7-bit DAC, 9-bit ADC, noise and bound management.
TRAINING_IO = IOParameters(out_bound=20.0, out_noise=0.1)

# The periphery of the RPU baseline model: 5-bit DAC, 9-bit ADC, output noise 0.06, bound 12, no management.
BASELINE_IO = IOParameters(
    inp_res=1 / 30,
    out_res=1 / 510,
    out_noise=0.06,
    out_bound=12.0,
    noise_management=NoiseManagement.NONE,
    bound_management=BoundManagement.NONE,
)


@dataclass(frozen=True)
class Preset:
    """A named device with the periphery and update it was published with, and where the numbers come from."""

    name: str
    config: AnalogConfig
    source: str

    @property
    def device(self) -> PulsedDevice:
        return self.config.device


def _training(device: PulsedDevice) -> AnalogConfig:
    return AnalogConfig(device=device, forward=TRAINING_IO, backward=TRAINING_IO)


# A device for one direction only makes no array that can learn by itself.
ONE_SIDED = ("pcm",)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        *(Preset(name, _training(of.device), of.source) for name, of in DEVICES.items() if name not in ONE_SIDED),
        Preset(
            "rpu-baseline-2016",
            AnalogConfig(
                device=ConstantStep(dw_min=0.001),
                forward=BASELINE_IO,
                backward=BASELINE_IO,
                update=UpdateParameters(desired_bl=10, update_management=False, update_bl_management=False),
            ),
            "Gokmen & Vlasov, Front. Neurosci. 10:333 (2016): RPU-baseline model, 1200 states, BL 10; "
            "the DAC's 5 bits from secondary texts",
        ),
    )
}


def preset(name: str) -> Preset:
    """The preset of this name."""
    if name not in PRESETS:
        raise InputError(f"preset: {name!r} is unknown; {checks.nearest(name, PRESETS)}")
    return PRESETS[name]


def device(name: str, **parameters: Any) -> PulsedDevice:
    """A device from the name of its kind or of a preset, with parameters changed.

    >>> device("constant-step", dw_min=0.002).num_states
    600.0
    """
    base: Any
    if name in DEVICES:
        base = DEVICES[name].device
    elif name in PRESETS:
        base = PRESETS[name].device
    elif name in KINDS:
        base = KINDS[name]()
    else:
        raise InputError(f"device: {name!r} is unknown; {checks.nearest(name, {*KINDS, *DEVICES, *PRESETS})}")
    known = [field.name for field in fields(base) if field.init]
    for parameter in parameters:
        if parameter not in known:
            raise InputError(f"{name}: parameter {parameter!r} is unknown; {checks.nearest(parameter, known)}")
    chosen: PulsedDevice = replace(base, **parameters)  # or an exact device
    return chosen
