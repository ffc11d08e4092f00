"""What stands among a module's parameters for weights on arrays that learn by pulses, and for their gradient.

Arrays never hold a gradient: they get pairs (x, d), and the pulses of all pairs together change the weights by -lr G on
average, with G = sum of d x^T. `ArrayWeights` is the parameter: it has the shape of torch's, and reads as what cells
hold now. `PairGradient` is its gradient: a tensor that torch's autograd makes, adds up, hands to hooks and returns like
any other, but that holds the pairs and a factor for each instead of G. So a training loop means what it means in torch:

    loss.backward()                                   adds pairs; autograd.grad and backward(inputs=...) add none
    nn.utils.clip_grad_norm_(parameters, c)           every d is multiplied by min(1, c / norm)
    scaler.unscale_(optimizer), p.grad /= k           every d is divided
    zero_grad(), p.grad = None                        pairs are forgotten
    p.requires_grad_(False)                           the layer is frozen: it makes no pairs

What reads a gradient (its norm, its elements) sees G itself. What would change its elements one by one, such as
clip_grad_value_, is refused, as no pairs stand for the result; so is what would write to the weights other than by
pulses, and a loss that is computed from the weights themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._pytree import tree_flatten, tree_map

from rpusim.arch.contract.digital_work import Work
from rpusim.errors import InputError

Tensor = torch.Tensor
aten = torch.ops.aten
_CPU = torch.device("cpu")
_DETACH = aten.detach.default
_wrapper: Any = torch.Tensor._make_wrapper_subclass


class OnArrays(Protocol):
    """What a layer on arrays says of itself to its parameters."""

    layer: int

    def part(self, name: str) -> Tensor:
        """A copy of ``weight`` or ``bias``, in the shape that torch gives it."""

    def part_shape(self, name: str) -> torch.Size:
        """Its shape."""

    def part_gradient(self, name: str, x: Tensor, d: Tensor) -> Tensor:
        """The gradient of ``weight`` or ``bias`` from vectors x (vectors, columns) and errors d (vectors, rows)."""

    def used_outside(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What a function of torch asks of its weights outside of its forward, if arrays can do that; else None."""


def second_derivative(layer: int) -> InputError:
    """Say of a layer, by its number, that arrays have no gradient of a gradient."""
    return InputError(
        f"layer {layer}: a gradient of a gradient was asked for (create_graph=True), which arrays cannot give; "
        "accepted is a loss that uses no gradients, or such a penalty on a part that is not converted"
    )


class Pairs:
    """What one backward pass gives a layer to learn from.

    call, step: number of the layer's call, and of the step within it where a sequence comes step by step. x: (vectors,
    columns of all groups), with the constant 1 of a bias column; d: (vectors, rows). measured: whether somebody looked
    at the gradient, which is digital work.
    """

    __slots__ = ("call", "d", "measured", "step", "x")

    def __init__(self, call: int, step: int, x: Tensor, d: Tensor) -> None:
        self.call, self.step, self.x, self.d, self.measured = call, step, x, d, False


Terms = list[tuple[Pairs, float]]


class Waiting(NamedTuple):
    """Pairs in the order of the forward passes: x (vectors, columns of all groups), d (vectors, rows).

    measured: whether somebody asked for the norm of their gradient. calls: (vectors,) the call of the layer that each
    comes from.
    """

    x: Tensor
    d: Tensor
    measured: bool
    calls: NDArray[np.int64]


_ATTRIBUTES = {
    *("__get__", "__set__", "__delete__", "__hash__", "__repr__", "__len__", "__deepcopy__"),
    *("size", "dim", "ndimension", "numel", "nelement", "stride", "element_size", "get_device", "retain_grad"),
    *("is_floating_point", "is_complex", "is_contiguous", "is_shared", "is_set_to", "share_memory_"),
    *("detach", "requires_grad_", "register_hook", "register_post_accumulate_grad_hook"),
}
"""What may be asked of weights on arrays while gradients are recorded: nothing of it is computed from their values."""
_DERIVATIVES = (torch.autograd.grad, torch.autograd.backward)  # for these weights alone


class ArrayWeights(torch.Tensor):
    """The weights, or the column of biases, of a layer on arrays; a parameter where they learn by pulses.

    Reads as what the cells hold now, in the shape that torch gives it. InputError on writing to it, and on computing
    with it what a gradient is wanted of: arrays multiply in their layer's forward, and learn by pulses.
    """

    layer: OnArrays
    part_name: str

    @staticmethod
    def __new__(cls, layer: OnArrays, name: str, device: torch.device, learns: bool = True) -> ArrayWeights:
        made = torch.Tensor._make_wrapper_subclass(
            cls, layer.part_shape(name), dtype=torch.float32, device=device, requires_grad=learns
        )
        made.layer, made.part_name = layer, name
        made._is_param = True
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        values = self.layer.part(self.part_name)
        return f"{self.part_name} on arrays{'' if self.requires_grad else ', frozen'}:\n{values!r}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Stand for the copy of the layer, wherever else a module has this parameter."""
        layer: Any = copy.deepcopy(self.layer, memo)
        return getattr(layer, self.part_name)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        held = next((a for a in (*args, *(kwargs or {}).values()) if isinstance(a, cls)), None)
        if held is not None and (done := held.layer.used_outside(func, args, kwargs or {})) is not None:
            return done
        with torch._C.DisableTorchFunctionSubclass():
            if func == Tensor.data.__set__:  # type: ignore[attr-defined]
                _refuse(args[0], "is to be replaced through .data", "set_weights(weight, bias) of its layer")
            if func in _DERIVATIVES or getattr(func, "__name__", "") in _ATTRIBUTES:
                return func(*args, **(kwargs or {}))
            tensors = [a for a in tree_flatten((args, kwargs or {}))[0] if isinstance(a, Tensor)]
            found = [a for a in tensors if isinstance(a, cls)]
            if func in (Tensor.numpy, Tensor.tolist, Tensor.__array__):
                return func(found[0].layer.part(found[0].part_name), *args[1:], **(kwargs or {}))
            if torch.is_grad_enabled() and any(each.requires_grad for each in tensors):
                _refuse(
                    found[0],
                    "is used outside its layer's forward with a gradient wanted",
                    "reading it under torch.no_grad() or by get_weights(), and a penalty on digital parameters only "
                    "(rpusim.digital_parameters(model)), as arrays learn from products of inputs and errors alone",
                )
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        packet = func.overloadpacket
        if packet in (aten.detach, aten.alias) and isinstance(args[0], cls):
            view = cls(args[0].layer, args[0].part_name, args[0].device, learns=False)
            view._is_param = False
            return view
        written = _written(func, args)
        for each in written:
            if isinstance(each, cls):
                _refuse(
                    each,
                    f"is to be changed by {packet.__name__}, but arrays learn by pulses",
                    "rpusim.AnalogSGD(model, lr), an optimizer of torch for rpusim.digital_parameters(model) only, and "
                    "set_weights(weight, bias) of its layer",
                )
        values = tree_map(lambda a: a.layer.part(a.part_name) if isinstance(a, cls) else a, (args, dict(kwargs or {})))
        return func(*values[0], **values[1])


class PairGradient(torch.Tensor):
    """The gradient G = sum of factor d x^T of `ArrayWeights`, held as pairs; it reads as G."""

    layer: OnArrays
    part_name: str
    terms: Terms

    @staticmethod
    def __new__(cls, layer: OnArrays, name: str, terms: Terms) -> PairGradient:
        device = terms[0][0].d.device if terms else _CPU
        made: PairGradient = _wrapper(cls, layer.part_shape(name), dtype=torch.float32, device=device)
        made.layer, made.part_name, made.terms = layer, name, terms
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"gradient of {len(self.terms)} backward passes, as pairs:\n{self.dense()!r}"

    def dense(self) -> Tensor:
        """G itself, in the shape of the parameter; looking at it is noted in the pairs."""
        total = torch.zeros(self.shape, device=self.device)
        for pairs, factor in self.terms:
            pairs.measured = True
            total = total + self.layer.part_gradient(self.part_name, pairs.x, pairs.d) * factor
        return total

    def like(self, terms: Terms) -> PairGradient:
        """Another one of the same parameter."""
        return PairGradient(self.layer, self.part_name, terms)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is _DETACH:  # once in every backward pass
            given = args[0]
            return cls(given.layer, given.part_name, given.terms)
        rule = _RULES.get(func.overloadpacket)
        if rule is not None:
            done = rule(*args, **(kwargs or {}))
            if done is not NotImplemented:
                return done
        for each in _written(func, args):
            if isinstance(each, cls):
                _refuse(
                    each,
                    f"is to have the elements of its gradient changed by {func.overloadpacket.__name__}, but what an "
                    "array learns from are pairs of vectors, which have no such elements",
                    "one factor for all of them (clip_grad_norm_, p.grad *= c), and zero_grad()",
                )
        values = tree_map(lambda a: a.dense() if isinstance(a, cls) else a, (args, dict(kwargs or {})))
        return func(*values[0], **values[1])


def _shared(gradient: Any, *_: Any, **__: Any) -> Any:
    return gradient.like(gradient.terms)


def _copied(gradient: Any, *_: Any, dtype: Any = None, **__: Any) -> Any:
    return gradient.like(list(gradient.terms)) if dtype in (None, torch.float32) else NotImplemented


def _added(one: Any, other: Any, alpha: float = 1.0) -> Any:
    if not (isinstance(one, PairGradient) and isinstance(other, PairGradient)):
        return NotImplemented
    return one.like(one.terms + _times(other.terms, alpha))


def _added_to(one: Any, other: Any, alpha: float = 1.0) -> Any:
    if not (isinstance(one, PairGradient) and isinstance(other, PairGradient)):
        return NotImplemented
    one.terms.extend(_times(other.terms, alpha))
    return one


def _multiplied(one: Any, other: Any) -> Any:
    if isinstance(other, PairGradient):
        one, other = other, one
    factor = _number(other)
    return NotImplemented if factor is None else one.like(_times(one.terms, factor))


def _divided(one: Any, other: Any) -> Any:
    factor = _number(other)
    return NotImplemented if factor is None else one.like(_times(one.terms, 1.0 / factor))


def _multiplied_in_place(one: Any, other: Any) -> Any:
    factor = _number(other)
    if factor is None or not isinstance(one, PairGradient):
        return NotImplemented
    one.terms[:] = _times(one.terms, factor)
    return one


def _divided_in_place(one: Any, other: Any) -> Any:
    factor = _number(other)
    return NotImplemented if factor is None else _multiplied_in_place(one, 1.0 / factor)


def _emptied(one: Any, *_: Any) -> Any:
    one.terms.clear()
    return one


def _taken_over(one: Any, other: Any, *_: Any) -> Any:
    if not (isinstance(one, PairGradient) and isinstance(other, PairGradient)):
        return NotImplemented
    one.terms[:] = other.terms
    return one


def _each(rule: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """A rule for lists of gradients, in place, of which only some may be pairs."""

    def done(gradients: list[Any], other: Any) -> Any:
        others = other if isinstance(other, list | tuple) else [other] * len(gradients)
        for gradient, each in zip(gradients, others, strict=True):
            if not isinstance(gradient, PairGradient):
                plain(gradient, each)
            elif rule(gradient, each) is NotImplemented:
                return NotImplemented
        return None

    return done


def _unscaled(gradients: list[Any], found_inf: Tensor, inverse_scale: Tensor) -> None:
    """What torch's GradScaler does: divide by the loss's scale, and say whether anything is not finite."""
    plain = [each for each in gradients if not isinstance(each, PairGradient)]
    if plain:
        torch._amp_foreach_non_finite_check_and_unscale_(plain, found_inf, inverse_scale)
    for gradient in gradients:
        if isinstance(gradient, PairGradient):
            sides = [side for pairs, _ in gradient.terms for side in (pairs.x, pairs.d)]
            if not all(bool(torch.isfinite(side).all()) for side in sides):
                found_inf.fill_(1.0)
            gradient.terms[:] = _times(gradient.terms, float(inverse_scale))


_RULES: dict[Any, Callable[..., Any]] = {
    aten.alias: _shared,
    aten.clone: _copied,
    aten._to_copy: _copied,
    aten.add: _added,
    aten.add_: _added_to,
    aten.sub: lambda one, other, alpha=1.0: _added(one, other, -alpha),
    aten.sub_: lambda one, other, alpha=1.0: _added_to(one, other, -alpha),
    aten.mul: _multiplied,
    aten.mul_: _multiplied_in_place,
    aten.div: _divided,
    aten.div_: _divided_in_place,
    aten.neg: lambda one: _multiplied(one, -1.0),
    aten.zero_: _emptied,
    aten.copy_: _taken_over,
    aten._foreach_mul_: _each(_multiplied_in_place, Tensor.mul_),
    aten._foreach_div_: _each(_divided_in_place, Tensor.div_),
    aten._foreach_add_: _each(_added_to, Tensor.add_),
    aten._foreach_zero_: lambda gradients: _each(_emptied, lambda one, _: one.zero_())(gradients, 0),
    aten._amp_foreach_non_finite_check_and_unscale_: _unscaled,
}
"""What is done to pairs as pairs; all else reads G."""


def in_order(parts: Mapping[str, tuple[Any, float]], groups: int) -> Waiting | None:
    """All pairs that a layer's parameters hold, to be sent together; None if there are none.

    parts: by ``weight`` and ``bias`` (those that are on the arrays), the parameter's ``grad`` and a factor for it. A
    bias column is the last of each of ``groups`` equal parts of the columns. Where both parts have the same factor for
    a backward pass it is taken into the errors, else each into its own inputs.
    """
    shared = _shared_by_all(parts)
    if shared is not None:
        pairs, factor = shared
        errors = pairs.d if factor == 1.0 else pairs.d * factor
        return Waiting(pairs.x, errors, pairs.measured, np.full(pairs.x.shape[0], pairs.call))
    factors: dict[int, tuple[Pairs, dict[str, float]]] = {}
    for name, (gradient, own) in parts.items():
        for pairs, factor in gradient.terms if gradient is not None else ():
            of_parts = factors.setdefault(id(pairs), (pairs, dict.fromkeys(parts, 0.0)))[1]
            of_parts[name] += factor * own
    ordered = sorted(factors.values(), key=lambda each: (each[0].call, each[0].step))
    if not ordered:
        return None
    found = [_scaled(pairs, of_parts, groups) for pairs, of_parts in ordered]
    x, d = [each[0] for each in found], [each[1] for each in found]
    measured = any(pairs.measured for pairs, _ in ordered)
    calls = np.repeat([pairs.call for pairs, _ in ordered], [len(part) for part in x])
    if len(found) == 1:
        return Waiting(x[0], d[0], measured, calls)
    if not any(pairs.step for pairs, _ in ordered):
        return Waiting(torch.cat(x), torch.cat(d), measured, calls)
    sample = np.concatenate([np.arange(len(part)) for part in x])
    order = np.lexsort((sample, calls))
    there = torch.from_numpy(order).to(x[0].device)
    return Waiting(torch.cat(x)[there], torch.cat(d)[there], measured, calls[order])


def _shared_by_all(parts: Mapping[str, tuple[Any, float]]) -> tuple[Pairs, float] | None:
    """The pairs of one backward pass and a factor, if that is all that every part has; else None. The usual case."""
    found: tuple[Pairs, float] | None = None
    for gradient, own in parts.values():
        if gradient is None or len(gradient.terms) != 1:
            return None
        pairs, factor = gradient.terms[0]
        if found is not None and (pairs is not found[0] or factor * own != found[1]):
            return None
        found = pairs, factor * own
    return found


def _scaled(pairs: Pairs, factors: Mapping[str, float], groups: int) -> tuple[Tensor, Tensor]:
    values = set(factors.values())
    if len(values) == 1:
        (factor,) = values
        return pairs.x, pairs.d if factor == 1.0 else pairs.d * factor
    return masked(pairs.x, groups, factors), pairs.d


def masked(x: Tensor, groups: int, factors: Mapping[str, float]) -> Tensor:
    """Vectors x (vectors, groups x columns) with a factor for ``weight`` columns, and one for the last, ``bias``."""
    parts = x.reshape(len(x), groups, x.shape[1] // groups)
    columns = x.new_full((parts.shape[2],), factors["weight"])
    columns[-1] = factors["bias"]
    return (parts * columns).reshape(x.shape)


def work_of_norm(rows: int, columns: int, vectors: int) -> Work:
    """Digital work per pair for the norm of a tile's gradient, from the products of all pairs of vectors or from the
    gradient itself, whichever are fewer (multiplied and added up); and to scale d."""
    products = min((vectors + 1) // 2 * (rows + columns), rows * columns)
    return Work(multiply=products + rows, add=products)


def on_arrays(parameters: Iterable[Tensor]) -> list[ArrayWeights]:
    """Those of some parameters that stand for weights on arrays."""
    return [each for each in parameters if isinstance(each, ArrayWeights)]


def _times(terms: Terms, factor: float) -> Terms:
    return list(terms) if factor == 1.0 else [(pairs, before * factor) for pairs, before in terms]


def _number(given: Any) -> float | None:
    """A factor for all elements; None if it is more than one number."""
    if isinstance(given, PairGradient | ArrayWeights):
        return None
    if isinstance(given, Tensor):
        return float(given) if given.numel() == 1 else None
    return float(given) if isinstance(given, int | float) else None


def _written(func: Any, args: tuple[Any, ...]) -> list[Any]:
    """Arguments that an operation changes."""
    written: list[Any] = []
    for argument, given in zip(func._schema.arguments, args, strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write:
            written += given if isinstance(given, list | tuple) else [given]
    return written


def _refuse(of: ArrayWeights | PairGradient, what: str, accepted: str) -> NoReturn:
    raise InputError(f"layer {of.layer.layer}: its {of.part_name} is on arrays and {what}; accepted: {accepted}")
