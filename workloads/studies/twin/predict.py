"""The prediction: a hundred runs of each algorithm, and of AGAD with every guess changed; written as tables.

    python -m rpusim.workloads.studies.twin.predict [--traces T.csv --cells C.csv] [--seeds N] [--out DIR]

writes ``prediction.csv`` (a row for each case and each twentieth update: median, 10 and 90 % of the mean squared
error), ``pulses.csv`` (pulses of all four cells of A and of C) and ``runs.csv`` (what single runs came to). Without
traces the numbers are those of settings.yaml. With them `rpusim fit` is asked again: T has the conductances of cells
W11 and W12 against the pulse number, C the skew of the symmetry point and the number of states of 25 cells.

Of T pulses 0 to 199 of W12 go up and 200 to 399 down, those of W11 400 to 599 and 600 to 799. In the other half a cell
is only read: its readings there are white noise (correlation from one to the next below 0.05), which alternating pulses
of this size would not leave.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rpusim.workloads.results import files
from rpusim.workloads.studies.twin.run import ALGORITHMS, FOLDER, Cells, Outcome, run, settings

PATTERN = ("W11=skip:399,up:200,down:200", "W12=up:199,down:200,skip:400")
"""Which pulses of the traces go up; the first reading comes after pulse 0."""
SHARES = (0.1, 0.5, 0.9)


def fitted(traces: Path, cells: Path) -> Cells:
    """Fit cells to the traces.

    A soft bound's step is s (1 - w / b), so that in units of the range, counted from its middle, the steps up and down
    are s / |b|. traces, cells: see the module. Raises InputError for what cannot be read.
    """
    from rpusim.workloads.fit.file import fields
    from rpusim.workloads.fit.fit import fit  # which needs scipy

    device = fields(fit(traces, unit="S", pattern=PATTERN, model="soft-bounds"))
    up = device["dw_min"] * (1 + min(device["up_down"], 0.0)) / device["w_max"]
    down = device["dw_min"] * (1 - max(device["up_down"], 0.0)) / -device["w_min"]
    half = (device["w_max"] - device["w_min"]) / 2
    table = np.genfromtxt(cells, delimiter=",", skip_header=1, encoding="utf-8-sig")
    skew, states = table[:, 0], table[:, 1]
    return Cells(
        step=(up + down) / 2,
        pulse_noise=device["dw_min_std"],
        read_noise=device["write_noise_std"] * device["dw_min"] / half,
        symmetry_point=float(2 * skew.mean() - 1),
        symmetry_point_spread=float(2 * skew.std(ddof=1)),
        step_spread=float(states.std(ddof=1) / states.mean()),
        states=float(states.mean()),
    )


def cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name what is predicted: case, algorithm, and the guess that is changed."""
    for algorithm in ALGORITHMS:
        yield algorithm, algorithm, {}
    for name, changed in settings()["varied"].items():
        yield name, "agad", changed


def rows_of(case: str, outcomes: Sequence[Outcome]) -> list[list[Any]]:
    """Make the rows of the prediction of one case from its runs."""
    rows = []
    for update in range(0, len(outcomes[0].weights), settings()["every"]):
        figures = [np.quantile([getattr(o, kind)[update] for o in outcomes], SHARES) for kind in ("weights", "read")]
        rows.append([case, update, *(f"{value:.4f}" for value in np.concatenate(figures))])
    return rows


def pulses_of(case: str, outcomes: Sequence[Outcome]) -> list[Any]:
    """Make the row of pulses of one case from its runs."""
    figures = [np.quantile([getattr(o, kind) for o in outcomes], SHARES) for kind in ("fast", "slow")]
    return [case, *(f"{value:.1f}" for value in np.concatenate(figures))]


def runs_of(case: str, outcomes: Sequence[Outcome]) -> list[list[Any]]:
    """Make the rows of single runs: error of the weights at every hundredth update, and pulses."""
    return [
        [case, seed, *(f"{value:.4f}" for value in o.weights[::100]), o.fast, o.slow] for seed, o in enumerate(outcomes)
    ]


def predict(folder: Path, seeds: int, cells: Cells) -> None:
    """Run every case, and write the tables. folder: where; seeds: of each case, from 0; cells: of the arrays."""
    shares = [f"{int(100 * share)} %" for share in SHARES]
    tables: dict[str, list[list[Any]]] = {
        "prediction.csv": [["case", "update", *(f"weights {s}" for s in shares), *(f"read {s}" for s in shares)]],
        "pulses.csv": [["case", *(f"A {s}" for s in shares), *(f"C {s}" for s in shares)]],
        "runs.csv": [["case", "seed", *map(str, range(0, settings()["updates"] + 1, 100)), "pulses A", "pulses C"]],
    }
    for case, algorithm, changed in cases():
        outcomes = [run(algorithm, seed, cells, **changed) for seed in range(seeds)]
        tables["prediction.csv"] += rows_of(case, outcomes)
        tables["pulses.csv"].append(pulses_of(case, outcomes))
        if not changed:
            tables["runs.csv"] += runs_of(case, outcomes)
        print(case, *tables["prediction.csv"][-1][1:], flush=True)
    for name, rows in tables.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        files.replace(folder / name, text.getvalue())


def main() -> None:
    """Read the command line, and predict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, help="conductance of W11 and W12 against the pulse number")
    parser.add_argument("--cells", type=Path, help="skew of the symmetry point and states of 25 cells")
    parser.add_argument("--seeds", type=int, default=settings()["seeds"])
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    if (given.traces is None) != (given.cells is None):
        parser.error("--traces and --cells belong together")
    cells = Cells.stated() if given.traces is None else fitted(given.traces, given.cells)
    print(cells)
    predict(given.out, given.seeds, cells)


if __name__ == "__main__":
    main()
