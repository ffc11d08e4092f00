"""What `rpusim explain` says of the fields of files."""

from __future__ import annotations

import json

import pytest

from rpusim.errors import InputError
from rpusim.reports.guide.fields import explain, fields


def test_every_field_has_a_meaning() -> None:
    assert [f"{each.path} of {each.of}" for each in fields() if not each.meaning] == []


def test_a_quantity_has_unit_range_and_example() -> None:
    (rate,) = explain("tiles.0.adc.rate")
    assert rate.unit == "S/s" and "1000 GS/s" in rate.accepted and rate.default == ""


def test_a_default_says_where_it_comes_from() -> None:
    told = [each for each in fields() if each.path.startswith("chip.") and each.source]
    assert told and all(each.default for each in told)
    assert any("assumption" in each.source for each in told)


@pytest.mark.parametrize("path", ["bits", "adc.bits", "tiles.0.adc.bits", "chip.tiles.adc.bits", "tiles.*.adc.bits"])
def test_a_field_is_found_by_any_end_of_its_path(path: str) -> None:
    assert "chip.tiles.adc.bits" in {each.path for each in explain(path)}


def test_parameters_of_devices_and_cells_name_what_has_them() -> None:
    assert {"constant-step", "soft-bounds"} <= {each.of for each in explain("device.dw_min")}
    assert {each.of for each in explain("cell.in_chop_prob")} >= {"chopped-transfer"}


@pytest.mark.parametrize(
    ("path", "said"),
    [("adc.bitz", "did you mean 'bits'"), ("", "there is no field"), ("card", "give more of its path")],
)
def test_what_is_no_field_or_too_many_is_a_sentence(path: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        explain(path)


def test_the_command_prints_meaning_range_and_default(rpusim) -> None:  # type: ignore[no-untyped-def]
    shown = rpusim("explain", "recipe.learning_rate").stdout
    assert "of the first epochs" in shown and "above 0" in shown and "it has to be given" in shown
    (told,) = json.loads(rpusim("explain", "adc.bits", "--json").stdout)["fields"]
    assert told["path"] == "chip.tiles.adc.bits" and told["accepted"] == "a whole number from 2 to 24"
