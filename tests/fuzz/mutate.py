"""Change a text, a value or bytes at random, in the ways in which people, editors and disks change them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import yaml

Field = tuple[str, ...] | None
"""Names on the way to the one value that was changed; None: more was changed, or not one value."""

SCALARS = (
    *("0", "1", "2", "-1", "3.5", "1e30", "1.0e+300", "1e-300", "1e999", ".inf", "-.inf", ".nan", "010", "01000"),
    *("0x10", "0o17", "8:32", "1_000", "yes", "no", "on", "off", "true", "false", "null", "~", "", '"512"', "'1'"),
    *("2024-01-02", "9" * 400, "9" * 30, "1e6", "65536", "1000000", "1000000000000", "-0", "+5", "1.", ".5", "12abc"),
    *(
        "[]",
        "{}",
        "[1, 2]",
        "{a: 1}",
        "{1: 2}",
        "[[[1]]]",
        "x" * 3000,
        "\u0661\u0662",
        "\u00b5",
        '"a\\ud800b"',
        '"\\0"',
    ),
    *('"\\n"', "!!int 5", "!!python/object:os.system x", "*nowhere", "&anchor 5", "100 ms", "1 ps", "3600 s", "80 ns"),
    *("-5 ns", "5 GHz", "1 zJ", "1 J", "1000 kW", "1e-3 Ohm", "1000 V", "1 um2", "\u0668 ns", "5 ns ns", "1 b/s"),
    *("1e6 Tb/s", "1 S/s", "1 op/s", "1000 GS/s", "chip", "digits", "fcn", "../../../etc/passwd", "/dev/zero", "a/b"),
    *(".", "single", "every"),
)
"""What a value is replaced by."""
LINES = (
    *("\t", "  : ", "- ", "]", "}", "%YAML 1.1", "---", "...", "? [a]", "<<: 3", "on: 1", "1: 2", "  extra: 1"),
    *("\u2028", "\x00", "\ufeff", "# comment", "key without value", "a: &a [*a]", "'", '"', "|", ">"),
    "a: {b: {c: {d: 1}}}",
)


def bomb(levels: int) -> str:
    """Aliases of aliases, ten to a level."""
    names = "abcdefghijklmnop"
    lines = [f"{names[0]}: &{names[0]} [x, x, x, x, x, x, x, x, x, x]"]
    for before, here in itertools.pairwise(names[:levels]):
        lines.append(f"{here}: &{here} [{', '.join([f'*{before}'] * 10)}]")
    return "\n".join(lines) + f"\nname: *{names[levels - 1]}\n"


def text(chance: random.Random, given: str) -> tuple[str, Field]:
    """Change a file of YAML one to three times; returns it, and the field if a single value was changed."""
    field, changes = None, chance.choice((1, 1, 1, 2, 3))
    for _ in range(changes):
        way = chance.random()
        if way < 0.2:
            given = _line(chance, given)
        elif way < 0.92:
            given, field = _value(chance, given)
        else:
            given = _whole(chance, given)
    return given, field if changes == 1 else None


def _line(chance: random.Random, given: str) -> str:
    """Change one line: its value, its indentation, its place, or whether it is there."""
    lines = given.split("\n")
    at = chance.randrange(len(lines))
    line = lines[at]
    way = chance.randrange(7)
    if way <= 2 and ":" in line:
        key, _, _ = line.partition(":")
        lines[at] = f"{key}: {chance.choice(SCALARS)}"
    elif way == 3:
        del lines[at]
    elif way == 4:
        lines.insert(at, line)
    elif way == 5:
        lines[at] = " " * chance.randrange(9) + line.lstrip()
    else:
        lines.insert(at, chance.choice(LINES))
    return "\n".join(lines)


def _value(chance: random.Random, given: str) -> tuple[str, Field]:
    """Change one value of the document, and say which; the text is left as it is where it is no YAML any more."""
    try:
        document = yaml.safe_load(given)
        found = list(itertools.islice(places(document), 5000))  # aliases of aliases have more
        if not found:
            return given, None
        holder, key, field = chance.choice(found)
        holder[key] = replacement(chance, holder[key])
        if isinstance(holder, dict) and chance.random() < 0.1:
            del holder[key]
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=chance.random() < 0.5), field
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError):
        return given, None


def places(value: Any, path: tuple[str, ...] = (), level: int = 0) -> Iterator[tuple[Any, Any, tuple[str, ...]]]:
    """All (holder, key, names on the way to it) in a document.

    Sources are left out: what is said of where a number comes from is only text.
    """
    if level > 12:
        return
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        if key in ("source", "sources"):
            continue
        here = (*path, str(key)) if isinstance(value, dict) else path
        yield value, key, here
        yield from places(value[key], here, level + 1)


def replacement(chance: random.Random, before: Any) -> Any:
    """Another value in place of one: near it, of the same kind and absurd, or of another kind."""
    way = chance.random()
    if isinstance(before, int | float) and not isinstance(before, bool) and way < 0.8:
        third = before // 3 + 0.5 if before < 10**9 else 3
        near = (before + 1, before - 1, before * 2, before // 2, before * 10, before * 1000, 1, 2, third)
        large = before * 1e30 if before < 10**9 else 10**30
        absurd = (-before, 0, before * 10**6, large, 10**30, 10**400, float("inf"), float("nan"), 1e-300)
        return chance.choice(near if way < 0.5 else absurd)
    if isinstance(before, str) and before and way < 0.8:
        number, _, unit = before.partition(" ")
        other = chance.choice("fpnumkMGT") + unit[-1:]
        if way < 0.5 and unit:
            return chance.choice(
                (f"{number}0 {unit}", f"{number} {other}", f"1 {unit}", f"3600 {unit}", f"0.001 {unit}")
            )
        wild = (f"{number}e9 {unit}", f"-{number} {unit}", number, before[::-1], before * 2, before.upper())
        return chance.choice((*wild, f"1e-30 {unit}", before + "\u0301", before[:-1]))
    deep: Any = 1
    for _ in range(chance.choice((3, 40, 200))):
        deep = [deep]
    kinds = (None, True, False, 0, 1, -1, 1.5, "", "x", [], {}, [1, "a", None], {"a": 1})
    return chance.choice((*kinds, deep, 2**63, 10**12, "\u0661", before))


def _whole(chance: random.Random, given: str) -> str:
    """Change the file as a whole."""
    way = chance.randrange(8)
    if way == 0:
        return given[: chance.randrange(len(given) + 1)]
    if way == 1:
        return bomb(chance.choice((3, 6, 9, 12))) + given
    if way == 2:
        return given + "\nextra: " + "[" * chance.choice((10, 100, 5000)) + "\n"
    if way == 3:
        return given + given
    if way == 4:
        return "a: " + "x, " * chance.choice((10, 60_000)) + "\n" + given
    if way == 5:
        at = chance.randrange(len(given) + 1)
        return (
            given[:at] + chance.choice(("\u0000", "\ud800", "\u202e", "\u00a0", "\U0001f600", "\t", "\r")) + given[at:]
        )
    if way == 6:
        return given.replace(":", chance.choice((":\t", "=", ": :", ": &a")), chance.randrange(1, 5))
    return chance.choice(("", "[]", "null", "5", "- 1\n- 2", "'text'", "{}", "a", "---\n---\n"))


def content(chance: random.Random, given: bytes) -> bytes:
    """Change the bytes of a file as a disk or a broken copy does."""
    way = chance.randrange(6)
    if not given or way == 0:
        return given[: chance.randrange(len(given) + 1)]
    if way <= 3:
        changed = bytearray(given)
        for _ in range(chance.choice((1, 1, 1, 3, 20))):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    at = chance.randrange(len(given))
    if way == 4:
        return given[:at] + bytes(chance.randrange(256) for _ in range(chance.randrange(1, 64))) + given[at:]
    return given[:at] + bytes(min(512, len(given) - at)) + given[at + 512 :]
