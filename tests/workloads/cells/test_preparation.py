"""Arrays are written and calibrated before the first sample: counted from closed forms, and scheduled as work."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from generated import chain, tied

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import WORK_COLUMNS, Activity, ActivityLog, Phase
from rpusim.arch.contract.cell_layout import SINGLE
from rpusim.arch.mapping.fit.turns import turns
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.errors import InputError
from rpusim.kernels.inference import program
from rpusim.workloads.cells import inference_cells
from rpusim.workloads.cells.preparation import preparation
from rpusim.workloads.cells.training_cells import Given, build
from rpusim.workloads.runs import estimate
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.given_network import load_network
from rpusim.workloads.runs.placed import MANAGED
from rpusim.workloads.zoo import networks

SHIFTED = {"model": "soft-bounds", "dw_min": 0.002, "cell": {"kind": "transfer", "zero_shift_pairs": 50}}


def prepared(device: Given | None = None, chip: str = "reram-512") -> tuple[Placement, Activity]:
    cells = build(device) if device else None
    placement = place(load_network("fcn-digits"), Chip.load(chip), cell=cells.layout if cells else SINGLE)
    return placement, preparation(placement, cells)


def test_every_weight_is_written_once_and_read_back_after_every_pulse_where_the_chip_verifies() -> None:
    placement, rows = prepared()
    programming = Chip.load("reram-512").tiles[0].programming
    assert programming and programming.verify
    assert rows.writes.sum() == sum(block.rows * block.columns for block in placement.blocks())
    assert rows.passes.tolist() == [math.ceil(b.columns * programming.iterations) for b in placement.blocks()]
    assert set(rows.phase) == {Phase.MAINTENANCE} and set(rows.vector) == {-1}


def used_again() -> Network:
    """A weight, another one, and the first one again: on one array, the next sample finds the first one there."""
    line = WeightLayer.linear
    return connect(
        "used again",
        (8,),
        [
            (line("a", (8,), 8, bias=False, parameter="w"), ("input",)),
            (line("b", (8,), 8, bias=False), ("a",)),
            (line("c", (8,), 8, bias=False, parameter="w"), ("b",)),
        ],
    )


@pytest.mark.parametrize(
    ("network", "tiles"),
    [
        (used_again(), 1),
        (chain(8, 8, 8), 1),
        (chain(40, 30, 200, 10), 2),
        (chain(1024, 10, 1024, 10), 3),
        (tied(8, 8, True), 1),
        (chain(40, 30, 20), 2),
    ],
    ids=["used again", "two on one", "three on two", "blocks on three", "tied", "all stay"],
)
def test_the_first_sample_finds_on_its_arrays_what_it_does_not_write(network: Network, tiles: int) -> None:
    """No array is prepared for two blocks, and none is read that holds another one's weights, or nothing."""
    chip = Chip.load("reram-512", {"tiles.0.count": tiles})
    placement = place(network, chip, fit="reload")
    rows, written = preparation(placement, None), turns(placement)
    slots = {(placed.index, block.tile): block.slots[0] for placed in placement.holders for block in placed.blocks}
    ready = list(zip(rows.layer.tolist(), rows.tile.tolist(), strict=True))
    held = {slots[block]: block for block in ready}
    assert len(held) == len(ready)
    for _ in range(2):
        for placed in placement.layers:
            for block in placed.blocks:
                lying = network.uses(placed.index)[0], (block.turned or block).tile
                if block.tile in written.get(placed.index, {}):
                    held[block.slots[0]] = lying
                assert held[block.slots[0]] == lying


def test_zero_shifting_sends_its_pairs_to_every_cell_and_writes_the_reference() -> None:
    placement, rows = prepared(SHIFTED)
    cells = sum(block.rows * block.columns for block in placement.blocks())
    calibrating = rows.select(rows.slots > 0)
    assert set(calibrating.slots) == {100}
    assert calibrating.coincidences_up.sum() == calibrating.coincidences_down.sum() == 50 * cells
    assert rows.writes.sum() == 2 * cells  # C and the reference of A; A itself starts where its symmetry points are
    assert set(rows.array[rows.writes > 0]) == {1, placement.cell.reference}


def test_the_reference_of_a_reference_cell_is_written_once() -> None:
    cell = {"model": "soft-bounds", "dw_min": 0.002, "cell": {"kind": "reference", "zero_shift_pairs": 50}}
    placement, rows = prepared(cell)
    assert rows.slots.max() == 100
    assert rows.writes.sum() == 2 * sum(block.rows * block.columns for block in placement.blocks())


def test_it_takes_time_and_energy_before_the_first_sample_and_none_after() -> None:
    plain, first, two = (
        estimate.time_network("fcn-digits", "reram-512", n, True, "sequential", program=program).document
        for n, program in ((1, False), (1, True), (2, True))
    )
    assert "maintenance" not in plain["energy"]["by_phase"]
    spent = [document["energy"]["by_phase"]["maintenance"] for document in (first, two)]
    assert spent[0] == spent[1] > 0
    longest = math.ceil(256 * 8.52) * 1e-6 + math.ceil(65 * 8.52) * 40e-9  # pulses of the rows, reads of the columns
    assert first["time"]["total_s"] - plain["time"]["total_s"] == pytest.approx(longest, rel=0.001)


def test_work_that_is_done_once_is_counted_once_for_any_number_of_samples() -> None:
    activity = estimate.time_network("fcn-digits", "reram-512", 10_000, True, "sequential", program=True)["activity"]
    assert activity["maintenance"]["cells_changed"] == 256 * 65 + 128 * 257 + 10 * 129
    assert activity["updates"] == 3 * 10_000


def test_a_chip_that_does_not_say_how_it_is_written_is_refused() -> None:
    with pytest.raises(InputError, match=r"'isaac' of isaac-2016 do not say how they are written"):
        prepared(chip="isaac-2016")


@pytest.mark.parametrize("chip", ["hermes-2023", "reram-512"])
@pytest.mark.parametrize("compensated", [True, False])
def test_cells_that_infer_are_written_and_measured_as_programming_a_model_does(chip: str, compensated: bool) -> None:
    """Row by row what the kernel's tiles log."""
    cells = inference_cells.cells("inference-hermes")
    assert cells is not None
    if not compensated:
        cells = replace(cells, config=replace(cells.config, compensation=None))
    placement = place(load_network("lenet-digits"), Chip.load(chip), "digital", cells.layout)
    log = ActivityLog()
    model = analog_twin(networks.build("lenet-digits")[0], placement, MANAGED, cells, 0, log)
    program(model)
    logged, counted = log.take(), preparation(placement, cells)
    for column in ("layer", "tile", "phase", "writes", "passes", *WORK_COLUMNS, "active_rows", "active_columns"):
        assert getattr(counted, column).tolist() == getattr(logged, column).tolist(), column


def test_networks_are_timed_on_cells_that_infer() -> None:
    def timed(device: str | None, training: bool = False) -> dict[str, Any]:
        found = estimate.time_network(
            "lenet-digits", "reram-512", 1, training, "sequential", device=device, program=True, bias="digital"
        )
        return found.document["activity"]["maintenance"]

    plain, measured = timed(None), timed("inference-pcm")
    assert measured["cells_changed"] == plain["cells_changed"]
    assert measured["slices_read"] - plain["slices_read"] == 9 + 144 + 128 + 64
    with pytest.raises(InputError, match="device: got inference-pcm, whose cells only infer; ask for inference"):
        timed("inference-pcm", training=True)
