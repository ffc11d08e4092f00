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

from collections.abc import Sequence

from torch import nn

from rpusim.arch.network.network import Network
from rpusim.errors import InputError
from rpusim.workloads.capture.accepted import WEIGHT_LAYERS
from rpusim.workloads.capture.export import export, meta_copy
from rpusim.workloads.capture.recurrent import unrolled
from rpusim.workloads.capture.translator import Translator


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
    twin = unrolled(meta_copy(module).eval())
    return Translator(name, shape, twin, export(twin, shape)).network()


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
