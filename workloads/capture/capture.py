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

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.errors import InputError
from rpusim.workloads.capture.export import export, meta_copy
from rpusim.workloads.capture.recurrent import unrolled
from rpusim.workloads.capture.samples import GivenInputs, Samples
from rpusim.workloads.capture.traced import ACCEPTED_MODULES, WEIGHT_LAYERS
from rpusim.workloads.capture.translator import Translator


def capture(module: nn.Module, input_shape: GivenInputs, name: str = "", training: bool = False) -> Network:
    """Trace a module into a `Network`, its weight layers and operations; weights are neither read nor allocated.

    module:       any module that ``torch.export`` takes, with one weight layer or more: Linear, convolutions
                  (transposed ones, too), RNN, LSTM and GRU (see `unrolled`), and products with parameters. What is
                  between them is digital work. It may take and return several tensors, and live on the meta device.
    input_shape:  of one sample, such as (1, 28, 28); for several inputs, dtypes, examples and names see `Samples.of`.
    name:         of the network; the module's class if not given.
    training:     whether it is traced as in training mode; else as in evaluation mode.

    A weight layer is named after the submodule that holds its weight ("features.0"), or after the parameter where a
    function uses one that is not called weight; a second use gets ":2". Raises InputError for anything else.
    """
    evaluation, trained = _both(module, input_shape, name, training)
    return trained if training else evaluation


def capture_modes(module: nn.Module, input_shape: GivenInputs, name: str = "") -> tuple[Network, Network]:
    """Trace a module as in training and as in evaluation; arguments as of `capture`.

    Returns both networks; the same one twice if both modes do the same. Raises InputError as `capture` does, and if
    evaluation is more than a part of training.
    """
    evaluation, trained = _both(module, input_shape, name, True)
    if trained is not evaluation:
        _check_modes(trained, evaluation)
    return trained, evaluation


def _both(module: nn.Module, input_shape: GivenInputs, name: str, training: bool) -> tuple[Network, Network]:
    """Trace a module as in evaluation and, if that may differ and is asked for, as in training."""
    if not isinstance(module, nn.Module):
        raise InputError(f"capture got a {type(module).__name__}, accepted: a torch.nn.Module")
    shape = Samples.of(input_shape)
    for path, part in module.named_modules():
        if type(part).__module__.startswith("rpusim.kernels.") and not isinstance(part, nn.Sequential):
            what = f"module {path!r} ({type(part).__name__})" if path else type(part).__name__
            raise InputError(f"{what} is on arrays already, accepted: the module as it was before that")
    _check_memory(module)
    name = name or type(module).__name__
    evaluation = _traced(module, shape, name)
    found = evaluation.network()
    if not training or _same_in_both_modes(module):
        return found, found
    try:
        trained = _traced(module, shape, name, evaluation.unread(), training=True).network()
    except InputError as error:
        raise InputError(f"in training mode, {error}") from error
    if _form(found) != _form(trained):
        return found, trained
    # What a function that leaves out numbers was told, it was told in training.
    told = any(one.kind == "dropout" and one.numbers != other.numbers for one, other in _pairs(found, trained))
    return (trained, trained) if told else (found, found)


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
    module: nn.Module, shape: Samples, name: str, unread: AbstractSet[str] = frozenset(), training: bool = False
) -> Translator:
    """Trace a copy of a module in one mode; arguments as of `Translator`."""
    twin = unrolled(meta_copy(module).train(training))
    known = dict(module.named_buffers(remove_duplicate=False))
    return Translator(name, twin, export(twin, shape), training, unread, known)


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

    Raises InputError if a weight is used by a function and not by a module, or the
    module is a weight layer by itself.
    """
    if isinstance(module, WEIGHT_LAYERS):
        raise InputError(
            f"network: got a {type(module).__name__} by itself; accepted: a module that holds it, such as "
            f"nn.Sequential(nn.{type(module).__name__}(...))"
        )
    modules = dict(module.named_modules())
    for index, layer in enumerate(network.layers):
        first = network.layers[network.uses(index)[0]]
        holder = modules.get(first.name.rpartition(".")[0])
        if not isinstance(modules.get(first.name), WEIGHT_LAYERS) and not isinstance(holder, nn.RNNBase):
            raise InputError(
                f"network: weight {layer.parameter!r} is used by a function, which can be mapped and timed but not "
                "computed; accepted: nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNN, nn.LSTM and nn.GRU modules"
            )
