"""What `rpusim devices` shows: every preset, its response in text and as SVG, and one sentence for what cannot be."""

import json
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from rpusim.kernels.devices import PULSED
from rpusim.kernels.devices.presets import DEVICES
from rpusim.reports.curves import devices, response_svg, response_text


def test_the_table_has_every_preset_with_its_source(rpusim):
    outcome = rpusim("devices")
    assert outcome.status == 0
    words = " ".join(outcome.stdout.split())
    for name, preset in DEVICES.items():
        assert re.search(rf"^{name} +{preset.device.kind} ", outcome.stdout, flags=re.MULTILINE), name
        assert preset.source in words
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    listed = json.loads(rpusim("devices", "--json").stdout)
    assert [row["name"] for row in listed if row["kind"] == "preset"] == list(DEVICES)
    models = [row["name"] for row in listed if row["kind"] == "model"]
    assert models == [name for name in PULSED if name not in DEVICES]
    assert all(re.search(rf"^{name} +[\d,.]+ ", outcome.stdout, flags=re.MULTILINE) for name in models)


def test_a_response_is_drawn_with_its_symmetry_point_and_key_figures(rpusim):
    outcome = rpusim("devices", "reram-es", "--pulses", 100, "--cells", 2)
    assert outcome.status == 0
    assert "100 up │ 100 down" in outcome.stdout and "2 sampled cells" in outcome.stdout
    assert "-0.22 for the mean cell" in outcome.stdout
    assert any(0x2800 < ord(c) < 0x2900 for c in outcome.stdout) and "╌" in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) <= 80


def test_the_document_holds_what_is_drawn(rpusim):
    document = json.loads(rpusim("devices", "ecram", "--pulses", 50, "--cells", 3, "--json").stdout)
    assert document["pulses"] == 50 and len(document["response"]["mean"]) == 101
    assert [len(curve) for curve in document["response"]["cells"]] == [101] * 3
    assert document["parameters"]["gamma_down"] == 0.5085 and document["source"] == DEVICES["ecram"].source
    assert document["states"] == pytest.approx(1000)
    assert len(document["symmetry_points"]) == 3


@pytest.mark.parametrize("name", [*DEVICES, *PULSED])
def test_every_device_can_be_drawn(name):
    document = devices.describe(name, 20, 2)
    assert document["title"] and document["source"] and len(response_text.plot(document, 60).plain.splitlines()) == 20
    drawing = ET.fromstring(response_svg.draw(document))
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    kinds = [part.get("class") for part in drawing.iter("{http://www.w3.org/2000/svg}path")]
    assert kinds == ["cell", "cell", "mean"]
    assert (document["symmetry_point"] is None) == (document["model"] == "constant-step")


def test_the_drawing_is_written_where_asked_and_stays_on_its_canvas(rpusim, tmp_path):
    outcome = rpusim("devices", "reram-array-om", "--svg", tmp_path / "om.svg")
    assert outcome.status == 0 and str(tmp_path / "om.svg") in outcome.stdout.replace("\n", "")
    written = (tmp_path / "om.svg").read_text()
    for curve in re.findall(r' d="M([^"]*)"', written):
        for point in curve.split("L"):
            x, y = map(float, point.split(","))
            assert 0 <= x <= 960 and 0 <= y <= 440


def test_the_mean_cell_goes_up_and_comes_down():
    mean = devices.describe("capacitor", 300, 0)["response"]["mean"]
    assert mean[0] == -1.0 and max(mean) == mean[300]
    assert all(a < b for a, b in pairwise(mean[:301])) and all(a > b for a, b in pairwise(mean[300:]))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["reram-e"], "device: 'reram-e' is unknown; did you mean 'reram-es'?"),
        (["ideal"], "device: 'ideal' takes exact updates and has no response to pulses"),
        (["ecram", "--pulses", 0], "pulses: 0 was given; accepted is an integer >= 1"),
        (["ecram", "--pulses", 10**6], "pulses: 1000000 was given; accepted is a number <= 100000"),
        (["ecram", "--cells", -1], "cells: -1 was given; accepted is an integer >= 0"),
        (["ecram", "--svg", "/nowhere/x.svg"], "/nowhere/x.svg: cannot be written"),
        (["--svg", "x.svg"], "--pulses, --svg and --set are about one device"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(rpusim, arguments, sentence):
    outcome = rpusim("devices", *arguments)
    assert outcome.status == 2 and not outcome.stdout
    assert sentence in outcome.stderr and outcome.stderr.count("\n") == 1
    assert not Path("x.svg").exists()


def test_a_device_with_other_parameters_is_drawn_as_such(rpusim):
    """The mean cell's step follows: 0.01 each way at weight 0 where both steps are 0.01."""
    outcome = rpusim("devices", "reram-sb", "--set", "device.dw_min=0.01", "--json")
    document, before = json.loads(outcome.stdout), devices.describe("reram-sb", 1, 0)
    assert document["parameters"]["dw_min"] == 0.01 and document["source"].endswith("changed by the user: dw_min 0.01")
    ratio = 0.01 / before["parameters"]["dw_min"]
    assert document["up_step"] == pytest.approx(before["up_step"] * ratio)
    assert document["states"] == pytest.approx(before["states"] / ratio)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["reram-sb", "--set", "dw_min=0.01"], "accepted here are parameters of the device"),
        (["reram-sb", "--set", "device.dw_mn=0.01"], "did you mean 'dw_min'?"),
        (["--set", "device.dw_min=0.01"], "give its NAME"),
    ],
)
def test_what_is_no_parameter_of_the_device_is_refused(rpusim, given, sentence):
    outcome = rpusim("devices", *given)
    assert outcome.status == 2 and sentence in outcome.stderr
