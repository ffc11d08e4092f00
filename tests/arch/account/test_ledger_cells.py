"""Prices of unit cells: slices that are read, arrays that share their trains."""

from __future__ import annotations

from typing import Any

import pytest

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run


def priced(cell: CellLayout, **row: int) -> Ledger:
    """One row of a 32 x 64 matrix on the resistive chip, and before a transfer the update that made it due."""
    network = connect("one", (64,), [(WeightLayer.linear("fc", (64,), 32, bias=False), ("input",))])
    plan = make_plan(place(network, Chip.load("reram-512"), cell=cell))
    update = [] if row["phase"] == Phase.UPDATE else [Activity.rows(phase=Phase.UPDATE)]
    activity = Activity.concatenate([*update, Activity.rows(**row)])
    return Pricer(plan)(run(plan, activity, "sequential"), activity)


@pytest.mark.parametrize(("slices", "driven"), [("column", 1), ("row", 1), ("all", 64)])
def test_a_transfer_drives_the_lines_of_its_slice_whether_or_not_it_writes(slices: Any, driven: int) -> None:
    cell = CellLayout("transfer", 2, visible=(1,), targets=((1,), (1,)), slices=slices)
    ledger = priced(cell, phase=Phase.TRANSFER, passes=1)
    drive = bill_of_parts(Chip.load("reram-512")).tiles[0]["input drivers"].actions["drive"].energy_zj
    assert ledger.energy["input drivers", "transfer", "fc"] == driven * drive
    assert ledger.energy["array", "transfer", "fc"] > 0


def test_arrays_that_take_the_same_trains_share_their_coincidences() -> None:
    """All that a second array adds is its own lines and cells at half voltage; no coincidence counts twice."""
    row = {"phase": Phase.UPDATE, "slots": 31, "row_pulses": 200, "column_pulses": 300}
    one, two = CellLayout(), CellLayout("vector", 2, visible=(0, 1), learning=(0, 1), targets=((0,), (1,)))
    more = []
    for met in (0, 500):
        first, second = (priced(cell, **row, coincidences_up=met).energy for cell in (one, two))
        more.append(second["array", "update", "fc"] - first["array", "update", "fc"])
        assert second["pulse drivers", "update", "fc"] == 2 * first["pulse drivers", "update", "fc"]
    assert more[0] == more[1] > 0


def test_every_tile_of_a_cell_draws_standby() -> None:
    """Its two arrays lie on two tiles, each with a buffer."""
    one, two = CellLayout(), CellLayout("reference", 2, visible=(0, 1), targets=((0,), (1,)))
    ledgers = [priced(cell, phase=Phase.UPDATE, slots=31) for cell in (one, two)]
    per_ps = [ledger.energy["buffer", "standby", "chip"] / ledger.time_ps for ledger in ledgers]
    assert per_ps[1] == pytest.approx(2 * per_ps[0])


def test_sums_of_outer_products_read_and_write_a_word_for_every_weight() -> None:
    """Where no array learns, each of 32 x 64 products is added to a word of 16 bits in a memory like the buffer."""
    cell = CellLayout("mixed-precision", learning=(), slices="all")
    row = {"phase": Phase.UPDATE, "passes": 0}
    few, all_of_them = (
        priced(cell, **row, adds=32 * 64, multiplies=multiplies).energy["buffer", "update", "fc"]
        for multiplies in (32 * 64 - 1, 32 * 64)
    )
    actions = bill_of_parts(Chip.load("reram-512")).tiles[0]["buffer"].actions
    assert all_of_them - few == 32 * 64 * 16 * (actions["read"].energy_zj + actions["write"].energy_zj)
