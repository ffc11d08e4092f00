"""Published figures: every row with a tolerance holds, and every row says where it comes from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from rpusim.reports.cli.commands import main
from rpusim.workloads.studies.validate import cases

QUICK = [case for case in cases() if not case.case.startswith("VGG-8")]


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.case)
def test_a_published_figure_comes_out(case: Any) -> None:
    row = case.row()
    assert row["ok"], f"{row['simulated']:g} {row['unit']} for {row['published']:g}"
    assert row["source"] and row["provenance"] in ("seen", "secondary", "recalled", "derived")


@pytest.mark.slow
def test_the_command_prints_every_row_and_says_why_figures_differ() -> None:
    outcome = CliRunner().invoke(main, ["validate", "--json"])
    assert outcome.exit_code == 0
    rows = json.loads(outcome.stdout)["rows"]
    assert len(rows) == len(list(cases()))
    for row in rows:
        assert row["ok"] is not False
        assert row["tolerance"] is not None or row["note"]
    phases = {row["case"]: row["simulated"] for row in rows if row["case"].startswith("VGG-8")}
    assert len(phases) == 7 and all(value > 0 for value in phases.values())
