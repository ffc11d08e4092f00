"""The bottleneck names the layer whose unit it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.results.bottleneck import _layer_of


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Twelve layers on twelve arrays of one tile."""
    with torch.device("meta"):
        module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(12)))
    return make_plan(place(capture(module, (4,)), Chip.load("isaac-2016")))


@pytest.mark.parametrize("unit", ["", " row drivers", " column drivers", " row ADCs"])
def test_array_10_is_not_taken_for_array_1(plan: Plan, unit: str) -> None:
    for array in range(12):
        assert _layer_of(plan, f"tile 0 array {array}{unit}") == f" (layer '{array}')"


def test_what_layers_share_names_none(plan: Plan) -> None:
    assert _layer_of(plan, "tile 0 buffer") == ""
