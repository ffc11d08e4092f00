"""Attention as in the transformers of the zoo, with a place for keys and values that are there from before."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rpusim.workloads.zoo.cache import cached


class Attention(nn.Module):
    """Attention with several heads, its matrices of queries, keys, values and results each by itself.

    width:   values of a token.
    heads:   of the queries.
    bias:    whether the matrices have biases.
    causal:  whether a token sees only those before it.
    before:  tokens that went before, whose keys and values are in a cache.
    keeps:   whether keys and values go to a cache.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        bias: bool = True,
        causal: bool = False,
        before: int = 0,
        keeps: bool = False,
    ) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width, bias=bias), nn.Linear(width, width, bias=bias)
        self.value, self.result = nn.Linear(width, width, bias=bias), nn.Linear(width, width, bias=bias)
        self.heads, self.causal, self.before, self.keeps = heads, causal and not before, before, keeps

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Let each token look at all.

        x: (samples, tokens, width). turns: cosine and sine of the places, (tokens, values of a head), for rotary ones.
        """
        q, k, v = (self.of_heads(each(x)) for each in (self.query, self.key, self.value))
        if turns is not None:
            q, k = turned(q, turns), turned(k, turns)
        if self.keeps:
            k, v = cached(k, self.before), cached(v, self.before)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return cast(Tensor, self.result(y.transpose(1, 2).flatten(2)))

    def of_heads(self, x: Tensor) -> Tensor:
        """Return (samples, heads, tokens, values of a head)."""
        return x.reshape(*x.shape[:2], self.heads, x.shape[2] // self.heads).transpose(1, 2)


def turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Turn pairs of values by angles that grow with the place (Su et al. 2021: rotary positions)."""
    first, second = x.chunk(2, -1)
    return x * turns[0] + torch.cat([-second, first], -1) * turns[1]


class FeedForward(nn.Module):
    """Two linear layers with GELU between.

    width: values of a token. inside: values between the layers.
    """

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.wide, self.gelu, self.narrow = nn.Linear(width, inside), nn.GELU(), nn.Linear(inside, width)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.narrow(self.gelu(self.wide(x))))
