"""Tracing with ``torch.export``: a module's copy without weights, and errors in the words of who wrote the module."""

from __future__ import annotations

import copy
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import product
from typing import Any, TextIO

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from rpusim.errors import InputError
from rpusim.workloads.capture.samples import Samples

_TRACING = threading.RLock()
"""Held while something is traced: torch.export takes one module at a time."""

# The thread that held it does not live on in a forked process.
os.register_at_fork(after_in_child=_TRACING._at_fork_reinit)  # type: ignore[attr-defined]


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


def export(twin: nn.Module, samples: Samples) -> torch.export.ExportedProgram:
    """Trace a copy on a batch of `BATCH` samples; what torch has to say becomes an InputError in a sentence.

    twin: on the meta device, in the mode that is traced. samples: what it is given. Where no dtype is said, numbers are
    floating ones; if the module cannot run on these, those inputs are whole numbers with which it can.
    """
    floating = [p.dtype for p in twin.parameters() if p.is_floating_point()]
    first: Exception | None = None
    for whole in _guesses(samples):
        with torch.device("meta"), _TRACING, _quiet(), _confined(), _masks_as_given():
            args, given = samples.tensors(floating[0] if floating else torch.float32, whole)
            try:
                program = torch.export.export(twin, args, given, strict=False)
                return program.run_decompositions({}) if _writes_into_parts(program) else program
            except InputError:
                raise
            except Exception as error:  # torch.export raises many kinds, and whatever the user's forward raises
                first = first or error
                if not _asks_for_whole_numbers(error):
                    break
    assert first is not None
    raise _refused(twin, samples, first) from first


def _writes_into_parts(program: torch.export.ExportedProgram) -> bool:
    """Tell whether a part of a tensor is written to in place, as in ``y[:, 0] = x``; torch can say that without."""
    written: list[str] = []
    for node in program.graph.nodes:
        whole = node.args[0] if node.op == "call_function" and node.args else None
        if isinstance(whole, torch.fx.Node) and str(node.target).split(".")[-2:][0].endswith("_"):
            written.append(str(whole.target))
    return any(of.startswith(("aten.select.", "aten.slice.", "aten.view.", "aten.narrow.")) for of in written)


def _guesses(samples: Samples) -> list[tuple[bool, ...]]:
    """List which inputs may be whole numbers: first none, then all, then one or more of those without a dtype."""
    free = [each.dtype is None for each in samples.all]
    mixed = [choice for choice in product((False, True), repeat=len(free)) if len(free) < 5]
    listed = [tuple(False for _ in free), tuple(free), *mixed]
    return list(
        dict.fromkeys(choice for choice in listed if all(f or not c for f, c in zip(free, choice, strict=True)))
    )


def _asks_for_whole_numbers(error: Exception) -> bool:
    """Tell whether torch complains of a dtype."""
    text = str(error)
    return any(
        word in text for word in ("Long", "Int", "int64", "dtype", "integer", "indices", "Float", "Half", "type")
    )


def _refused(twin: nn.Module, samples: Samples, error: Exception) -> InputError:
    """Say in one sentence why a module cannot be traced."""
    what = type(twin).__name__
    if "data-dependent" in str(error) or "DataDependent" in type(error).__name__:
        return InputError(
            f"{what}.forward decides by the values in its data (an if, a loop or .item()), "
            "accepted: the same operations for every sample"
        )
    path, part = _failed_in(twin, error)
    where = f" in module {path!r} ({type(part).__name__})" if path else ""
    return InputError(f"{what} cannot run on a sample of shape {samples.shapes}: {_first_line(error)}{where}")


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


class _Here:
    """Whatever torch says in this thread, in the shapes that warnings and logging ask for.

    Nothing of the process is exchanged, as other threads go on: they warn, log and write to stderr as before.
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def match(self, text: str) -> bool:
        """Tell, as a filter of warnings, whether this one comes from the thread."""
        return threading.get_ident() == self.thread

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell, as a filter of logging, whether a record comes from elsewhere."""
        return record.thread != self.thread


class _Muted:
    """Stands for a stream: what the thread writes to it is dropped, everything else reaches the stream."""

    def __init__(self, stream: TextIO, here: _Here) -> None:
        self._stream, self._here = stream, here

    def write(self, text: str) -> int:
        """Write, unless it is the thread that writes."""
        return len(text) if self._here.match(text) else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's own account of a failed trace off the screen: the `InputError` says it in one sentence."""
    here = _Here()
    filters: list[Any] = warnings.filters  # type: ignore[assignment]  # declared as a sequence
    ignored = ("ignore", here, Warning, None, 0)
    loggers = [each for name, each in [*logging.root.manager.loggerDict.items()] if name.split(".")[0] == "torch"]
    sources = [each for each in loggers if isinstance(each, logging.Logger)]
    filtered = [*sources, *(handler for each in sources for handler in each.handlers)]
    before, muted = sys.stderr, None
    if before is not None:
        sys.stderr = muted = _Muted(before, here)
    filters.insert(0, ignored)
    for each in filtered:
        each.addFilter(here)
    try:
        yield
    finally:
        here.thread = -1  # whoever still has one of these hears everything
        for each in filtered:
            each.removeFilter(here)
        filters.remove(ignored)
        if sys.stderr is muted:  # otherwise another thread has exchanged it meanwhile, and will put it back
            sys.stderr = before


@contextmanager
def _confined() -> Iterator[None]:
    """Let only this thread's modules be traced: while it traces, torch.fx exchanges the call of every module."""
    patcher = torch.fx._symbolic_trace._Patcher
    exchange = patcher.patch_method

    def exchange_here(self: Any, cls: type, name: str, new_fn: Callable[..., Any], deduplicate: bool = True) -> None:
        thread, before = threading.get_ident(), getattr(cls, name)

        @wraps(new_fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            return (new_fn if threading.get_ident() == thread else before)(*args, **kwargs)

        exchange(self, cls, name, call, deduplicate)

    patcher.patch_method = exchange_here  # type: ignore[method-assign]
    try:
        yield
    finally:
        patcher.patch_method = exchange  # type: ignore[method-assign]


@contextmanager
def _masks_as_given() -> Iterator[None]:
    """Keep torch's transformers from looking at the values of a mask, to find out that it is the causal one.

    They do so to call a faster function with the same result; a trace has no values. Other threads look as before.
    """
    there, thread = torch.nn.modules.transformer, threading.get_ident()
    detect = there._detect_is_causal_mask

    def as_said(mask: Any, is_causal: bool | None = None, size: int | None = None) -> bool:
        return bool(is_causal) if threading.get_ident() == thread else detect(mask, is_causal, size)

    there._detect_is_causal_mask = as_said
    try:
        yield
    finally:
        there._detect_is_causal_mask = detect


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
