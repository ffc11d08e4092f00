"""Pulsed updates: golden coincidences, equality of both paths, statistics against closed forms, and what is refused."""

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.errors import InputError
from rpusim.kernels import ConstantStep, LinearStep, PulseType, SoftBounds, UpdateParameters
from rpusim.kernels.pulses import compiled, specification
from rpusim.kernels.pulses.specification import train_gains

EXACT = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
PATHS = {"torch": specification.update, "numba": compiled.update}
DEVICES = [
    ConstantStep(),
    LinearStep(gamma_up=0.3, dw_min_std=2.0),
    SoftBounds(mult_noise=False, corrupt_devices_prob=0.1),
]
STREAM = (5, 1, 2)
each_path = pytest.mark.parametrize("update", PATHS.values(), ids=PATHS)


def _update(update, model, x, d, rate, parameters, weights=None, first=0):
    cells = model.sample(d.shape[1], x.shape[1], STREAM)
    weights = cells.clip(torch.zeros(d.shape[1], x.shape[1]) if weights is None else weights.clone())
    return weights, update(weights, cells, model, x, d, rate, parameters, STREAM, first)


@each_path
@pytest.mark.parametrize(
    ("rate", "pulse_type", "expected"),
    [
        (0.01, "deterministic_implicit", [[8, 4], [1, 0]]),
        (0.01, "mean_count", [[8, 4], [1, 0]]),
        (0.1, "deterministic_implicit", [[31, 16], [10, 5]]),
        (0.1, "none_with_device", [[80, 40], [10, 5]]),
    ],
)
def test_coincidences_are_the_golden_ones(update, rate, pulse_type, expected):
    model = ConstantStep(dw_min=0.001, **EXACT)
    x, d = torch.tensor([[1.0, 0.5]]), torch.tensor([[-0.8, -0.1]])
    weights, counts = _update(update, model, x, d, rate, UpdateParameters(pulse_type=pulse_type))
    assert np.allclose(weights.numpy() / 0.001, expected, atol=1e-3)
    if pulse_type != "none_with_device":
        assert counts.coincidences_up[0] == np.sum(expected) and counts.coincidences_down[0] == 0


@given(
    strength=st.floats(1e-3, 1e4), x=st.floats(1e-3, 1e2), d=st.floats(1e-4, 1e2), um=st.booleans(), ublm=st.booleans()
)
def test_gains_multiply_to_the_learning_rate_and_only_d_saturates(strength, x, d, um, ublm):
    slots, gain_d, gain_x = train_gains(strength, x, d, 31, um, ublm, True, 1.0)
    assert gain_d * gain_x * slots == pytest.approx(strength, rel=1e-9)
    assert 1 <= slots <= 31
    if ublm:
        assert slots == min(np.ceil(strength * x * d * (1 - 1e-6)), 31)
    if um or ublm:
        assert gain_x * x <= 1 + 1e-6
        if strength * x * d <= 31:
            assert gain_d * d == pytest.approx(gain_x * x, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(DEVICES),
    pulse_type=st.sampled_from(PulseType),
    bl=st.sampled_from([1, 10, 31, 32, 33, 70]),
    managed=st.booleans(),
    fixed=st.booleans(),
    res=st.sampled_from([0.0, 0.1, 7.0]),
    sto_round=st.booleans(),
    rate=st.sampled_from([0.01, -0.05]),
    seed=st.integers(0, 1000),
)
def test_both_paths_agree_to_the_bit(model, pulse_type, bl, managed, fixed, res, sto_round, rate, seed):
    generator = torch.Generator().manual_seed(seed)
    x, d = torch.randn(3, 9, generator=generator), torch.randn(3, 6, generator=generator) * 0.3
    x[1], d[:, 2] = 0.0, 0.0
    rounding = {"res": res, "x_res_implicit": res, "d_res_implicit": res / 2, "sto_round": sto_round}
    parameters = UpdateParameters(bl, managed, managed, pulse_type, fixed, 0.8, **rounding, execution="exact")
    start = torch.randn(6, 9, generator=generator) * 0.3
    (slow, slow_counts), (fast, fast_counts) = (
        _update(u, model, x, d, rate, parameters, start) for u in PATHS.values()
    )
    assert torch.equal(slow, fast)
    for name, column in slow_counts._asdict().items():
        assert np.array_equal(column, getattr(fast_counts, name)), name


@pytest.mark.parametrize("bl", [31, 50])
def test_counts_agree_with_the_weights_they_moved(bl):
    model = ConstantStep(dw_min=0.001, w_max=100, w_min=-100, **EXACT)
    x, d = torch.randn(1, 40), torch.randn(1, 30)
    weights, counts = _update(compiled.update, model, x, d, 0.1, UpdateParameters(bl))
    steps = np.rint(weights.numpy() / 0.001)
    assert steps[steps > 0].sum() == counts.coincidences_up[0]
    assert -steps[steps < 0].sum() == counts.coincidences_down[0]
    assert counts.slots[0] == bl
    assert counts.active_rows[0] >= (steps != 0).any(1).sum() and counts.active_rows[0] <= counts.row_pulses[0]


def test_a_zero_vector_sends_nothing_and_costs_no_slots():
    x, d = torch.zeros(2, 4), torch.ones(2, 3)
    weights, counts = _update(compiled.update, ConstantStep(), x, d, 0.1, UpdateParameters())
    assert not weights.any() and not counts.slots.any() and not counts.row_pulses.any()


def test_mean_and_variance_of_the_change_are_the_closed_form_with_correlated_lines():
    """E = -lr d x^T; Var = BL p (1 - p + sigma^2) dw^2; cells of a line: cov = BL p_1 p_2 (1/p_line - 1) dw^2.

    20,000 pairs; every mean within 4.5 standard errors, variances and covariances within 6 %.
    """
    sigma, dw, rate, bl, pairs = 0.3, 0.001, 0.01, 10, 20_000
    model = ConstantStep(dw_min=dw, **{**EXACT, "dw_min_std": sigma, "w_max": 10.0, "w_min": -10.0})
    x, d = torch.tensor([1.0, 0.5, -0.25]), torch.tensor([-0.6, 0.2])
    parameters = UpdateParameters(bl, False, False)
    cells = model.sample(2, 3, STREAM)
    changes = np.empty((pairs, 2, 3))
    for pair in range(pairs):
        weights = torch.zeros(2, 3)
        compiled.update(weights, cells, model, x[None], d[None], rate, parameters, STREAM, pair)
        changes[pair] = weights.numpy()
    gain = (rate / (dw * bl)) ** 0.5
    p_x, p_d = np.minimum(gain * x.abs().numpy(), 1), np.minimum(gain * d.abs().numpy(), 1)
    p = np.outer(p_d, p_x)
    variance = bl * p * (1 - p + sigma**2) * dw**2
    expected = -rate * np.outer(d.numpy(), x.numpy())
    assert (np.abs(changes.mean(0) - expected) < 4.5 * np.sqrt(variance / pairs) + 1e-9).all()
    assert np.allclose(changes.var(0), variance, rtol=0.06)
    row = bl * p[0, 1] * p[0, 2] * (1 / p_d[0] - 1) * dw**2
    measured = np.cov(changes[:, 0, 1], -changes[:, 0, 2])[0, 1]
    assert measured == pytest.approx(row, rel=0.06)
    column = np.cov(changes[:, 0, 1], -changes[:, 1, 1])[0, 1]
    assert column == pytest.approx(bl * p[0, 1] * p[1, 1] * (1 / p_x[1] - 1) * dw**2, rel=0.06)


def test_every_pulse_is_clipped_at_once():
    """Up and down pulses at a bound: clipping after the train would leave the weight at the bound."""
    model = ConstantStep(dw_min=0.1, w_max=0.25, w_min=-0.25, **EXACT)
    x = torch.ones(4, 1)
    d = torch.tensor([[-1.0], [-1.0], [-1.0], [1.0]])
    weights, _ = _update(compiled.update, model, x, d, 0.1, UpdateParameters(1))
    assert float(weights) == pytest.approx(0.15)


@pytest.mark.parametrize("update", PATHS.values(), ids=PATHS)
def test_any_division_of_the_vectors_into_calls_gives_the_same_weights(update):
    model, parameters = SoftBounds(), UpdateParameters(execution="exact")
    x, d = torch.randn(6, 10), torch.randn(6, 8)
    together, _ = _update(update, model, x, d, 0.02, parameters)
    apart = None
    for start in (0, 2, 5):
        part = slice(start, {0: 2, 2: 5, 5: 6}[start])
        apart, _ = _update(update, model, x[part], d[part], 0.02, parameters, apart, first=start)
    assert torch.equal(together, apart)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(compiled, "PARALLEL_WORK", 0)
    x, d = torch.randn(5, 50), torch.randn(5, 40)
    results, threads = [], numba.get_num_threads()
    try:
        for number in {1, threads}:
            numba.set_num_threads(number)
            results.append(_update(compiled.update, ConstantStep(), x, d, 0.05, UpdateParameters())[0])
    finally:
        numba.set_num_threads(threads)
    assert all(torch.equal(results[0], other) for other in results)


@each_path
@pytest.mark.parametrize(("side", "bad"), [("input x", float("nan")), ("error d", float("inf"))])
def test_numbers_that_are_not_finite_are_refused(update, side, bad):
    x, d = torch.ones(2, 3), torch.ones(2, 2)
    (x if side == "input x" else d)[1, 1] = bad
    with pytest.raises(InputError, match=f"the {side} of an update holds NaN or infinite"):
        _update(update, ConstantStep(), x, d, 0.1, UpdateParameters())


def test_wrong_update_parameters_are_refused_by_name():
    with pytest.raises(InputError, match="desired_bl: 0 was given; accepted is an integer >= 1"):
        UpdateParameters(desired_bl=0)
    with pytest.raises(InputError, match="pulse_type: 'mean' is unknown; did you mean 'mean_count'"):
        UpdateParameters(pulse_type="mean")
