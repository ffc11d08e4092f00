"""Cards of one technology used in another: only where a chip asks, by a stated rule, with both figures on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.chips.corner import LOGIC
from rpusim.arch.chips.library import library
from rpusim.arch.chips.scaling import ANALOG_OR_ELSEWHERE, area_factor, energy_factor, scaled
from rpusim.errors import InputError

nodes = st.floats(min_value=7e-9, max_value=180e-9)


@pytest.mark.parametrize(
    ("node", "target", "area"),
    [(45, 14, 0.17), (65, 32, 0.31), (130, 45, 0.16), (14, 32, 2.7), (32, 7, 0.13), (90, 65, 0.53)],
)
def test_areas_are_those_of_the_papers_table(node: int, target: int, area: float) -> None:
    """Its entries have two digits, and between others than 32 nm they are rounded ratios of our column."""
    assert area_factor(node * 1e-9, target * 1e-9) == pytest.approx(area, rel=0.04)


def test_energy_from_32_to_14_nm_is_the_papers_polynomials_at_their_nominal_supplies() -> None:
    old = 0.8367 * 0.9**2 - 0.4341 * 0.9 + 0.1701
    new = 0.2363 * 0.8**2 - 0.09675 * 0.8 + 0.02239
    assert energy_factor(32e-9, 14e-9) == pytest.approx(new / old)


@given(nodes, nodes)
def test_scaling_there_and_back_is_no_scaling(node: float, target: float) -> None:
    for factor in (area_factor, energy_factor):
        assert factor(node, target) * factor(target, node) == pytest.approx(1)


@given(nodes, nodes, nodes)
def test_a_newer_node_never_takes_more(first: float, second: float, third: float) -> None:
    older, newer = max(second, third), min(second, third)
    for factor in (area_factor, energy_factor):
        assert factor(first, newer) <= factor(first, older) * (1 + 1e-12)


def asking(folder: Path, **fields: Any) -> Chip:
    """reram-512 with fields of the chip changed; ``kind`` is for those of its tile."""
    chip = yaml.safe_load((FOLDER / "reram-512.yaml").read_text())
    chip["tiles"][0] |= fields.pop("kind", {})
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**chip, **fields}))
    return Chip.load(path)


def test_a_chip_that_does_not_ask_is_not_scaled() -> None:
    bill = bill_of_parts(Chip.load("reram-512"))
    assert not bill.originals
    alu = bill.tiles[0]["digital unit"].card
    assert (alu.name, alu.energy, alu.node) == ("puma-2019/alu", library()["puma-2019/alu"].energy, 32e-9)


def test_digital_circuits_are_scaled_and_others_are_not(tmp_path: Path) -> None:
    bill = bill_of_parts(asking(tmp_path, scale_to="14 nm"))
    was = library()["puma-2019/alu"]
    alu = bill.tiles[0]["digital unit"]
    energy, area = energy_factor(32e-9, 14e-9), area_factor(32e-9, 14e-9)
    assert alu.actions["divide"].energy_zj == pytest.approx(was.energy["divide"] * energy * 1e21, rel=1e-6)
    assert alu.actions["divide"].latency_ps == 1000
    assert alu.area_m2 == pytest.approx(700 * was.area * area)
    assert alu.leakage_w == pytest.approx(700 * was.area * area * LOGIC)
    for part in bill.all_parts():
        assert part.card.node == 14e-9
        assert (" at 14 nm" in part.card.name) == (part.name not in ANALOG_OR_ELSEWHERE)


def test_a_kind_of_tile_may_ask_for_itself(tmp_path: Path) -> None:
    bill = bill_of_parts(asking(tmp_path, kind={"scale_to": "14 nm"}))
    assert bill.tiles[0]["buffer"].card.name == "puma-2019/edram at 14 nm"
    assert bill.chip_wide["links"].card.name == "puma-2019/router"


def test_the_provenance_has_the_original_and_the_scaled_figure(tmp_path: Path) -> None:
    rows = {row["field"]: row for row in asking(tmp_path, scale_to="14 nm", leakage="as-published").provenance()}
    was, now = (rows[f"cards.puma-2019/alu{at}.energy.divide"] for at in ("", " at 14 nm"))
    assert was["value"] == 1.08e-12
    assert now["value"] == pytest.approx(1.08e-12 * energy_factor(32e-9, 14e-9), rel=1e-6, abs=0)
    assert "Stillmaker & Baas 2017" in now["source"] and "scaled from 32 nm" in now["source"]
    assert now["source"].startswith(was["source"].removesuffix(" (published)"))
    assert rows["chip.scale_to"]["value"] == 14e-9
    leakage = rows["cards.puma-2019/alu at 14 nm.leakage"]
    assert "assumption" in leakage["source"] and "assumption" not in now["source"]


@pytest.mark.parametrize("card", library().values(), ids=lambda card: card.name)
def test_cards_with_power_or_energy_scale_and_keep_their_zeros(card: Any) -> None:
    new = scaled(card, 22e-9)
    if card.part in ANALOG_OR_ELSEWHERE:
        assert new is card
        return
    assert new.basis == "derived"
    assert (new.leakage == 0) == (card.leakage == 0)
    assert (new.power is None) == (card.power is None)
    assert set(new.energy) == set(card.energy)
    assert new.rated_bandwidth == card.rated_bandwidth


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ("5 nm", r"tiles.reram.inputs: scale_to: a card of 5 nm was given or asked for, but .* from 7 nm to 180 nm"),
        (14, r"scale_to: got 14, but a length needs a number with its unit"),
        ("0 nm", r"scale_to: got '0 nm', but it must be a length above zero"),
    ],
)
def test_a_node_that_the_paper_does_not_have_gets_one_sentence(tmp_path: Path, node: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        asking(tmp_path, scale_to=node)
    assert "\n" not in str(caught.value)
