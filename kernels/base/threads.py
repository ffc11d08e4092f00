"""How many threads compute, so that neither the bytes nor the user's settings depend on it.

Three things share the cores: numba's parallel loops, torch, and the threads of Python that the user starts.

Parallel loops run in whatever layer numba finds: usually OpenMP, whose launch took 1 to 13 us where that of the
workqueue layer took 60 to 100 (2 threads), and which several threads of Python may use at once; workqueue ends the
process then. What comes with OpenMP is mended here: torch uses it, too, and numba sets torch's number of threads when
its own are launched; and its threads do not live on in a forked process. Loops give the same bytes on any number of
threads; sums of floats in torch do not, so `on_one_thread` computes what must not depend on it.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import torch

Given = TypeVar("Given")
Made = TypeVar("Made")


class _Threads:
    """What is known of the threads of this process.

    launched: whether numba's run. forked: whether this process was forked from another one. only_main: whether only the
    main thread of Python may use numba's. helpers: threads of Python for parts of a product, by their number.
    """

    def __init__(self) -> None:
        self.launched = self.forked = self.only_main = False
        self.helpers: dict[int, ThreadPoolExecutor] = {}

    def launch(self) -> None:
        """Launch numba's threads, and put torch's number of threads back."""
        before = torch.get_num_threads()
        numba.get_num_threads()
        torch.set_num_threads(before)
        self.only_main = numba.threading_layer() == "workqueue"  # type: ignore[attr-defined]
        self.launched = True

    def after_fork(self) -> None:
        """Go on with one thread, of numba and of torch, in a process that was forked.

        torch would wait for ever for threads that are not there any more, and numba would end the process.
        """
        self.forked, self.helpers = True, {}
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)


_THREADS = _Threads()
os.register_at_fork(after_in_child=_THREADS.after_fork)


def several_threads() -> bool:
    """Tell whether parallel loops run on several threads here; if not, serial ones are quicker."""
    if _THREADS.forked:
        return False
    if not _THREADS.launched:
        _THREADS.launch()
    if _THREADS.only_main and threading.current_thread() is not threading.main_thread():
        return False
    return bool(numba.get_num_threads() > 1)


@cache
def _mkl() -> Callable[[int], int] | None:
    """Find the function that sets how many threads products of the calling thread take, if torch is built with MKL."""
    try:
        found = ctypes.PyDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):
        return None
    found.argtypes, found.restype = [ctypes.c_int], ctypes.c_int
    return found


def on_one_thread(function: Callable[..., Made], *given: Any) -> Made:
    """Call a product of torch on one thread: to wake a second one for a small one takes longer.

    function, given: what to call. Nothing changes for other threads of Python where torch is built with MKL; elsewhere
    a thread that uses torch for the first time meanwhile has one thread from then on.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return function(*given)
    if (limit := _mkl()) is not None:
        before = limit(1)
        try:
            return function(*given)
        finally:
            limit(before)
    torch.set_num_threads(1)
    try:
        return function(*given)
    finally:
        torch.set_num_threads(threads)


def part_by_part(function: Callable[[Given], Made], parts: Iterable[Given]) -> Iterator[Made]:
    """Call a product of torch for each part, each on one thread and as many at once as torch has threads.

    Returns what the function returns, in order.
    """
    threads, recorded = torch.get_num_threads(), torch.is_grad_enabled()
    if threads == 1:
        return map(function, parts)
    if (helpers := _THREADS.helpers.get(threads)) is None:
        helpers = _THREADS.helpers[threads] = ThreadPoolExecutor(threads, "rpusim")

    def call(part: Given) -> Made:
        with torch.set_grad_enabled(recorded):  # each thread has a setting of its own
            return on_one_thread(function, part)

    return helpers.map(call, parts)
