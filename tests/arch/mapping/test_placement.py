"""Placement: everything lies somewhere once, blocks are balanced, and published arrays come out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.grids import balanced
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.errors import InputError


def layer(rows: int, columns: int, bias: bool = True):  # type: ignore[no-untyped-def]
    return connect("one", (columns,), [(WeightLayer.linear("fc", (columns,), rows, bias=bias), ("input",))])


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_balanced_split_has_the_fewest_parts_and_sizes_within_one(length: int, largest: int) -> None:
    parts = balanced(length, largest)
    assert sum(parts) == length
    assert len(parts) == -(-length // largest)
    assert max(parts) <= largest
    assert max(parts) - min(parts) <= 1


@given(rows=st.integers(1, 1500), columns=st.integers(1, 1500), bias=st.sampled_from(["column", "digital"]))
def test_every_weight_lies_on_exactly_one_array(rows: int, columns: int, bias: str) -> None:
    placement = place(layer(rows, columns), Chip.load("reram-512"), bias)
    held = np.zeros((rows, columns + (bias == "column")), int)
    for block in placement.blocks():
        held[block.row_start : block.row_stop, block.column_start : block.column_stop] += 1
        assert block.rows <= 512 and block.columns <= 512
    assert np.all(held == 1)
    assert len({(b.chip_tile, b.array) for b in placement.blocks()}) == placement.arrays_used


def test_utilisation_is_weights_over_cross_points_of_the_arrays_used() -> None:
    placement = place(layer(256, 784), Chip.load("reram-512"))
    assert [placed.column_splits for placed in placement.layers] == [(393, 392)]
    assert placement.utilisation == 256 * 785 / (2 * 512 * 512)


def test_sliced_weights_take_as_many_rows() -> None:
    placement = place(layer(128, 127), Chip.load("isaac-2016"))
    assert placement.layers[0].row_splits == (16,) * 8
    assert placement.utilisation == 1.0
    assert placement.tiles_used == 1


def test_the_bimodal_chip_puts_small_matrices_on_its_fast_arrays() -> None:
    """Gokmen, Onen & Haensch 2017: K1 of AlexNet (96 x 363) on 512 x 512 at 10 ns, K2 (256 x 2400) on 4096 x 4096."""
    chip = Chip.load("rpu-2017-bimodal")
    kinds = [chip.tiles[place(layer(*shape), chip).layers[0].blocks[0].kind].name for shape in ((96, 363), (256, 2400))]
    assert kinds == ["small", "large"]


def test_a_network_too_large_for_the_chip_is_refused() -> None:
    with pytest.raises(InputError, match=r"layer 'fc' \(40000 x 513\) needs 158 arrays of .*, but 64 of 64 are left"):
        place(layer(40_000, 512), Chip.load("reram-512"))
