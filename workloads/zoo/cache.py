"""The cache of keys and values in which a language model keeps what it knows of the tokens before.

`cached` marks in a module what is kept. Captured, it becomes what a chip reads and writes for it; where the cache is, a
chip says. Run in torch it stands for a cache of zeros: modules that use it are there to be timed.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.library.custom_op("rpusim::cached", mutates_args=())
def cached(x: Tensor, before: int) -> Tensor:
    """Keep values of new tokens, and return them behind those of the tokens before.

    x: (..., tokens, values). before: how many tokens went before. Returns (..., before + tokens, values).
    """
    return torch.cat([x.new_zeros(*x.shape[:-2], before, x.shape[-1]), x], dim=-2)


@cached.register_fake
def _(x: Tensor, before: int) -> Tensor:
    return x.new_empty(*x.shape[:-2], before + x.shape[-2], x.shape[-1])
