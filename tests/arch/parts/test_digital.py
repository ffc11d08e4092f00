"""The digital unit's block and card: what a file of older ways is told, and which classes have to be priced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import FOLDER, Chip, presets
from rpusim.arch.chips.library import library
from rpusim.arch.contract.digital_work import CLASSES, Work
from rpusim.errors import InputError

LANE = {
    "part": "digital unit",
    "unit": "one lane",
    "node": "28 nm",
    "basis": "assumption",
    "energy": {name: f"{100 + place} fJ" for place, name in enumerate(CLASSES)},
    "cycles": {name: 1 + place for place, name in enumerate(CLASSES)},
    "area": "400 um2",
    "leakage": "8 uW",
    "source": "made up",
}


def chip(folder: Path, card: dict[str, Any] | None = None, **digital: Any) -> Chip:
    """rpu-2016 with a lane of one's own, and fields of its digital unit replaced; None takes a field away."""
    file = yaml.safe_load((FOLDER / "rpu-2016.yaml").read_text(encoding="utf-8"))
    file["cards"] = {"lane": {**LANE, **(card or {})}}
    block = file["tiles"][0]["digital"] | {"card": "lane"} | digital
    file["tiles"][0]["digital"] = {name: value for name, value in block.items() if value is not None}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(file))
    return Chip.load(path)


def test_a_lane_has_an_action_for_each_class_at_its_own_time_and_energy(tmp_path: Path) -> None:
    part = bill_of_parts(chip(tmp_path, rate="2 Gop/s", lanes=4)).tiles[0]["digital unit"]
    for place, name in enumerate(CLASSES):
        assert part.actions[name].latency_ps == (1 + place) * 2000  # four lanes at 2 per ns: 2 ns a cycle
        assert part.actions[name].energy_zj == (100 + place) * 1_000_000


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"operations_per_output": 2},
            r"operations_per_output was given \(2\); accepted is either per_output, by class",
        ),
        ({"per_output": None, "operations_per_output": "2"}, r"operations_per_output was given \('2'\)"),
        (
            {"card": {"cycles": {name: 1 for name in CLASSES if name != "divide"}}},
            "card lane: cycles.divide is missing; accepted are cycles of a lane for each of add, multiply",
        ),
        (
            {"card": {"energy": {name: "1 fJ" for name in CLASSES if name != "random"}}},
            "card lane: energy.random is missing; the chip does this action, so the card must price it",
        ),
        ({"per_output": None}, "tiles.0.digital.per_output is missing"),
        ({"per_output": {"scale": 1}}, "per_output.scale: is no class of operations; accepted are add, multiply"),
        ({"functions": {"sigmiod": {"add": 1}}}, "functions.sigmiod: is no function .*did you mean 'sigmoid'"),
        ({"functions": {"tanh": {"lookup": 1}}}, "functions.tanh.lookup: is no class of operations"),
        ({"per_output": {"add": -1}}, "per_output.add: got -1"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        chip(tmp_path, changed.pop("card", None), **changed)


def test_a_unit_that_computes_a_function_in_its_own_way_says_so(tmp_path: Path) -> None:
    digital = chip(tmp_path, functions={"gelu": {"look_up": 2}}).tiles[0].digital
    assert digital.forward("gelu") == Work(look_up=2)
    assert digital.forward("silu") == Work(compare=1, look_up=1, multiply=2, add=1)


def test_every_figure_of_a_class_has_its_own_source() -> None:
    """PUMA's simulator prints four classes; the others are assumptions, and say so."""
    rows = {row["field"]: row["source"] for row in library()["puma-2019/alu"].numbers("alu")}
    assumed = {name for name in CLASSES if rows[f"alu.energy.{name}"].startswith("assumption")}
    assert assumed == {"exponential", "square_root", "random"}
    assert all(f"alu.cycles.{name}" in rows for name in CLASSES)


@pytest.mark.parametrize("name", presets())
def test_chips_that_ship_list_the_functions_that_they_were_counted_by(name: str) -> None:
    fields = {row["field"]: row["value"] for row in Chip.load(name).provenance()}
    assert fields["digital_functions.sigmoid.forward.look_up"] == 1
    assert fields["digital_functions.batch_norm.training.multiply"] == 1


def test_sources_name_entries_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sources names 'energy.addition', which is not a field"):
        chip(tmp_path, {"sources": {"energy.addition": "made up"}})


@pytest.mark.parametrize(("number", "work"), [(0, Work()), (1, Work(multiply=1)), (3, Work(multiply=1, add=2))])
def test_a_number_of_operations_is_one_multiplication_and_additions(tmp_path: Path, number: int, work: Work) -> None:
    sources = {"operations_per_output": "scale, offset and the like"}
    digital = chip(tmp_path, per_output=None, operations_per_output=number, sources=sources).tiles[0].digital
    assert digital.of_an_output == work
    assert digital.sources["per_output"] == "scale, offset and the like"


def test_a_card_with_one_price_has_it_for_every_class_and_says_that_this_is_assumed(tmp_path: Path) -> None:
    card = {"energy": {"operation": "0.2 pJ"}, "cycles": {"divide": 4}}
    made = chip(tmp_path, card)
    part = bill_of_parts(made).tiles[0]["digital unit"]
    assert {action.energy_zj for action in part.actions.values()} == {200_000_000}
    times = {name: action.latency_ps for name, action in part.actions.items()}
    cycle = 52e12 / 51.2e9  # 52 lanes share the rate
    assert times == dict.fromkeys(CLASSES, round(cycle)) | {"divide": round(4 * cycle)}
    rows = {row["field"]: row["source"] for row in made.provenance()}
    assert rows["cards.lane.energy.exponential"].startswith("assumption: the card has one price")
