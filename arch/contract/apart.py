"""Compiled functions that lie apart: callers jump to them, where numba otherwise copies their code into callers.

Copied code is optimised again in every caller, and in the callers of these: a function six levels deep is
compiled seven times. What is called once for a whole matrix gains nothing by that. A function that lies apart is
compiled once; its callers know it by the name of its symbol, which LLVM finds among what this process has compiled or
loaded. So whoever loads a caller from the disk has to load what it calls first: what that is, is kept with the caller.

numba also makes two ways in for every function, one for Python and one for C, which unpack each argument: for a table
of twenty arrays that takes longer to compile than many a function. Callers that are compiled need neither, so that each
function has a twin without them (`for_callers`), which is all that is ever compiled of one that Python does not call.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from numba.core import types
from numba.core.dispatcher import Dispatcher

# The function behind every symbol that lies apart, and the types that it was compiled for.
_BY_SYMBOL: dict[str, tuple[Dispatcher, tuple[Any, ...]]] = {}


class Need(NamedTuple):
    """A function apart that a compiled one calls.

    name:    qualified name of the Python function. given: the types of its arguments. symbol: what the caller calls it.
    """

    name: str
    given: tuple[Any, ...]
    symbol: str


NO_WAYS_IN: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""What numba is told of a function that only compiled functions call."""


def for_callers(dispatcher: Any, twin: Any) -> None:
    """Have compiled callers of a function, a dispatcher of numba, call its twin, which was made with `NO_WAYS_IN`."""
    call = twin.get_call_template

    def get_call_template(given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        # Where numbers stand in the code of a caller, numba would compile the function for each of them.
        return call(tuple(map(types.unliteral, given)), {name: types.unliteral(each) for name, each in named.items()})

    dispatcher.twin, dispatcher.get_overload, dispatcher.get_call_template = twin, twin.get_overload, get_call_template


def lay_apart(dispatcher: Any) -> None:
    """Have callers of a compiled function, a dispatcher of numba, jump to it from now on."""
    add = dispatcher.add_overload

    def add_overload(result: Any) -> None:
        context = result.target_context
        context.remove_user_function(result.entry_point)
        context.insert_user_function(result.entry_point, result.fndesc, [])  # no library to be copied from
        _BY_SYMBOL[result.fndesc.llvm_func_name] = dispatcher, tuple(result.signature.args)
        add(result)

    dispatcher.add_overload = add_overload


def needs_of(result: Any) -> list[Need]:
    """List the functions apart that a compiled function calls, from numba's result of compiling it."""
    found = []
    for function in result.library._final_module.functions:
        if function.is_declaration and function.name in _BY_SYMBOL:
            dispatcher, given = _BY_SYMBOL[function.name]
            found.append(Need(dispatcher.py_func.__qualname__, given, function.name))
    return found


def provide(function: Any, needs: list[Need]) -> None:
    """Load or compile what a function calls apart, before it is loaded itself.

    function: the Python function. Raises LookupError if something is not there under the name that it is called by.
    """
    if not needs:
        return
    dispatchers = {each.py_func.__qualname__: each for each in _reached(function, set())}
    for need in needs:
        dispatcher = dispatchers[need.name]
        dispatcher.compile(need.given)
        if dispatcher.overloads[need.given].fndesc.llvm_func_name != need.symbol:
            raise LookupError(f"{need.name} has another symbol in this process")


def _reached(function: Any, known: set[int]) -> Iterator[Any]:
    """Give all compiled functions that a Python function reaches through its globals."""
    for value in function.__globals__.values():
        if isinstance(value, Dispatcher) and id(value) not in known:
            known.add(id(value))
            yield getattr(value, "twin", value)
            yield from _reached(value.py_func, known)
