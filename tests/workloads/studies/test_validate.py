"""Published figures: every row has a kind, a source and a tolerance, and misses are known or fail."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from rpusim.errors import InputError
from rpusim.reports.cli.commands import main
from rpusim.reports.study_page import run
from rpusim.workloads.explore import claims, study
from rpusim.workloads.studies import validate
from rpusim.workloads.studies.published import data
from rpusim.workloads.studies.published.case import Case, Figure, accepted, counted
from rpusim.workloads.studies.validate import cases

LONG = (
    "epoch/",
    "epoch-closed/",
    "in-situ/",
    "reram-array/",
    "mixed-precision/",
    "fecap/",
    "references/",
    "yao-learning/",
)
"""Rows that take longer than a few seconds."""
QUICK = [case for case in cases() if not case.name.startswith(LONG)]


def figure(**changes: Any) -> Figure:
    fields = {
        "case": "a figure",
        "kind": "prediction",
        "seed": "a chip",
        "source": "a paper",
        "provenance": "seen",
        "published": 10.0,
        "unit": "W",
        "tolerance": "5 %",
    }
    return Figure(**{**fields, **changes})


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_a_figure_comes_out_or_is_a_known_miss(case: Case) -> None:
    row = case.row()
    assert row["passes"], f"{row['simulated']:g} {row['unit']} for {row['published']:g}: {row['verdict']}"


class TestFigures:
    def test_every_figure_of_the_files_is_simulated_and_nothing_else(self) -> None:
        assert set(validate.simulations()) == set(data.figures())

    @pytest.mark.parametrize("name", list(data.figures()))
    def test_every_row_has_a_kind_a_source_a_provenance_and_a_tolerance(self, name: str) -> None:
        row = data.figures()[name]
        assert row.source and row.seed and row.unit
        lowest, highest = accepted(row.published, row.tolerance)
        assert lowest <= row.published <= highest
        assert row.kind != "prediction" or row.provenance in ("seen", "secondary", "memory")

    def test_what_is_predicted_shares_one_tolerance_by_what_it_is(self) -> None:
        """25 % for times and rates, a factor of 2 for energies, powers, areas and what is divided by them."""
        for name, row in data.figures().items():
            if row.kind == "prediction" and row.unit != "%":
                ratios = ("/time", "/throughput", "/latency")  # of times
                timed = row.unit in ("s", "us", "TOPS") or name.endswith(ratios)
                assert row.tolerance == ("25 %" if timed else "factor 2"), name

    def test_only_predictions_are_known_to_miss_and_each_has_an_account(self) -> None:
        for name, account in data.known_misses().items():
            assert data.figures()[name].kind == "prediction"
            assert len(account.split()) >= 10

    def test_a_prediction_is_of_a_printed_figure(self) -> None:
        with pytest.raises(ValueError, match="printed"):
            figure(provenance="derived")

    @pytest.mark.parametrize("tolerance", ["", "5", "about", "factor 0.5", "five %", "+- much"])
    def test_a_tolerance_in_other_words_is_refused(self, tolerance: str) -> None:
        with pytest.raises(ValueError, match="a tolerance is 'exact'"):
            figure(tolerance=tolerance)

    def test_a_file_with_an_unknown_row_a_short_account_or_another_kind_is_refused(self, tmp_path: Path) -> None:
        for text, said in (
            ("epoch/forwards: far too slow in every respect", "did you mean 'epoch/forward'"),
            ("epoch/forward: slow", "an account of one or two sentences"),
            ("isaac/tile-area: no account helps arithmetic", "only a prediction"),
        ):
            path = tmp_path / "known_misses.yaml"
            path.write_text(text)
            with pytest.raises(InputError, match=said):
                data.known_misses(path)

    def test_a_figure_without_a_source_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "own.yaml").write_text(
            "group:\n  kind: prediction\n  rows:\n    one: {case: ours, seed: chip, provenance: seen, published: 1, "
            "unit: W, tolerance: 5 %}\n"
        )
        with pytest.raises(InputError, match=r"own\.yaml: group/one: source is missing"):
            data.figures(tmp_path)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("simulated", "known_miss", "verdict", "passes"),
        [
            (10.4, None, "holds", True),
            (10.6, None, "does not hold", False),
            (10.6, "because of this", "known miss", True),
            (10.4, "because of this", "known miss that holds", False),
        ],
    )
    def test_a_known_miss_passes_as_long_as_it_misses(
        self, simulated: float, known_miss: str | None, verdict: str, passes: bool
    ) -> None:
        row = Case("group/one", figure(), lambda: simulated, known_miss).row()
        assert (row["verdict"], row["passes"]) == (verdict, passes)
        assert row["ok"] is (simulated == 10.4)

    @given(st.floats(1e-6, 1e6), st.floats(1.0, 1e3), st.floats(0.01, 10.0))
    def test_a_factor_reaches_as_far_up_as_down_and_percents_add(self, published: float, by: float, off: float) -> None:
        lowest, highest = accepted(published, f"factor {by!r}")
        assert lowest * highest == pytest.approx(published**2)
        lowest, highest = accepted(published, f"{off!r} %")
        assert highest - published == pytest.approx(published - lowest)
        assert highest / published - 1 == pytest.approx(off / 100)

    def test_directions_have_one_end(self) -> None:
        assert accepted(60.0, "at least") == (60.0, math.inf)
        assert accepted(0.6, "at most") == (-math.inf, 0.6)
        assert Case("g/r", figure(tolerance="at least"), lambda: 1e9).row()["highest"] is None

    def test_rows_are_counted_by_kind_and_verdict(self) -> None:
        rows = [
            Case("g/1", figure(kind="arithmetic"), lambda: 10.0).row(),
            Case("g/2", figure(), lambda: 10.0).row(),
            Case("g/3", figure(), lambda: 20.0).row(),
            Case("g/4", figure(), lambda: 20.0, "because of this").row(),
            Case("g/5", figure(), lambda: 10.0, "because of this").row(),
        ]
        assert counted(rows)["arithmetic"]["rows"] == counted(rows)["arithmetic"]["holds"] == 1
        assert counted(rows)["consistency"]["rows"] == 0
        assert counted(rows)["prediction"] == {
            "rows": 4,
            "holds": 1,
            "does not hold": 1,
            "known miss": 1,
            "known miss that holds": 1,
        }


class TestCommand:
    @pytest.fixture
    def shown(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Run the command on rows of our own."""

        def run(*rows: Case, arguments: tuple[str, ...] = ()) -> Any:
            monkeypatch.setattr(validate, "cases", lambda slow=True: iter(rows))
            return CliRunner().invoke(main, ["validate", *arguments])

        return run

    def test_a_prediction_that_misses_fails_unless_it_is_known_to(self, shown: Any) -> None:
        missing = Case("g/1", figure(), lambda: 20.0)
        assert shown(missing).exit_code == 1
        outcome = shown(Case("g/1", figure(), lambda: 20.0, "our cells are smaller than theirs"))
        assert outcome.exit_code == 0
        assert "our cells are smaller than theirs" in outcome.output
        assert "prediction: 1 rows; known miss 1" in outcome.output

    def test_a_known_miss_that_holds_is_reported_and_fails(self, shown: Any) -> None:
        outcome = shown(Case("g/1", figure(), lambda: 10.0, "our cells are smaller than theirs"))
        assert outcome.exit_code == 1
        assert "known miss that holds" in outcome.output and "rows that fail: a figure" in outcome.output

    def test_the_document_has_what_is_needed_to_judge_a_row(self, shown: Any) -> None:
        outcome = shown(Case("g/1", figure(), lambda: 10.0), arguments=("--json",))
        document = json.loads(outcome.stdout)
        (row,) = document["rows"]
        assert row | {"published": 10.0, "simulated": 10.0, "tolerance": "5 %", "ok": True, "kind": "prediction"} == row
        assert {"case", "seed", "source", "provenance", "unit", "verdict", "known_miss", "lowest", "highest"} <= set(
            row
        )
        assert document["counts"]["prediction"]["holds"] == 1

    def test_what_learns_is_left_out_unless_all_is_asked_for(self) -> None:
        slow = {case.name for case in cases()} - {case.name for case in cases(slow=False)}
        assert slow and slow == {name for name, row in data.figures().items() if row.slow}

    def test_rows_of_papers_come_from_their_studies(self, shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        claim = {"case": "Error of a", "of": {"a": 1}, "published": 5.0, "tolerance": "at most", "provenance": "seen"}
        points = [{"settings": {"a": 1}, "seed": i, "state": "done", "metrics": {"error": 0.09}} for i in range(3)]
        graded = claims.graded({"a": claims.Claim.model_validate(claim)}, points, own_data=False)
        document = {"name": "p", "paper": {"source": "A paper"}, "claims": graded}
        monkeypatch.setattr(study, "papers", lambda: ["rpu-2016"])
        monkeypatch.setattr(run, "explored", lambda chosen, **_: document)
        assert shown(Case("g/1", figure(), lambda: 10.0)).exit_code == 0
        outcome = shown(Case("g/1", figure(), lambda: 10.0), arguments=("--all", "--json"))
        row = json.loads(outcome.stdout)["rows"][1]
        assert outcome.exit_code == 1 and row["name"] == "p/a" and row["verdict"] == "does not hold"
        assert row["simulated"] == pytest.approx(9.0) and row["difference"] == pytest.approx(0.8)
        assert "rows that fail: Error of a" in shown(Case("g/1", figure(), lambda: 10.0), arguments=("--all",)).output

    def test_a_page_says_who_saw_what(self, shown: Any, tmp_path: Path) -> None:
        holds, misses = (
            Case("g/1", figure(), lambda: 10.0),
            Case("g/2", figure(), lambda: 20.0, "our cells | are small"),
        )
        assert shown(holds, misses, arguments=("--out", str(tmp_path / "v.md"))).exit_code == 0
        page = (tmp_path / "v.md").read_text()
        assert "2 rows; holds: 1, known miss: 1." in page and "our cells \\| are small" in page
        rows = [line for line in page.splitlines() if line.startswith(f"| {figure().case}")]
        assert len(rows) == 2 and all(len(row.split(" | ")) == 6 for row in rows)


@pytest.mark.slow
def test_the_command_prints_every_row_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "papers", list)  # `rpusim validate --all` itself runs these, for an hour or two
    outcome = CliRunner().invoke(main, ["validate", "--all", "--json"])
    document = json.loads(outcome.stdout)
    rows = document["rows"]
    assert len(rows) == len(list(cases()))
    assert [row["name"] for row in rows if not row["passes"]] == [] and outcome.exit_code == 0
    kinds = Counter(row["kind"] for row in rows)
    assert {kind: count["rows"] for kind, count in document["counts"].items()} == dict(kinds)
    phases = {row["name"]: row["simulated"] for row in rows if row["name"].startswith("epoch/")}
    assert len(phases) == 7 and all(value > 0 for value in phases.values())
