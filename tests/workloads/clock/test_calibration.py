"""Calibration before training: how many pairs, what they cost, and who needs none."""

import math

import pytest

from rpusim.arch.chips.chip import Chip, load_chip
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.workloads.cells.training_cells import build
from rpusim.workloads.clock import calibration
from rpusim.workloads.runs.estimate import time_network
from rpusim.workloads.runs.given_network import load_network

NOTHING = {"seconds": 1.0, "joules": 2.0, "pulses_per_cell": 3.0}


def _document(device, chip="reram-512"):
    cells = build(device)
    plan = make_plan(place(load_network("fcn-digits", True), load_chip(chip), "column", cells.layout))
    return calibration.document(plan, cells, NOTHING)


def _shifted(pairs):
    cell = {"kind": "transfer", "zero_shift_pairs": pairs}
    return {"model": "soft-bounds", "cell": cell}


def test_devices_that_start_on_their_points_are_brought_there():
    """ln(100) / (0.002 (1 / 1.25 + 1 / 0.75)) = 4.6052 / 0.0042667 = 1079.3: 1080 pairs, on both arrays."""
    found = calibration.pairs(build("ttv2-reram-sb"))
    assert {array: pairs for array, (pairs, _) in found.items()} == {0: 1080, 1: 1080}
    assert math.ceil(math.log(100) / (0.002 * (1 / 1.25 + 1 / 0.75))) == 1080


@pytest.mark.parametrize("device", ["e-rider-reram-sb", "rider-reram-sb", "reram-sb", "agad-ecram", "rl-ecram"])
def test_who_needs_no_calibration_has_none(device):
    assert calibration.pairs(build(device)) == {} and _document(device) is None


def test_pairs_of_a_cell_go_before_what_devices_assume():
    given = {"like": "ttv2-reram-sb", "cell": {"zero_shift_pairs": 7}}
    assert calibration.pairs(build(given)) == {0: (7, calibration.GIVEN)}


def test_time_and_energy_grow_with_the_pairs_and_with_nothing_else():
    """A pair is two slots, whichever it is: second differences vanish; and each takes 2 pulses of a third of the cells
    (A, C and the reference)."""
    few, more, most = (_document(_shifted(pairs)) for pairs in (100, 200, 300))
    for name in ("seconds", "joules"):
        assert most[name] - more[name] == pytest.approx(more[name] - few[name], rel=1e-6) and few[name] > 0.0
    assert [each["pulses_per_cell"] for each in (few, more, most)] == pytest.approx([200 / 3, 400 / 3, 600 / 3])
    for name, without in NOTHING.items():
        assert most["total"][f"{name}_with"] == without + most[name]
        assert most["total"][f"{name}_without"] == without


def test_it_is_what_the_estimate_counts_but_for_the_first_weights():
    """`rpusim time --program` writes C too: without pairs, that alone; the difference is calibration.

    But for the 1 % of it, pulses and reads of A, that happens while C is written on arrays of its own.
    """
    times = []
    for pairs in (0, 100):
        for program in (False, True):
            device = _shifted(pairs)
            found = time_network("fcn-digits", "reram-512", 1, False, "sequential", device=device, program=program)
            times.append(found["time"]["total_s"])
    assert (times[3] - times[2]) - (times[1] - times[0]) == pytest.approx(
        _document(_shifted(100))["seconds"], rel=0.015
    )


def test_a_chip_that_does_not_say_how_it_writes_says_that_this_is_missing():
    chip = Chip.load("reram-512")
    chip = chip.model_copy(update={"tiles": tuple(t.model_copy(update={"programming": None}) for t in chip.tiles)})
    found = _document(_shifted(100), chip)
    assert found["cells_written"] == 0 and found["uncounted"] == [calibration.UNCOUNTED]
    assert "uncounted" not in _document(_shifted(100))
