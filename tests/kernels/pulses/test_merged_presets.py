"""Merged pulses are the default: for every device and unit cell that has a name they are those of one by one.

Equal is meant in distribution, and shown by comparing runs: of each, mean, spread and skewness over an array, with runs
as the independent samples. Seeds are fixed. Every comparison is made at a level of 1e-5, so that all of this file
together would fail by chance in less than one of a hundred choices of the seeds; what it would notice is tested too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.kernels import CONFIGURATIONS, AnalogTile, SoftBounds, UpdateParameters, configuration
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.devices import KINDS, PulsedDevice
from rpusim.kernels.devices.presets import DEVICES
from rpusim.kernels.pulses import compiled
from rpusim.kernels.pulses.counts import PULSE_COLUMNS
from rpusim.kernels.pulses.execution import way_of
from rpusim.kernels.pulses.trains import Execution

LEVEL = 1e-5
ROWS, COLUMNS, VECTORS = 12, 10, 16
ORDERS = ("random", "up first", "down first")
PULSED = {name: kind() for name, kind in KINDS.items() if issubclass(kind, PulsedDevice)}
NAMED = PULSED | {name: named.device for name, named in DEVICES.items()}
MERGED = {name: each for name, each in NAMED.items() if way_of(each, UpdateParameters()) == (Execution.MERGED, "")}
ALONE = {"pcm", "pow-step", "pow-step-reference", "piecewise-step"}


def test_every_device_with_a_name_merges_or_says_why_not():
    assert set(NAMED) - set(MERGED) == ALONE
    for name in ALONE:
        way = way_of(NAMED[name], UpdateParameters())
        assert way is not None and way.execution is Execution.EXACT
        assert f"steps of {NAMED[name].kind} are neither linear in the weight nor" in way.why


@pytest.mark.parametrize(
    ("changes", "path", "why"),
    [
        ({"execution": "exact"}, "numba", "asked for"),
        ({}, "torch", "only compiled loops merge"),
        ({"pulse_type": "mean_count"}, "numba", "pulses of type mean_count are not drawn"),
    ],
)
def test_what_is_computed_one_by_one_has_a_reason(changes, path, why):
    way = way_of(SoftBounds(), UpdateParameters(**changes), path)
    assert way is not None and way.execution is Execution.EXACT and why in way.why
    assert way_of(SoftBounds(), UpdateParameters(pulse_type="none")) is None


def pairs(order: str, rows: int = ROWS, columns: int = COLUMNS) -> tuple[torch.Tensor, torch.Tensor]:
    """A mini-batch whose errors have one sign in its first half and the other in its second, or any at random."""
    generator = torch.Generator().manual_seed(3)
    x, d = torch.rand(VECTORS, columns, generator=generator), torch.rand(VECTORS, rows, generator=generator)
    if order == "random":
        return x - 0.3, d - 0.5
    d[: VECTORS // 2] *= 1.0 if order == "down first" else -1.0
    d[VECTORS // 2 :] *= -1.0 if order == "down first" else 1.0
    return x, d


def trained(
    model: PulsedDevice, execution: str, order: str, steps: float, runs: int, only_up: bool = False, times: int = 30
) -> NDArray[np.float64]:
    """Weights (runs, cells) after the same mini-batch so many ``times``; bits of a run are those of both executions.

    steps: how many pulses a pair of ones would send.
    """
    x, d = pairs(order)
    cells, found = model.sample(ROWS, COLUMNS, (1,)), np.empty((runs, ROWS * COLUMNS))
    parameters = UpdateParameters(execution=execution)  # type: ignore[arg-type]
    for run in range(runs):
        weights, name = cells.clip(torch.zeros(ROWS, COLUMNS)), (run, execution == "merged")
        for time in range(times):
            options = {"lines": (run, 77), "only_up": only_up}
            compiled.update(
                weights, cells, model, x, d, steps * model.granularity, parameters, name, time * VECTORS, **options
            )
        found[run] = weights.numpy().ravel()
    return found


def differences(one: NDArray[np.float64], other: NDArray[np.float64], paired: bool) -> dict[str, float]:
    """Probabilities that runs (runs, cells) of the same distribution differ as much as these do, by moment."""
    width = np.sqrt((one.var(0) + other.var(0)) / 2.0)  # of both, as a width of one alone would favour it
    width = np.maximum(width, 1e-9 + 1e-3 * np.abs(one).max())
    found = {}
    for power, name in ((1, "mean"), (2, "spread"), (3, "skewness")):
        middles = (one.mean(0), one.mean(0)) if power == 1 else (one.mean(0), other.mean(0))
        first, second = (
            (((runs - middle) / width) ** power).mean(1) for runs, middle in zip((one, other), middles, strict=True)
        )
        if np.allclose(first, second, atol=1e-6):
            continue
        test = stats.ttest_rel(first, second) if paired else stats.ttest_ind(first, second, equal_var=False)
        found[name] = float(test.pvalue)
    return found


@pytest.mark.parametrize("steps", [0.8, 3.0, 30.0])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", MERGED)
def test_every_device_learns_the_same_merged_and_one_by_one(name, order, steps):
    """From batches in random order and sorted by sign, 30 times; few pulses, some, and trains of 31 slots."""
    one, other = (trained(MERGED[name], execution, order, steps, 60) for execution in ("exact", "merged"))
    for what, chance in differences(one, other, paired=True).items():
        assert chance > LEVEL, what


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", MERGED)
def test_every_device_goes_up_the_same_where_it_can_only_go_up(name, order):
    """As in one-sided pairs, where half of the coincidences are not taken."""
    one, other = (
        trained(MERGED[name], execution, order, 3.0, 60, only_up=True, times=10) for execution in ("exact", "merged")
    )
    for what, chance in differences(one, other, paired=True).items():
        assert chance > LEVEL, what


def test_a_difference_of_a_few_steps_would_be_noticed():
    """The order of a sorted mini-batch, taken the wrong way round, and a noise that is larger by a fifth."""
    model = replace(SoftBounds(dw_min=0.004), dw_min_dtod=0.0, up_down_dtod=0.0)
    one = trained(model, "merged", "up first", 3.0, 60)
    assert differences(trained(model, "exact", "down first", 3.0, 60), one, paired=True)["mean"] < LEVEL
    noisy = replace(model, dw_min_std=1.2 * 2.0)
    one, other = (trained(each, "merged", "random", 3.0, 60) for each in (replace(model, dw_min_std=2.0), noisy))
    assert differences(one, other, paired=False)["spread"] < LEVEL


CELLS = [name for name, named in CONFIGURATIONS.items() if named.config.cell.kind != "single"]


def tiles(name: str, execution: str, log: ActivityLog | None = None) -> AnalogTile:
    config = configuration(name).config
    config = replace(config, update=replace(config.update, execution=execution))
    return AnalogTile(8, 6, config, log=log)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_with_a_name_learns_the_same_merged_and_one_by_one(name):
    """All arrays of the cell after three mini-batches, two of them sorted by sign; 40 runs with noise of their own."""
    runs, found = 40, {}
    for execution in ("exact", "merged"):
        tile = tiles(name, execution)
        start, made = {key: _copied(value) for key, value in tile.state_dict().items()}, []
        for run in range(runs):
            tile.load_state_dict({key: _copied(value) for key, value in start.items()})
            tile.cell.site = replace(tile.cell.site, stream=(run, execution == "merged"))
            tile.cell.rename()
            arrays = [part for part in tile.modules() if isinstance(part, DeviceArray)]
            for number, array in enumerate(arrays):
                array.stream = (run, number, execution == "merged")
            for order in ORDERS:
                x, d = pairs(order, 8, 6)
                tile.update(x, d, 0.01)
                tile.end_mini_batch()
            made.append([array.weights.double().numpy().ravel() for array in arrays])
        found[execution] = [np.array(of_array) for of_array in zip(*made, strict=True)]
    for number, (one, other) in enumerate(zip(found["exact"], found["merged"], strict=True)):
        for what, chance in differences(one, other, paired=False).items():
            assert chance > LEVEL, f"{what} of array {number}"


def _copied(value: object) -> object:
    return value.clone() if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_clock_counts_the_same_pulses_merged_and_one_by_one(name):
    """Slots, lines and coincidences of updates, and the pulses that each cell took, are drawn before any cell moves."""
    found = []
    for execution in ("exact", "merged"):
        log = ActivityLog()
        tile = tiles(name, execution, log)
        for array in tile.modules():
            if isinstance(array, DeviceArray):
                array.count_wear()
        before = tile.array.taken.sum()
        for order in ORDERS:
            tile.update(*pairs(order, 8, 6), 0.01)
        rows = log.take()
        updates = rows.select(rows.phase == Phase.UPDATE)
        found.append(({column: getattr(updates, column) for column in PULSE_COLUMNS}, tile.array.taken.clone()))
        single = tile.cell.parameters_of_cell.kind == "single"
        counted = updates.coincidences_up.sum() + updates.coincidences_down.sum()
        assert not single or tile.array.taken.sum() - before == counted > 0
    (columns, taken), (other_columns, other_taken) = found
    for column in PULSE_COLUMNS:
        assert np.array_equal(columns[column], other_columns[column]), column
    if not tile.cell.parameters_of_cell.resets:
        assert torch.equal(taken, other_taken)
