"""Places on shared arrays: no cell twice, none outside, nothing taken where there is no room."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.mapping.fit.arrays import Arrays

sizes = st.lists(st.tuples(st.integers(1, 16), st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=12)


@given(wanted=sizes)
@settings(max_examples=200)
def test_no_two_blocks_have_a_cell_in_common_and_none_leaves_its_array(wanted: list[tuple[int, int, int]]) -> None:
    arrays, cells = Arrays(16, 12, 100), np.zeros((100, 16, 12), int)
    for rows, columns, number in wanted:
        for array, row, column in arrays.shared(rows, columns, number) or ():
            part = cells[array, row : row + rows, column : column + columns]
            assert part.shape == (rows, columns)
            part += 1
    assert cells.max() == 1
    assert np.flatnonzero(cells.any(axis=(1, 2))).tolist() == list(range(arrays.taken))


@given(wanted=sizes)
@settings(max_examples=100)
def test_cells_that_are_free_are_those_that_nobody_has(wanted: list[tuple[int, int, int]]) -> None:
    arrays = Arrays(16, 12, 100)
    held = sum(rows * columns * len(arrays.shared(rows, columns, number) or ()) for rows, columns, number in wanted)
    assert held + int((arrays._free[:, 3] * arrays._free[:, 4]).sum()) == arrays.taken * 16 * 12


def test_where_there_is_no_room_nothing_is_taken() -> None:
    arrays = Arrays(4, 4, 2)
    assert arrays.shared(4, 3, 1) == [(0, 0, 0)]
    before = arrays.taken, arrays._free.tolist()
    assert arrays.shared(3, 3, 2) is None
    assert (arrays.taken, arrays._free.tolist()) == before
    assert arrays.shared(4, 1, 1) == [(0, 0, 3)]


def test_a_rectangle_is_filled_side_by_side_before_another_array_is_opened() -> None:
    arrays = Arrays(4, 4, 5)
    assert arrays.shared(2, 2, 5) == [(0, 0, 0), (0, 0, 2), (0, 2, 0), (0, 2, 2), (1, 0, 0)]


def test_arrays_of_ones_own_are_not_shared() -> None:
    arrays = Arrays(4, 4, 3)
    assert arrays.alone(1) == [(0, 0, 0)]
    assert arrays.shared(1, 1, 1) == [(1, 0, 0)]
    assert arrays.shared(1, 1, 1, never=[1]) == [(2, 0, 0)]
    assert arrays.alone(1) is None
