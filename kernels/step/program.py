"""What a step computes, as a table of instructions; values of a mini-batch lie in one memory.

`Graph` takes the operations of a network in order; `rpusim.kernels.step.layout` gives every value, and its gradient,
its place for a mini-batch of some size.

A weight that is used several times has an instruction for each of its *turns*: for each use, and of a recurrent layer
for each step of a sequence. Their vectors and errors lie one after the other, and are learned from together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rpusim.kernels.base.loops import Integers
from rpusim.kernels.step.between import functions, smooth, windows

# What an instruction does. From MERGE on: see `rpusim.kernels.step.between`.
LAYER, FUNCTION, LARGEST, AVERAGE, ADD, CLASSIFY, MERGE, AFFINE, GATHER, MASK, NORM, CELL, SMOOTH, SLOPE = range(14)
# Columns of the table of instructions. OP: see above. SOURCE, OUT: where the values begin, OF_SOURCE, OF_OUT: where
# their gradients do; -1: nobody wants it. ADDS: whether the gradient of the source has a part already. SIZE: values of
# a mini-batch. OTHER, OF_OTHER, OTHER_ADDS: the second source of a sum. WHICH: of a layer or a function, its number.
# VECTORS, ERRORS, BACK: where a layer's vectors, their errors, and what goes back to them begin; HOW_MANY: vectors.
# IMAGES, PIXELS, OUTPUTS, CHOSEN: of a pooling; SIZES_AT: its sizes.
# ROWS_OF, FIRST_VECTOR, EVERY: of a turn, the number of the layer that its rows of activity bear (-1: the tiles' own),
# of its first vector, and from there to the next. USES, USES_AT, STEPS, SORTED_VECTORS, SORTED_ERRORS: of an update,
# how many uses and steps it learns from, where the numbers of these layers begin (-1: the tiles' own), and where
# vectors and errors are put in the order of samples (-1: they lie so). FLIPPED: whether a turn uses the weight
# transposed; of an update, which of its uses do, as bits. TILES_AT: where the numbers of a turn's tiles begin (-1:
# their own).
OP, SOURCE, OUT, OF_SOURCE, OF_OUT, ADDS, SIZE, OTHER, OF_OTHER, OTHER_ADDS, WHICH = range(11)
VECTORS, ERRORS, BACK, HOW_MANY, IMAGES, PIXELS, OUTPUTS, CHOSEN, ROWS_OF, FIRST_VECTOR, EVERY = range(11, 22)
USES, USES_AT, STEPS, SORTED_VECTORS, SORTED_ERRORS, FLIPPED, TILES_AT, SIZES_AT = range(22, 30)
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


@dataclass(frozen=True)
class Turn:
    """One step of a recurrent layer: its number, how many there are, the size of the state, the states before it and
    after it, and of the one before the instruction that made it (-1: it is given)."""

    step: int
    steps: int
    units: int
    before: Value
    state: Value
    made_by: int


@dataclass
class Node:
    """One operation: what it does, what it reads and makes, and what else its instruction has to say.

    which:   of a layer, a function, a way to merge, a mask, a norm or a rule: its number. turn: of a layer; flipped:
             whether it uses the weight transposed.
    places:  where the values of a sample come from, of a selection.
    """

    op: int
    sources: tuple[Value, ...]
    out: Value
    which: int = -1
    sizes: tuple[int, ...] = ()
    a: float = 0.0
    b: float = 0.0
    turn: int = 0
    flipped: bool = False
    places: Integers | None = None
    step: Turn | None = None


@dataclass(frozen=True)
class Layer:
    """What a program needs to know of a weight layer: see `rpusim.kernels.step.placed`.

    positions:  vectors of one sample in one turn. columns, rows: numbers of a vector and of its error.
    copied:     whether its vectors are no mere view of its input, such as windows or vectors with a bias.
    turned:     whether its outputs lie beside each other by channel, so that errors have to be turned round.
    uses:       how often it is used, and in how many steps each time: its turns are their product.
    learns:     whether anything of it learns; if not, errors pass through it, if at all.
    reached:    whether errors come back to it: what is detached behind it, or read by nobody, sends none.
    flips:      which of its uses use the weight transposed, as bits.
    """

    positions: int
    columns: int
    rows: int
    copied: bool
    turned: bool
    uses: int = 1
    steps: int = 1
    learns: bool = True
    flips: int = 0
    reached: bool = True

    @property
    def gathers(self) -> bool:
        """Whether its vectors and errors are brought together, to be learned from."""
        return self.turns > 1 or self.flips > 0

    @property
    def turns(self) -> int:
        """How many instructions it has."""
        return self.uses * self.steps

    @property
    def vectors(self) -> int:
        """Vectors of a sample in all turns."""
        return self.positions * self.turns


RULES = ("tanh", "relu", "lstm", "gru")
"""Rules of recurrent layers; their codes are their places."""


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

    def layer(self, layer: Layer, source: Value, shape: Sequence[int], flipped: bool = False) -> Value:
        """Multiply by a layer's weights; shape: of the output; flipped: transposed."""
        self.layers.append(replace(layer, uses=0))
        return self.use(len(self.layers) - 1, source, shape, flipped)

    def use(self, which: int, source: Value, shape: Sequence[int], flipped: bool = False) -> Value:
        """Multiply by the weights of a layer once more. which: its number; shape, flipped: as for `layer`."""
        known = self.layers[which]
        out = self._made(shape, known.learns or source.learns)
        if flipped and known.uses > 60:
            raise Unsuitable("a weight that is used transposed after more than 60 other uses")
        flips = known.flips | int(flipped) << known.uses
        self.layers[which] = replace(known, uses=known.uses + 1, flips=flips)
        self.nodes.append(Node(LAYER, (source,), out, which, turn=known.uses, flipped=flipped))
        return out

    def recurrent(self, layer: Layer | int, rule: str, given: Value, units: int) -> Value:
        """Go through a sequence step by step: each adds what its matrix makes of the state before to what is given.

        layer: the matrix, or its number if it is used once more. rule: one of `recurrence.RULES`. given: (steps, rows).
        Returns the states after each step (steps, units); the first one is 0.
        """
        steps = given.shape[0]
        if isinstance(layer, Layer):
            self.layers.append(replace(layer, uses=0, steps=steps))
            layer = len(self.layers) - 1
        known = self.layers[layer]
        if known.steps != steps:
            raise Unsuitable("a recurrent layer that is used for sequences of different lengths")
        self.layers[layer] = replace(known, uses=known.uses + 1)
        learns = known.learns or given.learns
        out, state, made_by = self._made((steps, units), learns), self._made((units,), False), -1
        for step in range(steps):
            products = self._made((known.rows,), learns)
            self.nodes.append(Node(LAYER, (state,), products, layer, turn=known.uses * steps + step))
            before, state = state, self._made((units,), learns)
            sources = (given, products, before) if rule == "gru" else (given, products)
            turn = Turn(step, steps, units, before, state, made_by)
            made_by = len(self.nodes)
            self.nodes.append(Node(CELL, sources, out, RULES.index(rule), step=turn))
        return out

    def function(self, name: str, source: Value, a: float = 0.0, b: float = 0.0) -> Value:
        """Apply a function to every number; Unsuitable if it is unknown. a, b: its parameters."""
        rare = name in smooth.NAMES
        if not rare and name not in functions.NAMES:
            raise Unsuitable(f"the function {name}")
        out, code = self._made(source.shape, source.learns), (smooth.NAMES if rare else functions.NAMES).index(name)
        self.nodes.append(Node(SMOOTH if rare else FUNCTION, (source,), out, code, a=a, b=b))
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

    def merge(self, way: int, one: Value, other: Value, a: float = 1.0, b: float = 1.0) -> Value:
        """Multiply, divide, or add up with factors two values of the same shape; way: see `branches`."""
        if one.shape != other.shape:
            raise Unsuitable("a product of different shapes")
        out = self._made(one.shape, one.learns or other.learns)
        self.nodes.append(Node(MERGE, (one, other), out, way, a=a, b=b))
        return out

    def affine(self, source: Value, factor: float, offset: float) -> Value:
        """Multiply every number by a constant, and add another."""
        out = self._made(source.shape, source.learns)
        self.nodes.append(Node(AFFINE, (source,), out, a=factor, b=offset))
        return out

    def detach(self, source: Value) -> Value:
        """Copy numbers, of which no gradient goes back."""
        out = self._made(source.shape, False)
        self.nodes.append(Node(AFFINE, (source,), out, a=1.0))
        return out

    def gather(self, source: Value, places: Integers) -> Value:
        """Take numbers from the places of a sample that an array says, in whose shape they come out; -1: it is 0."""
        if source.shape == places.shape and np.array_equal(places.ravel(), np.arange(source.size)):
            return source
        out = self._made(places.shape, source.learns)
        self.nodes.append(Node(GATHER, (source,), out, places=places.ravel().astype(np.int64)))
        return out

    def mask(self, source: Value) -> Value:
        """Multiply every number by one that is drawn anew for each mini-batch; masks are numbered as they come."""
        out = self._made(source.shape, source.learns)
        self.nodes.append(Node(MASK, (source,), out, sum(node.op == MASK for node in self.nodes)))
        return out

    def norm(self, which: int, source: Value, sizes: Sequence[int], epsilon: float) -> Value:
        """Normalise. which: number of the norm; sizes: see `norms`. Its factors and offsets learn."""
        out = self._made(source.shape, True)
        self.nodes.append(Node(NORM, (source,), out, which, sizes=tuple(sizes), a=epsilon))
        return out

    def slope(self, which: int, source: Value, sizes: Sequence[int]) -> Value:
        """Multiply what is negative by slopes that learn. which, sizes: as for `norm`."""
        out = self._made(source.shape, True)
        self.nodes.append(Node(SLOPE, (source,), out, which, sizes=tuple(sizes)))
        return out

    def reshape(self, source: Value, shape: Sequence[int]) -> Value:
        """Look at the same numbers in another shape."""
        return Value(source.number, tuple(shape), source.learns)

    def classify(self, source: Value) -> None:
        """End with the log-softmax of classes on the last axis, and the negative log-likelihood of the right ones."""
        if not source.learns:
            raise Unsuitable("nothing that learns")
        self.nodes.append(Node(CLASSIFY, (source,), source))
        self._settle()

    def _settle(self) -> None:
        """Find out, going back, what gradients reach; nothing else wants one."""
        reached: set[int] = set()
        for node in reversed(self.nodes):
            made = [node.out, *([node.step.state] if node.step is not None else [])]
            if node.op == CLASSIFY or any(each.learns and each.number in reached for each in made):
                reached |= {source.number for source in node.sources if source.learns}
        self.values = [replace(value, learns=value.learns and value.number in reached) for value in self.values]
        turns: dict[int, set[bool]] = {}
        for node in self.nodes:
            node.out = replace(node.out, learns=self.values[node.out.number].learns)
            if node.op == LAYER:
                turns.setdefault(node.which, set()).add(node.out.learns)
        for which, found in turns.items():
            if len(found) > 1 and self.layers[which].learns:
                raise Unsuitable("a weight that learns from some of its uses alone")
            self.layers[which] = replace(self.layers[which], reached=any(found))


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
