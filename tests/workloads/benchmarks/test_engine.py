"""Rates of the engines: what is compared is the same work, done to the same tick."""

from __future__ import annotations

import numpy as np
import pytest

from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.workloads.benchmarks import engine


@pytest.mark.parametrize("case", engine.CASES[:3], ids=str)
def test_both_engines_do_the_same_work(case: engine.Case) -> None:
    placement = case.placement()
    plan, activity = make_plan(placement), case.work(placement, 2)
    fast, definition = (run(plan, activity, case.schedule, engine) for engine in ("compiled", "simpy"))
    assert len(fast) and np.array_equal(fast.end, definition.end)


def test_generated_cases_are_many_kinds_on_which_both_engines_agree() -> None:
    assert all(engine.both_agree(number) for number in range(10))
