"""What a GPU would do for rpusim on this machine: whether torch sees one, and which way tensors on it take."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

CELLS = ("reram-es", "tiki-taka-reram-es", "ttv2-reram-es", "agad-reram-es")
"""Ways to train whose memory is told, of `rpusim.kernels.configuration`."""
_SIDE = 64


def accelerator() -> dict[str, Any]:
    """Look for a GPU, and for what uses it.

    Returns a document: ``torch`` (its version), ``cuda`` (the version that torch is built for; None: it is not),
    ``gpus`` (rows of name and memory_bytes), ``triton`` (its version; None: not installed), ``way``: a sentence on
    which way tensors on a GPU take; ``bytes_per_cell``: what a cell that learns takes, by the name of the way to train.
    """
    import torch

    cuda = torch.version.cuda
    gpus = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            seen = torch.cuda.get_device_properties(number)
            gpus.append({"name": seen.name, "memory_bytes": int(seen.total_memory)})
    try:
        triton: str | None = version("triton")
    except PackageNotFoundError:
        triton = None
    return {
        "torch": torch.__version__,
        "cuda": cuda,
        "gpus": gpus,
        "triton": triton,
        "way": way(cuda, len(gpus), triton),
        "bytes_per_cell": {name: bytes_per_cell(name) for name in CELLS},
    }


def way(cuda: str | None, gpus: int, triton: str | None) -> str:
    """Say in a sentence which way tensors on a GPU take.

    cuda: the version that torch is built for, or None. gpus: how many torch sees. triton: its version, or None.
    """
    if not gpus:
        why = "torch is built without CUDA" if cuda is None else "torch sees no GPU"
        return f"none: {why}, and everything is computed on the cores above"
    if triton is None:
        return "torch, operation by operation, which is slow; compiled kernels need pip install 'rpusim[gpu]'"
    return "kernels compiled by Triton where they cover what is asked, else torch, operation by operation"


def bytes_per_cell(name: str) -> float:
    """Count the bytes that a weight takes on arrays that learn, its frozen variations included; by measuring a tile.

    name: a way to train, of `rpusim.kernels.configuration`.
    """
    from rpusim.kernels import configuration

    tile = configuration(name).config.tile(_SIDE, _SIDE)
    total = sum(each.numel() * each.element_size() for each in (*tile.buffers(), *tile.parameters()))
    return total / _SIDE**2
