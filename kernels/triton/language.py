"""Import Triton where it is installed, and launch its kernels so that they give the bits of the CPU.

Triton is an extra of this package: CUDA builds of torch bring it along. A file with kernels is imported only after
`rpusim.kernels.base.paths.has_triton` has said yes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch


def jit(function: Callable[..., Any]) -> Any:
    """Make a Triton function of a Python one; it needs Triton.

    Triton's compiler looks the names of annotations up, and refuses those that are not its own: "Any" becomes one.
    """
    import triton
    import triton.language

    if "Any" in function.__globals__:
        function.__globals__["Any"] = triton.language.tensor
    return triton.jit(function)


def blocks(length: int, block: int) -> int:
    """Count the blocks that cover a length."""
    return -(-length // block)


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """Run a kernel on the device of its first tensor; ``constants`` are its compile-time arguments.

    Products and sums are not fused into one rounding: the CPU does not do so, and numbers are to be the same.
    """
    if 0 in grid:
        return
    first = next(argument for argument in arguments if isinstance(argument, torch.Tensor))
    with torch.cuda.device(first.device) if first.is_cuda else nullcontext():
        kernel[grid](*arguments, **constants, enable_fp_fusion=False)
