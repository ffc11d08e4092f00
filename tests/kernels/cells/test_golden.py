"""Unit cells step by step: hidden weights after every vector, against traces of AIHWKit with noise switched off."""

import pytest
import torch

from rpusim.kernels import (
    AnalogConfig,
    AnalogTile,
    BufferedTransfer,
    ChoppedTransfer,
    ConstantStep,
    DynamicTransfer,
    IOParameters,
    MixedPrecision,
    OneSided,
    Transfer,
    UpdateParameters,
    Vector,
)

QUIET = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
DEVICE = ConstantStep(dw_min=0.01, w_max=10.0, w_min=-10.0, **QUIET)
IMPLICIT = UpdateParameters(pulse_type="deterministic_implicit")
ONE = UpdateParameters(1, False, False, "deterministic_implicit")
PERFECT = {"transfer_forward": IOParameters(is_perfect=True)}

pytestmark = pytest.mark.parametrize("path", ["numba", "torch"])


def _tile(cell, columns, path, device=DEVICE):
    return AnalogTile(1, columns, AnalogConfig(device, update=IMPLICIT, cell=cell), path=path)


def _run(tile, x, d, rate, steps, *seen):
    """After each update the rows that ``seen`` pick from the cell."""
    results = []
    for _ in range(steps):
        tile.update(torch.tensor([x]), torch.tensor([[d]]), rate)
        results.append([[round(v, 6) + 0.0 for v in look(tile.cell).reshape(-1).tolist()] for look in seen])
    return [list(column) for column in zip(*results, strict=True)]


def _hidden(index):
    return lambda cell: cell.arrays[index].weights


def _held(name):
    return lambda cell: getattr(cell, name)


def test_tiki_taka(path):
    cell = Transfer(units_in_mbatch=False, scale_fast_lr=False, transfer_update=IMPLICIT, **PERFECT)
    fast, slow = _run(_tile(cell, 3, path), (1.0, 0.5, 0.25), -0.08, 0.5, 4, _hidden(0), _hidden(1))
    assert fast == [[0.08, 0.04, 0.02], [0.16, 0.08, 0.04], [0.24, 0.12, 0.06], [0.32, 0.16, 0.08]]
    assert slow == [[0.04, 0, 0], [0.04, 0.04, 0], [0.04, 0.04, 0.03], [0.2, 0.04, 0.03]]


def test_buffered_transfer(path):
    cell = BufferedTransfer(units_in_mbatch=False, scale_fast_lr=False, transfer_update=ONE, **PERFECT)
    tile = _tile(cell, 3, path)
    fast, slow, held = _run(tile, (1.0, 0.5, 0.25), -0.08, 0.1, 5, _hidden(0), _hidden(1), _held("buffer"))
    assert fast[:4] == [[0.08, 0.04, 0.02], [0.16, 0.08, 0.04], [0.24, 0.12, 0.06], [0.32, 0.16, 0.08]]
    assert held == [
        [0.008, 0, 0],
        [0.008, 0.008, 0],
        [0.008, 0.008, 0.006],
        [0.004, 0.008, 0.006],
        [0.004, 0.0028, 0.006],
    ]
    assert slow == [[0, 0, 0]] * 3 + [[0.01, 0, 0], [0.01, 0.01, 0]]


def test_chopped_transfer(path):
    cell = ChoppedTransfer(in_chop_prob=0.5, in_chop_random=False, transfer_update=ONE, **PERFECT)
    tile = _tile(cell, 2, path)
    fast, slow, held = _run(tile, (1.0, 0.5), -0.08, 0.1, 8, _hidden(0), _hidden(1), _held("buffer"))
    first = [[0.08, 0.04], [0.16, 0.08], [0.24, 0.12], [0.16, 0.16], [0.08, 0.12], [0, 0.08], [-0.08, 0.04], [0, 0]]
    assert fast == first
    for got, expected in zip(
        held, [[0.8, 0], [0.8, 0.8], [0, 0.8], [0, 0], [-0.8, 0], [-0.8, -0.8], [0, -0.8], [0, -0.8]], strict=True
    ):
        assert got == pytest.approx(expected, abs=2e-6)
    assert slow == [[0, 0], [0, 0], [0.01, 0]] + [[0.01, 0.01]] * 5


def test_dynamic_transfer(path):
    cell = DynamicTransfer(in_chop_prob=0.5, tail_weightening=1.0, transfer_update=ONE, **PERFECT)
    tile = _tile(cell, 1, path)
    looks = (_hidden(0), _hidden(1), _held("buffer"), _held("mean"), _held("past"))
    traces = _run(tile, (1.0,), -0.08, 0.1, 9, *looks)
    fast, slow, held, mean, past = ([row[0] for row in trace] for trace in traces)
    assert fast == [0.08, 0.16, 0.08, 0, 0.08, 0.16, 0.08, 0, 0.08]
    assert held == pytest.approx([0.8, 0, 0.2, 0, 0.35, 0, 0.3125, 0, 0.321875], abs=2e-6)
    assert mean == pytest.approx([0.04, 0.1, 0.09, 0.045, 0.0625, 0.11125, 0.095625, 0.0478125, 0.06390625], abs=1e-6)
    assert past == pytest.approx([0, 0, 0.1, 0.1, 0.045, 0.045, 0.11125, 0.11125, 0.0478125], abs=1e-6)
    assert slow == [0, 0, 0, 0.01, 0.01, 0.02, 0.02, 0.03, 0.03]


@pytest.mark.parametrize("late", [True, False])
def test_mixed_precision(path, late):
    """With transfers as late as in AIHWKit; in time, the first one only comes one vector earlier."""
    chi, weights = _run(
        _tile(MixedPrecision(late_transfer=late), 2, path), (1.0, 0.5), -0.17, 0.1, 3, _held("chi"), _held("weights")
    )
    assert chi[1:] == [[-0.004, -0.007], [-0.001, -0.0055]] and weights[1:] == [[0.03, 0.01], [0.05, 0.02]]
    assert (chi[0], weights[0]) == (([-0.017, -0.0085], [0, 0]) if late else ([-0.007, -0.0085], [0.01, 0]))


def test_one_sided(path):
    tile = _tile(OneSided(), 1, path)
    tile.set_weights(torch.tensor([[-0.3]]))
    hidden = [[float(a.weights) for a in tile.cell.arrays]]
    for d in (1.0, -1.0):
        tile.update(torch.ones(1, 1), torch.tensor([[d]]), 0.1)
        hidden.append([float(a.weights) for a in tile.cell.arrays])
    assert [pytest.approx(h) for h in ([0.3, 0], [0.4, 0], [0.4, 0.1])] == hidden
    assert float(tile.weights) == pytest.approx(-0.3)


def test_vector(path):
    tile = _tile(Vector(), 1, path)
    tile.set_weights(torch.tensor([[0.3]]))
    tile.update(torch.ones(1, 1), -torch.ones(1, 1), 0.1)
    assert [float(a.weights) for a in tile.cell.arrays] == pytest.approx([0.4, 0.4])
    assert float(tile.weights) == pytest.approx(0.4)


def test_pulses_are_counted_with_the_mean_granularity_of_the_devices(path):
    """Steps 0.01 and 0.03, lr x d = 0.12: 6 pulses, so A moves by 0.06."""
    coarse = ConstantStep(dw_min=0.03, w_max=10.0, w_min=-10.0, **QUIET)
    tile = _tile(Transfer(devices=(DEVICE, coarse), transfer_every=0.0, **PERFECT), 1, path)
    tile.update(torch.ones(1, 1), -torch.ones(1, 1), 0.12)
    assert float(tile.cell.arrays[0].weights) == pytest.approx(0.06)
