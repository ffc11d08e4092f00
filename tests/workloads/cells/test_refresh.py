"""Refreshing capacitors: what the mean cell has lost is written back, as maintenance that is timed and priced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, CmosRpu, ConstantStep, IOParameters, UpdateParameters
from rpusim.workloads.runs import settings, simulate

CELL = CmosRpu(dw_min=0.002, w_max=1.0, w_min=-1.0, current_dtod=0.0, retention=1.0)
FINE = IOParameters(is_perfect=True)


def tile_of(device: Any = CELL, path: str = "numba", execution: str = "merged") -> AnalogTile:
    config = AnalogConfig(device=device, backward=FINE, update=UpdateParameters(execution=execution))  # type: ignore[arg-type]
    tile = AnalogTile(40, 50, config, path=path, log=ActivityLog())
    tile.set_weights(torch.rand(40, 50, generator=torch.Generator().manual_seed(1)) * 1.4 - 0.7)
    return tile


def test_what_leaked_is_brought_back_on_average() -> None:
    """Each pulse is a coin with mean missing / step; the mean of 2000 cells is known to 5 of its standard errors."""
    tile = tile_of()
    start = tile.get_weights()
    tile.elapse(0.1)
    lost = (start - tile.weights).clone()
    tile.refresh(0.1)
    left = start - tile.weights
    deviation = float((lost.abs() * CELL.dw_min * (1 + CELL.dw_min_std**2)).mean().sqrt())
    assert abs(float((left * start.sign()).mean())) < 5 * deviation / 2000**0.5
    assert float(left.abs().mean()) < 0.5 * float(lost.abs().mean())


def test_every_column_is_read_once_and_pulsed_before_the_mini_batch() -> None:
    tile = tile_of()
    assert tile.log is not None
    tile.elapse(0.1)
    before = tile.get_weights()
    tile.refresh(0.1)
    rows = tile.log.take()
    assert len(rows) == 50 and set(rows.phase) == {Phase.MAINTENANCE} and set(rows.vector) == {-1}
    assert (rows.passes == 1).all() and (rows.active_columns <= 1).all()
    moved = (before != tile.weights).sum(0).numpy()
    assert np.array_equal(rows.writes, moved)
    assert (rows.coincidences_up + rows.coincidences_down >= rows.writes).all()


def test_both_paths_refresh_alike() -> None:
    tiles = [tile_of(path=path, execution="exact") for path in ("numba", "torch")]
    for tile in tiles:
        tile.elapse(0.05)
        tile.refresh(0.05)
    assert torch.equal(tiles[0].weights, tiles[1].weights)


class TestInAnExperiment:
    EVERY: dict[str, Any] = {"every": "20 us", "source": "a test"}

    def run(self, few_digits: Path, **changes: Any) -> Any:
        base = {"data": str(few_digits), "epochs": 2, "chip": "cmos-rpu-2017", "batch": 2}
        given = {"device": {"model": "chip", "retention": 3e-4}, **changes}
        return simulate.run(settings.changed(settings.load("fcn-digits"), base | given))

    def test_it_comes_as_often_as_asked_and_costs_time_and_energy(self, few_digits: Path) -> None:
        plain, refreshed = self.run(few_digits), self.run(few_digits, refresh=self.EVERY)
        done = refreshed["activity"]["maintenance"]
        each = 65 + 257 + 129  # columns of the three arrays
        assert done["slices_read"] % each == 0
        times = done["slices_read"] // each
        assert 0 < times <= refreshed["time"]["total_s"] / 20e-6
        assert times >= refreshed["time"]["total_s"] / (20e-6 + 4 * refreshed["time"]["total_s"] / 60) - 2
        assert refreshed["energy"]["by_phase"]["maintenance"] > 0
        assert "maintenance" not in plain["energy"]["by_phase"]
        assert refreshed["time"]["total_s"] > plain["time"]["total_s"]
        assert refreshed["training"]["refresh"]["every"] == "2e-05 s"

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"timing": "first"}, "refresh: given with timing: first; it needs timing: every"),
            ({"device": "rpu-baseline-2016"}, "refresh: the arrays hold nothing that it would bring back"),
            ({"device": {"model": "chip", "cell": {"kind": "vector"}}}, "it is for single devices that leak"),
            ({"refresh": {"every": "0 s", "source": "abc"}}, "refresh.every: got '0 s'"),
        ],
    )
    def test_what_cannot_be_refreshed_is_refused(self, few_digits: Path, changes: Any, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            self.run(few_digits, **{"refresh": self.EVERY, **changes})


def test_only_what_leaks_can_be_refreshed() -> None:
    assert tile_of().can_refresh and not tile_of(ConstantStep()).can_refresh
