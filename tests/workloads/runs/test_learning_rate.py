"""With which learning rate each epoch of a run learns, on the chip and in the floating-point training beside it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

import rpusim


@pytest.mark.parametrize(
    ("halve_every", "expected"), [(1, [0.4, 0.2, 0.1, 0.05]), (2, [0.4, 0.4, 0.2, 0.2]), (3, [0.4, 0.4, 0.4, 0.2])]
)
def test_it_is_halved_after_exactly_so_many_epochs_again_and_again(
    halve_every: int, expected: list[float], few_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four epochs of three mini-batches each."""
    rates: dict[str, list[float]] = defaultdict(list)

    def noting(optimizer: type[torch.optim.Optimizer]) -> Any:
        original = optimizer.step

        def step(self: torch.optim.Optimizer, *arguments: Any, **options: Any) -> Any:
            rates[optimizer.__name__].append(self.param_groups[0]["lr"])
            return original(self, *arguments, **options)

        return step

    for optimizer in (rpusim.AnalogSGD, torch.optim.SGD):
        monkeypatch.setattr(optimizer, "step", noting(optimizer))
    recipe = {"epochs": 4, "batch": 20, "learning_rate": 0.4, "halve_every": halve_every, "source": "test"}
    rpusim.simulate("fcn-digits", data=str(few_digits), recipe=recipe)
    assert rates["AnalogSGD"][-12:] == pytest.approx([rate for rate in expected for _ in range(3)])
    assert rates["SGD"][-12:] == rates["AnalogSGD"][-12:]
