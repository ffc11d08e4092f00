"""The network as the chip sees it: weight layers, the digital operations between them, and what waits for what.

A `Network` is a graph of operations on ONE sample (no batch dimension anywhere). Linear, convolution and recurrent
operations are *weight layers*: they become cross-point arrays, and each of their output positions is one vector sent
through the array. Everything else (activations, pooling, sums...) is done by digital units and costs `digital_ops`.

The mapper reads `Network.layers`; scheduler and engine also read `Network.edges`, which say for every vector of a
layer the last vector of each earlier layer it has to wait for. That is found exactly, by sending through the digital
operations, in place of the values, the number of the vector that completes each value: elementwise operations keep
the numbers, windows take the largest number they see (padding waits for nothing), a sum of branches keeps them apart
per producer. Positions are in raster order: the rightmost axis runs fastest.

>>> network = connect("two layers", (4,), [
...     (WeightLayer.linear("hidden", (4,), rows=3), ("input",)),
...     (Operation.digital("squash", "activation", (3,), detail="tanh"), ("hidden",)),
...     (WeightLayer.linear("readout", (3,), rows=2), ("squash",)),
... ])
>>> [(layer.rows, layer.columns) for layer in network.layers], network.weights, network.digital_ops(0)
([(3, 4), (2, 3)], 23, 12)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from rpusim.errors import InputError, nearest

IndexMap = NDArray[np.int32]

INPUT = -1
"""The producer of an `Edge` that starts at the network's input."""


@dataclass(frozen=True)
class OpsPerElement:
    """Digital operations for one output element, and how well the number is known."""

    operations: int
    source: str


_GUESS = "guess: a piecewise or table approximation (look-up, multiply, add, round); replace it by your unit's figure"
OPS_PER_ELEMENT: dict[str, OpsPerElement] = {
    "relu": OpsPerElement(1, "count: one comparison"),
    "activation": OpsPerElement(4, _GUESS),
    "softmax": OpsPerElement(5, "guess: maximum, subtract, exponential as one operation, sum, divide or logarithm"),
    "batch_norm": OpsPerElement(2, "count: one multiply and one add with folded statistics"),
    "add": OpsPerElement(1, "count: one add per pair of values"),
    "multiply": OpsPerElement(1, "count: one multiply per pair of values"),
    "pool": OpsPerElement(1, "count: one compare or add for each value in the window, padding included"),
    "none": OpsPerElement(0, "count: nothing is computed (flatten only renames, dropout is taken as free)"),
}
"""By the name of the activation where it has a line of its own, else by kind. For a pool, per value in the window."""

_STEP = {"tanh": 5, "relu": 2, "lstm": 28, "gru": 19}
OPS_PER_ELEMENT |= {
    f"recurrent {rule}": OpsPerElement(
        operations, "count: adds and multiplies of one step, with activations as above (one comparison for relu)"
    )
    for rule, operations in _STEP.items()
}
GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
"""Rows of a recurrent matrix for every element of the state."""

_ELEMENTWISE = ("activation", "batch_norm", "dropout", "identity", "output")
_MERGING = ("add", "multiply")
_FREE = ("input", "flatten", "select", "dropout", "identity", "output")
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
KINDS = (
    "input",
    "linear",
    *_CONVOLUTIONS,
    "recurrent",
    *_ELEMENTWISE,
    *_MERGING,
    "pool",
    "flatten",
    "select",
    "softmax",
)


@dataclass(frozen=True)
class Window:
    """The sliding window of a convolution or a pooling; every field has one entry per axis, in positions.

    ``padding`` is what is added before the first row and column; how much follows the last is settled by the
    operation's output shape, so ceiling mode and uneven "same" padding need no field of their own.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)

    def output_size(self, *sizes: int) -> tuple[int, ...]:
        """Output positions over an image of this size with equal padding on both ends, rounded down."""
        sides = zip(sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides)

    def reach(self, axis: int, length: int, outputs: int) -> list[NDArray[np.intp]]:
        """For each output position along an axis, the input positions (of ``length``) under the window."""
        taps = self.dilation[axis] * np.arange(self.kernel[axis]) - self.padding[axis]
        places = (taps + self.stride[axis] * position for position in range(outputs))
        return [place[(place >= 0) & (place < length)] for place in places]

    def under(self, axis: int, tap: int, length: int, outputs: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Along an axis, for one place in the window: output positions that see an input there, and which."""
        position = np.arange(outputs)
        place = self.stride[axis] * position + self.dilation[axis] * tap - self.padding[axis]
        inside = (place >= 0) & (place < length)
        return position[inside], place[inside]


@dataclass(frozen=True)
class Operation:
    """One step of the network on one sample.

    kind:         one of `KINDS`.
    shape:        of the output for one sample: (features,), (time, features) or (channels, height, width).
    detail:       which one of the kind, such as "sigmoid" or "max".
    window:       of a convolution or a sliding pooling.
    axes:         axes of the sample over which a softmax or a mean runs, or the one along which is selected. A pooling
                  with neither window nor axes is adaptive: its windows share the last two axes of the input evenly.
    taken:        first, stop and step of a selection along its axis.
    digital_ops:  digital operations per sample, see `OPS_PER_ELEMENT`; 0 for weight layers (the analog side and
                  scale and bias after the converters are priced by the chip).
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    detail: str = ""
    window: Window | None = None
    axes: tuple[int, ...] = ()
    digital_ops: int = 0
    taken: tuple[int, int, int] = (0, 0, 1)

    @property
    def pooled(self) -> int:
        """How many of the last axes a pooling slides over."""
        return 2 if self.window is None else len(self.window.kernel)

    @staticmethod
    def digital(
        name: str,
        kind: str,
        input_shape: Sequence[int],
        shape: Sequence[int] | None = None,
        detail: str = "",
        window: Window | None = None,
        axes: Sequence[int] = (),
        inputs: int = 1,
        taken: tuple[int, int, int] = (0, 0, 1),
    ) -> Operation:
        """A digital operation with its cost filled in; ``shape`` (of the output) defaults to the input's.

        ``inputs`` is the number of branches that an add or multiply merges (at least one pair, for constants).
        """
        output = tuple(input_shape if shape is None else shape)
        elements = math.prod(output)
        if kind == "pool":
            elements *= 1 if window is None else math.prod(window.kernel)
            if axes:
                elements = math.prod(input_shape)
            elif window is None:
                reach = zip(input_shape[-2:], output[-2:], strict=True)
                elements = math.prod(output[:-2]) * math.prod(sum(map(len, _shares(n, m))) for n, m in reach)
        elif kind in _MERGING:
            elements *= max(inputs - 1, 1)
        if kind not in KINDS:
            raise InputError(f"operation {name!r} is of unknown kind {kind!r}{nearest(kind, KINDS)}")
        key = detail if kind == "activation" and detail in OPS_PER_ELEMENT else "none" if kind in _FREE else kind
        digital_ops = elements * OPS_PER_ELEMENT[key].operations
        return Operation(name, kind, output, detail, window, tuple(axes), digital_ops, taken)


@dataclass(frozen=True)
class WeightLayer(Operation):
    """A matrix product with trained weights: one cross-point array, before it is split over tiles.

    rows, columns:  of the weight matrix: outputs x inputs per vector, the bias column NOT counted.
    bias:           whether each output adds a trained bias.
    parameter:      full name of the torch weight, such as "features.0.weight"; equal for layers that share it.
    groups:         so many equal parts of the rows read inputs of their own (``columns`` each).

    A recurrent layer multiplies its own output of the step before. Its operation reads what the input's matrix made of
    every step, in as many rows, which is not multiplied but added at its homes, where ``detail``, the rule, makes the
    output of `gates` rows each; the rows of one output are taken to lie in one block.
    """

    rows: int = 0
    columns: int = 0
    bias: bool = True
    parameter: str = ""
    groups: int = 1

    @staticmethod
    def linear(name: str, input_shape: Sequence[int], rows: int, bias: bool = True, parameter: str = "") -> WeightLayer:
        """A fully connected layer on the last axis; every other position of the input is a vector of its own."""
        *places, columns = input_shape
        parameter = parameter or f"{name}.weight"
        return WeightLayer(name, "linear", (*places, rows), rows=rows, columns=columns, bias=bias, parameter=parameter)

    @staticmethod
    def convolution(
        name: str,
        input_shape: Sequence[int],
        rows: int,
        window: Window,
        bias: bool = True,
        parameter: str = "",
        shape: Sequence[int] | None = None,
        groups: int = 1,
    ) -> WeightLayer:
        """Over (channels, one to three axes); ``shape`` only where padding differs at the two ends."""
        channels, *sizes = input_shape
        return WeightLayer(
            name,
            f"conv{len(sizes)}d",
            (rows, *window.output_size(*sizes)) if shape is None else tuple(shape),
            window=window,
            rows=rows,
            columns=channels // groups * math.prod(window.kernel),
            bias=bias,
            parameter=parameter or f"{name}.weight",
            groups=groups,
        )

    @staticmethod
    def recurrent(
        name: str, given_shape: Sequence[int], rule: str, bias: bool = True, parameter: str = ""
    ) -> WeightLayer:
        """Over (steps, rows) of what the input's matrix gives; ``rule``: one of `GATES`."""
        steps, rows = given_shape
        state = rows // GATES[rule]
        return WeightLayer(
            name,
            "recurrent",
            (steps, state),
            rule,
            digital_ops=steps * state * OPS_PER_ELEMENT[f"recurrent {rule}"].operations,
            rows=rows,
            columns=state,
            bias=bias,
            parameter=parameter or f"{name}.weight",
        )

    @property
    def is_recurrent(self) -> bool:
        return self.kind == "recurrent"

    @property
    def gates(self) -> int:
        """Rows that make one output."""
        return GATES[self.detail] if self.is_recurrent else 1

    @property
    def outputs(self) -> int:
        """Values per position."""
        return self.rows // self.gates

    @property
    def vectors(self) -> int:
        """Output positions, and so vectors through the array, per sample; 1 for a plain linear layer."""
        return math.prod(self.shape) // self.outputs

    def readers(self, shape: Sequence[int], turns: int = 1) -> NDArray[np.bool_]:
        """Which values of an input of this ``shape`` its vectors read, by turn (vector modulo ``turns``).

        (turns, *shape), with 1 in place of the axis that every vector reads as a whole.
        """
        if self.window is None:
            places = np.arange(self.vectors).reshape(*shape[:-1], 1) % turns
            return places == np.arange(turns).reshape(-1, *[1] * len(shape))
        turn = np.arange(self.vectors).reshape(self.shape[1:]) % turns
        read = np.zeros((turns, 1, *shape[1:]), np.bool_)
        for tap in np.ndindex(self.window.kernel):
            sides = [self.window.under(i, at, shape[i + 1], self.shape[i + 1]) for i, at in enumerate(tap)]
            read[:, 0][turn[np.ix_(*(output for output, _ in sides))], *np.ix_(*(place for _, place in sides))] = True
        return read

    def completed(self, index_map: IndexMap, read: NDArray[np.bool_]) -> IndexMap:
        """How many positions each of its vectors completes of the values that are ``read`` of an `Network.arriving`."""
        alike = index_map.ndim > 1 and index_map.strides[0] == 0 and read.shape[0] == 1  # in all channels
        times = len(index_map) if alike else 1
        index_map = index_map[:1] if alike else index_map
        there = (index_map >= 0) & read
        values = times * np.bincount(index_map[there], minlength=self.vectors)
        return (-(-values // self.outputs)).astype(np.int32)

    @property
    def unread(self) -> int:
        """So many of the first vectors of a sample have errors that do not go back: nobody gave the first state."""
        return int(self.is_recurrent)

    @property
    def weights(self) -> int:
        """Trained numbers, biases included."""
        return self.rows * (self.columns + self.bias)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample and pass, the bias counted as an input that is always 1."""
        return self.weights * self.vectors


@dataclass(frozen=True, eq=False)
class Edge:
    """What a weight layer waits for from one earlier weight layer, through the digital operations between them.

    producer:  index of the earlier layer, or `INPUT` (-1): the sample itself, which is there from the start.
    consumer:  index of the layer that waits.
    needs:     int32, one per vector of the consumer: the last vector of the producer it waits for; -1 = none (always
               so for `INPUT`; also where a window sees nothing but padding).
    emits:     int32, one per vector of the producer: how many positions become complete with this vector, a position
               being one value for each of the producer's outputs. After pooling most vectors complete none. The sum is
               the number of positions the consumer reads; those between its windows do not count. Empty for `INPUT`.
    frees:     int32, one per vector of the consumer: how many of these positions no vector after it reads; the sum is
               that of ``emits``. 0 for `INPUT`.

    A recurrent layer waits for what it is given at its homes, after its multiplication, not before. That it waits for
    its own vector of the step before goes without an edge.

    Where several edges reach one consumer, their values were summed on the way by the digital unit of the latest of
    the producers: only that one sends to the consumer, the others send to it.
    """

    producer: int
    consumer: int
    needs: IndexMap
    emits: IndexMap
    frees: IndexMap


@dataclass(frozen=True, eq=False)
class Network:
    """A checked network. Raises `InputError` if the graph is not one that a chip could run.

    name:         for reports.
    input_shape:  of one sample.
    graph:        directed, from input to output; each node is an operation's name and carries it as "operation".
                  It is frozen; insertion order breaks ties in the execution order.
    """

    name: str
    input_shape: tuple[int, ...]
    graph: nx.DiGraph

    def __post_init__(self) -> None:
        nx.freeze(self.graph)
        _check(self)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """All operations in execution order."""
        place = {name: index for index, name in enumerate(self.graph)}
        ordered = nx.lexicographical_topological_sort(self.graph, key=place.__getitem__)
        return tuple(self.graph.nodes[name]["operation"] for name in ordered)

    @cached_property
    def layers(self) -> tuple[WeightLayer, ...]:
        """The weight layers in execution order; a layer's place here is its index everywhere else."""
        return tuple(operation for operation in self.operations if isinstance(operation, WeightLayer))

    @property
    def weights(self) -> int:
        """Cross-points needed, biases included; a weight shared by two layers counts in both."""
        return sum(layer.weights for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample and pass, biases included."""
        return sum(layer.macs for layer in self.layers)

    def layer_index(self, name: str) -> int:
        """Index of the weight layer of that name."""
        names = [layer.name for layer in self.layers]
        if name not in names:
            raise InputError(f"network {self.name!r} has no weight layer {name!r}{nearest(name, names)}")
        return names.index(name)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every dependence between weight layers, ordered by consumer, then producer."""
        found = []
        for consumer, layer in enumerate(self.layers):
            for producer, index_map in sorted(self.arriving(consumer).items()):
                read = layer.readers(index_map.shape)[0]
                emits = np.zeros(0, np.int32) if producer == INPUT else self.layers[producer].completed(index_map, read)
                frees = _freed(layer, index_map, emits)
                found.append(Edge(producer, consumer, *map(_fixed, (_seen_by(layer, index_map), emits, frees))))
        return tuple(found)

    def arriving(self, layer: int) -> dict[int, IndexMap]:
        """By producer (or `INPUT`): for every value that stands before a layer, the vector that completes it."""
        (source,) = self.graph.predecessors(self.layers[layer].name)
        return self._index_maps[source]

    def predecessors(self, layer: int) -> tuple[int, ...]:
        """Weight layers that this one reads, through digital operations; `INPUT` if it reads the sample too."""
        return tuple(edge.producer for edge in self.edges if edge.consumer == layer)

    def successors(self, layer: int) -> tuple[int, ...]:
        """Weight layers that read this one (or `INPUT`), through digital operations; none for a last layer."""
        return tuple(edge.consumer for edge in self.edges if edge.producer == layer)

    def digital_ops(self, layer: int) -> int:
        """Digital operations per sample that follow a weight layer, up to the next ones (`INPUT`: before the first).

        An operation that merges branches belongs to the latest of the layers it reads.
        """
        return self._digital_ops.get(layer, 0)

    @cached_property
    def _digital_ops(self) -> dict[int, int]:
        totals: dict[int, int] = {}
        for operation in self.operations:
            owner = max(self._index_maps[operation.name])
            totals[owner] = totals.get(owner, 0) + operation.digital_ops
        return totals

    @cached_property
    def _index_maps(self) -> dict[str, dict[int, IndexMap]]:
        """Per operation and producer, in the operation's output shape: the vector that completes each value."""
        maps: dict[str, dict[int, IndexMap]] = {}
        for operation in self.operations:
            arriving = [maps[name] for name in self.graph.predecessors(operation.name)]
            if not arriving:
                maps[operation.name] = {INPUT: np.broadcast_to(np.int32(-1), operation.shape)}
            elif isinstance(operation, WeightLayer):
                index = self.layers.index(operation)
                maps[operation.name] = {index: _numbered(operation)}
            else:
                merged: dict[int, IndexMap] = {}
                for producer, index_map in (pair for branch in arriving for pair in branch.items()):
                    passed = _pass_through(operation, index_map)
                    merged[producer] = np.maximum(merged[producer], passed) if producer in merged else passed
                maps[operation.name] = merged
        return maps


def connect(name: str, input_shape: Sequence[int], steps: Iterable[tuple[Operation, Sequence[str]]]) -> Network:
    """Build a network from operations and the names of those they read; "input" is the sample.

    An output is added after the last step. Raises `InputError` for names used twice or not defined.
    """
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_node("input", operation=Operation("input", "input", tuple(input_shape)))
    last = graph.nodes["input"]["operation"]
    for operation, sources in steps:
        if operation.name in graph:
            raise InputError(f"network {name!r} has two operations named {operation.name!r}, accepted: one of each")
        graph.add_node(operation.name, operation=operation)
        for source in sources:
            if source not in graph:
                hint = nearest(source, graph)
                raise InputError(f"network {name!r}: {operation.name!r} reads {source!r}, which is not there{hint}")
            graph.add_edge(source, operation.name)
        last = operation
    if last.kind != "output":
        graph.add_node("output", operation=Operation("output", "output", last.shape))
        graph.add_edge(last.name, "output")
    return Network(name, tuple(input_shape), graph)


def _fixed(array: IndexMap) -> IndexMap:
    array.setflags(write=False)
    return array


def _shares(length: int, outputs: int) -> list[NDArray[np.intp]]:
    """Input positions under each window of an adaptive pooling, as torch shares them."""
    return [np.arange(i * length // outputs, -(-(i + 1) * length // outputs)) for i in range(outputs)]


def _numbered(layer: WeightLayer) -> IndexMap:
    """The layer's own vectors in its output shape: all rows of a position are complete together."""
    numbers = np.arange(layer.vectors, dtype=np.int32)
    if layer.window is not None:
        return np.broadcast_to(numbers.reshape(1, *layer.shape[1:]), layer.shape)
    return np.broadcast_to(numbers.reshape(*layer.shape[:-1], 1), layer.shape)


def _seen_by(layer: WeightLayer, index_map: IndexMap) -> IndexMap:
    """For each vector of the layer the largest number among the inputs that it reads."""
    if layer.window is None:
        return index_map.max(axis=-1).reshape(-1)
    return _slide(index_map.max(axis=0), layer.window, layer.shape[1:]).reshape(-1)


def _freed(layer: WeightLayer, index_map: IndexMap, emits: IndexMap) -> IndexMap:
    """For each vector of the layer: how many positions that the producer completed it is the last to read."""
    if not len(emits):
        return np.zeros(layer.vectors, np.int32)
    oldest = len(emits) - _seen_by(layer, (len(emits) - index_map).astype(np.int32))
    needed_later = np.minimum.accumulate(oldest[::-1])[::-1]
    needed_later = np.append(needed_later[1:], len(emits)).clip(0, len(emits))
    complete = np.append(0, np.cumsum(emits))[needed_later]
    return np.diff(complete, prepend=0).astype(np.int32)


def _pass_through(operation: Operation, index_map: IndexMap) -> IndexMap:
    """The numbers behind a digital operation: the largest one among the inputs of each output."""
    if operation.kind == "flatten":
        return index_map.reshape(operation.shape)
    if operation.kind == "select":
        return index_map.take(range(*operation.taken), axis=operation.axes[0]).reshape(operation.shape)
    if operation.kind == "softmax":
        return np.broadcast_to(index_map.max(axis=operation.axes, keepdims=True), operation.shape)
    if operation.kind == "pool" and operation.axes:
        return index_map.max(axis=operation.axes).reshape(operation.shape)
    if operation.kind == "pool":
        axes = operation.pooled
        same = index_map.ndim > axes and index_map.strides[0] == 0  # all channels alike: look at one
        slid = _slide(index_map[:1] if same else index_map, operation.window, operation.shape[-axes:])
        return np.broadcast_to(slid, operation.shape)
    return np.broadcast_to(index_map, operation.shape)


def _slide(index_map: IndexMap, window: Window | None, outputs: Sequence[int]) -> IndexMap:
    """Maximum over windows on the last axes, adaptive ones if none is given; -1 where one sees only padding."""
    for axis, count in enumerate(outputs):
        along = axis - len(outputs)
        length = index_map.shape[along]
        places = _shares(length, count) if window is None else window.reach(axis, length, count)
        columns = [index_map.take(place, axis=along).max(axis=along, initial=-1) for place in places]
        index_map = np.stack(columns, axis=along)
    return index_map


def _check(network: Network) -> None:
    """Raise `InputError` unless kinds, connections and shapes fit together."""
    graph, where = network.graph, f"network {network.name!r}"
    try:
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
    except nx.NetworkXNoCycle:
        cycle = []
    if cycle:
        raise InputError(f"{where} has a cycle through {', '.join(cycle)}, accepted: a graph without cycles")
    for name, attributes in graph.nodes(data=True):
        operation: Any = attributes.get("operation")
        if not isinstance(operation, Operation) or operation.name != name:
            raise InputError(f"{where}: node {name!r} does not carry the operation of that name")
        if operation.kind not in KINDS:
            hint = nearest(operation.kind, KINDS)
            raise InputError(f"{where}: {name!r} is of unknown kind {operation.kind!r}{hint}")
        if not operation.shape or min(operation.shape) < 1:
            raise InputError(f"{where}: {name!r} has shape {operation.shape}, accepted: one or more sizes of 1 or more")
        sources = [graph.nodes[source]["operation"] for source in graph.predecessors(name)]
        if operation.kind == "input":
            if sources or operation.shape != network.input_shape:
                raise InputError(f"{where}: {name!r} reads nothing and has the input's shape {network.input_shape}")
        elif len(sources) != 1 and (operation.kind not in _MERGING or not sources):
            raise InputError(f"{where}: {name!r} ({operation.kind}) reads {len(sources)} operations, accepted: 1")
        elif not all(_fits(operation, source.shape) for source in sources):
            shapes = " and ".join(str(source.shape) for source in sources)
            raise InputError(f"{where}: {name!r} ({operation.kind}) of shape {operation.shape} cannot read {shapes}")
    if sum(operation.kind == "input" for operation in network.operations) != 1:
        raise InputError(f"{where} has no input or more than one, accepted: one")
    if not network.layers:
        raise InputError(f"{where} has no weight layer to put on an array, accepted: at least one")


def _fits(operation: Operation, source: tuple[int, ...]) -> bool:
    """Whether the operation can read this shape."""
    if isinstance(operation, WeightLayer) and operation.kind == "linear":
        return operation.shape == (*source[:-1], operation.rows) and source[-1] == operation.columns
    if isinstance(operation, WeightLayer) and operation.is_recurrent:
        return source == (operation.vectors, operation.rows) and operation.columns == operation.outputs
    if isinstance(operation, WeightLayer):
        if operation.window is None or not len(source) == len(operation.shape) == len(operation.window.kernel) + 1:
            return False
        inputs = source[0] * math.prod(operation.window.kernel)
        whole = operation.rows % operation.groups == source[0] % operation.groups == 0
        return whole and operation.shape[0] == operation.rows and inputs == operation.columns * operation.groups
    if operation.kind in ("linear", "recurrent", *_CONVOLUTIONS):
        return False
    if operation.kind == "flatten":
        return math.prod(operation.shape) == math.prod(source)
    if operation.kind == "select":
        axis = operation.axes[0]
        left = math.prod(source) // source[axis] * len(range(*operation.taken))
        return max(operation.taken[:2]) <= source[axis] and math.prod(operation.shape) == left
    if operation.kind == "pool" and operation.axes:
        kept = [size for axis, size in enumerate(source) if axis not in operation.axes]
        return math.prod(kept) == math.prod(operation.shape)
    if operation.kind == "pool":
        axes = operation.pooled
        return len(source) >= axes and operation.shape[:-axes] == source[:-axes]
    if operation.kind in _MERGING:
        sizes = zip(reversed(source), reversed(operation.shape), strict=False)
        return len(source) <= len(operation.shape) and all(size in (1, full) for size, full in sizes)
    return operation.shape == source
