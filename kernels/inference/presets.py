"""Configurations of arrays that only infer, by name, each with where its numbers come from.

`inference-X` is the noise of X behind the default periphery, with global drift compensation; `standard-hwa` and
`web-composer` are whole set-ups of IBM's analog hardware acceleration kit (AIHWKit, Rasch et al. 2021) for
hardware-aware training, to which you add weight modifiers.
"""

from __future__ import annotations

from dataclasses import dataclass

from rpusim.errors import InputError, nearest
from rpusim.kernels.inference.clipping import FixedClip
from rpusim.kernels.inference.converters import DualPair, SingleDevice, SinglePair
from rpusim.kernels.inference.modifiers import AddNormal
from rpusim.kernels.inference.noise import Hermes, ReRamCMO, ReRamWan2022, StateIndependent
from rpusim.kernels.inference.remapping import Remap
from rpusim.kernels.inference.tile import InferenceConfig
from rpusim.kernels.mvm.input_range import InputRange
from rpusim.kernels.mvm.multiply import BoundManagement, IOParameters, NoiseManagement, WeightNoise

AIHWKIT = "AIHWKit (Rasch et al. 2021)"
HERMES = (
    "Khaddam-Aljameh et al., IEEE J. Solid-State Circuits 57:1027 (2022); Le Gallo et al., Nat. Electron. 6:680 "
    f"(2023); fits and periphery: {AIHWKIT}"
)


@dataclass(frozen=True)
class InferencePreset:
    """A named configuration, what it is in a few words, and where its numbers come from."""

    name: str
    title: str
    config: InferenceConfig
    source: str


# The periphery of Rasch et al. 2023: 8 bits on both sides, a constant input range, noise of reads, voltage drop.
STANDARD_IO = IOParameters(
    inp_res=1 / 254,
    out_res=1 / 254,
    out_bound=10.0,
    out_noise=0.04,
    w_noise=0.0175,
    w_noise_type=WeightNoise.PCM_READ,
    ir_drop=1.0,
    noise_management=NoiseManagement.CONSTANT,
    nm_thres=1.0,
    bound_management=BoundManagement.NONE,
)

INFERENCE: dict[str, InferencePreset] = {
    preset.name: preset
    for preset in (
        InferencePreset(
            "inference-pcm",
            "phase-change memory, a pair of devices up to 25 uS",
            InferenceConfig(analog_bias=False),
            f"Nandakumar et al., ICECS 2019; periphery: defaults of {AIHWKIT}",
        ),
        InferencePreset(
            "inference-hermes",
            "phase-change memory of the HERMES chip, two devices for each sign up to 20.7 uS",
            InferenceConfig(Hermes(), SinglePair(g_max=20.7e-6), analog_bias=False),
            HERMES,
        ),
        InferencePreset(
            "inference-hermes-pairs",
            "phase-change memory of the HERMES chip, two pairs of devices up to 10.35 uS each",
            InferenceConfig(Hermes(devices_per_sign=1), DualPair(g_max=10.35e-6), analog_bias=False),
            f"{HERMES}; pairs filled one after the other: our choice",
        ),
        InferencePreset(
            "inference-reram-wan-2022",
            "resistive memory of the NeuRRAM chip, a pair of devices up to 40 uS, after 1 second, 1 day or 2 days",
            InferenceConfig(ReRamWan2022(), SinglePair(g_max=40e-6), analog_bias=False),
            f"Wan et al., Nature 608:504 (2022); fits and periphery: {AIHWKIT}",
        ),
        InferencePreset(
            "inference-reram-cmo",
            "CMO/HfOx resistive memory, one device from 9 to 88.2 uS, written to within 2 %",
            InferenceConfig(ReRamCMO(), SingleDevice(), analog_bias=False),
            f"Falcone et al., Adv. Funct. Mater. (2025); fits and periphery: {AIHWKIT}",
        ),
        InferencePreset(
            "inference-state-independent",
            "the same noise for every conductance, a pair of devices up to 25 uS",
            InferenceConfig(StateIndependent(), analog_bias=False),
            f"no measured device; {AIHWKIT}",
        ),
        InferencePreset(
            "inference-exact",
            "cells and periphery without any error, for comparison",
            InferenceConfig(None, compensation=None, forward=IOParameters(is_perfect=True), analog_bias=False),
            "by definition",
        ),
        InferencePreset(
            "standard-hwa",
            "phase-change memory, 8-bit converters with learned input ranges, scales per output, tiles of 512 inputs",
            InferenceConfig(
                forward=STANDARD_IO,
                analog_bias=False,
                max_columns=512,
                weight_scaling_omega=1.0,
                weight_scaling_columnwise=True,
                learn_out_scaling=True,
                out_scaling_columnwise=True,
                input_range=InputRange(),
                clip=FixedClip(1.0),
                remap=Remap(),
            ),
            f"Rasch et al., Nat. Commun. 14:5282 (2023), arXiv 2302.08469; {AIHWKIT}",
        ),
        InferencePreset(
            "web-composer",
            "phase-change memory, additive noise of 10 % in training, scales per output, tiles of 512 x 512",
            InferenceConfig(
                analog_bias=False,
                max_rows=512,
                max_columns=512,
                weight_scaling_omega=1.0,
                weight_scaling_columnwise=True,
                learn_out_scaling=True,
                clip=FixedClip(1.0),
                modifiers=(AddNormal(0.1),),
            ),
            f"the analog AI composer on the web, after {AIHWKIT}",
        ),
    )
}


def inference(name: str) -> InferencePreset:
    """Find the configuration of this name for arrays that only infer. InputError: there is none.

    >>> inference("standard-hwa").config.noise.kind
    'pcm'
    """
    if name not in INFERENCE:
        raise InputError(f"inference: {name!r} is unknown{nearest(name, INFERENCE)}")
    return INFERENCE[name]
