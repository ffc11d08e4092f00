"""Tracing with ``torch.export``: a module's copy without weights, and errors in the words of who wrote the module."""

from __future__ import annotations

import copy
import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from rpusim.errors import InputError
from rpusim.workloads.capture.accepted import ACCEPTED_MODULES, unsupported

BATCH = 2
"""Samples traced at once; not 1, so that a reshape that mixes samples shows."""


def meta_copy(module: nn.Module) -> nn.Module:
    """Copy a module without the storage of its tensors; tensors that are shared stay shared.

    Raises InputError if a tensor has no shape yet, or something in the module cannot be copied.
    """
    memo: dict[int, Any] = {}
    for path, part in module.named_modules():
        for key, tensor in [*part._parameters.items(), *part._buffers.items(), *vars(part).items()]:
            if is_lazy(tensor):
                raise InputError(f"{path or 'module'}.{key} has no shape yet, accepted: a module that ran once")
            if isinstance(tensor, nn.Parameter):
                memo[id(tensor)] = nn.Parameter(torch.empty_like(tensor, device="meta"), tensor.requires_grad)
            elif isinstance(tensor, torch.Tensor):
                memo[id(tensor)] = torch.empty_like(tensor, device="meta").detach()
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:  # whatever a user's attribute may raise when it is copied
        raise InputError(f"{type(module).__name__} cannot be copied: {_first_line(error)}") from error


def export(twin: nn.Module, shape: tuple[int, ...]) -> torch.export.ExportedProgram:
    """Trace a copy on a batch of `BATCH` samples of a shape; what torch has to say becomes an InputError in a sentence.

    twin: on the meta device, in evaluation mode.
    """
    floating = [p.dtype for p in twin.parameters() if p.is_floating_point()]
    with torch.device("meta"), _quiet():
        sample = torch.empty(BATCH, *shape, dtype=floating[0] if floating else torch.float32)
        try:
            return torch.export.export(twin, (sample,), strict=False)
        except InputError:
            raise
        except Exception as error:  # torch.export raises many kinds, among them whatever the user's forward raises
            what = type(twin).__name__
            if "data-dependent" in str(error) or "DataDependent" in type(error).__name__:
                raise InputError(
                    f"{what}.forward decides by the values in its data (an if, a loop or .item()), "
                    "accepted: the same operations for every sample"
                ) from error
            path, part = _failed_in(twin, error)
            kind = type(part).__name__
            if is_torchs_own(part) and kind not in ACCEPTED_MODULES:
                raise InputError(unsupported(f"module {path!r} ({kind})", kind, ACCEPTED_MODULES)) from error
            where = f" in module {path!r} ({kind})" if path else ""
            raise InputError(f"{what} cannot run on a sample of shape {shape}: {_first_line(error)}{where}") from error


def _failed_in(twin: nn.Module, error: Exception) -> tuple[str, nn.Module]:
    """Find the innermost submodule of the copy whose forward was running when the error was raised, and its path."""
    paths = {id(part): path for path, part in twin.named_modules()}
    found = ("", twin)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and id(owner) in paths:
            found = (paths[id(owner)], owner)
    return found


def is_torchs_own(part: nn.Module) -> bool:
    """Tell whether this is one of torch's own modules, as opposed to one the user wrote or a mere container."""
    home = type(part).__module__
    return home.startswith("torch.nn.") and not home.endswith(".container")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's own account of a failed trace off the screen: the `InputError` says it in one sentence."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
