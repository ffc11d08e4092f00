"""Networks as data: what capture found, written down as plain values, and read again without torch.

A document lists operations in the order in which the graph has them, each with the fields that are not as they are by
default and the names of what it reads. Places of moved values mostly grow evenly, so what is kept of them are their
differences, compressed; an axis along which they repeat themselves is kept once.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import networkx as nx
import numpy as np

from rpusim.arch.network.index_maps import IndexMap, folded
from rpusim.arch.network.moves import Moves
from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import Operation, WeightLayer, Window

Data = dict[str, Any]
_FORMAT = 1


def to_data(network: Network) -> Data:
    """Write a network down: mappings, lists, texts and numbers, as JSON has them."""
    graph = network.graph
    operations = [
        _of_operation(graph.nodes[name]["operation"]) | {"reads": list(graph.predecessors(name))} for name in graph
    ]
    return {"format": _FORMAT, "name": network.name, "input_shape": network.input_shape, "operations": operations}


def of_data(data: Mapping[str, Any]) -> Network:
    """Make the network that was written down; data: what `to_data` returned, or JSON of it."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for given in data["operations"]:
        graph.add_node(given["name"], operation=_operation(given))
    for given in data["operations"]:
        for source in given["reads"]:
            graph.add_edge(source, given["name"])
    return Network(data["name"], tuple(data["input_shape"]), graph)


def _of_operation(operation: Operation) -> Data:
    found: Data = {"layer": True} if isinstance(operation, WeightLayer) else {}
    for each in fields(operation):
        value = getattr(operation, each.name)
        if each.default is MISSING or value != each.default:
            found[each.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Moves):
        return _of_places(value.places)
    if isinstance(value, Window):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value


def _operation(given: Mapping[str, Any]) -> Operation:
    kind = WeightLayer if given.get("layer") else Operation
    values = {name: _tuples(value) for name, value in given.items() if name not in ("layer", "reads")}
    if "moves" in values:
        values["moves"] = Moves(_places(values["moves"]))
    if "window" in values:
        values["window"] = Window(**{name: _tuples(value) for name, value in values["window"].items()})
    return kind(**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list | tuple) else value


def _of_places(places: IndexMap) -> Data:
    (small,) = folded(places)
    steps = np.diff(small.reshape(-1), prepend=np.int32(0)).astype("<i4")
    whole = base64.b85encode(zlib.compress(steps.tobytes(), 9)).decode()
    return {"shape": places.shape, "kept": small.shape, "steps": whole}


def _places(given: Mapping[str, Any]) -> IndexMap:
    steps = np.frombuffer(zlib.decompress(base64.b85decode(given["steps"])), "<i4")
    small = np.cumsum(steps, dtype=np.int32).reshape(tuple(given["kept"]))
    return np.broadcast_to(small, tuple(given["shape"]))
