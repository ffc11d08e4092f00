"""How long a weight has to last: the studies of retention and of what learning costs, in small."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from rpusim.arch.chips.chip import Chip
from rpusim.reports.curves.costs import draw, panels
from rpusim.workloads.cells import training_cells
from rpusim.workloads.studies import learning_cost, retention
from rpusim.workloads.studies.algorithms import ALGORITHMS

DOCS = Path(__file__).parents[3] / "docs"
QUICK = """
from torch import nn
def net():
    return nn.Sequential(nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 10), nn.LogSoftmax(dim=1)), (64,)
"""


class TestWhatAChipForgets:
    """A network that learns within an epoch, so that 1e6 and 1e3 updates can be tried in seconds."""

    @pytest.fixture(scope="class")
    @classmethod
    def errors(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[float, float]:
        folder = tmp_path_factory.mktemp("retention")
        (folder / "net.py").write_text(QUICK)
        chip = retention.chip_file("fast", folder)
        quick = {"network": f"{folder / 'net.py'}:net", "epochs": 4, "learning_rate": 0.3, "timing": "first"}
        kept = retention.run(chip, 0.0, **quick)
        found = {0.0: kept["errors"][-1]}
        for updates in (1e6, 1e3, 1e2):
            found[updates] = retention.run(chip, updates * kept["per_sample_s"], **quick)["errors"][-1]
        return found

    def test_a_million_updates_are_enough(self, errors: dict[float, float]) -> None:
        """Of 360 test digits, none to 3 more are wrong: 0.8 %, a standard deviation of the difference."""
        assert errors[0.0] < 0.15
        assert errors[1e6] == pytest.approx(errors[0.0], abs=0.012)

    def test_a_thousand_hurt_and_a_hundred_teach_nothing(self, errors: dict[float, float]) -> None:
        assert errors[1e3] > errors[0.0] + 0.05
        assert errors[1e2] > 0.5


def test_the_slow_chip_makes_the_same_steps_later(tmp_path: Path) -> None:
    fast, slow = (Chip.load(retention.chip_file(speed, tmp_path)) for speed in retention.SPEEDS)
    devices = [training_cells.of_the_chip(chip) for chip in (fast, slow)]
    assert devices[0].dw_min == pytest.approx(devices[1].dw_min)
    assert devices[0].dw_min_std == pytest.approx(devices[1].dw_min_std)
    assert slow.tiles[0].read_seconds == pytest.approx(10 * fast.tiles[0].read_seconds)


@pytest.mark.parametrize("name", learning_cost.NAMES)
def test_an_experiment_has_the_arrays_of_the_algorithm(name: str) -> None:
    config = ALGORITHMS[name].config
    assert config
    cells = training_cells.build(learning_cost.mapping(config))
    assert cells.device == config.device
    for made, meant in zip(cells.cell.devices, config.cell.devices, strict=True):
        assert made == meant
    numbers = ("fast_lr", "transfer_every", "transfer_lr", "thres_scale", "in_chop_prob")
    for number in numbers:
        assert getattr(cells.cell, number, None) == getattr(config.cell, number, None)


class TestWhatIsPublished:
    """The figures in docs are those that the modules give; here is what they say."""

    def rows(self, name: str) -> list[dict[str, object]]:
        return json.loads((DOCS / name).read_text())  # type: ignore[no-any-return]

    def test_both_speeds_forget_after_as_many_updates(self) -> None:
        rows = self.rows("retention.json")
        kept = next(row["test_error"] for row in rows if row["speed"] == "any")
        for speed in retention.SPEEDS:
            of_speed = [row for row in rows if row["speed"] == speed]
            assert len(of_speed) == len(retention.RETENTIONS)
            for row in of_speed:
                if row["updates"] > 3e5:  # type: ignore[operator]
                    assert row["test_error"] <= kept + 0.012  # type: ignore[operator]
                if row["updates"] < 2e3:  # type: ignore[operator]
                    assert row["test_error"] > 0.5  # type: ignore[operator]

    def test_sgd_pays_and_does_not_learn_and_tiki_taka_does(self) -> None:
        ends = {row["algorithm"]: row["curve"][-1] for row in self.rows("learning-cost.json")}  # type: ignore[index]
        assert ends["sgd"]["test_error"] > 0.5 > 0.1 > ends["tiki-taka"]["test_error"]
        assert ends["tiki-taka"]["joules"] > ends["symmetric"]["joules"]

    @pytest.mark.parametrize("name", ["retention", "learning-cost"])
    def test_the_drawing_is_that_of_the_figures(self, name: str) -> None:
        drawn = draw(panels(self.rows(f"{name}.json")))
        assert drawn.strip() == (DOCS / f"{name}.svg").read_text().strip()
        assert len(ElementTree.fromstring(drawn).findall(".//{http://www.w3.org/2000/svg}path")) >= 6
