"""One array: what it logs, that it continues from its state, and that it keeps its bounds."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, ConstantStep, IOParameters, SoftBounds, UpdateParameters, preset

CONFIG = preset("gokmen-vlasov").config
QUIET = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}


def _vectors(seed, count, rows, columns):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, columns, generator=generator), 0.1 * torch.randn(count, rows, generator=generator)


def test_each_vector_leaves_one_row_per_phase():
    log = ActivityLog()
    tile = AnalogTile(6, 4, CONFIG, layer=3, tile=7, log=log)
    x, d = _vectors(0, 3, 6, 4)
    x[1] = 0.0
    x[2, 0] = 0.0
    d[0, :2] = 0.0
    tile.forward(x)
    tile.backward(d)
    tile.update(x, d, 0.1)
    rows = log.take()
    assert rows.phase.tolist() == [Phase.FORWARD] * 3 + [Phase.BACKWARD] * 3 + [Phase.UPDATE] * 3
    assert rows.vector.tolist() == [0, 1, 2] * 3
    assert set(rows.layer) == {3} and set(rows.tile) == {7}
    assert rows.passes[[0, 1, 2]].tolist() == [1, 0, 1]
    assert rows.active_columns[:6].tolist() == [4, 0, 3, 4, 4, 4]
    assert rows.active_rows[:6].tolist() == [6, 6, 6, 4, 6, 6]
    assert rows.slots[6] > 0 and rows.slots[7] == 0 and rows.row_pulses[7] == 0
    assert rows.active_rows[6] <= 4
    coincidences = rows.coincidences_up + rows.coincidences_down
    assert (coincidences[6:] <= rows.row_pulses[6:].astype(int) * rows.column_pulses[6:]).all()


@pytest.mark.parametrize("path", ["numba", "torch"])
def test_a_tile_restored_from_its_state_continues_bit_for_bit(path):
    config = AnalogConfig(
        SoftBounds(diffusion=0.01, lifetime=100.0), forward=IOParameters(noise_management="average_abs_max")
    )
    one = AnalogTile(5, 4, config, seed=1, path=path)

    def run(tile, seed):
        x, d = _vectors(seed, 3, 5, 4)
        outputs = tile.forward(x), tile.backward(d)
        tile.update(x, d, 0.05)
        tile.end_mini_batch()
        return torch.cat([o.ravel() for o in outputs])

    run(one, 0)
    other = AnalogTile(5, 4, config, seed=99, path=path)  # its own cells and name are overwritten by the state
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for seed in (1, 2):
        assert torch.equal(run(one, seed), run(other, seed))
        assert torch.equal(one.weights, other.weights)


def test_both_paths_train_to_the_same_weights():
    config = replace(CONFIG, update=replace(CONFIG.update, execution="exact"))
    tiles = [AnalogTile(8, 6, config, path=path) for path in ("numba", "torch")]
    for seed in range(3):
        x, d = _vectors(seed, 4, 8, 6)
        results = []
        for tile in tiles:
            results.append((tile.forward(x), tile.backward(d)))
            tile.update(x, d, 0.1)
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
        assert torch.equal(tiles[0].weights, tiles[1].weights)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_computes_what_the_cpu_computes():
    tiles = [AnalogTile(8, 6, CONFIG, path="torch").to(place) for place in ("cpu", "cuda")]
    x, d = _vectors(0, 4, 8, 6)
    for tile in tiles:
        place = tile.weights.device
        tile.y = tile.forward(x.to(place))
        tile.update(x.to(place), d.to(place), 0.1)
    assert torch.allclose(tiles[0].y, tiles[1].y.cpu(), atol=0.1)  # one ADC step
    assert torch.allclose(tiles[0].weights, tiles[1].weights.cpu(), atol=1e-6)


def test_weights_are_set_within_each_cells_bounds():
    tile = AnalogTile(20, 20, AnalogConfig(ConstantStep(corrupt_devices_prob=0.2)))
    tile.set_weights(torch.full((20, 20), 5.0))
    assert torch.equal(tile.get_weights(), tile.cells.bound_max)


def test_backward_never_uses_bound_management():
    log = ActivityLog()
    tile = AnalogTile(3, 3, AnalogConfig(backward=IOParameters(out_bound=0.1)), log=log)
    tile.set_weights(torch.full((3, 3), 0.5))
    tile.backward(torch.ones(1, 3))
    assert log.take().passes.tolist() == [1]


def test_the_update_follows_the_gradient_on_average():
    """200 independent arrays: mean change -lr d x^T within 4.5 standard errors."""
    config = AnalogConfig(ConstantStep(dw_min=1e-3, w_max=10, w_min=-10, **QUIET), update=UpdateParameters(31))
    x, d = _vectors(3, 1, 6, 5)
    changes = []
    for seed in range(200):
        tile = AnalogTile(6, 5, config, seed=seed)
        tile.update(x, d, 0.05)
        changes.append(tile.get_weights().numpy())
    changes = np.array(changes)
    error = changes.mean(0) + 0.05 * np.outer(d[0], x[0])
    assert (np.abs(error) < 4.5 * changes.std(0) / 200**0.5 + 1e-5).all()


def test_tiles_of_different_names_have_different_cells():
    cells = [
        AnalogTile(4, 4, CONFIG, seed=s, layer=n, tile=t).cells.pulse
        for s, n, t in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    ]
    assert all(not torch.equal(cells[0], other) for other in cells[1:])
    assert torch.equal(cells[0], AnalogTile(4, 4, CONFIG).cells.pulse)


def test_an_unknown_path_is_refused():
    with pytest.raises(InputError, match="path: 'cuda' was given; accepted are numba, torch"):
        AnalogTile(2, 2, CONFIG, path="cuda")


def test_numbers_that_are_not_finite_name_their_layer():
    tile = AnalogTile(2, 2, CONFIG, layer=4)
    with pytest.raises(InputError, match="layer 4: the error d of an update holds NaN"):
        tile.update(torch.ones(1, 2), torch.full((1, 2), float("nan")), 0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda tile: tile.forward(torch.ones(2, 3)), r"x of shape \(2, 3\) was given; accepted is \(vectors, 2\)"),
        (lambda tile: tile.backward(torch.ones(3)), r"d of shape \(3,\) was given; accepted is \(vectors, 3\)"),
        (lambda tile: tile.update(torch.ones(2, 2), torch.ones(1, 3), 0.1), "2 vectors x and 1 vectors d were given"),
        (
            lambda tile: tile.set_weights(torch.ones(2, 3)),
            r"weights of shape \(2, 3\) were given; accepted is \(3, 2\)",
        ),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(AnalogTile(3, 2, CONFIG))


def test_vectors_in_any_memory_order_and_precision_give_the_same():
    x, d = _vectors(0, 4, 5, 3)
    weights = []
    for a, b in ((x, d), (x.t().contiguous().t(), d.double())):
        tile = AnalogTile(5, 3, CONFIG)
        tile.forward(a)
        tile.update(a, b, 0.1)
        weights.append(tile.get_weights())
    assert torch.equal(*weights)
