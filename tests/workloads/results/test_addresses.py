"""What counting addresses would add: the figures of docs/results.md, and less than 1 %."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.workloads.runs.given_network import load_network

DOCUMENT = (Path(__file__).parents[3] / "docs" / "results.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w-]+)` on `([\w-]+)`, (training|inference) \| ([\d.]+) % \|$", DOCUMENT, re.MULTILINE)
BITS = 32
"""Bits of an address with what it is of, as of a header."""


def share(network: str, preset: str, training: bool) -> float:
    """Return the energy of all addresses over that of a sample.

    There is one for each row of a window that a vector is put together from (its values stand side by side), or one if
    there is no window; one for whatever else is read or written; one for each message on each link. Each is counted on
    from the one before: an addition of the chip's digital unit, and a register that is read and written.
    """
    chip = Chip.load(preset)
    captured = load_network(network, training)
    plan = make_plan(place(captured, chip))
    activity = assumed_activity(plan.placement, 1, training=training)
    events = run(plan, activity, "sequential")
    windows = np.array([layer.window.kernel[0] if layer.window else 1 for layer in captured.layers])
    fetches, others = events.op == Op.FETCH, np.isin(events.op, [Op.STORE, Op.SEND])
    entries = int(windows[events.layer[fetches]].sum()) + np.count_nonzero(others)
    parts = bill_of_parts(chip).tiles[0]
    registers = parts["registers"].actions
    price = parts["digital unit"].actions["add"].energy_zj
    price += BITS * (registers["read"].energy_zj + registers["write"].energy_zj)
    return entries * price / Pricer(plan)(events, activity).total_zj


@pytest.mark.parametrize(("network", "preset", "how", "percent"), ROWS)
def test_addresses_are_less_than_a_hundredth(network: str, preset: str, how: str, percent: str) -> None:
    found = share(network, preset, how == "training")
    assert found < 0.01
    assert f"{100 * found:.2f}" == percent


def test_the_document_has_a_row_for_each_kind_of_network() -> None:
    assert {name for name, *_ in ROWS} == {"fcn", "lenet-2017", "resnet20"}
    assert {how for *_, how, _ in ROWS} == {"training", "inference"}
