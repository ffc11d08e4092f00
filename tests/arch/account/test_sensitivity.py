"""What each assumption does to the total: that of the same work on a chip with the other number, priced anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from generated import chain, works
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.account.sensitivity import Sensitivity
from rpusim.arch.chips import library
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.description import ChipDescription, TileKind
from rpusim.arch.contract.activity import Activity
from rpusim.arch.engine.events import Events
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.parts.part import Card
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.errors import InputError


def other(plan: Plan, chip: ChipDescription) -> Plan:
    return replace(plan, placement=replace(plan.placement, chip=chip))


def with_card(chip: ChipDescription, name: str, **fields: Any) -> ChipDescription:
    card = library.library()[name].model_copy(update=fields)
    return chip.model_copy(update={"cards": {**chip.cards, name: card}})


@given(
    made=works(),
    gating=st.sampled_from(["none", "idle", "tile"]),
    leakage=st.sampled_from(["as-published", "low-standby"]),
)
@settings(max_examples=30, deadline=None, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_where_all_events_are_looked_at_the_total_is_that_of_pricing_them_anew(
    made: tuple[Plan, Activity, Schedule], gating: str, leakage: str
) -> None:
    plan, activity, schedule = made
    try:
        events = run(plan, activity, schedule)
    except InputError:  # a buffer too small for one window
        return
    if not events.makespan_ps:
        return
    varied = Sensitivity(plan, Pricer(plan)(events, activity), events, activity, schedule)
    chip = plan.placement.chip.model_copy(update={"gating": gating, "leakage": leakage})
    chip = with_card(chip, "puma-2019/router", energy={"bit": 5e-13}, leakage=1e-3)
    chip = with_card(chip, "gates-28nm/pulse-driver", energy={"slot": 4e-15, "pulse": 8e-15})
    changed = make_plan(other(plan, chip).placement)
    anew = Pricer(changed)(run(changed, activity, schedule), activity).total_zj * 1e-21
    assert varied.total(chip) == pytest.approx(anew, rel=1e-9, abs=0)


def test_each_kind_of_tile_is_counted_for_itself() -> None:
    chip = Chip.load("rpu-2017-bimodal")
    plan = make_plan(place(chain(4000, 300, 10), chip))
    assert {block.kind for block in plan.placement.blocks()} == {0, 1}
    activity = assumed_activity(plan.placement, 2, training=True)
    events = run(plan, activity, "sequential")
    varied = Sensitivity(plan, Pricer(plan)(events, activity), events, activity, "sequential")
    for kind in (0, 1):
        changed = Chip.load("rpu-2017-bimodal", {f"tiles.{kind}.adc.bits": 7})
        other_plan = make_plan(other(plan, changed).placement)
        anew = Pricer(other_plan)(run(other_plan, activity, "sequential"), activity).total_zj * 1e-21
        assert varied.total(changed) == pytest.approx(anew, rel=1e-9, abs=0)


@pytest.fixture(scope="module")
def sensitivity() -> Sensitivity:
    plan = make_plan(place(chain(200, 100, 10), Chip.load("rpu-2016")))
    activity = assumed_activity(plan.placement, 3, training=True)
    events = run(plan, activity, "sequential")
    return Sensitivity(plan, Pricer(plan)(events, activity), events, activity, "sequential")


def test_the_largest_come_first_and_every_one_is_called_an_assumption(sensitivity: Sensitivity) -> None:
    rows, tried = sensitivity.rows()
    total = sensitivity.total(Chip.load("rpu-2016"))
    swings = [max(abs(row["low_J"] - total), abs(row["high_J"] - total)) for row in rows]
    assert swings == sorted(swings, reverse=True) and len(rows) == 10 < tried
    assert all("assum" in row["source"].lower() for row in rows)
    assert rows[0]["field"] == "chip.gating" and rows[0]["high"] == "none"


def test_a_number_is_varied_over_its_stated_range_or_from_half_to_twice(sensitivity: Sensitivity) -> None:
    rows = {row["field"]: row for row in sensitivity.rows(100)[0]}
    idle = rows["cards.haensch-2018/adc.idle"]
    assert (idle["low"], idle["value"], idle["high"]) == (0.0, 0.92e-3, 1.84e-3)
    line = rows["cards.cells/rpu-2016.electrical.line_capacitance"]
    assert (line["low"], line["high"]) == (line["value"] / 2, line["value"] * 2)


def test_twice_the_idle_power_costs_once_more_what_idle_converters_take(sensitivity: Sensitivity) -> None:
    chip = Chip.load("rpu-2016")
    ledger = sensitivity._ledger
    idle = ledger.energy["ADC", "idle", "chip"] * 1e-21
    rows = {row["field"]: row for row in sensitivity.rows(100)[0]}
    assert rows["cards.haensch-2018/adc.idle"]["high_J"] - sensitivity.total(chip) == pytest.approx(
        idle, rel=1e-9, abs=0
    )


ODD = Path(__file__).parents[1] / "odd_chip/odd.yaml"


def two_kinds() -> Chip:
    """The odd chip with a second kind of tile like the first: cards of both are one each."""
    chip = Chip.load(ODD)
    (kind,) = chip.tiles
    chip = chip.model_copy(update={"sources": {"gating": "ASSUMPTION: made up", "leakage": "measured"}})
    return chip.model_copy(
        update={"tiles": (kind.model_copy(update={"count": 1}), kind.model_copy(update={"name": "other"}))}
    )


CHIPS = {
    "odd": lambda: Chip.load(ODD),
    "two kinds": two_kinds,
    "a cell of transistors": lambda: Chip.load("cmos-rpu-2017"),
    "scaled": lambda: Chip.load("hermes-2023"),
    "stated choices": lambda: Chip.load("neurosim-vgg8"),
    "power alone": lambda: Chip.load("isaac-2016"),
    "estimated converters": lambda: Chip.load("yao-2020"),
}


class Work:
    """Two samples of a small network on a chip, and what they take on others."""

    def __init__(self, chip: Chip, times: int = 1) -> None:
        self.chip, self.times = chip, times
        self.plan = make_plan(place(chain(20, 11, 10), chip))
        self.activity = assumed_activity(self.plan.placement, 2, training=chip.tiles[0].trains)
        self.events: Events = run(self.plan, self.activity, "sequential")
        ledger = Ledger.total([(times, Pricer(self.plan)(self.events, self.activity))])
        self.sensitivity = Sensitivity(self.plan, ledger, self.events, self.activity, "sequential")

    def anew(self, chip: ChipDescription) -> float:
        """What the work takes on a chip, placed and timed as if there had been no other."""
        plan = make_plan(place(self.plan.placement.network, chip))
        return self.times * Pricer(plan)(run(plan, self.activity, "sequential"), self.activity).total_zj * 1e-21

    def cards(self) -> dict[str, Card]:
        """All that the chip might use, before they are scaled."""
        estimated = [self.converter(kind) for kind in self.chip.tiles if not isinstance(kind.adc.card, str)]
        return {**library.library(), **self.chip.cards, **{card.name: card for card in estimated}}

    def converter(self, kind: TileKind) -> Card:
        return kind.adc.converter(lambda name: library.find(name, self.chip.cards, "card"))

    def assumed(self) -> Iterator[tuple[str, str, str, float]]:
        """(field, card, number on the card, value) of every assumed price of a card, as cards themselves say it.

        Not among them is leakage that the chip replaces, which its own provenance says.
        """
        corner = (row["field"] for row in self.chip.provenance() if row["source"].startswith("leakage: low-standby"))
        replaced = {re.sub(r" at \d+ nm", "", field) for field in corner}  # scaled cards have names of their own
        published = self.chip.model_copy(update={"leakage": "as-published"})
        for row in {row["field"]: row for row in published.provenance()}.values():
            field, value = row["field"], row["value"]
            names = [name for name in self.cards() if field.startswith(f"cards.{name}.")]
            if (
                not names
                or field in replaced
                or "assum" not in row["source"].lower()
                or not isinstance(value, float)
                or value == 0
            ):
                continue
            number = field.removeprefix(f"cards.{names[0]}.")
            if number.split(".")[0] not in ("area", "node", "rated_bits", "rated_rate", "rated_bandwidth"):
                yield field, names[0], number, value

    def with_number(self, name: str, number: str, value: float) -> Chip:
        """The chip with another number on a card."""
        card, (head, *inner) = self.cards()[name], number.split(".")
        update: dict[str, Any] = {head: value}
        if head == "energy":
            update = {head: {**card.energy, inner[0]: value}}
        elif inner:
            update = {head: getattr(card, head).model_copy(update={inner[0]: value})}
        if head == "cmos":
            update |= {"leakage": update[head].standby, "area": update[head].area}
        tiles = tuple(
            kind
            if isinstance(kind.adc.card, str)
            else kind.model_copy(update={"adc": kind.adc.model_copy(update={"card": name})})
            for kind in self.chip.tiles
            if isinstance(kind.adc.card, str) or name == self.converter(kind).name
        )
        tiles = tiles or self.chip.tiles
        return self.chip.model_copy(
            update={"tiles": tiles, "cards": {**self.chip.cards, name: card.model_copy(update=update)}}
        )


@pytest.fixture(scope="module", params=CHIPS)
def work(request: pytest.FixtureRequest) -> Work:
    return Work(CHIPS[request.param](), times=3)


class TestEveryRow:
    """What is said of an assumption is what the work takes on a chip that differs in this number alone."""

    def test_says_what_the_work_takes_with_the_number_at_both_ends(self, work: Work) -> None:
        numbers = {field: (card, number) for field, card, number, _ in work.assumed()}
        rows, _ = work.sensitivity.rows(1000)
        for row in rows:
            if row["field"] in numbers:
                for end in ("low", "high"):
                    chip = work.with_number(*numbers[row["field"]], row[end])
                    assert row[f"{end}_J"] == pytest.approx(work.anew(chip), rel=1e-7, abs=0), (row["field"], end)
        fields = [row["field"] for row in rows]
        assert len(set(fields)) == len(fields)
        assert set(fields) - set(numbers) <= {"chip.gating", "chip.leakage"}

    def test_none_is_left_out_but_those_that_change_nothing(self, work: Work) -> None:
        rows, tried = work.sensitivity.rows(1000)
        shown = {row["field"] for row in rows}
        chosen = [name for name in ("gating", "leakage") if "assum" in work.chip.sources.get(name, "").lower()]
        numbers = list(work.assumed())
        assert tried == len(numbers) + len(chosen)
        total = work.sensitivity.total(work.chip)
        assert total == pytest.approx(work.anew(work.chip), rel=1e-9, abs=0)
        for field, name, number, value in numbers:
            if field not in shown:
                card, last = work.cards()[name], number.split(".")[-1]
                for end in card.range(last) if last in card.ranges else (value / 2, value * 2):
                    assert work.anew(work.with_number(name, number, end)) == pytest.approx(total, rel=1e-7, abs=0), (
                        field
                    )

    def test_of_a_choice_names_the_best_and_the_worst_of_all_words(self, work: Work) -> None:
        rows = {row["field"]: row for row in work.sensitivity.rows(1000)[0]}
        for name, words in (("gating", ("none", "idle", "tile")), ("leakage", ("as-published", "low-standby"))):
            if f"chip.{name}" in rows:
                row = rows[f"chip.{name}"]
                totals = {word: work.anew(work.chip.model_copy(update={name: word})) for word in words}
                assert row["low_J"] == pytest.approx(min(totals.values()), rel=1e-7, abs=0)
                assert row["high_J"] == pytest.approx(max(totals.values()), rel=1e-7, abs=0)
                assert totals[row["low"]] == pytest.approx(row["low_J"]) and row["value"] == getattr(work.chip, name)
                assert totals[row["high"]] == pytest.approx(row["high_J"]) and row["unit"] == ""

    def test_comes_in_the_order_of_how_much_it_changes(self, work: Work) -> None:
        total, (rows, tried) = work.sensitivity.total(work.chip), work.sensitivity.rows(1000)
        swings = [max(abs(row["low_J"] - total), abs(row["high_J"] - total)) for row in rows]
        assert all(one >= two for one, two in pairwise(swings)) and all(swing > 0 for swing in swings)
        for most in (0, 1, 3):
            assert work.sensitivity.rows(most) == (rows[:most], tried)


def test_what_is_too_long_to_be_timed_again_keeps_its_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpusim.arch.account.sensitivity.MOST_ROWS", 1)
    work = Work(Chip.load("rpu-2016"))
    awake = work.chip.model_copy(update={"gating": "none"})
    as_timed = Pricer(other(work.plan, awake))(work.events, work.activity).total_zj * 1e-21
    assert not work.sensitivity.times_again
    assert work.sensitivity.total(awake) == pytest.approx(as_timed, rel=1e-9, abs=0)
    assert as_timed > 1.01 * work.anew(awake)  # it draws for longer than it would take


def test_what_rests_now_and_did_not_before_is_drawn_for_all_of_the_work() -> None:
    """The events are one of three pieces; converters that are gated and wake at once draw nothing at rest."""
    chip = Chip.load(ODD)
    asleep = chip.cards["converter"].model_copy(update={"idle": 1e-6, "wake": 1e-13})  # less than a picosecond
    chip = chip.model_copy(update={"gating": "idle", "cards": {**chip.cards, "converter": asleep}})
    three = Work(chip, times=3)
    assert ("ADC", "idle", "chip") not in three.sensitivity._ledger.energy
    awake = chip.model_copy(update={"gating": "none"})
    assert three.sensitivity.total(awake) == pytest.approx(three.anew(awake), rel=1e-9, abs=0)
