"""Multi-head attention: the four projections on arrays, the products of activations in digital units.

Queries, keys and values have matrices of their own, also where they come from the same sequence; each position is one
vector through each of them, sequence by sequence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch.nn import functional

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.layers.several import add_matrices
from rpusim.kernels.tiles.tile import LayerConfig

Tensor = torch.Tensor
_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
_OWN = ("dropout", "bias", "add_bias_kv", "add_zero_attn", "kdim", "vdim", "batch_first")


class Attention(torch.nn.Module):
    """Compute softmax(Q K^T / sqrt(d) + mask) V as torch.nn.MultiheadAttention does, with four matrices of some kind.

    Whoever makes one adds the modules ``q_proj``, ``k_proj``, ``v_proj`` and ``out_proj``, of the sizes in ``sizes``.
    Arguments are those of torch's.
    """

    # What torch's transformer layers ask before they take a shorter path around the matrices: there is none.
    in_proj_weight = in_proj_bias = None
    _qkv_same_embed_dim = False

    q_proj: torch.nn.Module
    k_proj: torch.nn.Module
    v_proj: torch.nn.Module
    out_proj: torch.nn.Module
    bias_k: torch.nn.Parameter | None
    bias_v: torch.nn.Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        for field in ("embed_dim", "num_heads", "kdim", "vdim"):
            checks.integer(field, getattr(self, field), low=1)
        checks.number("dropout", dropout, low=0.0, high=1.0)
        if embed_dim % num_heads:
            raise InputError(
                f"num_heads: {num_heads} was given for embed_dim {embed_dim}; accepted is a number that divides it"
            )
        self.batch_first, self.add_zero_attn, self.head_dim = batch_first, add_zero_attn, embed_dim // num_heads
        inputs = (embed_dim, self.kdim, self.vdim, embed_dim)
        self.sizes = {name: (size, embed_dim, bias) for name, size in zip(_PROJECTIONS, inputs, strict=True)}
        for name in ("bias_k", "bias_v"):  # one more key and value, learned digitally
            start = torch.nn.init.xavier_normal_(torch.empty(1, 1, embed_dim)) if add_bias_kv else None
            self.register_parameter(name, None if start is None else torch.nn.Parameter(start))

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend as torch's does; arguments and results are torch's, too.

        is_causal only says what attn_mask is. InputError: it is set without a mask, or shapes do not fit.
        """
        if is_causal and attn_mask is None:
            raise InputError("is_causal: True was given without attn_mask; accepted is True with the causal mask")
        single = query.dim() == 2
        if single:
            query, key, value = (x.unsqueeze(0) for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        if key.shape[:2] != value.shape[:2] or len(key) != len(query):
            shapes = ", ".join(str(tuple(x.shape[:2])) for x in (query, key, value))
            raise InputError(
                f"query, key, value: (samples, positions) of {shapes} were given; accepted are equally many samples, "
                "and as many values as keys"
            )
        q, k, v = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        more = []  # keys and values that are no positions of the sequence
        if self.bias_k is not None and self.bias_v is not None:
            more.append((self.bias_k, self.bias_v))
        if self.add_zero_attn:
            more.append((k.new_zeros(1, 1, 1), v.new_zeros(1, 1, 1)))
        for of_keys, of_values in more:
            each = len(k), 1, self.embed_dim
            k, v = torch.cat([k, of_keys.expand(each)], 1), torch.cat([v, of_values.expand(each)], 1)
        q, k, v = (x.unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2) for x in (q, k, v))
        scores = q @ k.transpose(2, 3) / math.sqrt(self.head_dim)
        if key_padding_mask is not None:
            accepted: list[tuple[int, ...]] = [(len(q), key.shape[1])]
            mask = _added("key_padding_mask", key_padding_mask, accepted, len(more), scores.dtype)
            scores = scores + mask[:, None, None]
        if attn_mask is not None:
            scored = query.shape[1], key.shape[1]
            accepted = [scored, (len(q) * self.num_heads, *scored)]
            mask = _added("attn_mask", attn_mask, accepted, len(more), scores.dtype)
            scores = scores + (mask if mask.dim() == 2 else mask.reshape(len(q), self.num_heads, *mask.shape[1:]))
        weights = functional.dropout(scores.softmax(3), self.dropout, self.training)
        y = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        seen = (weights.mean(1) if average_attn_weights else weights) if need_weights else None
        if single:
            return y.squeeze(0), None if seen is None else seen.squeeze(0)
        return (y if self.batch_first else y.transpose(0, 1)), seen


def as_torchs(module: torch.nn.MultiheadAttention) -> dict[str, Any]:
    """Name the options of a layer of torch with which an `Attention` does the same; extra keys are set apart."""
    own = {name: getattr(module, name) for name in ("dropout", "add_zero_attn", "kdim", "vdim", "batch_first")}
    return own | {"bias": module.in_proj_bias is not None}


class AnalogMultiheadAttention(Attention):
    """Attend with all four matrices on arrays; stands in for torch.nn.MultiheadAttention, whose arguments it takes.

    config:   what the tiles of all matrices are.
    options:  torch's own, and those of `add_matrices`. The matrices are ``q_proj``, ``k_proj``, ``v_proj`` and
              ``out_proj``.
    """

    q_proj: AnalogLinear
    k_proj: AnalogLinear
    v_proj: AnalogLinear
    out_proj: AnalogLinear

    def __init__(self, embed_dim: int, num_heads: int, config: LayerConfig, **options: Any) -> None:
        own = {name: options.pop(name) for name in _OWN if name in options}
        super().__init__(embed_dim, num_heads, **own)
        add_matrices(self, self.sizes, config, **options)

    @classmethod
    def of(cls, module: Any, config: LayerConfig, **options: Any) -> AnalogMultiheadAttention:
        """Make a layer that stands in for a torch layer, with its weights; options as for `add_matrices`."""
        analog = cls(module.embed_dim, module.num_heads, config, **as_torchs(module), **options)
        if module.in_proj_weight is not None:
            weights = module.in_proj_weight.chunk(3)
        else:
            weights = module.q_proj_weight, module.k_proj_weight, module.v_proj_weight
        biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
        given = (*zip(weights, biases, strict=True), (module.out_proj.weight, module.out_proj.bias))
        for name, (weight, bias) in zip(_PROJECTIONS, given, strict=True):
            projection = cast(AnalogLayer, analog.get_submodule(name))
            projection.set_weights(weight, bias)
            projection.learn_as(weight, bias)
        for name in ("bias_k", "bias_v"):  # copied, as a new start would be drawn from the user's random numbers
            if (theirs := getattr(module, name)) is not None:
                setattr(analog, name, torch.nn.Parameter(theirs.detach().clone(), theirs.requires_grad))
        return analog

    @staticmethod
    def matrices(layer: torch.nn.Module) -> tuple[str, ...]:
        """Name the matrices that stand in for those of a torch layer."""
        return _PROJECTIONS


def _added(field: str, mask: Tensor, accepted: Sequence[tuple[int, ...]], more: int, dtype: torch.dtype) -> Tensor:
    """Turn a mask into what it adds to the scores: nothing for the keys that are no positions, which come last."""
    if tuple(mask.shape) not in accepted:
        shapes = " or ".join(map(str, accepted))
        raise InputError(f"{field}: a shape of {tuple(mask.shape)} was given; accepted is {shapes}")
    if mask.dtype is torch.bool:
        mask = torch.zeros(mask.shape, device=mask.device, dtype=dtype).masked_fill(mask, -math.inf)
    return functional.pad(mask.to(dtype), (0, more))
