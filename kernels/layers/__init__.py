"""Analog layers: torch modules whose weights live on cross-point arrays, one file per kind.

`KINDS` says which torch modules they stand in for. A kind has a constructor from a torch layer, ``of``, and if it has
several matrices also ``matrices``, their names.
"""

from typing import Any

from torch import nn

from rpusim.kernels.layers.attention import AnalogMultiheadAttention
from rpusim.kernels.layers.base import AnalogLayer, Splits, balanced_split
from rpusim.kernels.layers.convolution import AnalogConv1d, AnalogConv2d, AnalogConv3d
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.layers.recurrent import (
    AnalogGRU,
    AnalogGRUCell,
    AnalogLSTM,
    AnalogLSTMCell,
    AnalogRNN,
    AnalogRNNCell,
)

KINDS: dict[type[nn.Module], Any] = {
    nn.Linear: AnalogLinear,
    nn.Conv1d: AnalogConv1d,
    nn.Conv2d: AnalogConv2d,
    nn.Conv3d: AnalogConv3d,
    nn.RNN: AnalogRNN,
    nn.LSTM: AnalogLSTM,
    nn.GRU: AnalogGRU,
    nn.RNNCell: AnalogRNNCell,
    nn.LSTMCell: AnalogLSTMCell,
    nn.GRUCell: AnalogGRUCell,
    nn.MultiheadAttention: AnalogMultiheadAttention,
}

__all__ = [
    "KINDS",
    "AnalogConv1d",
    "AnalogConv2d",
    "AnalogConv3d",
    "AnalogGRU",
    "AnalogGRUCell",
    "AnalogLSTM",
    "AnalogLSTMCell",
    "AnalogLayer",
    "AnalogLinear",
    "AnalogMultiheadAttention",
    "AnalogRNN",
    "AnalogRNNCell",
    "Splits",
    "balanced_split",
]
