"""The pulses that cells have taken add up to the coincidences of the activity log, on both paths, for every cell."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.kernels import AnalogTile, PulseType, UpdateParameters, device
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.pulses.specification import Execution
from rpusim.kernels.tiles.analog import AnalogConfig
from rpusim.kernels.tiles.presets import CONFIGURATIONS, configuration


def trained(config: AnalogConfig, path: str, batches: int = 3) -> tuple[list[torch.Tensor], int]:
    """The pulses of every array after some mini-batches, and the coincidences that the log tells of."""
    log = ActivityLog()
    tile = AnalogTile(7, 19, config, seed=5, path=path, log=log)
    arrays = [array for array in tile.modules() if isinstance(array, DeviceArray)]
    for array in arrays:
        array.count_wear()
    torch.manual_seed(0)
    for _ in range(batches):
        tile.update(torch.randn(8, 19), torch.randn(8, 7) * (torch.rand(8, 7) < 0.7), 0.02)
        tile.end_mini_batch()
    rows = log.take()
    pulsed = rows.select((rows.phase == Phase.UPDATE) | (rows.slots > 0))
    resets = rows.select((rows.phase == Phase.MAINTENANCE) & (rows.slots == 0))
    met = int((pulsed.coincidences_up + pulsed.coincidences_down).sum())
    return [array.taken for array in arrays if array.taken is not None], met + int(resets.writes.sum())


@pytest.mark.parametrize(
    "name",
    ["reram-es", "reram-sb", "ecram", "capacitor", "gokmen-vlasov", "rpu-baseline-2016", "reram-sb-4"]
    + [f"{algorithm}-reram-sb" for algorithm in ("tiki-taka", "ttv2", "chopped-ttv2", "agad", "mixed-precision")],
)
def test_pulses_of_all_cells_are_the_coincidences_of_the_log(name: str) -> None:
    taken, met = trained(configuration(name).config, "numba")
    assert sum(int(each.sum()) for each in taken) == met > 0


@pytest.mark.parametrize("pulse_type", [kind for kind in PulseType if kind.pulsed])
@pytest.mark.parametrize("name", ["gokmen-vlasov", "tiki-taka-reram-sb", "pcm"])
def test_both_paths_count_the_same_in_every_cell(name: str, pulse_type: PulseType) -> None:
    config = CONFIGURATIONS[name].config
    config = replace(config, update=replace(config.update, pulse_type=pulse_type, execution=Execution.EXACT))
    (fast, _), (slow, _) = trained(config, "numba"), trained(config, "torch")
    assert all(torch.equal(one, other) for one, other in zip(fast, slow, strict=True))
    assert any(int(each.sum()) for each in fast)


def test_counting_changes_no_weight_and_merging_no_count() -> None:
    found = []
    for counted in (False, True):
        for execution in Execution:
            config = AnalogConfig(device("constant-step"), update=UpdateParameters(execution=execution))
            array = AnalogTile(7, 19, config, seed=5).array
            if counted:
                array.count_wear()
            torch.manual_seed(0)
            array.pulse(torch.randn(30, 19), torch.randn(30, 7), 0.02, config.update)
            found.append((array.weights.clone(), array.taken))
    (exact, _), (merged, _), (same, taken), (as_merged, also) = found
    assert torch.equal(exact, same) and torch.equal(merged, as_merged)
    assert taken is not None and also is not None and torch.equal(taken, also)


def test_a_reset_counts_once() -> None:
    array = AnalogTile(7, 19, AnalogConfig(device("constant-step"))).array
    array.count_wear()
    array.reset(first=3, columns=2)
    assert array.taken is not None
    assert array.taken.sum(0).tolist() == [7 if column in (3, 4) else 0 for column in range(19)]
