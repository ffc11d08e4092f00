"""Analog layers: torch modules whose weights live on cross-point arrays, one file per kind."""

from rpusim.kernels.layers.base import AnalogLayer, Splits, balanced_split
from rpusim.kernels.layers.convolution import AnalogConv1d, AnalogConv2d, AnalogConv3d
from rpusim.kernels.layers.linear import AnalogLinear

__all__ = ["AnalogConv1d", "AnalogConv2d", "AnalogConv3d", "AnalogLayer", "AnalogLinear", "Splits", "balanced_split"]
