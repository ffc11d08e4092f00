"""What one sample of a module's input is: shapes and dtypes of one tensor or of several, as arguments or by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rpusim.errors import InputError, shown, written
from rpusim.workloads.capture.layout import BATCH

MOST_DIMENSIONS, MOST_VALUES = 8, 10**9
"""The most dimensions, and the most values, of one input of a sample."""
SAMPLES = "samples"
"""Stands in a shape where the samples of a batch do."""
GivenInputs = Sequence[Any] | Mapping[str, Any] | Tensor
"""How a user says what a sample is: a shape, an example, or several of them; see `Samples.of`."""


@dataclass(frozen=True)
class OneInput:
    """Say what one tensor of a sample is.

    shape: of one sample. dtype: None: that of the module's parameters, or whole numbers where it reads tables by them.
    axis: of a batch, along which samples stand.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype | None = None
    axis: int = 0

    @property
    def batched(self) -> tuple[int, ...]:
        """Shape of a batch of `BATCH` samples."""
        return (*self.shape[: self.axis], BATCH, *self.shape[self.axis :])


@dataclass(frozen=True)
class Samples:
    """Say what a module is given for one sample.

    positional: the tensors it takes in order. named: those it takes by name.
    """

    positional: tuple[OneInput, ...]
    named: tuple[tuple[str, OneInput], ...] = ()

    @staticmethod
    def of(given: GivenInputs) -> Samples:
        """Read what a user says of a sample.

        given: the shape of one sample, such as (1, 28, 28); an example, a tensor of which the first axis is samples;
            several of these in a tuple or list, such as ((8,), (4,)); a shape with a dtype, ((16,), torch.int64); a
            mapping from the names of arguments to any of these. In a shape the word "samples" says where the samples
            of a batch stand, if they do not stand first: (6, "samples", 5).

        Raises InputError for anything else.
        """
        if isinstance(given, Mapping):
            return Samples((), tuple((str(name), _one(each)) for name, each in given.items()))
        if isinstance(given, Tensor) or _is_shape(given) or _has_dtype(given):
            return Samples((_one(given),))
        several = isinstance(given, Sequence) and not isinstance(given, str) and len(given) > 0
        if several and all(isinstance(each, Sequence | Tensor | Mapping) for each in given):
            names = [each for each in given if isinstance(each, Mapping)]
            named = [(str(name), _one(each)) for one in names for name, each in one.items()]
            return Samples(tuple(_one(each) for each in given if not isinstance(each, Mapping)), tuple(named))
        return Samples((_one(given),))

    @property
    def all(self) -> tuple[OneInput, ...]:
        """All tensors of a sample."""
        return (*self.positional, *(each for _, each in self.named))

    @property
    def shapes(self) -> str:
        """Their shapes, in words."""
        return " and ".join(str(each.shape) for each in self.all)

    def tensors(self, floating: torch.dtype, whole: Sequence[bool]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Make a batch of each, without values. floating: dtype of the module. whole: which are whole numbers."""
        made = []
        for each, counts in zip(self.all, whole, strict=True):
            made.append(torch.empty(*each.batched, dtype=each.dtype or (torch.int64 if counts else floating)))
        number = len(self.positional)
        names = (name for name, _ in self.named)
        return tuple(made[:number]), dict(zip(names, made[number:], strict=True))


def _is_shape(given: object) -> bool:
    listed = isinstance(given, Sequence) and bool(given) and not isinstance(given, str)
    return listed and all(isinstance(size, int) or size == SAMPLES for size in given)  # type: ignore[attr-defined]


def _has_dtype(given: object) -> bool:
    return isinstance(given, Sequence) and len(given) == 2 and isinstance(given[1], torch.dtype)


def _one(given: Any) -> OneInput:
    """Read one tensor: an example, a shape, or a shape with a dtype."""
    if isinstance(given, Tensor):
        if given.dim() < 1:
            raise InputError("input_shape has an example without axes, accepted: one whose first axis is samples")
        return OneInput(_checked(tuple(given.shape[1:]), given.shape[1:]), given.dtype)
    shape, dtype = given if _has_dtype(given) else (given, None)
    if _is_shape(shape) and list(shape).count(SAMPLES) == 1:
        sizes = tuple(size for size in shape if size != SAMPLES)
        return OneInput(_checked(sizes, shape), dtype, list(shape).index(SAMPLES))
    return OneInput(_checked(shape, shape), dtype)


def _checked(shape: Any, said: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (shape,)
    empty = not sizes and not isinstance(said, torch.Size | tuple)
    if empty or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        raise InputError(
            f"input_shape is {shown(written(said))}, accepted: positive whole numbers, the shape of one sample"
        )
    if len(sizes) > MOST_DIMENSIONS or math.prod(sizes) > MOST_VALUES:
        raise InputError(
            f"input_shape is {shown(written(sizes))}, accepted: at most {MOST_DIMENSIONS} dimensions and "
            f"{MOST_VALUES:g} values"
        )
    return sizes
