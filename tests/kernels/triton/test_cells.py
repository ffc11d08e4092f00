"""Unit cells whose arrays are pulsed and read by Triton's kernels are those of the compiled loops.

In the interpreter all numbers are the same, to the bit. On a GPU sums of a multiplication have another order, which
can send a pulse more or less in a transfer that rounds; there most weights are the same.
"""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("triton", reason="needs Triton: make test-gpu")
from rpusim.kernels import (
    CELLS,
    AnalogConfig,
    AnalogTile,
    BitSliced,
    ChoppedTransfer,
    IOParameters,
    MixedPrecision,
    OneSided,
    Slices,
    SoftBounds,
    Transfer,
    UpdateParameters,
)
from rpusim.kernels.base.paths import interpreted

if not interpreted() and not torch.cuda.is_available():
    pytest.skip("needs a GPU or TRITON_INTERPRET=1: make test-gpu", allow_module_level=True)
DEVICE = "cpu" if interpreted() else "cuda"

ROWS, COLUMNS = 4, 5
SOFT = SoftBounds(dw_min=0.01, reset=0.01, reset_dtod=0.01)
SHORT = UpdateParameters(desired_bl=7, execution="exact")
# Transfers that fall due within a mini-batch, refreshes that fall due at all.
MORE = {
    "transfer by vector": Transfer(units_in_mbatch=False, transfer_every=2, gamma=0.3, n_reads_per_transfer=2),
    "chopped": ChoppedTransfer(in_chop_prob=0.3, out_chop_prob=0.3, gamma=0.2),
    "one-sided, refreshed": OneSided(
        refresh_every=3, units_in_mbatch=False, refresh_upper_thres=0.05, refresh_lower_thres=0.0
    ),
    "mixed, one-sided": MixedPrecision(inner=OneSided()),
}


def _as_it_comes(kind):
    """The cell without options, but for fewer pulses where it is calibrated."""
    cell = CELLS[kind]()
    if isinstance(cell, BitSliced):
        return replace(cell, slices=Slices(4, 2), resolve_every=2, x_bits=2, d_bits=2)  # the interpreter is slow
    return replace(cell, zero_shift_pairs=5) if cell.calibration_pairs else cell


EVERY = {kind: _as_it_comes(kind) for kind in CELLS} | MORE


def _state(tile):
    state = tile.state_dict().values()
    return torch.cat([v.reshape(-1).double().cpu() for v in state if isinstance(v, torch.Tensor)]).nan_to_num()


@pytest.mark.parametrize("cell", EVERY.values(), ids=EVERY)
def test_every_cell_learns_and_is_read_as_by_compiled_loops(cell):
    io = IOParameters(slices=cell.slices) if isinstance(cell, BitSliced) else IOParameters()
    config = AnalogConfig(SOFT, update=SHORT, cell=cell, forward=io, backward=io)
    tiles = [AnalogTile(ROWS, COLUMNS, config, path=path) for path in ("numba", "triton")]
    tiles[1].to(DEVICE)
    generator, seen = torch.Generator().manual_seed(1), []
    for _ in range(3):
        x, d = torch.randn(3, COLUMNS, generator=generator), 0.5 * torch.randn(3, ROWS, generator=generator)
        for tile in tiles:
            there = x.to(tile.weights.device), d.to(tile.weights.device)
            seen.append(torch.cat([tile.forward(there[0]).flatten(), tile.backward(there[1]).flatten()]).cpu())
            tile.update(*there, 0.1)
            tile.end_mini_batch()
    assert tiles[1].path_now == tiles[1].cell.path_now == "triton"
    ours, theirs = _state(tiles[1]), _state(tiles[0])
    if DEVICE == "cpu":
        assert torch.equal(ours, theirs)
        assert all(map(torch.equal, seen[0::2], seen[1::2]))
    else:
        assert ((ours - theirs).abs() < 1e-5).double().mean() > 0.9
