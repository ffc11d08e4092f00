"""The documents promise nothing that does not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rpusim.reports.cli.schema import schema_of

ROOT = Path(__file__).parents[3]
CHIP_GUIDE = (ROOT / "docs" / "add-a-chip.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def pasted(tmp_path, monkeypatch):
    """A folder in which a reader has pasted the example chip."""
    monkeypatch.chdir(tmp_path)
    (example,) = blocks(CHIP_GUIDE, "yaml")
    Path("small-128.yaml").write_text(example)
    return example


def test_the_example_chip_runs_with_the_commands_beside_it(rpusim, pasted):
    (commands,) = blocks(CHIP_GUIDE, "sh")
    lines = [line.partition("#")[0].split() for line in commands.splitlines()]
    assert [line[1] for line in lines] == ["map", "time", "run"]
    for program, *arguments in lines:
        assert program == "rpusim"
        outcome = rpusim(*arguments)
        assert outcome.status == 0, outcome.stderr


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("integration: 20 ns", "integration: 20", "`integration: 20`"),
        ("integration: 20 ns", "integration: 0.2 ps", "`integration: 0.2 ps`"),
        ("      bits: 5", "      bits: -5", "`bits: -5`"),
        ("      columns: 128", "      columns: 128\n      depth: 4", "`depth: 4` in an array"),
        ("      lanes: 16\n", "", "no `lanes`"),
        ("puma-2019/alu", "puma-2019/alus", "`card: puma-2019/alus`"),
        (
            '    zero_because: {leakage: "counted in the energy per conversion"}\n',
            "",
            "`leakage: 0 W` without a reason",
        ),
        ("      bits: 8", "      bits: 9", "`bits: 9` with the card above"),
    ],
)
def test_the_errors_in_the_guide_are_the_real_ones(old, new, row, rpusim, pasted):
    assert pasted.count(old) == 1
    Path("small-128.yaml").write_text(pasted.replace(old, new))
    outcome = rpusim("map", "fcn", "--chip", "small-128.yaml")
    said = re.search(rf"^\| {re.escape(row)} \| `(.*?) ?…?` \|$", CHIP_GUIDE, flags=re.MULTILINE)
    assert said, row
    assert outcome.status == 2
    assert said[1] in outcome.stderr


def test_every_field_of_a_chip_is_explained():
    named = set(re.findall(r"`([\w.]+)`", CHIP_GUIDE))
    last = {part for name in named for part in name.split(".")}
    schema = schema_of("chip")
    for model in [schema, *schema["$defs"].values()]:
        for field in model["properties"]:
            if field not in ("sources", "card", "part"):
                assert field in last, f"{model['title']}.{field}"


def test_every_key_of_a_result_is_explained():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for key in schema_of("result")["properties"]:
        assert re.search(rf"`{key}[`.]", text), key


def test_the_python_of_the_guide_to_studies_runs(tmp_path, monkeypatch, capsys):
    (code,) = blocks((ROOT / "docs" / "study.md").read_text(encoding="utf-8"), "python")
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "study"})
    assert "tiles.0.adc.bits" in capsys.readouterr().out and Path("studies/converters/report.html").is_file()


def test_the_python_in_the_readme_runs(tmp_path, monkeypatch, capsys):
    (code,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    assert code.count("epochs=5") == 1
    monkeypatch.chdir(tmp_path)
    exec(code.replace("epochs=5", "epochs=1"), {})
    printed = capsys.readouterr().out
    for words in ("Test error", "set the pace", " beside ", " J per sample"):
        assert words in printed
    assert (tmp_path / "curve.svg").read_text().startswith("<svg")
    assert (tmp_path / "runs" / "reram" / "report.html").is_file()


def test_the_loop_of_ones_own_learns_and_is_saved(tmp_path, monkeypatch, capsys):
    code, *more = blocks((ROOT / "docs" / "own-loop.md").read_text(encoding="utf-8"), "python")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    *epochs, cost = capsys.readouterr().out.splitlines()
    for block in more:
        exec(block, names)
    found = [float(line.split()[1]) for line in epochs]
    assert len(found) == 5 and found[-1] > max(found[0], 0.5)
    assert cost.endswith(" J")
    assert (tmp_path / "state.pt").is_file()


def test_a_network_and_a_chip_of_ones_own_can_be_mapped(rpusim, pasted):
    Path("mine.py").write_text("from torch import nn\ndef build():\n    return nn.Linear(200, 10), (200,)\n")
    outcome = rpusim("map", "mine.py:build", "--chip", "small-128.yaml")
    assert outcome.status == 0, outcome.stderr
    assert "2,010 weights on 2 arrays" in outcome.stdout


def test_the_headline_figures_of_the_guide_are_those_of_the_cards():
    import torch

    from rpusim.arch.chips.chip import Chip
    from rpusim.arch.mapping.assumed_activity import assumed_activity
    from rpusim.arch.mapping.placement import place
    from rpusim.arch.schedule.plan import make_plan
    from rpusim.workloads.capture.capture import capture
    from rpusim.workloads.clock.meter import Meter
    from rpusim.workloads.results.document import cost, operations_per_sample
    from rpusim.workloads.runs.estimate import time_network

    guide = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    with torch.device("meta"):
        full = torch.nn.Sequential(torch.nn.Linear(4096, 4096, bias=False))
    placement = place(capture(full, (4096,)), Chip.load("rpu-2016"))
    meter = Meter(make_plan(placement), "sequential")
    meter.add(assumed_activity(placement, 10, training=False))
    found = cost(meter.plan, meter.ledger(), 10, operations_per_sample(placement.network, training=False))
    (said,) = re.findall(r"forward at about (\d+) TOPS/W", guide)
    assert found["throughput"]["ops_per_J"] == pytest.approx(float(said) * 1e12, rel=0.03)
    parts, total = found["energy"]["by_part"], found["energy"]["total_J"]
    assert parts["ADC"] / total == pytest.approx(3 / 5, abs=0.05)
    assert parts["array"] / (total - parts["ADC"]) > 0.8

    small = time_network("fcn", "rpu-2016", 1, True, "sequential")
    energy = small["energy"]
    numbers = r"takes (\d+) nJ a sample: (\d+) nJ at work, (\d+) nJ to wake .*?, ([\d.]+) nJ by"
    (said,) = re.findall(numbers, guide.replace("\n", " "))
    states = (sum(row[state] for row in energy["states"]) for state in ("at_work_J", "idle_J", "leakage_J"))
    for words, joules in zip(said, (energy["total_J"], *states), strict=True):
        assert joules == pytest.approx(float(words) * 1e-9, rel=0.05)
    (said,) = re.findall(r"make that ([\d.]+) µJ; .*? leakage alone is (\d+) nJ", guide.replace("\n", " "))
    assert energy["standby"]["ungated_J"] == pytest.approx(float(said[0]) * 1e-6, rel=0.01)
    (leakage,) = (row for row in small["sensitivity"]["largest"] if row["field"] == "chip.leakage")
    assert leakage["high_J"] - leakage["low_J"] == pytest.approx(float(said[1]) * 1e-9, rel=0.05)
