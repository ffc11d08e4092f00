"""What would make it faster: every figure is that of the changed chip itself."""

from __future__ import annotations

import pytest

from rpusim.arch.chips import chip as chips
from rpusim.arch.chips.bill_of_parts import ROUTING, bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.workloads.results.result import Result
from rpusim.workloads.results.what_if import Outcome, changes
from rpusim.workloads.runs.estimate import time_network


@pytest.mark.parametrize("name", chips.presets())
class TestChanges:
    def test_every_card_still_fits_its_rating(self, name: str) -> None:
        for _, changed in changes(Chip.load(name)):
            bill_of_parts(changed)

    def test_only_what_is_named_grows_and_it_doubles(self, name: str) -> None:
        chip = Chip.load(name)
        before = bill_of_parts(chip).total("area_m2")
        grown = {
            "2x ADCs": {"ADC"},
            "2x digital units": {"digital unit", "registers"},
            "2x buffer and link bandwidth": {"buffer", "links"},
            "pulses half as long": set(),
        }
        for change, changed in changes(chip):
            after = bill_of_parts(changed).total("area_m2")
            for part, area in before.items():
                if part == ROUTING:  # a share of all the others
                    continue
                assert after[part] == pytest.approx(area * (2 if part in grown[change] else 1), rel=0.02), change


@pytest.mark.parametrize(
    ("speedup", "area", "energy", "sentence"),
    [
        (1.7, 1.12, 0.9, "2x ADCs: 1.7x faster, +12% area, 0.9x energy"),
        (1.001, 1.0, 1.0, "2x ADCs: no faster, same area, same energy"),
        (0.8, 1.0, 12.3, "2x ADCs: 1.25x slower, same area, 12x energy"),
    ],
)
def test_an_outcome_says_it_in_a_sentence(speedup: float, area: float, energy: float, sentence: str) -> None:
    assert Outcome("2x ADCs", speedup, area, energy).sentence == sentence


@pytest.fixture(scope="module")
def asked() -> Result:
    return time_network("lenet-digits", "reram-512", 2, training=True, schedule="sequential", what_if=True)


def test_the_fastest_comes_first(asked: Result) -> None:
    speedups = [outcome["speedup"] for outcome in asked["what_if"]]
    assert speedups == sorted(speedups, reverse=True)
    assert len(speedups) == 4


def test_more_units_never_make_a_sequence_slower(asked: Result) -> None:
    assert all(outcome["speedup"] >= 1 for outcome in asked["what_if"])


def test_pulses_half_as_long_save_half_of_the_time_on_the_path_that_they_take(asked: Result) -> None:
    """An update of n vectors takes n trains of slots x width; nothing else of this chip changes with the width."""
    faster = next(outcome for outcome in asked["what_if"] if outcome["change"] == "pulses half as long")
    path = asked["analysis"]["critical_path"]
    before = asked["time"]["total_s"]
    saved = before - before / faster["speedup"]
    assert saved == pytest.approx(path["by_phase"]["update"] / 2, rel=0.05)


def test_without_being_asked_nothing_is_said() -> None:
    assert "what_if" not in time_network("fcn", "rpu-2016", 1, training=True, schedule="sequential").document
