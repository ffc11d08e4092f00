"""Merged pulses: equal to pulses one by one in distribution, and bit for bit where a cell fails the conditions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rpusim.kernels import ConstantStep, LinearStep, SoftBounds, UpdateParameters, device
from rpusim.kernels.devices import PowStep, SoftBoundsReference
from rpusim.kernels.pulses import compiled, merged, specification
from rpusim.kernels.pulses.trains import Execution

STREAM = (5, 1, 2)
ROWS, COLUMNS = 64, 80
EXACT = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
DEVICES = {
    "constant": ConstantStep(dw_min=0.002),
    "constant, large spread": ConstantStep(dw_min=0.002, dw_min_dtod=1.5, w_max_dtod=0.8, w_min_dtod=0.8),
    "constant, tiny bounds": ConstantStep(dw_min=0.01, w_max=0.03, w_min=-0.03, w_max_dtod=1.0, w_min_dtod=1.0),
    "linear": LinearStep(dw_min=0.002, gamma_up=0.3, gamma_down=0.5, gamma_up_dtod=0.3),
    "linear, additive": LinearStep(dw_min=0.002, gamma_up=0.3, mult_noise=False, dw_min_std=2.0),
    "soft bounds": SoftBounds(dw_min=0.002, w_max=1.0, w_min=-1.0),
    "soft bounds, large spread": SoftBounds(dw_min=0.005, dw_min_dtod=1.0, w_max_dtod=0.9, w_min_dtod=0.9),
    "soft bounds, reference": SoftBoundsReference(
        dw_min=0.002, dw_min_std=3.75, w_max=1.25, w_min=-0.75, subtract_symmetry_point=True, reference_std=0.1
    ),
    "soft bounds, stuck cells": SoftBounds(dw_min=0.002, corrupt_devices_prob=0.2),
    "ecram": device("ecram"),
    "reram-sb": device("reram-sb"),
    "reram-es": device("reram-es"),
    "exponential": device("exp-step", dw_min=0.002),
}


def _pairs(vectors, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(vectors, COLUMNS, generator=generator) - 0.3
    return x, torch.randn(vectors, ROWS, generator=generator) * 0.3


def _update(model, execution, x, d, weights, rate=0.05, stream=STREAM, first=0, **more):
    cells = model.sample(d.shape[1], x.shape[1], STREAM)
    weights = cells.clip(weights.clone())
    parameters = UpdateParameters(execution=execution, **more)
    counts = compiled.update(weights, cells, model, x, d, rate, parameters, stream, first)
    return weights, counts


def _starts(model, kind):
    cells = model.sample(ROWS, COLUMNS, STREAM)
    middle = torch.zeros(ROWS, COLUMNS)
    return cells.clip({"at 0": middle, "at the upper bound": middle + 1e3, "at the lower bound": middle - 1e3}[kind])


@pytest.mark.parametrize("start", ["at 0", "at the upper bound", "at the lower bound"])
@pytest.mark.parametrize("name", DEVICES)
def test_merged_and_exact_changes_have_the_same_distribution(name, start):
    """Same bits, other noise: 60 independent runs of each; 5,120 cells, pooled.

    Three sums over the cells that are 0 on average if the distributions are the same: differences of the means, their
    squares less what chance explains, and relative differences of the variances. Each stays within 4.5 standard errors.
    """
    _compare(DEVICES[name], start, *_pairs(30), 0.05, 31)


@pytest.mark.parametrize("start", ["at 0", "at the upper bound"])
@pytest.mark.parametrize("name", ["linear", "linear, additive", "soft bounds", "ecram", "reram-sb", "reram-es"])
def test_saturated_trains_merged_and_exact_have_the_same_distribution(name, start):
    """As above, for three vectors of 50 slots; the strongest pair has a pulse in each."""
    x, d = _pairs(3)
    _compare(DEVICES[name], start, x, d, 50 * DEVICES[name].granularity / float(d.abs().max() * x.abs().max()), 50)


def _compare(model, start, x, d, rate, desired_bl):
    runs = 60
    weights, cells = _starts(model, start), model.sample(ROWS, COLUMNS, STREAM)
    results = {}
    for execution in Execution:
        changes = np.empty((runs, ROWS, COLUMNS))
        for run in range(runs):
            stream = (9, run, execution == "merged")
            moved = weights.clone()
            parameters = UpdateParameters(execution=execution, desired_bl=desired_bl)
            counts = compiled.update(moved, cells, model, x, d, rate, parameters, stream, 0, lines=STREAM)
            changes[run] = (moved - weights).double().numpy()
        results[execution] = changes
        assert counts.execution is execution
    one, all_ = results[Execution.EXACT], results[Execution.MERGED]
    gap, spreads = all_.mean(0) - one.mean(0), (one.var(0, ddof=1), all_.var(0, ddof=1))
    by_chance = (spreads[0] + spreads[1]) / runs
    free = by_chance > 1e-15
    assert np.allclose(gap[~free], 0.0, atol=2e-6)
    relative = (spreads[1] - spreads[0])[free] / (spreads[1] + spreads[0])[free]
    for sample in (gap[free], gap[free] ** 2 - by_chance[free], relative):
        assert abs(sample.mean()) < 4.5 * sample.std() / math.sqrt(sample.size)


@pytest.mark.parametrize("vectors", [1, 8])
def test_cells_that_fall_back_do_bit_for_bit_what_the_exact_execution_does(vectors):
    """All lines fire in all 10 slots of a vector, up in the first half of the vectors, and a bound is 5 steps away."""
    model = ConstantStep(dw_min=0.01, w_max=0.05, w_min=-0.05, **EXACT)
    x, d = torch.ones(vectors, COLUMNS), torch.ones(vectors, ROWS)
    d[: (vectors + 1) // 2] *= -1.0
    start = torch.zeros(ROWS, COLUMNS)
    options = {"update_bl_management": False, "update_management": False, "desired_bl": 10}
    exact, _ = _update(model, "exact", x, d, start, 0.1, **options)
    merged, counts = _update(model, "merged", x, d, start, 0.1, **options)
    assert torch.equal(exact, merged) and counts.fallbacks.sum() >= ROWS * COLUMNS


@pytest.mark.parametrize("vectors", [8, 40])
def test_a_row_of_which_many_cells_fail_goes_one_by_one_with_all_its_cells(vectors):
    """Of every row 0, 1 or 20 of 80 cells stand at a bound: the rest is merged, but where too many do. 8 vectors of 10
    slots are merged as a whole; of 40, cells that fail are tried again part by part."""
    model = ConstantStep(dw_min=0.001, **EXACT)
    x, d = torch.rand(vectors, COLUMNS) * 0.5 + 0.5, torch.rand(vectors, ROWS) * 0.5 + 0.5
    start, number = torch.zeros(ROWS, COLUMNS), torch.tensor([0, 1, 20]).repeat(ROWS)[:ROWS]
    at_bound = torch.arange(COLUMNS) < number[:, None]
    start[at_bound] = -1e3
    options = {"update_bl_management": False, "update_management": False, "desired_bl": 10}
    exact, _ = _update(model, "exact", x, d, start, 0.01, **options)
    merged, counts = _update(model, "merged", x, d, start, 0.01, **options)
    same = merged == exact
    assert bool(same[number == 20].all()) and bool(same[at_bound].all())
    assert float(same[(number < 20)[:, None] & ~at_bound].float().mean()) < 0.05
    assert counts.fallbacks.sum() >= int(at_bound.sum())


@pytest.mark.parametrize("sigmas", [0.0, 2.0, 4.05, 5.0])
@pytest.mark.parametrize(("vectors", "slots"), [(2, 60), (6, 10)])
def test_near_a_bound_merged_and_exact_weights_have_the_same_distribution(sigmas, vectors, slots):
    """Trains up and down on 120,000 equal cells that start some deviations of 60 pulses' noise below the upper bound.

    Cells at 0 and 2 fail the conditions, those at 4.05 meet them by a hair. Means within 4.5 standard errors, so 2 % of
    a standard deviation; Kolmogorov-Smirnov p > 1e-4; the share of cells that end at the bound within 4.5 errors too.
    """
    spread = {"dw_min": 0.002, "dw_min_std": 3.75, "reference_std": 0.0}
    model = SoftBoundsReference(**spread, w_max=1.0, w_min=-1.0, **EXACT)
    x, d = torch.ones(vectors, 400), torch.ones(vectors, 300)
    d[1::2] *= -1.0
    cells, found = model.sample(300, 400, STREAM), {}
    start = torch.full((300, 400), 1.0 - sigmas * 0.002 * 3.75 * math.sqrt(60))
    for execution in Execution:
        parameters = UpdateParameters(
            execution=execution, desired_bl=slots, update_management=False, update_bl_management=False
        )
        moved = start.clone()
        stream = (8, execution == "merged")
        counts = compiled.update(moved, cells, model, x, d, 0.002 * slots, parameters, stream, 0)
        assert counts.coincidences_down.sum() + counts.coincidences_up.sum() == vectors * slots * moved.numel()
        found[execution] = moved.numpy().ravel().astype(np.float64)
    if vectors == 2:
        assert counts.fallbacks[0] == (moved.numel() if sigmas < 4.0 else 0)
    one, other = found[Execution.EXACT], found[Execution.MERGED]
    assert abs(one.mean() - other.mean()) < 4.5 * math.sqrt((one.var() + other.var()) / one.size)
    assert stats.ks_2samp(one, other).pvalue > 1e-4
    at_bound = [(values >= 1.0).mean() for values in (one, other)]
    assert abs(at_bound[0] - at_bound[1]) < 4.5 * math.sqrt((sum(at_bound) + 2.0 / one.size) / one.size)


def test_without_the_fallback_bounds_would_be_wrong():
    """20 up pulses end at the bound, 20 down pulses then at the other; merged in spite of the bounds they cancel."""
    model = ConstantStep(dw_min=0.01, w_max=0.05, w_min=-0.05, dw_min_std=0.0, **EXACT)
    x, d = torch.ones(40, 8), torch.cat([-torch.ones(20, 8), torch.ones(20, 8)])
    start = torch.zeros(8, 8)
    parameters = {"rate": 0.01, "update_bl_management": False, "update_management": False, "desired_bl": 1}
    exact, _ = _update(model, "exact", x, d, start, **parameters)
    merged, counts = _update(model, "merged", x, d, start, **parameters)
    assert torch.equal(exact, merged) and counts.fallbacks.sum() == 64
    assert exact.abs().max() > 0.04
    free, _ = _update(replace(model, w_max=50.0, w_min=-50.0), "merged", x, d, start, **parameters)
    assert free.abs().max() < 1e-6  # that is what merging without the test for bounds would give


def test_noise_free_merged_constant_steps_add_up():
    model = ConstantStep(dw_min=0.001, dw_min_std=0.0, w_max=100.0, w_min=-100.0)
    x, d = _pairs(30)
    start = torch.zeros(ROWS, COLUMNS)
    exact, exact_counts = _update(model, "exact", x, d, start)
    merged, counts = _update(model, "merged", x, d, start)
    assert torch.allclose(exact, merged, atol=1e-6) and counts.merged.all() and not counts.fallbacks.any()
    for field in ("slots", "coincidences_up", "coincidences_down", "active_rows", "row_pulses", "column_pulses"):
        assert np.array_equal(getattr(exact_counts, field), getattr(counts, field)), field


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(sorted(DEVICES)), seed=st.integers(0, 100), rate=st.sampled_from([0.05, -0.05]))
def test_noise_free_merged_weights_differ_from_exact_ones_by_less_than_the_order_can_matter(name, seed, rate):
    """Both draw the same bits, few enough to be one chunk; ORDER steps, and rounding."""
    model = type(DEVICES[name])(**{**vars(DEVICES[name]), "dw_min_std": 0.0})
    x, d = _pairs(20, seed)
    start = torch.rand(ROWS, COLUMNS) * 0.4 - 0.2
    exact, _ = _update(model, "exact", x, d, start, rate, desired_bl=6)
    merged, _ = _update(model, "merged", x, d, start, rate, desired_bl=6)
    cells = model.sample(ROWS, COLUMNS, STREAM)
    largest = torch.maximum(cells.parameters(up=True)[0].abs(), cells.parameters(up=False)[0].abs())
    assert ((exact - merged).abs() <= 0.126 * largest + 3e-6).all()


def test_a_single_pulse_on_a_cell_with_a_tiny_bound_is_a_step_of_the_device():
    """The step is 50 times the bound: the series for many small steps would throw the weight far off."""
    model = SoftBounds(dw_min=0.05, w_max=0.001, w_min=-1.0, dw_min_std=0.0, **EXACT)
    x, d = torch.ones(4, 8), -torch.ones(4, 8)
    d[1:, 0] = 0.0  # the first row takes one pulse, the others as many as make it worth merging
    parameters = {"update_bl_management": False, "update_management": False, "desired_bl": 1}
    start = torch.full((8, 8), -0.5)
    exact, _ = _update(model, "exact", x, d, start, 0.05, **parameters)
    merged, counts = _update(model, "merged", x, d, start, 0.05, **parameters)
    assert counts.merged.all() and torch.equal(exact, merged)


def test_merged_results_do_not_depend_on_threads(monkeypatch):
    x, d = _pairs(30)
    start = torch.zeros(ROWS, COLUMNS)
    serial, _ = _update(DEVICES["linear"], "merged", x, d, start)
    monkeypatch.setattr(compiled, "PARALLEL_WORK", 0)
    threaded, _ = _update(DEVICES["linear"], "merged", x, d, start)
    assert torch.equal(serial, threaded)


@pytest.mark.parametrize(
    ("model", "send", "why"),
    [
        (PowStep(), compiled.update, "steps that are not linear"),
        (ConstantStep(), specification.update, "the torch path"),
    ],
)
def test_what_cannot_merge_says_that_it_ran_exactly(model, send, why):
    x, d = _pairs(5)
    cells = model.sample(ROWS, COLUMNS, STREAM)
    results = []
    for execution in Execution:
        weights = torch.zeros(ROWS, COLUMNS)
        counts = send(weights, cells, model, x, d, 0.05, UpdateParameters(execution=execution), STREAM, 0)
        assert counts.execution is Execution.EXACT
        results.append(weights)
    assert torch.equal(*results)


@pytest.mark.parametrize("one_step", sorted(merged.LINEAR_STEPS, key=lambda f: f.__module__ + f.__name__))
def test_steps_that_may_merge_are_linear_in_weight_and_in_noise(one_step):
    numbers = one_step.__code__.co_argcount - 2
    given = torch.rand(numbers, 1, dtype=torch.float64)
    w = torch.linspace(-1, 1, 11, dtype=torch.float64)
    for other in (0.0, 0.7):
        along_weight = one_step(w, torch.full_like(w, other), *given)
        along_noise = one_step(torch.full_like(w, other), w, *given)
        for values in (along_weight, along_noise):
            assert torch.allclose(torch.diff(values, n=2), torch.zeros(9, dtype=torch.float64), atol=1e-12)


def test_merged_noise_is_normal():
    """One cell's change over 2,000 independent cells: Kolmogorov-Smirnov against the closed form, p > 1e-4."""
    model = ConstantStep(dw_min=0.001, w_max=100.0, w_min=-100.0, **EXACT)
    x, d = torch.ones(40, 50), -torch.ones(40, 40)
    parameters = {"rate": 0.001, "update_bl_management": False, "update_management": False, "desired_bl": 1}
    weights, counts = _update(model, "merged", x, d, torch.zeros(40, 50), **parameters)
    assert counts.merged.all()
    z = (weights.numpy().ravel() / 0.001 - 40) / (0.3 * math.sqrt(40))
    assert stats.kstest(z, "norm").pvalue > 1e-4
