"""Pulses in a file: every one in a line, read back as it was."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from rpusim.errors import InputError
from rpusim.reports.trace import pulses

COLUMNS = {
    name: np.array(values)
    for name, values in {
        "time_ps": [5, 5, 7],
        "mini_batch": [0, 0, 1],
        "layer": [0, 1, 1],
        "tile": [0, 0, 2],
        "array": [0, 1, 1],
        "row": [3, 4, 5],
        "column": [6, 7, 8],
        "up": [1, 0, 1],
        "cause": [2, 3, 4],
        "sample": [0, 0, -1],
        "vector": [0, 0, -1],
        "slot": [0, 1, 2],
        "activity": [0, 1, 2],
    }.items()
}
LAYERS = ("a/b", "c")


def test_a_file_of_commas_has_a_line_for_every_pulse(tmp_path: Path) -> None:
    pulses.write(pulses.table(COLUMNS, LAYERS), tmp_path / "p.csv")
    with open(tmp_path / "p.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["time_ps"] for row in rows] == ["5", "5", "7"]
    assert [(row["layer"], row["polarity"], row["cause"]) for row in rows] == [
        ("a/b", "up", "update"),
        ("c", "down", "transfer"),
        ("c", "up", "maintenance"),
    ]
    assert tuple(rows[0]) == pulses.COLUMNS


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pulses.write(pulses.table(COLUMNS, LAYERS), tmp_path / "p.parquet")
    read = parquet.read_table(tmp_path / "p.parquet").to_pydict()
    assert list(read) == list(pulses.COLUMNS)
    assert read["time_ps"] == [5, 5, 7] and read["layer"] == ["a/b", "c", "c"]


def test_parquet_without_pyarrow_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        InputError, match=r"--out: Parquet needs pyarrow, .*; accepted without it: a file that ends in .csv"
    ):
        pulses.check(Path("x.parquet"))
    with pytest.raises(InputError, match=r"--out: got 'x.txt', but a file that ends in .csv or .parquet"):
        pulses.check(Path("x.txt"))


@pytest.mark.parametrize(
    ("only", "rows"),
    [(None, [0, 1, 2]), ("a/b", [0]), ("c", [1, 2]), ("c/2", [2]), ("c/0/1", [1]), ("a/b/0/0/3,6", [0]), ("c/9", [])],
)
def test_a_layer_an_array_or_a_cell_is_chosen(only: str | None, rows: list[int]) -> None:
    assert np.flatnonzero(pulses.chosen(COLUMNS, LAYERS, only)).tolist() == rows


@pytest.mark.parametrize("only", ["x", "c/", "c/x", "c/1/2/3", "c/1/2/3,4/5", "c/-1", ""])
def test_what_is_no_place_is_refused(only: str) -> None:
    if only == "c/":
        assert np.flatnonzero(pulses.chosen(COLUMNS, LAYERS, only)).tolist() == [1, 2]
        return
    with pytest.raises(InputError, match="--only: got "):
        pulses.chosen(COLUMNS, LAYERS, only)
