"""What counts as stale at equal times, in both orders, and whose writing counts at all."""

from __future__ import annotations

import pytest
from generated import EventLog, chain

from rpusim.arch.analysis.staleness import Staleness, staleness
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan


def found(*samples: tuple[int, int, int], cell: CellLayout = SINGLE, station: int = 0, op: Op = Op.PULSE) -> Staleness:
    """Of samples that go forward at one time, begin their update at another and have written at a third one.

    station: which array of the cell is written.
    """
    plan, log = make_plan(place(chain(4, 3), Chip.load("rpu-2016"), cell=cell)), EventLog()
    arrays = [array.array for array in plan.layers[0].blocks[0].arrays]
    number = len(samples)
    phases = [Phase.FORWARD] * number + [Phase.UPDATE] * number
    activity = Activity.rows(phase=phases, vector=[*range(number)] * 2)
    for sample, (went, learned, wrote) in enumerate(samples):
        log.append((Op.DRIVE, arrays[0], sample, 0, 0, Phase.FORWARD, sample, went, went + 1, 1))
        log.append((op, arrays[station], number + sample, 0, 0, Phase.UPDATE, sample, learned, wrote, 1))
    return staleness(plan, activity, log.take())


@pytest.mark.parametrize(("went", "stale"), [(49, 1), (50, 0), (51, 0)])
def test_what_is_written_as_a_sample_goes_forward_is_known_to_it(went: int, stale: int) -> None:
    """The first sample has written at 50, the second goes forward then and learns much later."""
    assert found((0, 40, 50), (went, 90, 99)).largest == stale


@pytest.mark.parametrize(("learned", "stale"), [(49, 0), (50, 1), (51, 1)])
def test_what_is_written_as_a_sample_comes_back_is_not(learned: int, stale: int) -> None:
    """The first sample has written at 50, the second went forward before that and learns then."""
    assert found((0, 40, 50), (10, learned, 99)).largest == stale


def test_samples_that_write_at_the_same_time_do_not_make_each_other_stale() -> None:
    assert found((0, 40, 50), (0, 40, 50)) == Staleness(0.0, 0)


def test_the_mean_is_over_all_samples() -> None:
    assert found((0, 20, 25), (0, 30, 35), (0, 40, 45), (0, 50, 55)) == Staleness(1.5, 3)


def test_writing_that_nobody_reads_makes_nothing_stale() -> None:
    hidden = CellLayout("transfer", 2, visible=(0,), targets=((1,), ()))
    assert found((0, 40, 50), (10, 60, 99), cell=hidden).largest == 1
    assert found((0, 40, 50), (10, 60, 99), cell=hidden, station=1).largest == 0


def test_rows_that_are_programmed_count_like_pulses_and_fetches_do_not() -> None:
    collected = CellLayout("mixed-precision", learning=(), slices="all", words=1)
    assert found((0, 40, 50), (10, 60, 99), cell=collected, op=Op.WRITE).largest == 1
    assert found((0, 40, 50), (10, 60, 99), cell=collected, op=Op.FETCH).largest == 0


def test_without_training_there_is_none() -> None:
    plan, log = make_plan(place(chain(4, 3), Chip.load("rpu-2016"))), EventLog()
    log.append((Op.DRIVE, plan.layers[0].blocks[0].arrays[0].array, 0, 0, 0, Phase.FORWARD, 0, 0, 1, 1))
    assert staleness(plan, Activity.rows(phase=Phase.FORWARD, passes=1), log.take()) == Staleness(0.0, 0)
