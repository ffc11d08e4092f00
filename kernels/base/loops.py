"""Compile loops with numba so that the next process finds them ready.

numba's disk cache has two gaps that matter here. It never hits for a function that closes over another compiled
function, so a loop cannot simply be handed a device's step; and it looks only at the file of the loop itself, so a
change in a function that the loop calls goes unnoticed. Both are closed in the same way: `compile_loop` makes a *new
function* from the loop's code in which the given names (such as ``step``) are globals, and whose qualified name carries
a digest of all that the loop is made of: the files of every function that it reaches through the names in its code,
and every constant that stands behind such a name. numba caches that function under that name.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Set
from functools import cache, wraps
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np
from numba.core import types
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic
from numpy.typing import NDArray

from rpusim.arch.contract import compiled_loops
from rpusim.arch.contract.apart import NO_WAYS_IN, for_callers
from rpusim.kernels.base.threads import several_threads

Function = TypeVar("Function", bound=Callable[..., Any])
# Arrays that compiled loops take: numbers of cells and lines, packed bits and random words, counts and places.
Floats: TypeAlias = NDArray[np.float32]
Words: TypeAlias = NDArray[np.uint32]
Integers: TypeAlias = NDArray[np.int64]


def _popcount(_context: Any, word: Any) -> tuple[Any, Callable[..., Any]]:
    """Count the ones of a 32-bit word: one machine instruction, also for many words side by side."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint32(types.uint32), generate


# Loops of this process by module and name: what is made of the same things is made once.
_MADE: dict[tuple[str, str], Any] = {}
# Entries of a cache by identity.
_MOST_KNOWN = 4096
# Packages whose functions are not looked into: numba knows its own version, and compiles none of the others' code.
_LIBRARIES = {"builtins", "math", "numba", "numpy", "torch"}

# Typed as Any because its Python signature is not the one it is called with.
popcount: Any = intrinsic(_popcount)


def inlined(function: Function) -> Function:
    """Compile a function on its own, to be called from compiled loops; to Python it looks as before."""
    compiled: Function = _inlined(function)
    return compiled


@cache
def _inlined(function: FunctionType) -> Any:
    made = numba.njit(function, error_model="numpy")
    if isinstance(made, Dispatcher):
        for_callers(made, numba.njit(compiled_loops.twin_of(function), error_model="numpy", **NO_WAYS_IN))
    return made


@cache
def _file(path: str) -> str:
    """Digest a file; empty if there is none, as for what was typed into a notebook."""
    source = Path(path)
    return hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else ""


class _Ingredients:
    """Lists, as text, all that decides what a function does once it is compiled: files, constants, and which is which.

    A function is followed through the names in its code to other functions, whether plain or compiled, and to numbers.
    Functions that numba takes instead of these (`numba.extending.overload`) are found as they stand in the same file.
    Of the named tuples in its annotations the fields count, because compiled code knows them by their place.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._known: list[FunctionType] = []

    def follow(self, function: FunctionType) -> None:
        """Add a function and all that it reaches."""
        if function in self._known:
            self.found.append(f"again {self._known.index(function)}")
            return
        self._known.append(function)
        path = inspect.getfile(function)
        self.found.append(f"{function.__module__}.{function.__qualname__} {_file(path) or _text(function.__code__)}")
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        scope = {**function.__globals__, **{name: cell.cell_contents for name, cell in cells}}
        names = _names(function)
        modules = [value for value in map(scope.get, names) if isinstance(value, ModuleType) and _ours(value.__name__)]
        for name in names:
            for each in (scope, *map(vars, modules)):
                if name in each:
                    self._add(name, each[name])

    def _add(self, name: str, value: Any) -> None:
        value = getattr(value, "py_func", value)  # a compiled function is what it was compiled from
        if _constant(value):
            self.found.append(f"{name} = {value!r}")
        elif isinstance(value, FunctionType) and _ours(value.__module__):
            self.found.append(name)
            self.follow(value)
        elif isinstance(value, type) and issubclass(value, tuple):
            self.found.append(f"{name} = {getattr(value, '_fields', ())}")


def _ours(module: str) -> bool:
    """Whether functions of a module may change from one run to the next."""
    return module.partition(".")[0] not in _LIBRARIES


def _constant(value: Any) -> bool:
    """Whether a value is one that compiled code holds."""
    return isinstance(value, bool | int | float | str | np.generic) or (
        isinstance(value, tuple) and all(map(_constant, value))
    )


def _names(function: FunctionType) -> list[str]:
    """List the words in the code of a function and in its annotations that may be names of something outside."""
    words, codes = [*function.__code__.co_freevars], [function.__code__]
    for code in codes:
        words += code.co_names
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    words += re.findall(r"\w+", " ".join(map(str, function.__annotations__.values())))
    return list(dict.fromkeys(words))


def _text(code: CodeType) -> str:
    """Describe compiled Python code; unlike its ``repr``, without places in memory."""
    constants = [_text(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _qualified_name(
    template: FunctionType,
    scope: Mapping[str, Any],
    parallel: bool = False,
    fastmath: Set[str] = frozenset(),
    apart: bool = False,
    counted: bool = True,
) -> str:
    """Name what compiling ``template`` with the globals ``scope`` gives: another name for whatever is not the same."""
    function = FunctionType(template.__code__, dict(scope), template.__name__, None, template.__closure__)
    function.__annotations__ = template.__annotations__
    function.__qualname__, function.__module__ = template.__qualname__, template.__module__
    ingredients = _Ingredients()
    ingredients.follow(function)
    text = "\0".join([_file(__file__), *sorted(fastmath), *ingredients.found])
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    how = f"{'parallel' if parallel else 'serial'}{'_apart' if apart else ''}{'' if counted else '_uncounted'}"
    return f"{template.__qualname__}_{how}_{mark}"


def compile_loop(
    template: Callable[..., Any],
    parallel: bool = False,
    fastmath: Set[str] = frozenset(),
    apart: bool = True,
    counted: bool = True,
    **names: Any,
) -> Any:
    """Compile ``template`` with ``names`` as extra globals: functions (plain ones are compiled too) and integers.

    parallel: run the template's ``prange`` loops on numba's threads (otherwise they are ordinary loops). A parallel
    launch costs far more than a small tile, so callers keep both variants and choose by the amount of work.
    fastmath: liberties with floating-point numbers, by LLVM's names.
    apart: whether compiled callers jump to the loop; if not, its code is compiled once more in each of them, which pays
    for what they call for every cell.
    counted: whether references to arrays are counted. A loop that makes no array and returns none can do without: for
    each array that it is given, two locked additions are saved.
    Returns the compiled function; what it compiles to is found on disk by later processes, until a function or a
    constant that takes part is edited.
    """
    assert isinstance(template, FunctionType)
    scope = dict(template.__globals__)
    for name, value in names.items():
        scope[name] = inlined(value) if isinstance(value, FunctionType) else value
    name = _qualified_name(template, scope, parallel, fastmath, apart, counted)
    if (known := _MADE.get((template.__module__, name))) is not None:
        return known
    made = FunctionType(template.__code__, scope, template.__name__, template.__defaults__, template.__closure__)
    made.__annotations__ = template.__annotations__
    made.__qualname__ = name
    made.__module__ = template.__module__
    made.__doc__ = template.__doc__
    # error_model: dividing by zero gives infinity as in numpy; the test for it would keep loops from being vectorised.
    options = {"parallel": parallel, "error_model": "numpy", "fastmath": set(fastmath), "_nrt": counted}
    found = compiled_loops.kept(made, apart, **options)
    return _MADE.setdefault((template.__module__, name), found)


def by_identity(function: Callable[..., Any]) -> Callable[..., Any]:
    """Remember what ``function`` makes of constant values by which objects they are, not by what they hold.

    For configurations: to hash thirty fields takes longer than a small loop. The values are kept, so that no other
    object takes their place in memory; all are forgotten when there are very many.
    """
    known: dict[tuple[int, ...], tuple[Any, tuple[Any, ...]]] = {}

    of_one: dict[int, tuple[Any, Any]] = {}

    @wraps(function)
    def look_up_one(value: Any) -> Any:
        found = of_one.get(id(value))
        if found is None:
            if len(of_one) >= _MOST_KNOWN:
                of_one.clear()
            found = of_one[id(value)] = function(value), value
        return found[0]

    if function.__code__.co_argcount == 1:
        return look_up_one

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

    template, names: as for `compile_loop`. threshold: the ``work`` (in the caller's units) above which the parallel
    variant runs, if there are threads to run it; None: never.
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
        if self._threshold is not None and work > self._threshold and several_threads():
            if self._parallel is None:
                self._parallel = compile_loop(self._template, parallel=True, **self._names)
            return self._parallel
        if self._serial is None:
            self._serial = compile_loop(self._template, **self._names)
        return self._serial
