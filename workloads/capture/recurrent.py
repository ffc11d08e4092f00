"""RNN, LSTM and GRU as the engine sees them: for each layer a matrix for the input and one for the state.

torch traces them as one operation. Stand-ins show their matrices, under the names that they have on arrays
(`kernels.layers`: ``ih_l0``, ``hh_l0`` and so on), with an operation of our own, ``recurrent``, for all steps of the
state's matrix and its gates. They are shapes only, and never compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from rpusim.errors import InputError


@torch.library.custom_op("rpusim::recurrent", mutates_args=())
def recurrent(input: Tensor, weight: Tensor, bias: Tensor | None, rule: str) -> Tensor:
    """Stand for all steps of a layer's state in a trace; rule: tanh, relu, lstm or gru."""
    raise NotImplementedError("it has a shape only")


@recurrent.register_fake
def _(input: Tensor, weight: Tensor, bias: Tensor | None, rule: str) -> Tensor:
    return input.new_empty(*input.shape[:-1], weight.shape[1])


class _Last:
    """Stands for the states after the last step, of which only h[-1] and the like can be timed.

    path: of the recurrent layer, for errors. outputs: of each of its layers; none where a state is not an output.
    """

    def __init__(self, path: str, outputs: Sequence[Tensor] = ()) -> None:
        self.path, self.outputs = path, outputs

    def refuse(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse whatever else is done with the states."""
        raise InputError(
            f"module {self.path!r}: its last state is used in a way that cannot be timed; accepted: h[-1], where h is "
            "the state that is also an output, or output[:, -1]"
        )

    __torch_function__ = refuse

    def __getitem__(self, layer: object) -> Tensor:
        if not isinstance(layer, int) or not -len(self.outputs) <= layer < len(self.outputs):
            self.refuse()
        return self.outputs[layer][:, -1]

    def __getattr__(self, name: str) -> NoReturn:
        self.refuse()


class Unrolled(nn.Module):
    """Stands in for a recurrent layer of torch on the meta device.

    layer: an RNN, LSTM or GRU. path: of that layer in its module, for errors.

    Raises InputError if the layer runs in both directions, projects its state, or does not have samples first.
    """

    def __init__(self, layer: nn.RNNBase, path: str) -> None:
        super().__init__()
        refused = {
            "bidirectional=True": layer.bidirectional,
            "proj_size": layer.proj_size > 0,
            "batch_first=False": not layer.batch_first,
        }
        for given, wrong in refused.items():
            if wrong:
                raise InputError(
                    f"module {path!r} ({type(layer).__name__}): {given} cannot be timed; accepted: one direction, no "
                    "proj_size, and batch_first=True, as the samples of a batch stand first"
                )
        self.path, self.layers = path, layer.num_layers
        self.rule = layer.nonlinearity if isinstance(layer, nn.RNN) else type(layer).__name__.lower()
        for number in range(layer.num_layers):
            for matrix in ("ih", "hh"):
                name = f"{matrix}_l{number}"
                weight = getattr(layer, f"weight_{name}")
                stand_in = nn.Linear(weight.shape[1], weight.shape[0], layer.bias, "meta", weight.dtype)
                self.add_module(name, stand_in)

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """Return the outputs of the last layer and the last states, as torch's own layer does; ``hx`` must be None."""
        if hx is not None:
            raise InputError(f"module {self.path!r}: it is given a state; accepted: none, so that it begins with zeros")
        outputs = [input]
        for number in range(self.layers):
            state, given = self.get_submodule(f"hh_l{number}"), self.get_submodule(f"ih_l{number}")(outputs[-1])
            outputs.append(recurrent(given, state.weight, state.bias, self.rule))
        last = _Last(self.path, outputs[1:])
        return outputs[-1], (last, _Last(self.path)) if self.rule == "lstm" else last


def unrolled(twin: nn.Module) -> nn.Module:
    """Put stand-ins in place of the recurrent layers of a module.

    twin: on the meta device; it is changed, and returned. Raises InputError for layers that cannot be timed.
    """
    if isinstance(twin, nn.RNNBase):
        raise InputError(
            f"module {type(twin).__name__} by itself returns its states, too; accepted: a module that holds it and "
            "returns one tensor"
        )
    made: dict[int, Unrolled] = {}
    for path, part in list(twin.named_modules(remove_duplicate=False)):
        if isinstance(part, nn.RNNBase):
            if id(part) not in made:
                made[id(part)] = Unrolled(part, path)
            parent, _, name = path.rpartition(".")
            setattr(twin.get_submodule(parent), name, made[id(part)])
    return twin
