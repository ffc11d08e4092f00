"""Noise of writing: only what has moved is drawn anew, cell by cell, on both paths alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.kernels.base import rng
from rpusim.kernels.pulses.write_noise import Before, redraw


@pytest.mark.parametrize("path", ["numba", "torch"])
@given(seed=st.integers(0, 99), rows=st.integers(1, 4), columns=st.integers(1, 5), step=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_cells_that_moved_are_what_they_persist_as_and_noise_of_their_own(
    path: str, seed: int, rows: int, columns: int, step: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    persistent = torch.randn(rows, columns, generator=generator)
    apparent, before = torch.zeros(rows, columns), Before(persistent)
    before.keep(persistent)
    moved = torch.rand(rows, columns, generator=generator) < 0.3
    persistent += 0.5 * moved
    redraw(apparent, persistent, before, 0.25, 77, step, path)
    noise = rng.normal_matrix(77, step, rows, columns, persistent.device)
    expected = torch.where(moved, persistent + noise * 0.25, torch.zeros(()))
    assert torch.equal(apparent, expected)


@pytest.mark.parametrize("path", ["numba", "torch"])
def test_all_cells_are_drawn_anew_where_nothing_is_known_of_them(path: str) -> None:
    persistent = torch.linspace(-1, 1, 12).reshape(3, 4)
    apparent = torch.zeros(3, 4)
    redraw(apparent, persistent, None, 0.5, 5, 2, path)
    assert torch.equal(apparent, persistent + rng.normal_matrix(5, 2, 3, 4, persistent.device) * 0.5)


def test_rows_that_were_not_pulsed_keep_what_they_appear_as() -> None:
    """Whatever is remembered of them."""
    persistent, apparent = torch.ones(3, 4), torch.full((3, 4), 7.0)
    before = Before(persistent)
    before.keep(torch.zeros(3, 4))
    before.rows[:] = np.array([False, True, False])
    redraw(apparent, persistent, before, 0.5, 5, 2, "numba")
    assert (apparent[[0, 2]] == 7.0).all() and (apparent[1] != 7.0).all()


def test_nothing_of_a_new_array_is_known() -> None:
    before = Before(torch.ones(3, 4))
    assert before.rows.tolist() == [False] * 3 and before.weights.shape == (3, 4)
    before.keep(torch.full((3, 4), 2.0))
    assert before.rows.tolist() == [True] * 3 and (before.weights == 2.0).all()
