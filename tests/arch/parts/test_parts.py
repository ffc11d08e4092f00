"""What every part of every chip that ships has to do, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip, presets
from rpusim.arch.chips.library import library
from rpusim.arch.parts.part import Part
from rpusim.errors import InputError


def parts() -> Iterator[tuple[str, Part]]:
    for name in presets():
        bill = bill_of_parts(Chip.load(name))
        for kind, tile in zip(bill.chip.tiles, bill.tiles, strict=True):
            yield from ((f"{name}-{kind.name}-{part.name}", part) for part in tile.values())
        yield from ((f"{name}-{part.name}", part) for part in bill.chip_wide.values())


@pytest.mark.parametrize("part", [pytest.param(part, id=name) for name, part in parts()])
class TestEveryPart:
    def test_has_units_and_no_more_are_busy_than_there_are(self, part: Part) -> None:
        assert part.units >= 1
        assert 1 <= part.busy_units <= part.units

    def test_its_actions_are_whole_picoseconds_and_zeptojoules_and_none_is_free(self, part: Part) -> None:
        for name, action in part.actions.items():
            assert isinstance(action.latency_ps, int) and action.latency_ps >= 0, name
            assert isinstance(action.energy_zj, int) and action.energy_zj >= 0, name
            assert action.energy_zj or name == "wire", name  # of a mesh whose card has the wire, and says so

    def test_it_does_something_or_draws_power_while_others_do(self, part: Part) -> None:
        assert part.actions or part.card.power

    def test_area_and_leakage_are_there_or_their_absence_is_explained(self, part: Part) -> None:
        for figure, value in (("area", part.area_m2), ("leakage", part.leakage_w)):
            assert value > 0 or len(part.card.zero_because[figure]) > 10

    def test_at_full_power_it_draws_no_less_than_in_standby(self, part: Part) -> None:
        assert part.full_power_w >= part.leakage_w >= 0

    def test_its_node_is_one_that_was_ever_made(self, part: Part) -> None:
        assert 2e-9 < part.card.node < 1e-6


@pytest.mark.parametrize("name", presets())
def test_totals_are_sums_over_tiles_and_what_the_chip_has_once(name: str) -> None:
    bill = bill_of_parts(Chip.load(name))
    area = sum(
        part.area_m2 * -(-kind.count // kind.tiles_sharing(part.name))
        for kind, tile in zip(bill.chip.tiles, bill.tiles, strict=True)
        for part in tile.values()
    )
    area += sum(part.area_m2 for part in bill.chip_wide.values())
    assert sum(bill.total("area_m2").values()) == pytest.approx(area * bill.chip.area_factor)


@pytest.mark.parametrize("name", presets())
def test_what_moves_bits_is_refused_beyond_what_its_cards_carry(name: str) -> None:
    chip = Chip.load(name)
    cards = library()
    for unit in (chip.memory, chip.host, chip.global_buffer):
        if unit:
            rated = (chip.cards | cards)[unit.card].rated_bandwidth
            assert rated
            with pytest.raises(InputError, match=r"bandwidth of .* b/s was given, but .* carry"):
                unit.model_copy(update={"bandwidth": 1e6 * rated}).build((chip.cards | cards)[unit.card])


@pytest.mark.parametrize("name", presets())
def test_a_wider_link_or_memory_is_never_slower(name: str) -> None:
    chip = Chip.load(name)
    for unit in (chip.memory, chip.host, chip.global_buffer):
        if unit:
            wider = unit.model_copy(update={"bandwidth": 2 * unit.bandwidth})
            for bits in (1, 512, 10**6):
                assert wider.transfer_ps(bits) <= unit.transfer_ps(bits)
                assert unit.transfer_ps(bits) < unit.transfer_ps(bits + 10**6)
