"""The compiled step of a captured network: its operations as instructions, its layers as the modules that hold them.

What a step cannot compute is trained with torch's modules and autograd, which can do everything; a result says which
way it went, and why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.kernels.step import CompiledStep, Graph, Unsuitable
from rpusim.kernels.step.compiled_step import learning_order
from rpusim.kernels.step.layers import Placed
from rpusim.kernels.step.program import Value, pooling
from rpusim.workloads.runs.training_loop import Training, Watch

_PLAIN = ("relu", "sigmoid", "tanh", "silu", "hardsigmoid", "neg")
"""Functions without parameters."""


def compiled_step(network: Network, training: Training, batch: int, watch: Watch) -> CompiledStep | str:
    """Make the compiled step of a training; or say why torch's modules and autograd have to train instead.

    network:  as for `step_of`. batch: samples of a mini-batch. watch: told that loops are compiled.
    """
    coupling = training.coupling
    if coupling is not None and coupling.follows_vectors:
        return "time passes between the vectors of a mini-batch"
    try:
        step = step_of(network, training.model, training.log)
    except Unsuitable as reason:
        return f"the network has {reason}"
    watch("compiling", 0.0)
    step.prepare(batch)
    watch("compiling", 1.0)
    return step


def step_taken(step: CompiledStep | str) -> str:
    """Say in a result how a training was computed."""
    if isinstance(step, str):
        return f"torch, mini-batch by mini-batch, as {step}"
    return "compiled" if step.whole else "compiled, but for the cells' way to learn"


def step_of(network: Network, model: nn.Module, log: ActivityLog | None) -> CompiledStep:
    """Make the step that trains a module with plain stochastic gradient descent on the likelihood of classes.

    network:  what the module computes in training, as captured.
    model:    in floating point, or its copy on arrays.
    log:      where its layers write their activity; None: nowhere.

    Raises Unsuitable, with what cannot be computed, unless it does all that the module does.
    """
    graph = Graph(network.input_shape)
    values, placed = dict[str, Value](), list[Placed]()
    last = network.operations[-2] if len(network.operations) > 1 else network.operations[-1]
    for operation in network.operations:
        sources = [values[name] for name in network.graph.predecessors(operation.name)]
        if operation.kind == "input":
            values[operation.name] = graph.input
        elif operation.kind == "output":
            if operation is not network.operations[-1]:
                raise Unsuitable("several outputs")
        elif operation is last:
            if (operation.kind, operation.detail) != ("softmax", "log_softmax") or len(operation.shape) != 1:
                raise Unsuitable("another end than a log-softmax of classes")
            graph.classify(sources[0])
            values[operation.name] = sources[0]
        elif isinstance(operation, WeightLayer):
            values[operation.name] = _layer(graph, operation, sources[0], model, placed)
        else:
            values[operation.name] = _digital(graph, operation, sources, model)
    known = {id(parameter) for each in placed for parameter in each.module.parameters()}
    if any(id(parameter) not in known for parameter in model.parameters()):
        raise Unsuitable("parameters outside of weight layers")
    return CompiledStep(graph, placed, learning_order(model, placed), log)


def _layer(graph: Graph, operation: WeightLayer, source: Value, model: nn.Module, placed: list[Placed]) -> Value:
    if operation.is_recurrent:
        raise Unsuitable("recurrent layers")
    try:
        module = model.get_submodule(operation.name)
    except AttributeError:
        raise Unsuitable("a weight that no layer of its own holds") from None
    if any(each.module is module for each in placed):
        raise Unsuitable("a weight that is used more than once")
    if module._forward_hooks or module._forward_pre_hooks:
        raise Unsuitable("layers with hooks")
    placed.append(Placed.of(module, source.shape, operation.vectors))
    return graph.layer(placed[-1].layer, source, operation.shape)


def _digital(graph: Graph, operation: Operation, sources: list[Value], model: nn.Module) -> Value:
    source, kind = sources[0], operation.kind
    if kind in ("flatten", "identity"):
        return graph.reshape(source, operation.shape)
    if kind == "activation":
        return graph.function(operation.detail, source, *_numbers(operation, model))
    if kind == "pool":
        return graph.pool(source, operation.shape, _window(operation, source, model), operation.detail == "average")
    if kind == "add" and operation.detail == "add" and len(sources) == 2:
        return graph.add(*sources)
    raise Unsuitable(f"the operation {operation.detail or kind}")


def _module(operation: Operation, model: nn.Module) -> nn.Module:
    """Find the module that an operation is, to ask for what a network does not say of it."""
    try:
        return model.get_submodule(operation.name.partition(":")[0])
    except AttributeError:
        raise Unsuitable(f"{operation.detail} as a function") from None


def _numbers(operation: Operation, model: nn.Module) -> tuple[float, float]:
    """Find the parameters of a function."""
    if operation.detail in _PLAIN:
        return 0.0, 0.0
    if operation.detail == "relu6":
        return 0.0, 6.0
    module: Any = _module(operation, model)
    fields: Mapping[type, tuple[str, ...]] = {
        nn.LeakyReLU: ("negative_slope",),
        nn.ELU: ("alpha",),
        nn.Hardtanh: ("min_val", "max_val"),
        nn.Softplus: ("beta", "threshold"),
    }
    if type(module) not in fields:
        raise Unsuitable(f"the function {operation.detail}")
    a, b = (*(float(getattr(module, name)) for name in fields[type(module)]), 0.0)[:2]
    return a, b


def _window(operation: Operation, source: Value, model: nn.Module) -> tuple[int, ...]:
    """Find the sizes of a pooling, along two axes."""
    if operation.axes:  # a mean
        axes = len(source.shape) - len(operation.axes)
        if operation.axes != tuple(range(axes, len(source.shape))):
            raise Unsuitable("a mean over other than the last axes")
        width = math.prod(source.shape[axes:])
        return pooling(height=1, width=width, tall=1, wide=width, down=1, across=1, rows=1, columns=1)
    over = operation.pooled
    image = (1, *source.shape[-1:]) if over == 1 else source.shape[-2:]
    out = (1, *operation.shape[-1:]) if over == 1 else operation.shape[-2:]
    if over > 2:
        raise Unsuitable("pooling over three axes")
    if operation.window is None:  # adaptive: as many windows as outputs
        if image[0] % out[0] or image[1] % out[1]:
            raise Unsuitable("adaptive pooling whose windows differ")
        tall, wide = image[0] // out[0], image[1] // out[1]
        sizes = dict(tall=tall, wide=wide, down=tall, across=wide)
    else:
        window = operation.window
        kernel, stride, dilation = (
            (1,) * (2 - over) + each for each in (window.kernel, window.stride, window.dilation)
        )
        padding = (0,) * (2 - over) + window.padding
        sizes = dict(tall=kernel[0], wide=kernel[1], down=stride[0], across=stride[1], top=padding[0], left=padding[1])
        sizes |= dict(apart_down=dilation[0], apart_across=dilation[1])
        if operation.detail == "average":
            module: Any = _module(operation, model)
            if getattr(module, "divisor_override", None):
                raise Unsuitable("an average with a divisor of its own")
            sizes["pads_count"] = int(getattr(module, "count_include_pad", True))
    return pooling(height=image[0], width=image[1], rows=out[0], columns=out[1], **sizes)
