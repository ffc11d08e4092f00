"""Where the samples of a batch are in a traced value: on which axis, and in which order.

The batch is traced, but the network is of one sample. Mostly samples are the first axis; a transposition moves them
("time first"), and a reshape may put them on one axis with something else, as the heads of an attention. So each traced
value has a layout, and taking the samples off gives its shape for one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BATCH = 2
"""Samples traced at once; not 1, so that what mixes samples shows."""


@dataclass(frozen=True)
class Layout:
    """Say where the samples of a value are.

    axis:   of the value, along which they lie.
    order:  for each place along it, which sample it belongs to.
    """

    axis: int = 0
    order: tuple[int, ...] = tuple(range(BATCH))

    @property
    def alone(self) -> bool:
        """Whether the axis holds the samples and nothing else, so that one sample is without it."""
        return len(self.order) == BATCH

    @property
    def first(self) -> bool:
        """Whether samples stand first, in order, as what torch's layers read."""
        return self == Layout()

    def sample_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of one sample of a value; (1,) if it is a single number. shape: of the value."""
        sizes = list(shape)
        sizes[self.axis] //= BATCH
        if self.alone:
            del sizes[self.axis]
        return tuple(sizes) or (1,)

    def sample_axis(self, axis: int, dimensions: int) -> int | None:
        """Return which axis of a sample an axis of the value is; None if it is that of the samples.

        axis: may be counted from the end. dimensions: of the value.
        """
        axis %= max(dimensions, 1)
        if axis == self.axis:
            return None
        return axis - (self.alone and axis > self.axis)

    def sample_of(self, shape: Sequence[int]) -> Tensor:
        """Return, in the shape of a value, to which sample each number belongs."""
        line = [1] * len(shape)
        line[self.axis] = -1
        return torch.tensor(self.order).reshape(line).expand(*shape)

    def places(self, shape: Sequence[int]) -> Tensor:
        """Return, in the shape of a value, where each number is within its sample, counted in raster order."""
        own = self.sample_shape(shape)
        within = torch.arange(math.prod(own))
        sizes = list(shape)
        sizes[self.axis] //= BATCH
        whole = torch.empty(*shape, dtype=torch.int64)
        for sample in range(BATCH):
            at = torch.tensor([place for place, its in enumerate(self.order) if its == sample])
            whole.index_copy_(self.axis, at, within.reshape(sizes))
        return whole

    def one(self, value: Tensor) -> Tensor:
        """Take the first sample out of a value, in its own shape."""
        at = torch.tensor([place for place, its in enumerate(self.order) if its == 0])
        return value.index_select(self.axis, at).reshape(self.sample_shape(value.shape))


def found(sample: Tensor) -> Layout | None:
    """Find the layout of a value.

    sample: in its shape, to which sample each number belongs; -1: to none. Returns None if no axis tells them apart.
    """
    for axis, size in enumerate(sample.shape):
        if size % BATCH:
            continue
        rows = sample.movedim(axis, 0).reshape(size, -1)
        largest = rows.max(1).values
        known = torch.where(rows < 0, largest[:, None], rows)
        order = tuple(largest.tolist())
        each = all(order.count(number) == size // BATCH for number in range(BATCH))
        if each and bool((known == largest[:, None]).all()):
            return Layout(axis, order)
    return None
