"""Weights on arrays used transposed: y = W^T h, as by a decoder that is tied to the encoder whose outputs h has.

A crossbar can be read both ways, and errors go back through it from rows to columns anyway. So ``F.linear(h,
encoder.weight.t(), bias)`` and ``h @ encoder.weight`` are products on the encoder's arrays, driven at the rows and read
at the columns, through what `LayerConfig.backward` says of that direction (without bound management); their errors come
back through the forward direction. What is learned, -lr h d^T for errors d of y, are pulses of the same two sides: the
pairs join those of the layer's own calls in one gradient. A column of biases is read over, and learns nothing here; the
bias of such a use is a digital one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils._pytree import tree_map

from rpusim.arch.contract.activity import Phase
from rpusim.errors import InputError
from rpusim.kernels.layers.gradient import ArrayWeights, PairGradient, Pairs, second_derivative
from rpusim.kernels.tiles.tile import ALONE

if TYPE_CHECKING:
    from rpusim.kernels.layers.base import AnalogLayer

Tensor = torch.Tensor
_GETTERS = tuple(getattr(Tensor, name).__get__ for name in ("T", "mT"))
_EXCHANGES = {"t", "transpose", "permute", "swapaxes", "swapdims"}
_PRODUCTS = (torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__)
_READS = (Tensor.numpy, Tensor.tolist, Tensor.__array__)


def exchanged(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a function of torch, with these arguments after the first, exchanges the axes of a matrix."""
    if func not in _GETTERS and getattr(func, "__name__", "") not in _EXCHANGES:
        return False
    return tuple(func(torch.empty(2, 3), *args, **kwargs).shape) == (3, 2)


class TurnedWeights(torch.Tensor):
    """The weights of a layer on arrays, transposed; reads as what the cells hold now.

    The weight of a linear product of torch's, which is then one on the layer's arrays. InputError on computing anything
    else with it that a gradient is wanted of.
    """

    of: ArrayWeights

    @staticmethod
    def __new__(cls, of: ArrayWeights) -> TurnedWeights:
        shape = of.layer.part_shape(of.part_name)[::-1]
        made = torch.Tensor._make_wrapper_subclass(
            cls, shape, dtype=torch.float32, device=of.device, requires_grad=of.requires_grad
        )
        made.of = of
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{self.of.part_name} on arrays, transposed:\n{self.values()!r}"

    def values(self) -> Tensor:
        """Read what the cells hold, a copy."""
        return self.of.layer.part(self.of.part_name).t()

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is torch.nn.functional.linear:
            x, weight = (named.pop(name, None) if at >= len(args) else args[at] for at, name in enumerate(_OPERANDS))
            bias = args[2] if len(args) > 2 else named.pop("bias", None)
            if isinstance(weight, cls) and not isinstance(x, cls):
                y = turned_product(weight.of, x)
                return y if bias is None else y + bias
        if func in _PRODUCTS and len(args) == 2 and isinstance(args[1], cls) and not isinstance(args[0], cls):
            held: Any = args[1].of.layer
            done = held.used_outside(torch.nn.functional.linear, (args[0], args[1].of), {})
            if done is not None:
                return done
        if args and isinstance(args[0], cls) and exchanged(func, args[1:], named):
            return args[0].of
        if args and isinstance(args[0], cls) and func in _READS:
            return func(args[0].values(), *args[1:], **named)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **named)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        values = tree_map(lambda a: a.values() if isinstance(a, cls) else a, (args, dict(kwargs or {})))
        return func(*values[0], **values[1])


_OPERANDS = ("input", "weight")


def of_arrays(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Do what a function of torch asks of the weights of a layer on arrays, as far as it is a use of them transposed.

    func, args, kwargs: as torch gives them to a tensor's own way to handle functions.

    Returns the weights transposed, or a product with these; None if it is something else.
    """
    if not args:
        return None
    first = args[0]
    if isinstance(first, ArrayWeights):
        matrix = first.part_name == "weight" and len(first.layer.part_shape("weight")) == 2
        return TurnedWeights(first) if matrix and exchanged(func, args[1:], kwargs) else None
    if func in _PRODUCTS and len(args) == 2 and isinstance(args[1], ArrayWeights) and first.dim():
        return turned_product(args[1], first)
    return None


class _TurnedProduct(torch.autograd.Function):
    """Let autograd multiply on the tiles from rows to columns: y = W^T h of all vectors, and backwards W d.

    The gradient of ``weight`` is that of the pairs (d, h).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, layer: AnalogLayer) -> Tensor:
        vectors = x.detach().reshape(-1, layer.rows).to(torch.float32).contiguous()
        ctx.layer, ctx.shape, ctx.call = layer, x.shape, layer.calls
        vars(layer).update(calls=layer.calls + 1, at_work=ctx.call)
        ctx.save_for_backward(vectors)
        y = layer.analog_backward(vectors, phase=Phase.FORWARD)
        return _outputs(y, layer).reshape(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (vectors,) = ctx.saved_tensors
        layer: AnalogLayer = ctx.layer
        if torch.is_grad_enabled():
            raise second_derivative(layer.layer)
        d = gradients[0].reshape(len(vectors), -1).to(torch.float32)
        if layer.bias_column:
            d = torch.cat((d, d.new_zeros(len(d), 1)), 1)
        d = d.contiguous()
        vars(layer)["at_work"] = ctx.call
        back = layer.analog_forward(d, phase=Phase.BACKWARD).reshape(ctx.shape) if ctx.needs_input_grad[0] else None
        pairs = Pairs(ctx.call, ALONE.number, d, vectors)
        return back, PairGradient(layer, "weight", [(pairs, 1.0)]) if ctx.needs_input_grad[1] else None, None


_product: Callable[..., Tensor] = _TurnedProduct.apply


def _outputs(y: Tensor, layer: AnalogLayer) -> Tensor:
    """Leave out what a column of biases gives."""
    return y[:, :-1] if layer.bias_column else y


def turned_product(weights: ArrayWeights, x: Tensor) -> Tensor:
    """Multiply x (..., outputs of the layer) by weights on arrays, transposed -> (..., inputs of the layer).

    weights: of a linear layer on arrays that learn by pulses.

    InputError: x has another shape, or the layer's arrays only infer, or are read with factors that are learned.
    """
    layer = cast("AnalogLayer", weights.layer)
    if layer.trained or layer.out_scale is not None or layer.input_range is not None:
        raise InputError(
            f"layer {layer.layer}: its weights are used transposed, which arrays that only infer, and those with "
            "learned scales or ranges, are not read for; accepted: arrays that learn by pulses, or a layer with a "
            "weight of its own"
        )
    if not x.dim() or x.shape[-1] != layer.rows:
        raise InputError(
            f"layer {layer.layer}: an input of shape {tuple(x.shape)} was given to its weights transposed; accepted is "
            f"a last dimension of {layer.rows}"
        )
    if not x.is_floating_point():
        raise InputError(f"layer {layer.layer}: an input of {x.dtype} was given; accepted are floating-point numbers")
    layer._check_transforms(x)
    handle = layer._handle("weight") if weights.requires_grad else None
    y = _product(x, handle, layer)
    return y if y.dtype is x.dtype else y.to(x.dtype)
