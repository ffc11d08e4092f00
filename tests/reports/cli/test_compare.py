"""`rpusim compare`: one document or its tables, a page that leads to the runs' own, and refusals in one sentence."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import study_documents

from rpusim.reports.cli.commands import main
from rpusim.reports.cli.schema import problem, schema_of
from rpusim.workloads.results import run_folder
from rpusim.workloads.results.result import Result


@pytest.fixture
def runs(short_run, tmp_path):
    """A run that learned, as it was; the same with another seed and error; and with another device."""
    folder = tmp_path / "runs"
    shutil.copytree(short_run.folder, folder / "first")
    for name, change in (
        ("second", {"seed": 4}),
        ("third", {"training": short_run.document["training"] | {"device": "x"}}),
    ):
        document = json.loads(json.dumps(short_run.document | change))
        document["accuracy"]["test_error"] /= 2
        run_folder.save(Result(document, None, ()), folder / name)
    return folder


def test_json_is_one_document_that_satisfies_its_schema(rpusim, runs):
    document = json.loads(rpusim("compare", runs, "--json").stdout)
    assert problem(document, schema_of("compare")) == ""
    assert set(document) <= set(schema_of("compare")["properties"])
    assert [group["points"] for group in document["groups"]] == [["first", "second"], ["third"]]
    assert [each["path"] for each in document["settings"]] == ["device"]


def test_tables_say_what_differs_and_the_figures(rpusim, runs, short_run):
    shown = " ".join(rpusim("compare", runs / "first", runs / "third").stdout.split())
    device = short_run.document["training"]["device"]
    assert f"device {device} x" in shown
    assert "The runs differ in device; third has the least test error" in shown
    for part in short_run.document["energy"]["by_part"]:
        assert part in shown


def test_the_page_leads_to_the_pages_of_the_runs(rpusim, runs):
    page = runs.parent / "pages" / "compare.html"
    page.parent.mkdir()
    outcome = rpusim("compare", runs, "--out", page)
    assert outcome.status == 0 and str(page) in outcome.stdout
    links = set(re.findall(r'href="([^"#]+)"', page.read_text()))
    assert links == {"../runs/first/report.html"}, "the others have none"
    assert all((page.parent / link).is_file() for link in links)


def test_what_is_printed_is_the_same_with_and_without_a_page_but_for_its_links(rpusim, runs, tmp_path):
    plain = json.loads(rpusim("compare", runs, "--json").stdout)
    paged = json.loads(rpusim("compare", runs, "--json", "--out", tmp_path / "x.html").stdout)
    assert [point.pop("page") for point in paged["points"]] != [point.pop("page") for point in plain["points"]]
    assert plain == paged


def test_a_study_and_a_run_can_be_compared(rpusim, runs, tmp_path):
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text(json.dumps(study_documents.grid(bits=(4, 5), lines=(1,), failed=2)))
    document = json.loads(rpusim("compare", study, runs / "first", "--json").stdout)
    assert len(document["groups"]) == 7 and len(document["points"]) == 19
    assert "error" in [goal["name"] for goal in document["goals"]]
    assert rpusim("compare", study, runs / "first").status == 0


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (
            None,
            "cannot be read (No such file or directory); a run folder, a folder of run folders, or a study's folder",
        ),
        ({"note.txt": "x"}, "holds neither result.json nor study.json nor run folders"),
        ({"study.json": '{"schema": "rpusim-study-1"}'}, "is not a whole study (name is missing)"),
        ({"result.json": '{"schema": "rpusim-result-1"}'}, "is not a whole result (network is missing)"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(rpusim, runs, tmp_path, contents, said):
    given = tmp_path / "given"
    for name, content in (contents or {}).items():
        given.mkdir(exist_ok=True)
        (given / name).write_text(content)
    outcome = rpusim("compare", runs, given)
    assert outcome.status == 2 and outcome.stdout == ""
    assert outcome.stderr.startswith("rpusim: ") and outcome.stderr.count("\n") == 1
    assert said in outcome.stderr


def test_an_altered_run_and_a_single_one_are_refused(rpusim, runs):
    assert "one run is in there; two or more are needed" in rpusim("compare", runs / "first").stderr
    altered = runs / "first" / "result.json"
    altered.write_text(altered.read_text().replace('"seed": 3', '"seed": 5'))
    assert "result.json: was altered or damaged after the run" in rpusim("compare", runs).stderr


def test_a_page_that_cannot_be_written_is_refused(rpusim, runs):
    outcome = rpusim("compare", runs, "--out", runs)
    assert outcome.status == 2 and "is a folder; the name of a file is needed" in outcome.stderr


def test_every_key_of_a_comparison_is_explained_and_its_commands_are_real():
    text = (Path(__file__).parents[3] / "docs" / "compare.md").read_text(encoding="utf-8")
    for key in schema_of("compare")["properties"]:
        assert f"`{key}`" in text, key
    for line in re.findall(r"^    rpusim (.*)$", text, flags=re.MULTILINE):
        command, *arguments = line.split()
        options = {name for parameter in main.commands[command].params for name in parameter.opts}
        assert {word for word in arguments if word.startswith("--")} <= options
