"""Noise models against the published curves: what is programmed, how it drifts, what a read sees.

Samples are 100 x 200 devices of one conductance. A mean is accepted within 5.5 standard errors, and so is a standard
deviation, with the standard error of that of a normal sample; with fewer than a thousand checks, the chance that one of
them fails for no reason is below 1e-4. Values at the margin of a clipped range are computed by quadrature.
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from rpusim.errors import InputError
from rpusim.kernels.inference import NOISE_MODELS, PCM, CustomDriftPCM, Hermes, ReRamCMO, ReRamWan2022, StateIndependent
from rpusim.kernels.inference.draw import CellDraw

ROWS, COLUMNS = 100, 200
COUNT = ROWS * COLUMNS
SIGMAS = 5.5
DAY, YEAR = 86400.0, 365 * 86400.0


def _draw(*name):
    return CellDraw(ROWS, COLUMNS, (7, *name))


def _full(microsiemens):
    return torch.full((ROWS, COLUMNS), microsiemens * 1e-6)


def _accept(sample, mean, deviation, kurtosis=3.0):
    """Mean and standard deviation in microsiemens (or without unit)."""
    sample = sample.double().numpy().ravel()
    assert sample.mean() == pytest.approx(mean, abs=SIGMAS * deviation / math.sqrt(COUNT) + 1e-6 * abs(mean))
    error = deviation * math.sqrt((kurtosis - 1.0) / 4.0 / COUNT)
    assert sample.std() == pytest.approx(deviation, abs=SIGMAS * error + 1e-6 * abs(mean))


def _rectified(mean, deviation):
    """Moments of max(mean + deviation xi, 0)."""
    a = mean / deviation
    first = mean * stats.norm.cdf(a) + deviation * stats.norm.pdf(a)
    second = (mean**2 + deviation**2) * stats.norm.cdf(a) + mean * deviation * stats.norm.pdf(a)
    return first, np.sqrt(second - first**2)


def _pcm_sigma(x):
    return 0.26348 + 1.9650 * x - 1.1731 * x * x


def _pcm_nu(x):
    ln = math.log(max(x, 1e-7))
    return min(max(-0.0155 * ln + 0.0244, 0.049), 0.1), min(max(-0.0125 * ln - 0.0059, 0.008), 0.045)


def _hermes(x, number):
    """sigma in microsiemens, mean and standard deviation of nu, Q; at the measured g_max."""
    ln, clip = math.log(max(x, 1e-7)), lambda v, low, high: min(max(v, low), high)
    mean = clip(-0.0387 * ln - 0.0182, 0.0720, 0.13) if x < 0.0945 else -0.0436 * x**2 - 0.0126 * x + 0.0736
    if number == 1:
        sigma = 0.15781817 + 2.32443916 * x - 2.16310839 * x**2 + 0.68841818 * x**3
        std = clip(-0.0120 * ln - 0.0023, 0.0124, 0.04) if x < 0.3039 else -0.0165 * x**2 + 0.0116 * x + 0.0104
        low = clip(-0.0078 * ln + 0.0038, 0.0179, 0.04)
        q = low if x < 0.1591 else 0.0664 * x**3 - 0.1352 * x**2 + 0.0768 * x + 0.0088
    else:
        sigma = 0.16603222 + 4.71806468 * x - 8.48101252 * x**2 + 4.68961419 * x**3
        std = clip(-0.0117 * ln - 0.0057, 0.0091, 0.04) if x < 0.3055 else -0.0118 * x**2 + 0.0093 * x + 0.0073
        low = clip(-0.0117 * ln - 0.0069, 0.015, 0.04)
        q = low if x < 0.16 else 0.0069 * x**3 - 0.0280 * x**2 + 0.0211 * x + 0.0123
    return sigma, mean, std, q


POWER_LAWS = {
    "pcm": (PCM(), 25.0, _pcm_sigma, _pcm_nu),
    "pcm-40": (PCM(g_max=40e-6), 40.0, lambda x: _pcm_sigma(x) * 40 / 25, _pcm_nu),
    "hermes": (Hermes(), 20.7, lambda x: _hermes(x, 2)[0], lambda x: _hermes(x, 2)[1:3]),
    "hermes-1": (
        Hermes(devices_per_sign=1),
        10.35,
        lambda x: _hermes(x, 1)[0],
        lambda x: _hermes(x, 1)[1:3],
    ),
    "state-independent": (StateIndependent(), 25.0, lambda x: 0.2, lambda x: (0.1, 0.05)),
}
SHARES = (0.0, 0.02, 0.1, 0.2, 0.35, 0.5, 0.8, 1.0)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", POWER_LAWS)
def test_programming_errs_by_the_published_polynomial(name, share):
    model, g_max, sigma, _ = POWER_LAWS[name]
    programmed = model.programmed(_full(share * g_max), _draw(1, int(share * 100))) * 1e6
    _accept(programmed, *_rectified(share * g_max, sigma(share)))
    assert float(programmed.min()) >= 0.0


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", POWER_LAWS)
def test_exponents_of_drift_have_the_published_mean_and_spread(name, share):
    """|mean + std xi| is folded; with the spreads here that matters at low conductance only."""
    model, g_max, _, nu = POWER_LAWS[name]
    mean, std = nu(share)
    found = model.frozen(_full(share * g_max), _draw(2, int(share * 100)))
    folded = stats.foldnorm(mean / std, scale=std)
    _accept(found, folded.mean(), folded.std(), kurtosis=float(folded.stats("k")) + 3.0)
    assert float(found.min()) >= 0.0


def test_check_values_of_phase_change_memory():
    model, at = PCM(), lambda g: torch.tensor([g * 1e-6])
    for g, deviation in ((25.0, 1.055), (12.5, 0.953), (0.0, 0.26348)):
        assert float(model.program_deviation(at(g))) * 1e6 == pytest.approx(deviation, abs=5e-4)
    for g, mean, std in ((25.0, 0.049, 0.008), (2.5, 0.060, 0.0227), (0.0, 0.100, 0.045)):
        found = model.exponent(at(g))
        assert [float(v) for v in found] == pytest.approx([mean, std], abs=2e-4)
    read = model.growth(0.0) * model.read_deviation(at(25.0), at(25.0))
    assert float(read) * 1e6 == pytest.approx(0.921, abs=1e-3)


READ = {
    "pcm": lambda x, g: g * min(0.0088 / max(x**0.65, 1e-3), 0.2),
    "pcm-40": lambda x, g: g * min(0.0088 / max(x**0.65, 1e-3), 0.2),
    "hermes": lambda x, g: g * _hermes(x, 2)[3],
    "hermes-1": lambda x, g: g * _hermes(x, 1)[3],
    "state-independent": lambda x, g: g / 25.0,
}


@pytest.mark.parametrize("seconds", [0.0, 1.0, DAY, YEAR])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("name", POWER_LAWS)
def test_reads_see_what_has_drifted_with_noise_that_has_grown(name, share, seconds):
    """From an exact conductance; the drift is averaged over the folded exponents by quadrature, and reads of nearly
    nothing are cut off at 0."""
    model, g_max, _, nu = POWER_LAWS[name]
    t_0, t_read = {"hermes": (300.0, 512e-9), "hermes-1": (200.0, 512e-9)}.get(name, (20.0, 250e-9))
    g = share * g_max
    exponents = model.frozen(_full(g), _draw(3, int(share * 100), int(seconds)))
    seen = model.after(_full(g), exponents, seconds, _draw(4, int(share * 100), int(seconds))) * 1e6
    mean, std = nu(share)
    log = math.log((seconds + t_0) / t_0)
    factor = math.sqrt(math.log((seconds + t_0 + t_read) / (2 * t_read)))

    xi = np.linspace(-8.0, 8.0, 4001)
    share_of = stats.norm.pdf(xi) / stats.norm.pdf(xi).sum()
    drifted = g * np.exp(-np.abs(mean + std * xi) * log)
    mean_read, deviation_read = _rectified(drifted, factor * READ[name](share, drifted))
    first, second = (share_of * mean_read).sum(), (share_of * (mean_read**2 + deviation_read**2)).sum()
    _accept(seen, first, math.sqrt(second - first**2), kurtosis=5.0)


@pytest.mark.parametrize("scale", ["program_scale", "drift_scale", "read_scale"])
@pytest.mark.parametrize("name", ["pcm", "custom-drift-pcm", "hermes", "state-independent", "reram-cmo"])
def test_an_effect_with_scale_0_is_off(name, scale):
    others = {"program_scale", "drift_scale", "read_scale"} - {scale}
    model = NOISE_MODELS[name](**dict.fromkeys(others, 0.0))
    off = NOISE_MODELS[name](**dict.fromkeys({*others, scale}, 0.0))
    target = _full(15.0)
    for kind, exact in ((model, False), (off, True)):
        left = kind.programmed(target, _draw(5))
        seen = kind.after(left, kind.frozen(target, _draw(6)), DAY, _draw(7))
        assert torch.allclose(seen, target, rtol=1e-6) == exact


def test_own_drift_is_interpolated_between_what_was_measured():
    model = CustomDriftPCM(conductances=(0.0, 10e-6, 25e-6), means=(0.1, 0.06, 0.03), deviations=(0.04, 0.01, 0.02))
    for g, *expected in ((0, 0.1, 0.04), (5, 0.08, 0.025), (10, 0.06, 0.01), (17.5, 0.045, 0.015), (25, 0.03, 0.02)):
        assert [float(v) for v in model.exponent(torch.tensor([g * 1e-6]))] == pytest.approx(expected, abs=1e-6)
    _accept(model.frozen(_full(10.0), _draw(8)), 0.06, 0.01)


WAN = {
    1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    DAY: (0.701, 22.086, -50.773, 47.095, -16.458),
    2 * DAY: (0.782, 20.274, -43.507, 37.062, -11.934),
}


@pytest.mark.parametrize("g_max", [40.0, 25.0])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("seconds", WAN)
def test_resistive_memory_of_neurram_scatters_around_its_target(seconds, share, g_max):
    model = ReRamWan2022(g_max=g_max * 1e-6)
    sigma = float(np.polynomial.polynomial.polyval(share, WAN[seconds])) * g_max / 40.0
    target = _full(share * g_max)
    left = model.programmed(target, _draw(9, int(share * 10)))
    if seconds == 1.0:
        _accept(left * 1e6, *_rectified(share * g_max, sigma))
    seen = model.after(left, model.frozen(target, _draw(10)), seconds, _draw(11, int(share * 10)))
    _accept(seen * 1e6, *_rectified(share * g_max, sigma))
    assert abs(np.corrcoef(left.numpy().ravel(), seen.numpy().ravel())[0, 1]) < SIGMAS / math.sqrt(COUNT)


@pytest.mark.parametrize("acceptance", [0.002, 0.02])
@pytest.mark.parametrize("g", [15.0, 40.0, 75.0])
@pytest.mark.parametrize("seconds", [0.0, 1.0, DAY, YEAR])
def test_cmo_hfox_relaxes_downwards_with_the_logarithm_of_time(g, seconds, acceptance):
    """Far from the ends of the range. The read is taken at the relaxed conductance, whose logarithm hardly varies."""
    model = ReRamCMO(acceptance=acceptance)
    constant, slope = {0.002: (0.00081107, 0.00106879), 0.02: (0.0112185391, 0.01129027418)}[acceptance]
    left = model.programmed(_full(g), _draw(12, int(g)))
    _accept(left * 1e6, g, constant + slope * g)
    seen = model.after(left, model.frozen(_full(g), _draw(13)), seconds, _draw(14, int(g), int(seconds)))
    if seconds == 0.0:
        assert torch.equal(seen, left)
        return
    ln = math.log(seconds)
    mean, relaxation = g - 0.08900206 * ln, 0.04201137 * ln + 0.41183342
    read = 0.0277316483 * math.log10(mean) * math.sqrt(math.log((seconds + 1e-6) / 2e-6))
    _accept(seen * 1e6, mean, math.sqrt((constant + slope * g) ** 2 + relaxation**2 + read**2))


def test_cmo_hfox_stays_in_its_range():
    model = ReRamCMO()
    for g in (9.0, 88.2):
        seen = model.after(_full(g), _full(0.0), YEAR, _draw(15)) * 1e6
        assert float(seen.min()) >= 9.0 - 1e-4 and float(seen.max()) <= 88.2 + 1e-4


def test_numbers_belong_to_the_place_and_not_to_the_block_that_is_drawn():
    name = (3, 1, 4)
    whole = CellDraw(6, 9, name)
    block = CellDraw(2, 5, name, place=(3, 4))
    for kind in ("normal", "uniform", "normal"):
        assert torch.equal(getattr(whole, kind)()[3:5, 4:9], getattr(block, kind)())
    assert not torch.equal(CellDraw(6, 9, (3, 1, 5)).normal(), CellDraw(6, 9, name).normal())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PCM(t_0=0.0), "t_0: 0.0 was given; accepted is a number > 0"),
        (lambda: PCM(program_scale=-1), "program_scale: -1 was given"),
        (lambda: Hermes(devices_per_sign=3), "devices_per_sign: 3 was given; accepted are 1 and 2"),
        (lambda: ReRamCMO(acceptance=0.01), "acceptance: 0.01 was given; accepted are 0.002 and 0.02"),
        (lambda: CustomDriftPCM(means=(0.1,)), "means: 1 were given with 2 conductances"),
        (lambda: CustomDriftPCM(conductances=(1e-6, 0.0)), "accepted are rising conductances"),
        (lambda: ReRamWan2022().check_time(5.0), "seconds: 5.0 was given; .* 1, 86400 and 172800 seconds"),
        (lambda: ReRamCMO().check_time(0.5), "seconds: 0.5 was given; .* accepted are 0 and times from 1 on"),
        (lambda: PCM().check_time(-1.0), "seconds: -1.0 was given; accepted is a number >= 0"),
        (lambda: PCM().check_time(float("nan")), "seconds: nan was given"),
    ],
)
def test_what_no_model_covers_is_refused_in_one_sentence(make, said):
    with pytest.raises(InputError, match=said):
        make()
