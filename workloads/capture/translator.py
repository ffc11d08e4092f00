"""From a traced graph to a network: every traced operation becomes one of the network's, or an error in a sentence."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.errors import InputError
from rpusim.workloads.capture.accepted import (
    ACCEPTED,
    ACCEPTED_MODULES,
    CONSTANT,
    KNOWN_MODULES,
    KNOWN_OPERATIONS,
    RANDOM,
    unsupported,
)
from rpusim.workloads.capture.export import BATCH, is_torchs_own


class Translator:
    """Walks the traced graph once, in order, and collects the operations of the network.

    name:     of the network.
    shape:    of one sample.
    twin:     the copy that was traced, for the names of its parts.
    program:  what tracing a batch of `BATCH` samples gave.
    training: whether it was traced as in training. Then it may return several tensors, and losses, which are not timed.
    unread:   parameters of weight layers that evaluation runs as well without reading what they give: not on the chip.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        twin: nn.Module,
        program: torch.export.ExportedProgram,
        training: bool = False,
        unread: AbstractSet[str] = frozenset(),
    ) -> None:
        self.name, self.shape, self.twin, self.program, self.training = name, shape, twin, program, training
        self.left_out = unread
        self.steps: list[tuple[Operation, tuple[str, ...]]] = []
        self.made_by: dict[fx.Node, Operation] = {}  # traced nodes that depend on the sample
        self.random: set[fx.Node] = set()  # nodes whose random numbers are counted
        self.taken = {"input", "output"}
        signature = program.graph_signature
        self.held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.trained = {full for full, tensor in twin.named_parameters(remove_duplicate=False) if tensor.requires_grad}
        self.first_name: dict[str, str] = {}  # of a tensor that goes by several names
        self.all_names: dict[str, set[str]] = {}  # by the first one
        seen: dict[int, str] = {}
        for tensors in (twin.named_parameters(remove_duplicate=False), twin.named_buffers(remove_duplicate=False)):
            for full, tensor in tensors:
                first = self.first_name[full] = seen.setdefault(id(tensor), full)
                self.all_names.setdefault(first, set()).add(full)

    def network(self) -> Network:
        """Translate the whole graph. Raises InputError for what a network cannot hold."""
        nodes = list(self.program.graph.nodes)
        returned = nodes[-1].all_input_nodes
        if len(returned) != 1 and not self.training:
            what = type(self.twin).__name__
            raise InputError(f"{what}.forward returns {len(returned)} tensors, accepted: one that depends on the input")
        signals = self.signals(nodes)
        if not any(node in signals for node in returned):
            raise InputError(f"the output of {type(self.twin).__name__}.forward does not depend on its input")
        # In training a layer whose result is kept aside, for a loss of the user's, learns as well.
        ends = set(returned) | (self.kept_aside(nodes, signals) if self.training else set())
        live = _needed_for(nodes, ends)
        loss = self.losses(nodes, ends, live & signals) if self.training else set()
        timed = live - loss
        for node in nodes[:-1]:
            if node.op == "placeholder":
                if node in signals:
                    self.made_by[node] = Operation("input", "input", self.shape)
            elif node in timed:
                self.translate(node)
        read = (node for node in nodes[:-1] if node in ends or not loss.isdisjoint(node.users))
        for last in dict.fromkeys(self.made_by[node].name for node in read if node in self.made_by):
            shape = next(made.shape for made in self.made_by.values() if made.name == last)
            self.steps.append((Operation.digital(self.output_name(), "output", shape), (last,)))
        return connect(self.name, self.shape, self.steps)

    def signals(self, nodes: Sequence[fx.Node]) -> set[fx.Node]:
        """Find the nodes whose values depend on the sample."""
        samples = self.program.graph_signature.user_inputs
        found: set[fx.Node] = set()
        for node in nodes:
            given = node.op == "placeholder" and node.name in samples
            if given or (_operation_name(node) not in CONSTANT and not found.isdisjoint(node.all_input_nodes)):
                found.add(node)
        return found

    def unread_layers(self, nodes: Sequence[fx.Node], signals: AbstractSet[fx.Node]) -> set[fx.Node]:
        """Find the weight layers whose result does not reach what is returned, but for those that are left out.

        nodes: of the graph, the output last. signals: those that depend on the sample.
        """
        live = _needed_for(nodes, set(nodes[-1].all_input_nodes))
        layers = (node for node in nodes if node in signals - live and _is_weight_layer(node))
        return {node for node in layers if self.parameter(node) not in self.left_out}

    def kept_aside(self, nodes: Sequence[fx.Node], signals: AbstractSet[fx.Node]) -> set[fx.Node]:
        """Find what becomes of the results of `unread_layers` in the end; arguments as there."""
        behind = self.unread_layers(nodes, signals)
        for node in nodes[:-1]:
            if not behind.isdisjoint(node.all_input_nodes):
                behind.add(node)
        return {node for node in behind & signals if behind.isdisjoint(node.users)}

    def parameter(self, node: fx.Node) -> str:
        """Name the parameter or buffer that a weight layer's node multiplies by; "" if that is computed."""
        held = self.held.get(_arguments(node)["weight"].name, "")
        return self.first_name.get(held, "")

    def unread(self) -> set[str]:
        """Name the parameters of layers whose result does not reach what is returned."""
        nodes = list(self.program.graph.nodes)
        return {self.parameter(node) for node in self.unread_layers(nodes, self.signals(nodes))}

    def losses(self, nodes: Sequence[fx.Node], ends: AbstractSet[fx.Node], live: AbstractSet[fx.Node]) -> set[fx.Node]:
        """Find what is computed for nothing but a loss: as one outside the module, it is not the chip's work.

        nodes: of the graph, the output last. ends: the nodes that are read outside. live: those that they are made of.
        """
        found: set[fx.Node] = set()
        for node in reversed(nodes[:-1]):
            readers = [user for user in node.users if user in live]
            if node not in live or node.op == "placeholder" or _is_weight_layer(node):
                continue
            without_samples = node in ends and not _has_samples(node)
            if all(user in found for user in readers) and (without_samples or (node not in ends and readers)):
                found.add(node)
        return found

    def output_name(self) -> str:
        """Name an output of the network: the first one "output"."""
        first = all(operation.kind != "output" for operation, _ in self.steps)
        return "output" if first else self.unique("output")

    def translate(self, node: fx.Node) -> None:
        """Add the operation of one traced node, unless it computes a constant."""
        sources = [self.made_by[source] for source in node.all_input_nodes if source in self.made_by]
        if not sources or _operation_name(node) in CONSTANT:
            return
        if node.target is operator.getitem and sources[0].kind == "pool" and node.args[1] == 0:
            self.made_by[node] = sources[0]  # torch returns pooled values together with their places
            return
        kind, detail = ACCEPTED.get(_operation_name(node), ("", ""))
        if not kind:
            raise InputError(self.refusal(node))
        shape, given = self.sample_shape(node), _arguments(node)
        if kind in ("add", "multiply") and any(
            len(source.meta["val"].shape) <= len(shape) for source in node.all_input_nodes if source in self.made_by
        ):  # the batch axis of one would meet an axis of the other's sample
            raise InputError(self.mixes_samples(node))
        operation: Operation
        if _is_weight_layer(node):
            bias = self.held.get(given["bias"].name, "") if given["bias"] is not None else ""
            operation = self.weight_layer(node, kind, sources[0], shape, given)
            operation = replace(operation, bias_parameter=self.first_name.get(bias, ""))
        else:
            name, (window, axes) = self.unique(self.digital_name(node)), self.extent(node, kind, given)
            taken = (0, 0, 1)
            if kind == "select":
                if shape == sources[0].shape:  # of all samples, as in x[:, -1]
                    self.made_by[node] = sources[0]
                    return
                axes, taken = self.selection(node, given)
            detail, parameters = self.with_constants(node, kind, detail)
            numbers = _numbers(given) if kind in ("activation", "add", "multiply", "pool") else ()
            operation = Operation.digital(
                name, kind, sources[0].shape, shape, detail, window, axes, len(sources), taken, parameters, numbers
            )
            operation = replace(operation, functions=(*operation.functions, *self.drawn(node)))
        self.steps.append((operation, tuple(source.name for source in sources)))
        self.made_by[node] = operation

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
        if weight.name not in self.held or given["input"] not in self.made_by:
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
        name = self.unique(name or node.name)
        rows, bias = weight.meta["val"].shape[0], given["bias"] is not None
        if kind == "recurrent":
            return WeightLayer.recurrent(name, source.shape, given["rule"], bias, parameter)
        if kind == "linear":
            return WeightLayer.linear(name, source.shape, rows, bias, parameter)
        kernel = tuple(weight.meta["val"].shape[2:])
        axes = len(kernel)
        if len(source.shape) != axes + 1:
            raise InputError(f"{self.subject(node)} reads a sample of shape {source.shape}, accepted: {axes + 1} sizes")
        stride, dilation = _sizes(given["stride"], axes), _sizes(given["dilation"], axes)
        padding = given["padding"]
        if padding == "same":  # torch puts the odd position after the last one
            before = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
        else:
            before = (0,) * axes if padding == "valid" else _sizes(padding, axes)
        window, groups = Window(kernel, stride, before, dilation), given["groups"]
        return WeightLayer.convolution(name, source.shape, rows, window, bias, parameter, shape, groups)

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
            function = next((RANDOM[name] for name in RANDOM if _operation_name(source).startswith(name)), None)
            if function is not None and source not in self.random:
                self.random.add(source)
                numbers = _shape(source)
                found[function] = found.get(function, 0) + math.prod(numbers[1 if _has_samples(source) else 0 :])
            behind += [each for each in source.all_input_nodes if each not in self.made_by]
        return list(found.items())

    def sample_shape(self, node: fx.Node) -> tuple[int, ...]:
        """Return the shape of the node's (first) value for one sample."""
        if not _has_samples(node):
            raise InputError(self.mixes_samples(node))
        return _shape(node)[1:]

    def extent(self, node: fx.Node, kind: str, given: dict[str, Any]) -> tuple[Window | None, tuple[int, ...]]:
        """Return the window of a sliding pooling, and the axes of the sample that a softmax or mean runs over."""
        if kind == "pool" and "kernel_size" in given:
            over = 1 if _operation_name(node).endswith("1d") else 2
            kernel = _sizes(given["kernel_size"], over)
            stride = _sizes(given["stride"], over) if given["stride"] else kernel
            return Window(kernel, stride, _sizes(given["padding"], over), _sizes(given.get("dilation", 1), over)), ()
        if kind != "softmax" and _operation_name(node) != "mean":
            return None, ()
        dimensions = len(node.all_input_nodes[0].meta["val"].shape)
        dim = given.get("dim")
        listed = [dim] if isinstance(dim, int) else list(dim or range(dimensions))
        axes = tuple(sorted(axis % dimensions - 1 for axis in listed))
        if axes[0] < 0:
            raise InputError(self.mixes_samples(node))
        return None, axes

    def selection(self, node: fx.Node, given: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, int, int]]:
        """Return the axis of the sample along which values are selected, and first, stop and step."""
        before = node.all_input_nodes[0].meta["val"].shape
        axis = given["dim"] % len(before)
        if axis == 0:
            raise InputError(self.mixes_samples(node))
        if _operation_name(node) == "select":
            first = given["index"] % before[axis]
            return (axis - 1,), (first, first + 1, 1)
        first, stop, step = slice(given["start"], given["end"], given["step"]).indices(before[axis])
        return (axis - 1,), (first, stop, step)

    def place(self, node: fx.Node) -> tuple[str, str]:
        """Return path and class of the submodule in whose forward the node was traced."""
        stack = list(node.meta.get("nn_module_stack", {}).values()) or [("", type(self.twin).__name__)]
        path, kind = stack[-1]
        kind = kind if isinstance(kind, str) else kind.__name__
        return path.partition("@")[0], kind.rpartition(".")[2]

    def subject(self, node: fx.Node) -> str:
        """Name the node in the words the user wrote."""
        path, kind = self.place(node)
        if is_torchs_own(self.twin.get_submodule(path)):
            return f"module {path!r} ({kind})" if path else f"module {kind}"
        return f"operation {_operation_name(node)!r} in {kind}.forward" + (f" (module {path!r})" if path else "")

    def refusal(self, node: fx.Node) -> str:
        """Say that the node is not supported, and what is."""
        subject, (_, kind), name = self.subject(node), self.place(node), _operation_name(node)
        if name.startswith("wrap_with_"):  # a part of the graph that torch keeps to itself
            return (
                f"{kind}.forward calls torch.no_grad, torch.autocast or a re-entrant checkpoint, whose inside is not "
                "traced, accepted: detach() or requires_grad_(False), and checkpoint(..., use_reentrant=False)"
            )
        if not subject.startswith("module"):
            return unsupported(subject, KNOWN_OPERATIONS)
        if kind in ACCEPTED_MODULES:  # such as the padding of a Conv2d with padding_mode="circular"
            return f"operation {name!r} in {subject} is not supported, accepted: a {kind} that does without it"
        return unsupported(subject, KNOWN_MODULES)

    def mixes_samples(self, node: fx.Node) -> str:
        """Say that the node mixes samples."""
        return f"{self.subject(node)} mixes the samples of a batch, accepted: each sample by itself"

    def digital_name(self, node: fx.Node) -> str:
        """Return the path of the submodule without parts of its own that the node is, or else the node's name."""
        path, _ = self.place(node)
        is_leaf = next(self.twin.get_submodule(path).children(), None) is None
        return path if path and is_leaf else node.name

    def unique(self, name: str) -> str:
        """Return a name that no other operation has: this one, or the same with ":2", ":3" and so on."""
        wanted, count = name, 1
        while name in self.taken:
            count += 1
            name = f"{wanted}:{count}"
        self.taken.add(name)
        return name


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Return the shape of a node's (first) value for all samples."""
    value = node.meta["val"]
    return tuple((value[0] if isinstance(value, tuple | list) else value).shape)


def _has_samples(node: fx.Node) -> bool:
    """Tell whether a node's value has an axis of samples, and something for each of them."""
    shape = _shape(node)
    return len(shape) > 1 and shape[0] == BATCH


def _is_weight_layer(node: fx.Node) -> bool:
    kind, _ = ACCEPTED.get(_operation_name(node), ("", ""))
    return kind in ("linear", "recurrent") or kind.startswith("conv")


def _needed_for(nodes: Sequence[fx.Node], ends: AbstractSet[fx.Node]) -> set[fx.Node]:
    """Find the nodes that some (``ends``) are made of; after a change in place torch reads the new value."""
    live = set(ends)
    for node in reversed(nodes):
        if node in live:
            live.update(node.all_input_nodes)
    return live


def _operation_name(node: fx.Node) -> str:
    """Shorten what a node calls: `relu_.default` -> `relu`; `<built-in function getitem>` -> `getitem`."""
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.name.partition("::")[2].removesuffix("_")
    return getattr(node.target, "__name__", str(node.target))


def _arguments(node: fx.Node) -> dict[str, Any]:
    """Return the arguments of a traced call by name, defaults filled in."""
    assert isinstance(node.target, torch._ops.OpOverload), "only torch operations are in ACCEPTED"
    schema = node.target._schema.arguments
    given = {argument.name: value for argument, value in zip(schema, node.args, strict=False)} | node.kwargs
    return {argument.name: given.get(argument.name, argument.default_value) for argument in schema}


def _numbers(given: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    """Return the constants among the arguments of a call, words as 1."""
    found = {name: 1.0 if isinstance(value, str) else value for name, value in given.items()}
    return tuple((name, float(value)) for name, value in found.items() if isinstance(value, bool | int | float))


def _sizes(value: Any, axes: int) -> tuple[int, ...]:
    sizes = [value] if isinstance(value, int) else list(value)
    return tuple(int(size) for size in (sizes * axes if len(sizes) == 1 else sizes))
