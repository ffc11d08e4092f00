"""Read a traced graph: which tensors of the module it holds, what reaches its outputs, what its parts are called."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import torch
from torch import fx, nn

from rpusim.workloads.capture.export import is_torchs_own
from rpusim.workloads.capture.traced import (
    CONSTANT,
    WEIGHT_LAYERS,
    arguments,
    has_samples,
    is_weight_layer,
    needed_for,
    operation_name,
    take_directly,
)


class Reader:
    """Reads a traced graph.

    twin:     the copy that was traced, for the names of its parts.
    program:  what tracing it gave.
    unread:   parameters of weight layers that evaluation runs as well without reading what they give: not on the chip.
    """

    def __init__(self, twin: nn.Module, program: torch.export.ExportedProgram, unread: AbstractSet[str]) -> None:
        self.twin, self.program, self.left_out = twin, program, unread
        self.taken = {"input", "output"}
        self.anywhere = False  # whether samples may stand on another axis than the first
        signature = program.graph_signature
        self.held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.trained = {full for full, tensor in twin.named_parameters(remove_duplicate=False) if tensor.requires_grad}
        self.parameters = {full for full, _ in twin.named_parameters(remove_duplicate=False)}
        self.first_name: dict[str, str] = {}  # of a tensor that goes by several names
        self.all_names: dict[str, set[str]] = {}  # by the first one
        seen: dict[int, str] = {}
        for tensors in (twin.named_parameters(remove_duplicate=False), twin.named_buffers(remove_duplicate=False)):
            for full, tensor in tensors:
                first = self.first_name[full] = seen.setdefault(id(tensor), full)
                self.all_names.setdefault(first, set()).add(full)

    def signals(self, nodes: Sequence[fx.Node]) -> set[fx.Node]:
        """Find the nodes whose values depend on the sample."""
        samples = self.program.graph_signature.user_inputs
        found: set[fx.Node] = set()
        for node in nodes:
            given = node.op == "placeholder" and node.name in samples
            if given or (operation_name(node) not in CONSTANT and not found.isdisjoint(node.all_input_nodes)):
                found.add(node)
        return found

    def unread_layers(self, nodes: Sequence[fx.Node], signals: AbstractSet[fx.Node]) -> set[fx.Node]:
        """Find the weight layers whose result does not reach what is returned, but for those that are left out.

        nodes: of the graph, the output last. signals: those that depend on the sample.
        """
        live = needed_for(nodes, set(nodes[-1].all_input_nodes))
        layers = (node for node in nodes if node in signals - live and is_weight_layer(node))
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
        held = self.held.get(arguments(node)["weight"].name, "")
        return self.first_name.get(held, "")

    def unread(self) -> set[str]:
        """Name the parameters of layers whose result does not reach what is returned."""
        nodes = list(self.program.graph.nodes)
        for node in nodes:
            take_directly(node)
        return {self.parameter(node) for node in self.unread_layers(nodes, self.signals(nodes))}

    def losses(self, nodes: Sequence[fx.Node], ends: AbstractSet[fx.Node], live: AbstractSet[fx.Node]) -> set[fx.Node]:
        """Find what is computed for nothing but a loss: as one outside the module, it is not the chip's work.

        nodes: of the graph, the output last. ends: the nodes that are read outside. live: those that they are made of.
        """
        found: set[fx.Node] = set()
        for node in reversed(nodes[:-1]):
            readers = [user for user in node.users if user in live]
            if node not in live or node.op == "placeholder" or is_weight_layer(node):
                continue
            without_samples = node in ends and not has_samples(node, self.anywhere)
            if all(user in found for user in readers) and (without_samples or (node not in ends and readers)):
                found.add(node)
        return found

    def place(self, node: fx.Node) -> tuple[str, str]:
        """Return path and class of the submodule in whose forward the node was traced."""
        stack = list(node.meta.get("nn_module_stack", {}).values()) or [("", type(self.twin).__name__)]
        path, kind = stack[-1]
        kind = kind if isinstance(kind, str) else kind.__name__
        return path.partition("@")[0], kind.rpartition(".")[2]

    def subject(self, node: fx.Node) -> str:
        """Name the node in the words the user wrote."""
        path, kind = self.place(node)
        kind = getattr(self.twin.get_submodule(path), "stands_for", kind)
        if is_torchs_own(self.twin.get_submodule(path)) or kind != self.place(node)[1]:
            return f"module {path!r} ({kind})" if path else f"module {kind}"
        return f"operation {operation_name(node)!r} in {kind}.forward" + (f" (module {path!r})" if path else "")

    def refusal(self, node: fx.Node) -> str:
        """Say that the node is not supported, and what is."""
        (_, kind), name = self.place(node), operation_name(node)
        if name.startswith("wrap_with_"):  # a part of the graph that torch keeps to itself
            return (
                f"{kind}.forward calls torch.no_grad, torch.autocast or a re-entrant checkpoint, whose inside is not "
                "traced, accepted: detach() or requires_grad_(False), and checkpoint(..., use_reentrant=False)"
            )
        return (
            f"operation {name!r} in {kind}.forward is none on tensors alone, accepted: those of torch and of "
            "torch.library, without torch.cond and the like"
        )

    def mixes_samples(self, node: fx.Node) -> str:
        """Say that the node mixes samples."""
        return f"{self.subject(node)} mixes the samples of a batch, accepted: each sample by itself"

    def digital_name(self, node: fx.Node) -> str:
        """Return the path of the submodule without parts of its own that the node is, or else the node's name.

        What a weight layer does before it multiplies, such as padding by reflection, goes by the node's name, too.
        """
        path, _ = self.place(node)
        part = self.twin.get_submodule(path)
        is_leaf = next(part.children(), None) is None and not isinstance(part, WEIGHT_LAYERS)
        return path if path and is_leaf else node.name

    def unique(self, name: str) -> str:
        """Return a name that no other operation has: this one, or the same with ":2", ":3" and so on."""
        wanted, count = name, 1
        while name in self.taken:
            count += 1
            name = f"{wanted}:{count}"
        self.taken.add(name)
        return name
