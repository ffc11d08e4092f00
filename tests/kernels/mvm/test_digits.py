"""Inputs that come in digits of several bits: each digit is driven by a DAC and converted for itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, IOParameters, Slices
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.mvm.multiply import Lines, multiply

FINE = {"out_noise": 0.0, "out_res": 0.0, "out_bound": 0.0}
DIGITS = {"mv_type": "bit_serial", "noise_management": "none", "bound_management": "none", "digit_bits": 2}
each_path = pytest.mark.parametrize("path", ["torch", "numba"])


def _multiply(x, weights, path="numba", **options):
    io = IOParameters(**options)
    weights, x = torch.as_tensor(weights, dtype=torch.float32), torch.as_tensor(x, dtype=torch.float32)
    return multiply(weights, x, io, Lines.sample(io, *weights.shape, (0,)), (0, 0, 0), 0, None, path)


def _random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@given(bits=st.integers(2, 17), digit=st.integers(1, 16), seed=st.integers(0, 99), sliced=st.booleans())
@settings(max_examples=60, deadline=None)
def test_with_a_fine_converter_digits_add_up_to_the_parallel_input(bits, digit, seed, sliced):
    """Whatever the number of bits of the last digit; there are as many digits as hold all bits."""
    x, weights = _random(5, 12, seed=seed), _random(8, 12, seed=seed + 1)
    common = {**FINE, "inp_res": 1 / (2**bits - 2), "slices": Slices(3, 4, "offset") if sliced else None}
    io = IOParameters(mv_type="bit_serial", digit_bits=digit, **common)
    assert len(io.places) == -(-bits // digit)
    assert io.unsigned == (sliced and (bits - 1) % digit == 0)
    by_digit = _multiply(x, weights, mv_type="bit_serial", digit_bits=digit, **common)
    parallel = _multiply(x, weights, mv_type="one_pass", **common)
    assert torch.allclose(by_digit.y, parallel.y, atol=2e-5)


@each_path
def test_every_digit_is_rounded_by_itself(path):
    """11 of 15 is 3 + 4 x 2, driven with all and with two thirds; a sign alone is left, as there are five bits.

    On a weight of 0.36 they are read as 0.36 and 0.24; at steps of 0.4 as 0.4 and 0.4. Three is a digit of 1.
    """
    options = {**DIGITS, "out_noise": 0.0, "inp_res": 1 / 30, "out_bound": 2.0}
    for step, low, high in ((0.01, 0.36, 0.24), (0.4, 0.4, 0.4)):
        y = _multiply([[11 / 15]], [[0.36]], path, out_res=step / 4, **options).y
        assert float(y) == pytest.approx((3 * low + 12 * high) / 15, rel=1e-5)


@each_path
def test_the_last_digit_is_driven_with_its_sign_where_it_has_more_bits(path):
    """-5 of 7 is 1011, or 3 - 4 x 2: on a weight of 0.6 that clips at 0.5 the first digit gives 0.5, the last -0.4."""
    y = _multiply([[-5 / 7]], [[0.6]], path, **{**DIGITS, **FINE, "inp_res": 1 / 14, "out_bound": 0.5}).y
    assert float(y) == pytest.approx((3 * 0.5 - 12 * 0.4) / 7, rel=1e-6)


@each_path
@pytest.mark.parametrize(("digit", "deviation"), [(1, 85**0.5), (2, (3**2 + 12**2) ** 0.5), (3, (7**2 + 56**2) ** 0.5)])
def test_noise_of_a_conversion_weighs_as_its_digit_does(path, digit, deviation):
    """Seven steps and a sign: 1, 2, 4 and 8; 3 and 12; 7 and 56 sevenths of the noise of a conversion."""
    options = {**DIGITS, "digit_bits": digit, "inp_res": 1 / 14, "out_res": 0.0, "out_bound": 0.0, "out_noise": 0.01}
    y = _multiply(torch.zeros(4000, 2), torch.ones(3, 2), path, **options).y
    assert float(y.std()) == pytest.approx(0.01 * deviation / 7, rel=0.03)


@each_path
def test_digits_that_are_not_zero_are_counted(path):
    """7 is 0111, digits 3 and 1; -1 is 1111, 3 and -1; -4 is 1100, 0 and -1."""
    done = _multiply([[1.0, 0.0, -1 / 7], [-4 / 7, 0.0, 0.0]], _random(2, 3), path, **{**DIGITS, "inp_res": 1 / 14})
    assert done.set_bits.tolist() == [4, 1]


@each_path
def test_errors_and_slices_of_a_chopped_array_come_in_digits_too(path):
    io = IOParameters(mv_type="bit_serial", digit_bits=2, inp_res=1 / 14, out_noise=0.01, out_res=0.0, out_bound=0.0)
    tile = AnalogTile(2000, 3, AnalogConfig(forward=io, backward=io), path=path)
    noise = (3**2 + 12**2) ** 0.5 / 7 * 0.01
    assert float(tile.forward(torch.tensor([[1.0, 0.0, 0.0]])).std()) == pytest.approx(noise, rel=0.07)
    errors = torch.zeros(700, 2000)
    errors[:, 0] = 1.0
    assert float(tile.backward(errors).std()) == pytest.approx(noise, rel=0.07)
    weights = _random(2000, 3)
    seen = Reader(io, 2000, 3, (0, 1), by_columns=True).read(weights, [1], 5, path)[0]
    assert float((seen - weights[:, 1]).std()) == pytest.approx(noise, rel=0.07)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"digit_bits": 2}, "digit_bits: 2 was given with mv_type 'one_pass'; accepted is 1, or any with 'bit_serial'"),
        ({"mv_type": "bit_serial", "digit_bits": 0}, "digit_bits: 0 was given"),
    ],
)
def test_digits_that_mean_nothing_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        IOParameters(**options)
