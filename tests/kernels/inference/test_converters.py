"""Converters: round trips, ranges, how pairs are filled, and what is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.errors import InputError
from rpusim.kernels.inference import (
    PCM,
    CustomPair,
    DualPair,
    InferenceConfig,
    NPair,
    ReRamCMO,
    SingleDevice,
    SinglePair,
)

# A device that saturates and one that takes over: their difference is proportional to the weight at every node.
TABLES = ((0.0, 0.0, 5e-6, 15e-6, 20e-6), (20e-6, 10e-6, 5e-6, 5e-6, 0.0))
ALL = [
    SinglePair(),
    SinglePair(g_min=2e-6, g_max=40e-6),
    DualPair(),
    DualPair((3.0, 1.0), g_min=1e-6),
    NPair((1.0, 4.0, 0.5)),
    NPair((8.0, 4.0, 2.0, 1.0), g_min=0.5e-6),
    CustomPair(),
    CustomPair(TABLES),
    CustomPair(
        (*TABLES, *CustomPair((tuple(2 * g for g in TABLES[0]), tuple(2 * g for g in TABLES[1]))).tables), (2, 1)
    ),
    SingleDevice(),
    SingleDevice(g_min=0.0, g_max=10e-6),
]


@pytest.mark.parametrize("converter", ALL, ids=repr)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), exponent=st.floats(-5, 3), rows=st.integers(1, 7), zero=st.booleans())
def test_weights_come_back_to_a_millionth_and_conductances_stay_in_range(converter, seed, exponent, rows, zero):
    weights = torch.randn(rows, 9, generator=torch.Generator().manual_seed(seed)) * 10.0**exponent
    if zero:
        weights[0] = 0.0
    fit = converter.fit(weights)
    conductances = converter.conductances(weights, fit)
    assert len(conductances) == converter.devices
    low, high = converter.conductance_range
    for conductance in conductances:
        assert conductance.shape == weights.shape
        assert float(conductance.min()) >= low * (1 - 1e-6) and float(conductance.max()) <= high * (1 + 1e-6)
    back = converter.weights(conductances, fit)
    assert float((back - weights).abs().max()) < 1e-6 * max(float(weights.abs().max()), 1e-7)


@pytest.mark.parametrize("converter", ALL, ids=repr)
def test_a_tile_of_zeros_is_converted_too(converter):
    weights = torch.zeros(3, 4)
    fit = converter.fit(weights)
    assert float(converter.weights(converter.conductances(weights, fit), fit).abs().max()) < 1e-12


def test_a_pair_holds_the_magnitude_on_the_side_of_the_sign():
    plus, minus = SinglePair(g_min=1e-6, g_max=21e-6).conductances(torch.tensor([[0.5, -0.25, 0.0]]), (40e-6,))
    assert (plus * 1e6).tolist()[0] == pytest.approx([21.0, 1.0, 1.0])
    assert (minus * 1e6).tolist()[0] == pytest.approx([1.0, 11.0, 1.0])


def test_the_least_significant_pair_is_filled_first():
    """Significances 3 and 1, 10 microsiemens each: 40 in all; up to 10 in the second pair, the rest in the first."""
    converter = DualPair((3.0, 1.0), g_max=10e-6)
    weights = torch.tensor([[1.0, 0.25, 0.2, -0.625]])
    first, first_minus, second, second_minus = converter.conductances(weights, converter.fit(weights))
    assert (first * 1e6).tolist()[0] == pytest.approx([10.0, 0.0, 0.0, 0.0], abs=1e-5)
    assert (second * 1e6).tolist()[0] == pytest.approx([10.0, 10.0, 8.0, 0.0], abs=1e-5)
    assert (first_minus * 1e6).tolist()[0] == pytest.approx([0.0, 0.0, 0.0, 5.0], abs=1e-5)
    assert (second_minus * 1e6).tolist()[0] == pytest.approx([0.0, 0.0, 0.0, 10.0], abs=1e-5)


def test_a_single_device_goes_from_the_lowest_to_the_highest_weight():
    converter = SingleDevice(g_min=10e-6, g_max=50e-6)
    weights = torch.tensor([[-1.0, 0.0, 3.0]])
    (conductance,) = converter.conductances(weights, converter.fit(weights))
    assert (conductance * 1e6).tolist()[0] == pytest.approx([10.0, 20.0, 50.0])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SinglePair(g_min=30e-6), "g_min: 3e-05 was given with g_max 2.5e-05; accepted is a conductance below"),
        (lambda: SinglePair(g_max=-1.0), "g_max: -1.0 was given"),
        (lambda: NPair(()), "significances: none were given"),
        (lambda: NPair((1.0, 0.0)), "significances: 0.0 was given"),
        (lambda: DualPair((1.0,)), "significances: 1 were given; accepted are 2"),
        (lambda: CustomPair(((0.0, 1e-6),)), "tables: 1 were given for 1 significances"),
        (lambda: CustomPair(((0.0, 1e-6), (0.0, 1e-6, 2e-6))), r"tables: lengths \[2, 3\] were given"),
        (lambda: CustomPair(((0.0, 0.0, 1e-6), (2e-6, 0.0, 0.0))), "tables: at node 0 .* proportional to the weight"),
        (lambda: CustomPair(((0.0, 0.0, -1e-6), (1e-6, 0.0, 0.0))), "tables: -1e-06 was given"),
        (
            lambda: InferenceConfig(converter=SinglePair(g_max=40e-6)),
            "asks for conductances from 0 to 40 uS; accepted ",
        ),
        (
            lambda: InferenceConfig(noise=ReRamCMO(), converter=SinglePair()),
            "converter: single-pair asks for conductances from 0 to 25 uS; accepted with the noise model reram-cmo are",
        ),
        (lambda: InferenceConfig(noise="pcm"), "noise: 'pcm' was given; accepted is a NoiseModel"),
    ],
)
def test_what_cannot_be_converted_is_refused_in_one_sentence(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_a_converter_within_the_range_of_the_model_is_accepted():
    assert InferenceConfig(noise=PCM(g_max=40e-6), converter=SinglePair(g_max=40e-6)).converter.devices == 2
