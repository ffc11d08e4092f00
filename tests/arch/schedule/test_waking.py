"""Parts that are stopped while they wait are woken ahead; what that takes beyond the way of an operand delays it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generated import CELLS, chain, changed, works
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.engine.program import Do
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, compiled, run, times
from rpusim.arch.schedule.waking import Waking
from rpusim.errors import InputError


def planned(columns: int, waking: Waking, layers: int = 1) -> Plan:
    """Layers of 64 outputs on reram-512, with wake times as given."""
    return waking_in(make_plan(place(chain(columns, *[64] * layers), changed(Chip.load("reram-512")))), waking)


def waking_in(plan: Plan, waking: Waking) -> Plan:
    """The same plan with other wake times."""
    found = replace(plan)
    found.__dict__["waking"] = (waking,) * len(plan.placement.chip.tiles)  # in place of what its cards say
    return found


def begins(plan: Plan, op: Op, part: str, samples: int = 1, schedule: Schedule = "sequential") -> list[int]:
    """When operations of a kind of unit begin."""
    events = run(plan, assumed_activity(plan.placement, samples, False), schedule)
    chosen = (events.op == op) & (np.array(plan.station_parts) == part)[events.station]
    return sorted(events.start[chosen].tolist())


class TestAhead:
    @pytest.mark.parametrize("wake", [0, 1, 5_000, 7_999, 8_001, 50_000])
    def test_an_array_is_driven_when_its_operand_is_there_and_it_is_awake(self, wake: int) -> None:
        plan = planned(64, Waking(read=wake))
        fetched = begins(planned(64, Waking()), Op.DRIVE, "array")[0]
        assert begins(plan, Op.DRIVE, "array") == [max(fetched, wake)]

    @pytest.mark.parametrize("wake", [0, 20_000, 40_000, 90_000])
    def test_a_converter_wakes_while_lines_are_driven(self, wake: int) -> None:
        """So it delays the array only by what it takes beyond fetch and integration: both then begin together."""
        free, plan = planned(64, Waking()), planned(64, Waking(convert=wake))
        lead = plan.layers[0].blocks[0].forward.lead_ps
        assert begins(plan, Op.CONVERT, "ADC") == [max(begins(free, Op.DRIVE, "array")[0] + lead, wake)]
        assert begins(plan, Op.DRIVE, "array") == [max(begins(free, Op.DRIVE, "array")[0], wake - lead)]

    def test_what_waits_behind_others_is_awake_when_its_turn_comes(self) -> None:
        """Only the first vector is late: the others' arrays wake while the one before is driven."""
        free, plan = planned(64, Waking()), planned(64, Waking(read=30_000))
        before, after = (begins(each, Op.DRIVE, "array", 5, "layer-pipelined") for each in (free, plan))
        assert set(np.subtract(after, before)) == {30_000 - before[0]}

    def test_each_layer_of_a_chain_adds_what_its_own_fetch_does_not_hide(self) -> None:
        free, plan = planned(64, Waking(), 3), planned(64, Waking(read=30_000), 3)
        work = assumed_activity(free.placement, 1, False)
        hidden = begins(free, Op.DRIVE, "array")[0]
        late = run(plan, work, "sequential").makespan_ps - run(free, work, "sequential").makespan_ps
        assert late == 3 * (30_000 - hidden)

    def test_pulses_wait_for_the_drivers(self) -> None:
        activity = Activity.rows(phase=Phase.UPDATE, slots=3)
        for wake in (0, 1_000, 100_000):
            events = run(planned(64, Waking(pulse=wake)), activity, "sequential")
            fetched = (events.op == Op.FETCH) & (events.phase == Phase.UPDATE)
            turn, loaded = events.start[fetched].min(), events.end[fetched].max()
            assert events.start[events.op == Op.PULSE].min() == max(loaded, turn + wake)


class TestOfAChip:
    def test_without_gating_nothing_waits_to_wake(self) -> None:
        chip = changed(Chip.load("reram-512"))
        for gating, waits in (("none", False), ("idle", True), ("tile", True)):
            plan = make_plan(place(chain(9, 8, 7), chip.model_copy(update={"gating": gating})))
            program = compiled(plan, assumed_activity(plan.placement, 2, True), "sequential")
            assert bool((program.code[:, 0] == Do.UNTIL).any()) == waits
            assert (plan.waking[0] == Waking()) != waits

    def test_with_idle_parts_wake_for_themselves_and_with_tile_all_together(self) -> None:
        """On rpu-2016 converters, sample-and-holds and input drivers wake in 10 ns; the others stop their clocks."""
        chip = Chip.load("rpu-2016")
        idle, tile = (
            make_plan(place(chain(8, 8), chip.model_copy(update={"gating": gating}))).waking[0]
            for gating in ("idle", "tile")
        )
        assert idle == Waking(read=10_000, convert=10_000, pulse=0, digital=0)
        assert tile == Waking(read=10_000, convert=10_000, pulse=10_000, digital=10_000)


lines = st.lists(st.integers(1, 8), min_size=2, max_size=4).map(lambda sizes: chain(*sizes))
in_line = works(lines, most=1).filter(lambda work: work[2] == "sequential" and not work[1].trains)
"""One sample after the other through layers on one array each: no unit has a choice of requests."""
wakes = st.tuples(*[st.integers(0, 60_000)] * 4)
drawn = settings(max_examples=100, deadline=None, phases=(Stage.explicit, Stage.reuse, Stage.generate))


class TestLaws:
    @given(work=in_line, first=wakes, more=wakes)
    @drawn
    def test_more_wake_time_is_never_faster(
        self, work: tuple[Plan, Activity, Schedule], first: tuple[int, ...], more: tuple[int, ...]
    ) -> None:
        """Where no unit chooses between requests: elsewhere a delay may let another one pass first, as in any queue."""
        plan, activity, schedule = work
        short, long = Waking(*first), Waking(*(a + b for a, b in zip(first, more, strict=True)))
        try:
            spans = [run(waking_in(plan, each), activity, schedule).makespan_ps for each in (Waking(), short, long)]
        except InputError as error:
            assert "larger buffers are needed" in str(error)
            return
        assert spans == sorted(spans)

    @given(work=works(cells=CELLS), wake=wakes)
    @drawn
    def test_both_engines_wake_parts_at_the_same_ticks(
        self, work: tuple[Plan, Activity, Schedule], wake: tuple[int, ...]
    ) -> None:
        plan, activity, schedule = work
        program = compiled(waking_in(plan, Waking(*wake)), activity, schedule)
        try:
            (start, end), (other_start, other_end) = (times(plan, program, each) for each in ("compiled", "simpy"))
        except InputError as error:
            assert "larger buffers are needed" in str(error)
            return
        assert np.array_equal(start, other_start) and np.array_equal(end, other_end)
