"""Updates without pulses, on both paths: exact products, with the bounds of a device or without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rpusim.kernels import ConstantStep, UpdateParameters
from rpusim.kernels.pulses import compiled, specification

EXACT = dict.fromkeys(("dw_min_dtod", "dw_min_std", "up_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0)
MODEL = ConstantStep(dw_min=0.01, w_max=0.25, w_min=-0.35, **EXACT)
each_path = pytest.mark.parametrize("update", [specification.update, compiled.update], ids=["torch", "numba"])


def learned(
    update: Callable[..., Any], kind: str, x: list[list[float]], d: list[list[float]], rate: float = 1.0, **more: Any
) -> tuple[list[float], Any]:
    """Weights, row after row, that began at 0; and the counts."""
    weights = torch.zeros(len(d[0]), len(x[0]))
    cells = MODEL.sample(*weights.shape, (5, 1, 2))
    given = torch.tensor(x), torch.tensor(d), rate, UpdateParameters(pulse_type=kind)  # type: ignore[arg-type]
    counts = update(weights, cells, MODEL, *given, (5, 1, 2), 0, **more)
    return weights.flatten().tolist(), counts


@each_path
@pytest.mark.parametrize(
    ("kind", "expected"), [("none", [0.5 - 0.1, -0.5 + 0.1]), ("none_with_device", [0.25 - 0.1, -0.35 + 0.1])]
)
def test_a_device_keeps_its_bounds_after_every_vector(update: Any, kind: str, expected: list[float]) -> None:
    """Two columns go 0.5 up and down, and then 0.1 back."""
    weights, _ = learned(update, kind, [[1.0, -1.0], [-0.2, 0.2]], [[-0.5], [-0.5]])
    assert weights == pytest.approx(expected)


@each_path
@pytest.mark.parametrize(("kind", "most"), [("none", 0.5), ("none_with_device", 0.25)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_only_up_leaves_out_what_would_lower_a_weight(update: Any, kind: str, most: float, sign: float) -> None:
    x, d = [[1.0, -1.0], [-0.2, 0.2]], [[-0.5], [-0.5]]
    weights, _ = learned(update, kind, x, d, rate=sign, only_up=True)
    assert weights == pytest.approx([most, 0.1] if sign > 0 else [0.1, most])


@each_path
@pytest.mark.parametrize("kind", ["none", "none_with_device"])
def test_lines_that_are_not_zero_take_part_where_both_sides_have_some(update: Any, kind: str) -> None:
    x = [[1.0, 0.0, 0.5], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    d = [[0.1, 0.0], [0.1, 0.1], [0.0, 0.0]]
    _, counts = learned(update, kind, x, d)
    assert counts.active_columns.tolist() == [2, 0, 0] and counts.active_rows.tolist() == [1, 0, 0]
    assert not counts.slots.any() and not counts.row_pulses.any() and not counts.column_pulses.any()
    assert not counts.coincidences_up.any() and not counts.coincidences_down.any()
    weights, counts = learned(update, kind, x, d, rate=0.0)
    assert not any(weights) and not counts.active_columns.any()
