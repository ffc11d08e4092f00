"""Decay in the compiled step is what an array does at the end of a mini-batch, to the bit, whatever is left unread."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.kernels.devices.variation import Cells
from rpusim.kernels.step.on_arrays.decay import Edges, approach, keep_within

NUMBER = 64


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lifetime=st.sampled_from([1.0, 3.0, 1e3, 1e5, 1e6, 1e7]),
    goals=st.sampled_from([None, 0.0, 1e-3, 0.5, 1.0]),
    spread=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_weights_decay_as_those_of_an_array_do(seed: int, lifetime: float, goals: float | None, spread: float) -> None:
    """Weights at their bounds and beside them, goals beyond bounds and beside them, factors above 1 and below 0."""
    draw = np.random.default_rng(seed)
    low, high = -np.abs(1 + spread * draw.normal(size=NUMBER)), np.abs(1 + spread * draw.normal(size=NUMBER))
    high[draw.random(NUMBER) < 0.1] = 0.0
    decay = 1 - (1 + 0.3 * draw.normal(size=NUMBER)) / lifetime
    goal = None if goals is None else goals * draw.choice([-1.0, 0.3, 1.0, 1.0 - 1e-6], NUMBER)
    weights = draw.choice([0.0, 0.5, 1.0, 1.0 - 1e-7], NUMBER) * np.where(draw.random(NUMBER) < 0.5, low, high)
    pulse, left, aim = (
        None if each is None else torch.tensor(each, dtype=torch.float32)
        for each in (
            np.stack([low, high, high, high], axis=-1)[None],
            decay[None],
            None if goal is None else goal[None],
        )
    )
    assert pulse is not None and left is not None
    cells = Cells(pulse, left, aim, None, None)
    before = cells.clip(torch.tensor(weights[None], dtype=torch.float32))
    target = torch.zeros(()) if aim is None else aim
    expected = cells.clip((before - target) * left + target)
    found, now = Edges().of(0, cells), before.numpy().ravel().copy()
    approach(now, left.numpy().ravel(), aim.numpy().ravel() if found.goals and aim is not None else now[:0])
    keep_within(now, pulse.numpy().ravel(), 4, found.edges)
    np.testing.assert_array_equal(now, expected.numpy().ravel())
    if goals is None and lifetime == 1e6 and spread == 0.0:
        assert len(found.edges) <= 1  # their bounds are not read


def test_cells_are_looked_at_again_when_they_change() -> None:
    edges, left = Edges(), torch.full((1, NUMBER), 0.5)
    cells = Cells(torch.tensor([[[-1.0, 1.0, 0.1, 0.1]] * NUMBER]), left, None, None, None)
    assert len(edges.of(0, cells).edges) == 0
    left[0, 3] = 1.5
    assert edges.of(0, cells).edges.tolist() == [3]
