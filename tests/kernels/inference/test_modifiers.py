"""Weight modifiers, clipping and remapping: closed forms, and moments within 5.5 standard errors."""

import math

import pytest
import torch

from rpusim.errors import InputError
from rpusim.kernels.inference import (
    CLIPS,
    MODIFIERS,
    PCM,
    AddNormal,
    ChannelMaxClip,
    Discretize,
    DoReFa,
    DropConnect,
    FixedClip,
    GaussianClip,
    InferenceConfig,
    MultNormal,
    PCMNoise,
    Poly,
    ProgNoise,
    Remap,
)
from rpusim.kernels.inference.draw import CellDraw

ROWS, COLUMNS = 100, 200
COUNT = ROWS * COLUMNS
SIGMAS = 5.5
WEIGHT = 0.6
"""Of all cells but the first, which is the largest."""


def _weights(value=WEIGHT, largest=2.0):
    weights = torch.full((ROWS, COLUMNS), value)
    weights[0, 0] = largest
    return weights


def _changed(modifier, weights, number=0):
    out = modifier.modified(weights, modifier.largest(weights), CellDraw(ROWS, COLUMNS, (5, number)))
    return out.ravel()[1:].double()


def _accept(sample, mean, deviation):
    assert float(sample.mean()) == pytest.approx(mean, abs=SIGMAS * deviation / math.sqrt(COUNT) + 1e-6)
    assert float(sample.std()) == pytest.approx(deviation, abs=SIGMAS * deviation / math.sqrt(2 * COUNT) + 1e-6)


def _poly(x, coefficients):
    return sum(c * x**k for k, c in enumerate(coefficients))


@pytest.mark.parametrize(
    ("modifier", "deviation"),
    [
        (AddNormal(0.1), 0.1 * 2.0),
        (AddNormal(0.1, assumed_wmax=1.0), 0.1),
        (MultNormal(0.1), 0.1 * WEIGHT),
        (Poly(0.5), 0.5 * 2.0 * _poly(0.3, (0.0105392, 0.0768, -0.046925))),
        (Poly(0.5, (1.0,), assumed_wmax=3.0), 0.5 * 3.0),
        (ProgNoise(), 2.0 * _poly(0.3, (0.26348, 1.9650, -1.1731)) / 25.0),
    ],
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_noise_has_its_deviation_relative_to_the_largest_or_an_assumed_weight(modifier, deviation, sign):
    _accept(_changed(modifier, _weights(sign * WEIGHT)), sign * WEIGHT, deviation)


@pytest.mark.parametrize("modifier", [ProgNoise(5.0), PCMNoise(5.0)])
def test_conductances_are_reflected_and_keep_their_sign(modifier):
    for sign in (1.0, -1.0):
        assert bool((_changed(modifier, _weights(sign * 0.02)) * sign >= 0.0).all())


def test_rounding_takes_halves_away_from_zero():
    weights = torch.tensor([[2.0, 0.05, -0.05, 0.149, -0.15, 0.25]])
    out = Discretize(0.05).modified(weights, 2.0, CellDraw(1, 6, (0,)))
    assert out[0].tolist() == pytest.approx([2.0, 0.1, -0.1, 0.1, -0.2, 0.3])


def test_stochastic_rounding_is_right_on_average():
    out = _changed(Discretize(0.25, sto_round=True), _weights(0.6))  # between 0.5 and 1.0, a fifth above
    assert set(out.tolist()) == {0.5, 1.0}
    _accept(out, 0.6, 0.5 * math.sqrt(0.2 * 0.8))


def test_dorefa_squeezes_by_a_tangent_and_rounds():
    out = _changed(DoReFa(0.1, dorefa_clip=0.6), _weights())
    expected = 0.1 * round(math.tanh(WEIGHT) * 0.6 / math.tanh(2.0) / 0.1)
    assert out.unique().tolist() == pytest.approx([expected])


def test_dropped_weights_are_zero_and_as_many_as_asked_for():
    out = _changed(DropConnect(0.3), _weights())
    dropped = float((out == 0.0).double().mean())
    assert dropped == pytest.approx(0.3, abs=SIGMAS * math.sqrt(0.3 * 0.7 / COUNT))
    assert out[out != 0.0].unique().tolist() == pytest.approx([WEIGHT])


def test_phase_change_noise_is_that_of_programming_drift_spread_and_reading():
    """At 0.3 of g_max after a day: relative variances add up, to the few percent that products of them make."""
    weights, x, seconds = _weights(), 0.3, 86400.0
    sigma = (0.26348 + 1.9650 * x - 1.1731 * x * x) / (25 * x)
    spread = max(min(-0.0125 * math.log(x) - 0.0059, 0.045), 0.008) * math.log((seconds + 20) / 20)
    read = 0.0088 / x**0.65 * math.sqrt(math.log((seconds + 20 + 250e-9) / 500e-9))
    out = _changed(PCMNoise(t_inference=seconds), weights)
    assert float(out.mean()) == pytest.approx(WEIGHT, rel=0.01)
    assert float(out.std()) == pytest.approx(WEIGHT * math.sqrt(sigma**2 + spread**2 + read**2), rel=0.03)
    quiet = PCMNoise(0.0, model=PCM(drift_scale=0.0, read_scale=0.0))
    assert _changed(quiet, weights).tolist() == pytest.approx([WEIGHT] * (COUNT - 1), rel=1e-6)


def test_stuck_devices_are_at_reset_at_the_top_or_anywhere():
    quiet = PCM(drift_scale=0.0, read_scale=0.0)
    modifier = PCMNoise(0.0, prob_at_reset=0.1, prob_at_gmax=0.2, prob_at_random=0.3, model=quiet)
    out = _changed(modifier, _weights(-WEIGHT))
    at = {"reset": out == 0.0, "top": (out + 2.0).abs() < 1e-6, "free": (out + WEIGHT).abs() < 1e-6}
    for name, share in (("reset", 0.1), ("top", 0.2), ("free", 0.4)):
        found = float(at[name].double().mean())
        assert found == pytest.approx(share, abs=SIGMAS * math.sqrt(share * (1 - share) / COUNT)), name
    anywhere = out[~(at["reset"] | at["top"] | at["free"])]
    assert float(anywhere.mean()) == pytest.approx(-1.0, abs=SIGMAS * 2 / math.sqrt(12 * len(anywhere)))


def test_small_weights_may_be_set_to_nothing():
    """0.26348 deviations of programming at zero are 0.0211 of weights up to 2."""
    quiet = PCM(drift_scale=0.0, read_scale=0.0, program_coefficients=(0.26348,))
    out = {w: _changed(PCMNoise(1e-6, zero_thres=1e6, model=quiet), _weights(w)) for w in (0.02, 0.022)}
    assert float(out[0.02].abs().max()) < 1e-6 and float(out[0.022].min()) > 0.0219


@pytest.mark.parametrize("kind", MODIFIERS)
def test_every_modifier_leaves_zeros_alone_or_finite_and_draws_by_place(kind):
    made = MODIFIERS[kind](
        **{"discretize": {"res": 0.1}, "dorefa": {"res": 0.1}, "drop-connect": {"pdrop": 0.5}}.get(
            kind, {"std_dev": 0.1}
        )
    )
    zeros = torch.zeros(6, 9)
    assert torch.equal(made.modified(zeros, made.largest(zeros), CellDraw(6, 9, (1,))), zeros)
    weights = torch.linspace(-1.0, 1.0, 54).reshape(6, 9)
    whole = made.modified(weights, 1.0, CellDraw(6, 9, (1,)))
    block = made.modified(weights[2:5, 3:], 1.0, CellDraw(3, 6, (1,), place=(2, 3)))
    assert torch.equal(whole[2:5, 3:], block)


def test_bounds_of_clipping():
    weights = torch.tensor([[1.0, -3.0], [0.5, 0.5]])
    assert FixedClip(0.7).bound(weights) == 0.7
    assert GaussianClip(2.0).bound(weights) == pytest.approx(2.0 * float(weights.std()))
    assert GaussianClip(2.0, cap=0.1).bound(weights) == 0.1
    assert ChannelMaxClip().bound(weights) == pytest.approx((3.0 + 0.5) / 2)
    assert ChannelMaxClip(cap=1.5).bound(weights) == 1.5
    assert set(CLIPS) == {"fixed", "layer-gaussian", "average-channel-max"}


def test_remapping_fills_the_range_of_every_row_or_of_the_tile():
    weights = torch.tensor([[1.0, -4.0], [0.5, 0.2], [0.0, 0.0]])
    assert Remap().scales(weights).tolist() == [4.0, 0.5, 0.5]
    assert Remap(w_max=2.0).scales(weights).tolist() == [2.0, 0.25, 0.25]
    assert Remap(channelwise=False).scales(weights).tolist() == [4.0, 4.0, 4.0]
    assert Remap(max_scale_range=3.0).scales(weights).tolist() == [1.5, 0.5, 0.5]
    assert Remap(max_scale_range=3.0, max_scale_ref=0.8).scales(weights).tolist() == pytest.approx([2.4, 0.5, 0.5])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: AddNormal(-0.1), "std_dev: -0.1 was given; accepted is a number >= 0"),
        (lambda: Discretize(2.0), "res: 2.0 was given; accepted is a number > 0 and <= 1"),
        (lambda: DropConnect(1.5), "pdrop: 1.5 was given"),
        (lambda: Poly(1.0, ()), "coeffs: none were given"),
        (lambda: PCMNoise(prob_at_reset=0.7, prob_at_gmax=0.7), "the three probabilities add up to 1.4"),
        (lambda: AddNormal(0.1, assumed_wmax=0.0), "assumed_wmax: 0.0 was given"),
        (lambda: FixedClip(0.0), "value: 0.0 was given; accepted is a number > 0"),
        (lambda: Remap(w_max=-1.0), "w_max: -1.0 was given"),
        (lambda: InferenceConfig(modifiers=(0.1,)), "modifiers: 0.1 was given; accepted is a Modifier"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(make, said):
    with pytest.raises(InputError, match=said):
        make()
