"""The floor plan: where tiles are, how full they are, and what their links carry."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.reports.cli.commands import main
from rpusim.reports.page.floor_plan import floor_plan, standalone
from rpusim.workloads.results.floor import floor
from rpusim.workloads.runs.estimate import map_network, time_network

SVG = "{http://www.w3.org/2000/svg}"


def three() -> Network:
    """Linear layers of 16 numbers."""
    line = WeightLayer.linear
    steps = [(line(f"l{i}", (16,), 16, bias=False), (f"l{i - 1}" if i else "input",)) for i in range(3)]
    return connect("three", (16,), steps)


def test_a_chain_goes_along_the_row_and_every_link_carries_what_one_layer_gives() -> None:
    """256 weights on one of 4096 x 4096 cells for each layer."""
    plan = make_plan(place(three(), Chip.load("rpu-2016")))
    found = floor(plan, training=False)
    assert found is not None
    assert [(tile["row"], tile["column"], tile["kind"]) for tile in found["tiles"]] == [(0, n, "rpu") for n in range(3)]
    assert [tile["cells"] for tile in found["tiles"]] == [{f"l{n}": 16 * 16 / 4096**2} for n in range(3)]
    bits = 16 * plan.placement.chip.tiles[0].digital.word_bits
    assert [(link["from"], link["to"], link["bits"]) for link in found["links"]] == [
        ([0, 0], [0, 1], bits),
        ([0, 1], [0, 2], bits),
    ]
    assert found["bits_times_hops"] == 2 * bits


def test_training_carries_gradients_back() -> None:
    plan = make_plan(place(three(), Chip.load("rpu-2016")))
    found = floor(plan, training=True)
    assert found is not None
    assert sorted((link["from"][1], link["to"][1]) for link in found["links"]) == [(0, 1), (1, 0), (1, 2), (2, 1)]


def test_the_drawing_has_every_tile_and_link() -> None:
    document = map_network("resnet20", "reram-512")
    root = ET.fromstring(standalone(document))
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert sum(title.startswith("tile ") for title in titles) == document["totals"]["tiles"] == 27
    assert sum(title.startswith("link ") for title in titles) == len(document["floor"]["links"])


def test_power_is_drawn_where_energy_is_known_and_all_of_it() -> None:
    document = time_network("fcn-digits", "reram-512", 1, False, "sequential").document
    drawn, note = floor_plan(document)
    assert drawn.count("<circle") == len(document["floor"]["tiles"]) + 1 and "Dots" in note
    assert "Dots" not in floor_plan(map_network("fcn-digits", "reram-512"))[1]


def test_svg_is_written_by_the_command(tmp_path: Path) -> None:
    file = tmp_path / "floor.svg"
    done = CliRunner().invoke(main, ["map", "fcn-digits", "--chip", "reram-512", "--svg", str(file)])
    assert done.exit_code == 0 and ET.parse(file).getroot().tag == f"{SVG}svg"


@pytest.mark.parametrize("document", [{"layers": []}, {"layers": [], "floor": None}])
def test_without_a_floor_plan_nothing_is_drawn(document: dict[str, object]) -> None:
    assert floor_plan(document) == ("", "")
