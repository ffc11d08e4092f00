"""With which learning rate each epoch of a run learns, on the chip and in the floating-point training beside it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

import rpusim
from rpusim.workloads.runs.training_loop import Training


@pytest.mark.parametrize(
    ("halve_every", "expected"), [(1, [0.4, 0.2, 0.1, 0.05]), (2, [0.4, 0.4, 0.2, 0.2]), (3, [0.4, 0.4, 0.4, 0.2])]
)
def test_it_is_halved_after_exactly_so_many_epochs_again_and_again(
    halve_every: int, expected: list[float], few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four epochs of three mini-batches each."""
    rates: dict[str, list[float]] = defaultdict(list)
    original = Training.learn

    def learn(self: Training, x: torch.Tensor, y: torch.Tensor, batch: int, draws: Any) -> list[float]:
        losses = original(self, x, y, batch, draws)
        rates[self.name] += [self.optimizer.param_groups[0]["lr"]] * len(losses)
        return losses

    monkeypatch.setattr(Training, "learn", learn)
    recipe = {"epochs": 4, "batch": 20, "learning_rate": 0.4, "halve_every": halve_every, "source": "test"}
    rpusim.simulate("fcn-digits", data=str(few_digits), recipe=recipe)
    assert rates["analog"] == pytest.approx([rate for rate in expected for _ in range(3)])
    assert rates["digital"] == rates["analog"]
