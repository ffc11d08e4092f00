"""The table of what a headline hangs on, in docs/results.md, is what is timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpusim.arch.chips import library
from rpusim.arch.chips.chip import Chip
from rpusim.workloads.runs.estimate import time_network

TEXT = (Path(__file__).parents[3] / "docs/results.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("### What a headline hangs on")[2].partition("## Comparing")[0]
ROWS = [line.replace("*", "").strip("|").split("|") for line in TABLE.splitlines() if line.startswith("|")][2:]
UNITS = {"nJ": 1e-9, "µJ": 1e-6}
ADC = "haensch-2018/adc"


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(each.strip() for each in row[:3]))
def test_energy_share_and_efficiency_are_those_of_the_table(row: list[str]) -> None:
    gating, leakage, waits, energy, rest, efficiency = (each.strip() for each in row)
    card = library.library()[ADC]
    assert card.rated_rate is not None
    idle = card.energy["convert"] * card.rated_rate * float(waits.removesuffix("%")) / 100
    chip = Chip.load("rpu-2016").model_copy(
        update={"gating": gating, "leakage": leakage, "cards": {ADC: card.model_copy(update={"idle": idle})}}
    )
    result = time_network("fcn", chip, 1, True, "sequential", batch=1)
    total, states = result["energy"]["total_J"], result["energy"]["states"]
    number, unit = energy.split()
    assert total == pytest.approx(float(number) * UNITS[unit], rel=0.005)
    at_rest = sum(part["idle_J"] + part["leakage_J"] for part in states) / total
    assert at_rest == pytest.approx(float(rest.removesuffix("%")) / 100, abs=0.005)
    assert result["throughput"]["ops_per_J"] * 1e-12 == pytest.approx(float(efficiency), rel=0.005)
