"""A network as a list of layers in YAML, for whoever has no torch module.

    input: [1, 28, 28]
    layers:
      - conv: {channels: 16, kernel: 5}
      - tanh
      - max_pool: 2
      - flatten
      - linear: 10
      - log_softmax

A layer is a name, a name with its one number, or a name with a mapping. What it reads follows from the layers before
it. `KINDS` says which there are; ``residual`` adds what its layers give to what they read, ``repeat`` has layers
several times, each time with weights of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rpusim.arch.contract.configuration import read_yaml, shown
from rpusim.errors import InputError, nearest, written

Shape = tuple[int, ...]
MOST_LAYERS, MOST_SIZE = 10_000, 10**7
"""How many layers a network has at most, and the largest size of one."""


class _Last(nn.Module):
    """Return the last position of a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -1]


class _Mean(nn.Module):
    """Return the mean over all axes but that of samples and one: of channels (1), or the last (-1)."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(-1) if self.kept == 1 else x.flatten(1, -2).mean(1)


class _Sequence(nn.Module):
    """Return the outputs of a recurrent layer, without its last state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]  # type: ignore[no-any-return]


class _Residual(nn.Module):
    """Add what layers give to what they read."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


class _Attention(nn.Module):
    """Attend to all positions, or to those before; queries, keys and values have one matrix."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(n, t, d))  # type: ignore[no-any-return]


def _convolution(shape: Shape, channels: int, kernel: int, stride: int, padding: int, groups: int) -> nn.Module:
    kinds = {2: nn.Conv1d, 3: nn.Conv2d, 4: nn.Conv3d}
    return kinds[len(shape)](shape[0], channels, kernel, stride, padding, groups=groups)


def _pool(kind: str) -> Callable[..., nn.Module]:
    def make(shape: Shape, size: int, stride: int) -> nn.Module:
        return getattr(nn, f"{kind}Pool{len(shape) - 1}d")(size, stride or size)  # type: ignore[no-any-return]

    return make


def _recurrent(kind: Any) -> Callable[..., nn.Module]:
    def make(shape: Shape, width: int, layers: int, both_ways: int) -> nn.Module:
        return _Sequence(kind(shape[-1], width, layers, batch_first=True, bidirectional=bool(both_ways)))

    return make


def _batch_norm(shape: Shape) -> nn.Module:
    return {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}[len(shape)](shape[0])


_NEEDED = object()
KINDS: dict[str, tuple[dict[str, Any], Callable[..., nn.Module]]] = {
    "linear": ({"outputs": _NEEDED}, lambda shape, outputs: nn.Linear(shape[-1], outputs)),
    "conv": (
        {"channels": _NEEDED, "kernel": _NEEDED, "stride": 1, "padding": 0, "groups": 1},
        _convolution,
    ),
    "max_pool": ({"size": _NEEDED, "stride": 0}, _pool("Max")),
    "average_pool": ({"size": _NEEDED, "stride": 0}, _pool("Avg")),
    "flatten": ({}, lambda shape: nn.Flatten()),
    "mean": ({}, lambda shape: _Mean(1 if len(shape) > 2 else -1)),
    "last": ({}, lambda shape: _Last()),
    "batch_norm": ({}, _batch_norm),
    "layer_norm": ({}, lambda shape: nn.LayerNorm(shape[-1])),
    "dropout": ({"share": 0.5}, lambda shape, share: nn.Dropout(share)),
    "embedding": ({"rows": _NEEDED, "width": _NEEDED}, lambda shape, rows, width: nn.Embedding(rows, width)),
    "rnn": ({"width": _NEEDED, "layers": 1, "both_ways": 0}, _recurrent(nn.RNN)),
    "lstm": ({"width": _NEEDED, "layers": 1, "both_ways": 0}, _recurrent(nn.LSTM)),
    "gru": ({"width": _NEEDED, "layers": 1, "both_ways": 0}, _recurrent(nn.GRU)),
    "attention": (
        {"heads": _NEEDED, "causal": 0},
        lambda shape, heads, causal: _Attention(shape[-1], heads, bool(causal)),
    ),
    "softmax": ({}, lambda shape: nn.Softmax(-1)),
    "log_softmax": ({}, lambda shape: nn.LogSoftmax(-1)),
    **{
        name: ({}, lambda shape, kind=kind: kind())
        for name, kind in {
            "relu": nn.ReLU,
            "tanh": nn.Tanh,
            "sigmoid": nn.Sigmoid,
            "gelu": nn.GELU,
            "silu": nn.SiLU,
            "leaky_relu": nn.LeakyReLU,
            "elu": nn.ELU,
            "hardtanh": nn.Hardtanh,
        }.items()
    },
}
"""By name: the options with what they are if they are not given, and what makes the layer for a shape of a sample."""


def build(path: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Build the network of a file: a fresh module, and the shape of one sample.

    path: of a YAML file with ``input`` and ``layers``. Raises InputError if there is none, or something in it is wrong.
    """
    file = Path(path).expanduser()
    try:
        there = file.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise InputError(f"network: there is no file {shown(path)}; accepted: a YAML file with input and layers")
    return of(read_yaml(file), file.name)


def of(given: Any, where: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Build the network of a mapping with ``input`` and ``layers``.

    where: the mapping's name, for errors. Raises InputError if something in it is wrong.
    """
    if not isinstance(given, Mapping) or set(given) != {"input", "layers"}:
        named = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise InputError(f"{where}: got {shown(named)}; accepted: input and layers")
    sizes = given["input"]
    listed = isinstance(sizes, list) and sizes and len(sizes) <= 4
    if not listed or any(isinstance(n, bool) or not isinstance(n, int) or not 0 < n <= MOST_SIZE for n in sizes):
        raise InputError(f"{where}: input: got {shown(written(sizes))}; accepted: a list of one to four positive sizes")
    first = given["layers"][0] if isinstance(given["layers"], list) and given["layers"] else None
    whole = isinstance(first, Mapping) and "embedding" in first
    modules, _ = _listed(given["layers"], tuple(sizes), f"{where}: layers", [0], whole)
    return modules, (tuple(sizes), torch.int64) if whole else tuple(sizes)


def _listed(given: Any, shape: Shape, where: str, count: list[int], whole: bool = False) -> tuple[nn.Module, Shape]:
    """Build layers in a row. shape: of a sample before them. count: of all layers so far. whole: it is whole numbers.

    Returns them, and the shape behind them.
    """
    if not isinstance(given, list) or not given:
        raise InputError(f"{where}: got {shown(written(given))}; accepted: a list of layers")
    modules = []
    for number, one in enumerate(given):
        count[0] += 1
        if count[0] > MOST_LAYERS:
            raise InputError(f"{where}: more than {MOST_LAYERS} layers; accepted: at most so many")
        module, shape = _layer(one, shape, f"{where}.{number}", count, whole and number == 0)
        modules.append(module)
    return nn.Sequential(*modules), shape


def _layer(given: Any, shape: Shape, where: str, count: list[int], whole: bool) -> tuple[nn.Module, Shape]:
    """Build one layer; arguments as of `_listed`."""
    name, options = _named(given, where)
    if name == "residual":
        inside, after = _listed(options, shape, f"{where}.residual", count)
        if after != shape:
            raise InputError(f"{where}.residual: its layers turn {shape} into {after}; accepted: into the same shape")
        return _Residual(inside), shape
    if name == "repeat":
        if not isinstance(options, Mapping) or set(options) != {"times", "layers"}:
            raise InputError(f"{where}.repeat: got {shown(written(options))}; accepted: times and layers")
        times = _number(options["times"], f"{where}.repeat.times", 1, MOST_LAYERS)
        copies = []
        for _ in range(int(times)):
            made, shape = _listed(options["layers"], shape, f"{where}.repeat.layers", count)
            copies.append(made)
        return nn.Sequential(*copies), shape
    fields, make = KINDS[name]
    chosen = _options(options, fields, f"{where}.{name}")
    try:
        with torch.device("meta"):
            reads = torch.empty(2, *shape, dtype=torch.int64 if whole else torch.float32)
            after = tuple(make(shape, **chosen).eval()(reads).shape[1:])
        return make(shape, **chosen), after
    except (RuntimeError, ValueError, AssertionError, KeyError, IndexError, AttributeError, TypeError) as error:
        said = next(iter(str(error).splitlines()), "").rstrip(".")
        raise InputError(
            f"{where}.{name}: cannot read samples of shape {shape} ({type(error).__name__}: {shown(said)}); accepted: "
            "a layer that fits the one before it"
        ) from error


def _named(given: Any, where: str) -> tuple[str, Any]:
    """Return the name of a layer and its options."""
    name, options = (given, None) if isinstance(given, str) else (None, None)
    if isinstance(given, Mapping) and len(given) == 1:
        ((name, options),) = given.items()
    known = [*KINDS, "residual", "repeat"]
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{where}: got {shown(written(given))}{nearest(str(name), known)}")
    return name, options


def _options(given: Any, fields: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check the options of a layer, and fill in what is not given."""
    if given is None:
        given = {}
    elif not isinstance(given, Mapping):
        given = {next(iter(fields), "nothing"): given}
    for name in given:
        if name not in fields:
            raise InputError(f"{where}: {shown(str(name))} is not a field{nearest(str(name), fields)}")
    for name, default in fields.items():
        if default is _NEEDED and name not in given:
            raise InputError(f"{where}.{name}: is missing; accepted: a positive whole number")
    found: dict[str, Any] = {}
    for name, default in fields.items():
        if isinstance(default, float):
            found[name] = _number(given.get(name, default), f"{where}.{name}", 0.0, 1.0)
        else:
            low = 1 if default is _NEEDED else min(int(default), 1)
            found[name] = int(_number(given.get(name, default), f"{where}.{name}", low, MOST_SIZE, whole=True))
    return found


def _number(given: Any, where: str, low: float, high: float, whole: bool = False) -> float:
    """Check a number of the file."""
    given = int(given) if isinstance(given, bool) else given
    good = isinstance(given, int if whole else int | float) and math.isfinite(given) and low <= given <= high
    if not good:
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{where}: got {shown(written(given))}; accepted: {kind} from {low:g} to {high:g}")
    return float(given) if not whole else given
