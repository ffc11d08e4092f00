"""Networks for text, tables and series, as people write them: each a module, and what one sample is."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention: one matrix for queries, keys and values, products by hand or by torch's function."""

    def __init__(self, width: int, heads: int, way: str = "sdpa", causal: bool = False) -> None:
        super().__init__()
        self.qkv, self.o = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.way, self.causal = heads, way, causal

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if self.way == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        elif self.way == "einsum":
            y = torch.einsum("bhqk,bhkd->bhqd", torch.einsum("bhqd,bhkd->bhqk", q, k).softmax(-1), v)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if self.causal:
                mask = torch.ones(t, t, dtype=torch.bool, device=x.device).tril()
                scores = scores.masked_fill(~mask, float("-inf"))
            y = scores.softmax(-1) @ v
        return self.o(y.transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):
    """A transformer block, norms first."""

    def __init__(self, width: int, **how: Any) -> None:
        super().__init__()
        self.n, self.m, self.a = nn.LayerNorm(width), nn.LayerNorm(width), Attention(width, 2, **how)
        self.f = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.a(self.n(x))
        return x + self.f(self.m(x))


class GPT(nn.Module):
    """A language model: tables of tokens and places, causal blocks, the readout tied or not."""

    def __init__(self, tied: bool = False, way: str = "sdpa") -> None:
        super().__init__()
        self.t, self.p = nn.Embedding(20, 8), nn.Parameter(torch.zeros(1, 6, 8))
        self.b = nn.Sequential(*[Block(8, way=way, causal=True) for _ in range(2)])
        self.n, self.o = nn.LayerNorm(8), nn.Linear(8, 20, bias=False)
        if tied:
            self.o.weight = self.t.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.o(self.n(self.b(self.t(tokens) + self.p)))


class ViT(nn.Module):
    """Patches and a token of the class, blocks, readout of the token."""

    def __init__(self, way: str = "sdpa") -> None:
        super().__init__()
        self.p, self.c = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.zeros(1, 1, 8))
        self.e, self.b, self.o = nn.Parameter(torch.zeros(1, 5, 8)), Block(8, way=way), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.p(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.c.expand(x.shape[0], -1, -1), x], dim=1) + self.e
        return self.o(self.b(x)[:, 0])


class Llama(nn.Module):
    """A block with rotary positions, grouped keys, root-mean-square norms and gated units."""

    def __init__(self) -> None:
        super().__init__()
        self.t, self.n, self.m = nn.Embedding(20, 16), nn.RMSNorm(16), nn.RMSNorm(16)
        self.q, self.k, self.v = (nn.Linear(16, n, bias=False) for n in (16, 8, 8))
        self.o, self.g, self.u, self.d = (
            nn.Linear(a, b, bias=False) for a, b in ((16, 16), (16, 24), (16, 24), (24, 16))
        )
        angle = torch.outer(torch.arange(6.0), 1e4 ** (-torch.arange(0, 4, 2) / 4))
        self.register_buffer("cos", angle.cos().repeat(1, 2))
        self.register_buffer("sin", angle.sin().repeat(1, 2))

    def turned(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        return x * self.cos + torch.cat([-b, a], -1) * self.sin

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.t(tokens)
        y, (n, t) = self.n(x), tokens.shape
        q, k, v = (f(y).view(n, t, -1, 4).transpose(1, 2) for f in (self.q, self.k, self.v))
        k, v = (each.repeat_interleave(2, dim=1) for each in (k, v))
        y = F.scaled_dot_product_attention(self.turned(q), self.turned(k), v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.m(x)
        return x + self.d(F.silu(self.g(y)) * self.u(y))


class Encoder(nn.Module):
    """torch's own encoder, with samples first or second."""

    def __init__(self, first: bool = True, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=first, norm_first=norm_first, activation="gelu")
        self.e, self.o, self.first = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 3), first

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.e(x).mean(1) if self.first else self.e(x.transpose(0, 1)).mean(0))


class Translator(nn.Module):
    """torch's own transformer, from tokens to tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.s, self.t = nn.Embedding(12, 8), nn.Embedding(10, 8)
        self.b, self.o = nn.Transformer(8, 2, 1, 1, 16, batch_first=True), nn.Linear(8, 10)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1], device=target.device)
        return self.o(self.b(self.s(source), self.t(target), tgt_mask=mask))


class Cross(nn.Module):
    """torch's own multi-head attention, of one input to another, whose weights are a result, too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 2)

    def forward(self, x: Tensor, memory: Tensor) -> Any:
        y, weights = self.a(x, memory, memory)
        return self.o(y), weights


class Recurrent(nn.Module):
    """A recurrent network of some kind, of which outputs or last states are read."""

    def __init__(self, kind: Any, read: str, **how: Any) -> None:
        super().__init__()
        self.r, self.read = kind(5, 6, **how), read
        self.o = nn.Linear(12 if how.get("bidirectional") else 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.r.batch_first else x.transpose(0, 1)
        y, state = self.r(x)
        h = state[0] if isinstance(state, tuple) else state
        if self.read == "state":
            return self.o(torch.cat([h[-2], h[-1]], -1) if self.r.bidirectional else h[-1])
        if self.read == "cells":
            return self.o(state[1][-1])
        return self.o(y if self.r.batch_first else y.transpose(0, 1))


class Seq2seq(nn.Module):
    """An encoder whose last state begins a decoder."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.e, self.d, self.o = kind(4, 6, batch_first=True), kind(3, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.o(self.d(target, self.e(source)[1])[0])


class Cells(nn.Module):
    """A recurrent cell that is called for each step."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.c, self.o, self.two = kind(5, 6), nn.Linear(6, 3), kind is nn.LSTMCell

    def forward(self, x: Tensor) -> Tensor:
        h = c = torch.zeros(x.shape[0], 6, device=x.device)
        outputs = []
        for t in range(x.shape[1]):
            if self.two:
                h, c = self.c(x[:, t], (h, c))
            else:
                h = self.c(x[:, t], h)
            outputs.append(self.o(h))
        return torch.stack(outputs, dim=1)


class Mixer(nn.Module):
    """Layers along places, then along channels."""

    def __init__(self) -> None:
        super().__init__()
        self.n, self.t, self.c, self.o = nn.LayerNorm(6), nn.Linear(4, 4), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x + F.gelu(self.t(self.n(x).mT)).mT
        return self.o((x + self.c(x)).mean(1))


class Experts(nn.Module):
    """Experts that are all asked, and weighed by a gate; their weights are one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.g, self.w = nn.Linear(6, 3), nn.Parameter(torch.randn(3, 6, 4))

    def forward(self, x: Tensor) -> Tensor:
        found = torch.einsum("bd,edh->beh", x, self.w)
        return (found.relu() * self.g(x).softmax(-1)[..., None]).sum(1)


class Routed(nn.Module):
    """Experts of which the best two weigh the result."""

    def __init__(self) -> None:
        super().__init__()
        self.g, self.e = nn.Linear(6, 4), nn.ModuleList(nn.Linear(6, 5) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        best, which = self.g(x).topk(2, dim=-1)
        weight = torch.zeros(x.shape[0], 4, device=x.device).scatter(1, which, best.softmax(-1))
        return (torch.stack([e(x) for e in self.e], 1) * weight[..., None]).sum(1)


class Recommender(nn.Module):
    """Tables for what was seen, a network for numbers, and products of all pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.t = nn.ModuleList(nn.Embedding(30, 4) for _ in range(3))
        self.b, self.o = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 4)), nn.Linear(4 + 6, 1)

    def forward(self, numbers: Tensor, seen: Tensor) -> Tensor:
        dense = self.b(numbers)
        every = torch.stack([dense, *(t(seen[:, i]) for i, t in enumerate(self.t))], 1)
        pairs = torch.bmm(every, every.transpose(1, 2))
        i, j = torch.tril_indices(4, 4, -1)
        return torch.sigmoid(self.o(torch.cat([dense, pairs[:, i, j]], 1))).squeeze(-1)


class Splines(nn.Module):
    """A layer of functions of each input, as sums of bumps, beside a plain one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.w = nn.Linear(4, 3), nn.Parameter(torch.randn(3, 4, 5))
        self.register_buffer("at", torch.linspace(-1, 1, 5))

    def forward(self, x: Tensor) -> Tensor:
        bumps = torch.exp(-(((x.unsqueeze(-1) - self.at) / 0.5) ** 2))
        return self.a(F.silu(x)) + torch.einsum("bik,oik->bo", bumps, self.w)


class Sets(nn.Module):
    """Elements in any order, pooled by their mean, sum and largest."""

    def __init__(self) -> None:
        super().__init__()
        self.p, self.r = nn.Sequential(nn.Linear(3, 8), nn.Tanh()), nn.Linear(24, 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = self.p(x)
        if mask is not None:
            y = y * mask.unsqueeze(-1)
        return self.r(torch.cat([y.mean(1), y.sum(1), y.max(1).values], -1))


class Highway(nn.Module):
    """A gate between a layer and its input; shapes of its own constants."""

    def __init__(self) -> None:
        super().__init__()
        self.h, self.g = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.g(x))
        place = torch.arange(x.shape[1], device=x.device, dtype=x.dtype) / x.shape[1]
        return gate * F.relu(self.h(x)) + (1 - gate) * x + torch.sin(place)


class Bag(nn.Module):
    """The mean of the words of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.e, self.o = nn.EmbeddingBag(20, 6, mode="mean"), nn.Linear(6, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.o(self.e(words))


class Metric(nn.Module):
    """Cosine of a projection with learned directions, normalised first."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.w = nn.Linear(6, 4), nn.Parameter(torch.randn(5, 4))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.normalize(self.a(x)), F.normalize(self.w)) * 16.0


class Physics(nn.Module):
    """A network for a differential equation: sines and powers of a few numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = torch.sin(self.a(torch.stack([x, t], -1)))
        return self.b(h * h.cos() + h**3) * torch.sqrt(x.abs() + 1e-3).unsqueeze(-1)


class Dueling(nn.Module):
    """The value of a state and of each action, as reinforcement learning has it."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.v, self.a = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = F.relu(self.f(x))
        a = self.a(h)
        return {"values": self.v(h) + a - a.mean(-1, keepdim=True), "features": h}


SEQUENCES: dict[str, tuple[Any, Any]] = {
    "gpt": (GPT, (6,)),
    "gpt, tied, by hand": (lambda: GPT(tied=True, way="hand"), ((6,), torch.int64)),
    "vit": (ViT, (3, 8, 8)),
    "vit by einsum": (lambda: ViT("einsum"), (3, 8, 8)),
    "llama": (Llama, (6,)),
    "encoder": (Encoder, (5, 8)),
    "encoder, samples second, norms first": (lambda: Encoder(False, True), (5, 8)),
    "transformer": (Translator, ((5,), (4,))),
    "cross attention": (Cross, ((3, 8), (5, 8))),
    "lstm, both ways": (lambda: Recurrent(nn.LSTM, "state", batch_first=True, bidirectional=True), (4, 5)),
    "gru, time first, two layers": (lambda: Recurrent(nn.GRU, "all", num_layers=2), (4, 5)),
    "lstm, cells": (lambda: Recurrent(nn.LSTM, "cells", num_layers=2, dropout=0.1), (4, 5)),
    "rnn, both ways, two layers": (lambda: Recurrent(nn.RNN, "all", num_layers=2, bidirectional=True), (4, 5)),
    "seq2seq of lstms": (lambda: Seq2seq(nn.LSTM), ((4, 4), (3, 3))),
    "seq2seq of grus": (lambda: Seq2seq(nn.GRU), ((4, 4), (3, 3))),
    "lstm cells": (lambda: Cells(nn.LSTMCell), (4, 5)),
    "gru cells": (lambda: Cells(nn.GRUCell), (4, 5)),
    "rnn cells": (lambda: Cells(nn.RNNCell), (4, 5)),
    "mixer": (Mixer, (4, 6)),
    "experts": (Experts, (6,)),
    "routed experts": (Routed, (6,)),
    "recommender": (Recommender, ((5,), ((3,), torch.int64))),
    "splines": (Splines, (4,)),
    "sets": (Sets, (7, 3)),
    "sets with a mask by name": (Sets, [(7, 3), {"mask": (7,)}]),
    "highway": (Highway, (6,)),
    "bag of words": (Bag, ((5,), torch.int64)),
    "metric": (Metric, (6,)),
    "physics": (Physics, ((), ())),
    "dueling": (Dueling, (4,)),
}
"""By name: what builds the module, and what one sample is."""
