"""Where accuracy is lost: closed forms of signal to noise, each step its own cause, a model that stays as it was."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import rpusim
from rpusim.errors import InputError
from rpusim.kernels import BoundManagement, IOParameters, NoiseManagement, WeightNoise, convert
from rpusim.kernels.inference import GlobalCompensation, InferenceConfig, SinglePair, StateIndependent, drift, program
from rpusim.workloads.waterfall.causes import BOUNDS, CAUSES, CONVERTERS, DEVICE, FLOATING_POINT, NOISE, periphery
from rpusim.workloads.waterfall.divide import divide

BARE = IOParameters(
    inp_res=0.0,
    inp_bound=0.0,
    out_res=0.0,
    out_bound=0.0,
    out_noise=0.0,
    noise_management=NoiseManagement.NONE,
    bound_management=BoundManagement.NONE,
)
"""A periphery that is computed stage by stage, and does nothing."""
SILENT = StateIndependent(program_scale=0.0, drift_scale=0.0, read_scale=0.0)


def cells(forward: IOParameters = BARE, noise: StateIndependent | None = None, **more: Any) -> InferenceConfig:
    return InferenceConfig(
        **{"noise": noise, "compensation": None, "analog_bias": False, "weight_scaling_omega": 1.0}
        | more
        | {"forward": forward}
    )


def small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 5))


def samples(number: int = 60, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    x = torch.randn(number, 12, generator=numbers)
    return x, torch.randint(0, 5, (number,), generator=numbers)


def row(found: Any, cause: str) -> Any:
    return next(each for each in found["causes"] if each["cause"] == cause)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_an_adc_alone_has_six_decibels_a_bit(bits: int) -> None:
    """Uniform within the range -1 to 1: power 1/3; steps of 2 / 2^b: error (2 / 2^b)^2 / 12; the ratio is 2^(2b)."""
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1.0)
    model = convert(network, cells(replace(BARE, out_bound=1.0, out_res=0.5**bits)))
    x = torch.rand(100, 2000, 1, generator=torch.Generator().manual_seed(bits)) * 2 - 1
    found = divide(model, x, torch.zeros(100, 2000, dtype=torch.long), 0.0, draws=1)
    (layer,) = found["layers"]
    assert layer["alone_dB"]["mean"] == pytest.approx(20 * bits * math.log10(2), abs=0.1)
    assert layer["output_dB"] == layer["alone_dB"] and layer["weights_dB"]["mean"] == math.inf


@pytest.mark.parametrize("deviation", [0.1e-6, 0.4e-6])
def test_programming_noise_alone_has_the_power_of_weights_over_that_of_the_noise(deviation: float) -> None:
    """Of a pair one device has its target, and errs by s^2; the other has 0, where half the errors are cut: s^2 / 2."""
    torch.manual_seed(3)
    network = nn.Linear(200, 300, bias=False)
    nn.init.uniform_(network.weight, -1.0, 1.0)
    pair = SinglePair(g_max=25e-6)
    noise = replace(SILENT, program_scale=1.0, program_std=deviation)
    model = convert(network, cells(replace(BARE, is_perfect=True), noise, converter=pair))
    x = torch.randn(100, 200, generator=torch.Generator().manual_seed(4))
    found = divide(model, x, torch.zeros(100, dtype=torch.long), 0.0, draws=3)
    weights = network.weight.detach().double()
    of_weight = 1.5 * (deviation / pair.g_max * float(weights.abs().max())) ** 2
    expected = 10 * math.log10(float((weights**2).mean()) / of_weight)
    (layer,) = found["layers"]
    assert layer["weights_dB"]["mean"] == pytest.approx(expected, abs=0.1)
    # inputs are independent of one another, but errors have a mean, which does not show in them
    assert layer["alone_dB"]["mean"] == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize("forward", [BARE, replace(BARE, is_perfect=True)])
@pytest.mark.parametrize("noise", [None, SILENT])
def test_without_causes_nothing_is_lost_and_no_layer_has_noise(forward: IOParameters, noise: Any) -> None:
    x, y = samples()
    found = divide(convert(small(), cells(forward, noise)), x, y, 0.0, draws=2)
    assert len({each["test_error"] for each in found["causes"]}) == 1
    assert all(each.get("added", 0.0) == 0.0 for each in found["causes"])
    if noise is None:
        three = ("output_dB", "alone_dB", "weights_dB")
        ratios = [layer[ratio]["mean"] for layer in found["layers"] for ratio in three]
        assert ratios == [math.inf] * 6
    else:  # a weight goes through its conductance and back, in 24 bits
        assert all(layer["weights_dB"]["mean"] > 120.0 for layer in found["layers"])


STAGES: dict[str, dict[str, Any]] = {
    "converters": {"inp_res": 1 / 14, "inp_bound": 1.0, "out_res": 1 / 30},
    "noise": {"out_noise": 0.3, "w_noise": 0.1, "w_noise_type": WeightNoise.PCM_READ},
    "bounds": {"out_bound": 0.7},
    "device": {"ir_drop": 2.0, "out_asymmetry": 0.2},
}
NOISES = {"programming": {"program_scale": 3.0}, "drift": {"drift_scale": 2.0, "read_scale": 2.0}}


@settings(max_examples=25, deadline=None)
@given(
    st.sets(st.sampled_from([*STAGES, *NOISES])),
    st.integers(0, 1000),
    st.sampled_from([NoiseManagement.NONE, NoiseManagement.ABS_MAX]),
    st.sampled_from([BoundManagement.NONE, BoundManagement.ITERATIVE]),
)
def test_every_step_adds_its_cause_alone(causes: set[str], seed: int, noise: Any, bound: Any) -> None:
    """A cause that is not there adds nothing; one that is there ends where the model with those so far does."""
    managed = noise is not NoiseManagement.NONE
    io = replace(BARE, noise_management=noise, bound_management=bound, inp_bound=1.0 if managed else 0.0)
    if "converters" in causes and "bounds" not in causes:
        io = replace(io, out_bound=1000.0)  # where nothing clips; a resolution needs a range
    of_cells = SILENT
    x, y = samples(30, seed)
    whole_io = replace(io, **{k: v for name in STAGES if name in causes for k, v in STAGES[name].items()})
    whole_cells = replace(of_cells, **{k: v for name in NOISES if name in causes for k, v in NOISES[name].items()})
    found = divide(convert(small(seed), cells(whole_io, whole_cells), seed=seed), x, y, 1e6, draws=1, seed=seed)
    so_far: set[str] = set()
    for name in [*STAGES, *NOISES]:
        if name not in causes:
            assert name in found["absent"] or row(found, name)["added"] == 0.0
            continue
        so_far.add(name)
        io_now = whole_io if "bounds" in so_far or "bounds" not in causes else None
        if io_now is None:  # the range that does not clip yet, of the same step
            step = whole_io.out_step
            io_now = replace(whole_io, out_bound=4096.0, out_res=step / 8192.0, bound_management=BoundManagement.NONE)
        for other in set(STAGES) - so_far:
            kept = ("inp_bound", "out_bound", "out_res")
            io_now = replace(io_now, **{k: getattr(BARE, k) for k in STAGES[other] if k not in kept})
        model = convert(small(seed), cells(io_now, whole_cells), seed=seed).eval()
        if name in NOISES:
            program(model)
        if name == "drift":
            drift(model, 1e6)
        with torch.no_grad():
            error = float((model(x).argmax(1) != y).float().mean())
        assert row(found, name)["test_error"] == pytest.approx(error, abs=1e-6), (name, causes)


@given(st.floats(0.01, 100.0), st.integers(1, 14), st.booleans())
def test_a_range_that_does_not_clip_keeps_the_step_to_the_bit(bound: float, bits: int, as_number: bool) -> None:
    io = replace(BARE, out_bound=bound, out_res=float(2**bits) if as_number else 1.0 / (2**bits - 2 or 1))
    for cause in (CONVERTERS, NOISE):
        assert periphery(io, cause).out_step == io.out_step
    assert periphery(io, BOUNDS).out_bound == bound and periphery(io, DEVICE) == io
    assert periphery(io, FLOATING_POINT).is_perfect


def test_compiled_loops_and_torch_give_the_same_waterfall() -> None:
    x, y = samples()
    io = replace(IOParameters(), **{k: v for of in STAGES.values() for k, v in of.items()} | {"ir_drop": 0.0})
    noise = StateIndependent()
    found = [divide(convert(small(), cells(io, noise), path=path), x, y, 100.0, draws=2) for path in ("numba", "torch")]
    assert found[0] == found[1]


def test_drift_that_is_the_same_everywhere_is_made_up_for_by_compensation() -> None:
    """Exponents without spread: all conductances fall to (t / t0)^-nu of theirs, and one factor takes that back."""
    noise = replace(SILENT, drift_scale=1.0, nu_std=0.0, nu_mean=0.3)
    config = cells(replace(BARE, is_perfect=True), noise, compensation=GlobalCompensation())
    x, y = samples()
    found = divide(convert(small(), config), x, y, 1e6, draws=1)
    assert row(found, "compensation")["test_error"] == row(found, "floating point")["test_error"]
    assert all(layer["weights_dB"]["mean"] > 100.0 for layer in found["layers"])
    bare = divide(convert(small(), replace(config, compensation=None)), x, y, 1e6, draws=1)
    # what is left of a weight is f = (1e6 / 20 + 1)^-0.3 of it, so that the error is 1 - f
    left = (1e6 / 20 + 1) ** -0.3
    assert bare["layers"][0]["weights_dB"]["mean"] == pytest.approx(-20 * math.log10(1 - left), abs=0.01)
    assert "compensation" not in {each["cause"] for each in bare["causes"]}


def test_a_placed_model_is_given_back_as_it_was_and_its_chip_hears_nothing() -> None:
    x, y = samples()
    pair = [rpusim.place(small(), "reram-512", (12,), device="inference-pcm", seed=5) for _ in range(2)]
    for model in pair:
        drift(model, 3600.0)
        model(x[:4])
    pair[0].train(False)
    found = rpusim.waterfall(pair[0], x.numpy(), y.numpy(), seconds=86400.0, draws=2)
    assert found["causes"][0]["cause"] == CAUSES[0].name
    with torch.no_grad():
        assert torch.equal(pair[0](x), pair[1](x))
    drift(pair[0], 7200.0), drift(pair[1], 7200.0)
    with torch.no_grad():
        assert torch.equal(pair[0](x), pair[1](x))
    assert pair[0].chip.report().document == pair[1].chip.report().document


def test_the_first_draw_is_what_the_model_itself_does() -> None:
    x, y = samples(300)
    config = rpusim.InferenceConfig()
    model = convert(small(), config, seed=7).eval()
    found = rpusim.waterfall(model, x, y, seconds=1e5, draws=1, seed=7)
    drift(model, 1e5)
    with torch.no_grad():
        assert found["causes"][-1]["test_error"] == pytest.approx(float((model(x).argmax(1) != y).float().mean()))


def test_draws_differ_and_their_mean_has_an_interval() -> None:
    x, y = samples(300)
    found = rpusim.waterfall(convert(small(), InferenceConfig()), x, y, seconds=1e5, draws=4)
    last = found["causes"][-1]
    assert last["low"] < last["test_error"] < last["high"]
    assert sum(each.get("added", 0.0) for each in found["causes"]) == pytest.approx(
        last["test_error"] - found["causes"][0]["test_error"]
    )
    assert rpusim.waterfall(convert(small(), InferenceConfig()), x, y, seconds=1e5, draws=4).document == found.document


def test_weights_in_slices_and_inputs_in_bits_are_divided_too() -> None:
    x, y = samples()
    model = rpusim.place(small(), "isaac-2016", (12,), bias="digital")
    found = rpusim.waterfall(model, x, y, draws=1)
    assert "programming" in found["absent"] and "converters" not in found["absent"]
    assert all(30.0 < layer["alone_dB"]["mean"] < 140.0 for layer in found["layers"])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda x, y: rpusim.waterfall(small(), x, y), "has no arrays; accepted"),
        (lambda x, y: rpusim.waterfall(convert(small(), rpusim.AnalogConfig()), x, y), "learn by pulses"),
        (lambda x, y: rpusim.waterfall(convert(small(), cells()), x, y[:-1]), "59 classes for 60 samples"),
        (lambda x, y: rpusim.waterfall(convert(small(), cells()), x, y, draws=0), "draws"),
        (lambda x, y: rpusim.waterfall(convert(small(), cells()), x, y, seconds=-1.0), "seconds"),
        (lambda x, y: rpusim.waterfall(convert(small(), cells()), "x", y), "x: got str"),
        (lambda x, y: rpusim.waterfall(convert(small(), cells()), x, y, draws=1).plot("rows"), "causes, layers"),
    ],
)
def test_what_cannot_be_divided_is_refused_in_a_sentence(make: Any, match: str) -> None:
    x, y = samples()
    with pytest.raises(InputError, match=match):
        make(x, y)


def test_weights_that_take_turns_are_refused() -> None:
    model = rpusim.place(small(), "reram-512", (12,), device="inference-pcm", fit="reload")
    with pytest.raises(InputError, match=r"waterfall: weights take turns .* accepted: weights that stay"):
        rpusim.waterfall(model, *samples())


def test_a_waterfall_shows_itself() -> None:
    x, y = samples()
    found = rpusim.waterfall(convert(small(), InferenceConfig()), np.asarray(x), np.asarray(y), seconds=1e5, draws=2)
    assert str(found).startswith("Where accuracy is lost, 1.16 days after programming")
    assert found.plot().svg.startswith("<svg xmlns") and "dB" in found.plot("layers").svg
    assert "<table" in found._repr_html_() and found._repr_html_().count("<svg") == 2
    assert list(found.to_dataframe()["cause"]) == [each["cause"] for each in found["causes"]]
    assert "alone_dB.mean" in found.to_dataframe("layers")
