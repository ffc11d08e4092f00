"""Whatever is given, printed by a user's file or refused by the machine: one sentence, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rpusim.reports.cli.schema import problem, schema_of

FLOWING = "layer-pipelined"
NETWORK = """
import sys, warnings
from torch import nn
print("building")
class Loud(nn.Sequential):
    def forward(self, x):
        print("forward")
        return super().forward(x)
def small():
    print("small")
    warnings.warn("a warning")
    return Loud(nn.Linear(64, 10), nn.LogSoftmax(dim=1)), (64,)
def leaves():
    sys.exit("I am off")
"""


def in_a_process(*arguments, stdout=subprocess.PIPE, **options):
    command = [sys.executable, "-c", "from rpusim.reports.cli.commands import main; main()", *map(str, arguments)]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, timeout=300, **options)


def is_one_refusal(outcome, said):
    assert outcome.status == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("rpusim: ") and outcome.stderr.count("\n") == 1
    assert said in outcome.stderr


def broken(document, *path, value=None):
    """A copy of a document with one thing replaced, or taken out."""
    copy = json.loads(json.dumps(document))
    *way, last = path
    place = copy
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copy


def test_a_document_is_checked_against_its_schema(short_run):
    schema = schema_of("result")
    assert problem(short_run.document, schema) == ""
    for path, value, said in (
        (("energy", "by_part"), None, "energy.by_part is missing"),
        (("layers", 1, "tiles", 0, "rows"), "all", "layers.1.tiles.0.rows is 'all', not an array"),
        (("time", "total_s"), "long", "time.total_s is 'long', not a number"),
        (("energy", "by_phase", "forward"), [], "energy.by_phase.forward is [], not a number"),
        (("activity", "samples"), 1.5, "activity.samples is 1.5, not an integer"),
        (("activity", "samples"), True, "activity.samples is True, not an integer"),
    ):
        assert problem(broken(short_run.document, *path, value=value), schema) == said


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("energy",), None, "energy is missing"),
        (("time",), [], "time is [], not an object"),
        (("provenance",), [1], "provenance.0 is 1, not an object"),
        (("provenance",), [], "is not a whole result"),
        (("energy", "total_J"), 0, "is not a whole result (ZeroDivisionError"),
    ],
)
def test_half_a_result_is_refused_with_the_key(rpusim, short_run, tmp_path, path, value, said):
    (tmp_path / "result.json").write_text(json.dumps(broken(short_run.document, *path, value=value)))
    is_one_refusal(rpusim("report", tmp_path), said)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("content", [b"[]", b"null", b'"a"', b"\xff\xfe", b"[" * 100_000, b'{"time": NaN}', b""])
def test_what_is_no_result_is_refused(rpusim, tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    is_one_refusal(rpusim("report", tmp_path), "result.json")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nothing"])
def test_events_that_are_none_are_refused(rpusim, short_run, tmp_path, content):
    (tmp_path / "result.json").write_text(json.dumps(short_run.document))
    (tmp_path / "events.npz").write_bytes(content)
    is_one_refusal(rpusim("report", tmp_path), "cannot be read as events")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--out", "."), "current folder"),
        (("run", "--out", ""), "current folder"),
        (("run", "--out", "n" * 300), "File name too long"),
        (("run", "--data", "~nouser/x"), "no data '~nouser/x'"),
        (("run", "--data", "n" * 5000), "no data"),
        (("run", "--seed", str(10**30)), "seed: got 1000"),
        (("map", "n" * 5000 + ".py:f", "--chip", "rpu-2016"), "there is no file"),
        (("map", "fcn", "--chip", "a\0b.yaml"), "cannot be read"),
        (
            ("time", "fcn", "--chip", "rpu-2016", "--samples", str(10**15), "--inference", "--schedule", FLOWING),
            "at most",
        ),
        (("trace", "--network", "fcn", "--chip", "rpu-2016", "--samples", str(10**15), "--out", "x.json"), "at most"),
    ],
)
def test_absurd_arguments_are_refused(rpusim, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    is_one_refusal(rpusim(*arguments), said)
    assert list(tmp_path.iterdir()) == []


def test_a_users_file_that_prints_does_not_break_the_document(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    outcome = in_a_process("map", "net.py:small", "--chip", "rpu-2016", "--json", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["totals"]["weights"] == 650
    assert outcome.stderr.splitlines()[:2] == [b"building", b"small"]
    assert b"warning" not in outcome.stderr


def test_a_users_file_that_exits_is_refused(rpusim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETWORK.replace('print("building")', ""))
    is_one_refusal(rpusim("map", "net.py:leaves", "--chip", "rpu-2016"), "SystemExit: I am off")
    Path("off.py").write_text("import sys; sys.exit(3)")
    is_one_refusal(rpusim("map", "off.py:leaves", "--chip", "rpu-2016"), "off.py cannot be run (SystemExit: 3)")


def test_a_terminal_without_the_letters_shows_question_marks(tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    outcome = in_a_process("map", "fcn", "--chip", "rpu-2016", env=environment, cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert b"256 ? 785" in outcome.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("presets", "--json"), ("presets",), ("--help",)])
def test_a_full_disk_is_a_sentence(arguments):
    with open("/dev/full", "wb") as full:
        outcome = in_a_process(*arguments, stdout=full)
    assert outcome.returncode == 2
    assert outcome.stderr == b"rpusim: standard output cannot be written (No space left on device)\n"


def test_a_reader_that_has_seen_enough_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    outcome = in_a_process("schema", "chip", stdout=writing)
    os.close(writing)
    assert outcome.stderr == b""
    assert outcome.returncode in (1, 141)


def test_infinities_are_words_in_a_document(tmp_path):
    from rpusim.workloads.results.result import SCHEMA, Result
    from rpusim.workloads.results.run_folder import read, save

    numbers = [{"field": "device.w_max", "value": float("inf")}, {"field": "x", "value": float("nan")}]
    save(Result({"schema": SCHEMA, "provenance": numbers}, None, ()), tmp_path / "run")
    assert [row["value"] for row in read(tmp_path / "run")["provenance"]] == ["inf", "nan"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--samples", 3), "trace: got --samples for "),
        (("--device", "ecram"), "trace: got --device for "),
        (("--inference",), "trace: got --training/--inference for "),
        (("--program",), "which was timed already; it goes with --network and --chip"),
    ],
)
def test_a_run_that_was_timed_is_not_traced_with_other_options(rpusim, short_run, tmp_path, options, said):
    is_one_refusal(rpusim("trace", short_run.folder, *options, "--out", tmp_path / "x.json"), said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--replicas", "conv1=2,conv1=4"), "--replicas: got 'conv1' twice"),
        (("--inference", "--batch", 4), "batch: got 4 for inference, but mini-batches are for training; accepted: 1"),
        (("--device", "zzz"), " more; or give a .yaml file"),
    ],
)
def test_what_would_be_ignored_or_goes_on_and_on_is_refused_in_short(rpusim, arguments, said):
    outcome = rpusim("time", "lenet-digits", "--chip", "reram-512", *arguments)
    is_one_refusal(outcome, said)
    assert len(outcome.stderr) < 300


def test_pulses_that_cannot_be_counted_are_refused():
    from rpusim.errors import InputError
    from rpusim.workloads.runs.estimate import time_network

    cell = {"kind": "transfer", "zero_shift_pairs": 10**9}
    with pytest.raises(InputError, match=r"device\.cell\.zero_shift_pairs: 1000000000 was given; .* from 0 to 100000"):
        time_network(
            "fcn-digits",
            "reram-512",
            1,
            True,
            "sequential",
            device={"model": "soft-bounds", "cell": cell},
            program=True,
        )
