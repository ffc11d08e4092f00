"""Products with trained weights: what becomes a weight layer, whichever operation multiplies.

Besides linear layers and convolutions these are matrix products and sums over products (``x @ w``, ``einsum``) of which
one factor is a parameter, transposed convolutions, convolutions of frames that stand on the axis of the samples, and
weights that are computed from parameters before they are used (weight norm, weight standardisation).

A transposed convolution is a matrix of inputs x (outputs x places of the window): every input position is a vector, and
digital units add up what overlaps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Protocol

import numpy as np
from torch import fx

from rpusim.arch.network.index_maps import IndexMap
from rpusim.arch.network.moves import Moves
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.workloads.capture.layout import BATCH, Layout
from rpusim.workloads.capture.moving import MixedError
from rpusim.workloads.capture.products import factors
from rpusim.workloads.capture.traced import operation_name, shape_of


class Graph(Protocol):
    """What is asked of who translates the graph, see `rpusim.workloads.capture.translator.Translator`."""

    steps: list[tuple[Operation, tuple[str, ...]]]
    made_by: dict[fx.Node, Operation]
    layouts: dict[fx.Node, Layout]
    held: dict[str, str]
    trained: set[str]
    parameters: set[str]
    first_name: dict[str, str]
    all_names: dict[str, set[str]]
    exchanged: set[str]

    def add(self, node: fx.Node, operation: Operation, sources: Sequence[Operation], layout: Layout) -> None:
        """Add an operation that makes what a node gives."""

    def place(self, node: fx.Node) -> tuple[str, str]:
        """Return path and class of the submodule in whose forward a node was traced."""

    def unique(self, name: str) -> str:
        """Return a name that no other operation has."""

    def turned(self, node: fx.Node) -> str | None:
        """Return the name of the parameter that a node is the transpose of."""

    def window(self, given: dict[str, Any], axes: int, kernel: tuple[int, ...]) -> Window:
        """Return the window of a convolution."""

    def weight_layer(
        self, node: fx.Node, kind: str, source: Operation, shape: tuple[int, ...], given: dict[str, Any]
    ) -> WeightLayer:
        """Make the weight layer of a node whose weight is a parameter or buffer."""

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
        """Make a weight layer of a name, with the parameter that it multiplies by."""


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def weighted(translator: Graph, node: fx.Node, name: str, given: dict[str, Any]) -> bool:
    """Add a product with trained weights; False if the node is none.

    translator: of the graph. node: a traced call, name: of its operation. given: its arguments.
    """
    if name == "recurrent" or name.startswith("conv") or name == "linear":
        weight = given["weight"]
        if weight in translator.made_by or given["input"] not in translator.made_by:
            return False
        if name.startswith("conv_transpose"):
            _transposed(translator, node, given)
        elif name.startswith("conv") and not translator.layouts[given["input"]].alone:
            _frames(translator, node, given)
        else:
            _plain(translator, node, given)
        return True
    equation, operands = "", list[fx.Node]()
    if name == "einsum" and len(given["tensors"]) == 2 and "." not in given["equation"]:
        equation, operands = given["equation"].replace(" ", ""), list(given["tensors"])
    elif (pair := factors(name, given)) is not None and name in ("matmul", "mm", "addmm", "bmm"):
        equation, operands = _of_matrices(*(len(shape_of(each)) for each in pair)), list(pair)
    weights = [each for each in operands if each not in translator.made_by and holds(translator, each)]
    if "->" not in equation or len(weights) != 1 or len(operands) != 2 or operands[0] is operands[1]:
        return False
    return _contracted(translator, node, equation, operands, operands.index(weights[0]))


def holds(translator: Graph, node: fx.Node) -> bool:
    """Tell whether a constant is a parameter, or made of some."""
    if node.op == "placeholder":
        return translator.held.get(node.name) in translator.parameters
    return any(holds(translator, source) for source in node.all_input_nodes)


def learned(translator: Graph, node: fx.Node) -> bool:
    """Tell whether parameters that learn are behind what a node gives, so that its errors are wanted."""
    found, ahead = {node}, [node]
    while ahead:
        one = ahead.pop()
        if translator.held.get(one.name) in translator.trained:
            return True
        ahead += [source for source in one.all_input_nodes if source not in found]
        found.update(one.all_input_nodes)
    return False


def named(translator: Graph, node: fx.Node, weight: fx.Node) -> tuple[str, str, str]:
    """Name the layer of a node, its parameter, and say what was assumed of a weight that is computed first."""
    first = weight
    while first.name not in translator.held and first.all_input_nodes:
        first = next((each for each in first.all_input_nodes if holds(translator, each)), first.all_input_nodes[0])
    path, _ = translator.place(node)
    full = translator.held.get(first.name, "")
    parameter = translator.first_name.get(full, f"{path or node.name}.weight")
    held_here = f"{path}.weight" in translator.all_names.get(parameter, ())
    name = path if held_here else parameter.removesuffix("weight").rstrip(".")
    if weight.name in translator.held:
        return translator.unique(name or node.name), parameter, ""
    said = f"weight {parameter!r} is computed from parameters before it is used, which is not counted"
    part = _made(weight, first)
    only_moved = all(step.partition(" ")[0] in _TURNS | _CUTS for step in part)
    cut = [step for step in part if step.partition(" ")[0] not in _TURNS]
    parameter += f" ({', '.join(cut)})" if cut else ""
    return translator.unique(name or node.name), parameter, "" if only_moved else said


_TURNS = frozenset(
    "t transpose permute numpy_T mT view reshape unsqueeze squeeze detach contiguous clone alias".split()  # noqa: SIM905
)
_CUTS = frozenset(["split", "split_with_sizes", "chunk", "getitem", "slice", "select", "narrow", "unbind", "unflatten"])


def _made(weight: fx.Node, first: fx.Node) -> list[str]:
    """List the operations by which a weight is made of a parameter, with their arguments, the first one first."""
    steps: list[str] = []
    while weight is not first and weight.all_input_nodes:
        called = getattr(weight.target, "_schema", weight.target)
        name = getattr(called, "name", getattr(called, "__name__", "")).rpartition("::")[2]
        others = [str(value) for value in weight.args if not isinstance(value, fx.Node)]
        steps.append(" ".join([name, *others]))
        weight = next((each for each in weight.all_input_nodes if each is first), weight.all_input_nodes[0])
    return steps[::-1]


def _plain(translator: Graph, node: fx.Node, given: dict[str, Any]) -> None:
    """Add a linear layer, a convolution or the steps of a recurrent layer, as the network knows them."""
    source, layout = translator.made_by[given["input"]], translator.layouts[given["input"]]
    kind = operation_name(node)
    last = len(shape_of(given["input"])) - 1
    if layout.axis == last or (kind != "linear" and not layout.first):
        raise MixedError
    shape = layout.sample_shape(shape_of(node))
    if kind == "recurrent":
        source = _begun(translator, node, source, [given["state"], given["cell"]])
    if given["weight"].name in translator.held or translator.turned(given["weight"]) is not None:
        layer = translator.weight_layer(node, kind, source, shape, given)
    else:
        name, parameter, _ = named(translator, node, given["weight"])
        layer = translator.layer_of(node, kind, source, shape, given, name, parameter)
    bias = given["bias"]
    held = translator.held.get(bias.name, "") if bias is not None else ""
    layer = replace(layer, bias_parameter=translator.first_name.get(held, ""))
    if kind == "linear" and layout.alone and layout.axis:
        layer = replace(layer, together=math.prod(shape_of(node)[layout.axis + 1 : -1]))
    if kind == "recurrent" and isinstance(given["state"], fx.Node):
        layer = replace(layer, begun=learned(translator, given["state"]))
    translator.add(node, layer, [source], layout)


def _begun(translator: Graph, node: fx.Node, source: Operation, states: Sequence[Any]) -> Operation:
    """Let a recurrent layer wait for the states that it is given; a state that is constant is there.

    source: what the input's matrix gives. states: the first output, and the first cells; None: zeros.
    """
    given = [
        translator.made_by[state] for state in states if isinstance(state, fx.Node) and state in translator.made_by
    ]
    if not given:
        return source
    waits = ((), *(tuple(range(len(state.shape))) for state in dict.fromkeys(given)))
    made = Operation(translator.unique(f"{node.name} begun"), "digital", source.shape, "begun", waits=waits)
    translator.steps.append((made, tuple(dict.fromkeys(each.name for each in (source, *given)))))
    return made


def _of_matrices(left: int, right: int) -> str:
    """Write the product of two matrices of so many dimensions with letters, as `torch.einsum` does."""
    before = _LETTERS[: max(left, right, 2) - 2]
    first = before[len(before) - max(left - 2, 0) :] + ("yz" if left > 1 else "z")
    second = before[len(before) - max(right - 2, 0) :] + ("zx" if right > 1 else "z")
    return f"{first},{second}->{before}{'y' if left > 1 else ''}{'x' if right > 1 else ''}"


def _contracted(translator: Graph, node: fx.Node, equation: str, operands: Sequence[fx.Node], which: int) -> bool:
    """Add a sum over products of a signal and a parameter as one layer; False if it is no matrix product.

    equation: with letters for axes. which: of the two operands is the parameter.
    """
    terms, _, output = equation.partition("->")
    of_weight, of_signal = terms.split(",")[which], terms.split(",")[1 - which]
    signal, weight = operands[1 - which], operands[which]
    layout, source = translator.layouts[signal], translator.made_by[signal]
    sizes = dict(zip(of_signal, shape_of(signal), strict=True))
    sizes_of_weight = dict(zip(of_weight, shape_of(weight), strict=True))
    samples = of_signal[layout.axis]
    if samples in of_weight:  # a parameter that was repeated for every sample meets each by itself
        return False
    if any(sizes.get(letter, size) != size for letter, size in sizes_of_weight.items()):  # broadcast
        return False
    sizes |= sizes_of_weight
    sizes[samples] //= BATCH
    shared = [a for a in of_weight if a in of_signal and a in output]
    summed = [a for a in of_weight if a in of_signal and a not in output]
    free = [a for a in of_weight if a not in of_signal]
    rest = [a for a in of_signal if a not in of_weight]
    if not summed or any(a not in output for a in [*free, *rest]) or len(set(of_signal)) < len(of_signal):
        return False
    groups, columns, rows, places = (
        math.prod(sizes[letter] for letter in each) for each in (shared, summed, free, rest)
    )
    inside = [a for a in of_signal if a != samples or not layout.alone]
    name, parameter, said = named(translator, node, weight)
    bias = operation_name(node) == "addmm"
    at = np.arange(math.prod(source.shape)).reshape([sizes[a] for a in inside])
    beyond = [a for a in rest if a in inside]
    if groups == 1:
        at = at.transpose([inside.index(a) for a in [*beyond, *shared, *summed]]).reshape(places, columns)
        given = moved(translator, node, source, at)
        layer = WeightLayer.linear(name, (places, columns), rows, bias, parameter)
        made = [*beyond, *shared, *free]
    else:
        at = at.transpose([inside.index(a) for a in [*shared, *summed, *beyond]]).reshape(groups * columns, places)
        given = moved(translator, node, source, at)
        point = Window((1,), (1,), (0,), (1,))
        layer = WeightLayer.convolution(
            name, (groups * columns, places), groups * rows, point, bias, parameter, groups=groups
        )
        made = [*shared, *free, *beyond]
    if len(of_weight) == 2 and (of_weight[0] in summed) == (translator.turned(weight) is None):
        translator.exchanged.add(name)
    order = tuple(of_weight.index(letter) for letter in (*shared, *free, *summed))
    order = order if weight.name in translator.held else ()
    translator.add(node, replace(layer, assumed=said, order=order), [given], layout)
    left = [a for a in output if a != samples or not layout.alone]
    back = np.arange(math.prod(layer.shape)).reshape([sizes[a] for a in made])
    place = Layout(output.index(samples), layout.order)
    shape = place.sample_shape(shape_of(node))
    final = moved(translator, node, layer, back.transpose([made.index(a) for a in left]).reshape(shape))
    translator.made_by[node], translator.layouts[node] = final, place
    return True


def moved(translator: Graph, node: fx.Node, source: Operation, places: np.ndarray) -> Operation:
    """Add an operation that moves values, unless each stays where it is.

    source: whose values are moved. places: of each value of the result among those of the source; -1: none.
    """
    if places.shape == source.shape and np.array_equal(places.reshape(-1), np.arange(places.size)):
        return source
    name = translator.unique(f"{node.name} moved")
    made = Operation(name, "moves", places.shape, "moved", moves=Moves(np.ascontiguousarray(places, np.int32)))
    translator.steps.append((made, (source.name,)))
    return made


def _frames(translator: Graph, node: fx.Node, given: dict[str, Any]) -> None:
    """Add a convolution of several frames of each sample, which stand on the axis of the samples, as one more axis."""
    source, layout = translator.made_by[given["input"]], translator.layouts[given["input"]]
    weight, axes = given["weight"], len(shape_of(given["weight"])) - 2
    if layout.axis != 0 or axes > 2:
        raise MixedError
    at = np.arange(math.prod(source.shape)).reshape(source.shape).swapaxes(0, 1)
    before = moved(translator, node, source, at)
    shape = layout.sample_shape(shape_of(node))
    name, parameter, said = named(translator, node, weight)
    window = translator.window(given, axes, tuple(shape_of(weight)[2:]))
    window = Window(*((first, *each) for first, each in zip((1, 1, 0, 1), vars(window).values(), strict=True)))
    rows = shape_of(weight)[0]
    layer = WeightLayer.convolution(
        name,
        before.shape,
        rows,
        window,
        given["bias"] is not None,
        parameter,
        (rows, shape[0], *shape[2:]),
        given["groups"],
    )
    translator.add(node, replace(layer, assumed=said), [before], layout)
    back = np.arange(math.prod(layer.shape)).reshape(layer.shape).swapaxes(0, 1)
    translator.made_by[node] = moved(translator, node, layer, back)


def _transposed(translator: Graph, node: fx.Node, given: dict[str, Any]) -> None:
    """Add a transposed convolution: a layer of input positions, and sums of what overlaps."""
    source, layout = translator.made_by[given["input"]], translator.layouts[given["input"]]
    weight = given["weight"]
    if not layout.first:
        raise MixedError
    channels, outputs, *kernel = shape_of(weight)
    outputs *= given["groups"]
    inputs, shape = source.shape[1:], layout.sample_shape(shape_of(node))
    flat = moved(translator, node, source, np.arange(math.prod(source.shape)).reshape(channels, math.prod(inputs)))
    name, parameter, said = named(translator, node, weight)
    rows, point = outputs * math.prod(kernel), Window((1,), (1,), (0,), (1,))
    layer = WeightLayer.convolution(name, flat.shape, rows, point, False, parameter, groups=given["groups"])
    translator.add(node, replace(layer, assumed=said), [flat], layout)
    parts = _overlapping(inputs, tuple(kernel), shape, given, translator)
    places = moved(translator, node, layer, parts if len(parts) > 1 else parts[0])
    numbers = math.prod(shape)
    functions = [("of a sum", int((parts >= 0).sum()) - int((parts >= 0).any(0).sum()))]
    if given["bias"] is not None:
        functions.append(("offset", numbers))
        if translator.held.get(given["bias"].name) in translator.trained:
            functions += [("parameter", numbers), ("parameter that learns", outputs)]
    counted = tuple((function, number) for function, number in functions if number)
    waits = ((0,),) if len(parts) > 1 else ((),)
    if not counted:
        translator.made_by[node] = places
        return
    made = Operation(translator.unique(f"{name} summed"), "digital", shape, "overlap", functions=counted, waits=waits)
    translator.add(node, made, [places], layout)


def _overlapping(
    inputs: Sequence[int], kernel: Sequence[int], shape: Sequence[int], given: dict[str, Any], translator: Graph
) -> IndexMap:
    """Find the places of the products that each output of a transposed convolution is the sum of.

    inputs: positions along each axis. kernel: of the window. shape: of the output: (channels, positions ...).
    Returns (parts, *shape), -1 where an output has fewer parts.
    """
    window = translator.window(given, len(kernel), tuple(kernel))
    sides: list[list[list[tuple[int, int]]]] = []
    for axis, size in enumerate(shape[1:]):
        stride, padding, dilation = window.stride[axis], window.padding[axis], window.dilation[axis]
        side = []
        for output in range(size):
            reached = [(tap, output + padding - tap * dilation) for tap in range(kernel[axis])]
            met = [(tap, at // stride) for tap, at in reached if at % stride == 0 and 0 <= at // stride < inputs[axis]]
            side.append(met)
        sides.append(side)
    most = [max(len(met) for met in side) for side in sides]
    channel = np.arange(shape[0]).reshape(-1, *[1] * len(kernel))
    parts = []
    for chosen in product(*map(range, most)):
        tap = place = np.zeros([1] * (len(kernel) + 1), np.int64)
        there = np.ones([1] * (len(kernel) + 1), np.bool_)
        for axis, (side, number) in enumerate(zip(sides, chosen, strict=True)):
            line = [1] * (len(kernel) + 1)
            line[axis + 1] = -1
            known = np.array([number < len(met) for met in side]).reshape(line)
            pairs = np.array([met[number] if number < len(met) else (0, 0) for met in side])
            tap = tap * kernel[axis] + pairs[:, 0].reshape(line)
            place = place * inputs[axis] + pairs[:, 1].reshape(line)
            there = there & known
        at = (channel * math.prod(kernel) + tap) * math.prod(inputs) + place
        parts.append(np.where(there, at, -1))
    return np.stack(parts).astype(np.int32)
