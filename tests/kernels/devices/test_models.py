"""Devices: golden steps, device-to-device statistics, symmetry points, slow processes, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from rpusim.errors import InputError
from rpusim.kernels import ConstantStep, SoftBounds, UpdateParameters, device, preset
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.devices import (
    KINDS,
    Drift,
    ExpStep,
    PiecewiseStep,
    PowStep,
    PowStepReference,
    SoftBoundsPmax,
    SoftBoundsReference,
)
from rpusim.kernels.devices.presets import DEVICES
from rpusim.kernels.devices.response import mean_device, respond
from rpusim.kernels.tiles.presets import PRESETS

EXACT = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
STREAM = (0, 0, 0)
K_PMAX = 1 - 1.5 ** (-1 / 69)
SOLID = {"gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0, "pow_gamma_dtod": 0.0}


def quiet(kind, **parameters):
    """A device without any variation or noise."""
    known = {field.name for field in dataclasses.fields(KINDS[kind])}
    alike = {name: value for name, value in (EXACT | SOLID).items() if name in known}
    return device(kind, **(alike | {"dw_min": 0.01, "w_max": 1.0, "w_min": -1.0} | parameters))


GOLDEN = [  # (device, one up and one down pulse from each weight)
    (
        quiet("linear-step", gamma_up=0.5, gamma_down=0.25),
        {-0.5: (0.0125, -0.00875), 0.0: (0.01, -0.01), 0.5: (0.0075, -0.01125)},
    ),
    (quiet("soft-bounds", w_min=-0.8), {-0.5: (0.015, -0.00375), 0.0: (0.01, -0.01), 0.5: (0.005, -0.01625)}),
    (
        quiet("soft-bounds-reference", up_down=0.1, w_max=1.25, w_min=-0.75, subtract_symmetry_point=True),
        {-0.5: (0.0136, -0.0036), 0.0: (0.0096, -0.0096), 0.5: (0.0056, -0.0156)},
    ),
    (
        quiet("pow-step", pow_gamma=2.0),
        {-0.5: (0.005625, -0.000625), 0.0: (0.0025, -0.0025), 0.5: (0.000625, -0.005625)},
    ),
    (
        quiet("exp-step"),
        {-0.5: (0.0099637, -0.0092111), 0.0: (0.0098343, -0.0098342), 0.5: (0.0092436, -0.0099652)},
    ),
    (
        quiet("piecewise-step", piecewise_up=[1.5, 1, 0.5], piecewise_down=[0.2, 1, 2]),
        {-0.5: (0.0125, -0.006), 0.0: (0.01, -0.01), 0.5: (0.0075, -0.015)},
    ),
    (quiet("constant-step"), {-0.5: (0.01, -0.01), 0.0: (0.01, -0.01), 0.5: (0.01, -0.01)}),
    # By the formulas of `PowStep` with v = w + 0.1, and of `SoftBoundsPmax`: a fixed share of the way to +-2.
    (
        quiet("pow-step-reference", pow_gamma=2.0, reference_mean=0.1),
        {-0.5: (0.0049, -0.0009), 0.0: (0.002025, -0.003025), 0.5: (0.0004, -0.0064)},
    ),
    (
        SoftBoundsPmax(p_max=69, alpha=math.log(1.5) / 69, range_min=-0.4, range_max=0.4, **{k: 0.0 for k in EXACT}),
        {w: (K_PMAX * (2 - w), -K_PMAX * (2 + w)) for w in (-0.5, 0.0, 0.5)},
    ),
]


def _step(model, cells, weight, up, noise=0.0):
    size = model.step(weight, torch.full_like(weight, noise), *cells.parameters(up))
    return cells.clip(weight + (size if up else -size))


@pytest.mark.parametrize("path", ["torch", "numba"])
@pytest.mark.parametrize(("model", "golden"), GOLDEN, ids=lambda v: getattr(v, "kind", ""))
def test_one_pulse_moves_the_weight_by_the_golden_step(model, golden, path):
    one_pulse = UpdateParameters(1, False, False, "deterministic_implicit")
    start = torch.tensor([list(golden)])
    for column, sign in enumerate((-1, 1)):
        array = DeviceArray(1, 3, model, STREAM, path)
        array.set_weights(start)
        array.pulse(torch.ones(1, 3), torch.ones(1, 1), sign * model.granularity, one_pulse)
        expected = [step[column] for step in golden.values()]
        assert (array.weights - start)[0].tolist() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("error", "change"), [(-1.0, 0.036890190), (1.0, -0.048387975)])
def test_an_asymmetric_exponential_step_takes_as_many_pulses_as_in_ibms_kit(error, change):
    """Learning rate 0.05, x = 1, no variation: executed on AIHWKit 1.1.0; the asymmetry is in the granularity."""
    spreads = ("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod", "dw_min_std", "write_noise_std")
    mean = device("reram-es", **dict.fromkeys(spreads, 0.0))
    implicit = UpdateParameters(desired_bl=100, pulse_type="deterministic_implicit")
    array = DeviceArray(1, 1, mean, (0,), "numba")
    array.pulse(torch.ones(1, 1), torch.full((1, 1), error), 0.05, implicit)
    assert float(array.weights) == pytest.approx(change, abs=1e-8)


def test_the_golden_granularity_of_an_exponential_step():
    assert quiet("exp-step").granularity == pytest.approx(0.00983424, abs=6e-9)


@pytest.mark.parametrize(("up_down", "up", "down"), [(0.2, 1.0, 0.8), (-0.2, 0.8, 1.0), (0.0, 1.0, 1.0)])
def test_systematic_asymmetry_shrinks_one_side_only(up_down, up, down):
    model = ConstantStep(up_down=up_down, **EXACT)
    cells = model.sample(2, 2, STREAM)
    assert torch.allclose(cells.parameters(True)[0], torch.tensor(up * model.dw_min))
    assert torch.allclose(cells.parameters(False)[0], torch.tensor(down * model.dw_min))


def test_noise_can_reverse_a_pulse():
    model = ConstantStep(dw_min=0.01, **EXACT)
    assert float(_step(model, model.sample(1, 1, STREAM), torch.zeros(1, 1), True, noise=-3.0)) == pytest.approx(-0.02)


def test_multiplicative_and_additive_noise_differ_away_from_zero():
    for multiplicative, expected in ((True, 0.5 * 0.01 * 1.3), (False, 0.01 * (0.5 + 0.3))):
        model = SoftBounds(dw_min=0.01, w_max=1, w_min=-1, mult_noise=multiplicative, **EXACT)
        start = torch.full((1, 1), 0.5)
        assert float(_step(model, model.sample(1, 1, STREAM), start, True, 0.3) - start) == pytest.approx(
            expected, rel=1e-4
        )


@pytest.mark.parametrize("log_normal", [False, True])
def test_device_to_device_moments_are_those_asked_for(log_normal):
    model = ConstantStep(
        dw_min_dtod=0.2, dw_min_dtod_log_normal=log_normal, up_down_dtod=0.05, w_max_dtod=0.1, w_min_dtod=0.15
    )
    cells = model.sample(300, 300, STREAM)
    up, down = (cells.parameters(u)[0].numpy().ravel().astype(float) / model.dw_min for u in (True, False))
    gain, asymmetry = (up + down) / 2, (up - down) / 2
    mean, deviation = (np.exp(0.02), np.exp(0.02) * np.sqrt(np.exp(0.04) - 1)) if log_normal else (1.0, 0.2)
    n = up.size
    assert gain.mean() == pytest.approx(mean, abs=4 * deviation / n**0.5)
    assert gain.std() == pytest.approx(deviation, rel=0.02)
    assert asymmetry.mean() == pytest.approx(0, abs=4 * 0.05 / n**0.5)
    assert asymmetry.std() == pytest.approx(0.05, rel=0.01)
    assert abs(np.corrcoef(gain, asymmetry)[0, 1]) < 4 / n**0.5
    for bound, spread, centre in ((cells.bound_max, 0.1, 0.6), (cells.bound_min, 0.15, -0.6)):
        assert float(bound.mean()) == pytest.approx(centre, abs=4 * 0.6 * spread / n**0.5)
        assert float(bound.std()) == pytest.approx(0.6 * spread, rel=0.02)


def test_consistency_makes_steps_positive_and_bounds_enclose_zero():
    wild = {"dw_min_dtod": 1.5, "w_max_dtod": 1.5, "w_min_dtod": 1.5}
    cells = ConstantStep(**wild).sample(50, 50, STREAM)
    assert (cells.pulse[..., 2:] >= 0).all() and (cells.bound_min <= 0).all() and (cells.bound_max >= 0).all()
    loose = ConstantStep(enforce_consistency=False, **wild).sample(50, 50, STREAM)
    assert (loose.pulse[..., 2] < 0).any()
    assert (loose.bound_min <= loose.bound_max).all() and (loose.bound_min == loose.bound_max).any()


def test_stuck_cells_have_the_asked_share_and_never_move():
    model = ConstantStep(corrupt_devices_prob=0.2, corrupt_devices_range=0.05)
    cells = model.sample(200, 200, STREAM)
    stuck = cells.bound_min == cells.bound_max
    assert float(stuck.float().mean()) == pytest.approx(0.2, abs=4 * (0.16 / 40000) ** 0.5)
    assert float(cells.bound_min[stuck].abs().max()) <= 0.05
    moved = _step(model, cells, cells.clip(torch.zeros(200, 200)), True)
    assert torch.equal(moved[stuck], cells.bound_min[stuck])


def test_perfect_bias_gives_the_last_column_ideal_steps_and_wide_bounds():
    cells = ConstantStep(perfect_bias=True, corrupt_devices_prob=0.5).sample(20, 5, STREAM)
    assert torch.allclose(cells.pulse[:, -1], torch.tensor([-60.0, 60.0, 0.001, 0.001]))


def test_unequal_constant_steps_run_to_the_bound_of_the_stronger_direction():
    model = ConstantStep(dw_min_std=0.0, up_down=0.3, dw_min=0.01)
    cells = model.sample(5, 5, STREAM)
    assert torch.equal(model.symmetry_point(cells), cells.bound_max)


def test_number_of_states_is_the_range_over_the_step():
    assert preset("rpu-baseline-2016").device.num_states == pytest.approx(1200)
    assert ConstantStep().granularity == 0.001


def _close(sample, mean, deviation):
    """Mean within 4 standard errors, standard deviation within 4 of its standard errors."""
    sample = sample.double().flatten()
    assert float(sample.mean()) == pytest.approx(mean, abs=4 * deviation / len(sample) ** 0.5)
    assert float(sample.std()) == pytest.approx(deviation, rel=4 / (2 * len(sample)) ** 0.5)


def test_spread_of_slopes_of_linear_steps():
    model = quiet("linear-step", gamma_up=0.5, gamma_down=0.3, gamma_up_dtod=0.1, gamma_down_dtod=0.05)
    cells = model.sample(200, 200, STREAM)
    _close(-cells.parameters(True)[1] / 0.01, 0.5, 0.1)
    _close(cells.parameters(False)[1] / 0.01, 0.3, 0.05)


def test_spread_of_slopes_and_reference_of_soft_bounds():
    model = quiet("soft-bounds-reference", slope_up_dtod=0.1, slope_down_dtod=0.05)
    cells = model.sample(200, 200, STREAM)
    _close(1 / cells.bound_max, 1.0, 0.1)
    _close(-1 / cells.bound_min, 1.0, 0.05)
    model = quiet("soft-bounds-reference", reference_mean=0.1, reference_std=0.05)
    cells = model.sample(200, 200, STREAM)
    _close(1 - cells.bound_max, 0.1, 0.05)
    assert torch.allclose(cells.bound_max - cells.bound_min, torch.tensor(2.0))


def test_spread_of_exponents():
    model = quiet("pow-step", pow_gamma=2.0, pow_gamma_dtod=0.1, pow_up_down_dtod=0.05, pow_up_down=0.2)
    cells = model.sample(200, 200, STREAM)
    up, down = (cells.parameters(way)[3] / 2 for way in (True, False))
    _close((up + down) / 2, 0.9, 0.1)
    _close((up - down) / 2, 0.1, 0.05)


def test_spread_of_reset_lifetime_diffusion_and_drift():
    slow = {"reset": 0.1, "reset_dtod": 0.02, "lifetime": 10.0, "lifetime_dtod": 0.05, "diffusion": 0.1}
    model = quiet("exp-step", **slow, diffusion_dtod=0.1, drift=Drift(0.05, nu_dtod=0.2))
    cells = model.sample(200, 200, STREAM)
    _close(cells.target, 0.1, 0.02)
    _close(1 / (1 - cells.decay), 10.0, 0.5)
    _close(cells.diffusion, 0.1, 0.01)
    _close(cells.drift, 0.05, 0.01)


def test_the_pulse_curve_of_soft_bounds_is_the_one_it_is_given_by():
    model = dataclasses.replace(SoftBoundsPmax(p_max=200, alpha=0.01, range_min=-0.5, range_max=1.0), dw_min_std=0.0)
    found = respond(model, 400, cells=0).mean
    span = 1.5 / (1 - math.exp(-2))
    assert (model.w_min, model.w_max) == (pytest.approx(1 - span), pytest.approx(span - 0.5))
    cells = mean_device(model).sample(1, 1, STREAM)
    weight, silent = torch.full((1, 1), -0.5), torch.zeros(1, 1)
    for pulse in range(1, 201):
        weight = weight + model.step(weight, silent, *cells.parameters(True))
        assert float(weight) == pytest.approx(span * (1 - math.exp(-0.01 * pulse)) - 0.5, abs=1e-5)
    assert float(weight) == pytest.approx(1.0, abs=1e-5)
    assert float(found[0]) == pytest.approx(model.w_min)


def test_a_reference_shifts_bounds_target_and_symmetry_point_together():
    model = quiet("soft-bounds-reference", up_down=0.3, reset=0.05, reference_mean=0.1, subtract_symmetry_point=True)
    cells = model.sample(1, 1, STREAM)
    point = (1 - 0.7) / (1 + 0.7)
    assert float(cells.bound_max) == pytest.approx(1 - 0.1 - point)
    assert float(cells.bound_min) == pytest.approx(-1 - 0.1 - point)
    assert float(cells.target) == pytest.approx(0.05 - 0.1)
    assert float(model.symmetry_point(cells)) == pytest.approx(-0.1, abs=1e-6)
    array = DeviceArray(1, 1, model, STREAM, "torch")
    array.set_weights(torch.full((1, 1), -5.0))
    assert float(array.weights) == pytest.approx(-1 - 0.1 - point)


@pytest.mark.parametrize("kind", ["soft-bounds-reference", "pow-step-reference"])
def test_zero_is_the_symmetry_point_where_it_is_subtracted(kind):
    model = device(kind, up_down=0.2, subtract_symmetry_point=True)
    cells = model.sample(30, 30, STREAM)
    assert float(model.symmetry_point(cells).abs().max()) < 1e-5


def test_found_symmetry_points_are_those_of_the_closed_form():
    """A power step with exponent 1 has linear steps that vanish at both bounds: the root is known."""
    model = device("pow-step", pow_gamma_dtod=0.0, dw_min_dtod=0.3, up_down_dtod=0.2)
    cells = model.sample(30, 30, STREAM)
    (up, top, *_), (down, bottom, *_) = cells.parameters(True), cells.parameters(False)
    expected = (up * top + down * bottom) / (up + down)
    assert torch.allclose(model.symmetry_point(cells), expected, atol=2e-6)


def test_a_reversed_direction_shrinks_towards_the_other_bound():
    model = quiet("linear-step", gamma_up=0.5, gamma_down=0.25, reverse_up=True, reverse_down=True, reverse_offset=0.25)
    cells = model.sample(1, 1, STREAM)
    at = torch.full((1, 1), 0.5)
    up, down = (float(model.step(at, torch.zeros(1, 1), *cells.parameters(way))) for way in (True, False))
    assert up == pytest.approx(0.01 * (1 + 0.5 * 0.5 / 1.25)) and down == pytest.approx(0.01 * (1 - 0.25 * 0.5 / 1.25))


def test_complex_noise_has_a_floor_and_grows_with_the_weight():
    model = quiet("exp-step", dw_min_std_add=0.004, dw_min_std_slope=0.02)
    cells = model.sample(1, 1, STREAM)
    at = torch.full((1, 1), -0.5)
    silent = float(model.step(at, torch.zeros(1, 1), *cells.parameters(False)))
    noisy = float(model.step(at, torch.full((1, 1), 0.5), *cells.parameters(False)))
    assert noisy - silent == pytest.approx(0.5 * (silent + 0.004 + 0.02 * 0.5), rel=1e-5)


def test_a_response_starts_at_the_lower_bound_and_comes_back():
    model = DEVICES["ecram"].device
    found = respond(model, 700, cells=3)
    assert found.mean.shape == (1401,) and found.cells.shape == (3, 1401)
    assert float(found.mean[0]) == found.bound_min == pytest.approx(-0.8276)
    assert int(found.mean.argmax()) == 700 and (found.mean[:701].diff() > 0).all()
    assert found.up_step == pytest.approx(0.002) and found.symmetry_point == pytest.approx(0.0, abs=1e-6)
    assert torch.equal(respond(model, 700, cells=1).mean, found.mean)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dw_min", 0.0),
        ("dw_min", float("nan")),
        ("w_min", 0.5),
        ("up_down", 2),
        ("corrupt_devices_prob", 1.5),
        ("dw_min_std", "x"),
    ],
)
def test_impossible_parameters_are_refused_by_name(field, value):
    with pytest.raises(InputError, match=rf"{field}: {value!r} was given; accepted is a number"):
        ConstantStep(**{field: value})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PiecewiseStep(piecewise_up=[1, 2]), "piecewise_down: 1 numbers were given; accepted are 2"),
        (lambda: PiecewiseStep(piecewise_up="12"), "piecewise_up: '12' was given; accepted is a list"),
        (lambda: PiecewiseStep(piecewise_up=[0], piecewise_down=[1]), r"piecewise_up\[0\]: 0.0 was given"),
        (lambda: PowStep(pow_gamma=-1), "pow_gamma: -1 was given"),
        (lambda: ExpStep(gamma_up=1e4), r"exponent gamma_up \* b: 2425.0 was given"),
        (lambda: SoftBounds(reverse_up=True, mult_noise=False), "reverse_up: True was given with mult_noise False"),
        (lambda: SoftBoundsPmax(range_min=1.0), "range_max: 1.0 was given; accepted is a number > range_min, here 1.0"),
        (lambda: SoftBoundsPmax(range_min=0.9, p_max=10_000), "range_min, range_max: 0.9, 1.0 were given"),
        (lambda: device("soft-bounds-pmax", dw_min=0.1), "parameter 'dw_min' is unknown"),
        (lambda: PowStepReference(reference_std=-1), "reference_std: -1 was given"),
        (lambda: SoftBoundsReference(slope_up_dtod=-1), "slope_up_dtod: -1 was given"),
        (lambda: Drift(t_0=0.0), "drift.t_0: 0.0 was given; accepted is a number > 0"),
    ],
)
def test_impossible_parameters_of_one_device_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InputError, match="'constant-stp' is unknown; did you mean 'constant-step'"):
        device("constant-stp")
    with pytest.raises(InputError, match="parameter 'dwmin' is unknown; did you mean 'dw_min'"):
        device("soft-bounds", dwmin=0.1)
    with pytest.raises(InputError, match="did you mean 'gokmen-vlasov'"):
        preset("gokmen-vlassov")


def test_presets_have_sources_and_their_published_numbers():
    assert all(entry.source and entry.name == name for name, entry in {**PRESETS, **DEVICES}.items())
    names = "reram-es reram-sb capacitor ecram ecram-mo idealized gokmen-vlasov pcm reram-array-om reram-array-hfo2"
    names += " cmos-rpu-2017"
    assert set(DEVICES) == set(names.split())
    assert set(DEVICES) - set(PRESETS) == {"pcm"}
    assert device("gokmen-vlasov").dw_min == 0.0016
    assert device("ecram", dw_min_std=0.0) == dataclasses.replace(DEVICES["ecram"].device, dw_min_std=0.0)
    assert preset("rpu-baseline-2016").config.update.desired_bl == 10


@pytest.mark.parametrize(
    ("name", "states", "write_noise"),
    [
        ("reram-es", 1004.3, 0.10125),  # Rasch et al. 2021: about 1000
        ("reram-sb", 1000, 0.112),
        ("capacitor", 400, 0),
        ("ecram", 1000, 0),
        ("cmos-rpu-2017", 1000, 0),  # Li et al. 2018: about 1000 required
        ("ecram-mo", 7089, 0),
        ("idealized", 10000, 0),
        ("gokmen-vlasov", 1250, 0),
        ("pcm", 2 / (0.01 * 3.235), 0),
        ("reram-array-om", 21, 0.13393),
        ("reram-array-hfo2", 4.3, 0.26997),
    ],
)
def test_states_and_write_noise_of_the_presets(name, states, write_noise):
    assert device(name).num_states == pytest.approx(states, rel=0.01)
    assert device(name).write_noise == pytest.approx(write_noise, rel=1e-4)


def test_a_devices_numbers_are_flat():
    assert device("piecewise-step", piecewise_up=[1, 2], piecewise_down=[1, 2]).numbers()["piecewise_up[1]"] == 2.0
    assert "drift.nu" not in device("ecram").numbers()
    assert device("ideal", drift=Drift(0.1)).numbers()["drift.nu"] == 0.1
