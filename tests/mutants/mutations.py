"""Mutants of a Python file: copies in which one thing is wrong on purpose.

A test suite that passes on such a copy as well does not look at that thing. Changed are comparisons, operators,
terms, constants, conditions, the order of arguments, and names that have a counterpart, such as rows and columns; left
alone are docstrings, annotations, decorators, assertions and whatever only says what is wrong (raise, f-strings), and
whether a comparison that picks one of two values (``a if a > b else b``) is strict, as either is right where they are
equal.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
"""A product has no line of its own: each of its factors is dropped instead."""
COUNTERPARTS = (
    ("rows", "columns"),
    ("row", "column"),
    ("up", "down"),
    ("ups", "downs"),
    ("min", "max"),
    ("minimum", "maximum"),
    ("ceil", "floor"),
    ("high", "low"),
    ("above", "below"),
    ("start", "end"),
    ("d", "x"),
    ("read", "write"),
)
"""Words within names; swapped where the name that results occurs in the file as well, or is one of `ANYWHERE`."""
ANYWHERE = {"min", "max", "minimum", "maximum", "ceil", "floor"}
SYMMETRIC = {"min", "max", "minimum", "maximum", "hypot", "array_equal", "zip", "gcd"}
"""Functions of which the order of the arguments does not matter."""
ATOMS = (ast.Name, ast.Attribute, ast.Call, ast.Constant, ast.Subscript)
"""Expressions that need no brackets wherever they stand, unless they are negative."""
OPTIONS = {"cache", "strict", "description", "error_model", "nogil", "maxsize"}
"""Keyword arguments that change no result."""


@dataclass(frozen=True, order=True)
class Mutant:
    """A file with the characters from ``begin`` up to ``end`` replaced by ``text``.

    where: path of the file, and the function. line, becomes: the line that changes, before and after. number: of the
    line in the file.
    """

    where: str
    line: str
    becomes: str
    number: int
    begin: int
    end: int
    text: str

    @property
    def path(self) -> str:
        return self.where.split()[0]

    def __str__(self) -> str:
        return f"{self.where} (line {self.number})\n    {self.line}\n    {self.becomes}"

    def of(self, source: str) -> str:
        """The mutant of the file that holds ``source``."""
        return source[: self.begin] + self.text + source[self.end :]


def mutants(path: str, source: str) -> list[Mutant]:
    """All mutants of the file at ``path`` that holds ``source``, in an order that depends on nothing else."""
    tree, lines = ast.parse(source), source.splitlines(keepends=True)
    first = [0]
    for line in lines:
        first.append(first[-1] + len(line))

    def offset(number: int, column: int) -> int:
        """Columns of a syntax tree count bytes."""
        return first[number - 1] + len(lines[number - 1].encode()[:column].decode())

    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    picking = {id(node.test) for node in ast.walk(tree) if isinstance(node, ast.IfExp) and _picks(node)}
    found = set()
    for node, function in _code(tree, ""):
        place = node.test if isinstance(node, ast.If) else node
        assert place.end_lineno is not None and place.end_col_offset is not None
        begin, end = offset(place.lineno, place.col_offset), offset(place.end_lineno, place.end_col_offset)
        for changed in _changes(node, names | ANYWHERE, function, picks=id(node) in picking):
            text = ast.unparse(changed)
            if isinstance(changed, ast.expr) and not (isinstance(changed, ATOMS) and text[0] != "-"):
                text = f"({text})"
            before, after = source[first[place.lineno - 1] : begin], source[end : first[place.end_lineno]]
            line, becomes = lines[place.lineno - 1].strip(), " ".join((before + text + after).split())
            found.add(Mutant(f"{path} {function}".strip(), line, becomes, place.lineno, begin, end, text))
    return sorted(found)


def _code(node: ast.AST, function: str) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Every expression and statement that computes something, with the name of the function it stands in."""
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    match node:
        case ast.Assert() | ast.Raise() | ast.Import() | ast.ImportFrom() | ast.JoinedStr():
            return
        case ast.Expr(ast.Constant()) | ast.Call(ast.Name("InputError")) | ast.If(ast.Name("TYPE_CHECKING")):
            return
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            function = f"{function}.{name}".strip(".")
            children = [*node.body]
            if isinstance(node, ast.FunctionDef):
                children += node.args.defaults + [value for value in node.args.kw_defaults if value]
        case ast.AnnAssign():
            children = [node.value] if node.value else []
        case ast.keyword(arg=name) if name in OPTIONS:
            return
    if isinstance(node, ast.expr | ast.stmt):
        yield node, function
    for child in children:
        yield from _code(child, function)


def _picks(node: ast.IfExp) -> bool:
    """Whether it is one of the two values that its condition compares: the larger or the smaller one."""
    match node.test:
        case ast.Compare(left, [ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], [right]):
            return {ast.dump(left), ast.dump(right)} == {ast.dump(node.body), ast.dump(node.orelse)}
    return False


def _changes(node: ast.AST, names: set[str], function: str, picks: bool) -> Iterator[ast.AST]:
    """What may stand in the place of ``node``, or of its condition if it is an ``if``.

    names: what a name may be exchanged for. function: in which the node stands, if in any. picks: see `_picks`.
    """
    match node:
        case ast.Compare(left, ops, comparators):
            for i, op in enumerate(ops):
                for other in COMPARISONS[type(op)][picks:]:
                    yield ast.Compare(left, [*ops[:i], other(), *ops[i + 1 :]], comparators)
        case ast.BinOp(left, op, right) if function or not isinstance(op, ast.BitOr):  # (types outside functions)
            if type(op) in OPERATORS:
                yield ast.BinOp(left, OPERATORS[type(op)](), right)
            yield left
            if isinstance(op, ast.Mult | ast.Add):
                yield right
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for i in range(len(values)):
                rest = values[:i] + values[i + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.If(test) if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield ast.UnaryOp(ast.Not(), test)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Constant(float(value)):
            yield ast.Constant(value * 2 if value else 1.0)
        case ast.Constant(str(value)):
            yield from (ast.Constant(other) for other in _exchanged(value) if other in names)
        case ast.Name(value, ast.Load()):
            yield from (ast.Name(other, ast.Load()) for other in _exchanged(value) if other in names)
        case ast.Attribute(of, value, ast.Load()):
            yield from (ast.Attribute(of, other, ast.Load()) for other in _exchanged(value) if other in names)
        case ast.Call(func, args, keywords):
            called = getattr(func, "attr", getattr(func, "id", ""))
            for i in range(len(args) - 1):
                one, two = args[i : i + 2]
                named = isinstance(one, ast.Name | ast.Attribute) and isinstance(two, ast.Name | ast.Attribute)
                if named and ast.dump(one) != ast.dump(two) and called not in SYMMETRIC:
                    yield ast.Call(func, [*args[:i], two, one, *args[i + 2 :]], keywords)
        case ast.AugAssign(target, op, value):
            if type(op) in OPERATORS:
                yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Pass()
        case ast.Expr(ast.Call()):
            yield ast.Pass()


def _exchanged(name: str) -> Iterator[str]:
    """The name with one of its words exchanged for its counterpart."""
    words = name.split("_")
    for i, word in enumerate(words):
        for pair in COUNTERPARTS:
            if word in pair:
                yield "_".join([*words[:i], pair[1 - pair.index(word)], *words[i + 1 :]])
