"""Weights that stay digital because a user wants it, and tables that are the weight of a layer on arrays.

A product with a weight that is kept digital is one of the matrix unit (or the digital unit of a tile): as many
multiply-accumulates, the weight read from the memory beside it for every sample, and learned by arithmetic.

A table that is tied to a readout is one matrix with it. Where that learns, its arrays are the only place where it is: a
row is read as a product with a 1 on the row's line, from the rows of the arrays to their columns, in turn with the
readout; its error becomes pulses there. Only the number of the row comes from outside. Where it only infers nothing
changes, so a digital copy is as good, and rows are read of that as of any other table.
"""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Protocol

from torch import fx

from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.workloads.capture.calls import Counts
from rpusim.workloads.capture.products import FACTORS
from rpusim.workloads.capture.traced import arguments, operation_name, shape_of
from rpusim.workloads.capture.weights import Graph


class Keeper(Graph, Protocol):
    """What is asked beside that of who translates the graph."""

    kept: AbstractSet[str]
    on_arrays: set[str]


_PRODUCTS = frozenset(
    [*FACTORS, "einsum", "recurrent", *(f"conv{way}{n}d" for way in ("", "_transpose") for n in (1, 2, 3))]
)


def kept_weights(translator: Keeper, node: fx.Node) -> list[fx.Node]:
    """List the constants among the operands of a product that are, or are made of, weights that stay digital."""
    if not translator.kept or operation_name(node) not in _PRODUCTS:
        return []
    bias = arguments(node).get("bias")
    constants = (each for each in node.all_input_nodes if each not in translator.made_by and each is not bias)
    return [each for each in constants if _parameters(translator, each) & translator.kept]


def kept_digital_costs(translator: Keeper, node: fx.Node) -> tuple[Counts, str]:
    """Count what a product takes beside its multiplications as its weight is digital, and say that it is."""
    found: Counts = []
    named: set[str] = set()
    for weight in kept_weights(translator, node):
        numbers, names = math.prod(shape_of(weight)), _parameters(translator, weight)
        named |= names & translator.kept
        found.append(("row", numbers))
        if names & translator.trained:
            found.append(("parameter that learns", numbers))
    which = ", ".join(sorted(named))
    return found, f"{which} stays digital, as asked: its products are not on arrays" if named else ""


def _parameters(translator: Keeper, node: fx.Node) -> set[str]:
    """Name the parameters that a constant is made of."""
    if node.op == "placeholder":
        held = translator.held.get(node.name)
        return {held} & translator.parameters if held else set()
    return {name for source in node.all_input_nodes for name in _parameters(translator, source)}


def tied_rows(translator: Keeper, node: fx.Node, name: str) -> bool:
    """Add the rows of a table that is the weight of a layer, read on its arrays; False if the node is no such table."""
    if name != "embedding":
        return False
    given = arguments(node)
    parameter = translator.first_name.get(translator.held.get(given["weight"].name, ""), "")
    if parameter not in translator.on_arrays or given["indices"] not in translator.made_by:
        return False
    layout, source = translator.layouts[given["indices"]], translator.made_by[given["indices"]]
    rows, width = shape_of(given["weight"])
    places = layout.sample_shape(shape_of(given["indices"]))
    path, _ = translator.place(node)
    called = translator.unique(f"{node.name} lines")
    lines = Operation(called, "digital", (*places, rows), "one line each", waits=(tuple(range(len(places))),))
    translator.steps.append((lines, (source.name,)))
    label = translator.unique(path or parameter.removesuffix("weight").rstrip(".") or node.name)
    layer = WeightLayer.linear(label, lines.shape, width, False, parameter)
    said = f"table {parameter!r} is the weight of a layer that learns: its rows are read on the arrays of that"
    translator.add(node, replace(layer, turned=True, assumed=said), [lines], layout)
    return True
