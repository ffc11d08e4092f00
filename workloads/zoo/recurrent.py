"""LSTM language models, of characters and of words."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class CharacterModel(nn.Module):
    """Two LSTM layers and a readout, from characters to the next ones (Gokmen, Rasch & Haensch 2018).

    state:    values of each layer's state.
    symbols:  different characters; each comes in as a vector with a single 1.

    torch has two biases for each gate; the paper counts one, 4 h less for each layer.
    """

    def __init__(self, state: int, symbols: int = 87) -> None:
        super().__init__()
        self.lstm, self.readout = nn.LSTM(symbols, state, 2, batch_first=True), nn.Linear(state, symbols)
        self.log_softmax = nn.LogSoftmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.log_softmax(self.readout(self.lstm(x)[0])))


class WordModel(nn.Module):
    """A table of words, LSTM layers with dropout, and a readout (Zaremba, Sutskever & Vinyals 2014).

    words:   different ones.
    width:   values of a word, and of each layer's state.
    layers:  of the LSTM.
    dropout: probability, before, between and behind the layers.
    """

    def __init__(self, words: int = 10000, width: int = 650, layers: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        self.table, self.dropout = nn.Embedding(words, width), nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=dropout)
        self.readout, self.log_softmax = nn.Linear(width, words), nn.LogSoftmax(dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.lstm(self.dropout(self.table(tokens)))[0]
        return cast(Tensor, self.log_softmax(self.readout(self.dropout(x))))
