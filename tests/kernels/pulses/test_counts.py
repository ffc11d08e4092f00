"""One record from the compiled loops to the activity log: the same names, the same order, nothing lost."""

import numpy as np
import pytest
import torch

from rpusim.arch.contract.activity import COLUMNS, WORK_COLUMNS, ActivityLog, Phase
from rpusim.kernels import AnalogConfig, AnalogTile, ConstantStep
from rpusim.kernels.cells.base import Extra
from rpusim.kernels.pulses import counts
from rpusim.kernels.pulses.counts import PULSE_COLUMNS, UpdateCounts


def test_counts_have_the_names_that_the_activity_log_has_for_pulses():
    """Of its columns an update fills these; where and when it was, and what else was done, others say."""
    where = {"step", "layer", "tile", "phase", "array", "vector"}
    elsewhere = {*where, "set_bits", "passes", "writes", *WORK_COLUMNS, "count"}
    assert set(PULSE_COLUMNS) == set(COLUMNS) - elsewhere
    assert set(UpdateCounts._fields) - set(PULSE_COLUMNS) == {"merged", "fallbacks"}
    assert set(PULSE_COLUMNS) <= set(Extra.COLUMNS) <= set(COLUMNS)


@pytest.mark.parametrize("name", UpdateCounts._fields)
def test_compiled_loops_write_a_count_where_it_is_read(name):
    table = UpdateCounts.table(3)
    table[getattr(counts, name.upper()), 1] = 7
    assert getattr(UpdateCounts.of(table), name).tolist() == [0, 7, 0]
    assert sum(column.sum() for column in UpdateCounts.of(table)) == 7


@pytest.mark.parametrize("path", ["numba", "torch"])
def test_what_an_update_counts_stands_in_the_log_under_its_name(path):
    """x has 2 columns of 3, d 1 row of 2, and every line fires in every slot: BL 5 gives 5 down and 5 up pulses."""
    device = ConstantStep(dw_min=0.001, dw_min_dtod=0.0, up_down_dtod=0.0)
    log = ActivityLog()
    tile = AnalogTile(2, 3, AnalogConfig(device=device), path=path, log=log)
    tile.update(torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[0.0, 1.0]]), 0.005)
    row = log.take()
    expected = {
        "slots": 5,
        "coincidences_up": 5,
        "coincidences_down": 5,
        "active_rows": 1,
        "active_columns": 2,
        "row_pulses": 5,
        "column_pulses": 10,
    }
    assert set(expected) == set(PULSE_COLUMNS) and row.phase.tolist() == [Phase.UPDATE]
    assert {name: int(getattr(row, name)[0]) for name in expected} == expected
    assert all(getattr(row, name).dtype == np.dtype(COLUMNS[name]) for name in PULSE_COLUMNS)
