"""`rpusim fit` and `rpusim learn` as a user types them, and what docs/own-device.md says of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from measured import SOFT, curves, write, write_long

from rpusim.reports.cli.schema import problem, schema_of

GUIDE = (Path(__file__).parents[3] / "docs" / "own-device.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    return write_long(tmp_path_factory.mktemp("fit") / "ours.csv", curves(SOFT, 3, 1, 40, 7))


def test_a_fit_prints_its_document_and_leaves_a_device_that_every_command_takes(rpusim, measured, tmp_path):
    outcome = rpusim("fit", measured, "--out", tmp_path, "--json")
    assert outcome.status == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert problem(document, schema_of("fit")) == ""
    assert set(document) <= set(schema_of("fit")["properties"])
    assert document == json.loads((tmp_path / "fit.json").read_text())
    fields = yaml.safe_load((tmp_path / "device.yaml").read_text())
    assert fields["model"] == document["justified"] == "soft-bounds"
    assert (fields["fit"]["rows"], fields["fit"]["unit"], len(fields["fit"]["sha256"])) == (246, "uS", 64)
    assert not re.search(r"\b20[0-9]{2}-[0-9]{2}\b", (tmp_path / "device.yaml").read_text())
    page = (tmp_path / "report.html").read_text()
    assert "Points over fit" in page and "Step against weight" in page and "What is left" in page
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", page)
    shown = json.loads(rpusim("devices", tmp_path / "device.yaml", "--json").stdout)
    assert shown["parameters"]["dw_min"] == fields["dw_min"]
    assert shown["title"] == fields["title"]
    timed = rpusim("time", "fcn-digits", "--chip", "rpu-2016", "--device", tmp_path / "device.yaml", "--json")
    assert timed.status == 0, timed.stderr


def test_the_same_readings_give_the_same_bytes(rpusim, measured, tmp_path):
    for name in ("a", "b"):
        assert rpusim("fit", measured, "--out", tmp_path / name, "--quiet").status == 0
    for file in ("device.yaml", "fit.json", "report.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--unit", "Ohm"), "--unit: 'Ohm' is no unit of conductance"),
        (("--model", "soft-bound"), "--model: 'soft-bound' cannot be fitted; did you mean 'soft-bounds'"),
        (("--pattern", "up:5"), "--pattern: was given, but ours.csv says itself which pulses go up"),
        (("--reference", "90"), "--reference: got 9e-05 S, accepted: between the ends of the mean range"),
        (("--reference", "middel"), "--reference: got 'middel', accepted: middle, symmetry-point or a conductance"),
        (("--per-weight", "-3"), "--per-weight: got '-3', accepted: a conductance above 0"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(options, said, rpusim, measured, tmp_path):
    outcome = rpusim("fit", measured, "--out", tmp_path, *options)
    assert outcome.status == 2
    assert outcome.stderr.startswith(f"rpusim: {said}") and outcome.stderr.count("\n") == 1


def test_a_reference_at_the_symmetry_point_puts_it_at_weight_0(rpusim, measured, tmp_path):
    outcome = rpusim("fit", measured, "--out", tmp_path, "--reference", "symmetry-point", "--json")
    row = json.loads(outcome.stdout)["models"][0]
    assert row["symmetry_point"]["value"] == pytest.approx(0.0, abs=1e-6)


def test_the_figures_of_the_guide_are_those_that_are_found(rpusim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    rows = re.findall(r"^\| (\w+)\.csv \| `(\w+)` \| (\S+) \| (\S+) \| (\S+) to (\S+) \|$", GUIDE, flags=re.MULTILINE)
    assert len(rows) > 25
    held = 0
    for name in ("soft", "ecram", "single"):
        outcome = rpusim("fit", f"{name}.csv", "--reference", "25", "--per-weight", "20", "--json")
        found = json.loads(outcome.stdout)["models"][0]["parameters"]
        for _, parameter, truth, value, low, high in [row for row in rows if row[0] == name]:
            figure = found[parameter]
            said = [float(word) for word in (value, low, high)]
            assert [figure[end] for end in ("value", "low", "high")] == pytest.approx(said, rel=2e-3, abs=1e-4)
            held += said[1] <= float(truth) <= said[2]
    assert held >= len(rows) - 3


@pytest.mark.slow
def test_learn_ranks_the_algorithms_and_goes_on_where_it_was(rpusim, measured, tmp_path):
    device = tmp_path / "ours.yaml"
    device.write_text("model: soft-bounds\ndw_min: 0.01\nup_down: 0.2\n")
    typed = ("learn", "--device", device, "--algorithms", "sgd,tiki-taka", "--seeds", 2, "--epochs", 1, "--quick")
    outcome = rpusim(*typed, "--workers", 0, "--out", tmp_path / "found", "--json")
    assert outcome.status == 0, outcome.stderr
    first = "rpusim: 6 settings of 2 algorithms, epochs: 1 each; then 4 runs, epochs: 1 each; about 1 min"
    assert outcome.stderr.startswith(first)
    document = json.loads(outcome.stdout)
    assert problem(document, schema_of("learn")) == ""
    assert set(document) <= set(schema_of("learn")["properties"])
    errors = [row["error"]["mean"] for row in document["algorithms"]]
    assert errors == sorted(errors) and {row["seeds"] for row in document["algorithms"]} == {2}
    by_name = {row["algorithm"]: row for row in document["algorithms"]}
    assert by_name["sgd"]["calibration"] == {"pulses": 0.0, "seconds": 0.0, "joules": 0.0}
    before = by_name["tiki-taka"]["calibration"]
    assert before["pulses"] == 2 * document["calibration"]["pairs"] and min(before["seconds"], before["joules"]) > 0
    assert by_name["tiki-taka"]["training_time"]["low"] > before["seconds"]  # it is in the figures
    assert "rect" in (tmp_path / "found" / "learn.html").read_text()
    again = json.loads(rpusim(*typed, "--workers", 0, "--out", tmp_path / "found", "--json").stdout)
    assert again["algorithms"] == document["algorithms"] and again["wall"]["seconds"] < document["wall"]["seconds"]


def test_learn_refuses_what_it_cannot_use(rpusim, tmp_path):
    for options, said in (
        (("--device", "reram-sbb"), "reram-sb"),
        (("--device", "ideal"), "takes exact updates"),
        (("--device", "reram-sb", "--algorithms", "sgdd"), "--algorithms: 'sgdd' is unknown; did you mean 'sgd'"),
    ):
        outcome = rpusim("learn", *options, "--out", tmp_path)
        assert outcome.status == 2 and said in outcome.stderr and outcome.stderr.count("\n") == 1
