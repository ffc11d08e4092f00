"""Weights whose digits lie in cells of their own: what an outer product adds to each, what saturates, and carries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, BitSliced, ConstantStep, IOParameters, Slices, SoftBounds
from rpusim.kernels.cells.bit_sliced import BitSlicedCell
from rpusim.kernels.devices import ExpStep, IdealDevice

QUIET = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
EXACT = ConstantStep(dw_min=0.001, **QUIET)
PERFECT = IOParameters(is_perfect=True)
FINE = {"out_noise": 0.0, "out_res": 0.0, "out_bound": 0.0, "inp_res": 0.0}
each_path = pytest.mark.parametrize("path", ["numba", "torch"])


def _tile(cell, path="numba", device=EXACT, rows=3, columns=4, log=None, **io):
    through = IOParameters(**{"is_perfect": True, **io}, slices=cell.slices)
    config = AnalogConfig(device, cell=cell, forward=through, backward=through)
    return AnalogTile(rows, columns, config, path=path, log=log)


def _pairs(seed, count=6, rows=3, columns=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, columns, generator=generator), torch.randn(count, rows, generator=generator)


def _integers(tile):
    """The integers that weights are (rows, columns), put together of their cells."""
    cell = tile.cell
    levels = torch.round(cell.levels).to(torch.int64)
    return sum(levels[:, k] << cell.p.slices.bits * k for k in range(cell.p.slices.number))


SLICES = st.builds(Slices, st.integers(2, 6), st.integers(1, 4)).filter(lambda s: s.number * s.bits >= 4)


@settings(max_examples=60, deadline=None)
@given(slices=SLICES, seed=st.integers(0, 1000), rate=st.sampled_from([0.001, 0.1, -0.3, 5.0]), path=st.booleans())
def test_where_nothing_saturates_all_cells_together_take_the_product_of_the_operands(slices, seed, rate, path):
    """v - X D to the last bit, where X = x / s and D = lr d s / unit are rounded to their bits: exact integers."""
    cell = BitSliced(slices=slices, carry_bits=(8,), resolve_every=1000)
    tile = _tile(cell, "numba" if path else "torch")
    x, d = _pairs(seed, count=3)
    (x_bits, d_bits), unit = cell.operands, 1.0 / (2 ** (slices.number * slices.bits) - 1)
    tile.update(x, d, rate)
    expected = np.zeros((3, 4), np.int64)
    for inputs, errors in zip(x.double().numpy(), d.double().numpy(), strict=True):
        step = np.abs(inputs).max() / (2**x_bits - 1)
        of_d = np.clip(np.rint(errors * rate * step / unit), 1 - 2**d_bits, 2**d_bits - 1)
        expected -= np.outer(of_d, np.rint(inputs / step)).astype(np.int64)
    assert _integers(tile).tolist() == expected.tolist()
    assert torch.allclose(tile.weights.double(), torch.from_numpy(expected * unit), atol=1e-6)


OPTIONS = st.fixed_dictionaries(
    {
        "slices": SLICES,
        "carry_bits": st.sampled_from([(0,), (1,), (0, 2), (3, 0)]),
        "resolve_every": st.integers(1, 9),
        "sto_round": st.booleans(),
        "w_max": st.sampled_from([0.5, 1.0, 3.0]),
        "read": st.sampled_from([PERFECT, IOParameters(), IOParameters(mv_type="bit_serial", digit_bits=2)]),
    }
)


@settings(max_examples=40, deadline=None)
@given(
    options=OPTIONS,
    soft=st.booleans(),
    seed=st.integers(0, 1000),
    io=st.sampled_from([{}, {"mv_type": "bit_serial"}, {"mv_type": "bit_serial", "digit_bits": 3}]),
)
def test_both_paths_agree_with_all_noise_and_spread(options, soft, seed, io):
    """Updates, carries, and reads forwards and backwards: equal to the bit, and so is what was counted."""
    device, logs = (SoftBounds if soft else ConstantStep)(dw_min=0.01), [ActivityLog(), ActivityLog()]
    io = {"is_perfect": False, "out_bound": 3.0, **io}
    tiles = [
        _tile(BitSliced(**options), *(path, device), log=log, **io)
        for path, log in zip(("numba", "torch"), logs, strict=True)
    ]
    for batch in range(2):
        x, d = _pairs(seed + batch)
        outputs = []
        for tile in tiles:
            outputs.append(torch.cat([tile.forward(x), tile.backward(d)], 1))
            tile.update(x, d, 0.2)
            tile.end_mini_batch()
        assert torch.equal(*outputs)
    assert torch.equal(tiles[0].weights, tiles[1].weights)
    rows = [vars(log.take()) for log in logs]
    assert all(np.array_equal(rows[0][name], rows[1][name]) for name in rows[0])


@each_path
def test_every_cell_saturates_by_itself(path):
    """Two cells of two bits, the lower with one more: 1 x 5, bits 01 and 01, adds one level to both with each vector.

    The lower stops at 7, the upper at 3: 7 + 4 x 3 = 19 of 15 units, where 10 vectors would be 50.
    """
    cell = BitSliced(slices=Slices(2, 2), carry_bits=(1, 0), x_bits=1, d_bits=3, resolve_every=1000)
    tile = _tile(cell, path, rows=1, columns=2)
    for vectors, levels in ((1, [1, 1]), (2, [3, 3]), (7, [7, 3])):
        tile.update(torch.tensor([[1.0, 0.0]]).expand(vectors, 2), torch.full((vectors, 1), -5 / 15), 1.0)
        assert tile.cell.levels[0, :, 0].tolist() == pytest.approx(levels, abs=1e-3)
    assert float(tile.weights[0, 0]) == pytest.approx(19 / 15, rel=1e-5)
    assert not tile.weights[0, 1].any()


@each_path
def test_carries_are_resolved_without_changing_the_weight(path):
    """After three vectors of -5 the cells hold -3 and -3, after the fourth -4 and -4: -20 is more than 15 can hold.

    After two vectors of -3 the lower cell holds -6, that is -1 of the upper one and -2.
    """
    cell = BitSliced(slices=Slices(2, 2), carry_bits=(2,), x_bits=1, d_bits=3, resolve_every=2, read=PERFECT)
    tile = _tile(cell, path, rows=2, columns=1)
    tile.update(torch.ones(1, 1), torch.tensor([[3 / 15, -5 / 15]]), 1.0)
    assert tile.cell.levels[:, :, 0].flatten().tolist() == pytest.approx([-3, 0, 1, 1], abs=1e-3)
    tile.update(torch.ones(1, 1), torch.tensor([[3 / 15, -5 / 15]]), 1.0)
    assert tile.cell.levels[:, :, 0].flatten().tolist() == pytest.approx([-2, -1, 2, 2], abs=1e-3)
    assert _integers(tile).flatten().tolist() == [-6, 10]
    for _ in range(2):
        tile.update(torch.ones(1, 1), torch.tensor([[0.0, -5 / 15]]), 1.0)
    assert tile.cell.levels[1, :, 0].tolist() == pytest.approx([3, 3], abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(slices=SLICES, seed=st.integers(0, 1000))
def test_resolved_cells_hold_digits_of_their_sign(slices, seed):
    cell = BitSliced(slices=slices, carry_bits=(8,), resolve_every=6, read=PERFECT)
    carried, resolved = _tile(BitSliced(slices=slices, carry_bits=(8,), resolve_every=7)), _tile(cell)
    for tile in (carried, resolved):
        tile.update(*_pairs(seed), 0.1)
    largest = 2 ** (slices.number * slices.bits) - 1
    value = _integers(resolved)
    assert value.tolist() == _integers(carried).clamp(-largest, largest).tolist()
    levels = torch.round(resolved.cell.levels)
    assert float(levels.abs().max()) <= slices.top
    assert bool((levels * value.sign()[:, None] >= 0).all())


def test_pulses_and_passes_are_counted_in_cells():
    """X = 5 is the bits 101, D = 6 of six bits, three cells of two: shifted by 0 and 2, digits 2, 1, 0 and 0, 2, 1.

    Three cycles of three slots; the column of 5 fires in two of them, the idle one in none. Rows fire 3 + 3 pulses, all
    of which meet the one column. The carries: the lowest cell has 2, the others 3 and 1, which are digits: no pulse.
    """
    log = ActivityLog()
    cell = BitSliced(slices=Slices(3, 2), carry_bits=(1,), x_bits=3, d_bits=3, resolve_every=2, read=PERFECT)
    tile = _tile(cell, rows=1, columns=2, log=log)
    x, unit = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), 1 / 63
    x = torch.tensor([[1.0, 5 / 7]])
    tile.update(x, torch.tensor([[-6 * unit * 7]]), 1.0)  # X = 7 and 5
    row = log.take()
    assert (row.slots.tolist(), row.column_pulses.tolist()) == ([3 * 3], [3 * (3 + 2)])
    # D = 6, 12 and 24 are the digits 2 1 0, 0 3 0 and 0 2 1: nine pulses on the rows, and bits 111 and 101 of X
    assert (row.row_pulses.tolist(), row.coincidences_up.tolist()) == ([9], [9 + 6])
    assert (row.active_rows.tolist(), row.active_columns.tolist(), row.coincidences_down.tolist()) == ([1], [2], [0])
    assert _integers(tile).tolist() == [[42, 30]]
    tile.update(torch.zeros(1, 2), torch.ones(1, 1), 1.0)
    row = log.take()
    assert row.phase.tolist() == [Phase.UPDATE, Phase.TRANSFER, Phase.TRANSFER]
    assert row.passes.tolist() == [0, 1, 1] and row.slots[0] == 0
    # 42 is 2, 6 and 1, of which 6 is beyond two bits: 2, 2, 2, four pulses down and one up; 30 is 2, 3 and 1
    assert row.slots.tolist()[1:] == [4, 0] and row.column_pulses.tolist()[1:] == [4, 0]
    assert row.coincidences_down.tolist()[1:] == [4, 0] and row.coincidences_up.tolist()[1:] == [1, 0]
    assert row.writes.tolist()[1:] == [1, 0] and row.adds.tolist()[1:] == [5, 5]


@each_path
@pytest.mark.parametrize("io", [{}, {"mv_type": "bit_serial", "inp_res": 1 / 65534}])
def test_reads_both_ways_are_those_of_what_all_cells_hold(path, io):
    """Also where cells are beyond their digits; with fine converters, the product of the visible weights."""
    cell = BitSliced(slices=Slices(4, 3), carry_bits=(3,), resolve_every=1000)
    tile = _tile(cell, path, is_perfect=False, **{**FINE, **io})
    tile.update(*_pairs(0), 0.2)
    assert float(tile.cell.levels.abs().max()) > 7.5
    x, d = _pairs(1)
    assert torch.allclose(tile.forward(x), x @ tile.weights.t(), atol=2e-4)
    assert torch.allclose(tile.backward(d), d @ tile.weights, atol=2e-4)


@each_path
def test_every_slice_is_converted_for_itself_backwards_too(path):
    """15 is 3 and 3, 6 is 2 and 1 in cells of two bits; at steps of half of 3 levels both 2 and 1 are read as 1.5."""
    cell = BitSliced(slices=Slices(2, 2), w_max=1.5)
    io = {"is_perfect": False, "out_noise": 0.0, "out_bound": 1.0, "out_res": 0.25, "inp_res": 0.0}
    tile = _tile(cell, path, rows=2, columns=1, noise_management="none", bound_management="none", **io)
    tile.set_weights(torch.tensor([[1.5], [0.6]]))
    z = tile.backward(torch.eye(2))
    assert z.flatten().tolist() == pytest.approx([1.5, 0.1 * 3 * (0.5 + 4 * 0.5)], rel=1e-5)


def test_errors_that_are_rounded_at_random_are_right_on_average():
    """A third of a unit of error, where the nearest would be none: 2000 vectors, within four standard errors."""
    cell = BitSliced(slices=Slices(4, 4), carry_bits=(8,), x_bits=1, d_bits=8, sto_round=True, resolve_every=10_000)
    unit = 1 / (2**16 - 1)
    for chosen, expected in ((cell, 2000 / 3), (BitSliced(slices=Slices(4, 4), x_bits=1, d_bits=8), 0.0)):
        tile = _tile(chosen, rows=1, columns=1)
        for _ in range(10):
            tile.update(torch.ones(200, 1), torch.full((200, 1), -unit / 3), 1.0)
        assert float(_integers(tile)) == pytest.approx(expected, abs=4 * (2000 * 2 / 9) ** 0.5 if expected else 0)


@pytest.mark.parametrize(("carry", "every", "learns"), [((1, 1, 1, 2, 2, 0, 0, 0), 16, True), ((0,), 16, False)])
def test_it_learns_where_cells_have_room_for_carries_and_not_where_they_are_full(carry, every, learns):
    """A linear map from noisy pairs, by PANTHER's slices; without bits for carries it cannot."""
    cell = BitSliced(carry_bits=carry, resolve_every=every, read=PERFECT)
    tile = _tile(cell, rows=3, columns=4)
    target = torch.linspace(-0.5, 0.5, 12).reshape(3, 4)
    for seed in range(60):
        x = _pairs(seed, count=10)[0]
        tile.update(x, tile.forward(x) - x @ target.t(), 0.05)
    error = float((tile.weights - target).abs().max())
    assert error < 0.01 if learns else error > 0.05


def test_slices_have_cells_of_their_own_range():
    """4, 4, 4, 6, 6, 5, 5 and 5 bits, highest first; a level is a step, and spreads are those of the device."""
    cell = BitSliced(carry_bits=(1, 1, 1, 2, 2, 0, 0, 0))
    tile = _tile(cell, device=ConstantStep(dw_min=0.001, w_max_dtod=0.1), rows=40, columns=50)
    assert isinstance(tile.cell, BitSlicedCell)
    levels = (tile.cells.bound_max / 0.001).reshape(40, 8, 50).mean((0, 2))
    for found, bits in zip(levels.tolist(), (5, 5, 5, 6, 6, 4, 4, 4), strict=True):
        assert found == pytest.approx(2**bits - 1, rel=4 * 0.1 / 2000**0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slices": Slices(4, 4, "offset")}, "slices: the encoding 'offset' was given; accepted is 'signed'"),
        ({"carry_bits": (1,) * 9}, r"carry_bits: \[1, .*\] were given; accepted are 1 to 8 whole numbers from 0 to 8"),
        ({"carry_bits": (9,)}, r"carry_bits: \[9\] were given"),
        ({"x_bits": 16, "d_bits": 16, "slices": Slices(4, 4)}, r"x_bits: operands of 16 and 16 bits .* which are 16"),
        ({"resolve_every": 0}, "resolve_every: 0 was given"),
        ({"w_max": 0.0}, "w_max: 0.0 was given"),
    ],
)
def test_what_a_sliced_weight_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        BitSliced(**options)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (IdealDevice(), "device: 'ideal' was given for cells of kind 'bit-sliced'; accepted are constant-step, linear"),
        (ExpStep(), "device: .exp-step. was given .*, whose bounds may be set without"),
    ],
)
def test_devices_without_steps_of_their_own_are_refused(device, message):
    with pytest.raises(InputError, match=message):
        _tile(BitSliced(), device=device)


def test_the_periphery_has_to_cut_weights_as_the_cells_do():
    cell, other = BitSliced(slices=Slices(4, 4)), IOParameters(slices=Slices(8, 2))
    with pytest.raises(InputError, match=r"forward.slices: .*number=8, bits=2.* was given; .*number=4, bits=4"):
        AnalogConfig(EXACT, cell=cell, forward=other)
    with pytest.raises(InputError, match=r"backward.slices: None was given; accepted is that of the cells"):
        AnalogConfig(EXACT, cell=cell, forward=IOParameters(slices=cell.slices))
    with pytest.raises(InputError, match=r"forward.slices: slices were given for cells of kind single"):
        AnalogConfig(EXACT, forward=other)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(InputError, match="layer 0: an update holds NaN or infinite numbers"):
        _tile(BitSliced()).update(torch.full((1, 4), float("nan")), torch.ones(1, 3), 0.1)
