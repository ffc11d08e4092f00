"""Analog multiplication: golden outputs, management of noise and bounds, statistics, and equality of both paths."""

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, IOParameters
from rpusim.kernels.mvm import compiled
from rpusim.kernels.mvm.compiled import covers
from rpusim.kernels.mvm.multiply import Lines, multiply, noise_factor
from rpusim.kernels.mvm.specification import statistics
from rpusim.kernels.mvm.wires import Wires

W = torch.tensor([[0.5, -0.25], [0.9, 0.8]])
QUIET = {"out_noise": 0.0}
SMOOTH = {**QUIET, "inp_res": 0.0, "out_res": 0.0}
each_path = pytest.mark.parametrize("path", ["torch", "numba"])


def _multiply(x, io, path="torch", weights=W, first=0, average=None):
    lines = Lines.sample(io, *weights.shape, (0, 0, 0))
    return multiply(weights, torch.as_tensor(x, dtype=torch.float32), io, lines, (0, 0, 0), first, average, path)


GOLDEN = {
    "defaults": ((0.3, -0.7), QUIET, (0.32941177, -0.29647061)),
    "bound management": ((1, 1), {**QUIET, "out_bound": 1}, (0.24313727, 1.67058837)),
    "no management": ((1, 1), {**QUIET, "out_bound": 1, "bound_management": "none"}, (0.25098041, 1.0)),
    "clipped input": ((3, 1), {**SMOOTH, "noise_management": "none"}, (0.25, 1.7)),
    "IR drop": ((1, 0.5), {**SMOOTH, "ir_drop": 1, "ir_drop_g_ratio": 20}, (0.37785760, 1.28148103)),
    "S-shape": ((1, 0.5), {**SMOOTH, "out_nonlinearity": 1, "out_bound": 2}, (0.31578946, 0.78787875)),
    "S-shape calibrated": (
        (1, 0.5),
        {**SMOOTH, "out_nonlinearity": 1, "out_bound": 2, "slope_calibration": 0.5},
        (0.71052629, 1.77272725),
    ),
    "series resistance": ((1, 0.5), {**SMOOTH, "r_series": 0.1}, (0.27459955, 0.88315213)),
    "input asymmetry": ((1, -0.5), {**SMOOTH, "inp_asymmetry": 0.1}, (0.6125, 0.54)),
    "coarse ADC": ((1, -0.5), {**QUIET, "inp_res": 0, "out_res": 1 / 6, "out_bound": 1.5}, (0.5, 0.5)),
    "coarse ADC, two passes": (
        (1, -0.5),
        {**QUIET, "inp_res": 0, "out_res": 1 / 6, "out_bound": 1.5, "mv_type": "pos_neg_separate_digital_sum"},
        (0.5, 0.5),
    ),
}


@each_path
@pytest.mark.parametrize("case", GOLDEN)
def test_outputs_are_the_golden_ones(case, path):
    x, options, expected = GOLDEN[case]
    assert _multiply([x], IOParameters(**options), path).y[0].tolist() == pytest.approx(expected, rel=2e-7)


@each_path
def test_bound_management_halves_the_input_until_nothing_clips(path):
    io = IOParameters(**QUIET, out_bound=0.25)
    x = [[1, 1], [0.1, 0.05], [0, 0]]  # noise management scales the second like (1, 0.5): outputs 0.375 and 1.3
    product = _multiply(x, io, path)
    assert product.passes.tolist() == [4, 4, 0]  # 1.7/8 < 0.25; 1.3/4 > 0.25 > 1.3/8
    assert _multiply(x, IOParameters(**QUIET, out_bound=0.9), path).passes.tolist() == [2, 2, 0]


@each_path
def test_bound_management_stops_at_the_resolution_of_the_input(path):
    product = _multiply([[1, 1]], IOParameters(**QUIET, out_bound=1e-3), path)
    assert product.passes.tolist() == [5]  # r = 1, 2, 4, 8, 16 with a 7-bit DAC
    assert product.y[0].tolist() == pytest.approx([0.016, 0.016])


@each_path
def test_bound_management_stops_at_its_largest_factor(path):
    io = IOParameters(**SMOOTH, out_bound=1e-3, max_bm_factor=3)
    assert _multiply([[1, 1]], io, path).passes.tolist() == [3]


@each_path
def test_worst_case_management_enlarges_alpha_first(path):
    weights = torch.full((1, 100), 0.5)
    io = IOParameters(**SMOOTH, out_bound=12, bound_management="iterative_worst_case")
    product = _multiply(torch.ones(1, 100), io, path, weights)
    assert product.passes.tolist() == [2]  # alpha = 100 * 0.6 / 12 = 5, so the output is 50 / 5 = 10 < 12
    assert float(product.y) == pytest.approx(50, rel=1e-5)


EMPTY = [("abs_max", [0.0, 0.0]), ("average_abs_max", [0.0, 0.0]), ("abs_max_np_sum", [0.0, 0.0]), ("max", [-0.5, 0.0])]


@each_path
@pytest.mark.parametrize(("management", "vector"), EMPTY)
def test_empty_vectors_with_input_noise_are_read_forwards_and_skipped_backwards(management, vector, path):
    """Input noise of an empty vector reaches the array when it is multiplied forwards; an error of zero is nothing."""
    io = IOParameters(inp_noise=0.05, out_noise=0.02, noise_management=management, bound_management="none")
    lines, x = Lines.sample(io, 3, 2, (0,)), torch.tensor([vector, vector])
    for backward in (False, True):
        done = multiply(torch.ones(3, 2), x, io, lines, (0,), 0, torch.full((1,), float("nan")), path, backward)
        assert done.y.any() == (not backward) and done.passes.tolist() == ([0, 0] if backward else [1, 1])


@each_path
def test_without_noise_management_no_vector_is_empty(path):
    io = IOParameters(inp_noise=0.05, noise_management="none", bound_management="none")
    done = multiply(torch.ones(3, 2), torch.zeros(1, 2), io, Lines.sample(io, 3, 2, (0,)), (0,), 0, None, path, True)
    assert done.y.any() and done.passes.tolist() == [1]


@each_path
def test_errors_of_a_tile_that_are_all_zero_come_back_as_zeros_and_take_no_pass(path):
    """Beside one that is not: its gradient is the same, to the bit, as if it were alone."""
    io, log = IOParameters(inp_noise=0.05, out_noise=0.02), ActivityLog()
    tile = AnalogTile(3, 4, AnalogConfig(forward=io, backward=io), path=path, log=log)
    tile.set_weights(torch.rand(3, 4, generator=torch.Generator().manual_seed(1)))
    errors = torch.zeros(3, 3)
    errors[1] = 0.4
    back = tile.backward(errors)
    assert not back[[0, 2]].any() and back[1].all()
    assert log.take().passes.tolist() == [0, 1, 0]


@each_path
def test_an_all_zero_vector_is_skipped_and_gives_exact_zeros(path):
    product = _multiply([[0, 0], [1, 0]], IOParameters(out_noise=1.0), path)
    assert product.y[0].tolist() == [0, 0] and product.passes.tolist() == [0, 1]
    assert product.active.tolist() == [0, 1]
    noisy = _multiply([[0, 0]], IOParameters(noise_management="none"), path)
    assert noisy.passes.tolist() == [1] and noisy.y.abs().max() > 0


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(1, 4), width=st.integers(1, 5), seed=st.integers(0, 99), wants_sums=st.booleans())
def test_statistics_of_both_paths_are_those_of_each_vector_alone(rows, width, seed, wants_sums):
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.integers(-3, 4, (rows, width)) * 0.25 - (seed % 3) * 0.5, dtype=torch.float32)
    for found in (statistics(x, wants_sums), compiled.statistics(x, wants_sums)):
        for number, vector in enumerate(x.tolist()):
            assert found.largest_magnitude[number] == max(abs(value) for value in vector)
            assert found.largest[number] == max(vector)
            assert found.nonzero[number] == sum(value != 0 for value in vector)
            if wants_sums:
                sides = [sum(abs(value) for value in vector if sign * value > 0) for sign in (1, -1)]
                assert found.sum_of_side[number] == max(sides)
        assert (found.sum_of_side is None) == (not wants_sums)


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        ("none", {}, 1.0),
        ("abs_max", {}, 0.8),
        ("abs_max", {"nm_thres": 0.5}, 0.5),
        ("max", {}, 0.4),
        ("constant", {"nm_thres": 2.0}, 2.0),
        ("abs_max_np_sum", {"out_bound": 0.3}, 1.6),
    ],
)
def test_noise_management_divides_by_alpha(mode, options, expected):
    """The DAC's clipping shows alpha: an input of -0.8 comes out as -min(0.8, alpha)."""
    io = IOParameters(**{**SMOOTH, "noise_management": mode, "bound_management": "none", **options})
    x = torch.tensor([[0.4, -0.8]])
    assert noise_factor(io, io.noise_management, statistics(x, True), None)[0] == pytest.approx(expected)


@each_path
def test_average_management_follows_a_running_mean_of_the_maxima(path):
    io = IOParameters(**SMOOTH, noise_management="average_abs_max", nm_decay=0.5)
    state = torch.tensor([float("nan")])
    _multiply([[1, 0], [2, 0], [0, -3]], io, path, average=state)
    assert float(state) == pytest.approx(0.5 * (0.5 * 1 + 0.5 * 2) + 0.5 * 3)


@each_path
def test_output_noise_scales_with_the_input_and_with_each_retry(path):
    """sigma = out_noise * alpha * r: 5 % over 4000 vectors."""
    for bound, retries in ((12.0, 1), (0.03, 2)):
        io = IOParameters(inp_res=0, out_res=0, out_noise=1e-3, out_bound=bound)
        x = torch.tensor([[0.1, 0.0]]).repeat(4000, 1)
        product = _multiply(x, io, path, torch.tensor([[0.05, 0.0]]))
        assert set(product.passes) == {retries}
        assert float(product.y.std()) == pytest.approx(1e-4 * 2 ** (retries - 1), rel=0.05)


def test_two_passes_with_digital_sum_double_the_variance_of_the_noise():
    x = torch.tensor([[0.5, -1.0]]).repeat(4000, 1)
    for kind, factor in (("one_pass", 1), ("pos_neg_separate", 1), ("pos_neg_separate_digital_sum", 2)):
        io = IOParameters(inp_res=0, out_res=0, out_noise=0.1, mv_type=kind)
        assert float(_multiply(x, io).y[:, 0].var()) == pytest.approx(0.01 * factor, rel=0.1)


@pytest.mark.parametrize("x", [[1.0, -0.1], [0.1, -1.0], [-1.0, 0.1]])
def test_a_vector_is_repeated_if_either_of_its_two_passes_clips(x):
    """The larger input gives 0.8 of a bound of 0.5, the other one 0.08."""
    io = IOParameters(**SMOOTH, mv_type="pos_neg_separate_digital_sum", out_bound=0.5)
    product = _multiply([x], io, weights=torch.tensor([[0.8, 0.8]]))
    assert product.passes.tolist() == [2]
    assert product.y.tolist() == [pytest.approx([0.8 * sum(x)])]


@pytest.mark.parametrize(
    ("kind", "expected"), [("additive_constant", 1.25**0.5), ("pcm_read", (0.9 + 0.8 * 0.25) ** 0.5)]
)
def test_read_noise_of_the_weights_is_referred_to_the_output(kind, expected):
    io = IOParameters(**SMOOTH, w_noise=0.1, w_noise_type=kind)
    y = _multiply(torch.tensor([[1.0, 0.5]]).repeat(4000, 1), io).y
    assert float(y[:, 1].std()) == pytest.approx(0.1 * expected, rel=0.05)


def test_voltage_offsets_act_against_the_reference_line():
    """y (1 - v) - 2 v y_ref with y_ref = sum u, for the frozen v of each output."""
    io = IOParameters(**SMOOTH, v_offset_std=0.2)
    lines = Lines.sample(io, 2, 2, (0, 0, 0))
    assert lines.offset is not None and (lines.offset >= 0).all()
    expected = (1 - lines.offset) * torch.tensor([0.375, 1.3]) - 2 * lines.offset * 1.5
    assert torch.allclose(_multiply([[1, 0.5]], io).y[0], expected, atol=1e-6)
    straight = IOParameters(**SMOOTH, v_offset_std=0.2, v_offset_w_min=0.0)
    assert torch.allclose(_multiply([[1, 0.5]], straight).y[0], (1 - lines.offset) * torch.tensor([0.375, 1.3]))


def test_negative_inputs_see_their_own_frozen_weights_in_two_passes():
    io = IOParameters(**SMOOTH, mv_type="pos_neg_separate", w_read_asymmetry_dtod=0.3)
    factor = Lines.sample(io, 2, 2, (0, 0, 0)).negative_weights
    assert factor is not None
    expected = W[:, 0] - 0.5 * (W * factor)[:, 1]
    assert torch.allclose(_multiply([[1, -0.5]], io).y[0], expected, atol=1e-6)


@each_path
def test_input_noise_comes_after_the_clipping_and_is_seen_through_the_weights(path):
    io = IOParameters(**SMOOTH, inp_noise=0.1)
    y = _multiply(torch.tensor([[1.0, 0.0]]).repeat(4000, 1), io, path).y
    assert float(y[:, 1].std()) == pytest.approx(0.1 * (0.9**2 + 0.8**2) ** 0.5, rel=0.05)
    assert float(y[:, 1].max()) > 0.9 * 1.1


@each_path
def test_output_noise_can_differ_from_line_to_line(path):
    io = IOParameters(inp_res=0, out_res=0, out_noise=0.1, out_noise_std=0.5)
    frozen = Lines.sample(io, 2, 2, (0, 0, 0)).noise
    y = _multiply(torch.tensor([[1.0, 0.0]]).repeat(4000, 1), io, path).y
    assert y.std(0).tolist() == pytest.approx(frozen.tolist(), rel=0.05)


@pytest.mark.parametrize(("resolution", "step"), [(1 / 126, 2 / 126), (126, 2 / 126), (1, 2.0), (0, 0.0), (-1, 0.0)])
def test_a_resolution_above_one_is_a_number_of_steps(resolution, step):
    io = IOParameters(inp_res=resolution, out_res=resolution, out_bound=12)
    assert (io.inp_step, io.out_step) == pytest.approx((step, 12 * step))


def test_lines_have_noise_of_their_own_only_where_it_differs():
    for options in ({"out_noise": 0.1, "out_noise_std": 0.0}, {"out_noise": 0.0, "out_noise_std": 0.5}):
        assert Lines.sample(IOParameters(**options), 2, 2, (0, 0, 0)).noise is None


def test_the_loops_cover_weights_without_read_noise_whatever_its_kind():
    assert covers(IOParameters(w_noise=0.0, w_noise_type="pcm_read"))
    assert covers(IOParameters(w_noise=0.1, w_noise_type="none"))
    assert not covers(IOParameters(w_noise=0.1, w_noise_type="pcm_read"))
    for effect in ("out_nonlinearity", "v_offset_std", "r_series", "ir_drop"):
        assert not covers(IOParameters(**{effect: 0.1}))
    assert not covers(IOParameters(mv_type="pos_neg_separate"))
    assert covers(IOParameters(is_perfect=True, mv_type="pos_neg_separate", ir_drop=0.1))


@pytest.mark.slow
def test_parallel_stages_give_the_same_bits(monkeypatch):
    io = IOParameters(inp_noise=0.1, out_bound=2.0)
    x = torch.randn(9, 2)
    serial = _multiply(x, io, "numba").y
    for stage in (compiled._STATISTICS, compiled.INPUTS):
        monkeypatch.setattr(stage, "_threshold", 0)
    monkeypatch.setattr(compiled, "_PARALLEL_WORK", 0)
    assert torch.equal(_multiply(x, io, "numba").y, serial)


@pytest.mark.parametrize(("rows", "columns"), [(16, 26), (256, 785)])
def test_vectors_multiplied_in_blocks_get_the_same_bits(monkeypatch, rows, columns):
    """Also those that clip and are repeated, and in both directions."""
    generator = torch.Generator().manual_seed(1)
    weights, x = torch.randn(rows, columns, generator=generator) * 0.3, torch.randn(1001, columns, generator=generator)
    x[7] = 0.0
    io = IOParameters(inp_noise=0.01, out_bound=2.0)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        for matrix, vectors in ((weights, x), (weights.t(), x[:, :rows].contiguous())):
            monkeypatch.setattr(compiled, "BLOCK_NUMBERS", 1 << 40)
            whole = _multiply(vectors, io, "numba", matrix)
            monkeypatch.setattr(compiled, "BLOCK_NUMBERS", 100)
            parts = _multiply(vectors, io, "numba", matrix)
            assert torch.equal(whole.y, parts.y) and int(whole.passes.max()) > 1
            assert (whole.passes == parts.passes).all() and (whole.active == parts.active).all()
    finally:
        numba.set_num_threads(before)


def test_stochastic_rounding_is_unbiased():
    io = IOParameters(out_noise=0, out_res=0, inp_res=1 / 4, inp_sto_round=True)
    y = _multiply(torch.tensor([[1.0, 0.3]]).repeat(4000, 1), io).y
    assert y.mean(0).tolist() == pytest.approx([0.5 - 0.075, 0.9 + 0.24], abs=0.02)


def test_rounding_is_half_to_even():
    io = IOParameters(out_noise=0, out_res=0, inp_res=0.25, noise_management="none")  # step 0.5
    y = _multiply([[0.25, 0], [0.75, 0], [-0.25, 0]], io, weights=torch.eye(2)).y[:, 0]
    assert y.tolist() == [0.0, 1.0, 0.0]


def test_perfect_periphery_is_the_plain_product():
    x = torch.randn(7, 2)
    assert torch.allclose(_multiply(x, IOParameters(is_perfect=True, out_scale=2.0)).y, 2 * x @ W.t(), atol=1e-6)


PERIPHERY = st.fixed_dictionaries(
    {
        "noise_management": st.sampled_from(
            ["none", "abs_max", "max", "constant", "average_abs_max", "abs_max_np_sum"]
        ),
        "bound_management": st.sampled_from(["none", "iterative", "iterative_worst_case"]),
        "out_bound": st.sampled_from([0.0, 0.5, 2.0, 12.0]),
        "inp_res": st.sampled_from([0.0, 1 / 126, 30.0]),
        "out_res": st.sampled_from([0.0, 1 / 510]),
        "inp_noise": st.sampled_from([0.0, 0.05]),
        "out_noise": st.sampled_from([0.0, 0.1]),
        "out_noise_std": st.sampled_from([0.0, 0.3]),
        "inp_sto_round": st.booleans(),
        "out_sto_round": st.booleans(),
        "inp_asymmetry": st.sampled_from([0.0, 0.1]),
        "out_asymmetry": st.sampled_from([0.0, 0.1]),
        "bm_test_negative_bound": st.booleans(),
        "wires": st.sampled_from([None, Wires(1e-5, 40, 80), Wires(3e-3, 40, 80), Wires(1.0, 17, 80)]),
    }
)


@settings(max_examples=60, deadline=None)
@given(options=PERIPHERY, seed=st.integers(0, 1000), transposed=st.booleans())
def test_both_paths_agree_with_all_noise(options, seed, transposed):
    """The paths share the matrix product and the random numbers and do the same operations: equal to the bit."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(11, 17, generator=generator) * 0.3
    weights = weights.t() if transposed else weights
    x = torch.randn(4, weights.shape[1], generator=generator)
    x[2] = 0.0
    io = IOParameters(**options)
    assert covers(io)
    slow, fast = (
        _multiply(x, io, path, weights, first=seed, average=torch.tensor([float("nan")])) for path in ("torch", "numba")
    )
    assert np.array_equal(slow.passes, fast.passes) and np.array_equal(slow.active, fast.active)
    assert torch.equal(slow.y, fast.y)


BY_BITS = [
    {"mv_type": "bit_wise"},
    {"mv_type": "split_mode"},
    {"mv_type": "split_mode", "split_mode_bit_shift": 2, "full_scale_parts": True},
    {"mv_type": "bit_wise", "full_scale_parts": True, "inp_res": 1 / 100},
]


@pytest.mark.parametrize("options", BY_BITS)
def test_parts_of_an_input_add_up_to_the_whole(options):
    """Without noise and with a fine ADC, to the rounding of float32."""
    generator = torch.Generator().manual_seed(0)
    x, weights = torch.randn(5, 12, generator=generator), 0.3 * torch.randn(8, 12, generator=generator)
    fine = {**QUIET, "out_res": 0.0, "inp_asymmetry": 0.1, "out_bound": 0.0, **options}
    whole = _multiply(x, IOParameters(**{**fine, "mv_type": "one_pass"}), weights=weights)
    parts = _multiply(x, IOParameters(**fine), weights=weights)
    assert torch.allclose(parts.y, whole.y, atol=2e-6)
    assert np.array_equal(parts.passes, whole.passes)


@pytest.mark.parametrize(
    ("options", "weight"),
    [
        ({"mv_type": "bit_wise"}, sum(4**k for k in range(6)) ** 0.5),
        ({"mv_type": "bit_wise", "full_scale_parts": True}, sum(4**k for k in range(6)) ** 0.5 / 63),
        ({"mv_type": "split_mode"}, (1 + 8**2) ** 0.5),
        ({"mv_type": "split_mode", "full_scale_parts": True}, (7**2 + 56**2) ** 0.5 / 63),
    ],
)
def test_output_noise_of_the_parts_weighs_with_their_powers_of_two(options, weight):
    """10,000 outputs: the standard deviation within 4 of its standard errors."""
    io = IOParameters(**{**SMOOTH, "inp_res": 1 / 126, "out_bound": 0.0, "out_noise": 0.01, **options})
    y = _multiply(torch.ones(100, 4), io, weights=torch.zeros(100, 4)).y
    assert float(y.std()) == pytest.approx(0.01 * weight, rel=4 / 20_000**0.5)


def test_each_part_goes_through_the_adc():
    """Level 5 of 7 is the bits 1 and 4, each of which gives 0.3/7, or 0.3 at full scale, on ADC steps of 0.1 or 0.2."""
    options = {**QUIET, "inp_res": 1 / 14, "noise_management": "none", "out_bound": 0.5, "out_res": 0.1}
    x, weights = [[5 / 7], [-5 / 7]], torch.tensor([[0.3]])
    literal = _multiply(x, IOParameters(**options, mv_type="bit_wise"), weights=weights)
    assert literal.y.flatten().tolist() == pytest.approx([0.0, 0.0])  # 0.3 / 7 is below half a step
    full = _multiply(x, IOParameters(**options, mv_type="bit_wise", full_scale_parts=True), weights=weights)
    assert full.y.flatten().tolist() == pytest.approx([0.3 * 5 / 7, -0.3 * 5 / 7], rel=1e-6)
    coarse = _multiply(
        x, IOParameters(**{**options, "out_res": 0.2}, mv_type="bit_wise", full_scale_parts=True), weights=weights
    )
    assert coarse.y.flatten().tolist() == pytest.approx([0.4 * 5 / 7, -0.4 * 5 / 7], rel=1e-6)


def test_a_part_that_clips_makes_bound_management_halve_the_input():
    io = IOParameters(**QUIET, inp_res=1 / 128, mv_type="split_mode", out_bound=0.15)
    product = _multiply([[1, 1]], io, weights=torch.tensor([[0.9, 0.9]]))
    assert product.passes.tolist() == [2]  # the upper part of 64 steps gives 1.8 * 8/64 = 0.225, then half of it
    assert float(product.y[0, 0]) == pytest.approx(1.8, abs=0.02)


def test_what_the_fast_path_does_not_cover_takes_the_torch_path():
    for options in (
        {"ir_drop": 1.0},
        {"v_offset_std": 0.1},
        {"r_series": 0.1},
        {"out_nonlinearity": 0.1},
        {"mv_type": "pos_neg_separate"},
        {"mv_type": "bit_wise"},
        {"mv_type": "split_mode"},
    ):
        io = IOParameters(**options)
        assert not covers(io)
        assert torch.equal(_multiply([[1, 0.5]], io, "numba").y, _multiply([[1, 0.5]], io, "torch").y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_management": "absmax"}, "noise_management: 'absmax' is unknown; did you mean 'abs_max'"),
        ({"out_noise": -1.0}, "out_noise: -1.0 was given; accepted is a number >= 0"),
        ({"inp_bound": 2.0}, "inp_bound: 2.0 was given with noise_management 'abs_max'; accepted is 1"),
        ({"mv_type": "bit_wise", "inp_res": 0}, "mv_type: 'bit_wise' was given with a continuous input"),
        ({"split_mode_bit_shift": 0}, "split_mode_bit_shift: 0 was given; accepted is an integer >= 1"),
        ({"inp_sto_round": 1}, "inp_sto_round: 1 was given; accepted are True and False"),
    ],
)
def test_wrong_periphery_is_refused_by_name(options, message):
    with pytest.raises(InputError, match=message):
        IOParameters(**options)


def test_a_vector_with_nan_gives_nan_and_leaves_the_others_alone():
    x = torch.tensor([[float("nan"), 0.5], [0.5, 0.25]])
    y = _multiply(x, IOParameters(), "numba").y
    assert bool(torch.isnan(y[0]).all()) and bool(torch.isfinite(y[1]).all())
