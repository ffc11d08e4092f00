"""What a step computes, as a table of instructions; values of a mini-batch lie in one memory.

`Graph` takes the operations of a network in order; `Graph.laid_out` gives every value, and its gradient, its place for
a mini-batch of some size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rpusim.kernels.base.loops import Floats, Integers
from rpusim.kernels.step import functions, windows

# What an instruction does.
LAYER, FUNCTION, LARGEST, AVERAGE, ADD, CLASSIFY = range(6)
# Columns of the table of instructions. OP: see above. SOURCE, OUT: where the values begin, OF_SOURCE, OF_OUT: where
# their gradients do; -1: nobody wants it. ADDS: whether the gradient of the source has a part already. SIZE: values of
# a mini-batch. OTHER, OF_OTHER, OTHER_ADDS: the second source of a sum. WHICH: of a layer or a function, its number.
# VECTORS, ERRORS, BACK: where a layer's vectors, their errors, and what goes back to them begin; HOW_MANY: vectors.
# IMAGES, PIXELS, OUTPUTS, CHOSEN: of a pooling; SIZES_AT: its sizes.
OP, SOURCE, OUT, OF_SOURCE, OF_OUT, ADDS, SIZE, OTHER, OF_OTHER, OTHER_ADDS, WHICH = range(11)
VECTORS, ERRORS, BACK, HOW_MANY, IMAGES, PIXELS, OUTPUTS, CHOSEN, SIZES_AT = range(11, 20)
INSTRUCTION = SIZES_AT + windows.SIZES


class Unsuitable(Exception):
    """A network has something that a compiled step cannot do; the message says what, as part of a sentence."""


@dataclass(frozen=True)
class Value:
    """What an operation makes of one sample.

    number:  of the value; those that are only looked at differently share it.
    shape:   of one sample.
    learns:  whether a layer before it wants its gradient.
    """

    number: int
    shape: tuple[int, ...]
    learns: bool

    @property
    def size(self) -> int:
        """Numbers of one sample."""
        return math.prod(self.shape)


@dataclass
class Node:
    """One operation: what it does, what it reads and makes, and what else its instruction has to say."""

    op: int
    sources: tuple[Value, ...]
    out: Value
    which: int = -1
    sizes: tuple[int, ...] = ()
    a: float = 0.0
    b: float = 0.0


@dataclass(frozen=True)
class Layer:
    """What a program needs to know of a weight layer: see `rpusim.kernels.step.layers`.

    positions:  vectors of one sample. columns, rows: numbers of a vector and of its error.
    copied:     whether its vectors are no mere view of its input, such as windows or vectors with a bias.
    turned:     whether its outputs lie beside each other by channel, so that errors have to be turned round.
    """

    positions: int
    columns: int
    rows: int
    copied: bool
    turned: bool


@dataclass(frozen=True)
class Layout:
    """A program for mini-batches of one size.

    instructions:  (operations, INSTRUCTION). parameters: (operations, 2) of functions.
    memory:        float32 numbers that are needed, chosen: int32 ones.
    """

    instructions: Integers
    parameters: Floats
    memory: int
    chosen: int


@dataclass
class Graph:
    """A network under construction.

    shape:   of a sample.
    layers:  its weight layers, in the order in which they are computed.
    """

    shape: tuple[int, ...]
    layers: list[Layer] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values.append(Value(0, self.shape, False))

    @property
    def input(self) -> Value:
        """The samples."""
        return self.values[0]

    def _made(self, shape: Sequence[int], learns: bool) -> Value:
        self.values.append(Value(len(self.values), tuple(shape), learns))
        return self.values[-1]

    def layer(self, layer: Layer, source: Value, shape: Sequence[int]) -> Value:
        """Multiply by a layer's weights; shape: of the output."""
        self.layers.append(layer)
        out = self._made(shape, True)
        self.nodes.append(Node(LAYER, (source,), out, len(self.layers) - 1))
        return out

    def function(self, name: str, source: Value, a: float = 0.0, b: float = 0.0) -> Value:
        """Apply a function to every number; Unsuitable if it is unknown. a, b: its parameters."""
        if name not in functions.NAMES:
            raise Unsuitable(f"the function {name}")
        out = self._made(source.shape, source.learns)
        self.nodes.append(Node(FUNCTION, (source,), out, functions.NAMES.index(name), a=a, b=b))
        return out

    def pool(self, source: Value, shape: Sequence[int], sizes: Sequence[int], average: bool) -> Value:
        """Slide a window over the last two axes; sizes: see `windows`. The source has (channels, height, width)."""
        out = self._made(shape, source.learns)
        self.nodes.append(Node(AVERAGE if average else LARGEST, (source,), out, sizes=tuple(sizes)))
        return out

    def add(self, one: Value, other: Value) -> Value:
        """Add two values of the same shape."""
        if one.shape != other.shape:
            raise Unsuitable("a sum of different shapes")
        out = self._made(one.shape, one.learns or other.learns)
        self.nodes.append(Node(ADD, (one, other), out))
        return out

    def reshape(self, source: Value, shape: Sequence[int]) -> Value:
        """Look at the same numbers in another shape."""
        return Value(source.number, tuple(shape), source.learns)

    def classify(self, source: Value) -> None:
        """End with the log-softmax of classes, and the negative log-likelihood of the right one."""
        if len(source.shape) != 1:
            raise Unsuitable("classes on more than one axis")
        self.nodes.append(Node(CLASSIFY, (source,), source))

    def laid_out(self, batch: int) -> Layout:
        """Give all values of a mini-batch of ``batch`` samples their places."""
        at, places, gradients = 0, {}, {}
        for value in self.values:
            places[value.number], at = at, at + batch * value.size
            if value.learns:
                gradients[value.number], at = at, at + batch * value.size
        table = np.full((len(self.nodes), INSTRUCTION), -1, np.int64)
        parameters = np.zeros((len(self.nodes), 2), np.float32)
        chosen = 0
        for row, (node, given) in enumerate(zip(self.nodes, table, strict=True)):
            source, out = node.sources[0], node.out
            given[[OP, SOURCE, OUT, SIZE, WHICH]] = (
                node.op,
                places[source.number],
                places[out.number],
                batch * source.size,
                node.which,
            )
            given[OF_SOURCE], given[OF_OUT] = gradients.get(source.number, -1), gradients.get(out.number, -1)
            parameters[row] = node.a, node.b
            if node.op == ADD:
                given[OTHER] = places[node.sources[1].number]
                given[OF_OTHER] = gradients.get(node.sources[1].number, -1)
            elif node.op in (LARGEST, AVERAGE):
                height, width = node.sizes[windows.HEIGHT], node.sizes[windows.WIDTH]
                outputs = node.sizes[windows.ROWS] * node.sizes[windows.COLUMNS]
                images = batch * source.size // (height * width)
                given[[IMAGES, PIXELS, OUTPUTS, CHOSEN]] = images, height * width, outputs, chosen
                given[SIZES_AT:] = node.sizes
                chosen += images * outputs if node.op == LARGEST else 0
            elif node.op == LAYER:
                layer = self.layers[node.which]
                given[HOW_MANY] = vectors = batch * layer.positions
                given[VECTORS], given[ERRORS] = given[SOURCE], given[OF_OUT]
                if layer.copied:
                    given[VECTORS], at = at, at + vectors * layer.columns
                if given[OF_SOURCE] >= 0:
                    given[BACK], at = at, at + vectors * layer.columns
                if layer.turned:
                    given[ERRORS], at = at, at + vectors * layer.rows
        self._shares(table)
        return Layout(table, parameters, at, chosen)

    def _shares(self, table: Integers) -> None:
        """Mark, going back, which instructions find a part of their source's gradient there already."""
        there: set[int] = set()
        for node, given in zip(reversed(self.nodes), table[::-1], strict=True):
            for source, adds in zip(node.sources, (ADDS, OTHER_ADDS), strict=False):
                given[adds] = source.number in there
                there.add(source.number)


def pooling(**sizes: int) -> tuple[int, ...]:
    """Put the sizes of a pooling in the order of `windows`, by the names there in lower case."""
    names = [
        "height",
        "width",
        "tall",
        "wide",
        "down",
        "across",
        "top",
        "left",
        "apart_down",
        "apart_across",
        "rows",
        "columns",
        "pads_count",
    ]
    given: dict[str, Any] = {"apart_down": 1, "apart_across": 1, "top": 0, "left": 0, "pads_count": 1} | sizes
    return tuple(int(given[name]) for name in names)
