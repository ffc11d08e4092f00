"""Layers on arrays that follow each other, as one step of torch's autograd.

Torch's modules, and a step of autograd for each of them, take longer than small arrays do. So `convert` makes a `Chain`
of every ``nn.Sequential``: where layers follow each other, with functions of single numbers in between, the whole run
of them is one step. It does what they do one by one, to the bit, and writes the same rows of activity in their order.
Where somebody looks in between (hooks, torch.compile, transforms, other types of numbers) they are called one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as of_torch

from rpusim.kernels.layers.gradient import ArrayWeights, Pairs, second_derivative
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.layers.matrix.product import executes, handed_over

aten = torch.ops.aten
_has_any_global_hook: Callable[[], bool] = of_torch._has_any_global_hook

Function = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]
"""A function, and the gradient of its input from that of its output and the output itself."""


def _log_softmax(part: nn.Module) -> Function | None:
    """Give the function of a log-softmax over one axis; None of one that finds the axis itself."""
    axis: Any = part.dim
    if not isinstance(axis, int):
        return None
    return (
        lambda x: torch.log_softmax(x, axis),
        lambda d, y: aten._log_softmax_backward_data(d, y, axis, torch.float32),
    )


_FUNCTIONS: dict[type[nn.Module], Callable[[Any], Function | None]] = {
    nn.Sigmoid: lambda part: (torch.sigmoid, aten.sigmoid_backward),
    nn.Tanh: lambda part: (torch.tanh, aten.tanh_backward),
    nn.ReLU: lambda part: None if part.inplace else (torch.relu, lambda d, y: aten.threshold_backward(d, y, 0)),
    nn.LogSoftmax: _log_softmax,
}
"""Modules that need only what they gave to go back."""

Piece = AnalogLinear | nn.Flatten | Function


class Run:
    """Several modules that follow each other, at least two of which are layers on arrays.

    modules: in order. pieces: what to do for each.
    """

    def __init__(self, modules: Sequence[nn.Module], pieces: Sequence[Piece]) -> None:
        self.modules, self.pieces = tuple(modules), tuple(pieces)
        self.layers = [piece for piece in pieces if isinstance(piece, AnalogLinear)]

    def __call__(self, x: Tensor) -> Tensor:
        """Compute what the modules do one after the other."""
        for layer in self.layers:
            layer._check_transforms(x)
        handles = [layer._handle(name) for layer in self.layers for name in layer._parts]
        return _run(x, self, *handles)

    def undisturbed(self) -> bool:
        """Whether nobody wants to know of a single module's call, and nobody has given one another forward."""
        for module in self.modules:
            own = vars(module)
            if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"]:
                return False
            if own["_backward_pre_hooks"] or "forward" in own:
                return False
        return True


class _RunOfLayers(torch.autograd.Function):
    """Let autograd do a `Run`: forwards all of its pieces, backwards those whose gradients somebody wants."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, run: Run, *handles: ArrayWeights) -> Tensor:
        kept, shapes, calls = [], [], []
        for piece in run.pieces:
            if isinstance(piece, AnalogLinear):
                piece.check_inputs(x)
                vectors, shape, call = piece.vectors_of(x), x.shape, piece.calls
                vars(piece).update(calls=call + 1, at_work=call)
                x = piece.analog_forward(vectors)
                if len(shape) != 2:
                    x = x.reshape(*shape[:-1], piece.out_features)
                kept.append(vectors)
                calls.append(call)
                shapes.append(shape)
            elif isinstance(piece, nn.Flatten):
                shapes.append(x.shape)
                x = x.flatten(piece.start_dim, piece.end_dim)
            else:
                x = piece[0](x)
                kept.append(x)
                shapes.append(x.shape)
        ctx.save_for_backward(*kept)
        ctx.run, ctx.shapes, ctx.calls, ctx.handles = run, shapes, calls, handles
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        run: Run = ctx.run
        if torch.is_grad_enabled():
            raise second_derivative(run.layers[0].layer)
        (of_input, _), *nodes = ctx.next_functions
        below = [executes(of_input) is not False]  # whether anybody wants a gradient from before each layer
        for node, _ in nodes:
            below.append(below[-1] or executes(node) is not False)
        kept, calls, d = list(ctx.saved_tensors), list(ctx.calls), gradients[0]
        found: list[Tensor | None] = [None] * len(nodes)
        at = len(nodes)
        for piece, shape in zip(reversed(run.pieces), reversed(ctx.shapes), strict=True):
            if isinstance(piece, AnalogLinear):
                vectors, d, call = kept.pop(), d.reshape(-1, piece.out_features).contiguous(), calls.pop()
                vars(piece)["at_work"], pairs = call, Pairs(call, 0, vectors, d)
                at -= len(piece._parts)
                wanted = below[at]
                back = piece.input_of(piece.analog_backward(d), shape) if wanted else None
                for number in range(at, at + len(piece._parts)):
                    found[number] = handed_over(ctx.handles[number], nodes[number][0], pairs)
                if back is None:
                    return None, None, *found
                d = back
            elif isinstance(piece, nn.Flatten):
                d = d.reshape(shape)
            else:
                d = piece[1](d, kept.pop())
        return d if below[0] else None, None, *found


_run: Callable[..., Tensor] = super(torch.autograd.Function, _RunOfLayers).apply  # as in `product`


class Chain(nn.Sequential):
    """Stand in for a ``nn.Sequential`` with layers on arrays in it; see above."""

    _known: tuple[tuple[nn.Module, ...], list[nn.Module | Run]] = (), []

    def _get_name(self) -> str:
        return "Sequential"

    def forward(self, input: Any) -> Any:
        """Call the modules one after the other."""
        if torch.compiler.is_compiling() or not _usual(input):
            return self._one_by_one(self, input)
        parts = tuple(self._modules.values())
        known, pieces = self._known
        if known != parts:
            pieces = _pieces(parts)
            vars(self)["_known"] = parts, pieces
        for piece in pieces:
            if isinstance(piece, nn.Module) or (_usual(input) and piece.undisturbed()):
                input = piece(input)
            else:
                input = self._one_by_one(piece.modules, input)
        return input

    @staticmethod
    def _one_by_one(modules: Iterable[nn.Module], input: Any) -> Any:
        for module in modules:
            input = module(input)
        return input

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is found again."""
        return {name: value for name, value in vars(self).items() if name != "_known"}


def _usual(x: object) -> bool:
    """Whether nothing but plain torch looks at a tensor of the usual type."""
    return (
        type(x) is Tensor
        and x.dtype is torch.float32
        and x.is_cpu
        and not torch.is_autocast_enabled("cpu")
        and torch._C._dynamo.eval_frame.get_eval_frame_callback() is None
        and not torch._C._are_functorch_transforms_active()
        and torch._C._get_tracing_state() is None
        and not _has_any_global_hook()
    )


def _pieces(parts: Sequence[nn.Module]) -> list[nn.Module | Run]:
    """Find the runs among modules."""
    found: list[nn.Module | Run] = []
    modules: list[nn.Module] = []
    pieces: list[Piece] = []

    def end() -> None:
        run = Run(modules, pieces)
        found.extend([run] if len(run.layers) > 1 else run.modules)
        modules.clear()
        pieces.clear()

    for part in parts:
        piece = _piece(part)
        if piece is None:
            end()
            found.append(part)
        else:
            modules.append(part)
            pieces.append(piece)
    end()
    return found


def _piece(part: nn.Module) -> Piece | None:
    """Say what a module does in a run; None if it has no place there."""
    if type(part) is AnalogLinear:
        plain = part.input_range is None and part.out_scale is None and not part._digital_bias
        return part if plain and not part._by_torch else None
    if type(part) is nn.Flatten:
        return part
    made = _FUNCTIONS.get(type(part))
    return None if made is None else made(part)


def chained(module: nn.Module) -> None:
    """Make chains of the sequences within a module that has layers on arrays."""
    for part in module.modules():
        if type(part) is nn.Sequential and sum(isinstance(child, AnalogLinear) for child in part) > 1:
            part.__class__ = Chain
