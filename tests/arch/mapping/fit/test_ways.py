"""Placing in each way: the same blocks, on arrays of their own, on shared ones, or on a chip that has grown."""

from __future__ import annotations

import numpy as np
import pytest
from generated import changed, chips, networks
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer, Window
from rpusim.errors import InputError


def depthwise(channels: int, groups: int, bias: bool = False) -> Network:
    window = Window((3, 3), padding=(1, 1))
    layer = WeightLayer.convolution("conv", (channels, 4, 4), channels, window, bias=bias, groups=groups)
    return connect("depthwise", (channels, 4, 4), [(layer, ("input",))])


def few(chip: Chip, tiles: int) -> Chip:
    return chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": tiles}), *chip.tiles[1:])})


@given(network=networks, chip=chips)
@settings(max_examples=60, deadline=None)
def test_packed_blocks_are_those_of_unpacked_ones_and_lie_apart(network: Network, chip: Chip) -> None:
    alone, packed = place(network, chip), place(network, chip, fit="pack")
    assert packed.arrays_used <= alone.arrays_used and packed.utilisation >= alone.utilisation
    array, held = chip.tiles[0].array, dict[tuple[int, int], NDArray[np.int64]]()
    for one, other in zip(alone.holders, packed.holders, strict=True):
        if other.joined == 1:
            assert (one.row_splits, one.column_splits) == (other.row_splits, other.column_splits)
        for block in other.blocks:
            (row, column), (rows, columns) = block.corner, block.lines
            cells = held.setdefault(block.slots[0], np.zeros((array.weight_rows, array.columns), np.int64))
            cells[row : row + rows, column : column + columns] += 1
    assert all(cells.max() == 1 for cells in held.values())
    if all(placed.joined == 1 for placed in packed.layers):
        used = sum(int(cells.sum()) for cells in held.values()) / (len(held) * array.weight_rows * array.columns)
        assert packed.utilisation == pytest.approx(used)


def test_a_depthwise_convolution_is_a_diagonal_and_each_block_reads_its_own_columns() -> None:
    chip = Chip.load("reram-512")
    placed = place(depthwise(96, 96), chip, fit="pack").layers[0]
    # 512 columns hold 56 channels of 9; 48 is the largest divisor of 96 that fits
    assert placed.joined == 48 and placed.row_splits == (48, 48) and placed.column_splits == (48 * 9,)
    assert [block.weights for block in placed.blocks] == [48 * 9] * 2
    assert place(depthwise(96, 96), chip, fit="grow").arrays_used == 96


def test_what_joins_nothing_packs_group_by_group() -> None:
    """A unit cell of two arrays transfers line by line, which groups on a diagonal could not do together."""
    cell = CellLayout("transfer", arrays=2, visible=(1,), targets=((1,), ()))
    placement = place(depthwise(8, 8), Chip.load("reram-512"), cell=cell, fit="pack")
    assert placement.layers[0].joined == 1 and len(placement.layers[0].blocks) == 8
    assert placement.arrays_used == 2  # of one bundle, which all eight share


def test_groups_of_a_number_without_divisors_share_arrays_one_by_one() -> None:
    placement = place(depthwise(97, 97), Chip.load("reram-512"), fit="pack")
    assert placement.layers[0].joined == 1 and placement.arrays_used == 1


def test_a_layer_may_have_a_way_of_its_own() -> None:
    layers = [WeightLayer.linear(f"layer{i}", (40,), 40, bias=False) for i in range(3)]
    network = connect("three", (40,), [(layers[0], ("input",)), (layers[1], ("layer0",)), (layers[2], ("layer1",))])
    chip = Chip.load("reram-512")
    assert place(network, chip, fit="pack").arrays_used == 1
    assert place(network, chip, fit="pack,layer1=as-is").arrays_used == 2
    assert place(network, chip, fit="layer0=pack,layer2=pack").arrays_used == 2
    with pytest.raises(InputError, match=r"mapping.fit: 'layer9' is not a layer of three"):
        place(network, chip, fit="pack,layer9=as-is")


def test_replicas_do_not_share_arrays_with_each_other() -> None:
    placement = place(depthwise(16, 16), Chip.load("reram-512"), replicas={"conv": 3}, fit="pack")
    assert placement.arrays_used == 3
    assert len({block.slots for block in placement.layers[0].blocks}) == 3


def test_grown_chips_have_the_tiles_that_it_takes_and_their_area() -> None:
    chip = Chip.load("reram-512")
    network = connect("one", (512,), [(WeightLayer.linear("fc", (512,), 40_000), ("input",))])
    grown = place(network, chip, fit="grow").chip
    assert grown.tile_count == 158 and grown.name == "reram-512 grown to 158 tiles"  # 79 x 2 blocks
    assert grown.mesh.columns == 13  # no higher than wide
    areas = [bill_of_parts(each).area_m2 for each in (chip, grown)]
    assert areas[1] / areas[0] == pytest.approx(158 / 64, rel=0.05)
    small = place(connect("s", (8,), [(WeightLayer.linear("fc", (8,), 8), ("input",))]), chip, fit="grow")
    assert small.chip is chip


def test_the_refusal_says_what_is_needed_and_left_and_what_would_help() -> None:
    chip = few(Chip.load("reram-512"), 2)
    layers = [WeightLayer.linear(f"layer{i}", (40,), 40, bias=False) for i in range(3)]
    network = connect("three", (40,), [(layers[0], ("input",)), (layers[1], ("layer0",)), (layers[2], ("layer1",))])
    with pytest.raises(InputError) as found:
        place(network, chip)
    assert str(found.value) == (
        "chip reram-512: layer 'layer2' (40 x 40) needs 1 array of 'reram' (512 x 512 weights), but 0 of 2 are left; "
        "accepted: --fit pack (1 array), grow (3 tiles in place of 2) or reload (inference), a chip with more tiles or "
        "a smaller network"
    )
    wide = connect("wide", (512,), [(WeightLayer.linear("fc", (512,), 5_000), ("input",))])
    with pytest.raises(
        InputError, match=r"needs 20 arrays of 'reram'.*2 of 2 are left; accepted: --fit grow \(20 tiles"
    ):
        place(wide, chip, fit="pack")


@given(chip=chips, groups=st.integers(1, 12), bias=st.booleans())
@settings(max_examples=40, deadline=None)
def test_groups_that_are_joined_hold_every_weight_once(chip: Chip, groups: int, bias: bool) -> None:
    placement = place(depthwise(2 * groups, groups, bias), changed(chip), fit="pack")
    placed = placement.layers[0]
    assert sum(block.weights for block in placed.blocks) == placement.network.weights
    assert placed.parts == placed.grid * placed.joined


@given(
    network=networks,
    chip=chips,
    way=st.sampled_from(["as-is", "pack", "grow"]),
    cut=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(max_examples=60, deadline=None)
def test_blocks_of_a_cut_are_no_larger_and_hold_every_weight_once(
    network: Network, chip: Chip, way: str, cut: tuple[int, int]
) -> None:
    first = network.layers[0].name
    fit = {"way": way, "cuts": {first: cut}}
    assume(cut[1] > 1 or all(len(network.uses(index)) == 1 for index in range(len(network.layers))))  # refused
    try:
        placed = place(network, chip, fit=fit).holders[0].on_arrays
    except InputError:  # too few arrays for so many blocks
        placed = place(network, chip, fit={**fit, "way": "grow"}).holders[0].on_arrays
    assert max(placed.row_splits) <= cut[0] or placed.joined > 1
    assert max(placed.column_splits) <= cut[1]
    layer = network.layers[0]
    whole = place(network, chip, fit="grow").holders[0].on_arrays
    assert sum(placed.row_splits) == sum(whole.row_splits)
    assert sum(placed.column_splits) * layer.groups // placed.layer.groups // placed.joined == sum(whole.column_splits)


def test_layers_lie_on_the_kinds_that_are_named_and_on_the_best_one_otherwise() -> None:
    chip = Chip.load("rpu-2017-bimodal")
    line = WeightLayer.linear
    network = connect("two", (100,), [(line("a", (100,), 50), ("input",)), (line("b", (50,), 40), ("a",))])
    kinds = lambda fit: [chip.tiles[placed.blocks[0].kind].name for placed in place(network, chip, fit=fit).layers]  # noqa: E731
    assert kinds("as-is") == ["small", "small"]
    assert kinds("as-is,a on large") == ["large", "small"]
    assert kinds("pack,a on large,b on large") == ["large", "large"]
    with pytest.raises(InputError, match=r"mapping.fit: got layer 'a' on 'larg', which is no kind of tile of chip rpu"):
        place(network, chip, fit="a on larg")
    with pytest.raises(InputError, match=r"mapping.fit: 'c' is not a layer of two"):
        place(network, chip, fit="c cut 5x5")


def test_a_cut_that_does_not_fit_says_how_many_arrays_it_takes() -> None:
    network = connect("one", (100,), [(WeightLayer.linear("a", (100,), 50, bias=False), ("input",))])
    with pytest.raises(
        InputError, match=r"layer 'a' .* needs 50 arrays of 'reram'.*pack \(1 array\), grow \(50 .*\) or reload"
    ):
        place(network, few(Chip.load("reram-512"), 4), fit="a cut 10x10")
