"""Transfer cells in compiled loops: a mini-batch at once is its vectors one after the other."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.contract.activity import WORK_COLUMNS, ActivityLog
from rpusim.errors import InputError
from rpusim.kernels import (
    AnalogConfig,
    AnalogTile,
    BufferedTransfer,
    ChoppedTransfer,
    ConstantStep,
    DynamicTransfer,
    IOParameters,
    LinearStep,
    SoftBounds,
    Transfer,
    UpdateParameters,
    configuration,
)
from rpusim.kernels.cells.tiki_taka import compiled
from rpusim.kernels.tiles.presets import CONFIGURATIONS

ROWS, COLUMNS = 5, 7
DEVICES = (
    SoftBounds(dw_min=0.01, reset=0.01, reset_dtod=0.01),
    LinearStep(dw_min=0.005, gamma_up=0.3, gamma_down=0.5),
    ConstantStep(dw_min=0.01, write_noise_std=2.0),
)
READS = (IOParameters(is_perfect=True), IOParameters(), IOParameters(out_noise=0.1, out_bound=0.5, out_scale=1.5))
WRITES = (UpdateParameters(1, False, False), UpdateParameters(), UpdateParameters(desired_bl=3))
PRESETS = sorted(name for name, preset in CONFIGURATIONS.items() if isinstance(preset.config.cell, Transfer))

chance = st.sampled_from((0.0, 0.3, 0.5))
flag = st.booleans()
common = {
    "units_in_mbatch": flag,
    "transfer_every": st.sampled_from((0.0, 0.5, 1.0, 2.0, 3.0)),
    "gamma": st.sampled_from((0.0, 0.3)),
    "fast_lr": st.sampled_from((0.0, 0.5)),
    "scale_fast_lr": flag,
    "scale_transfer_lr": flag,
    "transfer_forward": st.sampled_from(READS),
    "transfer_update": st.sampled_from(WRITES),
}
buffered = common | {"forget_buffer": flag, "momentum": st.sampled_from((0.0, 0.1)), "thres_scale": st.just(0.7)}
chopped = buffered | {
    "transfer_every": st.sampled_from((-0.1, 1.0, 2.0)),
    "in_chop_prob": chance,
    "in_chop_random": flag,
    "out_chop_prob": chance,
    "no_buffer": flag,
    "auto_scale": flag,
    "auto_granularity": st.sampled_from((0.0, 0.3)),
    "correct_gradient_magnitudes": flag,
}
dynamic = chopped | {
    "in_chop_prob": st.sampled_from((0.4, 0.5)),
    "tail_weightening": st.sampled_from((0.7, 5.0)),
    "buffer_cap": st.sampled_from((0.0, 0.8)),
    "correct_accumulation": flag,
}
cells = st.one_of(
    st.builds(Transfer, **common),
    st.builds(BufferedTransfer, **buffered),
    st.builds(ChoppedTransfer, **chopped),
    st.builds(DynamicTransfer, **dynamic),
)
updates = st.builds(
    UpdateParameters,
    desired_bl=st.sampled_from((1, 7, 40)),
    pulse_type=st.sampled_from(("stochastic_compressed",) * 3 + ("stochastic", "deterministic_implicit")),
    res=st.sampled_from((0.0, 0.0, 0.05)),
    sto_round=flag,
    update_bl_management=flag,
    execution=st.just("exact"),
)


def _pairs(seed, vectors, rows=ROWS, columns=COLUMNS):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(vectors, columns, generator=generator) * (torch.rand(vectors, 1, generator=generator) < 0.9)
    return x, 0.5 * torch.randn(vectors, rows, generator=generator)


def _state(tile):
    """All that a tile remembers: its tensors in one, and everything else."""
    state = tile.state_dict()
    tensors = [v.double().reshape(-1) for v in state.values() if isinstance(v, torch.Tensor)]
    return torch.cat(tensors).nan_to_num(), [v for v in state.values() if not isinstance(v, torch.Tensor)]


def _same(one, other):
    (tensors, rest), (other_tensors, other_rest) = _state(one), _state(other)
    return torch.equal(tensors, other_tensors) and rest == other_rest


@settings(max_examples=150, deadline=None)
@given(
    cell=cells,
    update=updates,
    device=st.sampled_from(DEVICES),
    batches=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    rate=st.sampled_from((0.1, -0.1)),
)
def test_a_mini_batch_at_once_is_its_vectors_one_after_the_other(cell, update, device, batches, rate):
    """To the bit: weights, buffers, choppers, counters and the activity log; also for a cell restored in between."""
    logs = ActivityLog(), ActivityLog()
    one, other = (AnalogTile(ROWS, COLUMNS, AnalogConfig(device, update=update, cell=cell), log=log) for log in logs)
    for seed, vectors in enumerate(batches):
        x, d = _pairs(seed, vectors)
        one.update(x, d, rate)
        other.cell.update = other.cell.step_by_step
        other.update(x, d, rate)
        one.end_mini_batch()
        other.end_mini_batch()
        assert _same(one, other)
        restored = AnalogTile(ROWS, COLUMNS, one.config, seed=9, log=logs[0])
        restored.load_state_dict(copy.deepcopy(one.state_dict()))
        one = restored
    rows = [log.take() for log in logs]
    for name in ("phase", "vector", "passes", "writes", *WORK_COLUMNS, "slots", "coincidences_up", "row_pulses"):
        assert np.array_equal(getattr(rows[0], name), getattr(rows[1], name)), name
    for name in ("coincidences_down", "active_rows", "active_columns", "column_pulses"):
        assert np.array_equal(getattr(rows[0], name), getattr(rows[1], name)), name


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_in_compiled_loops(name):
    """Merged in batches of any size; exactly too, but for devices whose apparent weight needs A after every vector."""
    config = configuration(name).config
    assert compiled.covers(AnalogTile(ROWS, COLUMNS, config).cell, 100)
    one_by_one = replace(config, update=replace(config.update, execution="exact"))
    exact = AnalogTile(ROWS, COLUMNS, one_by_one).cell
    assert compiled.covers(exact, 1)
    noisy = config.device.write_noise > 0.0 and not exact.pulses_at_once(100)
    assert compiled.covers(exact, 100) == (not noisy)


@pytest.mark.parametrize("name", ["chopped-ttv2-ecram", "agad-idealized", "agad-reram-sb", "ttv2-reram-es"])
def test_merged_presets_learn_the_same_in_distribution(name):
    """Mean and spread of what the buffer has collected in 30 vectors, over 40 pairs of runs on the same cells.

    Differences of the runs' means stay within 4.5 standard errors, pooled over the cells; spreads within 10 %.
    """
    config, results = configuration(name).config, {}
    x, d = _pairs(3, 30, 8, 6)
    for execution in ("exact", "merged"):
        made = []
        for run in range(40):
            tile = AnalogTile(8, 6, replace(config, update=replace(config.update, execution=execution)))
            for number, array in enumerate(tile.cell.arrays):
                array.stream = (run, number, execution == "merged")  # other bits and noise for the same cells
            tile.update(x, d, 0.01)
            made.append(tile.cell.arrays[0].weights.numpy().ravel().copy())
        results[execution] = np.array(made)
    one, other = results["exact"], results["merged"]
    gap = other.mean(0) - one.mean(0)
    error = np.sqrt((one.var(0, ddof=1) + other.var(0, ddof=1)) / 40)
    z = gap / error
    assert np.abs(z).max() < 5.0 and abs((z**2).mean() - 1.0) < 5.0 * (2.0 / z.size) ** 0.5 + 0.1
    assert np.sqrt(other.var(0).mean() / one.var(0).mean()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("execution", ["exact", "merged"])
def test_results_do_not_depend_on_threads(monkeypatch, execution):
    config = configuration("agad-ecram").config
    config = replace(config, update=replace(config.update, execution=execution))
    tiles = [AnalogTile(40, 30, config) for _ in range(2)]
    tiles[0].update(*_pairs(0, 50, 40, 30), 0.1)
    monkeypatch.setattr("rpusim.kernels.pulses.compiled.PARALLEL_WORK", 0)
    tiles[1].update(*_pairs(0, 50, 40, 30), 0.1)
    assert _same(*tiles)


def test_vectors_that_are_no_numbers_are_refused():
    x, d = _pairs(0, 3)
    x[1, 2] = float("nan")
    with pytest.raises(InputError, match="layer 0: the input x of an update holds NaN"):
        AnalogTile(ROWS, COLUMNS, AnalogConfig(DEVICES[0], cell=Transfer())).update(x, d, 0.1)
