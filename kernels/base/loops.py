"""Compiling loops with numba so that the next process finds them ready.

numba's disk cache has two gaps that matter here. It never hits for a function that closes over another compiled
function, so a loop cannot simply be handed a device's step; and it looks only at the file of the loop itself, so a
change in a function that the loop calls goes unnoticed. Both are closed in the same way: `compile_loop` makes a *new
function* from the loop's code in which the given names (such as ``step``) are globals, and whose qualified name carries
a digest of these names and of every source that takes part. numba caches that function under that name.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic

from rpusim.kernels.base import elementwise, rng


def _popcount(_context, word):
    """The number of ones in a 32-bit word; one machine instruction, also for many words side by side."""

    def generate(_context, builder, _signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint32(types.uint32), generate


# Entries of a cache by identity.
_MOST_KNOWN = 4096

# Typed as Any because its Python signature is not the one it is called with.
popcount: Any = intrinsic(_popcount)


@cache
def _digest(*files: str) -> str:
    return hashlib.sha256(b"\0".join(Path(f).read_bytes() for f in files)).hexdigest()[:16]


@cache
def inlined(function: FunctionType) -> Any:
    """The scalar function compiled on its own, to be called from compiled loops."""
    return numba.njit(function, error_model="numpy")


def compile_loop(
    template: Callable[..., Any], parallel: bool = False, sources: tuple[str, ...] = (), **names: Any
) -> Any:
    """Compile ``template`` with ``names`` as extra globals: functions (plain ones are compiled too) and integers.

    Compiled functions must follow from the other names, as they do not count for the cache. sources: further files
    whose change makes what was cached stale.
    parallel: run the template's ``prange`` loops on numba's threads (otherwise they are ordinary loops). A parallel
    launch costs far more than a small tile, so callers keep both variants and choose by the amount of work.
    """
    assert isinstance(template, FunctionType)
    files = [str(rng.__file__), str(elementwise.__file__), __file__, inspect.getfile(template), *sources]
    scope = dict(template.__globals__)
    tags = []
    for name, value in sorted(names.items()):
        scope[name] = value
        if isinstance(value, FunctionType):
            files.append(inspect.getfile(value))
            scope[name] = inlined(value)
            tags.append(f"{name}_{value.__module__}.{value.__qualname__}")
        elif isinstance(value, int):
            tags.append(f"{name}_{value}")
    made = FunctionType(template.__code__, scope, template.__name__, template.__defaults__)
    tags.append(_digest(*files))
    mark = hashlib.sha256("\0".join(tags).encode()).hexdigest()[:16]
    made.__qualname__ = f"{template.__qualname__}_{'parallel' if parallel else 'serial'}_{mark}"
    made.__module__ = template.__module__
    made.__doc__ = template.__doc__
    # error_model: dividing by zero gives infinity as in numpy; the test for it would keep loops from being vectorised.
    return numba.njit(cache=True, parallel=parallel, nogil=True, error_model="numpy")(made)


def by_identity(function: Callable[..., Any]) -> Callable[..., Any]:
    """Remember what ``function`` makes of constant values by which objects they are, not by what they hold.

    For configurations: to hash thirty fields takes longer than a small loop. The values are kept, so that no other
    object takes their place in memory; all are forgotten when there are very many.
    """
    known: dict[tuple[int, ...], tuple[Any, tuple[Any, ...]]] = {}

    @wraps(function)
    def look_up(*values: Any) -> Any:
        place = tuple(map(id, values))
        found = known.get(place)
        if found is None:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            found = known[place] = function(*values), values
        return found[0]

    return look_up


class Loop:
    """A template compiled on first use, serial or parallel by the amount of work; cheap to call.

    threshold: ``work`` (in the caller's units) above which the parallel variant runs, if there are threads to run it.
    """

    def __init__(self, template: Callable[..., Any], threshold: int | None = None, **names: Any) -> None:
        self._template, self._names = template, names
        self._threshold = threshold
        self._serial: Any = None
        self._parallel: Any = None

    def __call__(self, *arguments: Any, work: int = 0) -> Any:
        return self.variant(work)(*arguments)

    def variant(self, work: int) -> Any:
        """The compiled function that is right for this amount of work."""
        if self._threshold is not None and work > self._threshold and numba.get_num_threads() > 1:
            if self._parallel is None:
                self._parallel = compile_loop(self._template, parallel=True, **self._names)
            return self._parallel
        if self._serial is None:
            self._serial = compile_loop(self._template, **self._names)
        return self._serial
