"""What unit cells cost: time and energy per training sample of plain SGD, the Tiki-Taka family and mixed precision.

Each row is a run like `rpusim run --data digits-28 --epochs 1`: the numeric kernel trains, and the engine times and
prices what it did. Networks of the MNIST papers, on the first of scikit-learn's digits enlarged to 28 x 28; enough for
what cells do, not for what they learn.

    python -m rpusim.workloads.studies.cell_costs [--chip reram-512] [--of reram-sb] [--batch 1] [--samples 100]
                                                   [--network fcn]
"""

from __future__ import annotations

import argparse
import struct
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from rpusim.arch.account.ledger import RESTING
from rpusim.workloads.data.digits import load
from rpusim.workloads.runs import settings, simulate

NETWORKS = {"fcn": "fcn-digits", "lenet-2017": "lenet-digits"}
"""For each network, the experiment whose recipe and management are taken."""

WAYS = {
    "plain SGD": "{}",
    "Tiki-Taka": "tiki-taka-{}",
    "TTv2": "ttv2-{}",
    "c-TTv2": "chopped-ttv2-{}",
    "AGAD": "agad-{}",
    "mixed precision": "mixed-precision-{}",
    "EaPU": "eapu-{}",
    "RL": "rl-{}",
    "RLv2": "rlv2-{}",
    "multi-tile": "multi-tile-{}",
    "RIDER": "rider-{}",
    "E-RIDER": "e-rider-{}",
}
TIMED_EVERY = 5
"""One of so many samples is timed."""
HEADINGS = ("network", "way to train", "arrays", "time", "energy", "of it at work", "transfer", "slices per vector")


def rows(
    networks: Sequence[str], chip: str = "reram-512", device: str = "reram-sb", batch: int = 1, samples: int = 100
) -> Iterator[dict[str, Any]]:
    """Train every network in every one of `WAYS`.

    networks:  keys of `NETWORKS`.
    chip:      a preset or a YAML file.
    device:    the device of all ways, such as reram-sb.
    batch:     samples of a mini-batch.
    samples:   that are trained with.

    Yields a row for each as it comes: network, way, arrays, and per sample time_s and energy_J; active_J, the energy
    without standby and idle; transfer_share, the part of it that transfers and maintenance take; slices_per_vector, the
    slices transferred for each vector that an array learned from.
    """
    with tempfile.TemporaryDirectory() as folder:
        _some_digits(Path(folder), samples)
        for network, (way, name) in product(networks, WAYS.items()):
            base = settings.load(NETWORKS[network])
            recipe = base.recipe.model_dump() | {"epochs": 1, "batch": batch}
            changes: dict[str, Any] = {"network": network, "data": folder, "chip": chip, "recipe": recipe}
            every = TIMED_EVERY // batch
            changes |= {"device": name.format(device), "timing": {"sampled": every} if every > 1 else "every"}
            yield {
                "network": network,
                "way": way,
                **_figures(simulate.run(settings.changed(base, changes)).document),
            }


def _some_digits(folder: Path, samples: int) -> None:
    """Write the first ``samples`` digits, and one to test, as MNIST files."""
    digits = load("digits-28")
    for part, x, y in (("train", digits.train_x, digits.train_y), ("t10k", digits.test_x[:1], digits.test_y[:1])):
        images, labels = (x[:samples, 0] * 255).astype(np.uint8), y[:samples].astype(np.uint8)
        header = struct.pack(">IIII", 0x803, *images.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())


def _figures(document: dict[str, Any]) -> dict[str, Any]:
    energy, activity = document["energy"], document["activity"]
    phases = {
        phase: joules * energy["per_sample_J"] / energy["total_J"] for phase, joules in energy["by_phase"].items()
    }
    active = sum(joules for phase, joules in phases.items() if phase not in RESTING)
    transfer = activity.get("transfer", {"slices_read": 0, "slices_written": 0})
    return {
        "arrays": document["tiles"]["arrays"],
        "time_s": document["time"]["per_sample_s"],
        "energy_J": energy["per_sample_J"],
        "active_J": active,
        "transfer_share": (phases.get("transfer", 0.0) + phases.get("maintenance", 0.0)) / active,
        "slices_per_vector": max(transfer["slices_read"], transfer["slices_written"]) / activity["updates"],
    }


def line(row: dict[str, Any]) -> str:
    """Write a row of `rows` as one of a Markdown table."""
    cells = (
        row["network"],
        row["way"],
        str(row["arrays"]),
        f"{row['time_s'] * 1e6:.3g} µs",
        f"{row['energy_J'] * 1e6:.3g} µJ",
        f"{row['active_J'] * 1e9:.3g} nJ",
        f"{row['transfer_share']:.0%}",
        f"{row['slices_per_vector']:.2g}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table in Markdown, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chip", default="reram-512")
    parser.add_argument("--of", default="reram-sb", metavar="DEVICE")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    given = parser.parse_args()
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for row in rows(given.network or list(NETWORKS), given.chip, given.of, given.batch, given.samples):
        print(line(row), flush=True)


if __name__ == "__main__":
    main()
