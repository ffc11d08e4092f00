"""The prediction of the 2 x 2 run is what its settings give, seed by seed, and its cells are what the fit says."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rpusim.errors import InputError
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.workloads.studies.twin import predict
from rpusim.workloads.studies.twin.run import ALGORITHMS, FOLDER, Cells, configuration, run, settings


def table(name: str) -> list[dict[str, str]]:
    with open(FOLDER / name, encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


RUNS = {(row["case"], int(row["seed"])): list(row.values())[2:] for row in table("runs.csv")}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", [0, 41, 99])
def test_a_seed_gives_its_row(algorithm: str, seed: int) -> None:
    found = run(algorithm, seed)
    assert [*(f"{value:.4f}" for value in found.weights[::100]), str(found.fast), str(found.slow)] == RUNS[
        algorithm, seed
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_medians_and_bands_are_those_of_the_single_runs(algorithm: str) -> None:
    rows = {int(row["update"]): row for row in table("prediction.csv") if row["case"] == algorithm}
    assert list(rows) == list(range(0, settings()["updates"] + 1, settings()["every"]))
    mine = np.array([[float(v) for v in values] for (case, _), values in RUNS.items() if case == algorithm])
    assert len(mine) == settings()["seeds"]
    for place, update in enumerate(range(0, settings()["updates"] + 1, 100)):
        expected = np.quantile(mine[:, place], predict.SHARES)
        given = [float(rows[update][f"weights {share}"]) for share in ("10 %", "50 %", "90 %")]
        assert given == pytest.approx(expected, abs=1e-4)
    pulses = next(row for row in table("pulses.csv") if row["case"] == algorithm)
    assert [float(pulses[f"{a} 50 %"]) for a in "AC"] == pytest.approx(np.median(mine[:, -2:], axis=0))


def test_every_guess_is_varied_once_or_stands_beside_its_reason() -> None:
    guessed, varied = settings()["guessed"], settings()["varied"]
    changed = [next(iter(of)) for of in varied.values()]
    assert set(changed) <= set(guessed)
    assert set(guessed) - set(changed) == {"reference_error", "whole_numbers"}
    assert {row["case"] for row in table("prediction.csv")} == {*ALGORITHMS, *varied}


def test_arrays_have_the_cells_that_the_settings_state() -> None:
    """Steps in the middle, symmetry points and their spread, over 40,000 cells without spread of the bounds."""
    of, guesses = Cells.stated(), settings()["guessed"] | {"bounds_spread": 0.0}
    array = DeviceArray(200, 200, configuration("agad", of, guesses).device, (1, 2), "numba")
    (up, _), (down, _) = (array.cells.parameters(up=way) for way in (True, False))
    point = (up - down) / (up + down)
    assert float((up + down).mean() / 2) == pytest.approx(of.step, rel=0.01)
    assert float(point.median()) == pytest.approx(of.symmetry_point, abs=0.01)
    inner = torch.quantile(point.flatten()[::7], torch.tensor([0.16, 0.84]))
    assert float(inner[1] - inner[0]) / 2 == pytest.approx(of.symmetry_point_spread, rel=0.1)


def test_cells_are_fitted_to_traces_whose_parameters_are_known(tmp_path: Path) -> None:
    """Traces of the layout of the measured ones, from two soft-bounds cells of 20 to 120 uS with known steps."""
    draw = np.random.default_rng(1)
    columns = []
    for first in (400, 0):
        weight, readings = -1.0, []
        for pulse in range(800):
            if first <= pulse < first + 200:
                weight += 0.04 * (1 - weight) * (1 + draw.normal())
            elif first + 200 <= pulse < first + 400:
                weight -= 0.02 * (1 + weight) * (1 + draw.normal())
            readings.append(70 + 50 * (weight + 0.02 * draw.normal()))
        columns.append(np.array(readings) * 1e-6)
    (tmp_path / "t.csv").write_text(
        "Pulse number,Conductance (W11),Conductance (W12)\n"
        + "".join(f"{n},{a:.4e},{b:.4e}\n" for n, (a, b) in enumerate(zip(*columns, strict=True)))
    )
    (tmp_path / "c.csv").write_text("SP Skew,Number of states\n0.4,8\n0.6,12\n")
    found = predict.fitted(tmp_path / "t.csv", tmp_path / "c.csv")
    assert found.step == pytest.approx(0.03, rel=0.25)
    assert found.pulse_noise == pytest.approx(1.0, rel=0.25)
    assert found.read_noise == pytest.approx(0.02, rel=0.3)
    assert dataclasses.astuple(found)[3:] == pytest.approx((0.0, 0.2 * 2**0.5, 0.2 * 2**0.5, 10.0))


@pytest.mark.parametrize("given", [{"algorithm": "agd"}, {"algorithm": "agad", "chopper": 1}])
def test_what_is_not_known_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is unknown"):
        run(given.pop("algorithm"), 0, updates=1, **given)
