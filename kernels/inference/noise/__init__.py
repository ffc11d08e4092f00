"""Noise models: what becomes of a programmed conductance. One file per model; `base` tells what a model answers.

pcm               phase-change memory               hermes             the one of the HERMES chip
custom_drift_pcm  the same with measured drift      state_independent  the same noise for every conductance
reram_wan_2022    resistive memory of NeuRRAM       reram_cmo          CMO/HfOx resistive memory
"""

from rpusim.kernels.inference.noise.base import NoiseModel
from rpusim.kernels.inference.noise.custom_drift_pcm import CustomDriftPCM
from rpusim.kernels.inference.noise.hermes import Hermes
from rpusim.kernels.inference.noise.pcm import PCM
from rpusim.kernels.inference.noise.power_law import PowerLaw
from rpusim.kernels.inference.noise.reram_cmo import ReRamCMO
from rpusim.kernels.inference.noise.reram_wan_2022 import ReRamWan2022
from rpusim.kernels.inference.noise.state_independent import StateIndependent

NOISE_MODELS: dict[str, type[NoiseModel]] = {
    model.kind: model for model in (PCM, CustomDriftPCM, Hermes, StateIndependent, ReRamWan2022, ReRamCMO)
}

__all__ = [
    "NOISE_MODELS",
    "PCM",
    "CustomDriftPCM",
    "Hermes",
    "NoiseModel",
    "PowerLaw",
    "ReRamCMO",
    "ReRamWan2022",
    "StateIndependent",
]
