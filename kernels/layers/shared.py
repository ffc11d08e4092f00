"""Parameters on arrays wherever a module has them: a table tied to a readout, a matrix of one's own in a function.

Torch lets anybody use a parameter: an embedding looks rows up in the weight of the readout, a forward of one's own
multiplies by ``self.w``. On arrays the parameter is an `ArrayWeights` in all those places, and what torch's functions
ask of it is done on the arrays that hold it:

    F.linear(x, w, b), F.conv2d(x, w, ...)   the product of its layer
    x @ w, torch.einsum("bd,edh->beh", x, w) the same, with the axes where the function wants them
    F.linear(x, w.t()), x @ w of a tie       the arrays read from their rows to their columns, see `turned`
    F.embedding(tokens, w)                   that, too: a row is what the array gives for a 1 on the row's line

A row of a table that learns is so read, with all noise, in turn with the readout, and its errors become pulses on that
one row. Where torch trains the weights, or they only infer, rows come from a digital copy, which stays equal to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from rpusim.errors import InputError
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.gradient import ArrayWeights
from rpusim.kernels.layers.turned import of_arrays, turned_product

Tensor = torch.Tensor
_CONVOLUTIONS = (
    *(functional.conv1d, functional.conv2d, functional.conv3d),
    *(functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d),
)


def used(layer: AnalogLayer, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Do what a function of torch asks of a layer's weights outside of its forward; None if arrays cannot.

    layer: on arrays. func, args, kwargs: as torch gives them to a tensor's own way to handle functions.
    """
    if func is functional.embedding:
        return rows_of(layer, *args, **kwargs)
    named = dict(kwargs)
    if func is functional.linear or func in _CONVOLUTIONS:
        listed = [*args, *(named[name] for name in ("input", "weight", "bias") if name in named)]
        x, weight, bias = (*listed, None)[:3]
        if isinstance(weight, ArrayWeights) and weight.layer is layer and not isinstance(x, ArrayWeights):
            return _straight(layer, x, bias)
        return None
    return of_arrays(func, args, kwargs)


def _straight(layer: AnalogLayer, x: Tensor, bias: Any) -> Tensor | None:
    """Multiply by a layer's weights as the layer itself does, but for a bias that is given; None if arrays cannot."""
    own = bias is None if not layer.has_bias else bias is not None and bias is getattr(layer, "bias", None)
    if layer.bias_column and not own:
        return None  # the bias that lies beside it cannot be left out
    y: Tensor = layer(x)
    if own or bias is None:
        return y
    if layer.has_bias:
        raise InputError(
            f"layer {layer.layer}: its weight is used by a function with another bias than its own; accepted: its own"
        )
    positions = [1] * (y.dim() - 2) if len(layer.weight_shape) > 2 else []
    shifted: Tensor = y + bias.reshape(-1, *positions)
    return shifted


def rows_of(
    layer: AnalogLayer,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Look up rows of a table that is the weight of a layer on arrays; arguments as of `torch.nn.functional.embedding`.

    InputError: max_norm or scale_grad_by_freq, which change what is learned number by number.
    """
    if max_norm is not None or scale_grad_by_freq:
        raise InputError(
            f"layer {layer.layer}: a table on arrays was asked for max_norm or scale_grad_by_freq; accepted: neither"
        )
    if int(input.min()) < 0 or int(input.max()) >= layer.rows:
        raise InputError(
            f"layer {layer.layer}: rows from {int(input.min())} to {int(input.max())} of its table were asked for; "
            f"accepted are 0 to {layer.rows - 1}"
        )
    if layer.trained or not isinstance(weight, ArrayWeights) or layer.learns is None:
        return functional.embedding(input, _copy_of(layer), padding_idx)
    lines = functional.one_hot(input, layer.rows).to(torch.float32)
    y = turned_product(weight, lines)
    if padding_idx is None:
        return y
    padded: Tensor = torch.where((input == padding_idx % layer.rows)[..., None], y.detach(), y)
    return padded


def _copy_of(layer: AnalogLayer) -> Tensor:
    """Read the weights of arrays that torch trains, or that only infer, so that gradients go to what is trained."""
    tiles = list(layer._grid)
    width = len(layer.column_splits)
    values = [tile.get_weights() if tile.weight is None else tile.weight for tile in tiles]
    rows = [torch.cat(values[at : at + width], 1) for at in range(0, len(values), width)]
    whole = torch.cat(rows)
    return whole[:, : layer.columns - int(layer.bias_column)]


class Holds:
    """Make of a module's class one whose parameters may be on arrays that another module holds.

    They are neither saved nor moved with it: their arrays are.
    """

    _parameters: dict[str, Any]

    def _without(self) -> dict[str, Any]:
        return {name: each for name, each in self._parameters.items() if not isinstance(each, ArrayWeights)}

    def _for_a_while(self, do: Callable[..., Any], *given: Any) -> Any:
        every, self._parameters = self._parameters, self._without()
        try:
            return do(*given)
        finally:
            moved = {name: each for name, each in every.items() if isinstance(each, ArrayWeights)}
            self._parameters = {name: self._parameters.get(name, moved.get(name)) for name in every}

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        return self._for_a_while(super()._apply, fn, recurse)  # type: ignore[misc]

    def _save_to_state_dict(self, *given: Any) -> None:
        self._for_a_while(super()._save_to_state_dict, *given)  # type: ignore[misc]

    def _load_from_state_dict(self, *given: Any) -> None:
        self._for_a_while(super()._load_from_state_dict, *given)  # type: ignore[misc]


def hold_elsewhere(module: torch.nn.Module) -> None:
    """Let every module know that has a parameter on arrays of another one; ``module`` is changed."""
    for part in module.modules():
        own = any(isinstance(each, ArrayWeights) for each in part._parameters.values())
        if own and not isinstance(part, AnalogLayer | Holds):
            kind = type(part)
            part.__class__ = type(kind.__name__, (Holds, kind), {"__module__": kind.__module__})


def layer_of(module: torch.nn.Module, parameter: str) -> AnalogLayer:
    """Find the layer on arrays that holds a parameter of a module, by the parameter's full name in the digital one.

    Raises AttributeError if there is none.
    """
    outer, _, inner = parameter.rpartition(".")
    part = module.get_submodule(outer)
    if isinstance(part, AnalogLayer):
        return part
    found = part._parameters.get(inner)
    if isinstance(found, ArrayWeights) and isinstance(found.layer, AnalogLayer):
        return found.layer
    raise AttributeError(parameter)
