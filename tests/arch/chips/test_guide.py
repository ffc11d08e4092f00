"""The blocks that docs/add-a-chip.md offers beside its example do what it says of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rpusim.arch.chips.bill_of_parts import BillOfParts, bill_of_parts
from rpusim.arch.chips.chip import Chip

GUIDE = (Path(__file__).parents[3] / "docs" / "add-a-chip.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> BillOfParts:
    path = tmp_path_factory.mktemp("chip") / "small-128.yaml"
    path.write_text(block("yaml") + block("yml"))
    return bill_of_parts(Chip.load(path))


def test_the_example_with_all_optional_blocks_loads(bill: BillOfParts) -> None:
    assert set(bill.chip_wide) == {"links", "global buffer", "DRAM", "host link"}


def test_its_digital_circuits_are_scaled_and_both_figures_are_listed(bill: BillOfParts) -> None:
    cards = {row["field"] for row in bill.chip.provenance() if row["field"].startswith("cards.")}
    for name in ("puma-2019/alu", "puma-2019/edram", "puma-2019/router", "gates-28nm/pulse-driver"):
        assert {f"cards.{name}.area", f"cards.{name} at 14 nm.area"} <= cards
    for name in ("my-adc", "dram/gddr5", "cells/rpu-2016", "puma-2019/hypertransport"):
        assert f"cards.{name}.area" in cards
        assert f"cards.{name} at 14 nm.area" not in cards


@pytest.mark.parametrize("name", ["isaac-2016", "neurosim-vgg8", "hermes-2021"])
def test_the_chips_it_points_to_show_what_it_says(name: str) -> None:
    chip = Chip.load(name)
    assert chip.trains == (name == "neurosim-vgg8")
    assert bool(chip.memory) == bool(chip.global_buffer) == chip.trains
    assert bool(chip.tiles[0].programming) == (name != "isaac-2016")
    assert bool(chip.scale_to) == (name == "hermes-2021")
    assert bool(chip.tiles[0].support) != chip.trains
