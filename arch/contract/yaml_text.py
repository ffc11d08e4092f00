"""Read YAML text as a configuration file means it: scalars of YAML 1.2, no key twice, nothing that grows on reading.

YAML 1.1 takes ``yes`` for a truth value, ``8:32`` for 512 and ``01000`` for 512. Here a plain scalar is ``null``,
``true`` or ``false``, a number (decimal, ``0x1f``, ``0o17``, ``1e-9``, ``.inf``), or a string; whoever wants a string
that looks like one of these puts it in quotes. A mapping has strings for keys and names each of them once. ``<<``
still takes over the fields of another mapping.

Files are small: `MOST_BYTES`, `MOST_NODES` once aliases are written out, `MOST_LEVELS` of nesting. So a few lines of
aliases of aliases cannot fill the memory.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from yaml import Mark
from yaml.composer import Composer
from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

MOST_BYTES = 128 * 1024
"""The longest file that is read; chips and experiments that ship have less than 10 KB."""
MOST_NODES = 20_000
"""The most values (mappings, lists, scalars) that a file holds, each alias counted as what it stands for."""
MOST_LEVELS = 30
"""How deeply blocks may be nested."""
MOST_DIGITS = 100
"""The longest number."""

_PLAIN, _QUOTED = "plain", "quoted"
_MERGE = "<<"
_WORDS = {
    "null": ("", "~", "null", "Null", "NULL"),
    "true": ("true", "True", "TRUE"),
    "false": ("false", "False", "FALSE"),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_OF_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NOT_A_NUMBER = (".nan", ".NaN", ".NAN")


class YamlError(ValueError):
    """What is wrong with a text, as the end of a sentence that begins with its file.

    The message names the field, or the line where there is none.
    """


def load(text: str) -> Any:
    """Read one document; returns plain mappings, lists, strings, numbers, truth values and None.

    Raises YamlError for what is not YAML, or more, deeper, longer or more ambiguous than a configuration is.
    """
    try:
        composer = _Composer(text)
        try:
            node = composer.get_single_node()
        finally:
            composer.dispose()
    except YamlError:
        raise
    except MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if isinstance(error.problem_mark, Mark) else ""
        raise YamlError(f"is not YAML{line} ({error.problem or 'syntax error'})") from None
    except YAMLError as error:
        raise YamlError(f"is not YAML ({getattr(error, 'reason', None) or 'syntax error'})") from None
    except (ValueError, OverflowError, LookupError, RecursionError):  # an escape such as "\UFFFFFFFF"
        raise YamlError("is not YAML (a character that there is not)") from None
    return None if node is None else _Values().of(node, ())


class _Composer(Reader, Scanner, Parser, Composer):
    """Make nodes of a text; scalars are told apart by whether they are plain or quoted, and by nothing else."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        self._level = self._nodes = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose one node and what is in it, unless that is nested too deeply."""
        self._level, self._nodes = self._level + 1, self._nodes + 1
        if self._nodes > MOST_NODES:
            raise YamlError(f"holds more than {MOST_NODES} values; a configuration has some hundreds")
        if self._level > MOST_LEVELS:
            raise YamlError(f"line {self.line + 1}: is nested too deeply; at most {MOST_LEVELS} levels are accepted")
        node: Node | None = super().compose_node(parent, index)
        self._level -= 1
        return node

    def resolve(self, kind: type[Node], value: str, implicit: Any) -> str:
        """Say how a scalar was written; PyYAML would take it for a value of YAML 1.1 here."""
        if kind is not ScalarNode:
            return _PLAIN
        return _PLAIN if implicit[0] else _QUOTED

    def descend_resolver(self, parent: Node | None, index: Any) -> None:
        """Do nothing: what a scalar means does not depend on its place."""

    def ascend_resolver(self) -> None:
        """Do nothing, as `descend_resolver`."""

    def check_state_key(self, key: str) -> None:
        """Do nothing: no object is made from its state."""


class _Values:
    """Make values of nodes, and count them while doing so."""

    def __init__(self) -> None:
        self._nodes, self._characters = 0, 0
        self._within: set[int] = set()

    def of(self, node: Node, place: tuple[str, ...]) -> Any:
        """Return the value of a node; place: the keys and numbers that lead to it."""
        self._nodes += 1
        self._characters += len(node.value)
        if self._nodes > MOST_NODES or self._characters > 4 * MOST_BYTES:
            raise YamlError(f"holds more than {MOST_NODES} values once its aliases are written out")
        if id(node) in self._within:
            raise YamlError(f"{_field(place, node)}: holds itself, by an alias")
        if isinstance(node, ScalarNode):
            return _scalar(node, place)
        if node.tag != _PLAIN:
            raise YamlError(f"{_field(place, node)}: has the tag {node.tag}; only plain YAML is accepted")
        if len(place) >= MOST_LEVELS:
            field = ".".join(place[:4])
            raise YamlError(f"{field}: is nested too deeply; at most {MOST_LEVELS} levels are accepted")
        self._within.add(id(node))
        found: Any
        if isinstance(node, SequenceNode):
            found = [self.of(one, (*place, str(number))) for number, one in enumerate(node.value)]
        else:
            assert isinstance(node, MappingNode)
            found = self._mapping(node, place)
        self._within.discard(id(node))
        return found

    def _mapping(self, node: MappingNode, place: tuple[str, ...]) -> dict[str, Any]:
        """Return a mapping; its own fields replace those that ``<<`` takes over."""
        own: dict[str, Any] = {}
        taken: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = _key(key, place)
            if name in lines:
                raise YamlError(
                    f"{'.'.join((*place, name))} is given twice, at lines {lines[name]} and {_line(key)}; one of them "
                    "has to go"
                )
            lines[name] = _line(key)
            if name == _MERGE and key.tag == _PLAIN:
                taken = self._merged(value, place)
            else:
                own[name] = self.of(value, (*place, name))
        return {**taken, **own}

    def _merged(self, node: Node, place: tuple[str, ...]) -> dict[str, Any]:
        """Return the fields of the mapping, or of the mappings in the list, that ``<<`` names; the first one counts."""
        given = self.of(node, (*place, _MERGE))
        merged: dict[str, Any] = {}
        for one in given if isinstance(given, list) else [given]:
            if not isinstance(one, dict):
                raise YamlError(f"{_field((*place, _MERGE), node)}: needs a mapping, or a list of mappings")
            merged = {**one, **merged}
        return merged


def _key(node: Node, place: tuple[str, ...]) -> str:
    """Return the name that a key is."""
    if isinstance(node, ScalarNode):
        given = _scalar(node, place)
        if isinstance(given, str):
            return given
        said = node.value
    else:
        said = "a list" if isinstance(node, SequenceNode) else "a mapping"
    within = f" of {'.'.join(place)}" if place else ""
    raise YamlError(
        f"the key {said or 'that is empty'}{within} at line {_line(node)} is not a name; quote it if it is one"
    )


def _scalar(node: ScalarNode, place: tuple[str, ...]) -> Any:
    """Return the value of a scalar, by YAML 1.2's core schema; numbers with zeros in front are refused."""
    text: str = node.value
    if node.tag not in (_PLAIN, _QUOTED, "tag:yaml.org,2002:str", "!"):
        raise YamlError(f"{_field(place, node)}: has the tag {node.tag}; only plain YAML is accepted")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise YamlError(f"{_field(place, node)}: holds half a character (a surrogate), which no file can hold")
    if node.tag != _PLAIN:
        return text
    for word, spellings in _WORDS.items():
        if text in spellings:
            return {"null": None, "true": True, "false": False}[word]
    return _number(text, node, place)


def _number(text: str, node: Node, place: tuple[str, ...]) -> Any:
    """Return the number that a plain scalar is, or else the scalar as a string."""
    kind: Literal["int", "base", "float"]
    if _INTEGER.fullmatch(text):
        kind = "int"
    elif _OF_BASE.fullmatch(text):
        kind = "base"
    elif _FLOAT.fullmatch(text):
        kind = "float"
    elif infinite := _INFINITE.fullmatch(text):
        return -math.inf if infinite[1] == "-" else math.inf
    else:
        return math.nan if text in _NOT_A_NUMBER else text
    if len(text) > MOST_DIGITS:
        raise YamlError(
            f"{_field(place, node)}: a number of {len(text)} digits was given; at most {MOST_DIGITS} are accepted"
        )
    if kind != "float":
        return int(text, 0 if kind == "base" else 10)
    value = float(text)
    if math.isinf(value):
        raise YamlError(f"{_field(place, node)}: {text} is larger than any number that is computed with")
    return value


def _field(place: tuple[str, ...], node: Node) -> str:
    """Name a place by its field, or by its line if it is the whole document."""
    return ".".join(place) if place else f"line {_line(node)}"


def _line(node: Node) -> int:
    line: int = node.start_mark.line + 1
    return line
