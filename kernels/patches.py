"""A convolution as vectors: one per output position, in raster order, sample by sample; and the sum back to images.

The columns of a vector are the input channels' windows one after the other, as in `torch.nn.functional.unfold`, then
a 1 if there is a bias. On the CPU compiled loops write the vectors where the array reads them; elsewhere torch does it.
Both give the same bits: pixels add up what the windows hold of them in the order of the places in the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray
from torch.nn import functional

from rpusim.kernels.compiled import Loop

Tensor = torch.Tensor
Pair = tuple[int, int]

# Numbers (about 1 ns each) above which a parallel launch pays even if another process has a core.
_PARALLEL_WORK = 4_000_000


def _gather(x, starts, offsets, padding, bias, vectors):
    for n in prange(x.shape[0]):
        height, width = x.shape[2], x.shape[3]
        framed = np.zeros((x.shape[1], height + 2 * padding[0], width + 2 * padding[1]), np.float32)
        framed[:, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = x[n]
        pixels = framed.reshape(-1)
        for position in range(len(starts)):
            vector, start = vectors[n * len(starts) + position], starts[position]
            for place in range(len(offsets)):
                vector[place] = pixels[start + offsets[place]]
            if bias:
                vector[len(offsets)] = np.float32(1)


def _scatter(vectors, starts, offsets, padding, x):
    for n in prange(x.shape[0]):
        height, width = x.shape[2], x.shape[3]
        framed = np.zeros((x.shape[1], height + 2 * padding[0], width + 2 * padding[1]), np.float32)
        pixels = framed.reshape(-1)
        # Backwards over the positions is forwards over the places in the window.
        for position in range(len(starts) - 1, -1, -1):
            vector, start = vectors[n * len(starts) + position], starts[position]
            for place in range(len(offsets)):
                pixels[start + offsets[place]] += vector[place]
        x[n] = framed[:, padding[0] : padding[0] + height, padding[1] : padding[1] + width]


_GATHER, _SCATTER = Loop(_gather, _PARALLEL_WORK), Loop(_scatter, _PARALLEL_WORK)


@dataclass(frozen=True)
class Window:
    """What of an image an output position sees; all in pixels, (height, width)."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    def positions(self, height: int, width: int) -> Pair:
        """Output positions for an image of this size."""
        sides = zip((height, width), self.kernel, self.stride, self.padding, self.dilation, strict=True)
        high, wide = ((s + 2 * p - d * (k - 1) - 1) // t + 1 for s, k, t, p, d in sides)
        return high, wide

    def vectors(self, x: Tensor, bias: bool) -> Tensor:
        """Images (samples, channels, height, width) as vectors (positions of all samples, columns)."""
        x = x.detach().to(torch.float32).contiguous()
        if x.is_cpu:
            starts, offsets = _places(self, *x.shape[1:])
            vectors = torch.empty(len(x) * len(starts), len(offsets) + int(bias))
            _GATHER(x.numpy(), starts, offsets, self.padding, bias, vectors.numpy(), work=vectors.numel())
            return vectors
        patches = functional.unfold(x, self.kernel, self.dilation, self.padding, self.stride)
        vectors = patches.transpose(1, 2).reshape(-1, patches.shape[1])
        return torch.cat([vectors, vectors.new_ones(len(vectors), 1)], 1) if bias else vectors.contiguous()

    def images(self, vectors: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The sum over all windows of vectors (positions of all samples, columns), as images of this shape."""
        if vectors.is_cpu:
            x = torch.empty(shape)
            starts, offsets = _places(self, *shape[1:])
            _SCATTER(vectors.contiguous().numpy(), starts, offsets, self.padding, x.numpy(), work=vectors.numel())
            return x
        columns = shape[1] * self.kernel[0] * self.kernel[1]
        patches = vectors[:, :columns].reshape(shape[0], -1, columns).transpose(1, 2)
        return functional.fold(patches, tuple(shape[2:]), self.kernel, self.dilation, self.padding, self.stride)


@lru_cache(maxsize=256)
def _places(window: Window, channels: int, height: int, width: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Where each position's window starts, and its places from there, in a flat image with its padding."""
    high, wide = height + 2 * window.padding[0], width + 2 * window.padding[1]
    pixel = np.arange(channels * high * wide, dtype=np.uint64).reshape(channels, high, wide)
    positions = window.positions(height, width)
    (down, right), (below, beside) = window.stride, window.dilation
    starts = pixel[0, : positions[0] * down : down, : positions[1] * right : right]
    offsets = pixel[:, : window.kernel[0] * below : below, : window.kernel[1] * beside : beside]
    return starts.ravel(), offsets.ravel()
