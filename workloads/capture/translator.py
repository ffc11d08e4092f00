"""From a traced graph to a network: every traced operation becomes one of the network's, or an error in a sentence."""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from rpusim.arch.network.moves import Moves
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.errors import InputError
from rpusim.workloads.capture import moving
from rpusim.workloads.capture.cached import CACHED, behind_a_cache
from rpusim.workloads.capture.calls import Call
from rpusim.workloads.capture.kept import kept_digital_costs, kept_weights, tied_rows
from rpusim.workloads.capture.layout import BATCH, Layout
from rpusim.workloads.capture.moving import Constants, MixedError
from rpusim.workloads.capture.reader import Reader
from rpusim.workloads.capture.rules import rule
from rpusim.workloads.capture.traced import (
    ACCEPTED,
    ACCEPTED_MODULES,
    CONSTANT,
    RANDOM,
    WHOLE,
    arguments,
    as_sizes,
    has_samples,
    is_weight_layer,
    needed_for,
    operation_name,
    shape_of,
    take_directly,
    values_of,
)
from rpusim.workloads.capture.weights import moved, weighted


class Translator(Reader):
    """Walks the traced graph once, in order, and collects the operations of the network.

    name:     of the network.
    twin:     the copy that was traced, for the names of its parts.
    program:  what tracing a batch of `BATCH` samples gave.
    training: whether it was traced as in training. Then it may return several tensors, and losses, which are not timed.
    unread:   parameters of weight layers that evaluation runs as well without reading what they give: not on the chip.
    known:    values of the module's tensors by name, as far as they have some.
    kept:     parameters that stay digital, as the user wants it.
    axes:     of the inputs, along which samples stand; (): the first ones.
    tied:     whether tables that are the weight of a layer are rows of its arrays; else digital copies of it.
    """

    def __init__(
        self,
        name: str,
        twin: nn.Module,
        program: torch.export.ExportedProgram,
        training: bool = False,
        unread: AbstractSet[str] = frozenset(),
        known: Mapping[str, torch.Tensor] | None = None,
        kept: AbstractSet[str] = frozenset(),
        tied: bool = False,
        axes: Sequence[int] = (),
    ) -> None:
        super().__init__(twin, program, unread)
        self.kept, self.tied, self.axes, self.anywhere = kept, tied, axes, any(axes)
        self.on_arrays: set[str] = set()  # parameters of layers, under their first names
        self.name, self.training = name, training
        self.steps: list[tuple[Operation, tuple[str, ...]]] = []
        self.made_by: dict[fx.Node, Operation] = {}  # traced nodes that depend on the sample
        self.layouts: dict[fx.Node, Layout] = {}  # of the same
        self.parts: dict[fx.Node, list[tuple[Operation, Layout] | None]] = {}  # of nodes that give several tensors
        self.known_moves: dict[str, list[moving.Moved | None]] = {}  # by what moves, see `moving.key`
        self.same_moves: dict[tuple[tuple[int, ...], bytes], Moves] = {}
        self.cached: dict[tuple[int, ...], Moves] = {}  # moves behind a cache, by their shapes
        self.of_cache: dict[str, tuple[tuple[str, int], ...]] = {}  # numbers read and written, by who gives them
        self.random: set[fx.Node] = set()  # nodes whose random numbers are counted
        self.exchanged: set[str] = set()  # layers that read a parameter by its rows, as ``x @ w`` does
        signature = program.graph_signature
        values, lifted = dict(known or {}), signature.inputs_to_lifted_tensor_constants
        by_node = {node: values[full] for node, full in self.held.items() if full in values}
        by_node |= {node: program.constants[full] for node, full in lifted.items() if full in program.constants}
        self.constants = Constants(by_node)

    def network(self) -> Network:
        """Translate the whole graph. Raises InputError for what a network cannot hold."""
        nodes = list(self.program.graph.nodes)
        for node in nodes:
            take_directly(node)
        returned = nodes[-1].all_input_nodes
        signals = self.signals(nodes)
        if not any(node in signals for node in returned):
            raise InputError(f"the output of {type(self.twin).__name__}.forward does not depend on its input")
        # In training a layer whose result is kept aside, for a loss of the user's, learns as well.
        ends = set(returned) | (self.kept_aside(nodes, signals) if self.training else set())
        live = needed_for(nodes, ends)
        loss = self.losses(nodes, ends, live & signals) if self.training else set()
        timed = live - loss
        products = [node for node in nodes if node in timed and is_weight_layer(node)]
        self.on_arrays = {self.parameter(node) for node in products} - {""} - self.kept
        given = [node for node in nodes if node.op == "placeholder" and node in signals]
        for node in given:
            name = "input" if len(given) == 1 else self.unique(f"input {node.name}")
            number = self.program.graph_signature.user_inputs.index(node.name)
            detail = "" if node.meta["val"].is_floating_point() else WHOLE
            layout = self.layouts[node] = Layout(self.axes[number] if self.axes else 0)
            self.made_by[node] = Operation(name, "input", layout.sample_shape(shape_of(node)), detail)
            if (len(given) > 1 and node in live) or detail:
                self.steps.append((self.made_by[node], ()))
        for node in nodes[:-1]:
            if node in timed and node.op != "placeholder":
                try:
                    self.translate(node)
                except MixedError:
                    raise InputError(self.mixes_samples(node)) from None
        read = (node for node in nodes[:-1] if node in ends or not loss.isdisjoint(node.users))
        for last in dict.fromkeys(self.made_by[node].name for node in read if node in self.made_by):
            shape = next(made.shape for made in self.made_by.values() if made.name == last)
            self.steps.append((Operation.digital(self.output_name(), "output", shape), (last,)))
        for place, (operation, sources) in enumerate(self.steps):  # what reads a cache has no rule that counts that
            if functions := self.of_cache.get(operation.name):
                self.steps[place] = replace(operation, functions=functions), sources
        straight = {
            layer.parameter
            for layer, _ in self.steps
            if isinstance(layer, WeightLayer) and layer.name not in self.exchanged
        }
        for place, (layer, sources) in enumerate(self.steps):  # a tie: one of both reads the arrays the other way
            if isinstance(layer, WeightLayer) and layer.name in self.exchanged and layer.parameter in straight:
                self.steps[place] = replace(layer, turned=True), sources
        whole = (sum(math.prod(self.made_by[node].shape) for node in given),)
        shape = self.made_by[given[0]].shape if len(given) == 1 else whole
        return connect(self.name, shape, self.steps)

    def output_name(self) -> str:
        """Name an output of the network: the first one "output"."""
        first = all(operation.kind != "output" for operation, _ in self.steps)
        return "output" if first else self.unique("output")

    def translate(self, node: fx.Node) -> None:
        """Add the operation of one traced node, unless it computes a constant. Raises `MixedError` if samples mix."""
        sources = [source for source in node.all_input_nodes if source in self.made_by or source in self.parts]
        name = operation_name(node)
        if not sources and self.multiplies_constants(node):
            return
        if not sources or name in CONSTANT:
            return
        if node.target is operator.getitem:
            part = self.parts[sources[0]][node.args[1]]  # type: ignore[index]
            if part is not None:
                self.made_by[node], self.layouts[node] = part
            return
        if not isinstance(node.target, torch._ops.OpOverload):
            raise InputError(self.refusal(node))
        if name == CACHED:
            before, layout = self.made_by[sources[0]], self.layouts[sources[0]]
            if not layout.first:
                raise MixedError
            shape = layout.sample_shape(shape_of(node))
            made, functions = behind_a_cache(self.unique(self.digital_name(node)), before, shape, self.cached)
            self.add(node, made, [before], layout)
            self.of_cache[made.name] = functions
            return
        if name in moving.MOVES and self.move(node, sources):
            return
        kind, detail = ACCEPTED.get(name, ("", ""))
        stays = kept_weights(self, node)
        if not stays and (weighted(self, node, name, arguments(node)) or (self.tied and tied_rows(self, node, name))):
            return
        if stays or not (kind and self.known(node, sources, kind, detail)):
            self.by_rule(node, sources)

    def multiplies_constants(self, node: fx.Node) -> bool:
        """Add a weight layer of which the vectors are constants, such as a first state of zeros, if a node is one.

        Its arrays multiply them like any others, as the weights change; there is nothing to wait for.
        """
        if not is_weight_layer(node) or self.parameter(node) not in self.parameters - self.kept:
            return False
        given = arguments(node)["input"]
        if len(shape_of(given)) < 2 or shape_of(given)[0] != BATCH:
            return False
        nowhere = np.full(Layout().sample_shape(shape_of(given)), -1)
        first = next(node for node in self.layouts if node.op == "placeholder")
        self.made_by[given] = moved(self, given, self.made_by[first], nowhere)
        self.layouts[given] = Layout()
        done = weighted(self, node, operation_name(node), arguments(node))
        del self.made_by[given], self.layouts[given]  # elsewhere it is a constant
        return done

    def add(self, node: fx.Node, operation: Operation, sources: Sequence[Operation], layout: Layout) -> None:
        """Add an operation that makes what a node gives; ``sources``: those that it reads, each once."""
        self.steps.append((operation, tuple(dict.fromkeys(source.name for source in sources))))
        self.made_by[node], self.layouts[node] = operation, layout
        if isinstance(node.meta.get("val"), tuple | list):  # the same numbers, or as many others beside them
            self.parts[node] = [(operation, layout)] * len(node.meta["val"])

    def move(self, node: fx.Node, sources: Sequence[fx.Node]) -> bool:
        """Add what only moves values; False if data say where they go."""
        name, operations = operation_name(node), list(dict.fromkeys(self.made_by[source] for source in sources))
        if name in moving.BY_NUMBERS and sources != [node.all_input_nodes[0]]:
            return False
        starts = [0, *accumulate(math.prod(operation.shape) for operation in operations)]
        signals = {}
        for source in sources:
            number = operations.index(self.made_by[source])
            size = starts[number + 1] - starts[number]
            signals[source] = moving.Signal(number, size, starts[number], self.layouts[source])
        known = moving.key(node, signals)
        try:
            found = (
                self.known_moves[known] if known in self.known_moves else moving.moved(node, signals, self.constants)
            )
        except LookupError:
            return False
        if known not in self.known_moves:
            found = [None if each is None else self.alike(each) for each in found]
        if known:
            self.known_moves[known] = found
        several = isinstance(node.meta["val"], tuple | list)
        made: list[tuple[Operation, Layout] | None] = []
        for each in found:
            made.append(None if each is None else (self.moved(node, operations, each, several), each.layout))
        if several:
            self.parts[node] = made
        elif made[0] is not None:
            self.made_by[node], self.layouts[node] = made[0]
        return True

    def alike(self, found: moving.Moved) -> moving.Moved:
        """Return the same with the places of an earlier move, if these are the same: they are kept once."""
        places = found.moves.places
        digest = hashlib.blake2b(np.ascontiguousarray(places).data).digest()
        return moving.Moved(self.same_moves.setdefault((places.shape, digest), found.moves), found.layout)

    def moved(self, node: fx.Node, operations: Sequence[Operation], found: moving.Moved, several: bool) -> Operation:
        """Return the operation behind a move: a new one, or the one before where every value stays in its place."""
        shape, source = found.moves.places.shape, operations[0]
        stays = len(operations) == 1 and math.prod(shape) == math.prod(source.shape) and found.moves.stays
        if stays and shape == source.shape:
            return source
        name = self.unique(node.name if several else self.digital_name(node))
        kind, detail = ACCEPTED.get(operation_name(node), ("", ""))
        if stays:
            operation = Operation.digital(name, "flatten", source.shape, shape, operation_name(node))
        elif kind == "select" and self.layouts[node.all_input_nodes[0]].first and found.layout.first:
            axes, taken = self.selection(node, arguments(node))
            operation = Operation.digital(name, "select", source.shape, shape, detail, axes=axes, taken=taken)
        else:
            operation = Operation(name, "moves", shape, operation_name(node), moves=found.moves)
        self.steps.append((operation, tuple(dict.fromkeys(each.name for each in operations))))
        return operation

    def known(self, node: fx.Node, sources: Sequence[fx.Node], kind: str, detail: str) -> bool:
        """Add an operation that a network has a kind of its own for; False if samples do not stand as that needs."""
        call, given = self.call(node, sources), arguments(node)
        operand = sources[0]
        layout, before = self.layouts[operand], self.made_by[operand]
        if kind in ("add", "multiply", "activation"):
            layout = call.broadcast()
        axes: tuple[int, ...] = ()
        window = None
        if kind == "batch_norm" and not layout.first:
            return False
        if kind == "softmax" or operation_name(node) == "mean":
            dimensions, dim = len(shape_of(operand)), given.get("dim")
            listed = [dim] if isinstance(dim, int) else list(dim or range(dimensions))
            axes = call.axes(operand, listed)
            if kind == "pool" and not given.get("keepdim"):
                behind = [axis % dimensions for axis in listed]
                layout = Layout(layout.axis - sum(axis < layout.axis for axis in behind), layout.order)
        elif kind == "pool":
            found = self.pooling(node, given, layout, before)
            if found is None:
                return False
            window, axes = found
        shape = layout.sample_shape(shape_of(node))
        detail, parameters = self.with_constants(node, kind, detail)
        name = self.unique(self.digital_name(node))
        inputs = len(dict.fromkeys(self.made_by[source] for source in sources))
        numbers = _numbers(given) if kind in ("activation", "add", "multiply", "pool") else ()
        if kind == "dropout" and (given.get("train", True) or not self.training):
            numbers = _numbers({"p": given.get("p", 0.5)})  # of one that does nothing in training: none
        operation = Operation.digital(
            name, kind, before.shape, shape, detail, window, axes, inputs, parameters=parameters, numbers=numbers
        )
        operation = replace(operation, functions=(*operation.functions, *self.drawn(node)))
        self.add(node, operation, [self.made_by[source] for source in sources], layout)
        return True

    def pooling(
        self, node: fx.Node, given: dict[str, Any], layout: Layout, before: Operation
    ) -> tuple[Window | None, tuple[int, ...]] | None:
        """Return window and axes of a pooling; None if it is none of the kind of a network."""
        over, shape = int(operation_name(node).removesuffix("_with_indices")[-2]), shape_of(node)
        if layout.axis >= len(shape) - over:
            raise MixedError
        if "kernel_size" in given:
            kernel = as_sizes(given["kernel_size"], over)
            stride = as_sizes(given["stride"], over) if given["stride"] else kernel
            return Window(
                kernel, stride, as_sizes(given["padding"], over), as_sizes(given.get("dilation", 1), over)
            ), ()
        if over == 2:
            return None, ()
        sizes, outputs = before.shape[-over:], shape[-over:]
        if any(size % number for size, number in zip(sizes, outputs, strict=True)):
            return None
        kernel = tuple(size // number for size, number in zip(sizes, outputs, strict=True))
        return Window(kernel, kernel, (0,) * over, (1,) * over), ()

    def call(self, node: fx.Node, sources: Sequence[fx.Node]) -> Call:
        """Describe a traced call for the rules."""
        learns = {
            operand: math.prod(operand.meta["val"].shape)
            for operand in node.all_input_nodes
            if self.held.get(operand.name) in self.trained
        }
        layouts = {source: self.layouts[source] for source in sources}
        return Call(node, operation_name(node), arguments(node), layouts, learns)

    def by_rule(self, node: fx.Node, sources: Sequence[fx.Node]) -> None:
        """Add what a digital unit computes, as a rule says."""
        if not any(isinstance(value, torch.Tensor) for value in values_of(node)):
            return
        found = rule(self.call(node, sources))
        operations = [self.made_by[source] for source in sources]
        waits: dict[Operation, tuple[int, ...]] = {}
        for source, operation in zip(sources, operations, strict=True):
            waits[operation] = tuple(sorted({*waits.get(operation, ()), *found.waits.get(source, ())}))
        counted: dict[str, int] = {}
        digital, said = kept_digital_costs(self, node)
        found = found._replace(assumed=found.assumed or said)
        of_cache = [pair for operation in dict.fromkeys(operations) for pair in self.of_cache.pop(operation.name, ())]
        for function, number in (*found.functions, *digital, *self.drawn(node), *of_cache):
            counted[function] = counted.get(function, 0) + number
        name = operation_name(node)
        self.add(
            node,
            Operation(
                self.unique(self.digital_name(node)),
                "table" if name in ("embedding", "embedding_bag") else "digital",
                found.layout.sample_shape(shape_of(node)),
                name,
                functions=tuple((function, number) for function, number in counted.items() if number > 0),
                waits=tuple(waits.values()),
                assumed=found.assumed,
            ),
            operations,
            found.layout,
        )

    def turned(self, node: fx.Node) -> str | None:
        """Return the name of the matrix, a parameter or buffer, that a node is the transpose of; None if of none."""
        while node.op == "call_function" and "detach" in str(node.target):
            node = node.args[0]  # type: ignore[assignment]  # the tensor that is detached
        if node.op != "call_function" or not node.args or getattr(node.args[0], "name", None) not in self.held:
            return None
        inner, given = node.args[0], node.args[1:]
        assert isinstance(inner, fx.Node)
        way = tuple(given[0]) if len(given) == 1 and isinstance(given[0], list | tuple) else given
        plain = ("aten.t.", "aten.numpy_T.", "aten.mT.")
        exchanged = str(node.target).startswith(plain) or (
            str(node.target).startswith(("aten.transpose.", "aten.permute."))
            and [axis % 2 for axis in way if isinstance(axis, int)] in ([0, 1], [1, 0])
            and (str(node.target).startswith("aten.transpose.") or way[0] % 2 == 1)  # type: ignore[operator]
        )
        return self.first_name[self.held[inner.name]] if exchanged and inner.meta["val"].dim() == 2 else None

    def weight_layer(
        self, node: fx.Node, kind: str, source: Operation, shape: tuple[int, ...], given: dict[str, Any]
    ) -> WeightLayer:
        """Make the weight layer of a node.

        source: the operation that it reads. shape: of what comes out for a sample. given: the arguments of the call.
        """
        weight = given["weight"]
        if weight.name not in self.held:
            subject = self.subject(node)
            if subject.startswith("module") and self.place(node)[1] not in ACCEPTED_MODULES:
                raise InputError(self.refusal(node))
            if kind == "linear" and given["input"] in self.made_by and (turned := self.turned(weight)) is not None:
                name = self.unique(turned.removesuffix("weight").rstrip(".") or node.name)
                layer = WeightLayer.linear(name, source.shape, shape[-1], given["bias"] is not None, turned)
                return replace(layer, turned=True)
            raise InputError(f"{subject} uses a weight that is computed in forward, accepted: a parameter or buffer")
        parameter = self.first_name[self.held[weight.name]]
        path, _ = self.place(node)
        held_here = f"{path}.weight" in self.all_names[parameter]
        name = path if held_here else parameter.removesuffix("weight").rstrip(".")
        return self.layer_of(node, kind, source, shape, given, self.unique(name or node.name), parameter)

    def layer_of(
        self,
        node: fx.Node,
        kind: str,
        source: Operation,
        shape: tuple[int, ...],
        given: dict[str, Any],
        name: str,
        parameter: str,
    ) -> WeightLayer:
        """Make a weight layer of a name, with the parameter that it multiplies by; the rest as of `weight_layer`."""
        weight = given["weight"]
        rows, bias = weight.meta["val"].shape[0], given["bias"] is not None
        if kind == "recurrent":
            return WeightLayer.recurrent(name, source.shape, given["rule"], bias, parameter)
        if kind == "linear":
            return WeightLayer.linear(name, source.shape, rows, bias, parameter)
        kernel = tuple(weight.meta["val"].shape[2:])
        axes = len(kernel)
        if len(source.shape) != axes + 1:
            raise InputError(f"{self.subject(node)} reads a sample of shape {source.shape}, accepted: {axes + 1} sizes")
        window, groups = self.window(given, axes, kernel), given["groups"]
        return WeightLayer.convolution(name, source.shape, rows, window, bias, parameter, shape, groups)

    @staticmethod
    def window(given: dict[str, Any], axes: int, kernel: tuple[int, ...]) -> Window:
        """Return the window of a convolution; given: the arguments of the call."""
        stride, dilation = as_sizes(given["stride"], axes), as_sizes(given["dilation"], axes)
        padding = given["padding"]
        if padding == "same":  # torch puts the odd position after the last one
            before = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
        else:
            before = (0,) * axes if padding == "valid" else as_sizes(padding, axes)
        return Window(kernel, stride, before, dilation)

    def with_constants(self, node: fx.Node, kind: str, detail: str) -> tuple[str, int]:
        """Say how a sum or product treats operands that are no branches of their own.

        Returns the detail ("square" or "double" where one branch meets itself), and how many numbers of trained
        parameters are read.
        """
        if kind not in ("add", "multiply"):
            return detail, 0
        operands = [operand for operand in node.args if isinstance(operand, fx.Node)]
        if len(operands) == 2 and operands[0] is operands[1] and detail in ("mul", "add"):
            return {"mul": "square", "add": "double"}[detail], 0
        trained = [operand for operand in node.all_input_nodes if self.held.get(operand.name) in self.trained]
        return detail, sum(math.prod(operand.meta["val"].shape) for operand in trained)

    def drawn(self, node: fx.Node) -> list[tuple[str, int]]:
        """List the functions that draw what an operation reads of random numbers, with their number for a sample.

        Numbers that several operations read are drawn with the first of them.
        """
        found: dict[str, int] = {}
        behind = [source for source in node.all_input_nodes if source not in self.made_by]
        while behind:
            source = behind.pop()
            function = next((RANDOM[name] for name in RANDOM if operation_name(source).startswith(name)), None)
            if function is not None and source not in self.random:
                self.random.add(source)
                numbers = shape_of(source)
                found[function] = found.get(function, 0) + math.prod(numbers[1 if has_samples(source) else 0 :])
            behind += [each for each in source.all_input_nodes if each not in self.made_by]
        return list(found.items())

    def selection(self, node: fx.Node, given: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, int, int]]:
        """Return the axis of the sample along which values are selected, and first, stop and step."""
        before = node.all_input_nodes[0].meta["val"].shape
        axis = given["dim"] % len(before)
        if axis == 0:
            raise InputError(self.mixes_samples(node))
        if operation_name(node) == "select":
            first = given["index"] % before[axis]
            return (axis - 1,), (first, first + 1, 1)
        first, stop, step = slice(given["start"], given["end"], given["step"]).indices(before[axis])
        return (axis - 1,), (first, stop, step)


def _numbers(given: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    """Return the constants among the arguments of a call, words as 1, and the word "none" as 0."""
    found = {name: float(value != "none") if isinstance(value, str) else value for name, value in given.items()}
    return tuple((name, float(value)) for name, value in found.items() if isinstance(value, bool | int | float))
