"""Analog layers: torch modules whose weights live on cross-point arrays, one file per kind.

    base         a matrix on a grid of tiles, forwards, backwards and in updates; digital scales around it
    linear       the plain matrix                            convolution  every output position is one vector
    recurrent    RNN, LSTM and GRU, layers and single steps  attention    four matrices, products in digital units
    transposed   transposed convolutions: sums after arrays  several      modules that hold several matrices
    patches      windows of images as vectors, and back
    gradient     what stands for the gradient of weights that learn by pulses
    turned       weights used transposed, as by a decoder that is tied to its encoder
    replicated   several matrices that share the vectors of a layer; shares: which one does which vector
    optimizer    `AnalogSGD`, which sends the pulses         convert      makes any torch module analog
    matrix       what a matrix on arrays is to torch: its parameters, products, and runs of layers in one step

`KINDS` says which torch modules they stand in for. To add a kind, write an `AnalogLayer` (one matrix: say what its
vectors are, ``vectors_of`` and ``input_of``) or a module that holds several by `add_matrices`. Give it a constructor
``of`` from a torch layer, and if it has several matrices ``matrices``, their names; enter it in `KINDS`. How the chip
counts its operations is told in `rpusim.arch.network.operations`.
"""

from typing import Any

from torch import nn

from rpusim.kernels.layers.attention import AnalogMultiheadAttention
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.convolution import AnalogConv1d, AnalogConv2d, AnalogConv3d
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.layers.matrix.blocks import Splits, balanced_split
from rpusim.kernels.layers.recurrent import (
    AnalogGRU,
    AnalogGRUCell,
    AnalogLSTM,
    AnalogLSTMCell,
    AnalogRNN,
    AnalogRNNCell,
)
from rpusim.kernels.layers.transposed import AnalogConvTranspose1d, AnalogConvTranspose2d, AnalogConvTranspose3d

KINDS: dict[type[nn.Module], Any] = {
    nn.Linear: AnalogLinear,
    nn.Conv1d: AnalogConv1d,
    nn.Conv2d: AnalogConv2d,
    nn.Conv3d: AnalogConv3d,
    nn.ConvTranspose1d: AnalogConvTranspose1d,
    nn.ConvTranspose2d: AnalogConvTranspose2d,
    nn.ConvTranspose3d: AnalogConvTranspose3d,
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
    "AnalogConvTranspose1d",
    "AnalogConvTranspose2d",
    "AnalogConvTranspose3d",
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
