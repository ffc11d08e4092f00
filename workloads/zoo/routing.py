"""A mixture of experts: for each token a gate chooses a few of many networks.

Which token goes to which expert depends on data. What a chip needs of it is how many go to each, so that is said
beforehand: the statistics of routing, uniform or given. Tokens are then dealt out in turn, by these shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from rpusim.errors import InputError
from rpusim.workloads.zoo.attention import FeedForward


def dealt(tokens: int, best: int, shares: Sequence[float]) -> list[list[int]]:
    """Deal tokens out to experts, each time to those that are furthest behind their share.

    tokens: to be dealt out. best: experts of each token, different ones. shares: of the tokens, by expert; any scale.

    Returns for each token its experts. Raises InputError if shares are negative, or too few are above 0.

    >>> dealt(3, 2, [1, 1, 1, 1])
    [[0, 1], [2, 3], [0, 1]]
    """
    if not all(share >= 0 and math.isfinite(share) for share in shares) or sum(s > 0 for s in shares) < best:
        raise InputError(f"routing: got {list(shares)}, accepted: shares of 0 or more, at least {best} of them above 0")
    total, given, found = sum(shares), [0.0] * len(shares), []
    for token in range(1, tokens + 1):
        behind = [given[e] - best * token * share / total for e, share in enumerate(shares)]
        chosen = sorted(sorted((e for e, s in enumerate(shares) if s > 0), key=lambda e: (behind[e], e))[:best])
        for expert in chosen:
            given[expert] += 1
        found.append(chosen)
    return found


class Experts(nn.Module):
    """A gate, experts, and the sum of the results of those that are chosen, weighed by the gate.

    width:   values of a token.
    inside:  values between the two layers of an expert.
    best:    experts of each token.
    tokens:  that come in.
    shares:  of the tokens, by expert.
    """

    def __init__(self, width: int, inside: int, best: int, tokens: int, shares: Sequence[float]) -> None:
        super().__init__()
        self.gate, self.best = nn.Linear(width, len(shares), bias=False), best
        self.experts = nn.ModuleList(FeedForward(width, inside) for _ in shares)
        experts = dealt(tokens, best, shares)
        self.reads = [[t for t, its in enumerate(experts) if e in its] for e in range(len(shares))]
        order = {pair: n for n, pair in enumerate((t, e) for e, its in enumerate(self.reads) for t in its)}
        back = [order[t, e] for t, its in enumerate(experts) for e in its]
        self.register_buffer("back", torch.tensor(back, device="cpu"), persistent=False)
        for number, tokens_of in enumerate(self.reads):
            self.register_buffer(f"of{number}", torch.tensor(tokens_of, device="cpu").long(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).topk(self.best, dim=-1)[0].softmax(-1)
        found = []
        for number, expert in enumerate(cast(Iterable[nn.Module], self.experts)):
            if self.reads[number]:
                of = cast(Tensor, getattr(self, f"of{number}")).to(x.device)
                found.append(expert(x.index_select(1, of)))
        all_of_them = torch.cat(found, dim=1).index_select(1, cast(Tensor, self.back).to(x.device))
        of_tokens = all_of_them.reshape(*x.shape[:2], self.best, x.shape[2])
        return cast(Tensor, (of_tokens * weights[..., None]).sum(2))
