"""Read a traced graph: what a node calls, with which arguments, what it gives, and what that is in a network."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import torch
from torch import fx, nn

from rpusim.workloads.capture.layout import BATCH

_ACTIVATIONS = (
    "relu relu6 sigmoid tanh leaky_relu elu gelu silu hardtanh hardsigmoid hardswish softplus prelu mish selu celu "
    "log_sigmoid threshold clamp clamp_min clamp_max abs neg exp"
)
_POOLS = {
    "max_pool1d": "max",
    "max_pool3d": "max",
    "max_pool3d_with_indices": "max",
    "avg_pool3d": "average",
    "adaptive_avg_pool1d": "average",
    "adaptive_max_pool1d": "max",
    "adaptive_avg_pool3d": "average",
    "adaptive_max_pool3d": "max",
    "max_pool2d": "max",
    "max_pool2d_with_indices": "max",
    "avg_pool1d": "average",
    "avg_pool2d": "average",
    "adaptive_avg_pool2d": "average",
    "adaptive_max_pool2d": "max",
    "mean": "average",
}
_RESHAPES = "flatten unflatten view reshape _unsafe_view squeeze unsqueeze"
_DROPOUTS = "dropout feature_dropout alpha_dropout feature_alpha_dropout"
_SELECTIONS = ("select", "slice")
_IDENTITIES = "contiguous clone detach alias to _to_copy lift_fresh_copy type_as float double half bfloat16 positive"
_SHAPED = "zeros ones full empty rand randn randint"
_NEW = "zeros ones full empty empty_strided"
CONSTANT = frozenset([*(f"{name}_like" for name in _SHAPED.split()), *(f"new_{name}" for name in _NEW.split())])
"""Traced operations that take the shape of what they read, and no value of it: what they make is no signal."""
RANDOM = {"randn": "normal number", "normal": "normal number", "rand": "random number", "uniform": "random number"}
"""What draws random numbers, by how a traced operation's name begins, and the digital function that counts them."""
ACCEPTED: dict[str, tuple[str, str]] = {
    "linear": ("linear", ""),
    **{name: (name, "") for name in ("conv1d", "conv2d", "conv3d", "recurrent")},
    **{name: ("activation", name) for name in _ACTIVATIONS.split()},
    **{name: ("pool", detail) for name, detail in _POOLS.items()},
    **{name: ("flatten", name) for name in _RESHAPES.split()},
    **{name: ("dropout", name) for name in _DROPOUTS.split()},
    **{name: ("identity", name) for name in _IDENTITIES.split()},
    **{name: ("select", name) for name in _SELECTIONS},
    **{name: ("add", name) for name in ("add", "sub", "rsub")},
    **{name: ("multiply", name) for name in ("mul", "div")},
    "batch_norm": ("batch_norm", ""),
    "softmax": ("softmax", "softmax"),
    "log_softmax": ("softmax", "log_softmax"),
}
"""Traced operation (the name after ``aten.``) -> kind and detail of the network's operation, where it has one of its
own; for all others see `moving` and `rules`."""

_MODULES = (
    "Linear Conv1d Conv2d Conv3d RNN LSTM GRU ReLU ReLU6 Sigmoid Tanh LeakyReLU ELU GELU SiLU Hardtanh Hardsigmoid "
    "Hardswish Softplus PReLU Mish MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d "
    "BatchNorm1d BatchNorm2d Dropout Dropout2d Flatten Unflatten Identity Softmax LogSoftmax"
)
WEIGHT_LAYERS = (
    nn.Linear,
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention),
)
"""Modules whose weights lie on arrays."""
ACCEPTED_MODULES = tuple(_MODULES.split())
"""Names of torch's modules that are known to do the same in training as in evaluation, numbers aside."""

WHOLE = "whole numbers"
"""What an input of a network says that is no number to compute with, but finds rows of a table."""
_CONVOLUTIONS = [f"conv{way}{axes}d" for way in ("", "_transpose") for axes in (1, 2, 3)]
"""Operations that are convolutions."""


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Return the shape of a node's (first) value for all samples."""
    value = node.meta["val"]
    return tuple((value[0] if isinstance(value, tuple | list) else value).shape)


def take_directly(node: fx.Node) -> None:
    """Let who reads one of several tensors that were stacked read that one: nobody may read the others."""
    stacked = node.args[0] if node.op == "call_function" and node.args else None
    if not isinstance(stacked, fx.Node) or operation_name(node) != "select" or operation_name(stacked) != "stack":
        return
    given, of_stack = arguments(node), arguments(stacked)
    dimensions = len(shape_of(stacked))
    if given["dim"] % dimensions == of_stack["dim"] % dimensions:
        node.replace_all_uses_with(of_stack["tensors"][given["index"]])


def values_of(node: fx.Node) -> Sequence[Any]:
    """Return what a node gives, as a list."""
    value = node.meta.get("val")
    return value if isinstance(value, tuple | list) else [value]


def has_samples(node: fx.Node, anywhere: bool = False) -> bool:
    """Tell whether a value has an axis of samples (the first, or ``anywhere``), and something for each of them."""
    shape = shape_of(node)
    return len(shape) > 1 and (shape[0] == BATCH or (anywhere and BATCH in shape))


def is_weight_layer(node: fx.Node) -> bool:
    name = operation_name(node)
    return name in ("linear", "recurrent") or (name.startswith("conv") and name in _CONVOLUTIONS)


def needed_for(nodes: Sequence[fx.Node], ends: AbstractSet[fx.Node]) -> set[fx.Node]:
    """Find the nodes that some (``ends``) are made of; after a change in place torch reads the new value."""
    live = set(ends)
    for node in reversed(nodes):
        if node in live:
            live.update(node.all_input_nodes)
    return live


def operation_name(node: fx.Node) -> str:
    """Shorten what a node calls: `relu_.default` -> `relu`; `<built-in function getitem>` -> `getitem`."""
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.name.partition("::")[2].removesuffix("_")
    return getattr(node.target, "__name__", str(node.target))


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return the arguments of a traced call by name, defaults filled in."""
    assert isinstance(node.target, torch._ops.OpOverload), "only torch operations are in ACCEPTED"
    schema = node.target._schema.arguments
    given = {argument.name: value for argument, value in zip(schema, node.args, strict=False)} | node.kwargs
    return {argument.name: given.get(argument.name, argument.default_value) for argument in schema}


def as_sizes(value: Any, axes: int) -> tuple[int, ...]:
    sizes = [value] if isinstance(value, int) else list(value)
    return tuple(int(size) for size in (sizes * axes if len(sizes) == 1 else sizes))
