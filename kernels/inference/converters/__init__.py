"""Converters: which conductances stand for a weight. One file per converter; `base` tells what a converter answers.

single_pair  a device for either sign     dual_pair, n_pair  pairs of different significance
custom_pair  tables of your own           single_device      one device, from the lowest to the highest weight
"""

from rpusim.kernels.inference.converters.base import Converter, Fit
from rpusim.kernels.inference.converters.custom_pair import CustomPair
from rpusim.kernels.inference.converters.dual_pair import DualPair
from rpusim.kernels.inference.converters.n_pair import NPair
from rpusim.kernels.inference.converters.single_device import SingleDevice
from rpusim.kernels.inference.converters.single_pair import SinglePair

CONVERTERS: dict[str, type[Converter]] = {
    kind.kind: kind for kind in (SinglePair, DualPair, NPair, CustomPair, SingleDevice)
}

__all__ = ["CONVERTERS", "Converter", "CustomPair", "DualPair", "Fit", "NPair", "SingleDevice", "SinglePair"]
