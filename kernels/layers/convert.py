"""`convert` puts the weights of any torch module on analog arrays."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError, Notice, nearest
from rpusim.kernels.layers import KINDS, AnalogLayer, AnalogMultiheadAttention, Splits
from rpusim.kernels.layers.gradient import ArrayWeights
from rpusim.kernels.layers.held import HELD, Held
from rpusim.kernels.layers.matrix.chain import chained
from rpusim.kernels.layers.matrix.lost import Lost
from rpusim.kernels.layers.recurrent import Recurrent
from rpusim.kernels.layers.replicated import REPLICATED, Replication, check_replication
from rpusim.kernels.layers.shared import hold_elsewhere
from rpusim.kernels.tiles.tile import LayerConfig

Key = str | type[nn.Module]
"""A name as in ``named_modules``, a pattern such as ``"*.lstm"``, or a class; each covers what is inside, too."""

ACCEPTED = f"accepted are {', '.join(f'nn.{kind.__name__}' for kind in KINDS)}"

_DIGITAL = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm)
"""Modules of torch that have a matrix and multiply no vector by it."""

_HOOKS = (
    *("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_forward_hooks", "_forward_hooks_with_kwargs"),
    *("_forward_hooks_always_called", "_backward_pre_hooks", "_backward_hooks"),
)


def convert(
    module: nn.Module,
    config: LayerConfig,
    *,
    include: Iterable[Key] | None = None,
    exclude: Iterable[Key] | None = None,
    per_layer: Mapping[Any, LayerConfig] | None = None,
    seed: int = 0,
    path: str = "numba",
    splits: Mapping[str, tuple[Splits | None, Splits | None]] | None = None,
    log: ActivityLog | None = None,
    parameters: Mapping[str, Held] | None = None,
    replicas: Mapping[str, Replication] | None = None,
) -> nn.Module:
    """Copy a module so that its layers of `KINDS` are analog, with the same weights (within the bounds).

    Everything else stays digital: embeddings, norms, and parameters of modules that hold others. A layer that is used
    in several places is converted once. Matrices of a layer that has several are called as in "lstm.hh_l0".

    module:     any torch module; it stays as it is.
    config:     what the arrays are: `AnalogConfig` to learn by pulses, `InferenceConfig` to infer only.
    include:    which layers (`Key`); None: all.
    exclude:    layers that stay digital, with all that is inside them.
    per_layer:  a configuration of its own for layers or matrices (`Key`); of several entries that fit, the last one
                holds.
    seed:       names all random numbers together with the matrix's index (in the order of the modules) and the tile's.
    path, log:  as for `rpusim.kernels.tiles.tile.Tile`.
    splits:     by matrix, the sizes of the blocks of outputs and of inputs (bias column included).
    parameters: by the name that the matrix gets, parameters of the module that functions multiply by, such as
                ``self.w`` in ``x @ self.w``; then all else that is not of `KINDS` stays digital. None: nobody knows
                what functions do, and a module that has a matrix of its own is refused.
    replicas:   by layer, how many matrices share its vectors, and how (`Replication`).

    InputError: a weight layer that cannot be analog (exclude it), weights that are not finite, that are computed, or
    that another module shares, an unknown name. `ClippedWeights` is a warning that cells cannot hold the weights.
    """
    checks.instance("module", module, nn.Module)
    checks.instance("config", config, LayerConfig)
    checks.integer("seed", seed, low=0)
    own_matrices = dict(parameters or {})
    found = _layers(module, _keys("include", include), _keys("exclude", exclude), parameters is None)
    if not found and not own_matrices:
        raise InputError(f"module: {type(module).__name__} has no layer to convert; {ACCEPTED}")
    same = _one_weight(found)
    _check_ties(module, found, same, parameters is None)
    matrices = {part: _matrices(part, kind, names) for part, (kind, names) in found.items()}
    known = {
        name for of_part in matrices.values() for names in of_part.values() for name in names
    } | own_matrices.keys()
    chosen = _Choice(config, dict(per_layer or {}), dict(splits or {}), known)
    copies = _replicas(dict(replicas or {}), found, known)

    replaced: dict[int, nn.Module] = {}
    shared: dict[int, Any] = {}  # parameters, by what stands for them where modules use them otherwise
    index, lost = 0, []
    for part, (kind, names) in found.items():
        options = {"seed": seed, "layer": index, "path": path, "log": log}
        own = {matrix: chosen.options(part, full) for matrix, full in matrices[part].items()}
        _check_weights(names[0], part)
        try:
            several = {"config": config, "per_matrix": own}
            if part in copies and copies[part].number > 1:
                check_replication(own[""]["config"], copies[part])
                kind = cast(Any, REPLICATED[kind])
                analog = kind.of(part, **options, **own[""], replication=copies[part])
            else:
                analog = kind.of(part, **options, **own.get("", several))
        except InputError as error:
            raise InputError(f"{names[0] or 'module'}: {error}") from None
        for hooks in _HOOKS:
            getattr(analog, hooks).update(getattr(part, hooks))
        lost += [(names[0] or "module", each.lost) for each in analog.modules() if isinstance(each, AnalogLayer)]
        replaced[id(part)] = analog.train(part.training).to(next(part.parameters()).device)
        replaced |= {id(other): replaced[id(part)] for other in same.get(part, ())}
        if isinstance(analog, AnalogLayer):
            shared |= _parameters_of(part, analog)
        index += len(own)
    held, of_held = _held(module, own_matrices, chosen, {"seed": seed, "path": path, "log": log}, index)
    lost += [(name, layer.lost) for name, layer in held.items()]
    chosen.check_all_used()
    _warn_of_lost(lost)
    if id(module) in replaced:
        return replaced[id(module)]
    # A copy in which every converted layer is already known, under all the names it has.
    known_parts: dict[int, Any] = {**replaced, **shared, **of_held}
    analog_module: nn.Module = copy.deepcopy(module, known_parts)
    for name, layer in held.items():
        outer, _, inner = own_matrices[name].parameter.rpartition(".")
        analog_module.get_submodule(outer).add_module(f"{inner}{HELD}", layer)
    hold_elsewhere(analog_module)
    _close_short_paths(analog_module)
    chained(analog_module)
    return analog_module


def _replicas(
    given: dict[str, Replication], found: Mapping[nn.Module, tuple[Any, list[str]]], known: set[str]
) -> dict[nn.Module, Replication]:
    """Find which layers get replicas."""
    copies = {part: given.pop(name) for part, (_, names) in found.items() for name in names if name in given}
    accepted = ", ".join(f"nn.{digital.__name__}" for digital, each in KINDS.items() if each in REPLICATED)
    for name in given:
        if name in known:
            raise InputError(
                f"replicas: got them for {name!r}, one of several matrices of a module; accepted: {accepted}"
            )
        raise InputError(f"replicas: no analog layer is called {name!r}{nearest(name, known)}")
    for part, (kind, names) in found.items():
        if part in copies and copies[part].number > 1 and kind not in REPLICATED:
            raise InputError(f"replicas: got them for {names[0]!r}, a {type(part).__name__}; accepted: {accepted}")
    return copies


def _held(
    module: nn.Module, wanted: Mapping[str, Held], chosen: _Choice, options: dict[str, Any], index: int
) -> tuple[dict[str, AnalogLayer], dict[int, Any]]:
    """Put parameters that functions multiply by on arrays.

    wanted: by the name of the matrix. options: of all layers. index: number of the first of them. Returns the layers by
    name, and what stands for the parameters by their identity.
    """
    made: dict[str, AnalogLayer] = {}
    stands: dict[int, Any] = {}
    for number, (name, how) in enumerate(wanted.items(), index):
        given = module.get_parameter(how.parameter)
        bias = module.get_parameter(how.bias) if how.bias else None
        layer = made[name] = how.layer(given, layer=number, **options, **chosen.options(module, [name]))
        layer.set_weights(given, bias)
        layer.learn_as(given, bias)
        stands[id(given)] = layer.weight
        if bias is not None:
            stands[id(bias)] = layer.bias
    return made, stands


def convertible(module: nn.Module, exclude: Iterable[Key] | None = None) -> set[str]:
    """Name all matrices of a module that `convert` puts on arrays; exclude: as there."""
    found = _layers(module, None, _keys("exclude", exclude), False)
    named = (_matrices(part, kind, names) for part, (kind, names) in found.items())
    return {name for of_part in named for names in of_part.values() for name in names}


def kept_digital(module: nn.Module, exclude: Iterable[Key] | None) -> set[str]:
    """Name the parameters that stay digital as a user wants it, under all their names.

    module: any torch module. exclude: modules, by `Key`, and parameters by their names.

    InputError: a key that fits nothing.
    """
    found: set[str] = set()
    for key in _keys("exclude", exclude) or []:
        inside = [
            _joined(name, parameter)
            for name, part in module.named_modules(remove_duplicate=False)
            if _fits(key, name, part)
            for parameter, _ in part.named_parameters(remove_duplicate=False)
        ]
        alone = [name for name, _ in module.named_parameters(remove_duplicate=False) if key == name]
        if not inside and not alone:
            known = [name for name, part in module.named_modules() if name and not list(part.children())]
            raise InputError(f"exclude: no layer is called {_said(key)}{nearest(_said(key), known)}")
        found.update(inside, alone)
    same = {id(values) for name, values in module.named_parameters(remove_duplicate=False) if name in found}
    every = {name for name, values in module.named_parameters(remove_duplicate=False) if id(values) in same}
    for name, part in module.named_modules(remove_duplicate=False):  # matrices by the names that they have on arrays
        own = {_joined(name, parameter) for parameter, _ in part.named_parameters()}
        kind = _kind(part)
        if kind is None or issubclass(kind, AnalogLayer) or not own & every:
            continue
        if not own <= every:
            if any(isinstance(key, str) for key in exclude or []):
                raise InputError(
                    f"exclude: {min(own & every)} is one of several matrices of {name or 'the module'}; accepted: all "
                    f"of them, exclude=[{name!r}]"
                )
            every -= own
        else:
            every |= {
                _joined(name, f"{matrix}.{what}") for matrix in kind.matrices(part) for what in ("weight", "bias")
            }
    return every


def _parameters_of(part: nn.Module, analog: AnalogLayer) -> dict[int, Any]:
    """Find what stands for the parameters of a layer that is on arrays now, by the parameters' identity."""
    named = {name: getattr(analog, name, None) for name in ("weight", "bias")}
    return {id(part._parameters[name]): each for name, each in named.items() if each is not None}


def load_digital(module: nn.Module, state: Mapping[str, Any], strict: bool = True) -> None:
    """Write the state of a digital network to its twin on arrays.

    module:  what `convert` or `place` made of such a network.
    state:   ``state_dict()`` of the digital network, or of one with the same names and shapes.
    strict:  whether every name of either side must be on the other.

    Weights and biases of analog layers are written to their cells, within their bounds; all else is loaded by torch.

    InputError: a name that is missing or left over, or a shape that does not fit.
    """
    checks.instance("module", module, nn.Module)
    left, missing = dict(state), []
    found: list[tuple[str, AnalogLayer, torch.Tensor, torch.Tensor | None]] = []
    everything = module.named_modules(remove_duplicate=False)  # what is in two places has two names in a state
    analog = [(name, part) for name, part in everything if isinstance(part, AnalogLayer)]
    for name, layer in analog:
        sources = _digital_names(module, name)
        parts = [left.pop(source, None) if part is None else left.get(source) for source, part in sources.values()]
        weight, bias = (_of_part(value, part) for value, (_, part) in zip(parts, sources.values(), strict=True))
        wanted = [("weight", weight)] + ([("bias", bias)] if layer.has_bias else [])
        gone = [sources[which][0] for which, value in wanted if value is None]
        missing += gone
        if not gone:
            found.append((name or "module", layer, cast(torch.Tensor, weight), bias))
    for name, part in module.named_modules(remove_duplicate=False):
        if isinstance(part, AnalogMultiheadAttention):
            for packed in ("in_proj_weight", "in_proj_bias"):
                left.pop(_joined(name, packed), None)
        for parameter, values in part._parameters.items():
            if isinstance(values, ArrayWeights) and values.layer is not part:  # the arrays of another layer
                left.pop(_joined(name, parameter), None)
    inside = tuple(f"{name}." if name else "" for name, _ in analog)
    own = {name for name in module.state_dict() if not name.startswith(inside)}
    missing += sorted(own - left.keys())
    over = sorted(left.keys() - own)
    if strict and (missing or over):
        said = [
            f"{word} {', '.join(names[:5])}" for word, names in (("lacks", missing), ("has besides", over)) if names
        ]
        raise InputError(
            f"state: {' and '.join(said)}; accepted is the state_dict of the digital network that was converted, or "
            "strict=False"
        )
    for name, layer, weight, bias in found:  # only now: names that do not fit leave everything as it was
        try:
            layer.set_weights(weight, bias)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    module.load_state_dict({name: value for name, value in left.items() if name in own}, strict=False)
    _warn_of_lost((name, layer.lost) for name, layer, *_ in found)


def _digital_names(module: nn.Module, name: str) -> dict[str, tuple[str, int | None]]:
    """Name the weight and bias of an analog layer in the digital network, and which third of it where q, k, v share."""
    outer, _, inner = name.rpartition(".")
    holder = module.get_submodule(outer) if outer or inner != name else module
    if inner.endswith(HELD):
        layer = holder.get_submodule(inner)
        biases = (n for n, p in holder._parameters.items() if p is not None and p is layer._parameters.get("bias"))
        held = {"weight": inner.removesuffix(HELD), "bias": next(biases, "")}
        return {part: (_joined(outer, held[part]), None) for part in held}
    if isinstance(holder, AnalogMultiheadAttention) and inner in ("q_proj", "k_proj", "v_proj"):
        third = ("q_proj", "k_proj", "v_proj").index(inner)
        packed = holder.kdim == holder.vdim == holder.embed_dim
        weight = ("in_proj_weight", third) if packed else (f"{inner}_weight", None)
        parts = {"weight": weight, "bias": ("in_proj_bias", third)}
    elif isinstance(holder, Recurrent):
        parts = {"weight": (f"weight_{inner}", None), "bias": (f"bias_{inner}", None)}
    else:
        return {part: (_joined(name, part), None) for part in ("weight", "bias")}
    return {part: (_joined(outer, found), third) for part, (found, third) in parts.items()}


def _of_part(value: torch.Tensor | None, third: int | None) -> torch.Tensor | None:
    return value if value is None or third is None else value.chunk(3)[third]


class ClippedWeights(Notice):
    """Cells cannot hold the weights that were written to them."""


NOTICEABLE = 0.05
"""Share of the weights (in norm) that may be lost to the bounds of cells without a word."""


def _warn_of_lost(lost: Iterable[tuple[str, Lost]]) -> None:
    for name, each in lost:
        if each.share > NOTICEABLE:
            warnings.warn(
                f"{name}: {each.clipped} weights are beyond the bounds of their cells and were clipped, half of "
                f"them at least {each.excess:.3g} times too large, the worst {each.worst:.3g} times; {each.share:.0%} "
                "of the weights (in norm) are lost. Scale them with weight_scaling_omega, such as 0.6 times the "
                "device's w_max (`AnalogConfig`, or place(..., weight_scaling_omega=...)), or train on the arrays",
                ClippedWeights,
                stacklevel=3,
            )


class _Choice:
    """Choose configuration and splits for every matrix, and remember which of those given nobody wanted."""

    def __init__(
        self,
        config: LayerConfig,
        per_layer: dict[Key, LayerConfig],
        splits: dict[str, tuple[Splits | None, Splits | None]],
        known: set[str],
    ) -> None:
        self.config, self.per_layer, self.splits, self.known = config, per_layer, splits, known
        self.unused: dict[tuple[str, Key], None] = dict.fromkeys(
            [*(("per_layer", key) for key in per_layer), *(("splits", name) for name in splits)]
        )

    def options(self, part: nn.Module, names: Sequence[str]) -> dict[str, Any]:
        """Choose for the matrix of a layer that goes by these names."""
        config = self.config
        split: tuple[Splits | None, Splits | None] = (None, None)
        for key, given in self.per_layer.items():
            if any(_fits(key, name, part) for name in names):
                config = given
                self.unused.pop(("per_layer", key), None)
        for name in names:
            if name in self.splits:
                split = self.splits[name]
                self.unused.pop(("splits", name), None)
        return {"config": config, "row_splits": split[0], "column_splits": split[1]}

    def check_all_used(self) -> None:
        for field, key in self.unused:
            raise InputError(f"{field}: no analog layer is called {_said(key)}{nearest(_said(key), self.known)}")


def _keys(field: str, given: Iterable[Key] | None) -> list[Key] | None:
    if isinstance(given, str | type):
        raise InputError(f"{field}: {_said(given)} was given; accepted is a list of names and classes")
    keys = None if given is None else list(given)
    for key in keys or []:
        if not isinstance(key, str | type):
            raise InputError(f"{field}: {key!r} was given in the list; accepted are names and classes")
    return keys


def _said(key: Key) -> str:
    return key.__name__ if isinstance(key, type) else repr(key)


def _fits(key: Key, name: str, part: nn.Module) -> bool:
    if isinstance(key, type):
        return isinstance(part, key)
    return fnmatchcase(name, key) or fnmatchcase(name, f"{key}.*")


def _layers(
    module: nn.Module, include: list[Key] | None, exclude: list[Key] | None, strict: bool = True
) -> dict[nn.Module, tuple[Any, list[str]]]:
    """Find the layers to convert, in the order of the modules: the analog kind of each, and all its names.

    strict: refuse modules that have a matrix and of which nobody knows what they do, and keys that fit nothing.
    """
    found: dict[nn.Module, tuple[Any, list[str]]] = {}
    used: set[Key] = set()
    closed: list[str] = []  # what is inside these is not looked at
    kept: set[nn.Module] = set()  # under whatever other names
    for name, part in module.named_modules(remove_duplicate=False):
        if any(name.startswith(outer) for outer in closed):
            continue
        outside = [key for key in exclude or [] if _fits(key, name, part)]
        analog = _kind(part)
        if analog is not None:  # a layer of which a parameter stays digital does so as a whole
            inner = [_joined(name, parameter) for parameter, _ in part.named_parameters()]
            outside += [key for key in exclude or [] if key in inner]
        used.update(outside)
        if outside:
            kept.update(part.modules())
        if outside or analog is not None:
            closed.append(f"{name}." if name else "")
        if outside or (analog is None and not (strict and _is_foreign(part))):
            continue
        inside = [key for key in include or [] if _fits(key, name, part)]
        used.update(inside)
        if include is not None and not inside:
            continue
        if analog is None:
            why = "has a forward of its own and" if isinstance(part, tuple(KINDS)) else ""
            what = " ".join([type(part).__name__, why]).strip()
            raise InputError(f"{name or 'module'}: {what} cannot be analog; {ACCEPTED}, or exclude it")
        found.setdefault(part, (analog, []))[1].append(name)
    for field, given in (("include", include), ("exclude", exclude)):
        for key in given or []:
            if strict and key not in used:
                known = [name for name, part in module.named_modules() if name and not list(part.children())]
                raise InputError(f"{field}: no layer is called {_said(key)}{nearest(_said(key), known)}")
    return {part: kind_and_names for part, kind_and_names in found.items() if part not in kept}


def _kind(part: nn.Module) -> Any:
    """Find the analog class that does what a module does; None if there is none."""
    for digital, analog in KINDS.items():
        if isinstance(part, digital) and type(part).forward is digital.forward:
            return analog
    return None


def _is_foreign(part: nn.Module) -> bool:
    """Tell whether a module has a matrix that it may multiply by, and nobody knows how."""
    matrices = any(is_lazy(p) or p.dim() >= 2 for p in part.parameters(recurse=False))
    return isinstance(part, tuple(KINDS)) or (matrices and not isinstance(part, _DIGITAL) and not _holds_others(part))


def _holds_others(part: nn.Module) -> bool:
    return next(part.children(), None) is not None


def _matrices(part: nn.Module, kind: Any, names: list[str]) -> dict[str, list[str]]:
    """List each matrix of one layer ("" if it is the only one) with all its full names."""
    if issubclass(kind, AnalogLayer):
        return {"": names}
    return {matrix: [f"{name}.{matrix}" if name else matrix for name in names] for matrix in kind.matrices(part)}


def _one_weight(found: dict[nn.Module, tuple[Any, list[str]]]) -> dict[nn.Module, list[nn.Module]]:
    """Find layers that do the same with the same parameters, as where weights are tied: one layer on arrays is both.

    found: as `_layers` gives it; only the first of each is left there, with the names of all.
    """
    first: dict[Any, nn.Module] = {}
    same: dict[nn.Module, list[nn.Module]] = {}
    for part, (_, names) in list(found.items()):
        what = type(part), part.extra_repr(), part.training, *((name, id(p)) for name, p in part.named_parameters())
        before = first.setdefault(what, part)
        if before is not part and not any(getattr(part, hooks) for hooks in _HOOKS):
            found[before][1].extend(names)
            same.setdefault(before, []).append(part)
            del found[part]
    return same


def _check_ties(
    module: nn.Module,
    found: Mapping[nn.Module, Any],
    same: Mapping[nn.Module, Sequence[nn.Module]],
    strict: bool,
) -> None:
    """Refuse weights that somebody uses elsewhere, unless it is known what for; strict: it is not, but for tables."""
    owners: dict[int, list[tuple[str, nn.Module]]] = {}
    for name, part in module.named_modules():
        for parameter, values in part.named_parameters(recurse=False):
            owners.setdefault(id(values), []).append((f"{name}.{parameter}" if name else parameter, part))
    for part, (_, names) in found.items():
        own = {inner for each in (part, *same.get(part, ())) for inner in each.modules()}
        for parameter, values in part.named_parameters():
            for elsewhere, owner in owners[id(values)]:
                table = isinstance(owner, nn.Embedding) and isinstance(part, nn.Linear)
                if owner not in own and not (table or (not strict and not any(part.children()) and _alone(part))):
                    raise InputError(
                        f"{_joined(names[0], parameter)}: it is the same as {elsewhere}, but an array holds the "
                        "weights of one module; accepted are weights of its own, or exclude it"
                    )


def _alone(part: nn.Module) -> bool:
    """Tell whether a layer has one matrix."""
    kind = _kind(part)
    return kind is not None and issubclass(kind, AnalogLayer)


def _check_weights(name: str, part: nn.Module) -> None:
    if parametrize.is_parametrized(part) or any(isinstance(value, torch.Tensor) for value in vars(part).values()):
        raise InputError(
            f"{name or 'module'}: its weights are computed from others; accepted are plain parameters "
            "(remove the parametrization, norm or pruning), or exclude it"
        )
    for parameter, values in part.named_parameters():
        full = _joined(name, parameter)
        if is_lazy(values):
            raise InputError(f"{full}: it has no shape yet; accepted is a module that ran once")
        if not bool(torch.isfinite(values).all()):
            raise InputError(f"{full}: NaN or infinite weights were given; accepted are finite numbers")


def _joined(name: str, parameter: str) -> str:
    return f"{name}.{parameter}" if name else parameter


def _close_short_paths(module: nn.Module) -> None:
    """Keep torch's transformers from computing with the weights of digital layers that are no longer there."""
    for part in module.modules():
        if isinstance(part, nn.TransformerEncoder):
            part.use_nested_tensor = False
        elif isinstance(part, nn.TransformerEncoderLayer):
            part.activation_relu_or_gelu = 0
