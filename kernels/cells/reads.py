"""Reads of one array by a cell: a column or a row at a time, or the whole array at once.

A column is read by a forward multiplication with a one-hot vector, a row by a backward one. The vector goes straight to
the converters: noise and bound management are off, so output bound, resolution and noise act on the weights themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from rpusim.kernels.mvm import BoundManagement, IOParameters, Lines, NoiseManagement, multiply

Tensor = torch.Tensor


class Reader:
    """Reads an array of ``rows`` x ``columns`` by its columns (else by its rows) through the periphery ``io``."""

    def __init__(self, io: IOParameters, rows: int, columns: int, stream: tuple[int, ...], by_columns: bool) -> None:
        self.io = replace(io, noise_management=NoiseManagement.NONE, bound_management=BoundManagement.NONE)
        self.stream, self.by_columns = stream, by_columns
        self.slices, self.length = (columns, rows) if by_columns else (rows, columns)
        self._lines = Lines.sample(self.io, self.length, self.slices, stream)

    def read(self, weights: Tensor, slices: Sequence[int], first: int, path: str) -> Tensor:
        """The slices as the converters see them (len(slices), length); ``first`` counts the reads before."""
        if self.io.is_perfect:
            exact = weights[:, list(slices)].t() if self.by_columns else weights[list(slices)]
            return exact.clone() if self.io.out_scale == 1.0 else exact * self.io.out_scale
        return self.multiply(weights, self.one_hot(slices, weights.device), first, path)

    def multiply(self, weights: Tensor, vectors: Tensor, first: int, path: str) -> Tensor:
        """The products with any ``vectors`` (number, slices): (number, length)."""
        matrix = weights if self.by_columns else weights.t()
        return multiply(matrix, vectors, self.io, self._lines, self.stream, first, path=path).y

    def one_hot(self, slices: Sequence[int], device: torch.device) -> Tensor:
        """Unit vectors (len(slices), all slices)."""
        vectors = torch.zeros(len(slices), self.slices, device=device)
        for row, index in enumerate(slices):
            vectors[row, index] = 1.0
        return vectors
