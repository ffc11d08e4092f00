"""`convert` puts the weights of any torch module on analog arrays."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from rpusim.arch.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels import checks
from rpusim.kernels.config import LayerConfig
from rpusim.kernels.layers import AnalogConv1d, AnalogConv2d, AnalogConv3d, AnalogLayer, AnalogLinear, Splits

ACCEPTED = "accepted are nn.Linear and nn.Conv1d, 2d and 3d"
_CONVOLUTIONS = (AnalogConv1d, AnalogConv2d, AnalogConv3d)


def convert(
    module: nn.Module,
    config: LayerConfig,
    *,
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    per_layer: Mapping[str, LayerConfig] | None = None,
    seed: int = 0,
    path: str = "numba",
    splits: Mapping[str, tuple[Splits | None, Splits | None]] | None = None,
    log: ActivityLog | None = None,
) -> nn.Module:
    """A copy of ``module`` whose linear and convolution layers are analog, with the same weights (within the bounds).

    include, exclude: names of layers as in ``named_modules``, or patterns such as ``"encoder.*"``; excluded ones, with
    all that is inside them, stay digital. per_layer: a configuration of its own for a layer. seed: names all random
    numbers together with the layer's index (in the order of the modules) and the tile's. splits: per layer the sizes of
    the blocks of outputs and of inputs (bias column included). path, log: as for `AnalogTile`.

    InputError: a weight layer that cannot be analog (exclude it), weights that are not finite, an unknown name.
    """
    checks.instance("module", module, nn.Module)
    checks.instance("config", config, LayerConfig)
    found = _weight_layers(module, _patterns("include", include), _patterns("exclude", exclude))
    names = {name for names in found.values() for name in names}
    for field, given in (("per_layer", per_layer), ("splits", splits)):
        for name in given or {}:
            if name not in names:
                raise InputError(f"{field}: no analog layer is called {name!r}; {checks.nearest(name, names)}")

    replaced: dict[int, AnalogLayer] = {}
    for index, (layer, called) in enumerate(found.items()):
        own = next(((per_layer or {})[n] for n in called if n in (per_layer or {})), config)
        rows, columns = next(((splits or {})[n] for n in called if n in (splits or {})), (None, None))
        options: dict[str, Any] = {
            "row_splits": rows,
            "column_splits": columns,
            "seed": seed,
            "layer": index,
            "path": path,
            "log": log,
        }
        _check_weights(called[0], layer)
        try:
            replaced[id(layer)] = _analog(layer, own, options)
        except InputError as error:
            raise InputError(f"{called[0] or 'module'}: {error}") from None
    if not replaced:
        raise InputError(f"module: {type(module).__name__} has no layer to convert; {ACCEPTED}")
    if id(module) in replaced:
        return replaced[id(module)]
    # A copy in which every converted layer is already known, under all the names it has.
    known: dict[int, object] = dict(replaced)
    return copy.deepcopy(module, known)


def _patterns(field: str, given: Iterable[str] | None) -> list[str] | None:
    if isinstance(given, str):
        raise InputError(f"{field}: the string {given!r} was given; accepted is a list of names")
    return None if given is None else list(given)


def _weight_layers(
    module: nn.Module, include: list[str] | None, exclude: list[str] | None
) -> dict[nn.Module, list[str]]:
    """The layers to convert with all their names, in the order of the modules."""
    found: dict[nn.Module, list[str]] = {}
    used: set[str] = set()
    for name, part in module.named_modules(remove_duplicate=False):
        outside = [p for p in exclude or [] if fnmatchcase(name, p) or name.startswith(p + ".")]
        used.update(outside)
        if outside or not any(p.dim() >= 2 for p in part.parameters(recurse=False)):
            continue
        inside = [p for p in include or [] if fnmatchcase(name, p) or name.startswith(p + ".")]
        used.update(inside)
        if include is not None and not inside:
            continue
        _check_kind(name, part)
        found.setdefault(part, []).append(name)
    for field, given in (("include", include), ("exclude", exclude)):
        for pattern in given or []:
            if pattern not in used:
                known = [name for name, part in module.named_modules() if name and not list(part.children())]
                raise InputError(f"{field}: no layer is called {pattern!r}; {checks.nearest(pattern, known)}")
    return found


def _check_kind(name: str, part: nn.Module) -> None:
    where, kind = name or "module", type(part).__name__
    if not isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
        raise InputError(f"{where}: {kind} cannot be analog; {ACCEPTED}, or exclude it")


def _check_weights(name: str, layer: nn.Module) -> None:
    for parameter, values in layer.named_parameters(recurse=False):
        if not bool(torch.isfinite(values).all()):
            full = f"{name}.{parameter}" if name else parameter
            raise InputError(f"{full}: NaN or infinite weights were given; accepted are finite numbers")


def _analog(layer: nn.Module, config: LayerConfig, options: dict[str, Any]) -> AnalogLayer:
    bias = layer.bias is not None
    analog: AnalogLayer
    if isinstance(layer, nn.Linear):
        analog = AnalogLinear(layer.in_features, layer.out_features, config, bias=bias, **options)
    else:
        assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        analog = _CONVOLUTIONS[layer.weight.dim() - 3](
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            config,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            bias=bias,
            padding_mode=layer.padding_mode,
            **options,
        )
    analog.set_weights(layer.weight.cpu(), None if layer.bias is None else layer.bias.cpu())
    return analog.train(layer.training).to(layer.weight.device)
