"""Steps of devices as Triton functions, translated from the one step function that a device has.

A step is plain arithmetic of its arguments and functions of `rpusim.kernels.base.elementwise`, so that it can be read
back from its source: each statement becomes a statement of a Triton function, calls go to the functions of the same
names in `rpusim.kernels.triton.elementwise`, calls to other plain functions are translated likewise, and division is
the correctly rounded one. Whoever adds a device writes nothing for this.

What cannot be translated (branches, loops, other libraries) makes `why_not` give a reason, and such a device takes the
specification in torch.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any, NamedTuple

from rpusim.kernels.base import elementwise

_FUNCTIONS: dict[Any, str] = {
    elementwise.complement: "complement",
    elementwise.positive: "positive",
    elementwise.exp: "exp",
    elementwise.log: "log",
    elementwise.power: "power",
    abs: "absolute",
}
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
_MOST_DEEP = 8


class Untranslatable(Exception):
    """A step holds something that has no counterpart in a kernel; the message says what."""


class Step(NamedTuple):
    """Hold the Triton functions of one device: jit functions, as kernels take them.

    step:   (weight, noise, own) -> size, with own the tuple of parameters of one direction.
    read:   (pointer, mask) -> own, from numbers that lie one after the other.
    choose: (condition, own, own) -> own, cell by cell.
    """

    step: Any
    read: Any
    choose: Any


@cache
def why_not(step: Callable[..., Any], parameters: int) -> str | None:
    """Say why a step cannot be translated, in words; None if it can.

    step: the step function of a device. parameters: how many numbers it takes per cell after weight and noise.
    """
    try:
        _sources(step, parameters)
    except Untranslatable as error:
        return str(error)
    return None


@cache
def translated(step: Callable[..., Any], parameters: int) -> Step:
    """Translate a step for kernels; arguments as for `why_not`, which has said None. It needs Triton."""
    import triton.language as tl

    from rpusim.kernels.triton.language import jit

    lines = _sources(step, parameters)
    number = range(parameters)
    values = ", ".join(f"tl.load(pointer + {k}, mask=mask, other=0.0)" for k in number)
    chosen = ", ".join(f"tl.where(condition, first[{k}], other[{k}])" for k in number)
    sources = [
        *lines,
        f"def read(pointer, mask):\n    return ({values},)\n",
        f"def choose(condition, first, other):\n    return ({chosen},)\n",
    ]
    names: dict[str, Any] = {"tl": tl, "__name__": __name__}
    names |= {
        name: value
        for name, value in vars(import_module("rpusim.kernels.triton.elementwise")).items()
        if not name.startswith("_")
    }
    for source in sources:
        _define(source, names, jit)
    return Step(names["step"], names["read"], names["choose"])


def _define(source: str, names: dict[str, Any], jit: Callable[[Any], Any]) -> None:
    """Define the function of a source among ``names``, where Triton finds its text."""
    file = f"<rpusim step {abs(hash(source)):x}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    made: dict[str, Any] = {}
    exec(compile(source, file, "exec"), names, made)
    ((name, function),) = made.items()
    names[name] = jit(function)


@cache
def _sources(step: Callable[..., Any], parameters: int) -> tuple[str, ...]:
    """Write the functions of a step as text, those that are called before those that call; the last is ``step``."""
    done: list[str] = []
    _Translation(step, "step", parameters, done, 0).write()
    return tuple(done)


class _Translation:
    """Translate one function; what it calls is translated first, and put into ``done`` before it.

    function: the function. name: what it is called. parameters: for a step, how many numbers follow weight and noise;
    None: a function that a step calls.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, parameters: int | None, done: list[str], deep: int
    ) -> None:
        if not isinstance(function, FunctionType) or function.__closure__:
            raise Untranslatable(f"{getattr(function, '__name__', function)!r} is no plain function of a module")
        if deep > _MOST_DEEP:
            raise Untranslatable(f"{function.__name__} calls itself, or others too deeply")
        self._function, self._name, self._done, self._deep = function, name, done, deep
        self._parameters, self._new = parameters, 0
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, TypeError, SyntaxError, IndentationError) as error:
            raise Untranslatable(f"the source of {function.__name__} cannot be read") from error
        (definition,) = tree.body
        if not isinstance(definition, ast.FunctionDef) or definition.decorator_list:
            raise Untranslatable(f"{function.__name__} is no plain function")
        self._definition = definition
        self._groups: dict[str, list[str]] = {}
        self._lines: list[str] = []
        self._known: set[str] = set()

    def write(self) -> None:
        """Append the function to what is done."""
        given = self._definition.args
        if given.kwonlyargs or given.kwarg or given.defaults:
            raise Untranslatable(f"{self._name} has arguments with names or defaults")
        names = [argument.arg for argument in (*given.posonlyargs, *given.args)]
        self._known |= set(names)
        head = ", ".join(names)
        if self._parameters is not None:
            head = ", ".join([*names[:2], "own"])
            own = names[2:]
            if given.vararg is not None:
                rest = self._parameters - len(own)
                self._groups[given.vararg.arg] = [f"{given.vararg.arg}_{k}" for k in range(rest)]
                own = own + self._groups[given.vararg.arg]
            if len(own) != self._parameters or len(names) < 2:
                raise Untranslatable(f"{self._name} takes {len(own)} parameters, cells have {self._parameters}")
            self._lines += [f"{name} = own[{k}]" for k, name in enumerate(own)]
        elif given.vararg is not None:
            raise Untranslatable(f"{self._function.__name__} takes any number of arguments")
        for statement in self._definition.body:
            self._statement(statement)
        body = "".join(f"    {line}\n" for line in self._lines)
        self._done.append(f"def {self._name}({head}):\n{body}")

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Expr(value=ast.Constant(value=str())):
                return
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                self._assign(name, self._value(value))
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(
                values
            ):
                written = [self._value(value) for value in values]
                held = [self._keep(text) for text in written]
                for target, text in zip(targets, held, strict=True):
                    if not isinstance(target, ast.Name):
                        raise self._refused(target)
                    self._assign(target.id, text)
            case ast.AugAssign(target=ast.Name(id=name), op=operator, value=value):
                self._assign(name, self._operation(name, operator, self._value(value), statement))
            case ast.Return(value=ast.expr() as value):
                self._lines.append(f"return {self._value(value)}")
            case _:
                raise self._refused(statement)

    def _assign(self, name: str, text: str) -> None:
        self._known.add(name)
        self._lines.append(f"{name} = {text}")

    def _keep(self, text: str) -> str:
        """Compute a value once, and return the name it has."""
        self._new += 1
        name = f"value_{self._new}"
        self._lines.append(f"{name} = {text}")
        return name

    def _value(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name) if name in self._known or self._is_own(name):
                return name
            case ast.Name(id=name):
                return self._number(self._function.__globals__.get(name), node)
            case ast.Constant(value=value):
                return self._number(value, node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self._value(operand)})"
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._value(operand)
            case ast.BinOp(left=left, op=operator, right=right):
                return self._operation(self._value(left), operator, self._value(right), node)
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._call(self._called(function), arguments, node)
        raise self._refused(node)

    def _is_own(self, name: str) -> bool:
        return any(line.startswith(f"{name} = own[") for line in self._lines) and name not in self._groups

    def _number(self, value: Any, node: ast.expr) -> str:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._refused(node)
        return repr(float(value))

    def _operation(self, left: str, operator: ast.operator, right: str, node: ast.AST) -> str:
        if isinstance(operator, ast.Div):
            return f"divide({left}, {right})"
        if type(operator) not in _OPERATORS:
            raise self._refused(node)
        return f"({left} {_OPERATORS[type(operator)]} {right})"

    def _called(self, node: ast.expr) -> Any:
        """Find the function that is called: by its name, or as an attribute of a module."""
        match node:
            case ast.Name(id="abs") if "abs" not in self._function.__globals__:
                return abs
            case ast.Name(id=name):
                return self._function.__globals__.get(name)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                return getattr(self._function.__globals__.get(module), name, None)
        return None

    def _call(self, function: Any, arguments: list[ast.expr], node: ast.expr) -> str:
        if function is elementwise.interpolate and len(arguments) == 2:
            return self._interpolation(self._value(arguments[0]), self._nodes(arguments[1]))
        written = ", ".join(self._value(argument) for argument in arguments)
        try:
            known = _FUNCTIONS.get(function)
        except TypeError:
            known = None
        if known is not None:
            return f"{known}({written})"
        if not isinstance(function, FunctionType) or function.__module__.split(".")[0] in ("torch", "numpy", "math"):
            raise self._refused(node)
        name = f"{self._name}_{function.__name__}_{len(self._done)}"
        _Translation(function, name, None, self._done, self._deep + 1).write()
        return f"{name}({written})"

    def _nodes(self, node: ast.expr) -> list[str]:
        match node:
            case ast.Name(id=name) if name in self._groups:
                return self._groups[name]
            case ast.Tuple(elts=values):
                return [self._value(value) for value in values]
        raise self._refused(node)

    def _interpolation(self, position: str, nodes: list[str]) -> str:
        """Write `elementwise.interpolate`: choices take the place of an index, which kernels do not have."""
        if len(nodes) == 1:
            return nodes[0]
        kept = [self._keep(text) for text in nodes]
        both = self._keep(f"whole_below({position}, {float(len(nodes) - 2)})")
        place, left = self._keep(f"{both}[0]"), self._keep(f"{both}[1]")
        low, high = kept[0], kept[1]
        for k in range(1, len(kept) - 1):
            low = f"tl.where({left} == {float(k)}, {kept[k]}, {low})"
            high = f"tl.where({left} == {float(k)}, {kept[k + 1]}, {high})"
        return f"between({place} - {left}, {low}, {high})"

    def _refused(self, node: ast.AST) -> Untranslatable:
        text = ast.unparse(node).splitlines()[0]
        return Untranslatable(f"{text!r} in {self._function.__name__} has no counterpart in a kernel")
