"""A convolution as vectors: one per output position, in raster order, sample by sample; and the sum back to images.

The columns of a vector are the input channels' windows one after the other, as in `torch.nn.functional.unfold`, then
a 1 if there is a bias. An image has one, two or three axes besides its channels. On the CPU compiled loops write the
vectors where the array reads them; elsewhere torch does it. Both give the same bits: pixels add up what the windows
hold of them in the order of the places in the window.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Loop

Tensor = torch.Tensor
Sizes = tuple[int, ...]
Places = NDArray[np.uint64]

# Numbers (about 1 ns each) above which a parallel launch pays even if another process has a core.
_PARALLEL_WORK = 4_000_000


def _gather(x: Floats, starts: Places, offsets: Places, padding: Sizes, bias: bool, vectors: Floats) -> None:
    """Fill ``vectors`` with the windows of the images ``x``; see `Window` for the shapes."""
    for n in prange(x.shape[0]):
        (front, top, left), (depth, height, width) = padding, x.shape[2:]
        framed = np.zeros((x.shape[1], depth + 2 * front, height + 2 * top, width + 2 * left), np.float32)
        framed[:, front : front + depth, top : top + height, left : left + width] = x[n]
        pixels = framed.reshape(-1)
        for position in range(len(starts)):
            vector, start = vectors[n * len(starts) + position], starts[position]
            for place in range(len(offsets)):
                vector[place] = pixels[start + offsets[place]]
            if bias:
                vector[len(offsets)] = np.float32(1)


def _scatter(vectors: Floats, starts: Places, offsets: Places, padding: Sizes, x: Floats) -> None:
    """Fill the images ``x`` with the sums of what the windows in ``vectors`` hold of each pixel."""
    for n in prange(x.shape[0]):
        (front, top, left), (depth, height, width) = padding, x.shape[2:]
        framed = np.zeros((x.shape[1], depth + 2 * front, height + 2 * top, width + 2 * left), np.float32)
        pixels = framed.reshape(-1)
        # Backwards over the positions is forwards over the places in the window.
        for position in range(len(starts) - 1, -1, -1):
            vector, start = vectors[n * len(starts) + position], starts[position]
            for place in range(len(offsets)):
                pixels[start + offsets[place]] += vector[place]
        x[n] = framed[:, front : front + depth, top : top + height, left : left + width]


_GATHER, _SCATTER = Loop(_gather, _PARALLEL_WORK), Loop(_scatter, _PARALLEL_WORK)


@dataclass(frozen=True)
class Window:
    """Say what of an image an output position sees.

    kernel, stride, padding, dilation: in pixels along the image's axes, such as (height, width); as for a convolution.
    """

    kernel: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes

    def positions(self, *sizes: int) -> Sizes:
        """Count the output positions along each axis of an image; below 1 where the window does not fit."""
        sides = zip(sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((s + 2 * p - d * (k - 1) - 1) // t + 1 for s, k, t, p, d in sides)

    def vectors(self, x: Tensor, bias: bool, path: str = "numba") -> Tensor:
        """Turn images into vectors, one per output position.

        x:     images (samples, channels, *sizes).
        bias:  whether a 1 comes last in every vector.
        path:  "numba" (compiled, on the CPU) or "torch".

        Returns (positions of all samples, columns), float32.
        """
        x = x.detach().to(torch.float32).contiguous()
        if path == "numba" and x.is_cpu:
            starts, offsets = _places(self, *x.shape[1:])
            vectors = torch.empty(len(x) * len(starts), len(offsets) + int(bias))
            shape, padding = (*x.shape[:2], *_three(x.shape[2:], 1)), _three(self.padding, 0)
            _GATHER(x.reshape(shape).numpy(), starts, offsets, padding, bias, vectors.numpy(), work=vectors.numel())
            return vectors
        framed = torch.nn.functional.pad(x, [side for p in self.padding[::-1] for side in (p, p)])
        seen = torch.stack(
            [framed[place] for place in self._slices(x.shape[2:])], 2
        )  # (samples, channels, places, ...)
        vectors = seen.flatten(3).flatten(1, 2).transpose(1, 2).flatten(0, 1)
        return torch.cat([vectors, vectors.new_ones(len(vectors), 1)], 1) if bias else vectors.contiguous()

    def images(self, vectors: Tensor, shape: Sizes, path: str = "numba") -> Tensor:
        """Add up what the windows hold of every pixel: the reverse of `vectors`, for gradients.

        vectors:  (positions of all samples, columns); a last column of the bias is left out.
        shape:    (samples, channels, *sizes) of the images that are returned.
        path:     as for `vectors`.
        """
        if path == "numba" and vectors.is_cpu:
            x = torch.empty(shape)
            starts, offsets = _places(self, *shape[1:])
            view, padding = x.reshape(*shape[:2], *_three(shape[2:], 1)).numpy(), _three(self.padding, 0)
            _SCATTER(vectors.contiguous().numpy(), starts, offsets, padding, view, work=vectors.numel())
            return x
        (samples, channels), sizes = shape[:2], shape[2:]
        columns = channels * math.prod(self.kernel)
        positions = self.positions(*sizes)
        seen = vectors[:, :columns].reshape(samples, math.prod(positions), columns).transpose(1, 2)
        seen = seen.reshape(samples, channels, math.prod(self.kernel), *positions)
        framed = vectors.new_zeros(samples, channels, *(s + 2 * p for s, p in zip(sizes, self.padding, strict=True)))
        for number, place in enumerate(self._slices(sizes)):
            framed[place] += seen[:, :, number]
        for axis, size in enumerate(sizes):
            framed = framed.narrow(axis + 2, self.padding[axis], size)
        return framed.contiguous()

    def _slices(self, sizes: Sizes) -> list[tuple[slice, ...]]:
        """List for each place in the window the pixels of a padded image that it sees from all positions."""
        steps = list(zip(self.positions(*sizes), self.stride, strict=True))
        places = itertools.product(*(range(0, k * d, d) for k, d in zip(self.kernel, self.dilation, strict=True)))
        return [
            (slice(None), slice(None), *(slice(at, at + n * t, t) for at, (n, t) in zip(place, steps, strict=True)))
            for place in places
        ]


def _three(sizes: Sizes, filler: int) -> tuple[int, int, int]:
    depth, height, width = (*[filler] * (3 - len(sizes)), *sizes)
    return depth, height, width


@lru_cache(maxsize=256)
def _places(window: Window, channels: int, *sizes: int) -> tuple[Places, Places]:
    """Find where each position's window starts, and its places from there, in a flat image with its padding."""
    framed = [size + 2 * padding for size, padding in zip(sizes, window.padding, strict=True)]
    pixel = np.arange(channels * math.prod(framed), dtype=np.uint64).reshape(channels, *framed)
    steps = zip(window.positions(*sizes), window.stride, strict=True)
    starts = pixel[0][tuple(slice(0, number * stride, stride) for number, stride in steps)]
    taps = zip(window.kernel, window.dilation, strict=True)
    offsets = pixel[:, *(slice(0, kernel * dilation, dilation) for kernel, dilation in taps)]
    return starts.ravel(), offsets.ravel()
