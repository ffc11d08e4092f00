"""Compile functions with numba, and keep what they compile to on disk, so that the next process finds it ready.

numba's own cache takes for granted that it has a folder to write to, that the disk is not full, and that what it once
wrote is still whole. Here a package that lies in a folder that cannot be written is compiled for a folder of the user's
among the temporary ones, or for this process alone; and every file of the cache carries a digest: one that a full disk
or a power cut has left truncated, or that was altered since, is removed, and its function compiled anew.

Compiled functions let go of Python's global lock, so that other threads go on meanwhile, among them the one that heeds
Ctrl-C. They write only to arrays that they are given.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import gc
import hashlib
import os
import pickle
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import numba
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    UserProvidedCacheLocator,
)
from numba.core.dispatcher import Dispatcher

from rpusim.arch.contract.apart import NO_WAYS_IN, for_callers, lay_apart, needs_of, provide
from rpusim.errors import Notice

Function = TypeVar("Function", bound=Callable[..., Any])

_DIGEST = 32
_RARELY = 200_000, 20, 100
"""Thresholds of Python's search for garbage: what numba makes mostly stays, and going through it takes time."""
_PRIVATE = stat.S_IRWXG | stat.S_IRWXO


def _look_for_scipy_later() -> None:
    """Have numba load scipy.linalg when a product of matrices is compiled, not just to see whether it is there.

    That would take every command a tenth of a second. Where no scipy is, numba is told so, as it finds by itself.
    """
    name = "scipy.linalg.cython_blas"
    if name in sys.modules or "numba.np.arraymath" in sys.modules:
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        from numba.np import arraymath
    finally:
        del sys.modules[name]
    arraymath._HAVE_BLAS = find_spec("scipy") is not None


_look_for_scipy_later()


def compiled(function: Function) -> Function:
    """Compile a function on its first call, and keep it on disk; to type checkers it looks as before.

    function: of numbers and arrays, as numba takes it. Returns the compiled function.
    """
    made: Function = kept(function)
    return made


def inlined(function: Function) -> Function:
    """Compile a small function whose code compiled callers take in whole; to type checkers it looks as before.

    A call of its own costs more than what such a function does, above all where arrays are handed on, see
    `rpusim.arch.contract.uncounted`.
    """
    made: Function = kept(function, forceinline=True)
    return made


def kept(function: Callable[..., Any], apart: bool = False, **options: Any) -> Any:
    """Compile a function as `compiled` does, with further options of `numba.njit`.

    apart: compiled callers jump to the function instead of taking in its code, see `rpusim.arch.contract.apart`.
    """
    made = numba.njit(nogil=True, **options)(function)
    if not isinstance(made, Dispatcher):  # NUMBA_DISABLE_JIT leaves the function as it is
        return made
    _keep(made)
    if apart:
        twin = numba.njit(nogil=True, **options, **NO_WAYS_IN)(twin_of(function))
        lay_apart(twin)
        _keep(twin)
        for_callers(made, twin)
    return made


def folders_of_loops() -> list[Path]:
    """List the folders below which compiled loops are kept: beside the sources, or one; none if they cannot be kept."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(os.environ["NUMBA_CACHE_DIR"])]
    root = Path(__file__).resolve().parents[2]
    try:
        inside = Path(_Cache(folders_of_loops).cache_path).resolve()
    except (RuntimeError, OSError):
        return []
    return [root / floor for floor in ("arch", "kernels", "workloads")] if root in inside.parents else [inside]


def twin_of(function: Callable[..., Any]) -> FunctionType:
    """Copy a function under another name, for what only compiled functions call."""
    assert isinstance(function, FunctionType), "a function of Python"
    made = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__annotations__, made.__doc__ = function.__annotations__, function.__doc__
    made.__qualname__, made.__module__ = f"{function.__qualname__}_within", function.__module__
    return made


def _keep(made: Any) -> None:
    """Have numba keep on disk what a function compiles to, and look for garbage rarely while it compiles."""
    compile_now = made.compile

    def compile_in_peace(signature: Any) -> Any:
        before = gc.get_threshold()
        gc.set_threshold(*_RARELY)
        try:
            return compile_now(signature)
        finally:
            gc.set_threshold(*before)

    made.compile = compile_in_peace
    try:
        made._cache = _Cache(made.py_func)
    except (RuntimeError, OSError):  # numba finds no folder
        if Path(made.py_func.__code__.co_filename).exists():  # what was typed in was never kept
            _say("compiled loops cannot be kept, and every process compiles them again, which takes up to a minute")


@cache
def _say(what: str) -> None:
    """Say something about the cache, once in a process."""
    here = Path(__file__).parents[2]
    warnings.warn(
        f"{what}; neither {here} nor a cache folder can be written, so set NUMBA_CACHE_DIR to a folder that can be",
        Notice,
        stacklevel=2,
    )


class _Temporary(UserProvidedCacheLocator):
    """Finds a folder of this user's alone among the temporary ones, where no better place can be written."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        folder = Path(tempfile.gettempdir(), f"rpusim-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        # What lies there is run: nobody else may have put it there.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & _PRIVATE:
            raise OSError(f"{folder} is not this user's alone")
        self._cache_path = str(folder / self.get_suitable_cache_subpath(py_file))

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """Return a locator for a function, or None if there is no such folder; say that it is used."""
        if not Path(py_file).exists():
            return None
        try:
            found = cls(py_func, py_file)
            found.ensure_cache_path()
        except (OSError, AttributeError):  # AttributeError: no users on this system
            return None
        _say(f"compiled loops are kept in {Path(tempfile.gettempdir(), f'rpusim-{os.getuid()}')}")
        return found


class _Result(CompileResultCacheImpl):
    """What is kept of a function, and where."""

    _locator_classes = [*CompileResultCacheImpl._locator_classes, _Temporary]

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        self._function = py_func

    def reduce(self, cres: Any) -> Any:
        """Return what to keep: what the function calls apart, and numba's description of it."""
        return needs_of(cres), super().reduce(cres)

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        """Load a function from what `reduce` returned, after what it calls apart."""
        needs, payload = payload
        provide(self._function, needs)
        return super().rebuild(target_context, payload)


class _Files(IndexDataCacheFile):
    """The files of a function: an index of the types that it was compiled for, and a file for each, all with a digest.

    A file that does not hold what was written to it counts as missing, and is removed.
    """

    def _load_index(self) -> dict[Any, str]:
        try:
            version, stamp, overloads = self._read(self._index_path)
        except (OSError, ValueError, TypeError):  # missing; or of another version of this class
            return {}
        return dict(overloads) if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _read(self, path: str) -> Any:
        """Read what `_write` wrote; OSError if it is not there, or not that."""
        content = Path(path).read_bytes()
        digest, pickled = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(pickled).digest() != digest:
            Path(path).unlink(missing_ok=True)
            raise OSError(f"{path} is damaged")
        return pickle.loads(pickled)

    def _write(self, path: str, value: Any) -> None:
        pickled = self._dump(value)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(pickled).digest())
            file.write(pickled)


class _Cache(FunctionCache):
    """numba's cache of a function, which can do no harm: what cannot be read or written is compiled, and not kept."""

    _impl_class = _Result

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        locator = self._impl.locator
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was kept for these types, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever reading the pickles of another version may raise
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for these types, if the disk takes it."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _say(f"compiled loops cannot be kept ({error.strerror or error})")
