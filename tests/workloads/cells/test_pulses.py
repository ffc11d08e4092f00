"""What a result says of the way in which pulses were computed, for every algorithm that there is."""

from __future__ import annotations

import pytest
import torch

from rpusim.kernels import AnalogConfig, convert
from rpusim.workloads.cells import training_cells
from rpusim.workloads.cells.pulses import document
from rpusim.workloads.learn.algorithms import ALGORITHMS, fields


@pytest.mark.parametrize("pairs", [0, 2])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_array_that_is_pulsed_has_a_way_calibrated_or_not(name: str, pairs: int) -> None:
    algorithm = ALGORITHMS[name]
    given = fields(algorithm, "soft-bounds", algorithm.own[1][0], 0.1, pairs, 0.01)["device"]
    cells = training_cells.build(given)
    model = convert(torch.nn.Linear(3, 2), AnalogConfig(device=cells.device, cell=cells.cell))
    found = document(model)
    assert found is not None and {row["execution"] for row in found["arrays"]} <= {"merged", "exact"}
    assert all(("why" in row) == (row["execution"] == "exact") for row in found["arrays"])
