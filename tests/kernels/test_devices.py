"""Devices: golden steps, device-to-device statistics, symmetry points, slow processes, and what is refused."""

import numpy as np
import pytest
import torch

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, ConstantStep, LinearStep, SoftBounds, device, preset
from rpusim.kernels.presets import PRESETS

EXACT = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
STREAM = (0, 0, 0)
GOLDEN = [
    (
        LinearStep(
            dw_min=0.01, gamma_up=0.5, gamma_down=0.25, gamma_up_dtod=0, gamma_down_dtod=0, w_max=1, w_min=-1, **EXACT
        ),
        [(-0.5, 0.0125, -0.00875), (0.0, 0.01, -0.01), (0.5, 0.0075, -0.01125)],
    ),
    (
        SoftBounds(dw_min=0.01, w_max=1, w_min=-0.8, **EXACT),
        [(-0.5, 0.015, -0.00375), (0.0, 0.01, -0.01), (0.5, 0.005, -0.01625)],
    ),
    (
        ConstantStep(dw_min=0.01, w_max=1, w_min=-1, **EXACT),
        [(-0.5, 0.01, -0.01), (0.0, 0.01, -0.01), (0.5, 0.01, -0.01)],
    ),
]
DEVICES = [ConstantStep(), LinearStep(gamma_up=0.4, gamma_down=0.7), SoftBounds(), SoftBounds(mult_noise=False)]


def _step(model, cells, weight, up, noise=0.0):
    size = model.step(weight, torch.full_like(weight, noise), *cells.parameters(up))
    return cells.clip(weight + (size if up else -size))


@pytest.mark.parametrize(("model", "rows"), GOLDEN, ids=lambda v: getattr(v, "kind", ""))
def test_one_pulse_moves_the_weight_by_the_golden_step(model, rows):
    cells = model.sample(1, 1, STREAM)
    for weight, up, down in rows:
        start = torch.full((1, 1), weight)
        assert float(_step(model, cells, start, True) - start) == pytest.approx(up, abs=1e-7)
        assert float(_step(model, cells, start, False) - start) == pytest.approx(down, abs=1e-7)


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


@pytest.mark.parametrize("model", [m for m in DEVICES if m.kind != "constant-step"], ids=repr)
def test_alternating_pulses_lead_to_the_symmetry_point(model):
    quiet = type(model)(
        **{
            **model.__dict__,
            "dw_min": 0.02,
            "dw_min_std": 0.0,
            "up_down_dtod": 0.2,
            "w_max_dtod": 0.1,
            "w_min_dtod": 0.1,
        }
    )
    cells = quiet.sample(20, 20, STREAM)
    goal = quiet.symmetry_point(cells)
    for start in (cells.bound_min, cells.bound_max):
        weight = start.clone()
        for _ in range(3000):
            weight = _step(quiet, cells, _step(quiet, cells, weight, True), False)
        after_up = _step(quiet, cells, weight, True)
        nearby = torch.maximum((after_up - weight).abs(), torch.tensor(1e-4))
        assert ((weight - goal).abs() <= 1.01 * nearby).all()


def test_unequal_constant_steps_run_to_the_bound_of_the_stronger_direction():
    model = ConstantStep(dw_min_std=0.0, up_down=0.3, dw_min=0.01)
    cells = model.sample(5, 5, STREAM)
    assert torch.equal(model.symmetry_point(cells), cells.bound_max)


def test_number_of_states_is_the_range_over_the_step():
    assert preset("rpu-baseline-2016").device.num_states == pytest.approx(1200)
    assert ConstantStep().granularity == 0.001


def test_decay_follows_its_closed_form():
    model = ConstantStep(lifetime=5.0, reset=0.1, **EXACT)
    tile = AnalogTile(2, 3, AnalogConfig(device=model))
    tile.set_weights(torch.full((2, 3), 0.5))
    for _ in range(10):
        tile.end_mini_batch()
    assert torch.allclose(tile.get_weights(), torch.tensor((0.5 - 0.1) * 0.8**10 + 0.1), atol=1e-6)


def test_diffusion_walks_with_the_asked_deviation_within_the_bounds():
    model = ConstantStep(diffusion=0.01, **EXACT)
    tile = AnalogTile(100, 100, AnalogConfig(device=model))
    for _ in range(25):
        tile.end_mini_batch()
    assert float(tile.get_weights().std()) == pytest.approx(0.05, rel=0.03)
    assert float(tile.get_weights().abs().max()) <= 0.6


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


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InputError, match="'constant-stp' is unknown; did you mean 'constant-step'"):
        device("constant-stp")
    with pytest.raises(InputError, match="parameter 'dwmin' is unknown; did you mean 'dw_min'"):
        device("soft-bounds", dwmin=0.1)
    with pytest.raises(InputError, match="did you mean 'gokmen-vlasov'"):
        preset("gokmen-vlassov")


def test_presets_have_sources_and_their_published_numbers():
    assert all(entry.source and entry.name == name for name, entry in PRESETS.items())
    assert device("gokmen-vlasov").dw_min == 0.0016
    assert device("ecram", dw_min_std=0.0) == LinearStep(**{**PRESETS["ecram"].device.__dict__, "dw_min_std": 0.0})
    assert preset("rpu-baseline-2016").config.update.desired_bl == 10
