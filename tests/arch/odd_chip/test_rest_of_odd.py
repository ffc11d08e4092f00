"""What parts of the odd chip draw that do nothing: each figure worked out from odd.yaml, in zeptojoules per picosecond.

A nanowatt is a zeptojoule per picosecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from generated import chain

from rpusim.arch.account.ledger import CHIP, IDLE, STANDBY, Ledger
from rpusim.arch.account.pauses import Pauses
from rpusim.arch.account.rest import Rest
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan

Odd = Callable[..., Chip]
SIZES = (17, 11, 9, 5, 40, 3)
"""Nine arrays on tiles 0 to 4, of which the last has one array without weights."""
IDLE_NW = {
    "converter": 7_001, "driver": 101, "hold": 53, "switch": 211, "pulser": 307, "lane": 401, "bank": 503, "extra": 601,
    "cell": 2,
}  # fmt: skip
WAKE_PS = {"driver": 2_000, "hold": 3_000, "switch": 5_000, "pulser": 7_000, "converter": 13_000, "bank": 11_000}


def waiting(chip: Chip, gating: str = "none", wakes: bool = True) -> Chip:
    """The chip with an idle power and a wake time on every card, and without circuits that are always on."""
    cards = {
        name: card.model_copy(
            update={"idle": IDLE_NW.get(name, 0) * 1e-9, "wake": WAKE_PS.get(name, 1_000) * 1e-12 if wakes else None}
        )
        for name, card in chip.cards.items()
    }
    tiles = tuple(
        kind.model_copy(update={"support": tuple(s for s in kind.support if s.busy_during != "always")})
        for kind in chip.tiles
    )
    return chip.model_copy(update={"cards": cards, "tiles": tiles, "gating": gating})


def of_two_kinds(chip: Chip) -> Chip:
    """Four tiles of the kind, and one behind them of another kind that is like it."""
    (kind,) = chip.tiles
    return chip.model_copy(
        update={"tiles": (kind.model_copy(update={"count": 4}), kind.model_copy(update={"name": "other", "count": 5}))}
    )


def rest_of(chip: Chip, *sizes: int) -> Rest:
    plan = make_plan(place(chain(*(sizes or SIZES)), chip))
    return Rest(plan, bill_of_parts(chip))


def relief(rest: Rest, station: str) -> int:
    return int(rest.relief[rest.plan.stations.index(station)])


class TestStandby:
    """Five tiles are used: three digital units of two tiles, two routers of three tiles."""

    def test_tiles_in_use_leak_and_what_they_share_leaks_once(self, odd: Odd) -> None:
        standby = rest_of(odd()).standby
        assert standby["array"] == round(5 * 2 * 13 * 22 * 0.03)
        assert standby["input drivers"] == 5 * 70 * 5
        assert standby["sample-and-hold"] == 5 * 70
        assert standby["multiplexer"] == 5 * 70 * 2
        assert standby["ADC"] == 5 * 16 * 7_000
        assert standby["pulse drivers"] == 5 * 70 * 4
        assert standby["buffer"] == 5 * 3 * 6_000
        assert standby["digital unit"] == 3 * 3 * 8_000
        assert standby["packer"] == 5 * 13 * 13
        assert standby["links"] == 2 * 2 * 9_000

    def test_what_the_chip_has_once_leaks_and_what_is_always_on_draws_its_power_besides(self, odd: Odd) -> None:
        standby = rest_of(odd()).standby
        assert standby["oscillator"] == 5 * 19 * (3_000 + 13)
        assert standby["clock tree"] == 3 * (3_000 + 13)
        assert standby["global buffer"] == 5 * 12_000
        assert standby["DRAM"] == 3 * 15_000_000
        assert standby["host link"] == 2 * 21_000

    def test_a_chip_without_them_draws_nothing_for_them(self, odd: Odd) -> None:
        standby = rest_of(odd(global_buffer=None, memory=None, host=None)).standby
        assert not {"global buffer", "DRAM", "host link"} & standby.keys()

    def test_tiles_of_a_second_kind_are_numbered_from_its_first(self, odd: Odd) -> None:
        """The fifth tile in use is the first of the second kind, whose digital unit is its own."""
        chip = of_two_kinds(odd())
        found = rest_of(chip)
        assert {block.kind for block in found.plan.placement.blocks()} == {0, 1}
        assert found.standby == rest_of(odd()).standby
        three = chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": 3}), chip.tiles[1])})
        assert rest_of(three).standby["digital unit"] == (2 + 1) * 3 * 8_000
        chip = of_two_kinds(odd(digital={"tiles_per_unit": 3}))
        two = chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": 2}), chip.tiles[1])})
        assert rest_of(two).standby["digital unit"] == (1 + 1) * 3 * 8_000

    def test_what_rounds_to_nothing_is_left_out(self, odd: Odd) -> None:
        tiny = odd().cards["cell"].model_copy(update={"leakage": 1e-14})
        assert "array" not in rest_of(odd().model_copy(update={"cards": {**odd().cards, "cell": tiny}})).standby


class TestWaiting:
    """Every part waits where its units work, each station relieves its share; two arrays of 13 x 22 on a tile."""

    SHARES = (
        (
            "",
            {"array": 2 * 286 * 2, "sample-and-hold": 70 * 53, "reference": 5 * 601, "pump": 17 * 601},
            Fraction(1, 2),
        ),
        (" column drivers", {"input drivers": 70 * 101, "pulse drivers": 70 * 307}, Fraction(22, 70)),
        (" row drivers", {"input drivers": 70 * 101, "pulse drivers": 70 * 307}, Fraction(13, 70)),
        (" row ADCs", {"ADC": 16 * 7_001, "multiplexer": 70 * 211, "shifter": 7 * 601}, Fraction(3, 16)),
        (" column ADCs", {"ADC": 16 * 7_001, "multiplexer": 70 * 211, "shifter": 7 * 601}, Fraction(5, 16)),
    )

    @pytest.mark.parametrize(("side", "parts", "share"), SHARES)
    def test_a_station_of_an_array_relieves_its_share_of_every_part_that_waits_there(
        self, odd: Odd, side: str, parts: dict[str, int], share: Fraction
    ) -> None:
        found = rest_of(waiting(odd()))
        for tile, array in ((0, 0), (0, 1), (3, 1), (4, 0)):
            together = sum(int(draws * share) for draws in parts.values())
            assert relief(found, f"tile {tile} array {array}{side}") == pytest.approx(together, abs=len(parts))

    def test_buffers_and_digital_units_relieve_what_works_for_them(self, odd: Odd) -> None:
        found = rest_of(waiting(odd()))
        for tile in range(5):
            assert relief(found, f"tile {tile} buffer") == 3 * 601
        for unit in range(2):
            # A circuit for every tile, though two of them share the unit: each waits for what its own tile has it do.
            assert relief(found, f"digital unit lopsided {unit}") == 2 * 11 * 601
        assert relief(found, "digital unit lopsided 2") == 11 * 601

    def test_all_parts_of_tiles_in_use_wait_and_what_they_share_waits_once(self, odd: Odd) -> None:
        idle = rest_of(waiting(odd())).idle
        assert idle["array"] == 5 * 2 * 286 * 2 and idle["ADC"] == 5 * 16 * 7_001
        assert idle["digital unit"] == 3 * 3 * 401 and idle["buffer"] == 5 * 3 * 503
        assert idle["packer"] == 5 * 13 * 601  # sends: no station of the tile relieves it
        assert "links" not in idle and "clock tree" not in idle

    def test_circuits_that_are_shared_by_tiles_of_a_second_kind_are_counted_there(self, odd: Odd) -> None:
        assert rest_of(of_two_kinds(waiting(odd()))).idle == rest_of(waiting(odd())).idle

    def test_converters_of_both_sides_relieve_all_that_an_array_has(self, odd: Odd) -> None:
        """As many as the longer side needs: 5 for each array."""
        found = rest_of(waiting(odd(adc={"shared_between_sides": True})))
        each = 10 * 7_001 // 2 + 70 * 211 // 2 + 7 * 601 // 2
        assert relief(found, "tile 0 array 1 ADCs") == each

    def test_a_pool_relieves_all_its_banks_by_turns(self, odd: Odd) -> None:
        """Two tiles share three banks: a third of all for each vector that they can serve."""
        chip = waiting(odd(adc={"shared_between_sides": True, "pool": {"tiles": 2, "banks": 3, "source": "made up"}}))
        found, adc = rest_of(chip), bill_of_parts(chip).tiles[0]["ADC"]
        # The switches and adders of each of the two tiles wait at the pool, too.
        several = 70 * 211 // 3, 7 * 601 // 3
        assert relief(found, "ADC pool lopsided 0") == round(adc.idle_w * 1e9) // 3 + 2 * sum(several)
        assert found.idle["ADC"] == 3 * round(adc.idle_w * 1e9)

    def test_tiles_that_only_infer_drive_columns_and_read_rows(self, odd: Odd) -> None:
        chip = waiting(odd())
        (kind,) = chip.tiles
        chip = chip.model_copy(
            update={"tiles": (kind.model_copy(update={"pulses": None, "programming": None, "support": ()}),)}
        )
        found = rest_of(chip)
        assert relief(found, "tile 1 array 0 column drivers") == 2 * 22 * 101 // 2
        assert relief(found, "tile 1 array 0 row drivers") == 0
        assert relief(found, "tile 1 array 0 row ADCs") == 2 * 3 * 7_001 // 2 + 2 * 13 * 211 // 2
        assert relief(found, "tile 1 array 0 column ADCs") == 0

    def test_work_on_stations_relieves_the_parts_one_by_one(self, odd: Odd) -> None:
        found = rest_of(waiting(odd()))
        stations = found.plan.stations
        busy = {number: 0 for number in range(len(stations))} | {stations.index("tile 1 array 1 row ADCs"): 40}
        ledger = Ledger(time_ps=1_000)
        found.book(ledger, busy, Pauses.none(0))
        for part, draws in found.idle.items():
            share = {"ADC": 16 * 7_001, "multiplexer": 70 * 211, "shifter": 7 * 601}.get(part, 0) * 3 // 16
            assert ledger.energy[part, IDLE, CHIP] == draws * 1_000 - share * 40
        assert {part: zj for (part, phase, _), zj in ledger.energy.items() if phase == STANDBY} == {
            part: 1_000 * draws for part, draws in found.standby.items()
        }
        assert found.ungated(1_000, list(busy.values())) == ledger.total_zj
        assert found.drawn == found.most == sum(found.standby.values()) + sum(found.idle.values())

    def test_stations_of_other_plans_on_the_same_chip_relieve_nothing(self, odd: Odd) -> None:
        found = rest_of(waiting(odd()))
        number = found.plan.stations.index("tile 0 array 0")
        beyond = np.array([number, len(found.plan.stations) + 3, number])
        here = int(found.relief[number])
        assert found.relieved(beyond).tolist() == [here, 0, here]
        assert found.relieved(np.array([number])).tolist() == [here]
        assert not len(found.relieved(np.array([], np.int64)))
        gated = rest_of(waiting(odd(), "idle"))
        assert gated.relieved(beyond).tolist() == [0, 0, 0]


class TestGated:
    def test_parts_of_a_station_that_wake_alike_are_one_group(self, odd: Odd) -> None:
        found = rest_of(waiting(odd(), "idle"))
        number = found.plan.stations.index("tile 3 array 0 row drivers")
        mine = sorted(group[1:] for group in found.groups if group[0] == (number,))
        assert mine == [(2_000, 70 * 101 * 13 // 70), (7_000, 70 * 307 * 13 // 70)]
        number = found.plan.stations.index("tile 3 array 0")
        mine = sorted(group[1:] for group in found.groups if group[0] == (number,))
        assert mine == [(1_000, 286 * 2 + 5 * 601 // 2 + 17 * 601 // 2), (3_000, 35 * 53)]
        assert found.waking_groups == found.groups

    def test_what_a_pool_draws_while_it_wakes_is_counted_with_the_peak_of_no_station(self, odd: Odd) -> None:
        """A pool serves several vectors at a time: it is not known which of them it is woken for."""
        chip = waiting(
            odd(adc={"shared_between_sides": True, "pool": {"tiles": 2, "banks": 3, "source": "made up"}}), "idle"
        )
        found = rest_of(chip)
        number = found.plan.stations.index("ADC pool lopsided 1")
        assert {group[2] for group in found.groups if group[0] == (number,)} == {0}
        drawn = {group[1]: group[2] for group in found.waking_groups if group[0] == (number,)}
        adc = round(bill_of_parts(chip).tiles[0]["ADC"].idle_w * 1e9)
        assert drawn == {13_000: adc, 5_000: 2 * 70 * 211, 1_000: 2 * 7 * 601}
        assert found.most - found.drawn == 3 * adc + 5 * (70 * 211 + 7 * 601)
        assert found.drawn == sum(found.standby.values())

    def test_each_part_draws_its_idle_power_for_as_long_as_its_group_wakes(self, odd: Odd) -> None:
        found = rest_of(waiting(odd(), "idle"))
        stations = found.plan.stations
        waking = np.zeros(len(found.groups), np.int64)
        expected = dict.fromkeys(found.idle, 0)
        for number, ((station,), wake, _) in enumerate(found.groups):
            if stations[station] == "tile 2 array 1 column ADCs" and wake == 13_000:
                waking[number], expected["ADC"] = 70, 70 * (16 * 7_001 * 5 // 16)
            elif stations[station] == "tile 0 buffer":
                waking[number], expected["fetcher"] = 90, 90 * 3 * 601
        ledger, none = Ledger(time_ps=1_000), Pauses.none(len(found.groups))
        found.book(ledger, {}, replace(none, waking_ps=waking))
        idle = {part: zj for (part, phase, _), zj in ledger.energy.items() if phase == IDLE}
        assert idle == {part: zj for part, zj in expected.items() if zj}
        assert ledger.energy["ADC", STANDBY, CHIP] == 1_000 * found.standby["ADC"]

    def test_tiles_that_share_a_digital_unit_are_cut_off_together(self, odd: Odd) -> None:
        """All stations of the arrays of both tiles, their buffers and the unit keep them on."""
        found = rest_of(waiting(odd(), "tile"))
        stations = found.plan.stations
        islands = [group for group in found.groups if len(group[0]) > 1]
        kept = [{stations[number] for number in group[0]} for group in islands]
        for number, tiles in enumerate(((0, 1), (2, 3), (4,))):
            arrays = [name for name in stations if name.startswith(tuple(f"tile {t} array" for t in tiles))]
            buffers = [f"tile {tile} buffer" for tile in tiles]
            assert kept[number] == {*arrays, *buffers, f"digital unit lopsided {number}"}
        assert len(islands) == 3
        assert {group[1:] for group in islands} == {(13_000, 0)}  # the converters wake last

    def test_a_tile_that_is_cut_off_leaks_nothing_but_its_buffer(self, odd: Odd) -> None:
        """Tiles 0 and 1 are on for 300 ps of 1000, tiles 2 and 3 for 200, tile 4 never."""
        chip = odd().model_copy(update={"gating": "tile"})
        found = rest_of(chip)
        islands = [number for number, group in enumerate(found.groups) if len(group[0]) > 1]
        covered, waking = np.zeros(len(found.groups), np.int64), np.zeros(len(found.groups), np.int64)
        covered[islands[:2]], waking[islands[:2]] = (250, 200), (50, 0)
        ledger = Ledger(time_ps=1_000)
        found.book(ledger, {}, replace(Pauses.none(len(found.groups)), covered_ps=covered, waking_ps=waking))
        standby = {part: zj for (part, phase, _), zj in ledger.energy.items() if phase == STANDBY}
        for part, each in (("ADC", 16 * 7_000), ("input drivers", 350), ("fetcher", 39), ("packer", 169)):
            assert standby[part] == pytest.approx(2 * each * 300 + 2 * each * 200, abs=1000), part
        assert standby["digital unit"] == 3 * 8_000 * (300 + 200)
        for part in ("buffer", "oscillator", "links", "DRAM", "clock tree"):
            assert standby[part] == 1_000 * found.standby[part]

    def test_a_pool_that_reaches_over_more_tiles_than_a_digital_unit_is_cut_off_with_all_of_them(
        self, odd: Odd
    ) -> None:
        chip = waiting(
            odd(adc={"shared_between_sides": True, "pool": {"tiles": 3, "banks": 3, "source": "made up"}}), "tile"
        )
        found = rest_of(chip)
        (island,) = [group for group in found.groups if len(group[0]) > 1]  # of six tiles, five of which are in use
        names = {found.plan.stations[number] for number in island[0]}
        assert {f"ADC pool lopsided {pool}" for pool in (0, 1)} <= names
        assert {f"digital unit lopsided {unit}" for unit in range(3)} <= names

    def test_a_part_that_neither_leaks_nor_waits_does_not_say_how_long_tiles_wake(self, odd: Odd) -> None:
        """The converters, which wake last, have no figures at rest; then it is the buffer."""
        chip = waiting(odd(), "tile")
        nothing = chip.cards["converter"].model_copy(update={"idle": 0.0, "leakage": 0.0})
        found = rest_of(chip.model_copy(update={"cards": {**chip.cards, "converter": nothing}}))
        assert {group[1] for group in found.groups if len(group[0]) > 1} == {11_000}

    def test_a_chip_that_stands_still_draws_its_standby_and_time_passes(self, odd: Odd) -> None:
        for gating, draws in (("none", lambda rest: rest.drawn), ("idle", lambda rest: sum(rest.standby.values()))):
            found, ledger = rest_of(waiting(odd(), gating)), Ledger(time_ps=7)
            ledger.add("ADC", STANDBY, CHIP, 11)
            found.stand_still(ledger, 1_000)
            assert ledger.time_ps == 1_007 and ledger.total_zj == 11 + 1_000 * draws(found)
