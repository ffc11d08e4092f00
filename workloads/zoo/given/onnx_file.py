"""Networks of ONNX files: each node of the graph becomes the operation of torch that does the same.

Weights are those of the file, as parameters, so that a network can be inferred, retrained or only timed. The first axis
of the one input is that of the samples. Operations that are not in `NODES` are refused by name. The package onnx reads
the files (``pip install rpusim[onnx]``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError, nearest

Given = Mapping[str, Any]
"""Attributes of a node."""


def _window(a: Given, axes: int) -> dict[str, Any]:
    """Return stride, padding and dilation of a window; padding must be the same at both ends."""
    pads = list(a.get("pads", [0] * 2 * axes))
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID", "NOTSET", "VALID") or pads[:axes] != pads[axes:]:
        raise InputError("uneven padding; accepted: as much at both ends")
    return {
        "stride": tuple(a.get("strides", [1] * axes)),
        "padding": tuple(pads[:axes]),
        "dilation": tuple(a.get("dilations", [1] * axes)),
    }


def _conv(a: Given, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    axes = w.dim() - 2
    y: Tensor = (F.conv1d, F.conv2d, F.conv3d)[axes - 1](x, w, b, **_window(a, axes), groups=a.get("group", 1))
    return y


def _conv_transpose(a: Given, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    axes = w.dim() - 2
    function: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
    more = tuple(a.get("output_padding", [0] * axes))
    y: Tensor = function(x, w, b, **_window(a, axes), groups=a.get("group", 1), output_padding=more)
    return y


def _gemm(a: Given, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    if a.get("transA") or a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0:
        raise InputError("Gemm with transA, alpha or beta; accepted: x W, or x W^T, and a bias")
    return F.linear(x, w, b) if a.get("transB") else (x @ w if b is None else x @ w + b)


def _pool(kind: str) -> Callable[..., Tensor]:
    def pooled(a: Given, x: Tensor) -> Tensor:
        axes = len(a["kernel_shape"])
        window, ceil = _window(a, axes), bool(a.get("ceil_mode"))
        function: Any = getattr(F, f"{kind}_pool{axes}d")
        stride, padding, kernel = window["stride"], window["padding"], tuple(a["kernel_shape"])
        if kind == "max":
            return function(x, kernel, stride, padding, window["dilation"], ceil)  # type: ignore[no-any-return]
        return function(x, kernel, stride, padding, ceil, bool(a.get("count_include_pad")))  # type: ignore[no-any-return]

    return pooled


def _listed(given: Any) -> list[int]:
    """Read axes or sizes, which are constants."""
    return [int(each) for each in (given.tolist() if isinstance(given, Tensor) else given)]


def _reshape(a: Given, x: Tensor, sizes: Tensor) -> Tensor:
    listed = [x.shape[axis] if size == 0 else size for axis, size in enumerate(_listed(sizes))]
    return x.reshape(x.shape[0], *listed[1:]) if listed[0] in (1, -1, x.shape[0]) else x.reshape(listed)


def _clip(a: Given, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    low, high = (a.get("min") if low is None else float(low)), (a.get("max") if high is None else float(high))
    return x.clamp(low, high)


def _reduced(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduce(a: Given, x: Tensor, axes: Any = None) -> Tensor:
        listed = _listed(a["axes"] if axes is None else axes)
        return function(x, listed, keepdim=bool(a.get("keepdims", 1)))

    return reduce


def _split(a: Given, x: Tensor, sizes: Any = None) -> tuple[Tensor, ...]:
    axis = a.get("axis", 0)
    if sizes is not None or "split" in a:
        return torch.split(x, _listed(a["split"] if sizes is None else sizes), axis)
    return x.chunk(a["num_outputs"], axis)


def _pad(a: Given, x: Tensor, pads: Any = None, value: Any = None) -> Tensor:
    listed, axes = _listed(a["pads"] if pads is None else pads), x.dim()
    ends = [end for axis in reversed(range(axes)) for end in (listed[axis], listed[axis + axes])]
    mode = a.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    names = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    kept = ends if mode == "constant" else ends[: 2 * (axes - 2)]
    return F.pad(x, kept, names[mode], float(value or 0.0)) if mode == "constant" else F.pad(x, kept, names[mode])


def _slice(a: Given, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Tensor:
    first, last = _listed(a["starts"] if starts is None else starts), _listed(a["ends"] if ends is None else ends)
    along = _listed(axes) if axes is not None else list(a.get("axes", range(len(first))))
    every = _listed(steps) if steps is not None else [1] * len(first)
    for axis, start, stop, step in zip(along, first, last, every, strict=True):
        cut = [slice(None)] * x.dim()
        cut[axis] = slice(start, min(stop, 2**62), step)
        x = x[tuple(cut)]
    return x


def _gather(a: Given, x: Tensor, at: Tensor) -> Tensor:
    axis = a.get("axis", 0)
    if axis == 0 and at.dtype == torch.int64 and at.dim() and isinstance(x, nn.Parameter):
        return F.embedding(at, x)
    return x.index_select(axis, at.reshape(-1)).reshape(*x.shape[:axis], *at.shape, *x.shape[axis % x.dim() + 1 :])


def _squeeze(a: Given, x: Tensor, axes: Any = None) -> Tensor:
    return x.squeeze(tuple(_listed(a["axes"] if axes is None else axes)))


def _unsqueeze(a: Given, x: Tensor, axes: Any = None) -> Tensor:
    for axis in sorted(_listed(a["axes"] if axes is None else axes)):
        x = x.unsqueeze(axis)
    return x


def _batch_norm(a: Given, x: Tensor, w: Tensor, b: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return F.batch_norm(x, mean, var, w, b, False, 0.1, a.get("epsilon", 1e-5))


def _layer_norm(a: Given, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    return F.layer_norm(x, w.shape, w, b, a.get("epsilon", 1e-5))


def _gelu(a: Given, x: Tensor) -> Tensor:
    way = a.get("approximate", b"none")
    return F.gelu(x, approximate=way.decode() if isinstance(way, bytes) else way)


NODES: dict[str, Callable[..., Any]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": lambda a, x, y: x @ y,
    "MaxPool": _pool("max"),
    "AveragePool": _pool("avg"),
    "GlobalAveragePool": lambda a, x: x.mean(tuple(range(2, x.dim())), keepdim=True),
    "GlobalMaxPool": lambda a, x: x.amax(tuple(range(2, x.dim())), keepdim=True),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Div": lambda a, x, y: x / y,
    "Pow": lambda a, x, y: x ** (float(y) if y.numel() == 1 else y),
    "Max": lambda a, x, y: torch.maximum(x, y),
    "Min": lambda a, x, y: torch.minimum(x, y),
    "Where": lambda a, c, x, y: torch.where(c, x, y),
    "Relu": lambda a, x: F.relu(x),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)),
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "HardSigmoid": lambda a, x: (x * a.get("alpha", 0.2) + a.get("beta", 0.5)).clamp(0, 1),
    "Tanh": lambda a, x: torch.tanh(x),
    "Softplus": lambda a, x: F.softplus(x),
    "Gelu": _gelu,
    "Erf": lambda a, x: torch.erf(x),
    "Exp": lambda a, x: x.exp(),
    "Log": lambda a, x: x.log(),
    "Sqrt": lambda a, x: x.sqrt(),
    "Neg": lambda a, x: -x,
    "Abs": lambda a, x: x.abs(),
    "Reciprocal": lambda a, x: x.reciprocal(),
    "Clip": _clip,
    "Softmax": lambda a, x: x.softmax(a.get("axis", -1)),
    "LogSoftmax": lambda a, x: x.log_softmax(a.get("axis", -1)),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "ReduceMax": _reduced(torch.amax),
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Reshape": _reshape,
    "Transpose": lambda a, x: x.permute(a.get("perm") or tuple(reversed(range(x.dim())))),
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Gather": _gather,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Identity": lambda a, x: x,
    "Dropout": lambda a, x, *_: x,
}
"""What does a node's work: its attributes, then its inputs."""


class OnnxModule(nn.Module):
    """Run the nodes of a graph, in order; its weights are parameters, named as in the file but for odd characters.

    nodes: (operation, attributes, inputs, outputs) of each. weights, constants: by name. given, returned: names.
    """

    def __init__(
        self,
        nodes: Sequence[tuple[str, dict[str, Any], list[str], list[str]]],
        weights: Mapping[str, Tensor],
        constants: Mapping[str, Tensor],
        given: str,
        returned: str,
    ) -> None:
        super().__init__()
        self._nodes, self._given, self._returned = list(nodes), given, returned
        self._names: dict[str, str] = {}
        self._constants = {name: value for name, value in constants.items() if not value.is_floating_point()}
        for name, value in weights.items():
            self._names[name] = self._free(name)
            self.register_parameter(self._names[name], nn.Parameter(value))
        for name, value in constants.items():
            if name not in self._constants:
                self._names[name] = self._free(name)
                self.register_buffer(self._names[name], value)

    def _free(self, name: str) -> str:
        """Return a name for a tensor of the file that a module can have."""
        plain = "".join(each if each.isalnum() else "_" for each in name).strip("_") or "weight"
        plain = f"w_{plain}" if plain[0].isdigit() else plain
        while hasattr(self, plain):
            plain += "_"
        return plain

    def forward(self, x: Tensor) -> Tensor:
        """Compute the graph for samples (samples, ...)."""
        values: dict[str, Any] = {self._given: x}

        def value(name: str) -> Any:
            if name in values:
                return values[name]
            return getattr(self, self._names[name]) if name in self._names else self._constants.get(name)

        for operation, attributes, inputs, outputs in self._nodes:
            made = NODES[operation](attributes, *(value(name) if name else None for name in inputs))
            values.update(zip(outputs, made if isinstance(made, tuple | list) else [made], strict=False))
        return values[self._returned]  # type: ignore[no-any-return]


def build(path: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Build the network of an ONNX file: a module with its weights, and what one sample is.

    Raises InputError if the package onnx is missing, or there is something in the file that no module is made of.
    """
    try:
        onnx = import_module("onnx")
        helper: Any = import_module("onnx.numpy_helper")
    except ImportError as error:
        raise InputError(
            f"network: {shown(path)} is read by the package onnx, which is not installed; accepted: after "
            "`pip install rpusim[onnx]`"
        ) from error
    try:
        model = onnx.load(str(Path(path).expanduser()))
        onnx.checker.check_model(model)
    except Exception as error:  # whatever the package raises at a file that is none
        said = next(iter(str(error).splitlines()), "").rstrip(".")
        raise InputError(f"network: {shown(path)} cannot be read ({type(error).__name__}: {shown(said)})") from error
    graph = model.graph
    known = {each.name: torch.tensor(np.array(helper.to_array(each))) for each in graph.initializer}
    nodes = []
    for node in graph.node:
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type == "Constant":
            known[node.output[0]] = torch.tensor(np.array(helper.to_array(attributes["value"])))
        elif node.op_type not in NODES or node.domain not in ("", "ai.onnx"):
            raise InputError(
                f"network: {shown(path)}: node {shown(node.name)} is a {shown(node.op_type)}"
                f"{nearest(node.op_type, NODES)}"
            )
        else:
            nodes.append((node.op_type, attributes, list(node.input), list(node.output)))
    inputs = [each for each in graph.input if each.name not in known]
    if len(inputs) != 1 or not graph.output:
        names = ", ".join(each.name for each in inputs)
        raise InputError(f"network: {shown(path)} has inputs {shown(names)}; accepted: one input and an output")
    matrices = {name for _, _, given, _ in nodes for name in given if name in known and known[name].is_floating_point()}
    weights = {name: known[name].float() for name in known if name in matrices and known[name].numel() > 1}
    statistics = {given[at] for kind, _, given, _ in nodes if kind == "BatchNormalization" for at in (3, 4)}
    constants = {name: value for name, value in known.items() if name not in weights or name in statistics}
    weights = {name: value for name, value in weights.items() if name not in statistics}
    module = OnnxModule(nodes, weights, constants, inputs[0].name, graph.output[0].name)
    return module, _sample(path, inputs[0], onnx)


def _sample(path: str, given: Any, onnx: Any) -> tuple[Any, ...]:
    """Return what one sample of an input is."""
    kind = given.type.tensor_type
    sizes = [each.dim_value for each in kind.shape.dim]
    if len(sizes) < 2 or not all(sizes[1:]) or math.prod(sizes[1:]) > 10**9:
        raise InputError(
            f"network: {shown(path)}: its input is of shape {sizes}; accepted: (samples, ...) with known sizes"
        )
    whole = kind.elem_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    return (tuple(sizes[1:]), torch.int64) if whole else tuple(sizes[1:])
