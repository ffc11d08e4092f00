"""From any torch module of linear and convolution layers to the `Network` that a chip can be planned for.

The module is copied onto ``torch.device("meta")`` (shapes without storage: a network of billions of weights costs
megabytes), put into evaluation or training mode and traced by ``torch.export``, which follows the user's own
``forward`` and so also sees ``F.linear``, ``+`` and whatever else is written there. Nothing is decomposed: each traced
operation is looked up in `ACCEPTED` and becomes one operation of the network. The user's module is not touched.

A batch is traced and taken off again, so an operation that mixes samples is refused. Operations whose result is not
used are left out. A weight that is used twice gives two weight layers with the same `parameter`, which lie on the same
arrays (`Network.uses`). What is computed from constants alone is constant, and left out as well.

What only training does (``if self.training``: auxiliary heads, noise, losses) is in the training graph. That graph may
return several tensors, and losses: what is computed for a loss alone is left out, as a loss outside the module is; a
layer whose result is kept aside for one is not. If both modes do the same, both networks are equal.

>>> import torch
>>> network = capture(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)), (4,))
>>> [(layer.name, layer.rows, layer.columns) for layer in network.layers]
[('0', 3, 4), ('2', 2, 3)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.errors import InputError
from rpusim.kernels.layers.convert import Key, convertible, kept_digital
from rpusim.kernels.layers.held import Held
from rpusim.kernels.layers.low_rank import LowRank
from rpusim.workloads.capture.export import export, meta_copy
from rpusim.workloads.capture.recurrent import unrolled
from rpusim.workloads.capture.samples import GivenInputs, Samples
from rpusim.workloads.capture.traced import ACCEPTED_MODULES, WEIGHT_LAYERS
from rpusim.workloads.capture.translator import Translator


def capture(
    module: nn.Module,
    input_shape: GivenInputs,
    name: str = "",
    training: bool = False,
    exclude: Iterable[Key] = (),
) -> Network:
    """Trace a module into a `Network`, its weight layers and operations; weights are neither read nor allocated.

    module:       any module that ``torch.export`` takes, with one weight layer or more: Linear, convolutions
                  (transposed ones, too), RNN, LSTM and GRU (see `unrolled`), and products with parameters. What is
                  between them is digital work. It may take and return several tensors, and live on the meta device.
    input_shape:  of one sample, such as (1, 28, 28); for several inputs, dtypes, examples and names see `Samples.of`.
    name:         of the network; the module's class if not given.
    training:     whether it is traced as in training mode; else as in evaluation mode.
    exclude:      weights that stay digital: modules by name, pattern or class, or parameters by name.

    A weight layer is named after the submodule that holds its weight ("features.0"), or after the parameter where a
    function uses one that is not called weight; a second use gets ":2". Raises InputError for anything else.
    """
    evaluation, trained = _both(module, input_shape, name, training, exclude)
    return trained if training else evaluation


def capture_modes(
    module: nn.Module, input_shape: GivenInputs, name: str = "", exclude: Iterable[Key] = ()
) -> tuple[Network, Network]:
    """Trace a module as in training and as in evaluation; arguments as of `capture`.

    Returns both networks; the same one twice if both modes do the same. Raises InputError as `capture` does, and if
    evaluation is more than a part of training.
    """
    evaluation, trained = _both(module, input_shape, name, True, exclude)
    if trained is not evaluation:
        _check_modes(trained, evaluation)
    return trained, evaluation


def _both(
    module: nn.Module, input_shape: GivenInputs, name: str, training: bool, exclude: Iterable[Key]
) -> tuple[Network, Network]:
    """Trace a module as in evaluation and, if that may differ and is asked for, as in training."""
    if not isinstance(module, nn.Module):
        raise InputError(f"capture got a {type(module).__name__}, accepted: a torch.nn.Module")
    shape = Samples.of(input_shape)
    for path, part in module.named_modules():
        if type(part).__module__.startswith("rpusim.kernels.") and not isinstance(part, nn.Sequential | LowRank):
            what = f"module {path!r} ({type(part).__name__})" if path else type(part).__name__
            raise InputError(f"{what} is on arrays already, accepted: the module as it was before that")
    _check_memory(module)
    name = name or type(module).__name__
    how: dict[str, Any] = {
        "kept": kept_digital(module, exclude),
        "tied": training,
        "axes": [one.axis for one in shape.all],
    }
    evaluation = _traced(module, shape, name, **how)
    found = _with_frozen(evaluation.network(), module)
    if not training or _same_in_both_modes(module):
        return found, found
    try:
        trained = _with_frozen(
            _traced(module, shape, name, evaluation.unread(), training=True, **how).network(), module
        )
    except InputError as error:
        raise InputError(f"in training mode, {error}") from error
    if _form(found) != _form(trained):
        return found, trained
    # What a function that leaves out numbers was told, it was told in training.
    told = any(one.kind == "dropout" and one.numbers != other.numbers for one, other in _pairs(found, trained))
    return (trained, trained) if told else (found, found)


def _with_frozen(network: Network, module: nn.Module) -> Network:
    """Mark the layers whose weight and bias do not learn (``requires_grad``) in a network of a module."""
    learns = {name: value.requires_grad for name, value in module.named_parameters(remove_duplicate=False)}
    frozen = [
        each for each in network.layers if not learns.get(each.parameter, True) and not _bias_learns(each, learns)
    ]
    if not frozen:
        return network
    graph = network.graph.copy()
    for each in frozen:
        graph.nodes[each.name]["operation"] = replace(each, frozen=True)
    return replace(network, graph=graph)


def _bias_learns(layer: WeightLayer, learns: Mapping[str, bool]) -> bool:
    """Tell whether a layer has a bias that learns; learns: of every parameter, by name."""
    own = f"{layer.parameter.rpartition('.')[0]}.bias".lstrip(".")
    return layer.bias and learns.get(layer.bias_parameter or own, True)


def _check_memory(module: nn.Module) -> None:
    """Refuse two parameters with the same numbers in memory, which change together and would be on two arrays."""
    found: dict[int, list[tuple[int, int, str]]] = {}
    for name, parameter in module.named_parameters():
        if is_lazy(parameter) or parameter.dim() < 2 or parameter.is_meta or not parameter.numel():
            continue
        start = int(parameter.storage_offset())
        sides = zip(parameter.shape, parameter.stride(), strict=True)
        stop = start + sum((int(size) - 1) * int(step) for size, step in sides) + 1
        others = found.setdefault(parameter.untyped_storage().data_ptr(), [])
        for first, last, other in others:
            if start < last and first < stop:
                raise InputError(
                    f"parameters {other!r} and {name!r} are two with the same numbers in memory, which an optimizer "
                    "changes together, but arrays would not; accepted: one parameter in both places, which a function "
                    "may use transposed, as F.linear(x, self.encoder.weight.t())"
                )
        others.append((start, stop, name))


def _traced(
    module: nn.Module,
    shape: Samples,
    name: str,
    unread: AbstractSet[str] = frozenset(),
    training: bool = False,
    **how: Any,
) -> Translator:
    """Trace a copy of a module in one mode; arguments as of `Translator`."""
    twin = unrolled(meta_copy(module).train(training))
    known = dict(module.named_buffers(remove_duplicate=False))
    return Translator(name, twin, export(twin, shape), training, unread, known, **how)


def _same_in_both_modes(module: nn.Module) -> bool:
    """Tell, without tracing, that a module does the same in both modes: it is made of nothing but torch's own."""

    def known(part: nn.Module) -> bool:
        written = {"forward", "__call__"} & vars(part).keys() or part._forward_hooks or part._forward_pre_hooks
        named = type(part).__name__ in (*ACCEPTED_MODULES, "Sequential")
        return type(part).__module__.startswith("torch.nn.") and named and not written

    return all(map(known, module.modules()))


def _form(network: Network) -> list[tuple[Any, tuple[int, ...]]]:
    """Describe a network by what it does: digital operations go without names, and outputs are free."""
    graph = network.graph
    place = {name: number for number, name in enumerate(graph) if graph.nodes[name]["operation"].kind != "output"}
    found = []
    for name in place:
        operation = graph.nodes[name]["operation"]
        told = () if operation.kind == "dropout" else operation.numbers
        named = operation if isinstance(operation, WeightLayer) else replace(operation, name="", numbers=told)
        found.append((named, tuple(place[source] for source in graph.predecessors(name))))
    return found


def _pairs(one: Network, other: Network) -> Iterator[tuple[Operation, Operation]]:
    """Go through the operations of two networks that do the same."""
    sides = ([each for each in network.operations if each.kind != "output"] for network in (one, other))
    return zip(*sides, strict=True)


def _check_modes(training: Network, evaluation: Network) -> None:
    """Refuse a module of which evaluation is more than a part of training, which the clock cannot follow."""
    learns = {use: (number, training.layers[number]) for use, number in training.by_use.items()}
    last = -1
    for use, index in evaluation.by_use.items():
        layer = evaluation.layers[index]
        where = f"network {evaluation.name!r}: layer {layer.name!r}"
        if use not in learns:
            raise InputError(
                f"{where} is used in evaluation mode but not in training mode, which the clock cannot follow; "
                "accepted: every layer that is used in evaluation is used in training, too"
            )
        number, same = learns[use]
        if same != layer or number < last:
            what = "order" if same == layer else "shape"
            raise InputError(
                f"{where} is used in another {what} in evaluation mode than in training mode, which the clock cannot "
                "follow; accepted: the same in both, but for layers that only training uses"
            )
        last = number


def check_convertible(network: Network, module: nn.Module) -> None:
    """Refuse a network that can be mapped and timed but not computed.

    network:  what `capture` found of the module.
    module:   whose weight layers are to be put on arrays, each on its own.

    Raises InputError if a weight is computed from parameters, or the module is a weight layer by itself.
    """
    if isinstance(module, WEIGHT_LAYERS):
        raise InputError(
            f"network: got a {type(module).__name__} by itself; accepted: a module that holds it, such as "
            f"nn.Sequential(nn.{type(module).__name__}(...))"
        )
    parameters = dict(module.named_parameters(remove_duplicate=False))
    matrices = convertible(module)
    for index in range(len(network.layers)):
        uses = [network.layers[use] for use in network.uses(index)]
        layer = uses[0]
        if any(use.name.partition(":")[0] in matrices for use in uses):
            continue
        held = parameters.get(layer.parameter)
        shape = (layer.columns, layer.rows) if layer.turned else (layer.rows, layer.columns)
        transposed = held is not None and not layer.order and shape[0] != held.shape[0]
        if held is None or transposed or any(use.assumed for use in uses):
            raise InputError(
                f"network: weight {layer.parameter!r} is computed from parameters before it is used, which can be "
                "mapped and timed, but arrays hold and learn plain parameters only; accepted: a parameter that is used "
                f"as it is, or exclude={[layer.parameter.partition(' ')[0]]!r}, with which it stays digital"
            )


def held_parameters(network: Network, module: nn.Module, column: bool) -> dict[str, Held]:
    """Find the parameters that functions multiply by, such as ``self.w`` in ``x @ self.w``, and how they lie on arrays.

    network:  what `capture` found of the module. column: whether a bias is a further column of its matrix.

    Returns them by the name of the (first) layer that uses each.
    """
    matrices, found = convertible(module), dict[str, Held]()
    for index, first in enumerate(network.layers):
        uses = [network.layers[use] for use in network.uses(index)]
        if uses[0] is not first or any(use.name.partition(":")[0] in matrices for use in uses):
            continue
        lying = next((use for use in uses if not use.turned), None)
        if lying is None:
            found[first.name] = Held(first.parameter, first.columns, first.rows)
            continue
        window = lying.window if lying.kind != "linear" and not lying.order else None
        axes = 0 if window is None else module.get_parameter(first.parameter).dim() - 2
        windows = () if window is None else (window.stride[-axes:], window.padding[-axes:], window.dilation[-axes:])
        bias = lying.bias_parameter if lying.bias and column else ""
        own = Held(first.parameter, lying.rows, lying.columns, lying.groups, lying.order, bias, windows)
        found[first.name] = own
    return found
