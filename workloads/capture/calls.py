"""A traced call as rules see it, and what a rule says of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import fx

from rpusim.workloads.capture.layout import BATCH, Layout
from rpusim.workloads.capture.moving import MixedError
from rpusim.workloads.capture.traced import shape_of

Counts = list[tuple[str, int]]
"""Names of functions of a digital unit, each with its number of elements per sample."""


class Rule(NamedTuple):
    """Say what an operation takes.

    functions:  that a digital unit computes.
    waits:      by operand, axes of its sample along which every output needs all of it.
    layout:     where the samples of the (first) result are.
    assumed:    what had to be assumed, in words.
    """

    functions: Counts
    waits: dict[fx.Node, tuple[int, ...]]
    layout: Layout
    assumed: str = ""


@dataclass
class Call:
    """Hold a traced call for the rules.

    node:     that is traced.
    name:     of the operation, without ``aten.``.
    given:    its arguments by name.
    layouts:  of the operands that depend on the sample.
    trained:  numbers of the operands that are parameters which learn.
    """

    node: fx.Node
    name: str
    given: dict[str, Any]
    layouts: dict[fx.Node, Layout]
    trained: dict[fx.Node, int] = field(default_factory=dict)

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the (first) result, of all samples."""
        return shape_of(self.node)

    @property
    def results(self) -> int:
        """Numbers of the (first) result per sample."""
        return math.prod(self.out) // BATCH

    def numbers(self, operand: fx.Node) -> int:
        """Count the numbers of an operand per sample; of one that does not depend on it, all."""
        return math.prod(shape_of(operand)) // (BATCH if operand in self.layouts else 1)

    def axes(self, operand: fx.Node, axes: Iterable[int]) -> tuple[int, ...]:
        """Turn axes of an operand into those of its sample. Raises `MixedError` if samples lie along one of them."""
        dimensions, layout = len(shape_of(operand)), self.layouts[operand]
        found = [layout.sample_axis(axis, dimensions) for axis in axes]
        if any(axis is None for axis in found):
            raise MixedError
        return tuple(sorted({axis for axis in found if axis is not None}))

    def everything(self, operand: fx.Node) -> tuple[int, ...]:
        """All axes of an operand's sample."""
        return tuple(range(len(self.layouts[operand].sample_shape(shape_of(operand)))))

    def broadcast(self) -> Layout:
        """Find where samples are after operands met value by value. Raises `MixedError` if they do not meet."""
        places = {(layout.axis - len(shape_of(each)), layout.order) for each, layout in self.layouts.items()}
        if len(places) != 1:
            raise MixedError
        ((axis, order),) = places
        return Layout(axis + len(self.out), order)

    def parameter(self, operand: object) -> Counts:
        """Count what an operand takes beside the operation if it is a parameter that learns."""
        if not isinstance(operand, fx.Node) or operand not in self.trained:
            return []
        return [("parameter", self.results), ("parameter that learns", self.trained[operand])]


def without_rule(call: Call) -> Rule:
    """Price what has no rule, and say so."""
    numbers = max([call.results, *(call.numbers(each) for each in call.layouts)])
    waits = {each: call.everything(each) for each in call.layouts}
    said = f"{call.name}: a straight line out of a table for each number read or written, once everything is there"
    return Rule([("without a rule", numbers)], waits, likely(call), said)


def likely(call: Call) -> Layout:
    """Find an axis of the result on which the samples are as they were in an operand."""
    for operand, layout in call.layouts.items():
        if layout.axis < len(call.out) and call.out[layout.axis] == shape_of(operand)[layout.axis]:
            return layout
    if call.out and call.out[0] == BATCH:
        return Layout()
    raise MixedError
