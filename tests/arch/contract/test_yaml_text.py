"""A configuration's text is YAML 1.2 in which nothing is said twice, and reading it takes neither time nor memory."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import yaml

from rpusim.arch.chips import chip, library
from rpusim.arch.contract.yaml_text import MOST_LEVELS, YamlError, load
from rpusim.workloads.runs import settings

SHIPPED = sorted(path for folder in (chip.FOLDER, library.FOLDER, settings.FOLDER) for path in folder.glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_ships_means_the_same_as_in_any_other_reader(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert repr(load(text)) == repr(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-12", -12),
        ("+3", 3),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e-9", 1e-9),
        ("1.0e+9", 1e9),
        (".5", 0.5),
        ("2.", 2.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("on", "on"),
        ("8:32", "8:32"),
        ("01000", "01000"),
        ("1_000", "1_000"),
        ("2024-01-02", "2024-01-02"),
        ("\u0661\u0662", "\u0661\u0662"),
        ('"512"', "512"),
        ("'true'", "true"),
        ("!!str 512", "512"),
        ("[1, {b: c}]", [1, {"b": "c"}]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert repr(load(f"a: {text}")) == repr({"a": value})


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(load("a: .nan")["a"])


def test_fields_are_taken_over_from_another_mapping() -> None:
    assert load("x: &x {b: 1, c: 2}\ny: {<<: *x, c: 3}\nz: {<<: [{b: 4}, *x]}") == {
        "x": {"b": 1, "c": 2},
        "y": {"b": 1, "c": 3},
        "z": {"b": 4, "c": 2},
    }


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "a is given twice, at lines 1 and 3"),
        ("a: {b: [{c: 1, c: 2}]}", "a.b.0.c is given twice, at lines 1 and 1"),
        ("<<: {}\n<<: {}", "<< is given twice"),
        ("a: [{<<: 3}]", "a.0.<<: needs a mapping"),
        ("1: 2", "the key 1 at line 1 is not a name"),
        ("a: {true: 2}", "the key true of a at line 1 is not a name"),
        ("? [a]\n: 3", "the key a list at line 1 is not a name"),
        ("a: !!int '5'", "a: has the tag"),
        ("a: !!python/object:os.system x", "a: has the tag"),
        ("a: !!set {b, c}", "a: has the tag"),
        ("a: &a [*a]", "a.0: holds itself"),
        ("a: &a {b: {c: *a}}", "a.b.c: holds itself"),
        ("a: *b", "is not YAML at line 1"),
        ("a: [", "is not YAML at line"),
        ("a: 1\n---\nb: 2", "is not YAML at line 2"),
        ("a: \x00", "is not YAML"),
        ('a: "\\UFFFFFFFF"', "is not YAML"),
        ('a: "\\ud800"', "a: holds half a character"),
        ("a: " + "9" * 101, "a: a number of 101 digits was given"),
        ("a: 1e999", "a: 1e999 is larger than any number"),
        ("[" * 5000, f"line 1: is nested too deeply; at most {MOST_LEVELS}"),
        ("a: " * 5000, "is not YAML"),
        ("- " * 5000, "is nested too deeply"),
        (bomb(10), "once its aliases are written out"),
        ("a: &a " + "x" * 50_000 + "\nb: [" + ", ".join(["*a"] * 5000) + "]", "once its aliases are written out"),
        ("a: [" + "1, " * 30_000 + "]", "holds more than 20000 values"),
    ],
)
def test_what_is_no_configuration_is_refused_at_once(text: str, sentence: str) -> None:
    began = time.monotonic()
    with pytest.raises(YamlError) as caught:
        load(text)
    assert sentence in str(caught.value)
    assert time.monotonic() - began < 5
