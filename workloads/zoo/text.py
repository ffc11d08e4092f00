"""Networks that tell the next character of a text: two layers of LSTM, and a transformer; small enough for a laptop.

Both read windows of 32 characters out of the alphabet of `rpusim.workloads.data.text` and end in log-probabilities of
the 96 characters that may follow each. The LSTM is after Gokmen, Rasch & Haensch, "Training LSTM networks with
resistive cross-point devices" (2018), which trains character models of two layers on arrays; the transformer is
GPT-2's block (Radford et al. 2019), norms first, at a hundredth of its width.

>>> module, input_shape = transformer_text(), (32,)
>>> sum(isinstance(part, nn.Linear) for part in module.modules())
9
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHARACTERS, WINDOW = 96, 32
"""Characters of the alphabet, and how many of them a sample has."""


class LSTMText(nn.Module):
    """Two layers of LSTM over characters, each a 1 in its place, and a readout for every position.

    width:    of the states.
    dropout:  probability, between the layers and behind them.
    """

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(CHARACTERS, width, num_layers=2, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.readout = nn.Linear(width, CHARACTERS)
        self.log_softmax = nn.LogSoftmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Turn characters (samples, positions, 96) into log-probabilities of the next ones, of the same shape."""
        return self.log_softmax(self.readout(self.dropout(self.lstm(x)[0])))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A block of a transformer: attention to what came before, then two layers for each position, norms first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Turn positions (samples, positions, width) into others of the same shape."""
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, d))
        return x + self.down(functional.relu(self.up(self.norm2(x))))  # type: ignore[no-any-return]


class TransformerText(nn.Module):
    """Tables of characters and of places, blocks, a norm and a readout for every position.

    width, heads, blocks: of the transformer.
    """

    def __init__(self, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.characters, self.places = nn.Embedding(CHARACTERS, width), nn.Embedding(WINDOW, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm, self.readout = nn.LayerNorm(width), nn.Linear(width, CHARACTERS)
        self.log_softmax = nn.LogSoftmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Turn numbers of characters (samples, positions) into log-probabilities (samples, positions, 96)."""
        places = torch.arange(x.shape[1], device=x.device)
        found = self.norm(self.blocks(self.characters(x) + self.places(places)))
        return self.log_softmax(self.readout(found))  # type: ignore[no-any-return]


def lstm_text(dropout: float = 0.0) -> nn.Module:
    """Build two layers of LSTM of width 64 with a readout: arrays 256 x 97, 256 x 65 (three) and 96 x 65.

    dropout: probability, between the layers and behind them.
    """
    return LSTMText(64, dropout)


def transformer_text() -> nn.Module:
    """Build two blocks of width 32 with two heads: arrays 96 x 33, 32 x 33, 64 x 33, 32 x 65 (each twice), 96 x 33."""
    return TransformerText(32, 2, 2)
