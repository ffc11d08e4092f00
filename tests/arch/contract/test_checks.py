"""What the user gives is checked, and the sentence names the field, the value, and what would have been accepted."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

import pytest

from rpusim.arch.contract import checks
from rpusim.errors import InputError, nearest


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class TestNearest:
    def test_a_close_name_is_asked_for_and_few_names_are_listed_in_order(self) -> None:
        assert nearest("gren", {"red", "green"}) == "; did you mean 'green'? accepted are green, red"

    def test_without_a_close_name_there_is_only_the_list(self) -> None:
        assert nearest(3, ["red", "green"]) == "; accepted are green, red"

    def test_of_many_names_a_close_one_is_enough(self) -> None:
        names = [f"colour-{letter}" for letter in "abcdefghi"]
        assert nearest("colour-b", names) == "; did you mean 'colour-b'?"

    def test_of_many_names_of_which_none_is_close_the_most_similar_are_listed(self) -> None:
        names = [f"colour-{letter}" for letter in "abcdefghij"]
        assert nearest("sand", names).endswith(" and 2 more")
        assert nearest("sand", names).count("colour-") == 8


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (lambda: checks.choose(Colour, "hue", "gren"), "hue: 'gren' is unknown; did you mean 'green'"),
        (lambda: checks.one_of("hue", "gren", ("red", "green")), "hue: 'gren' was given; did you mean 'green'"),
        (lambda: checks.number("n", "1"), "n: '1' was given; accepted is a finite number"),
        (lambda: checks.number("n", True), "n: True was given; accepted is a finite number"),
        (lambda: checks.number("n", math.inf), "n: inf was given; accepted is a finite number"),
        (lambda: checks.number("n", -1, low=0), "n: -1 was given; accepted is a number >= 0"),
        (lambda: checks.number("n", 3, high=2), "n: 3 was given; accepted is a number <= 2"),
        (lambda: checks.number("n", 3, low=0, high=2), "n: 3 was given; accepted is a number from 0 to 2"),
        (lambda: checks.number("n", 0, above=0), "n: 0 was given; accepted is a number > 0"),
        (lambda: checks.number("n", 0, above=0, high=2), "n: 0 was given; accepted is a number > 0 and <= 2"),
        (lambda: checks.integer("n", 1.0, low=0), "n: 1.0 was given; accepted is an integer >= 0"),
        (lambda: checks.integer("n", True, low=0), "n: True was given; accepted is an integer >= 0"),
        (lambda: checks.integer("n", 1, low=2), "n: 1 was given; accepted is an integer >= 2"),
        (lambda: checks.flag("n", 1), "n: 1 was given; accepted are True and False"),
        (lambda: checks.instance("n", 1, str), "n: 1 was given; accepted is a str"),
    ],
)
def test_what_is_not_accepted_is_said_in_one_sentence(check: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        check()


def test_limits_are_accepted_themselves() -> None:
    checks.number("n", 0, low=0, high=2)
    checks.number("n", 2, above=0, high=2)
    checks.integer("n", 2, low=2)
    assert checks.choose(Colour, "hue", Colour.RED) is Colour.RED
