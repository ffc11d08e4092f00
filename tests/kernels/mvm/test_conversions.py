"""Bits of inputs and slices of weights: each is converted for itself, then all are put together digitally."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, IOParameters, Slices
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.mvm import compiled_conversions, conversions
from rpusim.kernels.mvm.multiply import Lines, multiply
from rpusim.kernels.mvm.slices import cut, merged
from rpusim.kernels.mvm.wires import Wires

FINE = {"out_noise": 0.0, "out_res": 0.0, "out_bound": 0.0}
"""A converter without error."""
SERIAL = {"mv_type": "bit_serial", "noise_management": "none", "bound_management": "none"}
ENCODINGS = ["signed", "offset", "flipped"]
each_path = pytest.mark.parametrize("path", ["torch", "numba"])


def _multiply(x, weights, path="numba", first=0, **options):
    io = IOParameters(**options)
    weights, x = torch.as_tensor(weights, dtype=torch.float32), torch.as_tensor(x, dtype=torch.float32)
    return multiply(weights, x, io, Lines.sample(io, *weights.shape, (0,)), (0, 0, 0), first, None, path)


def _random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


SLICES = st.none() | st.builds(Slices, st.integers(2, 5), st.integers(1, 4), st.sampled_from(ENCODINGS))
PERIPHERY = st.fixed_dictionaries(
    {
        "noise_management": st.sampled_from(["none", "abs_max", "max", "constant"]),
        "bound_management": st.sampled_from(["none", "iterative"]),
        "inp_res": st.sampled_from([1 / 2, 1 / 30, 1 / 126, 1 / 65534]),
        "out_bound": st.sampled_from([0.0, 0.5, 2.0, 12.0]),
        "out_res": st.sampled_from([0.0, 1 / 14, 1 / 510]),
        "inp_noise": st.sampled_from([0.0, 0.05]),
        "out_noise": st.sampled_from([0.0, 0.1]),
        "out_noise_std": st.sampled_from([0.0, 0.3]),
        "inp_sto_round": st.booleans(),
        "out_sto_round": st.booleans(),
        "inp_asymmetry": st.sampled_from([0.0, 0.1]),
        "out_asymmetry": st.sampled_from([0.0, 0.1]),
        "bm_test_negative_bound": st.booleans(),
        "wires": st.sampled_from([None, Wires(1e-5, 40, 80), Wires(3e-3, 40, 80), Wires(1.0, 17, 80)]),
        "out_scale": st.sampled_from([1.0, 3.0]),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    options=PERIPHERY,
    slices=SLICES,
    serial=st.booleans(),
    digit=st.integers(1, 5),
    seed=st.integers(0, 1000),
    turned=st.booleans(),
)
def test_both_paths_agree_with_all_noise(options, slices, serial, digit, seed, turned):
    """They share the matrix product and the random numbers and do the same operations: equal to the bit."""
    if slices is None:
        serial = True
    weights, x = _random(11, 17, seed=seed), _random(5, 11 if turned else 17, seed=seed + 1)
    weights = weights.t() if turned else weights
    x[2] = 0.0
    options = {**options, "mv_type": "bit_serial" if serial else "one_pass", "slices": slices}
    options |= {"digit_bits": digit} if serial else {}
    assert compiled_conversions.covers(IOParameters(**options))
    slow, fast = (_multiply(x, weights, path, seed, **options) for path in ("torch", "numba"))
    assert np.array_equal(slow.passes, fast.passes) and np.array_equal(slow.active, fast.active)
    assert torch.equal(slow.y, fast.y)
    assert np.array_equal(slow.set_bits, fast.set_bits) if serial else slow.set_bits is fast.set_bits is None


@pytest.mark.parametrize("effect", [{"ir_drop": 0.5}, {"w_noise": 0.1, "w_noise_type": "pcm_read"}, {"r_series": 0.1}])
def test_what_changes_the_analog_sum_itself_takes_the_torch_path(effect):
    options = {"mv_type": "bit_serial", "slices": Slices(3, 2), **effect}
    assert not compiled_conversions.covers(IOParameters(**options))
    assert not compiled_conversions.covers(IOParameters(mv_type="one_pass"))
    assert not compiled_conversions.covers(IOParameters(is_perfect=True, mv_type="bit_serial"))
    x, weights = _random(3, 6), _random(4, 6, seed=1)
    assert torch.equal(_multiply(x, weights, "numba", **options).y, _multiply(x, weights, "torch", **options).y)


@given(seed=st.integers(0, 1000), bits=st.integers(2, 16))
@settings(max_examples=30, deadline=None)
def test_with_a_fine_converter_bits_add_up_to_the_parallel_input(seed, bits):
    x, weights = _random(5, 12, seed=seed), _random(8, 12, seed=seed + 1)
    common = {**FINE, "inp_res": 1 / (2**bits - 2)}
    serial = _multiply(x, weights, mv_type="bit_serial", **common)
    parallel = _multiply(x, weights, mv_type="one_pass", **common)
    assert torch.allclose(serial.y, parallel.y, atol=1e-5) and np.array_equal(serial.passes, parallel.passes)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("mv_type", ["one_pass", "bit_serial"])
@given(seed=st.integers(0, 1000), number=st.integers(2, 8), bits=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_with_a_fine_converter_slices_add_up_to_the_weights_at_their_bits(encoding, mv_type, seed, number, bits):
    """The weights of all slices together are even steps, half of which is the largest error."""
    slices, weights, x = Slices(number, bits, encoding), _random(8, 12, seed=seed), _random(5, 12, seed=seed + 1)
    rounded = merged(cut(weights, slices, 6.0), slices)
    step = float(weights.abs().max()) / slices.largest
    assert float((rounded - weights).abs().max()) <= step / 2 * 1.001 + 1e-7
    common = {**FINE, "inp_res": 1 / 254, "mv_type": mv_type}
    sliced, whole = (
        _multiply(x, weights, slices=slices, **common).y,
        _multiply(x, rounded, **common | {"mv_type": "one_pass"}).y,
    )
    assert torch.allclose(sliced, whole, atol=2e-5)


@each_path
def test_every_bit_is_rounded_by_itself(path):
    """0.3 is 3 steps of 0.1, so 5 = 4 + 1 is; at steps of 0.4, where 0.3 rounds to 0.4, every bit is 0.4.

    Minus 5 is 1011 in two's complement: 8 is taken off, 2 and 1 are added.
    """
    options = {**SERIAL, "out_noise": 0.0, "inp_res": 1 / 14, "out_bound": 2.0}
    for step, bit in ((0.1, 0.3), (0.4, 0.4)):
        y = _multiply([[5 / 7], [-5 / 7]], [[0.3]], path, out_res=step / 4, **options).y
        assert y.flatten().tolist() == pytest.approx([5 / 7 * bit, -5 / 7 * bit], rel=1e-6)


@each_path
def test_bits_clip_by_themselves(path):
    """Weights of 0.3 and 0.4 clip at 0.5 where both bits are set, 5 and 4 share the bit of 4."""
    y = _multiply([[5 / 7, 4 / 7]], [[0.3, 0.4]], path, **{**SERIAL, **FINE, "inp_res": 1 / 14, "out_bound": 0.5}).y
    assert float(y) == pytest.approx((4 * 0.5 + 1 * 0.3) / 7, rel=1e-6)


@each_path
def test_every_slice_is_rounded_by_itself(path):
    """The largest weight is 15, or 3 and 3 in cells of two bits; the other is 6, or 1 and 2.

    One level is 1/3: at steps of 0.5 the levels 1, 2, 3 are read as 0.5, 0.5, 1 highest levels.
    """
    options = {"slices": Slices(2, 2), "noise_management": "none", "out_noise": 0.0, "out_bound": 1.0, "out_res": 0.25}
    y = _multiply([[1.0, 0.0], [0.0, 1.0]], [[1.5, 0.6]], path, inp_res=0, **options).y
    assert y.flatten().tolist() == pytest.approx([1.5, 0.1 * 3 * (4 * 0.5 + 0.5)], rel=1e-6)


@each_path
@pytest.mark.parametrize(
    ("options", "deviation"),
    [
        # bits of 63 steps and the sign: sqrt(1 + 4 + ... + 4^6) / 63
        ({"mv_type": "bit_serial"}, sum(4**k for k in range(7)) ** 0.5 / 63),
        # two digits to the base of 8, of which 63 is the largest weight, so a highest level is 7 and 56 sixty-thirds
        ({"mv_type": "one_pass", "slices": Slices(2, 3)}, (7**2 + 56**2) ** 0.5 / 63),
        # 31 is the largest; a unit line is read as one of seven levels and taken off 32 times
        ({"mv_type": "one_pass", "slices": Slices(2, 3, "offset")}, (7**2 + 56**2 + (7 * 32) ** 2) ** 0.5 / 31),
    ],
)
def test_noise_of_conversions_weighs_as_they_do(options, deviation, path):
    """10,000 outputs of zero weights, within 4 standard errors; those of a vector share a unit line, if any."""
    options = {"noise_management": "none", "out_res": 0.0, "out_bound": 0.0, "out_noise": 0.01, **options}
    weights = torch.zeros(100, 4)
    weights[:, 0] = 1.0
    x = torch.zeros(100, 4)
    x[:, 1] = 1.0
    y = _multiply(x, weights, path, **options).y
    independent = 100 if "offset" in str(options.get("slices")) else 10_000
    assert float((y**2).mean().sqrt()) == pytest.approx(0.01 * deviation, rel=4 / (2 * independent) ** 0.5)


@each_path
def test_bits_that_are_not_set_draw_no_current(path):
    """Read noise of the weights is noise of their currents: an input of zero has none, one of a single bit its own."""
    options = {**SERIAL, **FINE, "inp_res": 1 / 14, "w_noise": 0.1, "w_noise_type": "additive_constant"}
    x = torch.zeros(4000, 3)
    assert not _multiply(x, torch.ones(1, 3), path, **options).y.any()
    x[:, 1] = 4 / 7
    y = _multiply(x, torch.ones(1, 3), path, **options).y
    assert float(y.std()) == pytest.approx(0.1 * 4 / 7, rel=0.05)
    x[:, 1] = -1 / 7  # all bits, 1111
    y = _multiply(x, torch.ones(1, 3), path, **options).y
    assert float(y.std()) == pytest.approx(0.1 * 85**0.5 / 7, rel=0.05)


@each_path
def test_bits_that_are_set_are_counted_in_every_pass(path):
    """7 is 0111, -1 is 1111 and -2 is 1110; the second vector clips once, the last is skipped."""
    options = {**FINE, "mv_type": "bit_serial", "inp_res": 1 / 14, "out_bound": 1.0}
    x = [[1.0, 0.0, -1 / 7], [1.0, 1.0, -2 / 7], [0.0, 0.0, 0.0]]
    done = _multiply(x, [[0.6, 0.6, -0.1]], path, **options)
    assert done.passes.tolist() == [1, 2, 0] and done.set_bits.tolist() == [3 + 4, 2 * (3 + 3 + 3), 0]
    log = ActivityLog()
    tile = AnalogTile(1, 3, AnalogConfig(forward=IOParameters(**options)), path=path, log=log)
    tile.forward(torch.tensor(x))
    assert log.take().set_bits.tolist()[0] == 7


class TestEncoding:
    """128 lines of two-bit cells, one bit of the inputs at a time: up to 384 levels."""

    def _error(self, weights, encoding, bits, half=False):
        codes = 2**bits - 1 if encoding != "signed" else 2 ** (bits - 1) - 1
        step = max(1 / 3, (64 if half else 128) / codes)
        options = {"slices": Slices(8, 2, encoding), "mv_type": "bit_serial", "inp_res": 1 / 65534, "out_noise": 0.0}
        bound = step * codes
        x = _random(50, 128, seed=3)
        y = _multiply(x, weights, **options, out_bound=bound, out_res=step / (2 * bound)).y
        exact = x.double() @ weights.double().t()
        return float((y - exact).pow(2).mean().sqrt() / exact.pow(2).mean().sqrt())

    @pytest.mark.parametrize("level", [None, 1.0, -1.0, 0.5, 0.999])
    def test_flipped_slices_are_exact_with_one_bit_less(self, level):
        """Whatever the weights; also where all are as large as can be, and all inputs see the highest levels."""
        weights = _random(16, 128) if level is None else torch.full((16, 128), level)
        weights[0] = _random(128, seed=9)
        assert self._error(weights, "flipped", 8, half=True) < 1e-4
        assert self._error(weights, "offset", 9) < 1e-4

    def test_without_the_encoding_eight_bits_are_not_enough(self):
        assert self._error(_random(16, 128), "offset", 8) > 0.05
        assert self._error(_random(16, 128), "flipped", 7, half=True) > 0.05

    def test_slices_are_flipped_where_their_largest_sum_is_beyond_the_range_and_the_complement_is_less(self):
        """Rows of +1 hold v = 65535: 384 levels in every slice; rows of -1 hold v = 1: the lowest slice has 128."""
        weights = torch.ones(3, 128)
        weights[1] = -1.0
        weights[2, 64:] = -1.0  # 64 x 3 levels in all slices, and 64 x 1 in the lowest: 256 of 255 in that one
        slices = Slices(8, 2, "flipped")
        cells = cut(weights, slices, 255 / 3)
        assert cells.flipped[:, 0].all() and not cells.flipped[:, 1].any()
        assert cells.flipped[:, 2].tolist() == [True] + [False] * 7
        assert not cells.levels[:, 0].any()
        assert torch.equal(merged(cells, slices), weights)
        assert float(cells.levels.sum(2).max()) <= 255 / 3 + 1e-4
        assert not cut(weights, slices, 128.0).flipped.any()
        assert not cut(weights, Slices(8, 2, "offset"), 255 / 3).flipped.any()

    @each_path
    def test_sums_below_the_range_of_a_converter_that_begins_at_zero_are_noise_and_no_overload(self, path):
        """Half of the noise of an empty line is cut off: its mean is sigma / sqrt(2 pi)."""
        options = {"slices": Slices(2, 2, "offset"), "mv_type": "bit_serial", "inp_res": 1 / 2, "out_res": 0.0}
        noisy = {**options, "out_noise": 0.1, "out_bound": 2.0, "bound_management": "iterative"}
        weights = torch.tensor([[0.0], [-7.0]])  # digits of 8, 0 and 2, and of 1, 1 and 0
        done = _multiply(torch.ones(20_000, 1), weights, path, **noisy)
        assert (done.passes == 1).all()
        tail = 0.1 / (2 * np.pi) ** 0.5
        # an input of 1 is the bits 01; a highest level is worth 3 and 12 in the slices, 24 on the unit line; the second
        # bit, the sign, counts -2, and all its lines are empty; lines at level 1, of 3.3 sigma, are hardly cut off
        of_sign = -2 * (3 + 12 - 24) * tail
        for output, empty in enumerate((3, 12)):
            expected = float(weights[output, 0]) + empty * tail + of_sign
            assert float(done.y[:, output].mean()) == pytest.approx(expected, abs=0.08)


class TestManagement:
    @each_path
    def test_a_bit_that_clips_makes_the_vector_be_read_again_at_half_the_voltage(self, path):
        """Three weights of 0.5 clip at 1 and pass at half of it; half of the number would have had the same bits."""
        options = {**FINE, "mv_type": "bit_serial", "inp_res": 1 / 126, "out_bound": 1.0}
        x = [[1.0, 1.0, 1.0], [1.0, 0.51, 0.0], [0.0, 0.0, 0.0]]  # 63 and 32 of 63 share no bit
        done = _multiply(x, [[0.5, 0.5, 0.5]], path, **options)
        assert done.passes.tolist() == [2, 1, 0]
        assert done.y.flatten().tolist() == pytest.approx([1.5, 0.5 * (1 + 32 / 63), 0.0], rel=1e-6)

    @each_path
    def test_noise_of_a_pass_at_half_the_voltage_weighs_twice(self, path):
        options = {"out_res": 0.0, "mv_type": "bit_serial", "inp_res": 1 / 126, "out_bound": 1.0, "out_noise": 0.01}
        x = torch.ones(4000, 3)
        y = _multiply(x, [[0.5, 0.5, 0.5]], path, **options).y
        assert float(y.std()) == pytest.approx(2 * 0.01 * sum(4**k for k in range(7)) ** 0.5 / 63, rel=0.05)

    @each_path
    def test_slices_of_a_parallel_input_are_read_again_at_half_of_it(self, path):
        options = {**FINE, "slices": Slices(4, 2), "inp_res": 1 / 126, "out_bound": 1.5}
        done = _multiply([[1.0, 1.0], [1.0, 0.0]], [[0.5, 0.5]], path, **options)
        assert done.passes.tolist() == [2, 1]
        assert done.y.flatten().tolist() == pytest.approx([1.0, 0.5], rel=0.02)

    @each_path
    def test_a_vector_with_nan_gives_nan_and_leaves_the_others_alone(self, path):
        x = [[float("nan"), 0.5], [0.5, 0.25]]
        for slices in (None, Slices(3, 2, "flipped")):
            y = _multiply(x, _random(3, 2), path, mv_type="bit_serial", slices=slices).y
            assert bool(torch.isnan(y[0]).all()) and bool(torch.isfinite(y[1]).all())


@each_path
def test_slices_of_a_chopped_array_are_read_bit_by_bit(path):
    """A column read by a vector of a single 1: every bit but the sign is set, and all are noisy."""
    io = IOParameters(mv_type="bit_serial", inp_res=1 / 14, out_noise=0.01, out_res=0.0, out_bound=0.0)
    weights = _random(2000, 3)
    reader = Reader(io, 2000, 3, (0, 1), by_columns=True)
    assert not reader.simple
    errors = reader.read(weights, [1], 5, path)[0] - weights[:, 1]
    assert float(errors.std()) == pytest.approx(0.01 * 85**0.5 / 7, rel=0.07)


def test_blocks_of_vectors_get_the_same_bits(monkeypatch):
    weights, x = _random(20, 150), _random(301, 150, seed=2)
    options = {"mv_type": "bit_serial", "slices": Slices(3, 2), "inp_noise": 0.01, "out_bound": 2.0}
    whole = _multiply(x, weights, **options)
    for path in ("torch", "numba"):
        monkeypatch.setattr(conversions, "_BLOCK_NUMBERS", 1)
        parts = _multiply(x, weights, path, **options)
        assert torch.equal(whole.y, parts.y) and np.array_equal(whole.passes, parts.passes)
        assert int(whole.passes.max()) > 1


@pytest.mark.slow
def test_parallel_loops_give_the_same_bits(monkeypatch):
    weights, x = _random(20, 50), _random(70, 50, seed=2)
    options = {"mv_type": "bit_serial", "slices": Slices(3, 2, "offset"), "inp_noise": 0.01}
    serial = _multiply(x, weights, **options).y
    for loop in (compiled_conversions._BITS, compiled_conversions._READINGS):
        monkeypatch.setattr(loop, "_threshold", 0)
    assert torch.equal(_multiply(x, weights, **options).y, serial)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mv_type": "bit_serial", "inp_res": 0}, "mv_type: 'bit_serial' was given with a continuous input"),
        (
            {"mv_type": "bit_serial", "noise_management": "abs_max_np_sum"},
            "noise_management: 'abs_max_np_sum' was given",
        ),
        (
            {"slices": Slices(), "bound_management": "iterative_worst_case"},
            "bound_management: .* mv_type 'one_pass' and",
        ),
        ({"slices": Slices(), "mv_type": "split_mode"}, "mv_type: 'split_mode' .*'one_pass' and 'bit_serial'"),
        ({"slices": 8}, "slices: 8 was given"),
    ],
)
def test_what_bits_and_slices_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        IOParameters(**options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((17, 2), "17 cells of 2 bits were given; accepted are 2 to 32"),
        ((0, 2), "number: 0 was given"),
        ((2, 2, "twos"), "encoding: 'twos' is unknown"),
    ],
)
def test_wrong_slices_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Slices(*arguments)


def test_arrays_that_learn_by_pulses_have_no_slices_unless_their_cells_are_cut():
    with pytest.raises(InputError, match=r"forward.slices: .* bit-sliced, as a pulse of others moves one cell"):
        AnalogConfig(forward=IOParameters(slices=Slices()))
    with pytest.raises(InputError, match="slices: were given for reads of a cell that learns"):
        Reader(IOParameters(slices=Slices()), 2, 2, (0,), True)
