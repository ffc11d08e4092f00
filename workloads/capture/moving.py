"""Operations that only move values: the traced operation itself is run on numbers that say where each value was.

So a transposition, a slice, a padding or whatever else moves values needs no code of its own. Each number that goes in
names a sample and a place in it; what comes out tells where every value of the result is found, where the samples are
now, and whether they were mixed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx

from rpusim.arch.network.moves import Moves
from rpusim.workloads.capture.layout import BATCH, Layout, found
from rpusim.workloads.capture.traced import operation_name

_VIEWS = (
    "flatten unflatten view reshape _unsafe_view view_as reshape_as squeeze unsqueeze ravel permute transpose t "
    "numpy_T matrix_H mT adjoint movedim moveaxis swapaxes swapdims expand expand_as broadcast_to broadcast_tensors "
    "diagonal narrow select slice unfold unbind split split_with_sizes chunk tensor_split hsplit vsplit dsplit "
    "unsafe_chunk unsafe_split as_strided atleast_1d atleast_2d atleast_3d"
)
_COPIES = (
    "cat concat concatenate stack hstack vstack dstack column_stack repeat tile repeat_interleave flip fliplr flipud "
    "roll rot90 tril triu diag_embed block_diag im2col pixel_shuffle pixel_unshuffle channel_shuffle "
    "native_channel_shuffle pad constant_pad_nd _pad_circular reflection_pad1d reflection_pad2d reflection_pad3d "
    "replication_pad1d replication_pad2d replication_pad3d upsample_nearest1d upsample_nearest2d upsample_nearest3d "
    "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d slice_scatter select_scatter "
    "last_cell meshgrid copy"
)
_BY_NUMBERS = "index index_select gather take take_along_dim index_copy index_put scatter"
BY_NUMBERS = frozenset(_BY_NUMBERS.split())
"""Operations that find values by numbers; they only move them where these numbers are constants."""
_LOOKS = frozenset(_VIEWS.split()) - {"as_strided"}
MOVES = frozenset([*_VIEWS.split(), *_COPIES.split(), *BY_NUMBERS])
"""Traced operations that only move values."""


class Signal(NamedTuple):
    """A traced value that depends on the sample.

    number:  of the operation that makes it, among those that are read.
    size:    values of one sample.
    start:   where its values begin among those of all that are read.
    layout:  where its samples are.
    """

    number: int
    size: int
    start: int
    layout: Layout


class Moved(NamedTuple):
    """What became of values: where those of the result are found, and where its samples are."""

    moves: Moves
    layout: Layout


class MixedError(Exception):
    """Samples of a batch were mixed."""


def key(node: fx.Node, signals: dict[fx.Node, Signal]) -> str:
    """Describe a move, equally for all that move alike; "" if constants say what moves."""
    if node.target._schema.name.partition("::")[2].removesuffix("_") in BY_NUMBERS:  # type: ignore[union-attr]
        return ""
    args, given = replaced(node, lambda each: (_shape(each), signals.get(each)))
    return f"{node.target} {args} {given}"


def moved(node: fx.Node, signals: dict[fx.Node, Signal], constants: Constants) -> list[Moved | None]:
    """Run an operation that moves values on places.

    node:       that is traced.
    signals:    those of its arguments that depend on the sample.
    constants:  computes the others, where their values say what moves.

    Returns one entry for each tensor of the result; None where nothing of the sample is in it. Raises `MixedError` if
    samples mix, and LookupError if numbers by which values are found are not known.
    """
    total = sum({each.number: each.size for each in signals.values()}.values())
    by_numbers = node.target._schema.name.partition("::")[2].removesuffix("_") in BY_NUMBERS  # type: ignore[union-attr]

    if len(signals) == 1 and (quick := _viewed(node, *next(iter(signals.items())))) is not None:
        return quick

    def stand_in(argument: fx.Node) -> Any:
        if argument in signals:
            start, layout = signals[argument].start, signals[argument].layout
            shape = _shape(argument)
            return (layout.sample_of(shape) * total + layout.places(shape) + start + 1).to(torch.float64)
        value = constants.value(argument)
        if by_numbers and isinstance(value, Tensor) and value.dtype in (torch.int64, torch.int32, torch.bool):
            return value
        if by_numbers and not argument.meta["val"].dtype.is_floating_point:
            raise LookupError
        return torch.zeros(_shape(argument), dtype=torch.float64)

    args, given = replaced(node, stand_in)
    names = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]
    if "value" in names and names.index("value") < len(args) and not isinstance(args[names.index("value")], Tensor):
        args[names.index("value")] = 0  # of a padding: no value of the sample
    given |= {"value": 0} if not isinstance(given.get("value", 0), Tensor) and "value" in given else {}
    with torch.no_grad(), torch.device("cpu"):
        result = node.target(*args, **given)  # type: ignore[operator]
    results: Sequence[Tensor] = result if isinstance(result, tuple | list) else [result]
    return [_read(each, total) for each in results]


def _viewed(node: fx.Node, operand: fx.Node, signal: Signal) -> list[Moved | None] | None:
    """Find what an operation moves that only looks at its operand's numbers in another order: from strides in memory.

    None if it is none, or samples do not stand by themselves on an axis: then it is run on places.
    """
    layout, shape = signal.layout, _shape(operand)
    own, total = layout.sample_shape(shape), signal.size
    if operation_name(node) not in _LOOKS or node.all_input_nodes != [operand] or not layout.alone:
        return None
    if layout.order != tuple(range(BATCH)) or not len(shape) > 1 or total < _LARGE:
        return None
    strides = list(torch.empty(own, device="meta").stride())
    strides.insert(layout.axis, total)
    source = torch.empty_strided(shape, strides, device="meta")
    args, given = replaced(node, lambda _: source)
    try:
        with torch.no_grad():
            result = node.target(*args, **given)  # type: ignore[operator]  # a call_function node calls it
    except RuntimeError:  # what lies like this in memory cannot be looked at like that
        return None
    results: Sequence[Tensor] = result if isinstance(result, tuple | list) else [result]
    found: list[Moved | None] = []
    for each in results:
        batch = [axis for axis, step in enumerate(each.stride()) if step == total and each.shape[axis] == BATCH]
        if not each._is_view() or len(batch) != 1 or each.storage_offset() >= total:
            return None
        steps = [(step, size) for axis, (step, size) in enumerate(zip(each.stride(), each.shape, strict=True))]
        del steps[batch[0]]
        reach = each.storage_offset() + sum(step * (size - 1) for step, size in steps)
        if reach >= total or not steps:
            return None
        places = np.full((1,) * len(steps), each.storage_offset(), np.int32)
        for axis, (step, size) in enumerate(steps):
            line = np.arange(size, dtype=np.int32) * np.int32(step)
            places = places + line.reshape([-1 if at == axis else 1 for at in range(len(steps))])
        found.append(Moved(Moves(np.ascontiguousarray(places)), Layout(batch[0])))
    return found


_LARGE = 2**16
"""Values of a sample from which on it pays to look at strides first."""


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _read(result: Tensor, total: int) -> Moved | None:
    """Tell from the numbers of a result where its values come from."""
    numbers = result.to(torch.int64) - 1
    if not bool((numbers >= 0).any()):
        return None
    there = numbers >= 0
    layout = found(torch.where(there, numbers // total, -1))
    if layout is None:
        raise MixedError
    place = torch.where(there, numbers % total, -1)
    one = layout.one(place)
    other = Layout(layout.axis, tuple(1 - sample for sample in layout.order))
    if not torch.equal(one, other.one(place)):
        raise MixedError
    return Moved(Moves(np.ascontiguousarray(one.numpy(), np.int32)), layout)


_MOST = 10**8
"""The most numbers of a constant whose values are computed."""


class Constants:
    """Compute constants of a traced graph, each once, when it is asked for.

    known: values by the name of a placeholder, such as buffers of the user's module; on the meta device there are none.
    """

    def __init__(self, known: Mapping[str, Tensor]) -> None:
        self._known = known
        self._found: dict[fx.Node, Any] = {}

    def value(self, node: fx.Node) -> Any:
        """Return what a node gives; None where that is not known: it depends on the input, or on numbers not there."""
        if node not in self._found:
            self._found[node] = self._computed(node)
        return self._found[node]

    def _computed(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            known = self._known.get(node.name)
            return None if known is None or known.is_meta else known.detach().cpu()
        made = node.meta.get("val")
        if node.op != "call_function" or (isinstance(made, Tensor) and math.prod(made.shape) > _MOST):
            return None
        args, given = replaced(node, self.value)
        if any(each in node.all_input_nodes and self.value(each) is None for each in node.all_input_nodes):
            return None
        if "device" in given:
            given["device"] = torch.device("cpu")
        try:
            with torch.no_grad(), torch.device("cpu"):
                return node.target(*args, **given)  # type: ignore[operator]  # a call_function node calls it
        except Exception:  # whatever torch may not do with such values; then they are not known
            return None


def replaced(node: fx.Node, by: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call with another value in place of each node; ``by``: gives it."""
    args = fx.node.map_arg(node.args, by)
    given = fx.node.map_arg(node.kwargs, by)
    return list(args), dict(given)
