"""Columns of activity keep their rows in order, whole and of one type."""

from __future__ import annotations

import numpy as np
import pytest

from rpusim.arch.contract.activity import COLUMNS, EMPTY, Activity, ActivityLog, Phase


def test_mini_batches_are_numbered_from_0_without_gaps_in_any_order_of_rows() -> None:
    assert Activity.rows(step=[7, 7, 9, 12]).mini_batch.tolist() == [0, 0, 1, 2]
    assert Activity.rows(step=[12, 7, 9, 7]).mini_batch.tolist() == [2, 0, 1, 0]
    assert EMPTY.mini_batch.tolist() == []


def test_numbers_stand_for_every_row_and_columns_left_out_for_nothing() -> None:
    rows = Activity.rows(layer=3, vector=[0, 1, 2])
    assert len(rows) == 3
    assert (rows.layer == 3).all() and (rows.count == 1).all() and not rows.passes.any()
    for name, kind in COLUMNS.items():
        assert getattr(rows, name).dtype == kind, name


def test_a_column_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="no such Activity column"):
        Activity.rows(vectors=1)


def test_parts_are_joined_in_order_and_one_alone_is_not_copied() -> None:
    first, second = Activity.rows(vector=[4, 5]), Activity.rows(vector=[1])
    assert Activity.concatenate([first, EMPTY, second]).vector.tolist() == [4, 5, 1]
    assert Activity.concatenate([EMPTY, second]) is second
    assert Activity.concatenate([]) is EMPTY


@pytest.mark.parametrize(
    ("phase", "trains"),
    [
        (Phase.FORWARD, False),
        (Phase.BACKWARD, True),
        (Phase.UPDATE, True),
        (Phase.TRANSFER, False),
        (Phase.MAINTENANCE, False),
    ],
)
def test_what_goes_back_or_learns_is_training(phase: Phase, trains: bool) -> None:
    assert Activity.rows(phase=[Phase.FORWARD, phase]).trains == trains


def test_a_log_numbers_the_steps_and_is_empty_once_its_rows_are_taken() -> None:
    log = ActivityLog()
    log.append(2, layer=1, vector=np.array([0, 1]))
    log.step = 5
    log.append(1, layer=2, count=3)
    assert len(log) == 3
    rows = log.take()
    assert (rows.step.tolist(), rows.layer.tolist(), rows.count.tolist()) == ([0, 0, 5], [1, 1, 2], [1, 1, 3])
    assert len(log) == 0 and len(log.take()) == 0
