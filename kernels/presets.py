"""Devices with a name and a source, and `device`, which makes one from its name.

The numbers of a preset are means over an array with their spreads, fitted by the cited authors or by IBM's analog
hardware acceleration kit (AIHWKit, Rasch et al. 2021) to the cited measurements. They describe no particular chip.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from rpusim.errors import InputError
from rpusim.kernels import checks
from rpusim.kernels.config import AnalogConfig
from rpusim.kernels.devices import KINDS, ConstantStep, LinearStep, PulsedDevice
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


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "gokmen-vlasov",
            _training(ConstantStep(dw_min=0.0016, w_max=1.0, w_min=-1.0)),
            "Gokmen & Vlasov, Front. Neurosci. 10:333 (2016), in the normalisation of AIHWKit (bounds +-1)",
        ),
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
        Preset(
            "ecram",
            _training(
                LinearStep(
                    dw_min=0.002,
                    w_max=1.1724,
                    w_min=-0.8276,
                    gamma_up=0.1153,
                    gamma_down=0.5085,
                    dw_min_dtod=0.1,
                    up_down_dtod=0.01,
                    w_max_dtod=0.05,
                    w_min_dtod=0.05,
                    dw_min_std=0.3,
                )
            ),
            "Tang et al., IEDM 2018 (Li-ion electrochemical memory), fit of AIHWKit",
        ),
        Preset(
            "idealized",
            _training(ConstantStep(dw_min=0.0002, up_down_dtod=0.0, w_max=1.0, w_min=-1.0)),
            "Rasch, Gokmen & Haensch, arXiv:1906.02698 (2019), after Gokmen & Vlasov 2016",
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
    if name in PRESETS:
        base = PRESETS[name].device
    elif name in KINDS:
        base = KINDS[name]()
    else:
        raise InputError(f"device: {name!r} is unknown; {checks.nearest(name, [*KINDS, *PRESETS])}")
    known = [field.name for field in fields(base)]
    for parameter in parameters:
        if parameter not in known:
            raise InputError(f"{name}: parameter {parameter!r} is unknown; {checks.nearest(parameter, known)}")
    return replace(base, **parameters)
