"""A network on phase-change memory over a year: what ages, what helps, and that equal runs are equal."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from rpusim.errors import InputError
from rpusim.reports.curves.aging import draw
from rpusim.workloads.studies import aging
from rpusim.workloads.studies.aging import TIMES, Outcome, main, run, table

DOCS = Path(__file__).parents[3] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


SHORT = {"epochs": 3, "retraining_epochs": 1}


@pytest.fixture(scope="module")
def outcomes():
    return run(0, **SHORT)


def _of(outcomes, variant, compensated):
    (found,) = (o.errors for o in outcomes if (o.variant, o.compensated) == (variant, compensated))
    return found


def test_without_compensation_a_year_costs_much_and_with_it_little(outcomes):
    for variant in ("converted", "hardware-aware"):
        bare, compensated = (_of(outcomes, variant, each) for each in (False, True))
        assert bare[-1] > bare[0] + 0.03
        assert compensated[-1] < compensated[0] + 0.03 and compensated[-1] < bare[-1] / 2
        assert compensated[0] < _of(outcomes, "floating-point", False)[0] + 0.03


def test_equal_runs_are_equal(outcomes):
    assert run(0, **SHORT) == outcomes


def test_a_seed_is_checked():
    with pytest.raises(InputError, match="seed: -1 was given"):
        run(-1)


def _made(variant, compensated, *errors):
    return [Outcome(variant, compensated, seed, (error,) * len(TIMES)) for seed, error in enumerate(errors)]


MADE = [
    *_made("floating-point", False, 0.01, 0.03),
    *_made("converted", False, 0.1, 0.3),
    *_made("converted", True, 0.02, 0.04),
    *_made("hardware-aware", False, 0.05, 0.15),
    *_made("hardware-aware", True, 0.02, 0.02),
]


def test_the_table_has_means_over_the_seeds():
    header, *lines = table(MADE)
    assert [name in header for name in TIMES] == [True] * len(TIMES)
    assert [line.split()[-1] for line in lines] == ["2.0", "20.0", "3.0", "10.0", "2.0"]


def test_the_documents_show_what_was_measured():
    text = (DOCS / "inference.json").read_text(encoding="utf-8")
    measured = [Outcome(o["variant"], o["compensated"], o["seed"], tuple(o["errors"])) for o in json.loads(text)]
    assert {o.seed for o in measured} == set(range(5))
    for line in table(measured):
        assert line.rstrip() in aging.__doc__
        cells = " | ".join(line.split()[-len(TIMES) :])
        if "1 second" not in line and "floating" not in line:
            assert cells in (DOCS / "inference.md").read_text(encoding="utf-8")
    assert draw(json.loads(text)) in (DOCS / "inference.svg").read_text(encoding="utf-8")


def test_the_drawing_has_two_panels_with_two_lines_bands_and_floating_point(capsys, monkeypatch):
    monkeypatch.setattr(aging, "run", lambda seed: [o for o in MADE if o.seed == seed])
    main(["--json", "--seeds", "2"])
    root = ElementTree.fromstring(draw(json.loads(capsys.readouterr().out)))
    names = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "name"]
    assert names == ["drift as it is", "drift compensated"]
    panel = ["reference", "band converted", "converted", "band hardware-aware", "hardware-aware"]
    legend = ["reference", "converted", "hardware-aware"]
    assert [path.get("class") for path in root.iter(f"{SVG}path")] == panel * 2 + legend
    assert "converted, drift as it is: 20.0%" in root.find(f"{SVG}title").text


def test_the_command_prints_a_table(capsys, monkeypatch):
    monkeypatch.setattr(aging, "run", lambda seed: [o for o in MADE if o.seed == seed])
    main(["--seeds", "1"])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.startswith("variant") and len(lines) == 5
