"""The network as the chip sees it: weight layers, the digital operations between them, and what waits for what.

A `Network` is a graph of operations on ONE sample (no batch dimension anywhere). Linear, convolution and recurrent
operations are *weight layers*: they become cross-point arrays, and each of their output positions is one vector sent
through the array. Everything else (activations, pooling, sums...) is done by digital units, see `Network.functions`.

The mapper reads `Network.layers`; scheduler and engine also read `Network.edges`, which say for every vector of a
layer the last vector of what it reads that it has to wait for. That is found exactly, by sending through the digital
operations, in place of the values, the number of the vector that completes each value: elementwise operations keep
the numbers, windows take the largest number they see (padding waits for nothing). A sum of branches is a *stage* of
its own, which waits for each of them and counts on in the numbers of the latest (`sums`). Positions are in raster
order: the rightmost axis runs fastest.

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
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from rpusim.arch.network.computed import operations_of
from rpusim.arch.network.index_maps import IndexMap, counted, folded, largest
from rpusim.arch.network.operations import GENERAL, KINDS, MERGING, Operation, WeightLayer, fits
from rpusim.arch.network.passing import numbered, passed, readings, seen_by
from rpusim.arch.network.sums import Signal, Sum, freed
from rpusim.errors import InputError, nearest

_AS_THEY_COME = ("of a sum", "of a maximum", "to the maximum", "of a variance", "comparison")
"""Functions that take values as they come, when an operation reads many."""
INPUT = -1
"""The producer of an `Edge` that starts at the network's input."""


@dataclass(frozen=True, eq=False)
class Edge:
    """What one stage waits for from another, through the digital operations between them.

    A stage is a weight layer, by its index, or a sum of branches, by the numbers that follow those of the layers. The
    vectors of a sum are those of the layer at whose homes it is made. A *position* is one value for each output of a
    layer.

    producer:  number of the stage that gives, or `INPUT` (-1): the sample itself, which is there from the start.
    consumer:  number of the stage that waits.
    needs:     int32, one per vector of the consumer: the last vector of the producer it waits for; -1 = none (always
               so for `INPUT`; also where a window sees nothing but padding).
    emits:     int32, one per vector of the producer: how many positions become complete with this vector. After pooling
               most vectors complete none. The sum is the number of positions that the consumer reads; those between its
               windows do not count. Empty for `INPUT`.
    frees:     int32, one per vector of the consumer: how many of these positions no vector after it reads; the sum is
               that of ``emits``. 0 for `INPUT`.

    A recurrent layer waits for what it is given at its homes, after its multiplication, not before. That it waits for
    its own vector of the step before goes without an edge.

    A layer reads one stage; a sum reads two or more.
    """

    producer: int
    consumer: int
    needs: IndexMap
    emits: IndexMap
    frees: IndexMap


@dataclass(frozen=True, eq=False)
class Network:
    """A network of which kinds, connections and shapes have been checked to fit together.

    Raises `InputError` if the graph is not one that a chip could run.

    name:         by which results refer to it.
    input_shape:  of one sample; where there are several inputs, (values of all of them,).
    graph:        directed, from input to output; each node is an operation's name and carries it as "operation".
                  It is frozen; insertion order breaks ties in the execution order.
    """

    name: str
    input_shape: tuple[int, ...]
    graph: nx.DiGraph[str]

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
    def inputs(self) -> tuple[Operation, ...]:
        """The inputs, in execution order; each is an operation that reads nothing."""
        return tuple(operation for operation in self.operations if operation.kind == "input")

    @property
    def products(self) -> int:
        """Multiply-accumulates of activations with activations, per sample and forward pass; no array does them."""
        return sum(number for made in self._functions.values() for name, number in made.items() if name == "product")

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What had to be assumed to price operations, each sentence once, in execution order."""
        return tuple(dict.fromkeys(operation.assumed for operation in self.operations if operation.assumed))

    def outside(self, stage: int) -> int:
        """Count the values of a sample that come from outside the chip for a stage: inputs, and rows of tables.

        stage: that reads the sample, through digital operations; an input that only finds rows of a table counts, too.
        """
        made = self.sums[stage - len(self.layers)].name if stage >= len(self.layers) else self.layers[stage].name
        ahead, found = [made], set[str]()
        while ahead:
            for source in self.graph.predecessors(ahead.pop()):
                if source not in found and self._traced[0][source].stage == INPUT:
                    found.add(source)
                    ahead.append(source)
        read = (self.graph.nodes[name]["operation"] for name in found)
        return sum(math.prod(each.shape) for each in read if each.kind in ("input", "table"))

    @property
    def weights(self) -> int:
        """Cross-points needed, biases included; a weight that several layers use counts once."""
        return sum(layer.weights for index, layer in enumerate(self.layers) if self.uses(index)[0] == index)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample and pass, biases included."""
        return sum(layer.macs for layer in self.layers)

    def uses(self, layer: int) -> tuple[int, ...]:
        """List the layers that use the same weight as one, itself among them, in execution order.

        layer: index of the layer.
        """
        return self._uses[self.layers[layer].parameter]

    @property
    def by_use(self) -> dict[tuple[str, int], int]:
        """Find layers by the weight that they use, and the number of that use of it, from 0 on, in execution order."""
        of = ((layer.parameter, self.uses(index).index(index)) for index, layer in enumerate(self.layers))
        return {use: index for index, use in enumerate(of)}

    @cached_property
    def _uses(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for index, layer in enumerate(self.layers):
            found[layer.parameter] = (*found.get(layer.parameter, ()), index)
        return found

    def layer_index(self, name: str) -> int:
        """Find the index of the weight layer of that name; `InputError` if there is none."""
        names = [layer.name for layer in self.layers]
        if name not in names:
            raise InputError(f"network {self.name!r} has no weight layer {name!r}{nearest(name, names)}")
        return names.index(name)

    @property
    def sums(self) -> tuple[Sum, ...]:
        """The sums of branches, in execution order; as stages they are numbered on after the layers."""
        return self._traced[1]

    def home(self, stage: int) -> int:
        """Find the layer at whose homes a stage is made: a layer's own, a sum's latest; `INPUT` for `INPUT`."""
        return self.sums[stage - len(self.layers)].home if stage >= len(self.layers) else stage

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every dependence between stages, ordered by consumer, then producer."""
        found = []
        for consumer, layer in enumerate(self.layers):
            producer, index_map = self.arriving(consumer)
            read = layer.readers(index_map.shape)[0]
            emits = self._emits(producer, index_map, read)
            # numbered backwards, the smallest number among a window's inputs is found by the search for the largest
            backwards = np.broadcast_to((len(emits) - folded(index_map)[0]).astype(np.int32), index_map.shape)
            oldest = len(emits) - seen_by(layer, backwards)
            frees = freed(oldest, emits)
            found.append(Edge(producer, consumer, *map(_fixed, (seen_by(layer, index_map), emits, frees))))
        for each in self.sums:
            vectors = self.layers[each.home].vectors
            for producer in each.sources:
                index_map, taken = each.taken(producer)
                emits = self._emits(producer, index_map, taken[0])
                columns = each.needs(producer, vectors), emits, each.frees(producer, vectors, emits)
                found.append(Edge(producer, each.number, *map(_fixed, columns)))
        return tuple(found)

    def _emits(self, producer: int, index_map: IndexMap, read: NDArray[np.bool_]) -> IndexMap:
        """Count the positions that the vectors of a stage complete, of those values that are read."""
        if producer == INPUT:
            return np.zeros(0, np.int32)
        return self.layers[self.home(producer)].completed(index_map, read)

    def arriving(self, layer: int) -> Signal:
        """Find what stands before a layer: the stage that makes it and, for every value, the vector that completes it.

        layer: index of the layer.
        """
        (source,) = self.graph.predecessors(self.layers[layer].name)
        return self._traced[0][source]

    def read_beside(self, number: int, turns: int = 1) -> int | None:
        """Find the stage of which a sum takes the very values that the layer at its homes reads, position by position.

        number: of the sum. turns: of the layer's vectors, which each read and take them. Returns None if there is none,
        or if an earlier sum at the same homes takes them, too.
        """
        made = self.sums[number - len(self.layers)]
        layer, (source,) = self.layers[made.home], self.graph.predecessors(self.layers[made.home].name)
        earlier = [one for one in self.sums if one.home == made.home and one.number < number]
        if layer.is_recurrent or source not in made.given_by or any(source in one.given_by for one in earlier):
            return None
        stage, completes = made.parts[made.given_by.index(source)]
        if sum(part.stage == stage for part in made.parts) > 1:
            return None
        taken, read = made.taken(stage, turns)[1], layer.readers(completes.shape, turns)
        if np.any(taken & ~read):
            return None
        emitted = [self._emits(stage, completes, np.logical_or.reduce(each)) for each in (taken, read)]
        return stage if np.array_equal(emitted[0], emitted[1]) else None

    def given_by(self, producer: int, reader: int) -> str | None:
        """Name the operation behind a stage whose values a later stage reads; None: a sum reads those of several.

        producer, reader: numbers of the stages.
        """
        if reader < len(self.layers):
            (source,) = self.graph.predecessors(self.layers[reader].name)
            return source
        made = self.sums[reader - len(self.layers)]
        names = [name for name, part in zip(made.given_by, made.parts, strict=True) if part.stage == producer]
        return names[0] if len(names) == 1 else None

    def predecessors(self, stage: int) -> tuple[int, ...]:
        """List the stages that one reads, through digital operations; `INPUT` if it reads the sample, too."""
        return tuple(edge.producer for edge in self.edges if edge.consumer == stage)

    def layers_before(self, stage: int) -> tuple[int, ...]:
        """List the layers whose results a stage reads, also those that it reads in sums of branches, in order."""
        found = set[int]()
        for source in self.predecessors(stage):
            if source >= len(self.layers):
                found |= set(self.layers_before(source))
            elif source != INPUT:
                found.add(source)
        return tuple(sorted(found))

    def successors(self, stage: int) -> tuple[int, ...]:
        """List the stages that read one (or `INPUT`), through digital operations; none for a last one."""
        return tuple(edge.consumer for edge in self.edges if edge.producer == stage)

    def digital_ops(self, layer: int) -> int:
        """Count the digital operations of all classes per sample of inference at a layer's homes, see `functions`.

        They follow the layer, up to the next ones; those of a sum are done at the homes of its latest layer. `INPUT`:
        before the first layer.
        """
        at_home = (made.items() for stage, made in self._functions.items() if self.home(stage) == layer)
        return operations_of(chain.from_iterable(at_home))

    def functions(self, stage: int) -> Mapping[str, int]:
        """Count what digital units compute per sample behind a stage, up to the next sums and layers.

        stage: number of a layer, of a sum (which is computed with it), or `INPUT`: before the first layer.

        An operation that merges branches belongs to the latest of the layers it reads.
        Returns elements by the name of the function (`rpusim.arch.parts.digital_operations.FUNCTIONS`).
        """
        return self._functions.get(stage, {})

    def goes_back(self, layer: int) -> bool:
        """Tell whether errors go back through a layer in training: layers or parameters before it learn.

        layer: index of the layer.
        """
        learns = any(name in self.functions(INPUT) for name in ("table", "parameter that learns"))
        return learns or any(self._learns(producer) for producer in self.predecessors(layer) if producer != INPUT)

    @cached_property
    def _all_learn(self) -> bool:
        return not any(layer.frozen for layer in self.layers)

    def _learns(self, stage: int) -> bool:
        """Tell whether a stage, or one before it, has something that learns."""
        if self._all_learn:
            return True
        seen, open_ = {stage}, [stage]
        while open_:
            now = open_.pop()
            of_layer = now < len(self.layers) and not self.layers[now].frozen
            if of_layer or "parameter that learns" in self.functions(now):
                return True
            following = [before for before in self.predecessors(now) if before != INPUT and before not in seen]
            seen.update(following)
            open_ += following
        return False

    def late(self, stage: int) -> tuple[tuple[Mapping[str, int], tuple[int, ...]], ...]:
        """List what of `functions` has to wait for many vectors: behind an operation that reads all along some axes.

        stage: as there. Returns functions, and for each vector of the layer at whose homes they are done, how many
        values it completes for them. What is summed or compared as values come does not wait.
        """
        return self._late.get(stage, ())

    @cached_property
    def _late(self) -> dict[int, tuple[tuple[Mapping[str, int], tuple[int, ...]], ...]]:
        waiting: set[str] = set()
        found: dict[int, dict[tuple[int, ...], Counter[str]]] = {}
        for operation in self.operations:
            stage, completes = self._traced[0][operation.name]
            before = self.graph.predecessors(operation.name)
            behind = any(name in waiting and self._traced[0][name].stage == stage for name in before)
            if stage == INPUT or isinstance(operation, WeightLayer) or not (any(operation.waits) or behind):
                continue
            waiting.add(operation.name)
            its = Counter({name: n for name, n in operation.functions if name not in _AS_THEY_COME})
            if its:
                vectors = self.layers[self.home(stage)].vectors
                from_start = np.broadcast_to(np.maximum(folded(completes)[0], 0), completes.shape)
                when = counted(from_start, np.ones(1, np.bool_), vectors)
                found.setdefault(stage, {}).setdefault(tuple(when.tolist()), Counter()).update(its)
        return {stage: tuple((its, when) for when, its in each.items()) for stage, each in found.items()}

    @cached_property
    def _functions(self) -> dict[int, Counter[str]]:
        totals: dict[int, Counter[str]] = {}
        for operation in self.operations:
            owner = totals.setdefault(self._traced[0][operation.name].stage, Counter())
            owner.update(dict(operation.functions))  # an operation names each function once
        return totals

    @cached_property
    def _traced(self) -> tuple[dict[str, Signal], tuple[Sum, ...]]:
        """What every operation gives, in its output shape, and the sums that are met on the way."""
        signals: dict[str, Signal] = {}
        sums: list[Sum] = []
        homes = [*range(len(self.layers)), INPUT]  # of layers, then of sums; -1 looks up the last entry
        for operation in self.operations:
            given = {name: signals[name] for name in self.graph.predecessors(operation.name)}
            arriving = list(given.values())
            if not arriving:
                signals[operation.name] = Signal(INPUT, np.broadcast_to(np.int32(-1), operation.shape))
            elif isinstance(operation, WeightLayer):
                signals[operation.name] = Signal(self.layers.index(operation), numbered(operation))
            elif len({signal.stage for signal in arriving}) == 1:
                arrived = passed(operation, arriving)
                signals[operation.name] = Signal(arriving[0].stage, largest(arrived, operation.shape))
            else:
                of_parts = [homes[signal.stage] for signal in arriving]
                home = max(of_parts)
                own = [other == home for other in of_parts]
                reads = readings(operation, arriving)
                made = Sum.of(operation.name, len(homes) - 1, home, given, reads, own, operation.shape)
                sums.append(made)
                homes.insert(-1, home)
                signals[operation.name] = Signal(made.number, made.completes)
        return signals, tuple(sums)


def connect(name: str, input_shape: Sequence[int], steps: Iterable[tuple[Operation, Sequence[str]]]) -> Network:
    """Build a network from operations and the names of those that each one reads.

    name: by which results refer to it.
    input_shape: of one sample.
    steps: each operation with the names of those that it reads, which come before it; "input" is the sample, unless
        the first steps are inputs themselves.
    Returns the network; an output is added after the last step. Raises `InputError` for names that are used twice or
    not defined, and if operations do not fit together.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    steps = list(steps)
    last = Operation("input", "input", tuple(input_shape))
    if not any(operation.kind == "input" for operation, _ in steps):
        graph.add_node("input", operation=last)
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
        graph.add_node("output", operation=Operation.digital("output", "output", last.shape))
        graph.add_edge(last.name, "output")
    return Network(name, tuple(input_shape), graph)


def _fixed(array: IndexMap) -> IndexMap:
    """Forbid that an array is written to: networks are shared."""
    array.setflags(write=False)
    return array


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
            raise InputError(
                f"{where}: {name!r} is of unknown kind {operation.kind!r}; accepted are {', '.join(KINDS)}"
            )
        if not operation.shape or min(operation.shape) < 1:
            raise InputError(f"{where}: {name!r} has shape {operation.shape}, accepted: one or more sizes of 1 or more")
        if isinstance(operation, WeightLayer) and min(operation.rows, operation.columns) < 1:
            raise InputError(
                f"{where}: {name!r} has a matrix of {operation.rows} x {operation.columns}, accepted: at least 1 x 1"
            )
        sources = [graph.nodes[source]["operation"] for source in graph.predecessors(name)]
        if operation.kind == "input":
            alone = sum(each["operation"].kind == "input" for _, each in graph.nodes(data=True)) == 1
            if sources or (alone and operation.shape != network.input_shape):
                raise InputError(f"{where}: {name!r} reads nothing and has the input's shape {network.input_shape}")
        elif len(sources) != 1 and (operation.kind not in (*MERGING, *GENERAL) or not sources):
            raise InputError(f"{where}: {name!r} ({operation.kind}) reads {len(sources)} operations, accepted: 1")
        elif not all(fits(operation, source.shape) for source in sources):
            shapes = " and ".join(str(source.shape) for source in sources)
            raise InputError(f"{where}: {name!r} ({operation.kind}) of shape {operation.shape} cannot read {shapes}")
    if not network.inputs:
        raise InputError(f"{where} has no input, accepted: one or more")
    if not network.layers:
        raise InputError(f"{where} has no weight layer to put on an array, accepted: at least one")
