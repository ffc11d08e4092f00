"""At what retention time does a chip of capacitor cells stop learning? That depends on how fast it runs the network.

The handwritten digits and the network 64-256-128-10 (mini-batches of 10, as in `learning`) on the chip cmos-rpu-2017,
for retention times over six decades, at two speeds:

    fast   the chip as it ships
    slow   ten times the integration time, pulses ten times as long at a tenth of the current, one converter for all
           rows and one for all columns: the same steps and the same numbers, only later

Nothing says how long a weight has to last: the engine times what the numbers did, and that time passes in every cell.
A cell forgets in ``retention / time per sample`` updates; Li et al. (VLSI 2018) want 1e6 of them for a fully connected
network. The test error is the mean of the last `LAST` epochs; without leakage the speed means nothing.

    python -m rpusim.workloads.studies.retention > retention.json            (five minutes on one core)
    python -m rpusim.reports.curves.costs retention.json > retention.svg
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from rpusim.arch.chips.chip import FOLDER
from rpusim.arch.contract.configuration import read_yaml
from rpusim.workloads.runs import settings, simulate

CHIP = "cmos-rpu-2017"
RETENTIONS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Retention times in seconds."""
SPEEDS = ("fast", "slow")
EPOCHS, LAST = 20, 5


def chip_file(speed: str, folder: Path) -> Path:
    """Write the chip of a speed (one of `SPEEDS`) as a file in ``folder``, and return its path."""
    document = read_yaml(FOLDER / f"{CHIP}.yaml")
    if speed == "slow":
        (kind,) = document["tiles"]
        own = read_yaml(FOLDER.parent / "cards" / "cells.yaml")[CHIP]
        weaker = {name: "10 nA" for name in ("charging_current", "discharging_current")}
        document["cards"] = {"slow-cell": own | {"cmos": own["cmos"] | weaker}}
        kind["array"] |= {"integration": "800 ns", "cell": "slow-cell"}
        kind["inputs"] |= {"clock": "50 ns"}
        kind["adc"] |= {"lines_per_adc": kind["array"]["rows"]}
        kind["pulses"] |= {"width": "10 ns"}
    path = folder / f"{speed}.yaml"
    path.write_text(yaml.safe_dump(document | {"name": f"{CHIP}-{speed}"}))
    return path


def run(chip: Path, retention: float, **changes: Any) -> dict[str, Any]:
    """Train once.

    chip:       its file.
    retention:  of every cell, in seconds; 0: nothing leaks.
    changes:    of the experiment, or of its recipe.

    Returns the retention, the simulated time of a sample and of the training (s), the updates within a retention time,
    the test error of each epoch, and the mean of the last ones.
    """
    base = settings.load("fcn-digits")
    recipe = {"epochs": EPOCHS, "batch": 10, "learning_rate": 1.0, "halve_every": 8}
    management = base.management.model_copy(update={"bound": "iterative"}).model_dump()
    given = {"chip": str(chip), "device": {"model": "chip", "retention": retention}, "management": management}
    chosen = settings.changed(base, given | recipe | changes)
    result = simulate.run(chosen)
    errors = [point["test_error"] for point in result["accuracy"]["curve"]]
    per_sample = result["time"]["per_sample_s"]
    return {
        "retention_s": retention,
        "per_sample_s": per_sample,
        "updates": retention / per_sample,
        "test_error": statistics.fmean(errors[-LAST:]),
        "errors": errors,
        "seconds": result["time"]["total_s"],
    }


def study(retentions: Sequence[float] = RETENTIONS, **changes: Any) -> Iterator[dict[str, Any]]:
    """Train without leakage, then at each speed from the longest retention to the shortest.

    retentions: in seconds. changes: of the experiment. Yields every run as it comes.
    """
    with tempfile.TemporaryDirectory() as folder:
        chips = {speed: chip_file(speed, Path(folder)) for speed in SPEEDS}
        yield {"speed": "any", **run(chips["fast"], 0.0, **changes)}
        for speed, chip in chips.items():
            for retention in sorted(retentions, reverse=True):
                yield {"speed": speed, **run(chip, retention, **changes)}


def main() -> None:
    """Print one JSON document; progress goes to stderr."""
    rows = []
    for row in study():
        rows.append(row)
        print({name: value for name, value in row.items() if name != "errors"}, file=sys.stderr, flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
