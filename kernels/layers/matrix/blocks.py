"""How a matrix is cut into blocks of rows and of columns, one for each tile, and vectors with it."""

from __future__ import annotations

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError

Splits = tuple[int, ...]
"""Sizes of the blocks, in order."""


def balanced_split(size: int, limit: int) -> Splits:
    """Cut ``size`` lines into the fewest blocks of at most ``limit``, equal to within one; returns their sizes.

    >>> balanced_split(10, 4)
    (4, 3, 3)
    """
    checks.integer("limit", limit, low=1)
    blocks = max(1, -(-size // limit))
    return tuple(size // blocks + (1 if block < size % blocks else 0) for block in range(blocks))


def cut(vectors: torch.Tensor, splits: Splits) -> list[torch.Tensor]:
    """Cut vectors (vectors, lines) into blocks of lines, each contiguous."""
    if len(splits) == 1:
        return [vectors.contiguous()]
    return [part.contiguous() for part in vectors.split_with_sizes(splits, 1)]


def checked_splits(field: str, given: Splits | None, size: int, limit: int | None, groups: int = 1) -> Splits:
    """Check sizes of blocks of ``size`` lines in ``groups`` equal parts, or balance them; InputError names ``field``.

    given: the sizes; None: as few as a ``limit`` of lines allows.
    """
    if given is None:
        each = size // groups
        return balanced_split(each, limit or each) * groups
    good = all(isinstance(block, int) and block > 0 for block in given)
    if not good or sum(given) != size:
        raise InputError(
            f"{field}: {tuple(given)!r} was given; accepted are positive block sizes that add up to {size}"
        )
    return tuple(given)


def group_of_each(row_splits: Splits, groups: int) -> tuple[int, ...]:
    """Say which group each block of outputs lies in."""
    each = sum(row_splits) // groups
    found, end = [], 0
    for block in row_splits:
        found.append(end // each)
        end += block
        if (end - 1) // each != found[-1]:
            raise InputError(
                f"row_splits: {row_splits!r} was given; accepted are blocks within groups of {each} outputs"
            )
    return tuple(found)
