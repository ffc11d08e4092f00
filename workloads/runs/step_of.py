"""The compiled step of a captured network: its operations as instructions, its layers as the modules that hold them.

What a step cannot compute is trained with torch's modules and autograd, which can do everything; a result says which
way it went, and why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD
from rpusim.kernels.layers.recurrent import AnalogRecurrent
from rpusim.kernels.layers.replicated import Replicated
from rpusim.kernels.layers.transposed import AnalogTransposed
from rpusim.kernels.step import CompiledStep, Graph, Unsuitable
from rpusim.kernels.step.between.branches import OVER, TIMES, WEIGHTED
from rpusim.kernels.step.between.held import Dropout, Norm
from rpusim.kernels.step.compiled_step import learning_order
from rpusim.kernels.step.on_arrays.placed import Matrix, Placed
from rpusim.kernels.step.program import Value, pooling
from rpusim.workloads.capture.capture import capture_modes
from rpusim.workloads.runs.training_loop import Training, Watch

_PLAIN = (
    *("relu", "sigmoid", "tanh", "silu", "hardsigmoid", "neg"),
    *("hardswish", "mish", "selu", "log_sigmoid", "abs", "exp"),
)
"""Functions without parameters."""
_UNCHANGED = ("contiguous", "clone", "alias")
"""Functions that give what they read, and send gradients back unchanged; no other type of numbers, nothing detached."""
_FIELDS = {
    "leaky_relu": ("negative_slope",),
    "elu": ("alpha",),
    "celu": ("alpha",),
    "hardtanh": ("min_val", "max_val"),
    "softplus": ("beta", "threshold"),
}
"""Functions with parameters, by the names that torch has for these."""


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


def study_of(
    digital: nn.Module,
    analog: nn.Module | None,
    shape: Sequence[int],
    batch: int,
    rate: float,
    log: ActivityLog | None = None,
) -> Training:
    """Make the training of a study: a network in floating point or on arrays, without a chip's clock.

    digital:  the network in floating point. analog: its copy on arrays, which is trained instead; None: there is none.
    shape:    of a sample. batch: samples of a mini-batch. rate: learning rate.
    log:      where arrays write what they do; None: nowhere.

    It is trained by the compiled step where that can be.
    """
    if analog is None:
        training = Training("digital", digital, torch.optim.SGD(digital.parameters(), rate))
    else:
        training = Training("analog", analog, AnalogSGD(analog, rate), log)
    training.model.train()
    try:
        network, _ = capture_modes(digital, tuple(shape))
    except InputError as reason:  # a network need not be one that a chip can be planned for
        training.compiled = f"the network was not captured: {reason}"
        return training
    training.compiled = compiled_step(network, training, batch, lambda stage, share: None)
    return training


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
    return _Program(network, model).step(log)


class _Program:
    """The program of a network in the making; the arguments of `step_of`."""

    def __init__(self, network: Network, model: nn.Module) -> None:
        self.network, self.model, self.graph = network, model, Graph(network.input_shape)
        self.placed: list[Placed] = []
        self.norms: list[Norm] = []
        self.masks: list[Dropout] = []
        self.masked: dict[tuple[int, int], Value] = {}
        """What is left between layers of a recurrent module, by the module and what it reads; for both directions."""

    def step(self, log: ActivityLog | None) -> CompiledStep:
        """Translate all operations, in order."""
        network, model, values = self.network, self.model, dict[str, Value]()
        last = network.operations[-2] if len(network.operations) > 1 else network.operations[-1]
        for operation in network.operations:
            sources = [values[name] for name in network.graph.predecessors(operation.name)]
            if operation.kind == "input":
                values[operation.name] = self.graph.input
            elif operation.kind == "output":
                if operation is not network.operations[-1]:
                    raise Unsuitable("several outputs")
            elif operation is last:
                self.classify(operation, sources[0])
                values[operation.name] = sources[0]
            elif isinstance(operation, WeightLayer):
                if len(sources) != 1:
                    raise Unsuitable("a recurrent layer that is given its first state")
                flipped = self.flipped(operation)
                if flipped is None:
                    values[operation.name] = self.layer(operation, sources[0])
                else:  # its vectors are counted as they come, and only its states go backwards
                    given = self.layer(operation, values[flipped])
                    values[operation.name] = self.graph.gather(given, _numbered(given.shape)[::-1])
            else:
                values[operation.name] = self.digital(operation, sources)
        modules = [*(each.module for each in self.placed), *(each.module for each in self.norms)]
        known = {id(parameter) for module in modules for parameter in module.parameters()}
        if any(id(parameter) not in known for parameter in model.parameters()):
            raise Unsuitable("parameters outside of weight layers and norms")
        order = learning_order(model, self.placed)
        return CompiledStep(self.graph, self.placed, order, log, self.norms, self.masks)

    def flipped(self, operation: WeightLayer) -> str | None:
        """Return what the input's matrix of a layer that goes backwards reads, before it is turned round; else None."""
        part, inner = self.recurrent_of(operation)
        if part is None or not (inner.startswith("ih_l") and inner.endswith("_reverse")):
            return None
        (before,) = self.network.graph.predecessors(operation.name)
        turned = next(each for each in self.network.operations if each.name == before)
        found = list(self.network.graph.predecessors(before))
        if turned.detail != "flip" or len(found) != 1:
            raise Unsuitable("a recurrent layer that goes backwards through something else than a sequence")
        return found[0]

    def classify(self, operation: Operation, source: Value) -> None:
        """End with classes, which stand on the last axis."""
        axes = operation.axes == (len(operation.shape) - 1,)
        if (operation.kind, operation.detail) != ("softmax", "log_softmax") or not axes:
            raise Unsuitable("another end than a log-softmax of classes")
        self.graph.classify(source)

    def layer(self, operation: WeightLayer, source: Value) -> Value:
        """Multiply by a weight, for the first time or once more."""
        module, flipped = self.holder(operation), operation.turned
        if isinstance(module, Replicated):
            raise Unsuitable("replicas of a layer")
        positions = 1 if operation.is_recurrent else operation.vectors
        if not operation.is_recurrent:
            source = self.between_layers(operation, source)
        which = self.known(module)
        if which is None:
            if not isinstance(module, Matrix) and (module._forward_hooks or module._forward_pre_hooks):
                raise Unsuitable("layers with hooks")
            self.placed.append(Placed.of(module, source.shape, positions))
        placed = self.placed[-1 if which is None else which]
        if operation.is_recurrent:
            return self.graph.recurrent(
                placed.layer if which is None else which, operation.detail, source, operation.outputs
            )
        if which is None:
            return self.graph.layer(placed.layer, source, operation.shape, flipped)
        if (placed.layer.positions, placed.image if placed.window else ()) != (
            positions,
            source.shape if placed.window else (),
        ):
            raise Unsuitable("a weight that is used for samples of different sizes")
        return self.graph.use(which, source, operation.shape, flipped)

    def known(self, module: nn.Module | Matrix) -> int | None:
        """Find the number of a layer that was used before; None: it was not."""
        for number, each in enumerate(self.placed):
            if each.module is module or each.module == module:
                return number
            if each.module.weight is getattr(module, "weight", None) and not isinstance(module, Matrix):
                if getattr(each.module, "bias", None) is not getattr(module, "bias", None):
                    raise Unsuitable("a weight that is used with several biases")
                return number
        return None

    def holder(self, operation: WeightLayer) -> nn.Module | Matrix:
        """Find the module that holds a weight."""
        name = operation.name.partition(":")[0]
        outer, _, inner = name.rpartition(".")
        try:
            part = self.model.get_submodule(outer)
            if isinstance(part, nn.RNNBase | AnalogRecurrent) and (part._forward_hooks or part._forward_pre_hooks):
                raise Unsuitable("layers with hooks")
            if isinstance(part, nn.RNNBase):
                return Matrix(part, inner)
            found = self.model.get_submodule(name)
            if isinstance(found, AnalogTransposed | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
                raise Unsuitable("a transposed convolution")
            return found
        except AttributeError:
            raise Unsuitable("a weight that no layer of its own holds") from None

    def between_layers(self, operation: WeightLayer, source: Value) -> Value:
        """Apply the dropout between the layers of a recurrent module."""
        part = self.behind_dropout(operation)
        if part is None:
            return source
        place = id(part), source.number
        if place not in self.masked:
            self.masked[place] = self.mask(Dropout(part, "dropout", source.shape, time_first=True), source)
        return self.masked[place]

    def behind_dropout(self, operation: Operation) -> nn.Module | None:
        """Return the recurrent module of which a layer is the second or a later one, with dropout before it."""
        part, inner = self.recurrent_of(operation)
        first = inner.removesuffix("_reverse") == "ih_l0"
        return part if part is not None and inner.startswith("ih_l") and not first and part.dropout else None

    def recurrent_of(self, operation: Operation) -> tuple[Any, str]:
        """Return the recurrent module that an operation is a matrix of, if it is, and the matrix's name there."""
        outer, _, inner = operation.name.partition(":")[0].rpartition(".")
        try:
            part = self.model.get_submodule(outer) if outer else self.model
        except AttributeError:
            return None, inner
        return part if isinstance(part, nn.RNNBase | AnalogRecurrent) else None, inner

    def is_between_layers(self, operation: Operation) -> bool:
        """Tell whether all that reads an operation are later layers of recurrent modules, which have its dropout."""
        readers, follow = {each.name: each for each in self.network.operations}, self.network.graph.successors
        behind = [readers[name] for name in follow(operation.name)]
        for turned in [each for each in behind if each.detail == "flip"]:
            behind.remove(turned)
            behind += [readers[name] for name in follow(turned.name)]
        return all(isinstance(each, WeightLayer) and self.behind_dropout(each) is not None for each in behind)

    def mask(self, dropout: Dropout, source: Value) -> Value:
        """Multiply by the masks of a dropout."""
        self.masks.append(dropout)
        return self.graph.mask(source)

    def digital(self, operation: Operation, sources: list[Value]) -> Value:
        """Translate what digital units compute."""
        source, kind, graph = sources[0], operation.kind, self.graph
        if kind == "flatten" or operation.detail in _UNCHANGED:
            return graph.reshape(source, operation.shape)
        if operation.detail == "prelu":
            return self.norm(operation, source)
        if operation.detail == "detach":
            return graph.detach(source)
        if kind == "activation":
            tangent = operation.detail == "gelu" and dict(operation.numbers).get("approximate", 0.0) != 0.0
            return graph.function("gelu tanh" if tangent else operation.detail, source, *_numbers(operation))
        if kind == "moves":
            return _moved(graph, operation, sources)
        if kind == "pool" and operation.axes:
            source = _axes_last(graph, source, operation.axes)
        if kind == "pool":
            return graph.pool(source, operation.shape, _window(operation, source), operation.detail == "average")
        if kind == "select":
            axis, numbers = operation.axes[0], np.arange(source.size).reshape(source.shape)
            return graph.gather(source, numbers.take(range(*operation.taken), axis).reshape(operation.shape))
        if kind == "dropout" and self.is_between_layers(operation):
            return source  # the layer behind it applies it
        if kind == "dropout" and operation.detail in ("dropout", "feature_dropout"):
            return self.dropout(operation, source)
        if kind == "batch_norm" or operation.detail in ("layer_norm", "group_norm"):
            return self.norm(operation, source)
        if kind in ("add", "multiply"):
            return _merged(graph, operation, sources)
        raise Unsuitable(f"the operation {operation.detail or kind}")

    def dropout(self, operation: Operation, source: Value) -> Value:
        """Leave out numbers, or channels, by chance: as a module says, or as a function was told when captured."""
        channels, given = operation.detail == "feature_dropout", dict(operation.numbers)
        try:
            return self.mask(Dropout(self.module(operation), "p", source.shape, channels), source)
        except Unsuitable:
            if "p" not in given:  # it was told to do nothing
                return source
        return self.mask(Dropout(self.model, given["p"], source.shape, channels), source)

    def norm(self, operation: Operation, source: Value) -> Value:
        """Do what a module with factors that learn does; one that does so several times is one norm."""
        module = self.module(operation)
        found = Norm.of(module, source.shape)
        if found is None:
            raise Unsuitable(f"a {type(module).__name__}")
        if found not in self.norms:
            if any(each.module is module for each in self.norms):
                raise Unsuitable("a norm that is used for samples of different sizes")
            self.norms.append(found)
        which, sizes = self.norms.index(found), found.sizes(source.shape)
        if isinstance(module, nn.PReLU):
            return self.graph.slope(which, source, sizes)
        return self.graph.norm(which, source, sizes, float(found.module.eps))

    def module(self, operation: Operation) -> nn.Module:
        """Find the module that an operation is, to ask for what a network does not say of it."""
        try:
            return self.model.get_submodule(operation.name.partition(":")[0])
        except AttributeError:
            raise Unsuitable(f"{operation.detail or operation.kind} as a function") from None


def _merged(graph: Graph, operation: Operation, sources: list[Value]) -> Value:
    """Add, subtract, multiply or divide two values, or a value and a constant or itself."""
    numbers, detail = dict(operation.numbers), operation.detail
    share = numbers.get("alpha", 1.0)
    if "rounding_mode" in numbers:
        raise Unsuitable("a quotient that is rounded")
    if detail in ("square", "double"):
        sources = [sources[0], sources[0]]
    if len(sources) == 1 and "other" in numbers:
        constant = numbers["other"]
        factors = {"mul": (constant, 0.0), "div": (1.0 / constant if constant else math.inf, 0.0)}
        factors |= {"add": (1.0, share * constant), "sub": (1.0, -share * constant), "rsub": (-share, constant)}
        return graph.affine(sources[0], *factors[detail])
    if len(sources) != 2:
        raise Unsuitable(f"the operation {detail} of a value and something that is none")
    one, other = (_spread(graph, source, operation.shape) for source in sources)
    if operation.kind == "multiply":
        return graph.merge(OVER if detail == "div" else TIMES, one, other)
    if detail != "rsub" and share == 1.0 and detail != "sub":
        return graph.add(one, other)
    return graph.merge(WEIGHTED, one, other, *{"rsub": (-share, 1.0), "sub": (1.0, -share)}.get(detail, (1.0, share)))


def _numbered(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Number the places of a sample."""
    return np.arange(math.prod(shape)).reshape(shape)


def _moved(graph: Graph, operation: Operation, sources: list[Value]) -> Value:
    """Put the numbers of several values where an operation moves them."""
    assert operation.moves is not None, "moves say where values go"
    if bool((operation.moves.places < 0).any()):
        raise Unsuitable(f"the operation {operation.detail} with numbers that are no one's")
    sizes, found = [source.size for source in sources], None
    for number, source in enumerate(sources):
        own, places = operation.moves.within(sizes, number)
        taken = graph.gather(source, np.where(own, places, -1).reshape(operation.shape))
        found = taken if found is None else graph.add(found, taken)
    assert found is not None, "something is moved"
    return found


def _axes_last(graph: Graph, source: Value, axes: tuple[int, ...]) -> Value:
    """Turn a value so that these axes come last."""
    kept = [axis for axis in range(len(source.shape)) if axis not in axes]
    return graph.gather(source, _numbered(source.shape).transpose(*kept, *axes))


def _spread(graph: Graph, source: Value, shape: tuple[int, ...]) -> Value:
    """Repeat the numbers of a value along the axes on which it has one, as torch does."""
    if source.shape == shape:
        return source
    return graph.gather(source, np.broadcast_to(np.arange(source.size).reshape(source.shape), shape))


def _numbers(operation: Operation) -> tuple[float, float]:
    """Find the parameters of a function."""
    if operation.detail in _PLAIN:
        return 0.0, 0.0
    if operation.detail == "relu6":
        return 0.0, 6.0
    given = dict(operation.numbers)
    plain = given.get("scale", 1.0) == given.get("input_scale", 1.0) == 1.0
    if operation.detail == "gelu":
        return 0.0, 0.0
    fields = _FIELDS.get(operation.detail, ("",))
    if not plain or any(name not in given for name in fields):
        raise Unsuitable(f"the function {operation.detail}")
    a, b = (*(given[name] for name in fields), 0.0)[:2]
    return a, b


def _window(operation: Operation, source: Value) -> tuple[int, ...]:
    """Find the sizes of a pooling, along two axes."""
    if operation.axes:  # a mean, over the last axes
        axes = len(source.shape) - len(operation.axes)
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
            given = dict(operation.numbers)
            if given.get("divisor_override"):
                raise Unsuitable("an average with a divisor of its own")
            sizes["pads_count"] = int(given.get("count_include_pad", True))
    return pooling(height=image[0], width=image[1], rows=out[0], columns=out[1], **sizes)
