"""RNN, LSTM, GRU and attention as the engine sees them: with the matrices that they have on arrays.

A recurrent layer has a matrix for the input and one for the state, an attention one for queries, keys, values and the
result each (`UnrolledAttention` computes as the layer on arrays does).

torch traces them as one operation. Stand-ins show their matrices, under the names that they have on arrays
(`kernels.layers`: ``ih_l0``, ``hh_l0``, ``hh_l0_reverse`` and so on), with an operation of our own, ``recurrent``, for
all steps of the state's matrix and its gates. They are shapes only, and never compute. A second direction is a chain of
its own, over the steps from the last to the first; samples may stand second, as torch's own default has it; a first
state may be given, for which the first step waits. A cell (LSTMCell and the like) is two linear layers and its gates,
and one set of arrays however often it is called.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from rpusim.errors import InputError
from rpusim.kernels.layers.attention import Attention, as_torchs


@torch.library.custom_op("rpusim::recurrent", mutates_args=())
def recurrent(
    input: Tensor, weight: Tensor, bias: Tensor | None, rule: str, state: Tensor | None, cell: Tensor | None
) -> Tensor:
    """Stand for all steps of a layer's state in a trace; rule: tanh, relu, lstm or gru; the rest as of `Unrolled`."""
    raise NotImplementedError("it has a shape only")


@recurrent.register_fake
def _(
    input: Tensor, weight: Tensor, bias: Tensor | None, rule: str, state: Tensor | None, cell: Tensor | None
) -> Tensor:
    return input.new_empty(*input.shape[:-1], weight.shape[1])


@torch.library.custom_op("rpusim::last_cell", mutates_args=())
def last_cell(output: Tensor) -> Tensor:
    """Stand for the cells of an LSTM after the last step, which are where its last outputs are."""
    return output[:, -1].clone()


@last_cell.register_fake
def _(output: Tensor) -> Tensor:
    return output.new_empty(output.shape[0], output.shape[2])


class Unrolled(nn.Module):
    """Stands in for a recurrent layer of torch on the meta device.

    layer: an RNN, LSTM or GRU. path: of that layer in its module, for errors.

    Raises InputError if the layer projects its state.
    """

    def __init__(self, layer: nn.RNNBase, path: str) -> None:
        super().__init__()
        if layer.proj_size > 0:
            raise InputError(
                f"module {path!r} ({type(layer).__name__}): proj_size cannot be timed; accepted: no proj_size, and a "
                "linear layer behind it"
            )
        self.path = path
        self.num_layers: int
        self.dropout: float
        for name in ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional", "proj_size"):
            setattr(self, name, getattr(layer, name))  # a forward may read them, as those of torch's own layer
        self.rule = layer.nonlinearity if isinstance(layer, nn.RNN) else type(layer).__name__.lower()
        self.ways = ("", "_reverse") if layer.bidirectional else ("",)
        for name in (f"l{number}{way}" for number in range(layer.num_layers) for way in self.ways):
            for matrix in ("ih", "hh"):
                weight = getattr(layer, f"weight_{matrix}_{name}")
                stand_in = nn.Linear(weight.shape[1], weight.shape[0], layer.bias, "meta", weight.dtype)
                self.add_module(f"{matrix}_{name}", stand_in)

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """Return the outputs of the last layer and the last states, as torch's own layer does."""
        if isinstance(input, PackedSequence):
            raise InputError(f"module {self.path!r}: it reads a packed sequence; accepted: steps of equal length")
        states, cells = hx if isinstance(hx, tuple) else (hx, None)
        given = input if self.batch_first else input.transpose(0, 1)
        last: list[Tensor] = []
        for number in range(self.num_layers):
            if number and self.dropout:
                given = functional.dropout(given, self.dropout, self.training)
            outputs: list[Tensor] = []
            for way in self.ways:
                place = len(last)
                state, cell = (None if each is None else each[place] for each in (states, cells))
                last.append(self._one(f"l{number}{way}", given.flip(1) if way else given, state, cell))
                outputs.append(last[-1].flip(1) if way else last[-1])
            given = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
        after = torch.stack([output[:, -1] for output in last])
        output = given if self.batch_first else given.transpose(0, 1)
        return output, (after, torch.stack(list(map(last_cell, last)))) if self.rule == "lstm" else after

    def _one(self, name: str, given: Tensor, state: Tensor | None, cell: Tensor | None) -> Tensor:
        """Return the outputs of one layer in one direction, in the order in which it takes the steps."""
        matrix = self.get_submodule(f"hh_{name}")
        products: Tensor = self.get_submodule(f"ih_{name}")(given)
        return recurrent(products, matrix.weight, matrix.bias, self.rule, state, cell)  # type: ignore[no-any-return]


class UnrolledCell(nn.Module):
    """Stands in for a recurrent cell of torch on the meta device; ``cell``: an RNNCell, LSTMCell or GRUCell."""

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.input_size, self.hidden_size = int(cell.input_size), int(cell.hidden_size)
        self.rule = (
            cell.nonlinearity if isinstance(cell, nn.RNNCell) else type(cell).__name__.removesuffix("Cell").lower()
        )
        for matrix in ("ih", "hh"):
            weight = getattr(cell, f"weight_{matrix}")
            self.add_module(matrix, nn.Linear(weight.shape[1], weight.shape[0], cell.bias, "meta", weight.dtype))

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Return the state after a step, as torch's own cell does."""
        given: Tensor = self.get_submodule("ih")(input)
        state = hx[0] if isinstance(hx, tuple) else hx
        width = int(self.hidden_size)
        products = self.get_submodule("hh")(given.new_zeros(*given.shape[:-1], width) if state is None else state)
        if self.rule == "lstm":
            cell = given.new_zeros(*given.shape[:-1], width) if hx is None else hx[1]
            i, f, g, o = (given + products).chunk(4, -1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(cell), cell
        if self.rule == "gru":
            state = given.new_zeros(*given.shape[:-1], width) if state is None else state
            (r, z, n), (of_r, of_z, of_n) = given.chunk(3, -1), products.chunk(3, -1)
            z = torch.sigmoid(z + of_z)
            n = torch.tanh(n + torch.sigmoid(r + of_r) * of_n)
            return n + z * (state - n)
        return torch.tanh(given + products) if self.rule == "tanh" else torch.relu(given + products)


class UnrolledAttention(Attention):
    """Stands in for torch's multi-head attention on the meta device, with the four matrices that it has on arrays.

    layer: a MultiheadAttention, whose one parameter of three matrices lies on arrays of their own.
    """

    stands_for = "MultiheadAttention"

    def __init__(self, layer: nn.MultiheadAttention) -> None:
        with torch.device("meta"):
            super().__init__(layer.embed_dim, layer.num_heads, add_bias_kv=layer.bias_k is not None, **as_torchs(layer))
            for name, (inputs, outputs, bias) in self.sizes.items():
                weight = layer.in_proj_weight if name != "out_proj" else layer.out_proj.weight
                weight = getattr(layer, f"{name}_weight") if weight is None else weight
                matrix = nn.Linear(inputs, outputs, bias, dtype=weight.dtype)
                self.add_module(name, matrix.requires_grad_(weight.requires_grad))


def unrolled(twin: nn.Module) -> nn.Module:
    """Put stand-ins in place of the recurrent layers, cells and attentions of a module.

    twin: on the meta device; it is changed, and returned, or what stands in for it as a whole. Raises InputError for
    layers that cannot be timed.
    """
    if (whole := _stand_in(twin, "")) is not None:
        return whole.train(twin.training)
    made: dict[int, nn.Module] = {}
    for path, part in list(twin.named_modules(remove_duplicate=False)):
        if id(part) not in made and (stand_in := _stand_in(part, path)) is not None:
            made[id(part)] = stand_in.train(part.training)
        if id(part) in made:
            parent, _, name = path.rpartition(".")
            setattr(twin.get_submodule(parent), name, made[id(part)])
    return twin


def _stand_in(part: nn.Module, path: str) -> nn.Module | None:
    """Make what stands in for a recurrent layer, a cell or an attention; None for other modules."""
    if isinstance(part, nn.MultiheadAttention) and type(part).forward is nn.MultiheadAttention.forward:
        return UnrolledAttention(part)
    if isinstance(part, nn.RNNBase):
        return Unrolled(part, path)
    return UnrolledCell(part) if isinstance(part, nn.RNNCellBase) else None
