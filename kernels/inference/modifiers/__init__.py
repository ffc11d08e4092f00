"""Weight modifiers of hardware-aware training. One file per modifier; `base` tells what a modifier does.

add_normal  noise of one size                 discretize    rounding
mult_normal noise in proportion               dorefa        tangent and rounding
poly        noise that depends on the weight  drop_connect  weights that are missing
pcm_noise   what phase-change memory does
"""

from rpusim.kernels.inference.modifiers.add_normal import AddNormal
from rpusim.kernels.inference.modifiers.base import Modifier
from rpusim.kernels.inference.modifiers.discretize import Discretize
from rpusim.kernels.inference.modifiers.dorefa import DoReFa
from rpusim.kernels.inference.modifiers.drop_connect import DropConnect
from rpusim.kernels.inference.modifiers.mult_normal import MultNormal
from rpusim.kernels.inference.modifiers.pcm_noise import PCMNoise
from rpusim.kernels.inference.modifiers.poly import Poly, ProgNoise

MODIFIERS: dict[str, type[Modifier]] = {
    kind.kind: kind for kind in (AddNormal, MultNormal, Discretize, DoReFa, Poly, ProgNoise, PCMNoise, DropConnect)
}

__all__ = [
    "MODIFIERS",
    "AddNormal",
    "Discretize",
    "DoReFa",
    "DropConnect",
    "Modifier",
    "MultNormal",
    "PCMNoise",
    "Poly",
    "ProgNoise",
]
