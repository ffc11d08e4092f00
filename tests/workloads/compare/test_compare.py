"""Runs side by side: what differs is found, seeds are put together, and nothing is compared that is not there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.errors import InputError
from rpusim.workloads.compare import sources
from rpusim.workloads.compare.document import comparison
from rpusim.workloads.compare.run import Run, of_result
from rpusim.workloads.compare.run import settings as settings_of
from rpusim.workloads.results import intervals, run_folder
from rpusim.workloads.results.result import Result

FEW = settings(max_examples=60, deadline=None)


def a_run(name="a", seed=0, error=0.03, numbers=None, samples=360, **given):
    metrics = {"error": error, "time": 1e-6, "energy": 1e-8, "area": 1e-6}
    return Run(name, given, numbers or {}, seed, metrics, {"ADC": 1e-8}, [], samples)


@pytest.fixture(scope="module")
def timed():
    from rpusim.workloads.runs.estimate import time_network

    return [
        time_network("lenet-digits", "reram-512", samples=2, training=True, schedule=schedule)
        for schedule in ("sequential", "minibatch-pipelined")
    ]


@pytest.fixture
def folders(timed, tmp_path):
    """Two run folders in a folder of runs."""
    for name, result in zip("ab", timed, strict=True):
        result.document["command"] = f"rpusim time lenet-digits --chip reram-512 --schedule s{name}"
        run_folder.save(Result(result.document, None, ()), tmp_path / "runs" / name)
    return tmp_path / "runs"


@FEW
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=12))
def test_groups_hold_every_run_once_and_differ_in_more_than_the_seed(drawn):
    runs = [a_run(f"r{n}", seed, device=device, bits=bits) for n, (device, bits, seed) in enumerate(drawn)]
    document = comparison(runs)
    inside = [name for group in document["groups"] for name in group["points"]]
    assert sorted(inside) == sorted(run.name for run in runs)
    by_name = {run.name: run for run in runs}
    for group in document["groups"]:
        members = [by_name[name] for name in group["points"]]
        assert len({json.dumps(run.settings) for run in members}) == 1
        assert len({run.seed for run in members}) == len(members) == group["seeds"]
    values = {path: {run.settings[path] for run in runs} for path in ("device", "bits")}
    assert {each["path"] for each in document["settings"]} == {path for path in values if len(values[path]) > 1}
    assert set(document["same"]) == {path for path in values if len(values[path]) == 1}


def test_what_one_run_has_and_the_other_lacks_differs():
    document = comparison([a_run(bits=8), a_run("b", bits=8, refresh=3)])
    assert [each["path"] for each in document["settings"]] == ["refresh"]
    assert [group["settings"]["refresh"] for group in document["groups"]] == [None, 3]


def test_numbers_that_went_in_and_differ_part_runs_that_were_set_alike():
    one, other = {"adc.bits": (8, "1"), "adc.period": (1e-9, "s")}, {"adc.bits": (8, "1"), "adc.period": (2e-9, "s")}
    document = comparison([a_run(numbers=one), a_run("b", 1, numbers=other)])
    assert len(document["groups"]) == 2
    assert document["numbers"] == [{"field": "adc.period", "unit": "s", "values": [1e-9, 2e-9]}]


def test_the_same_run_twice_is_not_two_seeds():
    document = comparison([a_run("a"), a_run("b")])
    assert [group["seeds"] for group in document["groups"]] == [1, 1]


def test_seeds_have_students_interval_and_one_seed_that_of_the_counted_errors():
    errors = [0.02, 0.03, 0.04]
    runs = [a_run(f"s{n}", n, error, device="x") for n, error in enumerate(errors)]
    several, one = (group["metrics"]["error"] for group in comparison([*runs, a_run("o", device="y")])["groups"])
    half = 4.302652729749462 * 0.01 / np.sqrt(3)  # t of 2 degrees of freedom, standard deviation 0.01
    assert (several["mean"], several["n"]) == (pytest.approx(0.03), 3)
    assert several["low"] == pytest.approx(0.03 - half) and several["high"] == pytest.approx(0.03 + half)
    assert (one["low"], one["high"]) == intervals.of_share(0.03, 360)
    assert one["n"] == 1


def test_a_run_is_on_the_front_unless_another_is_no_worse_in_all_and_better_in_one():
    runs = [a_run("a", error=0.03, k=1), a_run("b", error=0.02, k=2), a_run("c", error=0.02, k=3)]
    assert [group["front"] for group in comparison(runs)["groups"]] == [False, True, True]


def test_settings_of_a_training_are_those_of_the_experiment_without_sources():
    document = {"network": "fcn", "chip": "c", "version": "1", "activity": {"schedule": "sequential"}}
    training = {"device": {"model": "ecram"}, "recipe": {"epochs": 3, "source": "s", "sources": {"epochs": "given"}}}
    found = settings_of(document | {"training": training})
    assert found == {"network": "fcn", "chip": "c", "version": "1", "device": {"model": "ecram"}, "recipe.epochs": 3}


def test_settings_of_a_timing_are_the_options_of_its_command():
    document = {"network": "fcn", "chip": "c", "version": "1", "activity": {"schedule": "sequential"}}
    command = "rpusim time fcn --chip c.yaml --inference --samples 3 --program --batch 1 --out x"
    found = settings_of(document | {"command": command})
    assert found == {
        **{"network": "fcn", "chip": "c", "version": "1", "schedule": "sequential"},
        **{"pass": "inference", "samples": "3", "program": True, "batch": "1"},
    }


def test_figures_are_those_of_the_result_and_parts_sum_to_the_energy_of_a_sample(timed):
    for result in timed:
        run = of_result(result.document, "a", "")
        assert run.metrics["energy"] == result["energy"]["per_sample_J"]
        assert sum(run.energy_by_part.values()) == pytest.approx(run.metrics["energy"])
        assert "error" not in run.metrics and "training_time" not in run.metrics


def test_run_folders_and_folders_of_them_are_found_each_once(folders):
    names = ["a", "b"]
    for paths in ([folders / "a", folders / "b"], [folders], [folders, folders / "a"]):
        assert [run.name for run in sources.runs(paths)] == names
    assert [run.name for run in sources.runs([folders / "b", folders])] == ["b", "a"]


def test_runs_of_one_name_are_told_apart_by_their_folders(folders, timed):
    run_folder.save(Result(timed[0].document, None, ()), folders.parent / "older" / "a")
    assert [run.name for run in sources.runs([folders, folders.parent / "older"])] == ["runs/a", "b", "older/a"]


def test_points_of_a_study_are_told_alike_from_their_run_folders_if_all_have_one(folders, timed):
    study = folders.parent / "study"
    run_folder.save(Result(timed[0].document, None, ()), study / "points" / "0123456789")
    common = {"seed": 0, "metrics": {"energy": 2e-8}}
    points = [
        {"id": "0123456789", "settings": {"bits": 8}, "state": "done", **common},
        {"id": "abcdefabcdef", "settings": {"bits": 6}, "state": "done", **common},
        {"id": "failed", "settings": {"bits": 5}, "seed": 0, "state": "failed", "why": "no"},
    ]
    document = {"schema": "rpusim-study-1", "base": "lenet", "version": "1", "points": points}
    (study / "study.json").write_text(json.dumps(document))
    one, other = sources.runs([study])
    assert one.settings == {"study": "lenet", "version": "1", "bits": 8} and one.metrics == {"energy": 2e-8}
    assert (other.settings["bits"], other.metrics, other.name) == (6, {"energy": 2e-8}, "abcdefab")
    run_folder.save(Result(timed[1].document, None, ()), study / "points" / "abcdefabcdef")
    one, other = sources.runs([study])
    assert one.metrics["energy"] == timed[0]["energy"]["per_sample_J"]
    assert other.settings["network"] == "lenet-digits"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["missing"], "missing: cannot be read (No such file or directory)"),
        (["a/result.json"], "result.json: cannot be read (Not a directory)"),
        (["a"], "one run is in there; two or more are needed"),
        (["a", "a/../a"], "one run is in there; two or more are needed"),
        (["empty"], "holds neither result.json nor study.json nor run folders"),
        (["bad", "a"], "result.json: schema is 'other', but 'rpusim-result-1' is needed"),
        (["part", "a"], "result.json: is not a whole result (KeyError: "),
        (["cut"], "study.json: cannot be read (Expecting property name"),
        (["old"], "study.json: schema is 'rpusim-study-0', but 'rpusim-study-1' is needed"),
        (["list"], "study.json: schema is [], but"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(folders, names, said):
    contents = {
        "empty/note.txt": "",
        "bad/result.json": '{"schema": "other"}',
        "part/result.json": '{"schema": "rpusim-result-1"}',
        "cut/study.json": "{",
        "old/study.json": '{"schema": "rpusim-study-0"}',
        "list/study.json": "[]",
    }
    for name, content in contents.items():
        (folders / name).parent.mkdir()
        (folders / name).write_text(content)
    with pytest.raises(InputError) as refused:
        sources.runs([folders / name for name in names])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
