"""The three ways in which numbers are computed, and which one is taken where tensors lie.

    numba     compiled loops, on the CPU
    triton    compiled kernels, on a GPU; on the CPU in Triton's interpreter only, for tests
    torch     the specification, operation by operation, on any device

A path is asked for once, when arrays are made, and they may be moved afterwards. On a GPU "numba" means the compiled
way of that place, "triton", if Triton is installed, and else "torch"; "triton" on the CPU means "numba". All give the
same numbers; what a compiled way does not cover the specification computes.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import torch

from rpusim.errors import InputError

PATHS = ("numba", "torch", "triton")
_YES = ("1", "true", "yes", "on", "y")


@cache
def has_triton() -> bool:
    """Tell whether Triton is installed."""
    return find_spec("triton") is not None and find_spec("triton.language") is not None


def interpreted() -> bool:
    """Tell whether Triton's kernels are interpreted, so that they take tensors of the CPU (TRITON_INTERPRET=1)."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in _YES and has_triton()


def checked_path(path: str) -> str:
    """Return a path if there is such a one here; InputError if not."""
    if path not in PATHS:
        raise InputError(f"path: {path!r} was given; accepted are {', '.join(PATHS)}")
    if path == "triton" and not has_triton():
        raise InputError(
            "path: 'triton' was given, but Triton is not installed; accepted are 'numba' and 'torch', or Triton "
            "installed by pip install 'rpusim[gpu]'"
        )
    return path


def path_at(asked: str, values: torch.Tensor) -> str:
    """Return the path that is taken where ``values`` lie; asked: the path that arrays were made with."""
    if asked == "torch":
        return asked
    if values.is_cpu:
        return asked if asked == "numba" or interpreted() else "numba"
    return "triton" if values.is_cuda and has_triton() else "torch"
