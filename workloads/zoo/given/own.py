"""Networks of the user's own: ``file.py:function``, a function that returns (module, input_shape)."""

from __future__ import annotations

import itertools
import operator
import os
import runpy
import threading
from pathlib import Path
from typing import Any

from torch import Tensor, dtype, nn

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError, nearest, written

_RUNNING = threading.RLock()
"""Held while a user's file is run: meanwhile it is the program that `sys` knows, for all threads."""

# The thread that held it does not live on in a forked process.
os.register_at_fork(after_in_child=_RUNNING._at_fork_reinit)  # type: ignore[attr-defined]


def build(path: str, function: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Call the user's function; whatever is wrong with it is said in one sentence."""
    try:
        there = Path(path).is_file()
    except (OSError, ValueError):  # a name too long, a NUL
        there = False
    if not there:
        raise InputError(f"network: there is no file {shown(path)}; accepted: a name of the zoo, or file.py:function")
    try:
        with _RUNNING:
            defined = runpy.run_path(path)
    except (Exception, SystemExit) as error:
        raise InputError(f"network: {path} cannot be run ({type(error).__name__}: {_first_line(error)})") from error
    if not callable(defined.get(function)):
        functions = [key for key, value in defined.items() if callable(value) and not key.startswith("_")]
        raise InputError(f"network: {path} has no function {function!r}{nearest(function, functions)}")
    try:
        module, input_shape = defined[function]()
        if isinstance(input_shape, dict):
            input_shape = (input_shape,)
        if isinstance(input_shape, Tensor):
            input_shape = (input_shape,)
        if isinstance(input_shape, str | bytes | set | frozenset):
            raise TypeError(f"the shape is {shown(written(input_shape), 60)}, not numbers in an order")
        shape: tuple[Any, ...] = tuple(map(_size, itertools.islice(input_shape, 1000)))
    except (Exception, SystemExit) as error:
        raise InputError(
            f"network: {function} in {path} did not return (module, input_shape) "
            f"({type(error).__name__}: {_first_line(error)})"
        ) from error
    if not isinstance(module, nn.Module):
        raise InputError(f"network: {function} in {path} returned {type(module).__name__}; a torch module is needed")
    return module, shape


def _size(given: Any) -> Any:
    """Return a size as a whole number; what is no number (a shape or an example of one of several inputs) as it is."""
    return given if isinstance(given, list | tuple | dict | Tensor | dtype) else operator.index(given)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")
