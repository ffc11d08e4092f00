"""The bottleneck names the layer whose unit it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.errors import InputError
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.results.bottleneck import _layer_of, bottleneck


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


TIMED = st.tuples(
    st.sampled_from(["fcn-digits", "lenet-digits", "fcn"]),
    st.sampled_from(["rpu-2016", "reram-512", "hermes-2023", "isaac-2016"]),
    st.sampled_from(["sequential", "layer-pipelined", "minibatch-pipelined"]),
    st.integers(1, 6),
)


@settings(max_examples=10, deadline=None)
@given(TIMED)
def test_what_sets_the_pace_takes_most_of_the_critical_path(case: tuple[str, str, str, int]) -> None:
    network, chip, schedule, samples = case
    training = schedule == "minibatch-pipelined"
    try:
        found = rpusim.time_network(network, chip, samples, training, schedule)
    except InputError:
        assume(False)
    path, said = found["analysis"]["critical_path"]["by_part"], found["bottleneck"]
    assert path[said["critical_part"]] == max(path.values())
    assert said["critical_fraction"] == pytest.approx(path.get(said["part"], 0.0) / sum(path.values()))
    leads, _, rest = said["sentence"].partition(" the pace")
    assert leads.lower().startswith((f"the {said['critical_part']}".lower(), said["critical_part"])), said
    assert ("busier" in rest) == (path.get(said["part"], 0.0) < path[said["critical_part"]])
    assert f"{said['critical_fraction']:.0%}" in rest


def test_a_busy_kind_that_nothing_waits_for_does_not_set_the_pace(plan: Plan) -> None:
    kinds = dict.fromkeys(plan.station_parts, 10)
    ledger: Any = SimpleNamespace(
        occupied_ps=kinds | {"array": 60}, time_ps=100, busy_ps=dict.fromkeys(plan.stations, 5)
    )
    of = bottleneck(plan, ledger, {"array": 30.0, "buffer": 70.0})
    assert of["sentence"].startswith("The buffers set the pace, with 70% of the critical path; the arrays are busier")
    assert (of["part"], of["critical_part"], of["critical_fraction"]) == ("array", "buffer", 0.3)
    assert bottleneck(plan, ledger, {"array": 30.0, "waiting": 70.0})["sentence"].startswith("Waiting sets the pace")
    assert bottleneck(plan, ledger, {"array": 70.0})["sentence"].startswith("The arrays set the pace: one of them is")
    assert "critical_part" not in bottleneck(plan, ledger)
