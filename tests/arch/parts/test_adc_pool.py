"""Converters that tiles share: how many work at the same time, what that costs, and what it saves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from generated import chain

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.parts.adc import Pool
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

LAYERS, SAMPLES = 4, 30
EACH = chain(*[64] * (LAYERS + 1))


def pooled(banks: int, tiles: int = 8) -> Chip:
    """rpu-2016 with a pool for so many tiles; 0: every array has converters of its own, for both sides."""
    kind = Chip.load("rpu-2016").tiles[0]
    pool = Pool(tiles=tiles, banks=banks, source="made up for tests") if banks else None
    adc = kind.adc.model_copy(update={"pool": pool, "shared_between_sides": True})
    tiles_of_chip = (kind.model_copy(update={"adc": adc, "count": 48}),)
    return Chip.load("rpu-2016").model_copy(update={"tiles": tiles_of_chip})


def timed(chip: Chip) -> tuple[Plan, Events]:
    plan = make_plan(place(EACH, chip))
    return plan, run(plan, assumed_activity(plan.placement, SAMPLES, training=False), "layer-pipelined")


def at_once(events: Events) -> int:
    converts = events.op == Op.CONVERT
    times = np.concatenate([events.end[converts], events.start[converts]])
    change = np.repeat([-1, 1], converts.sum())
    return int(np.cumsum(change[np.argsort(times, kind="stable")]).max())


@pytest.mark.parametrize("banks", [1, 2, 3])
def test_as_many_arrays_are_converted_at_a_time_as_a_pool_has_banks(banks: int) -> None:
    plan, events = timed(pooled(banks))
    assert set(np.unique(events.station[events.op == Op.CONVERT])) == {plan.stations.index("ADC pool rpu 0")}
    assert at_once(events) == banks


def test_one_bank_that_layers_take_turns_at_never_rests_before_the_last_sample() -> None:
    _, events = timed(pooled(1))
    converts = events.op == Op.CONVERT
    start, end = np.sort(events.start[converts]), np.sort(events.end[converts])
    assert np.array_equal(start[1:-LAYERS], end[: -LAYERS - 1])


def test_a_bank_for_every_layer_is_as_fast_as_converters_of_its_own() -> None:
    """With wires as long: tiles that share a pool are smaller, and closer together."""
    chips = [pooled(banks) for banks in (LAYERS, 0)]
    alike = [c.model_copy(update={"mesh": c.mesh.model_copy(update={"hop_latency": 1e-9})}) for c in chips]
    shared, own = (timed(chip)[1].makespan_ps for chip in alike)
    assert shared == own


def test_a_pool_of_two_banks_for_eight_tiles_takes_a_quarter_of_the_area() -> None:
    alone, shared = (bill_of_parts(pooled(banks)).total("area_m2")["ADC"] for banks in (0, 2))
    assert shared == pytest.approx(alone * 2 / 8)


def test_tiles_of_another_pool_do_not_wait() -> None:
    _, events = timed(pooled(1, tiles=2))
    assert at_once(events) == 2


def test_a_chip_file_may_have_a_pool_but_not_of_converters_of_one_side(tmp_path: Path) -> None:
    fields = yaml.safe_load((FOLDER / "rpu-2016.yaml").read_text())
    adc = fields["tiles"][0]["adc"]
    adc["pool"] = {"tiles": 2, "banks": 1, "source": "made up for tests"}
    for shared in (True, False):
        adc["shared_between_sides"] = shared
        path = tmp_path / f"{shared}.yaml"
        path.write_text(yaml.safe_dump(fields))
        if shared:
            assert Chip.load(path).tiles[0].adc.pool == Pool(**adc["pool"])
        else:
            with pytest.raises(InputError, match=r"adc.*pool.*shared_between_sides"):
                Chip.load(path)
