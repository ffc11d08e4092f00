"""Pooling in compiled loops: images (samples, channels, height, width), windows that slide over the last two axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers

_F = np.float32
# What a row of places says of a pooling: image, window, stride, padding, dilation and output, along both axes.
HEIGHT, WIDTH, TALL, WIDE, DOWN, ACROSS, TOP, LEFT, APART_DOWN, APART_ACROSS, ROWS, COLUMNS, PADS_COUNT = range(13)
SIZES = 13


def largest(x: Floats, sizes: Integers, y: Floats, chosen: NDArray[np.int32]) -> None:
    """Take the largest value under every window, the first of equals; NaN counts as largest.

    x: (images, pixels), y: (images, outputs), filled here, and ``chosen`` with the pixel of each. sizes: as above.
    """
    height, width, rows, columns = sizes[HEIGHT], sizes[WIDTH], sizes[ROWS], sizes[COLUMNS]
    for n in range(len(x)):
        image, out, of = x[n], y[n], chosen[n]
        for r in range(rows):
            for c in range(columns):
                best, place = _F(-np.inf), np.int64(-1)
                for i in range(sizes[TALL]):
                    row = r * sizes[DOWN] - sizes[TOP] + i * sizes[APART_DOWN]
                    if row < 0 or row >= height:
                        continue
                    for j in range(sizes[WIDE]):
                        column = c * sizes[ACROSS] - sizes[LEFT] + j * sizes[APART_ACROSS]
                        if column < 0 or column >= width:
                            continue
                        value = image[row * width + column]
                        if value > best or place < 0 or value != value:
                            best, place = value, row * width + column
                out[r * columns + c], of[r * columns + c] = best, np.int32(place)


def largest_back(of_y: Floats, chosen: NDArray[np.int32], of_x: Floats) -> None:
    """Send the gradient of every output to the pixel that was chosen; of_x (images, pixels) is filled."""
    for n in range(len(of_x)):
        for k in range(of_x.shape[1]):
            of_x[n, k] = _F(0)
        for k in range(of_y.shape[1]):
            of_x[n, chosen[n, k]] += of_y[n, k]


def average(x: Floats, sizes: Integers, y: Floats, back: bool) -> None:
    """Average under every window; arguments as for `largest`. back: fill x with the gradient of y instead."""
    height, width, rows, columns = sizes[HEIGHT], sizes[WIDTH], sizes[ROWS], sizes[COLUMNS]
    for n in range(len(x)):
        image, out = x[n], y[n]
        if back:
            for k in range(len(image)):
                image[k] = _F(0)
        for r in range(rows):
            low, high = (
                r * sizes[DOWN] - sizes[TOP],
                min(r * sizes[DOWN] - sizes[TOP] + sizes[TALL], height + sizes[TOP]),
            )
            first, last = max(low, 0), min(high, height)
            for c in range(columns):
                start = c * sizes[ACROSS] - sizes[LEFT]
                stop = min(start + sizes[WIDE], width + sizes[LEFT])
                begin, end = max(start, 0), min(stop, width)
                counted = (high - low) * (stop - start) if sizes[PADS_COUNT] else (last - first) * (end - begin)
                if back:
                    given = out[r * columns + c] / _F(counted)
                    for row in range(first, last):
                        for column in range(begin, end):
                            image[row * width + column] += given
                else:
                    total = _F(0)
                    for row in range(first, last):
                        for column in range(begin, end):
                            total += image[row * width + column]
                    out[r * columns + c] = total / _F(counted)
