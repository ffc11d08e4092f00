"""Low-rank adapters (LoRA): weights that stay as they are, and beside each a product of two small matrices that learns.

    y = W x + b + s B (A x),    A: rank x inputs,    B: outputs x rank                            (1)

`lora` puts them into a torch module before it goes onto a chip. There W, A and B are layers like any others: each has
arrays of its own, is read through its own converters, and the sum is a sum of branches. W and b are frozen
(``requires_grad`` is off), so that their arrays take no pulses; A and B learn as the device and its unit cell do, or,
where they are excluded from the arrays, by arithmetic. B begins as 0, so that nothing changes at first.

Of a convolution A has its windows and B is 1 x 1. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR
2022. Not modelled: programming noise of W beyond what the cells' bounds do, and other cells for W than for A and B.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from rpusim.arch.contract import checks
from rpusim.errors import InputError, nearest

Tensor = torch.Tensor
_INSIDE = nn.modules.linear.NonDynamicallyQuantizableLinear
"""A layer whose weight attention uses itself, without calling the layer."""
_KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class LowRank(nn.Module):
    """Compute equation 1.

    frozen: the layer with W and b; it is frozen here. rank: of the adapter. factor: s. generator: draws A, as torch
    draws weights of a layer.

    Attributes: frozen, down (A), up (B), factor.
    """

    def __init__(self, frozen: nn.Module, rank: int, factor: float, generator: torch.Generator) -> None:
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        self.down: nn.Module
        self.up: nn.Module
        if isinstance(frozen, nn.Linear):
            self.down = nn.Linear(frozen.in_features, rank, bias=False)
            self.up = nn.Linear(rank, frozen.out_features, bias=False)
        else:
            kind: Any = type(frozen)
            self.down = kind(
                frozen.in_channels,
                rank,
                frozen.kernel_size,
                stride=frozen.stride,
                padding=frozen.padding,
                dilation=frozen.dilation,
                padding_mode=frozen.padding_mode,
                bias=False,
            )
            self.up = kind(rank, frozen.out_channels, 1, bias=False)
        self.factor = float(factor)
        down, up = _weight(self.down), _weight(self.up)
        bound = math.sqrt(len(down) / down.numel())
        with torch.no_grad():
            down.uniform_(-bound, bound, generator=generator)
            up.zero_()
        self.train(frozen.training)

    def forward(self, x: Tensor) -> Tensor:
        """Compute equation 1 for x, as the frozen layer takes it."""
        whole: Tensor = self.frozen(x)
        added: Tensor = self.up(self.down(x))
        scaled: Tensor = added if self.factor == 1.0 else added * self.factor
        return whole + scaled

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """Return the layer with W + s B A in place of W; a copy, which learns."""
        found = copy.deepcopy(self.frozen).requires_grad_(True)
        weight, down, up = map(_weight, (found, self.down, self.up))
        weight.add_((up.flatten(1) @ down.flatten(1)).reshape(weight.shape), alpha=self.factor)
        return found


def _weight(layer: nn.Module) -> nn.Parameter:
    found = layer.weight
    assert isinstance(found, nn.Parameter)
    return found


def lora(module: nn.Module, rank: int, scale: float = 1.0, layers: Iterable[str] = ("*",), seed: int = 0) -> nn.Module:
    """Copy a module, freeze its weights, and put a low-rank adapter beside each of its layers.

    module: of torch; nn.Linear and convolutions without groups get adapters, but not the one inside
        nn.MultiheadAttention.
    rank:   of the adapters, at least 1.
    scale:  s of equation 1.
    layers: names, or patterns such as "encoder.*", of the layers that get one. All other parameters are frozen, too.
    seed:   of the first weights of A.

    Returns a module that `rpusim.place`, `rpusim.time_network` and `rpusim.convert` take like any other one. Raises
    InputError if no layer has such a name, or one cannot have an adapter.
    """
    checks.instance("module", module, nn.Module)
    checks.integer("rank", rank, low=1)
    checks.number("scale", scale)
    patterns = [layers] if isinstance(layers, str) else list(layers)
    whole = copy.deepcopy(module).requires_grad_(False)
    parts = whole.named_modules(remove_duplicate=False)
    held = {name: part for name, part in parts if isinstance(part, _KINDS) and not isinstance(part, _INSIDE)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in held):
            raise InputError(
                f"layers: {pattern!r} is the name of no layer that can have an adapter{nearest(pattern, held)}"
            )
    generator = torch.Generator().manual_seed(seed)
    known: dict[nn.Module, LowRank] = {}
    for name, part in held.items():
        if not any(fnmatchcase(name, pattern) for pattern in patterns):
            continue
        if getattr(part, "groups", 1) != 1:
            raise InputError(
                f"layers: {name!r} is a convolution of {part.groups} groups, which has no adapter; accepted: layers "
                "without groups, or the names of others"
            )
        if part not in known:
            known[part] = LowRank(part, rank, scale, generator)
        adapter = known[part]
        if not name:
            return adapter
        outer, _, inner = name.rpartition(".")
        setattr(whole.get_submodule(outer), inner, adapter)
    return whole


def adapters(module: nn.Module) -> tuple[str, ...]:
    """Name the layers that adapters are made of, such as for ``exclude`` of `rpusim.place`, where they stay digital."""
    found = [name for name, part in module.named_modules() if isinstance(part, LowRank)]
    return tuple(f"{name}.{side}".lstrip(".") for name in found for side in ("down", "up"))


def merge_lora(module: nn.Module) -> nn.Module:
    """Copy a module with every adapter added to the weights that it stands beside; they learn again."""
    found = copy.deepcopy(module)
    if isinstance(found, LowRank):
        return found.merged()
    for name, part in list(found.named_modules(remove_duplicate=False)):
        if isinstance(part, LowRank):
            outer, _, inner = name.rpartition(".")
            setattr(found.get_submodule(outer), inner, part.merged())
    return found.requires_grad_(True)
