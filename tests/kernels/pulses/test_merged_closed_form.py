"""Pulses of one direction, merged: mean and variance of a linear step have a closed form, which merging has to meet.

Every pair of lines meets in every slot. Of an up step dw (1 - gamma w / w_max), with a contraction a = dw gamma / w_max
per pulse, n pulses lead from w to w* + (w - w*) (1 - a)^n with w* = w_max / gamma; the noise of each shrinks likewise
with every pulse that follows. Down steps the same, with w* = w_min / gamma.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rpusim.kernels import LinearStep, UpdateParameters
from rpusim.kernels.pulses import compiled
from rpusim.kernels.pulses.trains import Execution

STREAM = (5, 1, 2)
SPREADS = ("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod", "gamma_up_dtod", "gamma_down_dtod")
GAMMA, BOUND = {+1: 0.9, -1: 0.7}, {+1: 1.25, -1: -1.5}
SHORT = [(2, 0.05), (3, 0.03), (8, 0.012), (40, 0.0024), (150, 0.0006)]
"""Pulses in as many vectors of one slot, merged word by word, and the step at weight 0; n a stays below 0.1."""
LONG = [(50, 0.016), (64, 0.01), (130, 0.002), (50, 0.0005)]
"""Pulses in each of two vectors, merged vector by vector; n a stays below 1."""


def moved(
    direction: int, vectors: int, slots: int, dw: float, start: torch.Tensor, sigma: float = 0.0, additive: bool = False
) -> tuple[torch.Tensor, bool]:
    """The weights after ``vectors`` x ``slots`` pulses of one direction, and whether all were merged."""
    model = LinearStep(
        dw_min=dw, gamma_up=GAMMA[1], gamma_down=GAMMA[-1], w_max=BOUND[1], w_min=BOUND[-1], dw_min_std=sigma,
        mult_noise=not additive, **dict.fromkeys(SPREADS, 0.0),
    )  # fmt: skip
    rows, columns = start.shape
    weights, cells = start.clone(), model.sample(rows, columns, STREAM)
    parameters = UpdateParameters(
        desired_bl=slots, update_management=False, update_bl_management=False, execution=Execution.MERGED
    )
    x, d = torch.ones(vectors, columns), torch.full((vectors, rows), -float(direction))
    counts = compiled.update(weights, cells, model, x, d, dw * slots, parameters, STREAM, 0)
    assert counts.coincidences_up.sum() + counts.coincidences_down.sum() == vectors * slots * weights.numel()
    return weights, bool(counts.merged.all()) and not counts.fallbacks.any()


def mean_and_deviation(
    direction: int, pulses: int, dw: float, start: float, sigma: float, additive: bool
) -> tuple[float, float]:
    """Pulse after pulse, in double precision."""
    slope = -direction * dw * GAMMA[direction] / abs(BOUND[direction])
    mean, variance = start, 0.0
    for _ in range(pulses):
        size = dw + slope * mean
        noise = sigma * (dw if additive else size)
        mean, variance = mean + direction * size, variance * (1 + direction * slope) ** 2 + noise**2
    return mean, variance**0.5


@pytest.mark.parametrize("direction", [+1, -1])
@pytest.mark.parametrize(("vectors", "slots", "dw"), [(n, 1, dw) for n, dw in SHORT] + [(2, n, dw) for n, dw in LONG])
def test_without_noise_weights_are_those_of_the_pulses_one_by_one(
    direction: int, vectors: int, slots: int, dw: float
) -> None:
    start = torch.linspace(-0.5, 0.5, 64).reshape(8, 8)
    weights, all_merged = moved(direction, vectors, slots, dw, start)
    assert all_merged
    expected = [mean_and_deviation(direction, vectors * slots, dw, w, 0.0, False)[0] for w in start.ravel().tolist()]
    assert np.allclose(weights.ravel().numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("additive", [False, True])
@pytest.mark.parametrize("direction", [+1, -1])
@pytest.mark.parametrize(("vectors", "slots", "dw"), [(40, 1, 0.0024), (2, 60, 0.005)])
def test_with_noise_their_mean_and_deviation_are(
    additive: bool, direction: int, vectors: int, slots: int, dw: float
) -> None:
    """Of 90,000 equal cells: the mean within 4.5 standard errors, the deviation within 4.5 of its own and 0.3 %."""
    start, sigma = 0.3 * direction, 0.3
    weights, all_merged = moved(direction, vectors, slots, dw, torch.full((300, 300), start), sigma, additive)
    assert all_merged
    mean, deviation = mean_and_deviation(direction, vectors * slots, dw, start, sigma, additive)
    found = weights.double()
    assert abs(float(found.mean()) - mean) < 4.5 * deviation / 300 + 5e-6
    assert float(found.std()) == pytest.approx(deviation, rel=0.003 + 4.5 / (2 * 90_000) ** 0.5)
