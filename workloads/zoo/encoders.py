"""Transformers that see all tokens at once: of images, of text, and the encoder of the first one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from rpusim.workloads.zoo.attention import Attention, FeedForward


class NormFirst(nn.Module):
    """A block of a vision transformer: attention and two linear layers, each behind a norm and beside a shortcut.

    width: values of a token. heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width, eps=1e-6), Attention(width, heads)
        self.norm2, self.forward2 = nn.LayerNorm(width, eps=1e-6), FeedForward(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return cast(Tensor, x + self.forward2(self.norm2(x)))


class NormLast(nn.Module):
    """A block of BERT: as `NormFirst`, with the norms behind the sums.

    width: values of a token. heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention, self.norm1 = Attention(width, heads), nn.LayerNorm(width, eps=1e-12)
        self.forward2, self.norm2 = FeedForward(width, 4 * width), nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attention(x))
        return cast(Tensor, self.norm2(x + self.forward2(x)))


class VisionTransformer(nn.Module):
    """A transformer of 16 x 16 patches of a 224 x 224 image, read out at a token of its own (Dosovitskiy et al. 2021).

    width: values of a token. blocks: one after the other. heads: of each attention.
    """

    def __init__(self, width: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, width, 16, 16), nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(torch.zeros(1, 197, width))
        self.blocks = nn.Sequential(*(NormFirst(width, heads) for _ in range(blocks)))
        self.norm, self.readout = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 1000)
        self.log_softmax = nn.LogSoftmax(dim=-1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        return cast(Tensor, self.log_softmax(self.readout(self.norm(self.blocks(x))[:, 0])))


class Bert(nn.Module):
    """BERT, or ALBERT (Devlin et al. 2019; Lan et al. 2020): tables, blocks with norms behind the sums, and a pooler.

    width:   values of a token.
    blocks:  one after the other.
    words:   of the table; the table of places has 512 rows, that of segments 2.
    table:   values of a row; if less than ``width``, a matrix makes them wider.
    shared:  whether all blocks have the same weights.
    """

    def __init__(self, width: int = 768, blocks: int = 12, words: int = 30522, table: int = 768, shared: bool = False):
        super().__init__()
        self.words, self.places, self.segments = (
            nn.Embedding(words, table),
            nn.Embedding(512, table),
            nn.Embedding(2, table),
        )
        self.norm, self.wider = (
            nn.LayerNorm(table, eps=1e-12),
            nn.Identity() if table == width else nn.Linear(table, width),
        )
        heads = width // 64
        self.blocks = nn.ModuleList(NormLast(width, heads) for _ in range(1 if shared else blocks))
        self.uses = blocks if shared else 1
        self.pooler, self.tanh = nn.Linear(width, width), nn.Tanh()

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return (samples, tokens, width) of all tokens, and (samples, width) of the first one, pooled."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.words(tokens) + self.places(places) + self.segments(torch.zeros_like(places))
        x = self.wider(self.norm(x))
        for block in cast(Iterable[nn.Module], self.blocks):
            for _ in range(self.uses):
                x = block(x)
        return x, self.tanh(self.pooler(x[:, 0]))


def encoder() -> nn.Module:
    """Build the encoder of Vaswani et al. 2017, base: six of torch's own layers of width 512; 18,914,304 parameters."""
    layer = nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True)
    return nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
