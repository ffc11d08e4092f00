"""Inference: weights that are trained in software, programmed into conductances, and drift while they are used.

    tile          cells with their periphery, and `InferenceConfig`, all of the following in one value
    converters/   which conductances stand for a weight      noise/      what becomes of conductances
    modifiers/    what trains a network to bear it           clipping, remapping   weights kept in range
    compensation  drift measured and made up for             model       `program`, `drift`, `elapse`
    presets       named configurations with their sources    draw        random numbers by place

To add a noise model, a converter or a modifier, write a frozen dataclass in a file of its own, of the kind that the
``base`` of its folder describes, and enter it in the list of the folder's ``__init__`` (`NOISE_MODELS`, `CONVERTERS`,
`MODIFIERS`); ``tests/kernels/inference`` then tests it with all others. A named set-up is a row in `presets`.

    model = convert(torch_module, InferenceConfig())
    program(model); drift(model, 86400.0); model.eval()(x)
"""

from rpusim.kernels.inference.clipping import CLIPS, ChannelMaxClip, Clip, FixedClip, GaussianClip
from rpusim.kernels.inference.compensation import COMPENSATIONS, Compensation, GlobalCompensation, PerColumnCompensation
from rpusim.kernels.inference.converters import (
    CONVERTERS,
    Converter,
    CustomPair,
    DualPair,
    NPair,
    SingleDevice,
    SinglePair,
)
from rpusim.kernels.inference.model import drift, elapse, program
from rpusim.kernels.inference.modifiers import (
    MODIFIERS,
    AddNormal,
    Discretize,
    DoReFa,
    DropConnect,
    Modifier,
    MultNormal,
    PCMNoise,
    Poly,
    ProgNoise,
)
from rpusim.kernels.inference.noise import (
    NOISE_MODELS,
    PCM,
    CustomDriftPCM,
    Hermes,
    NoiseModel,
    PowerLaw,
    ReRamCMO,
    ReRamWan2022,
    StateIndependent,
)
from rpusim.kernels.inference.presets import INFERENCE, InferencePreset, inference
from rpusim.kernels.inference.remapping import Remap
from rpusim.kernels.inference.tile import InferenceConfig, InferenceTile

__all__ = [
    "CLIPS",
    "COMPENSATIONS",
    "CONVERTERS",
    "INFERENCE",
    "MODIFIERS",
    "NOISE_MODELS",
    "PCM",
    "AddNormal",
    "ChannelMaxClip",
    "Clip",
    "Compensation",
    "Converter",
    "CustomDriftPCM",
    "CustomPair",
    "Discretize",
    "DoReFa",
    "DropConnect",
    "DualPair",
    "FixedClip",
    "GaussianClip",
    "GlobalCompensation",
    "Hermes",
    "InferenceConfig",
    "InferencePreset",
    "InferenceTile",
    "Modifier",
    "MultNormal",
    "NPair",
    "NoiseModel",
    "PCMNoise",
    "PerColumnCompensation",
    "Poly",
    "PowerLaw",
    "ProgNoise",
    "ReRamCMO",
    "ReRamWan2022",
    "Remap",
    "SingleDevice",
    "SinglePair",
    "StateIndependent",
    "drift",
    "elapse",
    "inference",
    "program",
]
