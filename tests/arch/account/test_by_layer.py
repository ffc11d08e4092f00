"""A sample that is timed layer by layer costs what it costs in one piece, and layers that do the same are run once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from generated import chain, chips, copies, networks
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account import by_layer
from rpusim.arch.account.by_layer import Layers
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.zoo.language_models import Gpt2, Llama, Tokens


def cut(plan: Plan, most: int = 10**9) -> Layers | None:
    def work(layer):
        return assumed_activity(plan.placement, 1, False, layer=layer)

    return by_layer.account(plan, Pricer(plan), work, most)


def whole(plan: Plan):
    activity = assumed_activity(plan.placement, 1, False)
    events = run(plan, activity, "sequential")
    return Pricer(plan)(events, activity), activity, events


def with_columns(chip: Chip, columns: int, lines: int = 0) -> Chip:
    """Change how wide the mesh is, give it tiles enough, and arrays of so many lines."""
    array = chip.tiles[0].array
    if lines:
        array = array.model_copy(update={"rows": lines, "columns": lines})
    tile = chip.tiles[0].model_copy(update={"count": 600, "array": array})
    return chip.model_copy(update={"tiles": (tile,), "mesh": chip.mesh.model_copy(update={"columns": columns})})


@given(network=networks, chip=chips, data=st.data())
@settings(max_examples=80, deadline=None, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_layers_one_by_one_are_the_whole(network, chip, data) -> None:
    try:
        plan = make_plan(place(network, chip, replicas=data.draw(copies(network, 3))))
        ledger, _, events = whole(plan)
    except InputError:  # a buffer too small for one window
        return
    found = cut(plan)
    if found is not None:
        assert found.ledger == ledger
        assert found.events.makespan_ps <= events.makespan_ps


@pytest.mark.parametrize("gating", ["none", "idle", "tile"])
@pytest.mark.parametrize("blocks", range(2, 7))
def test_equal_layers_whose_tiles_lie_alike_are_run_once(blocks: int, gating: str) -> None:
    # Each layer of 400 numbers is on 4 x 4 arrays of 128 lines with its bias: two rows of a mesh of eight.
    chip = with_columns(Chip.load("reram-512"), 8, 128).model_copy(update={"gating": gating})
    plan = make_plan(place(chain(*[400] * (blocks + 1)), chip))
    found = cut(plan)
    assert found is not None
    assert found.ledger == whole(plan)[0]
    # The first begins with the work, the last sends its results nowhere, and the one before it is as those before.
    assert found.run == min(blocks, 3)


def test_equal_layers_whose_tiles_lie_otherwise_are_each_run() -> None:
    plan = make_plan(place(chain(*[400] * 6), with_columns(Chip.load("reram-512"), 7, 128)))
    found = cut(plan)
    assert found is not None
    assert found.ledger == whole(plan)[0]
    assert found.run == 5


BLOCKS = {
    "Llama": lambda blocks: Llama(64, blocks, 2, 48, 20, Tokens(5)),
    "a step of Llama": lambda blocks: Llama(64, blocks, 2, 48, 20, Tokens(1, 7, True)),
    "GPT-2": lambda blocks: Gpt2(64, blocks, 20, 8, Tokens(6)),
}


@pytest.mark.parametrize("name", sorted(BLOCKS))
@pytest.mark.parametrize("lines", [32, 64, 512])
@pytest.mark.parametrize("blocks", [2, 4])
def test_blocks_of_language_models_cost_what_they_cost_in_one_piece(name: str, lines: int, blocks: int) -> None:
    with torch.device("meta"):
        module = BLOCKS[name](blocks)
    network = capture(module, ((1 if "step" in name else 5 if name == "Llama" else 6,), torch.int64))
    plan = make_plan(place(network, with_columns(Chip.load("reram-512"), 1, lines)))
    found = cut(plan)
    ledger, activity, events = whole(plan)
    assert found is not None
    assert found.ledger == ledger
    assert found.run < len(plan.layers) or blocks == 2  # the first block begins, the last one ends
    kept = cut(plan, most=50)
    assert kept is not None
    assert kept.ledger == ledger
    first = kept.events
    assert 50 <= len(first) < len(events)
    for column in ("op", "station", "layer", "tile", "start", "end"):
        assert np.array_equal(getattr(first, column), getattr(events.first(len(first)), column)), column
    assert np.array_equal(first.works[first.work], events.works[events.work[: len(first)]])
    assert len(kept.activity) < len(activity)
