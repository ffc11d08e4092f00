"""The products of a matrix on arrays in torch's autograd: forwards W x, backwards W^T d, and pairs to learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rpusim.kernels.layers.gradient import ArrayWeights, OnArrays, PairGradient, Pairs, second_derivative
from rpusim.kernels.tiles.tile import Step, Tile

_will_execute: Callable[[Any], bool] = torch._C._will_engine_execute_node


class Multiplies(OnArrays, Protocol):
    """What a layer on arrays does for a product."""

    calls: int
    _grid: list[Tile]

    @property
    def trained(self) -> list[nn.Parameter]:
        """The tiles' weights, where torch trains them."""

    def vectors_of(self, x: Tensor) -> Tensor:
        """What drives the columns: (vectors, columns)."""

    def input_of(self, vectors: Tensor, shape: torch.Size) -> Tensor:
        """The gradient of an input of this shape from that of `vectors_of`."""

    def analog_forward(self, x: Tensor, step: Step) -> Tensor:
        """Multiply (vectors, columns) -> (vectors, rows)."""

    def analog_backward(self, d: Tensor, step: Step, clipped: Sequence[Tensor | None]) -> Tensor:
        """Multiply (vectors, rows) -> (vectors, columns) by the transpose."""

    def weight_gradients(self, x: Tensor, d: Tensor) -> list[Tensor]:
        """The gradients of ``trained``."""


class _AnalogProduct(torch.autograd.Function):
    """Let autograd multiply on the tiles: y = W x of all vectors in x, and backwards W^T d if the input wants it.

    Backwards, pairs are the gradients of ``weight`` and ``bias`` where tiles learn by pulses; else they make those of
    ``weights``, the tiles' parameters.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: ArrayWeights | None,
        bias: ArrayWeights | None,
        layer: Multiplies,
        step: Step,
        clipped: list[Tensor | None],
        *weights: Tensor,
    ) -> Tensor:
        vectors = layer.vectors_of(x)
        ctx.layer, ctx.shape, ctx.step, ctx.call, ctx.handles = layer, x.shape, step, layer.calls, (weight, bias)
        over = step.number == step.steps - 1  # a sequence that is fed step by step is one call
        vars(layer).update(calls=layer.calls + over, at_work=ctx.call)  # a module's own way to set it takes long
        ctx.save_for_backward(vectors)
        y = layer.analog_forward(vectors, step)
        clipped[:] = [tile.clipped for tile in layer._grid]
        ctx.clipped = clipped
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (vectors,) = ctx.saved_tensors
        layer: Multiplies = ctx.layer
        if torch.is_grad_enabled():
            raise second_derivative(layer.layer)
        d = gradients[0].contiguous()
        vars(layer)["at_work"] = ctx.call
        wanted = executes(ctx.next_functions[0][0]) is not False
        back = layer.input_of(layer.analog_backward(d, ctx.step, ctx.clipped), ctx.shape) if wanted else None
        if layer.trained:
            return back, None, None, None, None, None, *layer.weight_gradients(vectors, d)
        terms, nodes = Pairs(ctx.call, ctx.step.number, vectors, d), iter(ctx.next_functions[1:])
        learned = [None if part is None else handed_over(part, next(nodes)[0], terms) for part in ctx.handles]
        return back, *learned, None, None, None


def executes(node: Any) -> bool | None:
    """Tell whether the gradient that goes to a node of autograd is wanted; None: by somebody who asks for it alone."""
    if node is None:
        return False
    try:
        return _will_execute(node)
    except RuntimeError:  # a leaf, whose gradient autograd.grad gives back
        return None


def handed_over(part: ArrayWeights, node: Any, pairs: Pairs) -> PairGradient | None:
    """Give a parameter pairs as its gradient, or return that for autograd to do so.

    part: the parameter. node: where autograd sends its gradients; None: nowhere.

    Autograd makes a copy of every gradient before it keeps it, which for pairs takes as long as a small product. So
    where nothing else is to happen, they are kept here.
    """
    wanted = executes(node)
    if wanted is False:
        return None
    made = PairGradient(part.layer, part.part_name, [(pairs, 1.0)])
    if wanted is None:
        return made
    with torch._C.DisableTorchFunctionSubclass():
        if part._backward_hooks or part._post_accumulate_grad_hooks:
            return made
        before: Any = part.grad
        if before is None:
            part.grad = made
        elif type(before) is PairGradient:
            before.terms.extend(made.terms)
        else:
            return made
    return None


# Torch does not say what it returns. The first way is that of torch.autograd.Function; the second one leaves out what
# that does for transforms of torch.func, whose inputs `_check_transforms` has refused before.
_usual_product: Callable[..., Tensor] = _AnalogProduct.apply
_plain_product: Callable[..., Tensor] = super(torch.autograd.Function, _AnalogProduct).apply


def analog_product(*given: Any) -> Tensor:
    """Call `_AnalogProduct`, which autograd records."""
    transforms = torch._C._are_functorch_transforms_active()
    return _usual_product(*given) if transforms else _plain_product(*given)
