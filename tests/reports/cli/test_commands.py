"""The command line: one document on stdout, one sentence on stderr, the right exit status, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import study_documents
import yaml

from rpusim.arch.chips.chip import FOLDER as CHIPS
from rpusim.arch.contract import waiting
from rpusim.reports.cli import commands
from rpusim.reports.cli.commands import schema
from rpusim.reports.cli.schema import problem, schema_of


def in_a_process(*arguments, **options):
    """The installed command's own entry point, in a fresh interpreter."""
    command = [sys.executable, "-c", "from rpusim.reports.cli.commands import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def test_help_does_not_load_torch():
    heavy = "{'torch', 'numba', 'numpy', 'pydantic', 'rich'} & set(sys.modules)"
    code = f"""
import sys
from rpusim.reports.cli.commands import main
try: main(['--help'])
finally: assert not {heavy}, {heavy}
"""
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    assert "Usage:" in outcome.stdout


def test_without_a_command_the_help_is_shown(rpusim):
    outcome = rpusim()
    assert outcome.status == 0
    for command in ("run", "map", "time", "report", "presets", "schema"):
        assert f"\n  {command} " in outcome.stdout


def test_run_prints_the_document_that_it_keeps(short_run):
    assert short_run.document == json.loads((short_run.folder / "result.json").read_text())
    assert short_run.document["seed"] == 3
    assert {path.name for path in short_run.folder.iterdir()} == {
        "result.json",
        "config.resolved.yaml",
        "events.npz",
        "report.html",
        "SHA256SUMS",
    }


def test_run_says_how_to_run_it_again_and_where_its_numbers_come_from(short_run):
    assert short_run.document["command"] == "rpusim run fcn-digits --epochs 1 --seed 3"
    source = {row["field"]: row["source"] for row in short_run.document["provenance"]}
    assert source["experiment.recipe.epochs"] == source["experiment.seed"] == "given on the command line"
    assert "command line" not in source["experiment.recipe.batch"]


def test_run_shows_a_table_with_every_answer(rpusim, short_run):
    outcome = rpusim("report", short_run.folder)
    assert outcome.status == 0
    assert outcome.stderr == ""
    for words in ("Test error", "floating point", "per epoch", "samples/s", "Area", "TOPS", "TOPS/W", "Utilisation"):
        assert words in outcome.stdout, words
    for part in [*short_run.document["energy"]["by_part"], *short_run.document["energy"]["by_phase"]]:
        assert part in outcome.stdout, part
    for phrase in (short_run.document["bottleneck"]["sentence"], "All 1,437 samples were timed"):
        assert phrase in " ".join(outcome.stdout.split())
    assert str(short_run.folder / "report.html") in outcome.stdout


def test_the_default_folder_is_named_after_the_experiment(rpusim, short_run, tmp_path, monkeypatch):
    from rpusim.workloads.results.result import Result
    from rpusim.workloads.runs import simulate

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(simulate, "run", lambda chosen, watch, kept, **how: Result(dict(short_run.document), None, ()))
    outcome = rpusim("run")
    assert outcome.status == 0, outcome.stderr
    assert (tmp_path / "runs" / "fcn-digits" / "report.html").is_file()


def test_report_writes_the_page_anew(rpusim, short_run):
    page = short_run.folder / "report.html"
    before = page.read_text()
    page.write_text("gone")
    outcome = rpusim("report", short_run.folder, "--json")
    assert json.loads(outcome.stdout) == short_run.document
    assert page.read_text() == before


def test_report_shows_a_study_again(rpusim, tmp_path):
    document = study_documents.grid(bits=(4, 5), lines=(1,))
    (tmp_path / "study.json").write_text(json.dumps(document))
    outcome = rpusim("report", tmp_path)
    assert outcome.status == 0 and " ".join(document["answer"].split()) in " ".join(outcome.stdout.split())
    assert document["answer"] in (tmp_path / "report.html").read_text()
    assert json.loads(rpusim("report", tmp_path, "--json").stdout) == document


def test_half_a_study_is_refused(rpusim, tmp_path):
    (tmp_path / "study.json").write_text(json.dumps({"schema": "rpusim-study-1"}))
    is_one_refusal(rpusim("report", tmp_path), "is not a whole study (name is missing)")
    assert [path.name for path in tmp_path.iterdir()] == ["study.json"]


def test_map_prints_the_placement(rpusim):
    outcome = rpusim("map", "lenet-2017", "--chip", "reram-512", "--json")
    document = json.loads(outcome.stdout)
    assert [layer["vectors"] for layer in document["layers"]] == [576, 64, 1, 1]
    shown = rpusim("map", "lenet-2017", "--chip", "reram-512").stdout
    assert "128 × 513" in shown
    assert "80,202 weights" in shown


def test_time_prints_what_it_assumed(rpusim):
    arguments = ("time", "lenet-digits", "--chip", "rpu-2016", "--samples", 3, "--schedule", "layer-pipelined")
    document = json.loads(rpusim(*arguments, "--json").stdout)
    assert "accuracy" not in document
    assert document["activity"]["samples"] == 3
    assert "backward" not in document["energy"]["by_phase"], "layer-pipelined is inference unless asked otherwise"
    shown = " ".join(rpusim(*arguments).stdout.split())
    assert document["assumption"] in shown


def test_time_trains_by_default_only_where_the_chip_can(rpusim):
    phases = {
        chip: set(json.loads(rpusim("time", "fcn-digits", "--chip", chip, "--json").stdout)["energy"]["by_phase"])
        for chip in ("rpu-2016", "isaac-2016")
    }
    assert phases["rpu-2016"] >= {"forward", "backward", "update"}
    assert phases["isaac-2016"] == {"forward", "idle", "standby"}


def test_time_leaves_a_run_folder_if_asked(rpusim, tmp_path):
    folder = tmp_path / "timed"
    outcome = rpusim("time", "fcn-digits", "--chip", "rpu-2016", "--out", folder)
    assert outcome.status == 0, outcome.stderr
    assert (folder / "report.html").is_file()
    again = rpusim("report", folder, "--json")
    assert json.loads(again.stdout)["command"].startswith(
        "rpusim time fcn-digits --chip rpu-2016 --training --samples 1"
    )


def test_time_takes_unit_cells_mini_batches_and_replicas(rpusim):
    chosen = ("--device", "chopped-ttv2-ecram", "--replicas", "conv1=4", "--samples", 4, "--batch", 2)
    outcome = rpusim(
        "time", "lenet-digits", "--chip", "reram-512", *chosen, "--schedule", "minibatch-pipelined", "--json"
    )
    assert outcome.status == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert document["layers"][0]["replicas"] == 4
    assert len(document["layers"][0]["tiles"]) == 8  # with an array for A and one for C
    assert document["activity"]["schedule"] == "minibatch-pipelined"
    assert document["activity"]["transfer"]["slices_read"] == 4 * (64 + 16 + 1 + 1)
    assert document["energy"]["by_phase"]["transfer"] > 0


def test_a_table_shows_transfers_where_there_are_any(rpusim):
    shown = rpusim("time", "fcn", "--chip", "reram-512", "--device", "tiki-taka-ecram").stdout
    assert "transfer" in shown
    assert "transfer" not in rpusim("time", "fcn", "--chip", "reram-512").stdout


def test_presets_have_a_title_and_a_source(rpusim):
    lists = json.loads(rpusim("presets", "--json").stdout)
    assert set(lists) == {"experiments", "studies", "networks", "chips", "devices", "models", "inference", "cards"}
    for kind, entries in lists.items():
        assert entries, kind
        for entry in entries:
            assert entry["title"] and (entry["source"] or kind == "models"), entry
    shown = rpusim("presets").stdout
    for name in ("fcn-digits", "lenet-2017", "rpu-2016", "ecram", "chopped-ttv2-reram-sb", "standard-hwa", "pow-step"):
        assert name in shown
    assert "isaac-2016/adc" not in shown


def test_presets_of_one_kind_have_a_line_each_of_what_they_are_and_whence(rpusim):
    assert len(rpusim("presets").stdout.splitlines()) < 200
    shown = rpusim("presets", "cards").stdout
    assert "isaac-2016/adc" in shown and "arch/chips/cards/isaac-2016.yaml" in shown and "while busy" in shown
    assert json.loads(rpusim("presets", "cards", "--json").stdout).keys() == {"cards"}


BAD = {
    "unknown command": (("ran",), "did you mean 'run'"),
    "unknown option": (("run", "--sede", "1"), "--seed"),
    "unknown experiment": (("run", "fcn-digit"), "did you mean 'fcn-digits'"),
    "unknown kind": (("presets", "card"), "did you mean 'cards'"),
    "unknown network": (("map", "lenet", "--chip", "rpu-2016"), "lenet-2017"),
    "unknown chip": (("run", "--chip", "rpu-2015"), "did you mean 'rpu-2016'"),
    "unknown device": (("run", "--device", "ecrm"), "ecram"),
    "missing chip": (("map", "fcn"), "--chip"),
    "wrong schedule": (("time", "fcn", "--chip", "rpu-2016", "--schedule", "fast"), "layer-pipelined"),
    "training on an inference chip": (("time", "fcn", "--chip", "isaac-2016", "--training"), "pulses"),
    "pipelined training": (
        ("time", "fcn", "--chip", "rpu-2016", "--training", "--schedule", "layer-pipelined"),
        "sequential",
    ),
    "replicas of no number": (("time", "fcn", "--chip", "rpu-2016", "--replicas", "fc1"), "LAYER=N"),
    "replicas of no layer": (("map", "fcn", "--chip", "rpu-2016", "--replicas", "fc9=2"), "'fc9' is not a layer"),
    "more replicas than vectors": (("map", "fcn", "--chip", "rpu-2016", "--replicas", "fc1=2"), "1 vectors"),
    "unknown cell": (("time", "fcn", "--chip", "rpu-2016", "--device", "ttv2-ecrm"), "did you mean 'ttv2-ecram'"),
    "an empty mini-batch": (("time", "fcn", "--chip", "rpu-2016", "--batch", "0"), "batch"),
    "no samples": (("time", "fcn", "--chip", "rpu-2016", "--samples", "0"), "samples"),
    "no epochs": (("run", "--epochs", "0"), "epochs"),
    "negative seed": (("run", "--seed", "-1"), "seed"),
    "a word for a number": (("run", "--epochs", "many"), "many"),
    "no such chip file": (("map", "fcn", "--chip", "nowhere.yaml"), "nowhere.yaml"),
    "no run folder": (("report", "."), "result.json"),
    "unknown kind of schema": (("schema", "tile"), "chip"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("json_wanted", [False, True])
def test_bad_input_is_one_sentence_and_status_2(name, json_wanted, rpusim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, said = BAD[name]
    outcome = rpusim(*arguments, *["--json"] * json_wanted)
    is_one_refusal(outcome, said)
    assert list(tmp_path.iterdir()) == []


def is_one_refusal(outcome, said):
    assert outcome.status == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("rpusim: ")
    assert outcome.stderr.count("\n") == 1
    assert said in outcome.stderr


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("tiles", 0, "array", "integration"), 80, "needs a number with its unit"),
        (("tiles", 0, "array", "integration"), "80 nm", "'80 ns'"),
        (("tiles", 0, "inputs", "bits"), -5, "tiles.0.inputs.bits: got -5"),
        (("tiles", 0, "adc", "card"), "haensch-2018/adcs", "did you mean 'haensch-2018/adc'"),
        (("mesh", "hops"), 3, "mesh.hops is not a field"),
    ],
)
def test_a_wrong_chip_file_is_named_with_its_field(place, value, said, rpusim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chip = yaml.safe_load((CHIPS / "rpu-2016.yaml").read_text())
    *path, last = place
    block = chip
    for step in path:
        block = block[step]
    block[last] = value
    Path("mine.yaml").write_text(yaml.safe_dump(chip))
    outcome = rpusim("run", "--chip", "mine.yaml", "--out", "run")
    is_one_refusal(outcome, said)
    assert "mine.yaml" in outcome.stderr or "tiles.rpu" in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_an_empty_data_folder_is_refused(rpusim, tmp_path):
    (tmp_path / "data").mkdir()
    outcome = rpusim("run", "fcn-digits", "--data", tmp_path / "data", "--out", tmp_path / "run")
    is_one_refusal(outcome, "train-images-idx3-ubyte")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(rpusim, tmp_path):
    (tmp_path / "file").write_text("mine")
    is_one_refusal(rpusim("run", "--out", tmp_path / "file" / "run"), "writable folder")
    is_one_refusal(rpusim("run", "--out", tmp_path), "is not a run folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_what_the_file_system_refuses_is_a_sentence(rpusim, short_run, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    before = {path: path.read_bytes() for path in short_run.folder.iterdir()}
    monkeypatch.setattr(os, "replace", refuse)
    is_one_refusal(rpusim("report", short_run.folder), "No space left on device")
    assert {path: path.read_bytes() for path in short_run.folder.iterdir()} == before


def test_half_a_result_is_refused(rpusim, short_run, tmp_path):
    document = {key: value for key, value in short_run.document.items() if key != "energy"}
    (tmp_path / "result.json").write_text(json.dumps(document))
    is_one_refusal(rpusim("report", tmp_path), "energy")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_errors_of_the_program_itself_are_not_hidden(monkeypatch):
    monkeypatch.setattr(schema, "emit", lambda document: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        commands.main(["schema", "chip"])


def test_a_real_process_prints_only_the_document(tmp_path):
    outcome = in_a_process("map", "fcn", "--chip", "rpu-2016", "--json", cwd=tmp_path)
    assert outcome.returncode == 0
    assert json.loads(outcome.stdout)["totals"]["weights"] == 235_146
    assert outcome.stderr == ""
    wrong = in_a_process("map", "fcn", "--chip", "rpu2016", "--json", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.count("\n") == 1
    assert "Traceback" not in wrong.stderr


def test_a_language_model_reads_a_prompt_and_writes(rpusim, tmp_path):
    """Tokens per second and joules per token are on the screen, in the result and on the page."""
    given = (
        "time",
        "moe-small",
        "--chip",
        "reram-512",
        "--set",
        "tiles.0.count=4000",
        "--prompt",
        "8",
        "--generate",
        "2",
    )
    outcome = rpusim(*given, "--routing", "4,2,1,1,1,1,1,1", "--out", tmp_path / "run")
    text = " ".join(outcome.stdout.split())
    assert "Reading 8 tokens takes" in text
    assert "Writing 2 tokens takes" in text
    assert text.count("tokens per second") == 2
    assert "shares 4, 2, 1, 1, 1, 1, 1, 1" in text
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    assert problem(found, schema_of("result")) == ""
    assert found["language"]["writing"]["timed_steps"] == [8, 9]
    assert "Writing 2 tokens takes" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--generate", "4"], "--prompt: a number of tokens is needed"),
        (["--prompt", "4", "--samples", "2"], "--samples: does not go with --prompt"),
        (["--prompt", "4", "--training"], "--training: does not go with --prompt"),
        (["--prompt", "4", "--routing", "1,x"], "--routing: got '1,x', accepted: numbers with commas"),
    ],
)
def test_what_does_not_go_with_a_prompt_is_refused(words, sentence, rpusim):
    outcome = rpusim("time", "gpt2", "--chip", "reram-512", *words)
    assert outcome.status == 2
    assert sentence in outcome.stderr


@pytest.mark.parametrize(("more", "said"), [((), True), (("--quiet",), False)])
def test_a_run_that_takes_long_says_how_far_it_is_where_there_is_no_terminal(more, said, rpusim, tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "EVERY", 0.2)
    outcome = rpusim("run", "fcn-digits", "--epochs", 1, "--out", tmp_path / "run", *more)
    assert outcome.status == 0
    assert ("so far" in outcome.stderr) == said
