"""Multiplexers: one switch per line, switched on once per conversion, where a chip counts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import FOLDER, Chip, presets
from rpusim.arch.chips.library import library
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

ROWS, COLUMNS = 100, 120


def edited(folder: Path, chip: str, **blocks: Any) -> Chip:
    fields = yaml.safe_load((FOLDER / f"{chip}.yaml").read_text())
    fields["tiles"][0] |= blocks
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(fields))
    return Chip.load(path)


@pytest.mark.parametrize(("phase", "outputs"), [(Phase.FORWARD, ROWS), (Phase.BACKWARD, COLUMNS)])
def test_a_line_is_selected_for_every_conversion(phase: Phase, outputs: int) -> None:
    """Eight bits one after the other, twice, so every output is converted 16 times."""
    layer = WeightLayer.linear("fc", (COLUMNS,), ROWS, bias=False)
    plan = make_plan(place(connect("one", (COLUMNS,), [(layer, ("input",))]), Chip.load("neurosim-vgg8")))
    activity = Activity.rows(phase=phase, passes=2, active_rows=ROWS, active_columns=COLUMNS)
    ledger = Pricer(plan)(run(plan, activity, "sequential"), activity)
    assert ledger.energy["multiplexer", phase.name.lower(), "fc"] == 16 * outputs * 1_020_000


def test_every_line_that_is_read_has_a_switch() -> None:
    """Both sides of 16 arrays of 128 x 128; 32 converters to an array, half of them at a time."""
    parts = bill_of_parts(Chip.load("neurosim-vgg8")).tiles[0]
    assert parts["multiplexer"].units == 16 * (128 + 128)
    assert parts["multiplexer"].busy_units == parts["ADC"].busy_units
    assert parts["multiplexer"].area_m2 == pytest.approx(16 * 256 * 0.4e-12)


def test_chips_that_name_none_have_none() -> None:
    with_it = {name for name in presets() if "multiplexer" in bill_of_parts(Chip.load(name)).tiles[0]}
    assert with_it == {"neurosim-vgg8"}


def test_the_card_is_what_the_formulas_of_its_source_give() -> None:
    """NeuroSim's transmission gate at 32 nm, low power: as wide as 300 kOhm over 128 rows wants it."""
    feature, supply, read = 32e-9, 0.9, 0.5
    widths = [1.77 * supply / on / (2 * 300e3 / 128) for on in (600.2, 400.0)]  # A/m, n- and p-channel
    gate = (1.2 * 8.375279e-10 + 6.856677e-10) * widths[0]
    doubled = 1 + supply / 0.9
    drain, side, channel = 1e-3 / doubled**0.5, 2.5e-10 / doubled**0.33, 0.5e-10 / doubled**0.33
    length = 2.8 * feature
    drains = sum(length * w * drain + (2 * length + w) * side + w * channel for w in widths)
    card = library()["neurosim-2021/mux"]
    assert card.energy["select"] == pytest.approx(gate * supply**2 + 2 * drains * read**2, rel=0.01, abs=0)
    assert card.area == pytest.approx(2 * 3.8 * feature * (sum(widths) + 7.1 * feature), rel=0.01, abs=0)


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        ({"mux": {"card": "neurosim-2021/cell", "source": "a test"}}, r"mux.card: .* but one for 'multiplexer'"),
        ({"mux": {"source": "a test"}}, r"tiles.0.mux.card"),
    ],
)
def test_what_cannot_be_a_mux_gets_one_sentence(tmp_path: Path, blocks: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        edited(tmp_path, "reram-512", **blocks)


def test_where_every_line_has_a_converter_there_is_nothing_to_choose(tmp_path: Path) -> None:
    adc = yaml.safe_load((FOLDER / "reram-512.yaml").read_text())["tiles"][0]["adc"] | {"lines_per_adc": 1}
    with pytest.raises(InputError, match=r"mux was given, but with adc\.lines_per_adc 1 every line has"):
        edited(tmp_path, "reram-512", adc=adc, mux={"card": "neurosim-2021/mux", "source": "a test"})
