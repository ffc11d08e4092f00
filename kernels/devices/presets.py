"""Devices with a name and a source.

The numbers are means over an array with their spreads, fitted by the cited authors or by IBM's analog hardware
acceleration kit (AIHWKit, Rasch et al. 2021) to the cited measurements, in weights between about -1 and 1. They
describe no particular chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rpusim.kernels.devices.base import PulsedDevice
from rpusim.kernels.devices.models.cmos_rpu import CmosRpu
from rpusim.kernels.devices.models.constant_step import ConstantStep
from rpusim.kernels.devices.models.exp_step import ExpStep
from rpusim.kernels.devices.models.linear_step import LinearStep
from rpusim.kernels.devices.models.soft_bounds_reference import SoftBoundsReference


@dataclass(frozen=True)
class DevicePreset:
    """A named device.

    name: by which a user asks for it. title: what it is, in a few words. device: its parameters. source: where the
    numbers come from.
    """

    name: str
    title: str
    device: PulsedDevice
    source: str


_RERAM_ARRAY: dict[str, Any] = {
    "dw_min_dtod_log_normal": True,
    "w_max": 1.0,
    "w_min": -1.0,
    "up_down_dtod": 0.01,
    "corrupt_devices_range": 0.01,
    "subtract_symmetry_point": True,
    "reference_std": 0.05,
}

DEVICES: dict[str, DevicePreset] = {
    preset.name: preset
    for preset in (
        DevicePreset(
            "reram-es",
            "resistive memory, exponential steps",
            ExpStep(
                dw_min=0.00135,
                dw_min_dtod=0.2,
                dw_min_std=5.0,
                up_down=0.259359,
                up_down_dtod=0.05,
                w_max=1.0,
                w_min=-1.0,
                A_up=-1.18445,
                A_down=-0.081404,
                gamma_up=5.0,
                gamma_down=5.0,
                a=-0.5,
                b=-0.5,
                write_noise_std=75.0,
            ),
            "Gong et al., Nat. Commun. 9:2102 (2018), fit of AIHWKit",
        ),
        DevicePreset(
            "reram-sb",
            "resistive memory, soft bounds",
            SoftBoundsReference(
                dw_min=0.002,
                dw_min_std=3.75,
                w_max=1.25,
                w_min=-0.75,
                w_max_dtod=0.24,
                w_min_dtod=0.4,
                write_noise_std=56.0,
            ),
            "Gong et al., Nat. Commun. 9:2102 (2018), loose fit of AIHWKit",
        ),
        DevicePreset(
            "capacitor",
            "capacitor with leakage, linear steps",
            LinearStep(
                dw_min=0.005,
                dw_min_dtod=0.1,
                up_down_dtod=0.06,
                w_max=1.0,
                w_min=-1.0,
                w_max_dtod=0.07,
                w_min_dtod=0.07,
                gamma_up=0.05,
                gamma_down=0.05,
                gamma_up_dtod=0.01,
                gamma_down_dtod=0.01,
                mult_noise=False,
                lifetime=1e6,
                lifetime_dtod=0.3,
            ),
            "Li et al., VLSI 2018, fit of AIHWKit",
        ),
        DevicePreset(
            "cmos-rpu-2017",
            "capacitor between two current sources, leaking with time",
            CmosRpu(
                dw_min=0.002,
                dw_min_std=0.30265851488765355,
                w_max=1.0,
                w_min=-1.0,
                gamma_up=0.05,
                gamma_down=0.05,
                current_dtod=0.02,
                capacitance_dtod=0.07,
                offset_dtod=0.004,
                retention=1.0,
                leakage_dtod=0.0511685576220899,
            ),
            "follows from the circuit on the chip cmos-rpu-2017: Kim et al., MWSCAS 2017; Li et al., VLSI 2018",
        ),
        DevicePreset(
            "ecram",
            "electrochemical memory (Li ions), linear steps",
            LinearStep(
                dw_min=0.002,
                dw_min_dtod=0.1,
                w_max=1.1724,
                w_min=-0.8276,
                w_max_dtod=0.05,
                w_min_dtod=0.05,
                gamma_up=0.1153,
                gamma_down=0.5085,
            ),
            "Tang et al., IEDM 2018 (Li-ion electrochemical memory), fit of AIHWKit",
        ),
        DevicePreset(
            "ecram-mo",
            "electrochemical memory (metal oxide), linear steps",
            LinearStep(
                dw_min=2.8214e-4,
                dw_min_dtod=0.1,
                dw_min_std=2.0,
                w_max=1.1714,
                w_min=-0.8286,
                w_max_dtod=0.05,
                w_min_dtod=0.05,
                gamma_up=0.4152,
                gamma_down=0.7342,
            ),
            "Kim et al., IEDM 2019 (metal-oxide electrochemical memory), fit of AIHWKit",
        ),
        DevicePreset(
            "idealized",
            "constant steps, 10,000 states",
            ConstantStep(dw_min=0.0002, up_down_dtod=0.0, w_max=1.0, w_min=-1.0),
            "Rasch, Gokmen & Haensch, arXiv:1906.02698 (2019), after Gokmen & Vlasov 2016",
        ),
        DevicePreset(
            "gokmen-vlasov",
            "constant steps, the RPU specification",
            ConstantStep(dw_min=0.0016, w_max=1.0, w_min=-1.0),
            "Gokmen & Vlasov, Front. Neurosci. 10:333 (2016), in the normalisation of AIHWKit (bounds +-1)",
        ),
        DevicePreset(
            "pcm",
            "phase-change memory, one direction only",
            ExpStep(
                dw_min=0.01,
                dw_min_dtod=0.2,
                dw_min_std=0.6,
                dw_min_std_add=0.042,
                dw_min_std_slope=0.108,
                up_down_dtod=0.05,
                w_max=2.0,
                w_min=0.0,
                w_max_dtod=0.1,
                w_min_dtod=0.0,
                A_up=-27.235,
                A_down=-2.235,
                gamma_up=2.5,
                gamma_down=2.5,
                a=-1.0,
                b=0.0,
                reset=0.01,
                reset_dtod=0.02,
            ),
            "Nandakumar et al., Front. Neurosci. 14:406 (2020), Ge2Sb2Te5, fit of AIHWKit",
        ),
        DevicePreset(
            "reram-array-om",
            "array of resistive memories (OM), soft bounds",
            SoftBoundsReference(
                dw_min=0.0949,
                dw_min_dtod=0.7829,
                dw_min_std=0.4158,
                w_max_dtod=0.3499,
                w_min_dtod=0.5695,
                write_noise_std=1.4113,
                **_RERAM_ARRAY,
            ),
            "Gong, Rasch et al., IEDM 2022, with AIHWKit; stuck cells (13.5 % measured) left out",
        ),
        DevicePreset(
            "reram-array-hfo2",
            "array of resistive memories (HfO2), soft bounds",
            SoftBoundsReference(
                dw_min=0.4622,
                dw_min_dtod=0.7125,
                dw_min_std=0.2174,
                w_max_dtod=0.4295,
                w_min_dtod=0.5990,
                write_noise_std=0.5841,
                **_RERAM_ARRAY,
            ),
            "Gong, Rasch et al., IEDM 2022, with AIHWKit; stuck cells (9.8 % measured) left out",
        ),
    )
}
