"""What is chosen for an aim is the best of what was tried, and within the budget."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from rpusim.arch.chips.chip import Chip
from rpusim.errors import InputError
from rpusim.reports.cli.commands import main
from rpusim.workloads.runs.estimate import time_network
from rpusim.workloads.runs.optimised import optimise


@pytest.mark.parametrize("aim", ["throughput", "energy"])
def test_nothing_that_was_tried_within_the_budget_is_better(aim: str) -> None:
    found = optimise("lenet-2017", "rpu-2016", aim, tiles=12)
    values = [each["value"] for each in found["tried"] if each["value"] is not None]
    assert found["chosen"]["value"] == min(values) and values == sorted(values)
    assert all(each["tiles"] <= 12 for each in found["tried"] if each["value"] is not None)
    assert found["bottleneck"] == found["chosen"]["why"] and "set the pace" in found["bottleneck"]


def test_the_value_is_that_of_timing_what_was_chosen() -> None:
    found = optimise("lenet-2017", "rpu-2016", "latency", tiles=12)["chosen"]
    again = time_network(
        "lenet-2017",
        "rpu-2016",
        1,
        False,
        "sequential",
        fit=found["fit"],
        replicas=found["copies"],
        placing=found["placing"],
    ).document
    assert again["time"]["per_sample_s"] == found["value"] and again["tiles"]["count"] == found["tiles"]


def test_area_is_that_of_the_fewest_tiles() -> None:
    """All of lenet fits on one array of 4096 x 4096."""
    chosen = optimise("lenet-2017", "rpu-2016", "area")["chosen"]
    assert chosen["fit"] == "pack" and chosen["tiles"] == 1


def test_a_larger_budget_is_never_worse() -> None:
    values = [optimise("lenet-2017", "rpu-2016", "throughput", tiles=n)["chosen"]["value"] for n in (4, 16)]
    assert values[0] > values[1]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"optimise: got 'speed'"):
        optimise("lenet-2017", "rpu-2016", "speed")
    small = Chip.load("reram-512")
    kind = small.tiles[0].model_copy(update={"count": 1})
    with pytest.raises(InputError, match=r"optimise: nothing fits on 1 tiles of chip reram-512 \(.*0 of 1 are left"):
        optimise("resnet20", small.model_copy(update={"tiles": (kind,)}), "latency")


def test_the_command_shows_all_of_it() -> None:
    done = CliRunner().invoke(main, ["map", "fcn-digits", "--chip", "reram-512", "--optimise", "energy"])
    assert done.exit_code == 0 and "Chosen for energy on at most 64 tiles" in " ".join(done.output.split())
    wrong = ["map", "fcn-digits", "--chip", "reram-512", "--optimise", "energy", "--fit", "pack"]
    assert CliRunner().invoke(main, wrong).exit_code != 0
