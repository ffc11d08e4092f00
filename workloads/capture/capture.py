"""From any torch module of linear and convolution layers to the `Network` that a chip can be planned for.

The module is copied onto ``torch.device("meta")`` (shapes without storage: a network of billions of weights costs
megabytes), put into evaluation mode and traced by ``torch.export``, which follows the user's own ``forward`` and so
also sees ``F.linear``, ``+`` and whatever else is written there. Nothing is decomposed: each traced operation is
looked up in `ACCEPTED` and becomes one operation of the network. The user's module is not touched.

A batch is traced and taken off again, so an operation that mixes samples is refused. Operations whose result is not
used are left out. A weight that is used twice gives two weight layers with the same `parameter`; the chip can hold
it twice or let both share the array, capture does not decide that. What is computed from constants alone is constant,
and left out as well.

>>> import torch
>>> network = capture(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)), (4,))
>>> [(layer.name, layer.rows, layer.columns) for layer in network.layers]
[('0', 3, 4), ('2', 2, 3)]
"""

from __future__ import annotations

import copy
import io
import logging
import operator
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import fx, nn
from torch.nn.parameter import is_lazy

from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.errors import InputError, nearest
from rpusim.workloads.capture.recurrent import unrolled

BATCH = 2
"""Samples traced at once; not 1, so that a reshape that mixes samples shows."""

_ACTIVATIONS = (
    "relu relu6 sigmoid tanh leaky_relu elu gelu silu hardtanh hardsigmoid hardswish softplus prelu mish selu celu "
    "log_sigmoid threshold clamp clamp_min clamp_max abs neg exp"
)
_POOLS = {
    "max_pool1d": "max",
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
_IDENTITIES = "contiguous clone detach alias to _to_copy"
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
"""Traced operation (the name after ``aten.``) -> kind and detail of the network's operation."""

_MODULES = (
    "Linear Conv1d Conv2d Conv3d RNN LSTM GRU ReLU ReLU6 Sigmoid Tanh LeakyReLU ELU GELU SiLU Hardtanh Hardsigmoid "
    "Hardswish Softplus PReLU Mish MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d "
    "BatchNorm1d BatchNorm2d Dropout Dropout2d Flatten Unflatten Identity Softmax LogSoftmax"
)
WEIGHT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNNBase)
"""Modules whose weights lie on arrays."""
ACCEPTED_MODULES = tuple(_MODULES.split())
ACCEPTED_FUNCTIONS = tuple(name for name in ACCEPTED if not name.startswith("_"))


def capture(module: nn.Module, input_shape: Sequence[int], name: str = "") -> Network:
    """Trace a module into a `Network`, its weight layers and operations; weights are neither read nor allocated.

    module:       Linear, convolutions (any stride, padding, dilation and groups), RNN, LSTM and GRU (see `unrolled`),
                  joined by the operations of `ACCEPTED`, as modules or as functions, taking one tensor and returning
                  one. It may live on the meta device. It is traced as in evaluation mode.
    input_shape:  of one sample, such as (1, 28, 28).
    name:         of the network; the module's class if not given.

    A weight layer is named after the submodule that holds its weight ("features.0"), or after the parameter where a
    function uses one that is not called weight; a second use gets ":2". Raises InputError for anything else.
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"capture got a {type(module).__name__}, accepted: a torch.nn.Module")
    shape = tuple(input_shape) if isinstance(input_shape, Sequence) else (input_shape,)
    if not shape or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in shape):
        raise InputError(f"input_shape is {input_shape!r}, accepted: positive whole numbers, the shape of one sample")
    name = name or type(module).__name__
    twin = unrolled(_meta_copy(module).eval())
    return _Translator(name, shape, twin, _export(twin, shape)).network()


def check_convertible(network: Network, module: nn.Module) -> None:
    """Refuse a network that can be mapped and timed but not computed.

    network:  what `capture` found of the module.
    module:   whose weight layers are to be put on arrays, each on its own.

    Raises InputError if a weight is used twice, or by a function and not by a module, or if the module is a weight
    layer by itself.
    """
    if isinstance(module, WEIGHT_LAYERS):
        raise InputError(
            f"network: got a {type(module).__name__} by itself; accepted: a module that holds it, such as "
            f"nn.Sequential(nn.{type(module).__name__}(...))"
        )
    modules, used = dict(module.named_modules()), dict[str, str]()
    for layer in network.layers:
        if layer.parameter in used:
            raise InputError(
                f"network: weight {layer.parameter!r} is used twice, which can be mapped and timed but not computed; "
                "accepted: every layer with a weight of its own"
            )
        used[layer.parameter] = layer.name
        holder = modules.get(layer.name.rpartition(".")[0])
        if not isinstance(modules.get(layer.name), WEIGHT_LAYERS) and not isinstance(holder, nn.RNNBase):
            raise InputError(
                f"network: weight {layer.parameter!r} is used by a function, which can be mapped and timed but not "
                "computed; accepted: nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNN, nn.LSTM and nn.GRU modules"
            )


def _meta_copy(module: nn.Module) -> nn.Module:
    """Copy a module without the storage of its tensors; tensors that are shared stay shared."""
    memo: dict[int, Any] = {}
    for path, part in module.named_modules():
        for key, tensor in [*part._parameters.items(), *part._buffers.items(), *vars(part).items()]:
            if is_lazy(tensor):
                raise InputError(f"{path or 'module'}.{key} has no shape yet, accepted: a module that ran once")
            if isinstance(tensor, nn.Parameter):
                memo[id(tensor)] = nn.Parameter(torch.empty_like(tensor, device="meta"), tensor.requires_grad)
            elif isinstance(tensor, torch.Tensor):
                memo[id(tensor)] = torch.empty_like(tensor, device="meta").detach()
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:  # whatever a user's attribute may raise when it is copied
        raise InputError(f"{type(module).__name__} cannot be copied: {_first_line(error)}") from error


def _export(twin: nn.Module, shape: tuple[int, ...]) -> torch.export.ExportedProgram:
    """Trace the copy, turning what torch has to say into one sentence."""
    floating = [p.dtype for p in twin.parameters() if p.is_floating_point()]
    with torch.device("meta"), _quiet():
        sample = torch.empty(BATCH, *shape, dtype=floating[0] if floating else torch.float32)
        try:
            return torch.export.export(twin, (sample,), strict=False)
        except InputError:
            raise
        except Exception as error:  # torch.export raises many kinds, among them whatever the user's forward raises
            what = type(twin).__name__
            if "data-dependent" in str(error) or "DataDependent" in type(error).__name__:
                raise InputError(
                    f"{what}.forward decides by the values in its data (an if, a loop or .item()), "
                    "accepted: the same operations for every sample"
                ) from error
            path, part = _failed_in(twin, error)
            kind = type(part).__name__
            if _is_torchs_own(part) and kind not in ACCEPTED_MODULES:
                raise InputError(_unsupported(f"module {path!r} ({kind})", kind, ACCEPTED_MODULES)) from error
            where = f" in module {path!r} ({kind})" if path else ""
            raise InputError(f"{what} cannot run on a sample of shape {shape}: {_first_line(error)}{where}") from error


def _failed_in(twin: nn.Module, error: Exception) -> tuple[str, nn.Module]:
    """Find the innermost submodule of the copy whose forward was running when the error was raised, and its path."""
    paths = {id(part): path for path, part in twin.named_modules()}
    found = ("", twin)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and id(owner) in paths:
            found = (paths[id(owner)], owner)
    return found


def _is_torchs_own(part: nn.Module) -> bool:
    """Tell whether this is one of torch's own modules, as opposed to one the user wrote or a mere container."""
    home = type(part).__module__
    return home.startswith("torch.nn.") and not home.endswith(".container")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's own account of a failed trace off the screen: the `InputError` says it in one sentence."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _unsupported(subject: str, given: str, accepted: Sequence[str]) -> str:
    return f"{subject} is not supported{nearest(given, accepted)}"


class _Translator:
    """Walks the traced graph once, in order, and collects the steps of the network."""

    def __init__(
        self, name: str, shape: tuple[int, ...], twin: nn.Module, program: torch.export.ExportedProgram
    ) -> None:
        self.name, self.shape, self.twin, self.program = name, shape, twin, program
        self.steps: list[tuple[Operation, tuple[str, ...]]] = []
        self.made_by: dict[fx.Node, Operation] = {}  # traced nodes that depend on the sample
        self.taken = {"input", "output"}
        signature = program.graph_signature
        self.held = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.first_name: dict[str, str] = {}  # of a tensor that goes by several names
        self.all_names: dict[str, set[str]] = {}  # by the first one
        seen: dict[int, str] = {}
        for tensors in (twin.named_parameters(remove_duplicate=False), twin.named_buffers(remove_duplicate=False)):
            for full, tensor in tensors:
                first = self.first_name[full] = seen.setdefault(id(tensor), full)
                self.all_names.setdefault(first, set()).add(full)

    def network(self) -> Network:
        nodes = list(self.program.graph.nodes)
        returned = nodes[-1].all_input_nodes
        if len(returned) != 1:
            what = type(self.twin).__name__
            raise InputError(f"{what}.forward returns {len(returned)} tensors, accepted: one that depends on the input")
        live = _needed_for(nodes)
        samples = self.program.graph_signature.user_inputs
        for node in nodes[:-1]:
            if node.op == "placeholder":
                if node.name in samples:
                    self.made_by[node] = Operation("input", "input", self.shape)
            elif node in live:
                self.translate(node)
        if returned[0] not in self.made_by:
            raise InputError(f"the output of {type(self.twin).__name__}.forward does not depend on its input")
        last = self.made_by[returned[0]]
        self.steps.append((Operation("output", "output", last.shape), (last.name,)))
        return connect(self.name, self.shape, self.steps)

    def translate(self, node: fx.Node) -> None:
        """Add the operation of one traced node, unless it computes a constant."""
        sources = [self.made_by[source] for source in node.all_input_nodes if source in self.made_by]
        if not sources:
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
        if kind == "linear" or kind == "recurrent" or kind.startswith("conv"):
            operation = self.weight_layer(node, kind, sources[0], shape, given)
        else:
            name, (window, axes) = self.unique(self.digital_name(node)), self.extent(node, kind, given)
            taken = (0, 0, 1)
            if kind == "select":
                if shape == sources[0].shape:  # of all samples, as in x[:, -1]
                    self.made_by[node] = sources[0]
                    return
                axes, taken = self.selection(node, given)
            operation = Operation.digital(
                name, kind, sources[0].shape, shape, detail, window, axes, inputs=len(sources), taken=taken
            )
        self.steps.append((operation, tuple(source.name for source in sources)))
        self.made_by[node] = operation

    def weight_layer(
        self, node: fx.Node, kind: str, source: Operation, shape: tuple[int, ...], given: dict[str, Any]
    ) -> WeightLayer:
        weight = given["weight"]
        if weight.name not in self.held or given["input"] not in self.made_by:
            subject = self.subject(node)
            if subject.startswith("module") and self.place(node)[1] not in ACCEPTED_MODULES:
                raise InputError(self.refusal(node))
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

    def sample_shape(self, node: fx.Node) -> tuple[int, ...]:
        """Return the shape of the node's (first) value for one sample."""
        value = node.meta["val"]
        shape = tuple((value[0] if isinstance(value, tuple) else value).shape)
        if len(shape) < 2 or shape[0] != BATCH:
            raise InputError(self.mixes_samples(node))
        return shape[1:]

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
        if _is_torchs_own(self.twin.get_submodule(path)):
            return f"module {path!r} ({kind})" if path else f"module {kind}"
        return f"operation {_operation_name(node)!r} in {kind}.forward" + (f" (module {path!r})" if path else "")

    def refusal(self, node: fx.Node) -> str:
        subject, (_, kind), name = self.subject(node), self.place(node), _operation_name(node)
        if not subject.startswith("module"):
            return _unsupported(subject, name, ACCEPTED_FUNCTIONS)
        if kind in ACCEPTED_MODULES:  # such as the padding of a Conv2d with padding_mode="circular"
            return f"operation {name!r} in {subject} is not supported, accepted: a {kind} that does without it"
        return _unsupported(subject, kind, ACCEPTED_MODULES)

    def mixes_samples(self, node: fx.Node) -> str:
        return f"{self.subject(node)} mixes the samples of a batch, accepted: each sample by itself"

    def digital_name(self, node: fx.Node) -> str:
        path, _ = self.place(node)
        is_leaf = next(self.twin.get_submodule(path).children(), None) is None
        return path if path and is_leaf else node.name

    def unique(self, name: str) -> str:
        wanted, count = name, 1
        while name in self.taken:
            count += 1
            name = f"{wanted}:{count}"
        self.taken.add(name)
        return name


def _needed_for(nodes: list[fx.Node]) -> set[fx.Node]:
    """Find the nodes that the output (the last one) is made of; after a change in place torch reads the new value."""
    live = {nodes[-1]}
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


def _sizes(value: Any, axes: int) -> tuple[int, ...]:
    sizes = [value] if isinstance(value, int) else list(value)
    return tuple(int(size) for size in (sizes * axes if len(sizes) == 1 else sizes))
