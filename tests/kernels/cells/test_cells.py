"""What every unit cell promises, on both paths; then each cell's own laws."""

import copy
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from rpusim.arch.contract.activity import WORK_COLUMNS, ActivityLog, Phase, work_columns
from rpusim.arch.contract.cell_layout import FullTrains
from rpusim.arch.contract.digital_work import Work
from rpusim.errors import InputError
from rpusim.kernels import (
    CELLS,
    CONFIGURATIONS,
    AnalogConfig,
    AnalogTile,
    BitSliced,
    BufferedTransfer,
    ChoppedTransfer,
    ConstantStep,
    DynamicTransfer,
    EnhancedRider,
    FilteredResidual,
    Hamiltonian,
    IOParameters,
    MixedPrecision,
    MultiTile,
    OneSided,
    Reference,
    ResidualLearning,
    Rider,
    Selective,
    Single,
    Slices,
    SoftBounds,
    Transfer,
    UpdateParameters,
    Vector,
    configuration,
)
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.devices import IdealDevice

QUIET = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
WIDE = ConstantStep(dw_min=0.001, w_max=10.0, w_min=-10.0, **QUIET)
SOFT = SoftBounds(dw_min=0.01, reset=0.01, reset_dtod=0.01)
PERFECT = IOParameters(is_perfect=True)

# Every cell with options that exercise it; transfers fall due by single vectors, in the middle of mini-batches.
BY_VECTOR = {
    "single": Single(),
    "vector-all": Vector(number=3),
    "vector-sequential": Vector(number=3, policy="single_sequential"),
    "vector-random": Vector(policy="single_random", gamma=(0.7, 0.3)),
    "reference": Reference(zero_shift_pairs=20),
    "one-sided": OneSided(refresh_every=3, units_in_mbatch=False, refresh_upper_thres=0.05, refresh_lower_thres=0.0),
    "transfer": Transfer(units_in_mbatch=False, transfer_every=2, gamma=0.3, n_reads_per_transfer=2),
    "transfer-shifted": Transfer(units_in_mbatch=False, transfer_every=3, zero_shift_pairs=20, with_reset_prob=0.5),
    "transfer-rows": Transfer(units_in_mbatch=False, number=3, transfer_columns=False, random_selection=True),
    "buffered": BufferedTransfer(units_in_mbatch=False, transfer_every=2, number=3, forget_buffer=False),
    "chopped": ChoppedTransfer(in_chop_prob=0.3, out_chop_prob=0.3, gamma=0.2),
    "chopped-rows": ChoppedTransfer(transfer_columns=False, in_chop_random=False, correct_gradient_magnitudes=True),
    "dynamic": DynamicTransfer(in_chop_prob=0.5, forget_buffer=False, buffer_cap=1.0, correct_accumulation=True),
    "dynamic-rows": DynamicTransfer(in_chop_prob=0.4, transfer_columns=False, in_chop_random=True),
    "hamiltonian": Hamiltonian(transfer_every=2, zero_shift_pairs=20),
    "bit-sliced": BitSliced(resolve_every=5, carry_bits=(1, 1, 1, 2, 2, 0, 0, 0), read=PERFECT),
    "bit-sliced-short": BitSliced(slices=Slices(8, 3), resolve_every=3, x_bits=3, d_bits=6, sto_round=True),
    "hamiltonian-random": Hamiltonian(orthogonal=False, zero_shift_pairs=0),
    "residual": ResidualLearning(transfer_every=2, gamma=0.4),
    "residual-shifted": ResidualLearning(zero_shift_pairs=20, transfer_lr=0.5),
    "filtered": FilteredResidual(transfer_lr=3.0, share=0.3),
    "filtered-rows": FilteredResidual(transfer_lr=3.0, transfer_columns=False, transfer_every=2),
    "rider": Rider(gamma=0.3, program_every=2, transfer_lr=0.5, scale_transfer_lr=False),
    "rider-rows": Rider(transfer_columns=False, auto_granularity=0.3, transfer_lr=0.5),
    "e-rider": EnhancedRider(in_chop_prob=0.5, gamma=0.3, mean_share=0.2, transfer_lr=0.5, scale_transfer_lr=False),
    "e-rider-rows": EnhancedRider(in_chop_prob=0.4, transfer_columns=False, correct_gradient_magnitudes=True),
}
# These count mini-batches, or average over them.
BY_BATCH = {
    "transfer-batches": Transfer(transfer_every=0.5),
    "chopped-auto": ChoppedTransfer(auto_scale=True, auto_granularity=0.3, fast_lr=0.1, transfer_every=-0.1),
    "mixed": MixedPrecision(),
    "mixed-late": MixedPrecision(late_transfer=True, n_rows_per_transfer=2, n_x_bins=9, n_d_bins=9),
    "mixed-vector": MixedPrecision(inner=Vector(), random_row=True, n_rows_per_transfer=3, transfer_every=2),
    "mixed-one-sided": MixedPrecision(inner=OneSided()),
    "selective": Selective(threshold=2),
    "selective-collecting": Selective(probabilistic=False, n_rows_per_transfer=2),
    "rider-auto": EnhancedRider(auto_scale=True, fast_lr=0.1, in_chop_prob=0.5, transfer_every=-0.1),
    "multi-tile": MultiTile(patience=2, improvement=0.9),
}


def _as_it_comes(kind):
    """The cell without options, but for fewer pulses where it is calibrated."""
    cell = CELLS[kind]()
    if isinstance(cell, BitSliced):
        return replace(cell, resolve_every=7)  # within the few vectors of these tests
    return replace(cell, zero_shift_pairs=20) if cell.calibration_pairs else cell


# Whoever adds a cell to `CELLS` has it tested as it comes; options that do more are added above.
EVERY = {f"{kind} as it comes": _as_it_comes(kind) for kind in CELLS} | BY_VECTOR | BY_BATCH
each_cell = pytest.mark.parametrize("cell", EVERY.values(), ids=EVERY)
each_path = pytest.mark.parametrize("path", ["numba", "torch"])


ONE_BY_ONE = UpdateParameters(execution="exact")
"""What the torch path does, and what does not depend on how vectors are divided into calls."""


def _tile(cell, path="numba", rows=5, columns=6, device=SOFT, **options):
    io = IOParameters(slices=cell.slices) if isinstance(cell, BitSliced) else IOParameters()
    config = AnalogConfig(device, update=ONE_BY_ONE, cell=cell, forward=io, backward=io)
    return AnalogTile(rows, columns, config, path=path, **options)


def _pairs(seed, count, rows=5, columns=6):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, columns, generator=generator), 0.5 * torch.randn(count, rows, generator=generator)


def _state(tile):
    """All tensors of a tile, one after the other."""
    state = tile.state_dict().items()
    return torch.cat([v.reshape(-1).double() for _, v in state if isinstance(v, torch.Tensor)]).nan_to_num()


class TestEveryCell:
    @each_cell
    def test_both_paths_agree_to_the_bit(self, cell):
        tiles = [_tile(cell, path) for path in ("numba", "torch")]
        for seed in range(8):
            for tile in tiles:
                tile.update(*_pairs(seed, 4), 0.1)
                tile.end_mini_batch()
        assert torch.equal(_state(tiles[0]), _state(tiles[1]))
        assert torch.equal(tiles[0].weights, tiles[1].weights)
        # AGAD as it comes writes nothing to C in 11 cycles through 6 slices, more than there are vectors here.
        assert bool(tiles[0].weights.any()) == (cell != DynamicTransfer())

    @each_path
    @each_cell
    def test_a_restored_cell_continues_bit_for_bit_wherever_it_was_in_its_cycle(self, cell, path):
        one = _tile(cell, path, seed=1)
        for batch in range(3):
            one.update(*_pairs(batch, 5), 0.1)
            one.end_mini_batch()
            other = _tile(cell, path, seed=99)  # its own cells and name are overwritten by the state
            other.load_state_dict(copy.deepcopy(one.state_dict()))
            twin = copy.deepcopy(one)
            for seed in (10, 11):
                for tile in (twin, other):
                    tile.update(*_pairs(seed, 3), 0.1)
                    tile.end_mini_batch()
            assert torch.equal(twin.weights, other.weights)
            assert torch.equal(_state(twin), _state(other))

    @pytest.mark.parametrize("cell", BY_VECTOR.values(), ids=BY_VECTOR)
    def test_a_batch_is_its_vectors_one_after_the_other(self, cell):
        x, d = _pairs(0, 12)
        together, apart = _tile(cell), _tile(cell)
        together.update(x, d, 0.1)
        for vector in range(12):
            apart.update(x[vector : vector + 1], d[vector : vector + 1], 0.1)
        assert torch.equal(_state(together), _state(apart))

    @each_cell
    def test_weights_that_were_set_can_be_read(self, cell):
        tile = _tile(cell, device=WIDE)
        weights = torch.linspace(-0.5, 0.5, 30).reshape(5, 6)
        tile.set_weights(weights)
        assert torch.allclose(tile.weights, weights, atol=1e-6)

    @each_cell
    def test_the_log_prices_what_was_done(self, cell):
        log = ActivityLog()
        tile = _tile(cell, log=log, layer=2, tile=3)
        for seed in range(6):
            tile.update(*_pairs(seed, 4), 0.3)
        rows = log.take()
        updates = rows.select(rows.phase == Phase.UPDATE)
        assert updates.vector.tolist() == [0, 1, 2, 3] * 6
        other = rows.select(rows.phase != Phase.UPDATE)
        assert set(rows.layer) == {2} and set(rows.tile) == {3}
        assert set(other.vector) <= {0, 1, 2, 3} and set(other.phase) <= {Phase.TRANSFER, Phase.MAINTENANCE}
        # A cell changes only if it got a pulse (or was reset).
        pulsed = other.select(other.phase == Phase.TRANSFER)
        assert (pulsed.writes <= pulsed.coincidences_up + pulsed.coincidences_down).all()
        assert (len(other) > 0) == any(True for _ in cell.periodic_work(SOFT, 5, 6, 4))

    @each_cell
    def test_nothing_to_learn_moves_nothing_visible(self, cell):
        """Vectors of zeros: no pulses, and perfect reads of nothing transfer nothing."""
        reads = [field.name for field in fields(cell) if isinstance(getattr(cell, field.name), IOParameters)]
        cell = replace(cell, **dict.fromkeys(reads, PERFECT))
        if cell.resets:
            pytest.skip("resets move weights")
        if getattr(cell, "zero_shift_pairs", 0):
            cell = replace(cell, zero_shift_pairs=0)
        tile = _tile(cell)
        for _ in range(5):
            tile.update(torch.zeros(3, 6), torch.zeros(3, 5), 0.1)
        assert not bool(tile.weights.any())


def _arrays(tile):
    """The arrays of a tile's cell in the order of its layout: a reference, inside the first array, comes last."""
    inside = [a for a in tile.cell.modules() if isinstance(a, DeviceArray)]
    return sorted(inside, key=lambda array: array.stream[-1])


@each_cell
class TestWhatACellSaysAboutItself:
    """The chip counts arrays, memory and time by what a cell says: here it is what the cell does."""

    def test_it_has_the_arrays_that_its_layout_counts(self, cell):
        layout = cell.layout
        assert layout.name == cell.kind and len(layout.targets) == layout.arrays == len(_arrays(_tile(cell)))
        named = {*layout.visible, *layout.learning, *(k for to in layout.targets for k in to)}
        assert named <= set(range(layout.arrays))

    def test_visible_arrays_and_no_others_are_seen(self, cell):
        tile = _tile(cell, device=WIDE)
        for k, array in enumerate(_arrays(tile)):
            before = tile.get_weights()
            array.set_weights(array.weights + 0.25)
            tile.cell.show()
            moved = not torch.allclose(tile.weights, before, atol=0.01)
            assert moved == (k in cell.layout.visible), f"array {k}"

    def test_pulses_go_to_arrays_that_learn_and_to_targets_of_transfers(self, cell):
        tile = _tile(cell, device=WIDE)
        for array in _arrays(tile):
            array.count_wear()
        for seed in range(12):
            tile.update(*_pairs(seed, 4), 0.3)
        pulsed = {k for k, array in enumerate(_arrays(tile)) if bool(array.taken.any())}
        layout, learning = cell.layout, set(cell.layout.learning)
        sources = {work.array for work in cell.periodic_work(WIDE, 5, 6, 4) if work.phase == Phase.TRANSFER}
        written = {to for array in sources for to in layout.targets[array]}
        # Resets count as pulses; and of a vector's arrays that take turns at learning one stands for all.
        others = set(range(layout.arrays)) if cell.resets or isinstance(cell, Vector | MultiTile) else set()
        assert learning <= pulsed <= learning | written | others

    def test_digital_memory_is_as_large_as_it_says(self, cell):
        """Words per weight, of what a transfer collects: buffers of all pairs of arrays, means and references."""
        kept = [b for name, b in _tile(cell).cell.named_buffers(recurse=False) if name != "visible" and b is not None]
        words = sum(buffer.numel() / 30 for buffer in kept if buffer.shape[-2:] == (5, 6))
        assert words == cell.layout.words * max(getattr(cell, "number", 2) - 1, 1)

    def test_digital_operations_of_a_vector_are_those_of_the_log(self, cell):
        log = ActivityLog()
        _tile(cell, log=log).update(*_pairs(0, 3), 0.1)
        rows = log.take()
        assert (rows.works[rows.phase == Phase.UPDATE] == cell.work_per_vector(5, 6).counts).all()

    def test_what_only_learns_has_nothing_else_to_do(self, cell):
        """So its mini-batch may be taken apart, and time may pass between two vectors."""
        if cell.only_learns:
            assert not list(cell.periodic_work(SOFT, 5, 6, 4)) and not cell.work_per_vector(5, 6)
            x, d = _pairs(0, 6)
            together, apart = _tile(cell), _tile(cell)
            together.update(x, d, 0.1)
            for vector in range(6):
                apart.update(x[vector : vector + 1], d[vector : vector + 1], 0.1)
            assert torch.equal(_state(together), _state(apart))

    def test_periodic_work_is_what_it_does_when_it_says(self, cell):
        """What does not depend on data: which array is read after which vector, in how many passes and operations."""
        if getattr(cell, "late_transfer", False):
            pytest.skip("as AIHWKit does it, one mini-batch later")
        log, batches, vectors = ActivityLog(), 9, 4
        tile = _tile(cell, log=log)
        for seed in range(batches):
            tile.update(*_pairs(seed, vectors), 0.1)
            log.step += 1
        done = log.take()
        done = done.select((done.phase == Phase.TRANSFER) | ((done.phase == Phase.MAINTENANCE) & (done.passes > 0)))
        names = ("step", "vector", "phase", "array", "passes", *WORK_COLUMNS)
        expected = [
            (due // vectors, due % vectors, work.phase, work.array, work.passes, *work_columns(work.work).values())
            for work in cell.periodic_work(SOFT, 5, 6, vectors)
            for due in range(work.period - 1, batches * vectors, work.period)
            for _ in range(work.slices)
        ]
        assert sorted(zip(*(getattr(done, name).tolist() for name in names), strict=True)) == sorted(expected)

    def test_a_slice_is_written_on_the_side_that_it_says(self, cell):
        """One line fires across the slice, and along it one for each position: rows and columns as in the log."""
        written = [work.pulses for work in cell.periodic_work(SOFT, 5, 6, 4) if work.pulses]
        if cell.layout.slices == "all" or not written:
            pytest.skip("it writes no slices")
        log = ActivityLog()
        tile = _tile(cell, device=WIDE, log=log)
        for seed in range(12):
            tile.update(*_pairs(seed, 4), 0.3)
        rows = log.take()
        rows = rows.select((rows.phase == Phase.TRANSFER) & (rows.row_pulses > 0))
        along_row = cell.layout.slices == "row"
        across = rows.row_pulses if along_row else rows.column_pulses
        assert (across <= rows.slots).all()
        for pulses in written:
            if isinstance(pulses, FullTrains):
                assert (pulses.rows, pulses.columns) == ((1, 6) if along_row else (5, 1))
            else:
                assert pulses.along_row == along_row


def _signs(inside):
    return torch.outer(inside.position_chopper, inside.slice_chopper)


SUMS = {
    "vector-all": lambda inside, w: (w[0] + w[1] + w[2]) / 3,
    "vector-random": lambda inside, w: 0.7 * w[0] + 0.3 * w[1],
    "reference": lambda inside, w: w[0] - w[1],
    "one-sided": lambda inside, w: w[1] - w[0],
    "transfer": lambda inside, w: 0.3 * w[0] + w[1],
    "transfer-rows": lambda inside, w: w[2],
    "chopped": lambda inside, w: 0.2 * _signs(inside) * w[0] + w[1],
    "mixed": lambda inside, w: w[0],
    "mixed-one-sided": lambda inside, w: w[1] - w[0],
    "hamiltonian": lambda inside, w: w[1],
    "residual": lambda inside, w: 0.4 * w[0] + w[1],
    "rider": lambda inside, w: w[1] + 0.3 * (w[0] - w[2]),
    "e-rider": lambda inside, w: w[1] + 0.3 * _signs(inside) * (w[0] - w[2]),
    "multi-tile": lambda inside, w: w[0] + 0.25 * w[1] + 0.0625 * w[2],
}


@pytest.mark.parametrize("name", SUMS)
def test_the_visible_weights_are_the_sum_of_the_hidden_ones_that_the_paper_has(name):
    tile = _tile(EVERY[name])
    tile.set_weights(0.1 * torch.ones(5, 6))
    for seed in range(3):
        tile.update(*_pairs(seed, 4), 0.1)
        tile.end_mini_batch()
    expected = SUMS[name](tile.cell, [array.weights for array in tile.cell.arrays])
    assert torch.allclose(tile.weights, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "periods"),
    [
        (Transfer(), [7, 0]),
        (Transfer(transfer_every=2.5, transfer_columns=False), [18, 0]),
        (Transfer(number=3, n_reads_per_transfer=2), [7, 18, 0]),  # a slice of 5: 2.5 times less often
        (Transfer(transfer_every_vec=(2, 3), no_self_transfer=False, units_in_mbatch=False), [2, 3]),
        (Transfer(transfer_every=0.0), [0, 0]),
        (ChoppedTransfer(transfer_every=3), [3, 0]),
        (ChoppedTransfer(transfer_every=-0.3), [9, 0]),  # 120 states over 4 slices
        (ChoppedTransfer(transfer_every=-0.3, devices=(ConstantStep(dw_min=0.02),)), [4, 0]),  # half as many
        (ChoppedTransfer(transfer_every=-0.001), [1, 0]),
    ],
)
def test_periods_of_transfers(cell, periods):
    """Of 4 slices of 5 positions, in mini-batches of 7 vectors; the device has 120 states."""
    assert cell.periods(ConstantStep(dw_min=0.01), slices=4, length=5, vectors=7) == periods


def test_a_period_in_states_needs_a_device_that_has_some():
    with pytest.raises(InputError, match=r"transfer_every: -0.3 was given, which counts states"):
        ChoppedTransfer(transfer_every=-0.3).periods(IdealDevice(), 4, 5, 7)


GRADIENT = {
    "vector": Vector(number=3),
    "vector-random": Vector(policy="single_random"),
    "reference": Reference(),
    "one-sided": OneSided(),
    "mixed": MixedPrecision(inner=Single()),
    "mixed-one-sided": MixedPrecision(inner=OneSided()),
}


@pytest.mark.parametrize("cell", GRADIENT.values(), ids=GRADIENT)
def test_the_mean_change_is_the_gradient_step(cell):
    """200 mini-batches from cells of the same array: -lr d x^T times the share of the device that learns.

    Within 4.5 standard errors; mixed precision may keep up to one granularity in its memory.
    """
    x, d = _pairs(3, 1)
    tile = _tile(cell, device=WIDE)
    changes = []
    for _ in range(200):
        before = tile.get_weights()
        tile.update(x, d, 0.02)
        changes.append((tile.get_weights() - before).numpy())
    changes = np.array(changes)
    share = 1 / 2 if cell is GRADIENT["vector-random"] else 1.0
    error = changes.mean(0) + share * 0.02 * np.outer(d[0], x[0])
    kept = 0.001 / 200 if isinstance(cell, MixedPrecision) else 0.0
    assert (np.abs(error) < 4.5 * changes.std(0) / 200**0.5 + kept + 1e-5).all()


def test_devices_of_a_vector_cell_on_the_same_drivers_get_the_same_coincidences():
    quiet = _tile(Vector(number=3), device=WIDE)
    quiet.update(*_pairs(0, 5), 0.05)
    first, *others = (array.weights for array in quiet.cell.arrays)
    assert all(torch.equal(first, other) for other in others) and bool(first.any())
    noisy = _tile(Vector(number=2), device=replace(WIDE, dw_min_std=0.3))
    noisy.update(*_pairs(0, 5), 0.05)
    a, b = (array.weights for array in noisy.cell.arrays)
    assert not torch.equal(a, b) and torch.equal(a == 0, b == 0)


def test_an_exact_array_beside_a_pulsed_one_takes_the_exact_gradient():
    tile = _tile(Transfer(devices=(IdealDevice(), WIDE), transfer_every=0.0))
    x, d = _pairs(0, 3)
    tile.update(x, d, 0.1)
    assert torch.allclose(tile.cell.arrays[0].weights, -0.1 * d.t() @ x, atol=1e-6)


def test_a_one_sided_pair_sees_one_train_and_only_goes_up():
    """With equal devices the difference is what one bidirectional device would have done with the same trains."""
    pair, one = _tile(OneSided(), device=WIDE), _tile(Vector(number=1), device=WIDE)
    for seed in range(4):
        before = [array.weights.clone() for array in pair.cell.arrays]
        pair.update(*_pairs(seed, 5), 0.05)
        one.update(*_pairs(seed, 5), 0.05)
        assert all(bool((a.weights >= b).all()) for a, b in zip(pair.cell.arrays, before, strict=True))
    assert torch.allclose(pair.weights, one.weights, atol=1e-6) and bool(one.weights.any())


def test_a_sequential_vector_cell_goes_round():
    tile = _tile(Vector(number=3, policy="single_sequential"), device=WIDE)
    x, d = _pairs(0, 1)
    seen = []
    for _ in range(4):
        before = [array.weights.clone() for array in tile.cell.arrays]
        tile.update(x, d, 0.1)
        seen.append([not torch.equal(a.weights, b) for a, b in zip(tile.cell.arrays, before, strict=True)].index(True))
    assert seen == [1, 2, 0, 1]


def test_a_fixed_vector_cell_keeps_its_other_devices():
    tile = _tile(Vector(policy="single_fixed", gamma=(1.0, -1.0)), device=WIDE)
    tile.cell.set_index(1)
    tile.set_weights(torch.full((5, 6), 0.2))
    tile.cell.set_index(0)
    tile.update(*_pairs(0, 2), 0.1)
    assert torch.equal(tile.cell.arrays[1].weights, torch.full((5, 6), 0.2))
    assert torch.allclose(tile.weights, tile.cell.arrays[0].weights - 0.2)


@pytest.mark.parametrize("path", ["torch", "numba"])
@pytest.mark.parametrize("reads", [1, 3])
def test_a_transfer_resets_whole_columns_that_it_has_read(reads, path):
    """Each with a probability of 0.4, of 400 columns within 4 standard errors; C gets all that was read."""
    device = ConstantStep(dw_min=0.001, w_max=9.0, w_min=-9.0, reset_std=0.0, **QUIET)
    cell = Transfer(with_reset_prob=0.4, n_reads_per_transfer=reads, transfer_forward=PERFECT, scale_transfer_lr=False)
    tile = AnalogTile(6, 402, AnalogConfig(device=device, cell=cell), path=path)
    fast, slow = tile.cell.arrays
    fast.set_weights(torch.full((6, 402), 0.02))
    for _ in range(402 // reads):
        tile.update(torch.zeros(1, 402), torch.zeros(1, 6), 0.1)
    gone = fast.weights == 0.0
    assert torch.equal(gone.all(0), gone.any(0)) and bool((fast.weights[~gone] == torch.tensor(0.02)).all())
    assert float(gone[0].float().mean()) == pytest.approx(0.4, abs=4 * (0.24 / 402) ** 0.5)
    assert torch.allclose(slow.weights, torch.tensor(0.02), atol=1e-6)


def test_a_refresh_keeps_the_weight_and_empties_the_pair():
    """Both devices at 0.9 and 0.5 of 1: reset to 0, and 0.4 written to the larger one."""
    device = ConstantStep(dw_min=0.01, w_max=1.0, w_min=0.0, reset=0.0, reset_dtod=0.0, reset_std=0.0, **QUIET)
    log = ActivityLog()
    implicit = UpdateParameters(pulse_type="deterministic_implicit", desired_bl=100)
    cell = OneSided(refresh_every=1, refresh_forward=PERFECT, refresh_update=implicit)
    tile = _tile(cell, rows=1, columns=3, device=device, log=log)
    minus, plus = tile.cell.arrays
    minus.set_weights(torch.tensor([[0.5, 0.9, 0.1]]))
    plus.set_weights(torch.tensor([[0.9, 0.5, 0.9]]))
    tile.update(torch.zeros(2, 3), torch.zeros(2, 1), 0.1)
    assert torch.allclose(plus.weights, torch.tensor([[0.4, 0.0, 0.9]]), atol=1e-6)
    assert torch.allclose(minus.weights, torch.tensor([[0.0, 0.4, 0.1]]), atol=1e-6)
    assert torch.allclose(tile.weights, torch.tensor([[0.4, -0.4, 0.8]]), atol=1e-6)
    assert tile.cell.counters["refreshed"] == 2
    rows = log.take()
    refresh = rows.select(rows.phase == Phase.MAINTENANCE)
    # Both arrays are read column by column, reset in their only row, and written.
    assert refresh.array.tolist() == [0, 1] * 3
    assert refresh.passes.tolist() == [3, 3, 0, 0, 0, 0] and refresh.writes.tolist() == [0, 0, 2, 2, 1, 1]
    assert refresh.active_rows.tolist()[2:4] == [1, 1]
    assert refresh.coincidences_up.tolist() == [0, 0, 0, 0, 40, 40]


@pytest.mark.parametrize(
    ("cell", "vectors", "due"),
    [
        (Transfer(), 7, [1]),
        (Transfer(transfer_every=0.5), 6, [2]),
        (Transfer(units_in_mbatch=False, transfer_every=3), 7, [2]),
        (Transfer(transfer_every=0.0), 7, [0]),
        # The second array is transferred (slice length / reads) times less often: 5 rows are a column's length.
        (Transfer(units_in_mbatch=False, number=3), 10, [10, 2]),
        (Transfer(units_in_mbatch=False, number=3, transfer_columns=False), 12, [12, 2]),
        (Transfer(units_in_mbatch=False, transfer_every_vec=(2, 4, 0), number=3), 8, [4, 2]),
        (ChoppedTransfer(), 7, [7]),
        (ChoppedTransfer(transfer_every=-0.06), 10, [10]),  # 120 states / 6 columns x 0.06 = 1.2
        (ChoppedTransfer(transfer_every=-0.1), 10, [5]),
    ],
)
def test_transfers_fall_due_as_they_should(cell, vectors, due):
    tile = _tile(cell)
    tile.update(*_pairs(0, vectors), 0.1)
    assert [tile.cell.counters[f"reads {k}"] for k in range(len(due))] == due


def test_a_transfer_comes_between_two_vectors():
    """Column 0 is read after the first vector, when A holds 0.1, and column 1 after the second, when it holds 0.2."""
    implicit = UpdateParameters(pulse_type="deterministic_implicit", desired_bl=1000)
    cell = Transfer(units_in_mbatch=False, scale_transfer_lr=False, transfer_forward=PERFECT, transfer_update=implicit)
    log = ActivityLog()
    tile = AnalogTile(1, 2, AnalogConfig(WIDE, update=implicit, cell=cell), log=log)
    tile.update(torch.ones(3, 2), -torch.ones(3, 1), 0.1)
    assert torch.allclose(tile.weights, torch.tensor([[0.4, 0.2]]), atol=1e-5)  # 0.1 + 0.3, 0.2
    rows = log.take()
    transfers = rows.select(rows.phase == Phase.TRANSFER)
    assert transfers.vector.tolist() == [0, 1, 2] and transfers.coincidences_up.tolist() == [100, 200, 300]
    assert transfers.passes.tolist() == [1, 1, 1] and transfers.writes.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("cell", "operations"),
    [
        (BufferedTransfer(units_in_mbatch=False), Work(multiply=5, add=5, compare=5)),
        (ChoppedTransfer(), Work(multiply=5, add=5, compare=5)),
        (DynamicTransfer(), Work(multiply=10, add=20, compare=5)),
    ],
)
def test_digital_operations_of_a_transfer_grow_with_the_slice(cell, operations):
    log = ActivityLog()
    _tile(cell, log=log).update(*_pairs(0, 4), 0.1)
    rows = log.take()
    assert set(map(tuple, rows.works[rows.phase == Phase.TRANSFER].tolist())) == {operations.counts}
    assert set(rows.digital_ops[rows.phase == Phase.UPDATE]) == {0}


def test_digital_operations_of_mixed_precision_grow_with_the_array():
    log = ActivityLog()
    _tile(MixedPrecision(), log=log).update(*_pairs(0, 4), 0.1)
    rows = log.take()
    update = Work(multiply=5 * 6 + 5, add=5 * 6)
    assert set(map(tuple, rows.works[rows.phase == Phase.UPDATE].tolist())) == {update.counts}
    assert rows.works[rows.phase == Phase.TRANSFER].tolist() == [list(Work(compare=6).counts)] * 5


def test_mixed_precision_loses_nothing():
    """Weights and what is still in the memory together are the exact sum of all gradients, if trains are too."""
    exact = UpdateParameters(desired_bl=200, pulse_type="deterministic_implicit")
    tile = AnalogTile(5, 6, AnalogConfig(WIDE, update=exact, cell=MixedPrecision()))
    total = torch.zeros(5, 6)
    for seed in range(5):
        x, d = _pairs(seed, 4)
        tile.update(x, d, 0.01)
        total -= 0.01 * d.t() @ x
    assert torch.allclose(tile.weights - tile.cell.chi, total, atol=1e-5)


def test_an_array_is_read_without_noise_and_bound_management():
    """A one-hot vector goes straight to the converters, so the output bound clips the weights themselves."""
    read = IOParameters(out_bound=0.25, out_noise=0.0, out_res=0.0, inp_res=0.0)
    cell = Transfer(transfer_forward=read, transfer_lr=1.0, scale_transfer_lr=False)
    tile = _tile(cell, device=WIDE)
    tile.cell.arrays[0].set_weights(torch.full((5, 6), 0.6))
    values = tile.cell.readers[0].read(tile.cell.arrays[0].weights, [2], 0, "numba")
    assert torch.equal(values, torch.full((1, 5), 0.25))


@pytest.mark.parametrize("by_columns", [True, False])
@pytest.mark.parametrize(
    "io",
    [
        IOParameters(),
        IOParameters(inp_res=1 / 6, out_res=1 / 30, out_bound=0.4, out_noise=0.1, out_scale=1.5),
        IOParameters(inp_res=0.0, out_res=0.0, out_bound=0.0, out_noise=0.0),
        IOParameters(inp_noise=0.1, out_noise_std=0.2),
    ],
)
def test_reading_a_slice_is_multiplying_by_a_unit_vector(io, by_columns):
    weights = torch.randn(7, 9)
    reader = Reader(io, 7, 9, (1, 2), by_columns)
    slices = [2, 0, 5]
    for path in ("numba", "torch"):
        product = reader.multiply(weights, reader.one_hot(slices, weights.device), 11, path)
        assert torch.equal(reader.read(weights, slices, 11, "numba"), product)


def test_choppers_flip_as_often_as_they_should():
    """After 400 cycles over 6 columns: flips of the columns' choppers, binomial with probability 0.2; 5 sigma."""
    tile = _tile(ChoppedTransfer(in_chop_prob=0.2))
    flips = np.zeros(6)
    for seed in range(100):
        x, d = _pairs(seed, 24)
        for vector in range(24):
            before = tile.cell.slice_chopper.clone()
            tile.update(x[vector : vector + 1], d[vector : vector + 1], 0.01)
            flips += (before != tile.cell.slice_chopper).numpy()
    assert (np.abs(flips - 80) < 5 * (400 * 0.2 * 0.8) ** 0.5).all()


def test_auto_scale_keeps_the_pulses_of_the_fast_array_near_their_target():
    """fast_lr desired_bl granularity / (m_x m_d): whatever the size of the gradient, the same slots; 16 at first."""
    cell = ChoppedTransfer(auto_scale=True, fast_lr=0.5)
    means = []
    for size in (1e-3, 10.0):
        log = ActivityLog()
        tile = _tile(cell, log=log)
        for seed in range(10):
            x, d = _pairs(seed, 5)
            tile.update(x, size * d, 0.01)
        rows = log.take()
        slots = rows.slots[rows.phase == Phase.UPDATE]
        assert slots[0] == 16
        means.append(slots.mean())
    assert means[0] == pytest.approx(means[1], rel=0.05)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration_has_a_source_and_learns(name):
    preset = configuration(name)
    assert preset.name == name and preset.source
    tile = AnalogTile(3, 4, preset.config)
    for seed in range(3):
        tile.forward(torch.ones(1, 4))
        tile.update(*_pairs(seed, 2, 3, 4), 0.1)
    assert bool(torch.isfinite(tile.weights).all())


def test_the_configurations_are_those_of_the_list():
    devices = ("reram-es", "reram-sb", "capacitor", "ecram", "ecram-mo", "idealized")
    expected = {"gokmen-vlasov", "pcm", "mixed-precision-gokmen-vlasov", "mixed-precision-pcm"}
    expected |= {f"{x}{n}" for x in devices for n in ("", "-2", "-4")}
    expected |= {f"{a}-{x}" for a in ("tiki-taka", "ttv2", "chopped-ttv2", "agad", "mixed-precision") for x in devices}
    assert expected <= set(CONFIGURATIONS)
    assert configuration("agad-reram-sb").config.device.subtract_symmetry_point
    assert not configuration("reram-sb").config.device.subtract_symmetry_point
    agad = configuration("agad-ecram").config
    assert (agad.cell.auto_granularity, agad.cell.tail_weightening, agad.cell.in_chop_prob) == (750, 50, 0.005)
    assert configuration("ttv2-ecram").config.update.desired_bl == 100


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Vector(number=0), "number: 0 was given; accepted is an integer >= 1"),
        (lambda: Vector(policy="one"), "policy: 'one' is unknown"),
        (lambda: Vector(gamma=(1.0,)), "gamma: 1 were given; accepted are 2"),
        (lambda: Vector(devices=(SOFT,) * 3), "devices: 3 were given; accepted are at most 2"),
        (lambda: Vector(devices=("soft",)), "devices: 'soft' was given"),
        (lambda: Transfer(transfer_every=-1.0), "transfer_every: -1.0 was given; accepted is a number >= 0"),
        (lambda: Transfer(with_reset_prob=0.1, transfer_columns=False), "with_reset_prob: it was given with rows"),
        (lambda: Transfer(gamma_vec=(0.1,)), "gamma_vec: 1 were given; accepted are 2"),
        (lambda: ChoppedTransfer(number=3), "number: 3 was given; accepted is 2 with choppers"),
        (lambda: ChoppedTransfer(n_reads_per_transfer=2), "n_reads_per_transfer: 2 was given; accepted is 1"),
        (lambda: DynamicTransfer(in_chop_prob=0.0), "in_chop_prob: 0 was given; accepted is a number > 0"),
        (lambda: MixedPrecision(inner=Transfer()), "inner: transfer was given; accepted are single, vector"),
        (lambda: Hamiltonian(transfer_every=0), "transfer_every: 0 was given"),
        (lambda: AnalogConfig(cell="agad"), "cell: 'agad' was given; accepted is a CellParameters"),
        (lambda: configuration("agad-ecra"), "configuration: 'agad-ecra' is unknown; did you mean 'agad-ecram'"),
    ],
)
def test_wrong_parameters_are_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_every_kind_of_cell_is_tested_here():
    tested = {type(cell).kind for cell in EVERY.values()}
    assert tested == set(CELLS)
