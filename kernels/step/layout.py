"""Where everything lies: the values of a mini-batch of some size, and their gradients, in one memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpusim.kernels.base.loops import Floats, Integers
from rpusim.kernels.step.between import norms, recurrence, windows
from rpusim.kernels.step.program import (
    ADD,
    ADDS,
    AVERAGE,
    BACK,
    CELL,
    CHOSEN,
    ERRORS,
    EVERY,
    FIRST_VECTOR,
    FLIPPED,
    GATHER,
    HOW_MANY,
    IMAGES,
    INSTRUCTION,
    LARGEST,
    LAYER,
    MASK,
    MERGE,
    NORM,
    OF_OTHER,
    OF_OUT,
    OF_SOURCE,
    OP,
    OTHER,
    OTHER_ADDS,
    OUT,
    OUTPUTS,
    PIXELS,
    ROWS_OF,
    SIZE,
    SIZES_AT,
    SLOPE,
    SORTED_ERRORS,
    SORTED_VECTORS,
    SOURCE,
    STEPS,
    USES,
    VECTORS,
    WHICH,
    Graph,
    Layer,
    Node,
    Unsuitable,
)


@dataclass(frozen=True)
class Layout:
    """A program for mini-batches of one size.

    instructions:  (operations, INSTRUCTION). parameters: (operations, 2) of functions.
    updates:       (layers, INSTRUCTION), what each layer learns from.
    places:        of all selections, one after the other.
    of_norms:      (norms, 2) where the gradients of factors and offsets lie.
    memory:        float32 numbers that are needed, chosen: int32 ones. masks: numbers that are drawn.
    """

    instructions: Integers
    parameters: Floats
    updates: Integers
    places: Integers
    of_norms: Integers
    memory: int
    chosen: int
    masks: int


def laid_out(graph: Graph, batch: int, of_norms: Sequence[int] = ()) -> Layout:
    """Give everything a place. batch: samples of a mini-batch. of_norms: how many factors each norm has."""
    return _Laid(graph, batch, of_norms).layout()


class _Laid:
    """A layout in the making; the arguments of `laid_out`."""

    def __init__(self, graph: Graph, batch: int, of_norms: Sequence[int]) -> None:
        self.graph, self.batch, self.of_norms = graph, batch, of_norms
        self.memory = self.chosen = self.masks = 0
        self.places: list[Integers] = []
        self.values: dict[int, int] = {}
        self.gradients: dict[int, int] = {}
        self.table = np.full((len(graph.nodes), INSTRUCTION), -1, np.int64)
        self.carried: dict[int, int] = {}
        self.kept: dict[int, int] = {}

    def room(self, size: int) -> int:
        """Take memory for so many numbers; returns where it begins."""
        self.memory += size
        return self.memory - size

    def layout(self) -> Layout:
        """Lay out values, then what instructions need besides."""
        graph, parameters = self.graph, np.zeros((len(self.graph.nodes), 2), np.float32)
        together = {node.out.number for node in graph.nodes if node.op == LAYER and self._together(node)}
        for value in graph.values:
            self.values[value.number] = self.room(self.batch * value.size)
            if value.learns and value.number not in together:
                self.gradients[value.number] = self.room(self.batch * value.size)
        updates = np.full((len(graph.layers), INSTRUCTION), -1, np.int64)
        for which, (layer, row) in enumerate(zip(graph.layers, updates, strict=True)):
            self._update(which, layer, row)
        learned = [[self.room(count), self.room(count)] for count in self.of_norms]
        of_norms = np.array(learned, np.int64).reshape(-1, 2)
        for number, (node, given) in enumerate(zip(graph.nodes, self.table, strict=True)):
            self._instruction(node, given)
            parameters[number] = node.a, node.b
            if node.op == LAYER:
                self._turn(node, given, updates[node.which])
            elif node.op in (LARGEST, AVERAGE):
                self._pooling(node, given)
            elif node.op == GATHER:
                self._selection(node, given)
            elif node.op == MASK:
                given[SIZES_AT], self.masks = self.masks, self.masks + int(given[SIZE])
            elif node.op in (NORM, SLOPE):
                statistics = self.room(2 * self.batch * norms.groups_of(node.sizes))
                given[HOW_MANY] = self.batch
                given[SIZES_AT : SIZES_AT + norms.OWN] = *node.sizes, statistics, *of_norms[node.which]
            elif node.op == CELL:
                self._step(number, node, given)
        self._shares()
        places = np.concatenate([*self.places, np.zeros(0, np.int64)])
        return Layout(self.table, parameters, updates, places, of_norms, self.memory, self.chosen, self.masks)

    def _together(self, node: Node) -> bool:
        """Whether the errors of a layer's instruction lie among those of its other turns, just as they come."""
        layer = self.graph.layers[node.which]
        return layer.gathers and not layer.turned and node.out.learns and not node.flipped

    def _update(self, which: int, layer: Layer, row: Integers) -> None:
        """Say what a layer learns from; where it has one turn alone, that is said by its only instruction."""
        vectors = self.batch * layer.vectors
        row[[OP, WHICH, HOW_MANY, USES, STEPS]] = LAYER, which, vectors, layer.uses, layer.steps
        row[FLIPPED] = layer.flips
        if layer.gathers:
            row[VECTORS], row[ERRORS] = self.room(vectors * layer.columns), self.room(vectors * layer.rows)
        if layer.steps > 1 and self.batch > 1:
            row[SORTED_VECTORS] = self.room(vectors * layer.columns)
            row[SORTED_ERRORS] = self.room(vectors * layer.rows)

    def _instruction(self, node: Node, given: Integers) -> None:
        """Say what instructions of all kinds have."""
        source, out = node.sources[0], node.out
        given[[OP, SIZE, WHICH]] = node.op, self.batch * source.size, node.which
        given[[SOURCE, OUT]] = self.values[source.number], self.values[out.number]
        given[OF_OUT] = self.gradients.get(out.number, -1)
        given[OF_SOURCE] = self.gradients.get(source.number, -1) if out.learns else -1
        if node.op in (ADD, MERGE):
            given[OTHER] = self.values[node.sources[1].number]
            given[OF_OTHER] = self.gradients.get(node.sources[1].number, -1) if out.learns else -1

    def _turn(self, node: Node, given: Integers, update: Integers) -> None:
        """Say where a layer's vectors and their errors lie; those of several turns one after the other."""
        layer = self.graph.layers[node.which]
        given[HOW_MANY] = vectors = self.batch * layer.positions
        given[[ROWS_OF, FIRST_VECTOR, EVERY]] = node.turn // layer.steps, node.turn % layer.steps, layer.steps
        given[FLIPPED] = node.flipped
        if layer.gathers:
            given[VECTORS] = update[VECTORS] + node.turn * vectors * layer.columns
            given[ERRORS] = update[ERRORS] + node.turn * vectors * layer.rows
            if self._together(node):
                given[OF_OUT] = self.gradients[node.out.number] = given[ERRORS]
        else:
            given[VECTORS] = self.room(vectors * layer.columns) if layer.copied else given[SOURCE]
            given[ERRORS] = self.room(vectors * layer.rows) if layer.turned else given[OF_OUT]
            update[[VECTORS, ERRORS]] = given[[VECTORS, ERRORS]]
        if node.flipped:
            given[BACK] = self.room(vectors * max(layer.columns, layer.rows))
        elif given[OF_SOURCE] >= 0:
            given[BACK] = self.room(vectors * layer.columns)

    def _pooling(self, node: Node, given: Integers) -> None:
        height, width = node.sizes[windows.HEIGHT], node.sizes[windows.WIDTH]
        outputs = node.sizes[windows.ROWS] * node.sizes[windows.COLUMNS]
        images = self.batch * node.sources[0].size // (height * width)
        given[[IMAGES, PIXELS, OUTPUTS, CHOSEN]] = images, height * width, outputs, self.chosen
        given[SIZES_AT : SIZES_AT + windows.SIZES] = node.sizes
        self.chosen += images * outputs if node.op == LARGEST else 0

    def _selection(self, node: Node, given: Integers) -> None:
        assert node.places is not None, "a selection says where its numbers come from"
        given[[HOW_MANY, PIXELS, OUTPUTS]] = self.batch, node.sources[0].size, node.out.size
        given[SIZES_AT] = sum(map(len, self.places))
        self.places.append(node.places)

    def _step(self, number: int, node: Node, given: Integers) -> None:
        """Say where the states of a step of a recurrent layer lie, and what it keeps for the way back."""
        turn, batch = node.step, self.batch
        assert turn is not None, "a step of a recurrent layer has a place in its sequence"
        products = node.sources[1].number
        given[[HOW_MANY, OTHER, OF_OTHER]] = batch, self.values[products], self.gradients.get(products, -1)
        if turn.step == 0:
            self.carried[node.out.number] = self.room(batch * turn.units)
        self.kept[number] = self.room(batch * turn.units * recurrence.KEPT_OF[node.which])
        own = {
            recurrence.STEP: turn.step,
            recurrence.STEPS: turn.steps,
            recurrence.UNITS: turn.units,
            recurrence.STATE: self.values[turn.state.number],
            recurrence.OF_STATE: self.gradients.get(turn.state.number, -1),
            recurrence.BEFORE: self.values[turn.before.number],
            recurrence.OF_BEFORE: self.gradients.get(turn.before.number, -1),
            recurrence.KEPT: self.kept[number],
            recurrence.KEPT_BEFORE: self.kept.get(turn.made_by, -1),
            recurrence.CARRIED: self.carried[node.out.number],
        }
        for place, value in own.items():
            given[SIZES_AT + place] = value

    def _shares(self) -> None:
        """Mark, going back, which instructions find a part of their source's gradient there already."""
        there: set[int] = set()
        for node, given in zip(reversed(self.graph.nodes), self.table[::-1], strict=True):
            if not node.out.learns:
                continue
            if node.op == CELL:
                assert node.step is not None
                given[SIZES_AT + recurrence.STATE_WANTED] = node.step.state.number in there
                last = node.step.step == node.step.steps - 1
                if (last and node.sources[0].number in there) or node.out.number not in there:
                    raise Unsuitable("a recurrent layer whose outputs nobody reads, or whose inputs others read")
            for source, adds in zip(node.sources, (ADDS, OTHER_ADDS), strict=False):
                given[adds] = source.number in there
                there.add(source.number)
            there |= {source.number for source in node.sources[2:]}
