"""Words and tables of studies and comparisons: what is asked, answered, best and missing is said, and said shortly."""

from __future__ import annotations

import doctest
import io

import pytest
import study_documents
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rpusim.reports.words import compare, study, study_tables
from rpusim.workloads.compare.document import comparison
from rpusim.workloads.compare.run import Run


def printed(renderable, width=200):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    return " ".join(console.file.getvalue().split())


def a_run(name, seed=0, error=0.03, time=1e-6, samples=360, **settings):
    metrics = {"error": error, "time": time, "energy": 1e-8, "area": 1e-6}
    curve = [[float(epoch), error + 0.1 / epoch, 0.001 * epoch, 0.002 * epoch] for epoch in range(1, 31)]
    return Run(name, settings, {}, seed, metrics, {"ADC": 6e-9, "links": 4e-9}, curve, samples)


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(study).attempted >= 3
    assert doctest.testmod(study).failed == 0


def test_a_study_on_the_terminal_has_question_answer_front_intervals_and_failures():
    document = study_documents.grid(failed=3, most_area=1.5e-4)
    shown = printed(study_tables.front(document))
    for words in (
        document["question"],
        document["answer"],
        "area at most 150.0 mm²",
        "135 points done, 2 failed, 1 stopped",
    ):
        assert words in shown
    for group in document["groups"]:
        error = study.metrics(document)[0].among(group["metrics"]["error"])
        assert (error in shown) == group["front"] or error.count("(") == 0
    for point in document["points"]:
        assert point["state"] == "done" or f"seed {point['seed']} {point['state']} {point['why']}" in shown


def test_a_long_front_is_cut_and_counted():
    document = study_documents.scattered(400, seeds=1)
    front = sum(group["front"] for group in document["groups"])
    assert front > study_tables.MOST_ROWS
    assert f"and {front - study_tables.MOST_ROWS} more" in printed(study_tables.front(document))


def test_a_study_without_a_front_shows_what_it_has():
    document = study_documents.grid(bits=(4, 5), most_area=1e-9)
    shown = printed(study_tables.front(document))
    assert "no combination is on a front" in shown and "beyond a constraint" in shown


@given(st.lists(st.text("ab.0", min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
def test_short_names_are_the_ends_of_their_paths_and_never_alike(paths):
    names = study.short_names(paths)
    assert len(set(names.values())) == len(paths)
    assert all(path.endswith(name) for path, name in names.items())


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (
            [a_run("a", samples=10_000, k=1), a_run("b", error=0.01, samples=10_000, time=2e-6, k=2)],
            "The runs differ in k; b has the least test error (1.0%) and a has the least time per sample (1.00 µs).",
        ),
        ([a_run("a", k=1), a_run("b", error=0.3, k=2)], "; a has the least test error (3.0%)."),
        ([a_run("a", k=1), a_run("b", error=0.031, k=2)], "(3.0%; not told apart from the next one)."),
        ([a_run("a"), a_run("b", 1)], "The runs differ in the seed alone."),
        ([a_run("a"), a_run("b")], "Nothing differs in what the runs were set to."),
        ([a_run("a", **dict.fromkeys("pqrstuv", 1)), a_run("b")], "differ in p, q, r, s and 3 more settings."),
    ],
)
def test_a_sentence_says_what_differs_and_who_is_best(runs, said):
    assert said in compare.answer(comparison(runs))


def test_of_many_settings_those_that_vary_most_have_columns():
    runs = [a_run(f"r{n}", often=n, **{f"rare_{k}": n % 2 for k in range(8)}) for n in range(8)]
    shown = printed(study_tables.comparison(comparison(runs)))
    assert "often" in shown and "5 more settings vary, which have no column here" in shown


def test_a_few_groups_stand_side_by_side_and_many_in_rows():
    few = printed(study_tables.comparison(comparison([a_run("a", k=1), a_run("b", error=0.06, k=2)])))
    for words in (
        "what differs",
        "k 1 2",
        "seed 0 0",
        "test error 1 × 2 ×",
        "ADC 6.00 nJ 6.00 nJ",
        "test error after epochs",
    ):
        assert words in few
    many = printed(study_tables.comparison(comparison([a_run(f"r{n}", k=n) for n in range(40)])))
    assert "what differs" not in many and "run k test error" in many and "and 10 more" in many


def test_a_curve_on_the_terminal_has_its_first_and_last_epoch_and_the_range_of_seeds():
    document = comparison([a_run("a", 0, k=1), a_run("b", 1, error=0.05, k=1), a_run("c", k=2)])
    rows = compare.curves(document)
    assert len(rows) == 10 and (rows[0].label, rows[-1].label) == ("1", "30")
    assert rows[0].cells == ["14.0% (13.0% to 15.0%)", "13.0%"]
