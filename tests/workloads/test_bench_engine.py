"""Rates of the engines: what is compared is the same work, done to the same tick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rpusim.arch.schedule import run
from rpusim.workloads import bench_engine


@pytest.mark.parametrize("case", bench_engine.CASES[:3], ids=str)
def test_both_engines_do_the_same_work(case: bench_engine.Case) -> None:
    plan, activity = replace(case, samples=2).work(2)
    fast, definition = (run(plan, activity, case.schedule, engine) for engine in ("fast", "simpy"))
    assert len(fast) and np.array_equal(fast.end, definition.end)


def test_one_pool_of_converters_is_shared_by_all_layers() -> None:
    plan, _ = bench_engine.CASES[1].work(1)
    assert len({array.row_adcs for layer in plan.layers for block in layer.blocks for array in block.arrays}) == 1
