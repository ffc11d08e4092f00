"""Reads of one array by a cell: a column or a row at a time, or the whole array at once.

A column is read by a forward multiplication with a one-hot vector, a row by a backward one. The vector goes straight to
the converters: noise and bound management are off, so output bound, resolution and noise act on the weights themselves.

A single slice needs no product of the whole array. On the compiled path, with a periphery that has nothing but
converters, wires and output noise, a loop takes just the slice; it gives what `mvm.multiply` gives, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from rpusim.errors import InputError
from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Floats, Loop
from rpusim.kernels.base.rng import Integer, Purpose, nb_bits, nb_line_words, nb_normal, nb_step_words
from rpusim.kernels.mvm import compiled
from rpusim.kernels.mvm.multiply import BoundManagement, IOParameters, Lines, NoiseManagement, multiply
from rpusim.kernels.mvm.wires import arriving, spread_of

Tensor = torch.Tensor


class Reading(NamedTuple):
    """What the periphery makes of a slice; signals have no unit.

    level: what the input's converter makes of an input of 1. levels: what is left of it at the cells (slices,), and
    share: what of a cell's current comes out (length,), where there are wires; else both empty. step, bound: of the
    output's converter; sigma: standard deviation of the output's noise; each 0 if there is none. scale: digital factor
    at the end. key: of the noise.
    """

    level: np.float32
    levels: Floats
    share: Floats
    step: np.float32
    bound: np.float32
    sigma: np.float32
    scale: np.float32
    key: np.uint64


def _slice(
    cells: Floats,
    level: np.float32,
    share: Floats,
    step: np.float32,
    bound: np.float32,
    sigma: np.float32,
    scale: np.float32,
    noise_key: np.uint64,
    count: Integer,
    out: Floats,
) -> None:
    """Read one slice of weights into ``out``, with output noise, rounding and clipping as in `compiled`.

    cells: weights of the slice (length,). level: what drives it. share to noise_key: as of a `Reading`. count: which
    read of the array this is.
    """
    word_a, word_b = nb_step_words(noise_key, count)
    a, c = nb_line_words(word_a, word_b, 0, 0)
    for i in range(len(cells)):
        value = cells[i] * level
        if len(share):
            value = np.float32(value * share[i])
        if sigma > 0:
            value += nb_normal(nb_bits(a, c, i)) * sigma
        if step > 0:
            value = np.float32(np.rint(np.float32(value / step)) * step)
        if bound > 0:
            value = bound if value > bound else value
            value = -bound if value < -bound else value
        out[i] = value * scale


_SLICE = Loop(_slice)
_NONE = np.empty(0, np.float32)


class Reader:
    """Reads slices of an array through its converters.

    io: the periphery of the side that reads; its wires are those of the array forwards. rows, columns: size of the
    array. stream: names the reader to the random numbers. by_columns: read columns by forward multiplications, else
    rows by backward ones.
    Attributes: slices, how many there are; length, weights in each; simple, whether there is nothing but converters and
    output noise; reading, what these do.
    """

    def __init__(self, io: IOParameters, rows: int, columns: int, stream: tuple[int, ...], by_columns: bool) -> None:
        if io.slices is not None:
            raise InputError("slices: were given for reads of a cell that learns by pulses; accepted is None")
        wires = io.wires if io.wires is None or by_columns else io.wires.turned
        unmanaged = {"noise_management": NoiseManagement.NONE, "bound_management": BoundManagement.NONE}
        self.io = replace(io, wires=wires, **unmanaged)  # type: ignore[arg-type]
        self._alone = self.io if wires is None else replace(self.io, wires=replace(wires, alone=True))
        self.stream, self.by_columns = stream, by_columns
        self.slices, self.length = (columns, rows) if by_columns else (rows, columns)
        self._lines = Lines.sample(self.io, self.length, self.slices, stream)
        io, f = self.io, np.float32
        self.simple = compiled.covers(io) and not (
            io.inp_noise or io.inp_sto_round or io.out_noise_std or io.out_sto_round or io.out_asymmetry
        )
        level = f(np.rint(f(1) / f(io.inp_step))) * f(io.inp_step) if io.inp_step > 0.0 else f(1)
        level = min(level, f(io.inp_bound)) if io.inp_bound > 0.0 else level
        key = np.uint64(rng.key(*stream, Purpose.OUTPUT_NOISE))
        levels, share = self._along(level)
        self.reading = Reading(
            level, levels, share, f(io.out_step), f(io.out_bound), f(io.out_noise), f(io.out_scale), key
        )
        if io.is_perfect:
            self.reading = Reading(f(1), _NONE, _NONE, f(0), f(0), f(0), f(io.out_scale), key)

    def _along(self, level: np.float32) -> tuple[Floats, Floats]:
        """Find the levels and shares of a `Reading`."""
        if self._alone.wires is None:
            return _NONE, _NONE
        own = spread_of(self._alone.wires, self.slices).own
        return (own * np.float64(level)).astype(np.float32), arriving(self._alone.wires, self.length)

    def read(self, weights: Tensor, slices: Sequence[int], first: int, path: str) -> Tensor:
        """Read slices as the converters see them: (len(slices), length).

        weights: (rows, columns). slices: numbers of columns (or rows). first: how many reads there were before.
        path: "numba" or "torch".
        """
        if self.io.is_perfect:
            exact = weights[:, list(slices)].t() if self.by_columns else weights[list(slices)]
            return exact.clone() if self.io.out_scale == 1.0 else exact * self.io.out_scale
        if self.simple and path == "numba":
            matrix = weights.numpy().T if self.by_columns else weights.numpy()
            out = np.empty((len(slices), self.length), np.float32)
            for row, index in enumerate(slices):
                level, levels, *others = self.reading
                _SLICE(matrix[index], levels[index] if len(levels) else level, *others, first + row, out[row])
            return torch.from_numpy(out)
        return self._multiply(weights, self.one_hot(slices, weights.device), first, path, self._alone)

    def multiply(self, weights: Tensor, vectors: Tensor, first: int, path: str) -> Tensor:
        """Multiply any ``vectors`` (number, slices) by the array: (number, length); the others as for `read`."""
        return self._multiply(weights, vectors, first, path, self.io)

    def _multiply(self, weights: Tensor, vectors: Tensor, first: int, path: str, io: IOParameters) -> Tensor:
        matrix = weights if self.by_columns else weights.t()
        return multiply(matrix, vectors, io, self._lines, self.stream, first, path=path).y

    def one_hot(self, slices: Sequence[int], device: torch.device) -> Tensor:
        """Make the unit vectors that read some slices: (len(slices), all slices)."""
        vectors = torch.zeros(len(slices), self.slices, device=device)
        for row, index in enumerate(slices):
            vectors[row, index] = 1.0
        return vectors
