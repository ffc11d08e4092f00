"""Fields changed by dotted paths: what a path stands for, whose source is noted, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpusim.arch.contract import dotted
from rpusim.errors import InputError

CHIP: dict[str, Any] = {
    "name": "c",
    "source": "file",
    "tiles": [
        {"name": "a", "source": "file", "adc": {"bits": 8, "source": "file"}, "digital": {"per_output": {"add": 1}}},
        {"name": "b", "source": "file", "adc": {"bits": 9, "source": "file", "sources": {"bits": "paper"}}},
    ],
}


def bits(fields: dict[str, Any]) -> list[int]:
    return [tile["adc"]["bits"] for tile in fields["tiles"]]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("tiles.0.adc.bits", [6, 9]), ("tiles.b.adc.bits", [8, 6]), ("tiles.*.adc.bits", [6, 6])],
)
def test_an_entry_of_a_list_goes_by_number_by_name_or_by_a_star(path: str, expected: list[int]) -> None:
    assert bits(dotted.changed(CHIP, {path: 6}, "me")) == expected
    assert bits(CHIP) == [8, 9], "what is given is not changed"


def test_the_innermost_block_with_a_source_says_who_changed_a_field() -> None:
    made = dotted.changed(CHIP, {"tiles.1.adc.bits": 6, "tiles.0.digital.per_output.add": 2}, "me")
    assert made["tiles"][1]["adc"]["sources"] == {"bits": "me"}
    assert made["tiles"][0]["sources"] == {"digital.per_output.add": "me"}


def test_a_block_that_a_file_leaves_out_is_begun() -> None:
    assert dotted.changed({"source": "s"}, {"memory.bandwidth": "4 Tb/s"}, "me")["memory"] == {"bandwidth": "4 Tb/s"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tiles.7.adc.bits", "tiles.7.adc.bits: no entry is called '7'"),
        ("tiles.reram.adc.bits", "no entry is called 'reram'; accepted are"),
        ("tiles.0.adc.bits.deep", "there is no field deep in 8"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_by_name(path: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        dotted.changed(CHIP, {path: 6}, "me")


@pytest.mark.parametrize("text", ["tiles.0.adc.bits", "=6", "tiles..bits=6", ""])
def test_a_setting_needs_a_path_and_a_value(text: str) -> None:
    with pytest.raises(InputError, match=r"PATH=VALUE is needed, such as tiles\.0\.adc\.bits=6"):
        dotted.read(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=6", 6), ("a=40 ns", "40 ns"), ("a=true", True), ("a=[1, 2]", [1, 2]), ("a={sampled: 10}", {"sampled": 10})],
)
def test_a_value_is_read_as_in_a_file(text: str, value: object) -> None:
    assert dotted.read(text) == ("a", value)


@given(st.lists(st.integers(-99, 99) | st.lists(st.integers(0, 9), min_size=1), min_size=1))
def test_alternatives_are_cut_at_commas_outside_brackets(values: list[Any]) -> None:
    cut = dotted.alternatives(",".join(map(str, values)))
    assert [dotted.value_of("a", text) for text in cut] == values
