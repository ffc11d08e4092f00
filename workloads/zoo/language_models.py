"""Language models that write token by token: GPT-2, Llama, and a small mixture of experts.

Each is built for a number of tokens that go in at once, and a number that went before them, whose keys and values are
in a cache: 1024 behind 0 read a prompt, 1 behind 1024 writes the token that follows it. What comes out are the scores
of all words, for each token or for the last one, from which the next is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rpusim.workloads.zoo.attention import Attention, FeedForward
from rpusim.workloads.zoo.routing import Experts


@dataclass(frozen=True)
class Tokens:
    """Say what goes into a language model.

    new:     tokens that go in at once.
    before:  tokens that went before, whose keys and values are in a cache.
    writes:  whether keys and values are kept for later, and scores are wanted for the last token only.
    shares:  of the tokens, by expert; none: all alike.
    """

    new: int
    before: int = 0
    writes: bool = False
    shares: tuple[float, ...] = ()


class Gpt2Block(nn.Module):
    """A block of GPT-2: causal attention and two linear layers, or experts, behind norms and beside shortcuts."""

    def __init__(self, width: int, heads: int, tokens: Tokens, experts: Sequence[float] = ()) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal=True, before=tokens.before, keeps=tokens.writes)
        self.norm2 = nn.LayerNorm(width)
        self.forward2 = Experts(width, 4 * width, 2, tokens.new, experts) if experts else FeedForward(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return cast(Tensor, x + self.forward2(self.norm2(x)))


class Gpt2(nn.Module):
    """GPT-2 (Radford et al. 2019): tables of words and places, causal blocks, and a readout tied to the words.

    width:    values of a token.
    blocks:   one after the other.
    words:    different ones.
    places:   rows of the table of places; as many more as the tokens need.
    tokens:   that go in.
    experts:  shares of experts that stand in place of the two linear layers of a block; none: there are no experts.
    """

    def __init__(
        self, width: int, blocks: int, words: int, places: int, tokens: Tokens, experts: Sequence[float] = ()
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.words, self.places = (
            nn.Embedding(words, width),
            nn.Embedding(max(places, tokens.before + tokens.new), width),
        )
        self.blocks = nn.Sequential(*(Gpt2Block(width, width // 64, tokens, experts) for _ in range(blocks)))
        self.norm, self.readout = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
        self.readout.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Tensor:
        new, before = self.tokens.new, self.tokens.before
        x = self.words(tokens) + self.places(torch.arange(before, before + new, device=tokens.device))
        x = self.blocks(x)
        return cast(Tensor, self.readout(self.norm(x[:, -1:] if self.tokens.writes else x)))


class LlamaBlock(nn.Module):
    """A block of Llama: causal attention with rotary places, and gated linear layers, no biases.

    width: values of a token. heads: of the attention. inside: values between the linear layers. tokens: that go in.
    """

    def __init__(self, width: int, heads: int, inside: int, tokens: Tokens) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(width, eps=1e-6)
        self.attention = Attention(width, heads, bias=False, causal=True, before=tokens.before, keeps=tokens.writes)
        self.norm2 = nn.RMSNorm(width, eps=1e-6)
        self.gate, self.up = nn.Linear(width, inside, bias=False), nn.Linear(width, inside, bias=False)
        self.down = nn.Linear(inside, width, bias=False)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.attention(self.norm1(x), turns)
        y = self.norm2(x)
        return cast(Tensor, x + self.down(F.silu(self.gate(y)) * self.up(y)))


class Llama(nn.Module):
    """Llama (Touvron et al. 2023): a table of words, causal blocks with rotary places, and a readout of its own.

    width: values of a token. blocks: one after the other. heads: of each attention. inside: values between the linear
    layers of a block. words: different ones. tokens: that go in.
    """

    def __init__(self, width: int, blocks: int, heads: int, inside: int, words: int, tokens: Tokens) -> None:
        super().__init__()
        self.tokens, self.of_head = tokens, width // heads
        self.words = nn.Embedding(words, width)
        self.blocks = nn.ModuleList(LlamaBlock(width, heads, inside, tokens) for _ in range(blocks))
        self.norm, self.readout = nn.RMSNorm(width, eps=1e-6), nn.Linear(width, words, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        new, before, device = self.tokens.new, self.tokens.before, tokens.device
        frequencies = 10000.0 ** (-torch.arange(0, self.of_head, 2, device=device) / self.of_head)
        angles = torch.outer(torch.arange(before, before + new, device=device).float(), frequencies).repeat(1, 2)
        x, turns = self.words(tokens), (angles.cos(), angles.sin())
        for block in cast(Iterable[nn.Module], self.blocks):
            x = block(x, turns)
        return cast(Tensor, self.readout(self.norm(x[:, -1:] if self.tokens.writes else x)))


def gpt2(tokens: Tokens) -> nn.Module:
    """Build GPT-2 of 124,439,808 parameters; queries, keys and values have matrices of their own."""
    return Gpt2(768, 12, 50257, 1024, tokens)


def llama_7b(tokens: Tokens) -> nn.Module:
    """Build Llama of 6,738,415,616 parameters."""
    return Llama(4096, 32, 32, 11008, 32000, tokens)


def moe_small(tokens: Tokens) -> nn.Module:
    """Build a mixture of experts of our own: GPT-2 of width 512 and 8 blocks, each with 8 experts of which 2 are used.

    159.7 million parameters, of which 58.9 million work for a token.
    """
    return Gpt2(512, 8, 32000, 1024, tokens, tokens.shares or (1.0,) * 8)
