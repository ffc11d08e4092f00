"""Recommenders: tables of what was seen, beside numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from rpusim.workloads.zoo.named import named


class Dlrm(nn.Module):
    """A DLRM (Naumov et al. 2019): numbers through a perceptron, rows of tables, products of all pairs, a perceptron.

    rows:   of each of the 26 tables.
    width:  values of a row.
    """

    def __init__(self, rows: int = 10000, width: int = 16) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for _ in range(26))
        self.bottom = named(
            fc1=nn.Linear(13, 512),
            relu1=nn.ReLU(),
            fc2=nn.Linear(512, 256),
            relu2=nn.ReLU(),
            fc3=nn.Linear(256, 64),
            relu3=nn.ReLU(),
            fc4=nn.Linear(64, width),
            relu4=nn.ReLU(),
        )
        self.top = named(
            fc1=nn.Linear(width + 27 * 26 // 2, 512),
            relu1=nn.ReLU(),
            fc2=nn.Linear(512, 256),
            relu2=nn.ReLU(),
            fc3=nn.Linear(256, 1),
            sigmoid=nn.Sigmoid(),
        )

    def forward(self, numbers: Tensor, seen: Tensor) -> Tensor:
        """Return (samples, 1) probabilities. numbers: (samples, 13). seen: (samples, 26) whole numbers of rows."""
        tables = cast(Iterable[nn.Module], self.tables)
        x = self.bottom(numbers)
        rows = torch.stack([x, *(table(seen[:, n]) for n, table in enumerate(tables))], dim=1)
        pairs = rows @ rows.transpose(1, 2)
        first, second = torch.tril_indices(27, 27, -1, device=numbers.device)
        return cast(Tensor, self.top(torch.cat([x, pairs[:, first, second]], dim=1)))
