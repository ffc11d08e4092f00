"""What a user names is loaded once, at the door; values are as good as names."""

from __future__ import annotations

import json
from typing import Any

import pytest

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.assumed_activity import assumed_activity, assumed_rows
from rpusim.arch.mapping.placement import place
from rpusim.workloads.runs import given_network
from rpusim.workloads.runs.estimate import map_network, time_network
from rpusim.workloads.runs.given_network import load_network
from rpusim.workloads.zoo import networks


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of chips and networks, each as often as it is loaded."""
    names: list[str] = []
    load, build = Chip.load, networks.build

    def told(name: Any) -> Any:
        names.append(str(name))
        return load(name) if str(name).startswith("reram") else build(name)

    monkeypatch.setattr(Chip, "load", told)
    monkeypatch.setattr(networks, "build", told)
    shipped = given_network._shipped
    monkeypatch.setattr(given_network, "_shipped", lambda name, training: names.append(name) or shipped(name, training))
    return names


def test_a_timing_loads_chip_and_network_once(loaded: list[str]) -> None:
    time_network("fcn", "reram-512", 1, True, "sequential", device="ttv2-reram-sb", what_if=True)
    assert sorted(loaded) == ["fcn", "reram-512"]


def test_a_map_loads_chip_and_network_once(loaded: list[str]) -> None:
    map_network("fcn", "reram-512", device="ecram")
    assert sorted(loaded) == ["fcn", "reram-512"]


def test_a_run_loads_chip_and_network_once(loaded: list[str], few_digits: Any) -> None:
    rpusim.simulate("fcn-digits", chip="reram-512", data=str(few_digits), epochs=1)
    assert sorted(loaded) == ["fcn-digits", "reram-512"]


def test_values_give_the_bytes_that_names_give() -> None:
    network, chip = load_network("fcn"), Chip.load("reram-512")
    named = time_network("fcn", "reram-512", 3, False, "layer-pipelined").document
    assert json.dumps(time_network(network, chip, 3, False, "layer-pipelined").document) == json.dumps(named)
    assert map_network(network, chip) == map_network("fcn", "reram-512")


@pytest.mark.parametrize("training", [True, False])
def test_rows_are_counted_as_they_are_written(training: bool) -> None:
    placement = place(load_network("lenet-2017"), Chip.load("reram-512"), replicas={"conv1": 4})
    for samples, batch in ((1, 1), (6, 3)):
        rows = assumed_activity(placement, samples, training, batch)
        assert assumed_rows(placement, samples, training, batch) == len(rows) > 0


@pytest.mark.parametrize("training", [True, False])
def test_what_is_proven_says_as_much_of_mini_batches_and_timing_as_what_is_timed_whole(training: bool) -> None:
    batch, schedule = (10, "sequential") if training else (1, "layer-pipelined")
    for whole in (True, False):
        activity = time_network("fcn", "reram-512", 30, training, schedule, batch=batch, whole=whole)["activity"]
        assert activity["timing"] == "every"
        assert activity["mini_batches"] == (3 if training else 1)
