"""The values of what a traced graph computes from constants alone, where they say which numbers move where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

_MOST = 10**8
"""The most numbers of a constant whose values are computed."""


class Constants:
    """Compute constants of a traced graph, each once, when it is asked for.

    known: values by the name of a placeholder, such as buffers of the user's module; on the meta device there are none.
    """

    def __init__(self, known: Mapping[str, Tensor]) -> None:
        self._known = known
        self._found: dict[fx.Node, Any] = {}

    def value(self, node: fx.Node) -> Any:
        """Return what a node gives; None where that is not known: it depends on the input, or on numbers not there."""
        if node not in self._found:
            self._found[node] = self._computed(node)
        return self._found[node]

    def _computed(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            known = self._known.get(node.name)
            return None if known is None or known.is_meta else known.detach().cpu()
        made = node.meta.get("val")
        if node.op != "call_function" or (isinstance(made, Tensor) and math.prod(made.shape) > _MOST):
            return None
        args, given = replaced(node, self.value)
        if any(each in node.all_input_nodes and self.value(each) is None for each in node.all_input_nodes):
            return None
        if "device" in given:
            given["device"] = torch.device("cpu")
        try:
            with torch.no_grad(), torch.device("cpu"):
                return node.target(*args, **given)  # type: ignore[operator]  # a call_function node calls it
        except Exception:  # whatever torch may not do with such values; then they are not known
            return None


def replaced(node: fx.Node, by: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call with another value in place of each node; ``by``: gives it."""
    args = fx.node.map_arg(node.args, by)
    given = fx.node.map_arg(node.kwargs, by)
    return list(args), dict(given)
