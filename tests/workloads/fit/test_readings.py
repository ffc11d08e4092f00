"""Whatever the columns of a file, the same curves come out; what is not understood is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rpusim.errors import InputError
from rpusim.workloads.fit import patterns
from rpusim.workloads.fit.readings import load

UP = [5.0, 6.1, 7.0, 7.7, 8.2, 8.6, 8.9]
DOWN = [9.0, 7.5, 6.4, 5.7, 5.3, 5.1, 5.0]


def written(folder: Path, text: str) -> Path:
    path = folder / "g.csv"
    path.write_text(text, encoding="utf-8")
    return path


def wide(head: str, end: str = "\n", between: str = ",") -> str:
    rows = [between.join([str(k), str(up), str(down)]) for k, (up, down) in enumerate(zip(UP, DOWN, strict=True))]
    return end.join([head, *rows]) + end


def long(head: str = "device,cycle,direction,pulse,conductance (uS)", words: tuple[str, str] = ("up", "down")) -> str:
    rows = [f"A,1,{word},{k},{g}" for word, curve in zip(words, (UP, DOWN), strict=True) for k, g in enumerate(curve)]
    return "\n".join([head, *rows]) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        wide("pulse,G_up_uS,G_down_uS"),
        wide("Pulse number,Potentiation (uS),Depression (uS)", end="\r\n"),
        wide("n;LTP [uS];LTD [uS]", between=";").replace(".", ","),
        wide("pulse\tset_uS\treset_uS", between="\t"),
        "\ufeff" + wide("pulse,up uS,down uS"),
        "# measured by us\n" + wide("pulse,dev1_up_uS,dev1_down_uS"),
        long(),
        long(words=("+", "-")),
        long(words=("1", "-1")),
        long("Cell,Cycle,Polarity,Pulse,G_uS", ("SET", "RESET")),
    ],
)
def test_every_layout_gives_the_same_curves(text: str, tmp_path: Path) -> None:
    found = load(written(tmp_path, text))
    assert len(found.traces) == 2
    for trace, curve, sign in zip(found.traces, (UP, DOWN), (1, -1), strict=True):
        assert np.allclose(trace.readings, np.array(curve) * 1e-6)
        assert (trace.signs == sign).all()
    assert found.resolution == pytest.approx(0.1e-6)
    assert (found.unit, len(found.devices)) == ("uS", 1)


def test_devices_and_cycles_are_found_in_columns_and_in_their_names(tmp_path: Path) -> None:
    head = "pulse," + ",".join(f"dev{d}_cycle{c}_{way} (nS)" for d in (1, 2) for c in (1, 2) for way in ("up", "down"))
    rows = [f"{k}," + ",".join([str(u), str(d)] * 4) for k, (u, d) in enumerate(zip(UP, DOWN, strict=True))]
    found = load(written(tmp_path, "\n".join([head.replace("dev1_cycle1_up", "dev1_cycle1_up"), *rows])))
    assert len(found.devices) == 2
    assert {(trace.device, trace.cycle) for trace in found.traces} == {(d, c) for d in ("1", "2") for c in ("1", "2")}
    assert found.traces[0].readings[0] == pytest.approx(5e-9)


def test_curves_of_one_device_that_follow_each_other_are_cycles(tmp_path: Path) -> None:
    rows = [f"{k},{u},{d}" for _ in range(3) for k, (u, d) in enumerate(zip(UP, DOWN, strict=True))]
    found = load(written(tmp_path, "\n".join(["pulse,up_uS,down_uS", *rows])))
    assert len(found.traces) == 6


def test_pulses_without_a_reading_are_pulses(tmp_path: Path) -> None:
    rows = [f"{10 * k},{u},{d}" for k, (u, d) in enumerate(zip(UP, DOWN, strict=True))]
    found = load(written(tmp_path, "\n".join(["pulse,up_uS,down_uS", *rows])))
    assert len(found.traces[0].signs) == 60
    assert np.isnan(found.traces[0].readings).sum() == 54


def test_a_train_is_cut_by_its_pattern_and_averages_are_left_out(tmp_path: Path) -> None:
    values = [*([7.0] * 4), *UP, *DOWN[1:]]
    rows = [f"{k},{g},{g}," for k, g in enumerate(values)]
    path = written(tmp_path, "\n".join(["Pulse number,Conductance (W1),Moving average (W1),", *rows]))
    found = load(path, "uS", patterns.read(("skip:4,up:6,down:6",)))
    assert [trace.device for trace in found.traces] == ["W1", "W1"]
    assert [len(trace.signs) for trace in found.traces] == [6, 6]
    assert found.left_out == ("Moving average (W1)",)
    alternating = load(path, "uS", patterns.read(("W1=skip:2,alternate:14",)))
    assert alternating.traces[0].signs.tolist() == [1, -1] * 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (wide("pulse,G_up,G_down"), "does not say the unit of its conductances; give --unit"),
        (wide("pulse,A_uS,B_uS"), "does not say which pulses go up and which down"),
        (wide("pulse,G_up_uS,G_down_nS"), "several units"),
        (wide("pulse,left,right"), "none of its columns"),
        (wide("0,5.0,9.0"), "its first line has numbers"),
        ("pulse,up_uS,down_uS\n0,1,2\n1,x,3\n2,1,1\n", "line 3 has 'x' in the column up_uS, accepted: a number"),
        ("pulse,up_uS,down_uS\n0,1,2\n1,3\n2,1,1\n", "line 3 has 2 fields, accepted: 3"),
        ("pulse,up_uS,down_uS\n0,1,2\n1,2,1\n2,3,0\n", "2 pulses up, accepted: 5 or more each way"),
        (long(words=("up", "sideways")), "the direction 'sideways', accepted: up or down"),
        (wide("pulse,G_up_uS,G_down_uS").replace("8.6", "nan").replace("0,5.0", "-1,5.0"), "pulse number '-1'"),
        ("pulse,up_uS\n", "has 1 lines"),
        ("one\ntwo\nthree\n", "has one column"),
    ],
)
def test_what_is_not_understood_is_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, text))
    assert said in str(caught.value)
    assert str(caught.value).startswith("g.csv: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["up", "up:0", "up:5;down:5", "left:3", "", "skip:9"])
def test_a_pattern_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="--pattern: "):
        patterns.read((given,))


def test_a_unit_against_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--unit: got nS, but g\.csv says uS"):
        load(written(tmp_path, wide("pulse,G_up_uS,G_down_uS")), "nS")
    with pytest.raises(InputError, match="'Ohm' is no unit of conductance"):
        load(written(tmp_path, wide("pulse,G_up,G_down")), "Ohm")
