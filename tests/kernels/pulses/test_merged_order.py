"""Merged pulses know the order of the vectors, and the pulses that are taken; noise keeps its skewness.

A mini-batch need not be in random order: sorted by class, its errors change sign once. A weight that goes up and then
down by soft bounds ends elsewhere than one that goes down and then up, and a little more so after every mini-batch.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from rpusim.kernels import LinearStep, SoftBounds, UpdateParameters, device
from rpusim.kernels.base.loops import compile_loop
from rpusim.kernels.devices.base import PulsedDevice
from rpusim.kernels.devices.models import linear_step
from rpusim.kernels.pulses import compiled, merged_counts
from rpusim.kernels.pulses.cell_numbers import names_of
from rpusim.kernels.pulses.counts import UpdateCounts

STEP = 0.004
SPREADS = dict.fromkeys(("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0)
ONE_SLOT = {"desired_bl": 1, "update_management": False, "update_bl_management": False}
LINES, COLUMNS = 24, 24


def soft_bounds(step: float = STEP, noise: float = 0.0, w_min: float = -1.0) -> SoftBounds:
    return SoftBounds(dw_min=step, dw_min_std=noise, w_max=1.0, w_min=w_min, **SPREADS)


def updated(
    model: PulsedDevice,
    execution: str,
    x: torch.Tensor,
    d: torch.Tensor,
    rate: float,
    start: float = 0.0,
    run: int = 0,
    times: int = 1,
    only_up: bool = False,
    **more: object,
) -> tuple[torch.Tensor, UpdateCounts]:
    """The weights after the same mini-batch, several times: the bits of a run are those of both executions."""
    cells = model.sample(d.shape[1], x.shape[1], (1,))
    weights = torch.full((d.shape[1], x.shape[1]), start)
    parameters = UpdateParameters(execution=execution, **more)  # type: ignore[arg-type]
    name = (run, execution == "merged")
    for time in range(times):
        counts = compiled.update(
            weights, cells, model, x, d, rate, parameters, name, time * len(x), lines=(run, 77), only_up=only_up
        )
    return weights, counts


def signs(*runs: int) -> torch.Tensor:
    """Errors of a mini-batch, the same for all rows: so many that raise (positive) or lower (negative), and so on."""
    return torch.cat([torch.full((abs(run), LINES), -1.0 if run > 0 else 1.0) for run in runs])


ORDERS = {
    "up, then down": (5, -5),
    "down, then up": (-5, 5),
    "one by one": (1, -1) * 5,
    "up, down, up": (3, -8, 5),
    "more than a word": (20, -30, 20),
    "a word each": (32, -32),
    "unequal": (3, -20, 7),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("columns", ["positive", "of both signs"])
def test_without_noise_a_known_order_leads_where_pulses_one_by_one_lead(order: str, columns: str) -> None:
    """Soft bounds from 0.2, one slot per vector, steps as large as merging allows: within 0.03 steps.

    Sorted by direction, the other way round would be 0.2 to 1.4 steps away.
    """
    d = signs(*ORDERS[order])
    x, step = torch.ones(len(d), COLUMNS), 0.08 / len(d)
    if columns == "of both signs":
        x[:, ::2] = -1.0
    one, _ = updated(soft_bounds(step), "exact", x, d, step, 0.2, **ONE_SLOT)
    many, counts = updated(soft_bounds(step), "merged", x, d, step, 0.2, **ONE_SLOT)
    back, _ = updated(soft_bounds(step), "exact", x.flip(0), d.flip(0), step, 0.2, **ONE_SLOT)
    assert counts.merged.all() and not counts.fallbacks.any()
    assert float((many - one).abs().max()) < 0.03 * step
    if order in ("up, then down", "down, then up", "a word each"):
        assert float((back - one).abs().min()) > 0.19 * step


@pytest.mark.parametrize("length", [1, 3])
def test_columns_that_change_sign_between_vectors_are_counted_in_order(length: int) -> None:
    """Signs of rows and columns at random, trains of one slot or three: within 0.03 steps of pulses one by one."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(30, COLUMNS, generator=generator).sign()
    d = torch.randn(30, LINES, generator=generator).sign()
    more = {**ONE_SLOT, "desired_bl": length}
    step = 0.002 / length
    one, _ = updated(soft_bounds(step), "exact", x, d, 0.5 * step * length, **more)
    many, counts = updated(soft_bounds(step), "merged", x, d, 0.5 * step * length, **more)
    assert counts.merged.all() and not counts.fallbacks.any() and float(one.std()) > step
    assert float((many - one).abs().max()) < 0.03 * step


@pytest.mark.parametrize("order", ["up, then down", "down, then up", "one by one"])
def test_a_sorted_mini_batch_again_and_again_ends_where_the_exact_one_does(order: str) -> None:
    """100 mini-batches, usual noise: the means of 20 runs with the same bits within 4.5 standard errors, 0.25 steps.

    Taken as random, the order of these vectors is 0.5 to 2.5 steps off by then.
    """
    d = signs(*ORDERS[order])
    x, found = torch.ones(len(d), COLUMNS), {}
    for execution in ("exact", "merged"):
        runs = [
            updated(soft_bounds(noise=0.3), execution, x, d, STEP, run=run, times=100, **ONE_SLOT)[0]
            for run in range(20)
        ]
        found[execution] = torch.stack(runs).double()
    gap = (found["merged"] - found["exact"]).mean((1, 2)) / STEP
    error = float(gap.std()) / len(gap) ** 0.5
    assert error < 0.07 and abs(float(gap.mean())) < 4.5 * error
    assert float(found["merged"].std() / found["exact"].std()) == pytest.approx(1.0, abs=0.05)


def test_spans_are_the_fewest_that_send_up_before_down() -> None:
    """A row of 8 bits, sent in vectors of two: with positive columns spans follow the row, with others the vectors."""
    names = names_of(linear_step.multiplicative_step, 2)
    spans = compile_loop(merged_counts.spans, **names)
    plus, minus = 0b00110000, 0b11001111  # lowers in slots 4 and 5, raises in all others
    for negative, expected in (
        (0, [(0b00110000, 0b00001111), (0, 0b11000000)]),
        (1, [(0, 0b00000011), (0, 0b00001100), (0b00110000, 0), (0, 0b11000000)]),
    ):
        place, above, below = np.empty(32, np.int64), np.empty(32, np.uint32), np.empty(32, np.uint32)
        words = (np.array([word], np.uint32) for word in (plus, minus, 0b01010101, negative))
        number = spans(*words, place, above, below)
        assert list(zip(above[:number].tolist(), below[:number].tolist(), strict=True)) == expected


# --- pulses that are not taken ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("w_min", [0.0, -1.0])
@pytest.mark.parametrize(("step", "ups", "downs"), [(0.002, 30, 130), (0.005, 15, 100), (0.001, 80, 80)])
@pytest.mark.parametrize("first", ["up", "down"])
def test_pulses_that_an_array_does_not_take_do_not_move_it(
    first: str, step: float, ups: int, downs: int, w_min: float
) -> None:
    """An array that only goes up, down pulses before or after: the closed form of its up pulses, within 0.01 steps."""
    d = signs(ups, -downs) if first == "up" else signs(-downs, ups)
    x, model = torch.ones(len(d), COLUMNS), soft_bounds(step, w_min=w_min)
    for execution in ("exact", "merged"):
        weights, counts = updated(model, execution, x, d, step, 0.3, only_up=True, **ONE_SLOT)
        expected = 1.0 - 0.7 * (1.0 - step) ** ups
        assert float((weights - expected).abs().max()) < 0.01 * step + 2e-7
        assert counts.coincidences_down.sum() == 0


@pytest.mark.parametrize("name", ["ecram", pytest.param("reram-sb", marks=pytest.mark.slow)])
def test_arrays_that_only_go_up_are_the_same_in_distribution(name: str) -> None:
    """Trains of both signs, cells that differ: means of 30 runs with the same bits within 4.5 standard errors."""
    model = device(name)
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(30, COLUMNS, generator=generator) - 0.3
    d = torch.randn(30, LINES, generator=generator).sort(0).values * 0.3
    gap = [
        updated(model, "merged", x, d, 0.05, run=run, only_up=True)[0].double()
        - updated(model, "exact", x, d, 0.05, run=run, only_up=True)[0].double()
        for run in range(30)
    ]
    means = torch.stack(gap).mean((1, 2))
    assert abs(float(means.mean())) < 4.5 * float(means.std()) / len(means) ** 0.5


# --- skewness ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [+1, -1])
@pytest.mark.parametrize(
    ("step", "noise", "vectors", "slots"), [(0.0095, 3.0, 10, 1), (0.004, 5.0, 20, 1), (0.0064, 1.5, 2, 42)]
)
def test_multiplicative_noise_keeps_its_skewness(
    step: float, noise: float, vectors: int, slots: int, direction: int
) -> None:
    """Near the limit of SHAPE, 40,000 cells: the distance to the bound is a product of n equal normal numbers.

    Of factors with the mean m = 1 - a and the variance v = (a sigma)^2, third moment m^3 + 3 m v. Merged vector by
    vector each has a skewness of its own, and both add up as in the product: within 0.06 and 4.5 standard errors.
    """
    x, d = torch.ones(vectors, 200), torch.full((vectors, 200), -float(direction))
    model = LinearStep(
        dw_min=step, dw_min_std=noise, gamma_up=1.0, gamma_down=1.0, w_max=1.0, w_min=-1.0, gamma_up_dtod=0.0,
        gamma_down_dtod=0.0, **SPREADS,
    )  # fmt: skip
    weights, counts = updated(model, "merged", x, d, step * slots, **{**ONE_SLOT, "desired_bl": slots})
    assert counts.merged.all() and not counts.fallbacks.any()
    n, mean, variance = vectors * slots, 1.0 - step, (step * noise) ** 2
    first, second, third = mean**n, (mean**2 + variance) ** n, (mean**3 + 3.0 * mean * variance) ** n
    skewness = -direction * (third - 3.0 * first * second + 2.0 * first**3) / (second - first**2) ** 1.5
    assert abs(skewness) > 0.2
    found = float(stats.skew(weights.double().numpy().ravel()))
    assert abs(found - skewness) < 0.06 + 4.5 * (6.0 / weights.numel()) ** 0.5
