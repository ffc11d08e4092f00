"""Devices and ways to train with a name, in the periphery they were published with.

`device` makes a device from its name, `preset` gives one in its periphery, trained by plain stochastic gradient
descent, and `configuration` every way to train:

    X                   plain                                  ttv2-X              Tiki-Taka 2, auto-scaled
    X-2, X-4            two or four devices per weight         chopped-ttv2-X      the same with choppers
    tiki-taka-X         Tiki-Taka                              agad-X              with choppers and references
    mixed-precision-X   digital gradient
    eapu-X              the same, written selectively       rl-X, rlv2-X        residual learning, and filtered
    multi-tile-X        three arrays, one after the other   rider-X, e-rider-X  symmetry points tracked, not calibrated

for X = reram-es, reram-sb, capacitor, ecram, ecram-mo, idealized (mixed precision also gokmen-vlasov and pcm), and pcm,
a one-sided pair. Their parameters are those of AIHWKit's presets of the same names (Rasch et al. 2021, 2024); those of
the last two lines, which it does not have, are ours: the defaults of their cells, with the rates of AGAD for (E-)RIDER.
The devices themselves, with their sources, are in `rpusim.kernels.devices.presets`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from rpusim.errors import InputError, nearest
from rpusim.kernels.cells import (
    ChoppedTransfer,
    DynamicTransfer,
    EnhancedRider,
    FilteredResidual,
    MixedPrecision,
    MultiTile,
    OneSided,
    Policy,
    ResidualLearning,
    Rider,
    Selective,
    Transfer,
    Vector,
)
from rpusim.kernels.cells.base import CellParameters
from rpusim.kernels.devices import KINDS, ConstantStep, PulsedDevice, SoftBoundsReference
from rpusim.kernels.devices.presets import DEVICES
from rpusim.kernels.mvm.multiply import BoundManagement, IOParameters, NoiseManagement
from rpusim.kernels.pulses.specification import UpdateParameters
from rpusim.kernels.tiles.analog import AnalogConfig

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
    """Name a device with the periphery and update it was published with.

    name:    by which a user asks for it.
    config:  everything that turns a layer into such arrays.
    source:  where the numbers come from.
    of:      name of the device that its cells are made of.
    """

    name: str
    config: AnalogConfig
    source: str
    of: str

    @property
    def device(self) -> PulsedDevice:
        assert isinstance(self.config.device, PulsedDevice), "no preset is made of exact devices"
        return self.config.device


def _training(device: PulsedDevice) -> AnalogConfig:
    return AnalogConfig(device=device, forward=TRAINING_IO, backward=TRAINING_IO)


# A device for one direction only makes no array that can learn by itself.
ONE_SIDED = ("pcm",)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        *(Preset(name, _training(of.device), of.source, name) for name, of in DEVICES.items() if name not in ONE_SIDED),
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
            "rpu-baseline-2016",
        ),
    )
}


def preset(name: str) -> Preset:
    """Find the preset of this name: a device that learns by itself. InputError: there is none."""
    if name not in PRESETS:
        raise InputError(f"preset: {name!r} is unknown{nearest(name, PRESETS)}")
    return PRESETS[name]


_ALGORITHMS = {
    "vector": "several devices per weight: Gokmen, Onen & Haensch, Front. Neurosci. 11:538 (2017)",
    "tiki-taka": "Tiki-Taka: Gokmen & Haensch, Front. Neurosci. 14:103 (2020)",
    "ttv2": "Tiki-Taka 2: Gokmen, Front. Artif. Intell. 4:699148 (2021)",
    "chopped-ttv2": "c-TTv2: Rasch et al., Nat. Commun. 15:7133 (2024)",
    "agad": "AGAD: Rasch et al., Nat. Commun. 15:7133 (2024)",
    "mixed-precision": "mixed precision: Nandakumar et al., Front. Neurosci. 14:406 (2020)",
    "eapu": "EaPU: Liu et al., Nat. Commun. (2025), doi:10.1038/s41467-025-66240-7",
    "rl": "residual learning: Wu et al., NeurIPS 2025, arXiv:2502.06309",
    "multi-tile": "multi-tile residual learning: Li et al., arXiv:2510.02516 (2025)",
    "rider": "RIDER and E-RIDER: Xiao et al., arXiv:2602.21321 (2026)",
    "one-sided": "one-sided pair with refresh: Nandakumar et al., Front. Neurosci. 14:406 (2020)",
}


_OURS = ("eapu", "rl", "multi-tile", "rider")
"""Algorithms whose parameters are not those of AIHWKit."""


@dataclass(frozen=True)
class _Tuning:
    """Hold what AIHWKit's transfer presets set for a device.

    ttv2, chopped, agad: parameters of the cells. bl, agad_bl: longest pulse train of the first two, and of AGAD.
    """

    ttv2: dict[str, Any]
    chopped: dict[str, Any]
    agad: dict[str, Any]
    bl: int
    agad_bl: int


def _tuning(
    coarse: bool, granularity: int, bl: int, chop: float, chopped_lr: float, agad: tuple[float, ...]
) -> _Tuning:
    fast_lr = 0.5 if coarse else 0.1
    return _Tuning(
        {"fast_lr": fast_lr, "auto_granularity": granularity, "in_chop_prob": 0.0},
        {"fast_lr": chopped_lr, "auto_granularity": granularity, "in_chop_prob": chop},
        dict(zip(("fast_lr", "auto_granularity", "tail_weightening", "in_chop_prob"), agad, strict=False)),
        bl,
        int(agad[4]),
    )


_TUNINGS = {
    "reram-es": _tuning(True, 1000, 31, 0.01, 0.5, (0.5, 1000, 5, 0.02, 31)),
    "reram-sb": _tuning(True, 1000, 31, 0.01, 0.5, (0.5, 1000, 5, 0.02, 31)),
    "capacitor": _tuning(False, 1000, 31, 0.01, 0.1, (0.1, 1000, 20, 0.01, 31)),
    "ecram": _tuning(False, 500, 100, 0.01, 1.0, (0.1, 750, 50, 0.005, 31)),
    "ecram-mo": _tuning(False, 500, 100, 0.001, 0.1, (0.1, 500, 50, 0.005, 100)),
    "idealized": _tuning(False, 500, 100, 0.001, 0.1, (0.1, 500, 50, 0.005, 100)),
}

_PCM = OneSided(refresh_every=1, refresh_forward=TRAINING_IO)


def _configurations() -> dict[str, Preset]:
    """Every way to train, by name; those of `PRESETS` are among them."""
    found = dict(PRESETS)

    def add(name: str, of: str, family: str, cell: CellParameters, bl: int = 31) -> None:
        of_device = DEVICES[of]
        chosen = of_device.device
        calibrated = isinstance(cell, Transfer) and not isinstance(cell, Rider)
        if calibrated and isinstance(chosen, SoftBoundsReference):
            chosen = replace(chosen, subtract_symmetry_point=True)
        config = replace(_training(chosen), cell=cell, update=UpdateParameters(desired_bl=bl))
        whose = "parameters ours" if family in _OURS else "parameters of AIHWKit"
        found[name] = Preset(name, config, f"{of_device.source}; {_ALGORITHMS[family]}; {whose}", of)

    for of, tuning in _TUNINGS.items():
        common: dict[str, Any] = {"transfer_forward": TRAINING_IO, "auto_scale": True}
        add(f"{of}-2", of, "vector", Vector(number=2, policy=Policy.SINGLE_RANDOM))
        add(f"{of}-4", of, "vector", Vector(number=4, policy=Policy.SINGLE_RANDOM))
        add(f"tiki-taka-{of}", of, "tiki-taka", Transfer(transfer_forward=TRAINING_IO))
        add(f"ttv2-{of}", of, "ttv2", ChoppedTransfer(**common, **tuning.ttv2), tuning.bl)
        add(f"chopped-ttv2-{of}", of, "chopped-ttv2", ChoppedTransfer(**common, **tuning.chopped), tuning.bl)
        add(f"agad-{of}", of, "agad", DynamicTransfer(**common, **tuning.agad), tuning.agad_bl)
        add(f"mixed-precision-{of}", of, "mixed-precision", MixedPrecision())
        add(f"eapu-{of}", of, "eapu", Selective())
        add(f"rl-{of}", of, "rl", ResidualLearning(transfer_forward=TRAINING_IO))
        add(f"rlv2-{of}", of, "rl", FilteredResidual(transfer_forward=TRAINING_IO))
        add(f"multi-tile-{of}", of, "multi-tile", MultiTile())
        rates = {name: tuning.agad[name] for name in ("fast_lr", "auto_granularity")}
        add(f"rider-{of}", of, "rider", Rider(**common, **rates), tuning.agad_bl)
        add(f"e-rider-{of}", of, "rider", EnhancedRider(**common, **rates), tuning.agad_bl)
    add("mixed-precision-gokmen-vlasov", "gokmen-vlasov", "mixed-precision", MixedPrecision())
    add("mixed-precision-pcm", "pcm", "mixed-precision", MixedPrecision(inner=_PCM))
    add("pcm", "pcm", "one-sided", _PCM)
    return found


CONFIGURATIONS = _configurations()


def configuration(name: str) -> Preset:
    """Find the preset of this name, with whatever unit cell it trains with. InputError: there is none.

    >>> configuration("agad-ecram").config.cell.kind
    'dynamic-transfer'
    """
    if name not in CONFIGURATIONS:
        raise InputError(f"configuration: {name!r} is unknown{nearest(name, CONFIGURATIONS)}")
    return CONFIGURATIONS[name]


def device(name: str | PulsedDevice, **parameters: Any) -> PulsedDevice:
    """Make a device from the name of its kind or of a preset, or from a given one, with parameters changed.

    name:        such as "constant-step" or "reram-es", or a device.
    parameters:  fields of the device, by name.

    InputError: an unknown name or parameter, or a value out of its range.

    >>> device("constant-step", dw_min=0.002).num_states
    600.0
    """
    base: Any
    if isinstance(name, PulsedDevice):
        base, name = name, name.kind
    elif name in DEVICES:
        base = DEVICES[name].device
    elif name in PRESETS:
        base = PRESETS[name].device
    elif name in KINDS:
        base = KINDS[name]()
    else:
        raise InputError(f"device: {name!r} is unknown{nearest(name, {*KINDS, *DEVICES, *PRESETS})}")
    known = [field.name for field in fields(base) if field.init]
    for parameter in parameters:
        if parameter not in known:
            raise InputError(f"{name}: parameter {parameter!r} is unknown{nearest(parameter, known)}")
    chosen: PulsedDevice = replace(base, **parameters)  # or an exact device
    return chosen
