"""The main flow of `rpusim learn`: search a setting for each algorithm, run it with several seeds, rank and say it.

Two studies (`rpusim.workloads.explore`): the search, FOLDER/search, runs all candidates with seed 100 for half the
epochs; of each algorithm the one with the lowest test error is run in full with the seeds 0, 1, ... in FOLDER. Both go
on where they were killed. An algorithm is ranked by its mean test error; it *learns* if it comes within 5 points of
floating point, and does *not learn* if it is nearer to guessing than to floating point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rpusim.arch.chips.chip import load_chip
from rpusim.errors import InputError, shown
from rpusim.kernels.devices import PulsedDevice
from rpusim.workloads.cells import own_devices, training_cells
from rpusim.workloads.explore.evaluate import Save
from rpusim.workloads.explore.explore import State, Watch, explore
from rpusim.workloads.explore.study import made
from rpusim.workloads.learn import calibration
from rpusim.workloads.learn.algorithms import Algorithm, Candidate, candidates, chosen
from rpusim.workloads.learn.search import SEARCHED_BY, best_settings, search
from rpusim.workloads.results.document import package_version
from rpusim.workloads.results.result import text
from rpusim.workloads.runs import settings
from rpusim.workloads.runs.settings import Experiment

SCHEMA = "rpusim-learn-1"
EXPERIMENT = "fcn-digits"
EPOCHS, SEEDS = 6, 3
"""Epochs of a run, and seeds."""
NEAR = 0.05
"""Above floating point by no more than this, in test error, an algorithm learns."""
_COUNTED = {
    "error": "error",
    "training_time": "calibrated_time",
    "training_energy": "calibrated_energy",
    "pulses": "calibrated_pulses",
}
"""Figures of a row, and the same with calibration, which only runs that have one tell (`rpusim.workloads.clock`)."""


SECONDS_AN_EPOCH = 1.8
"""What an epoch of fcn-digits takes on an idle core once loops are compiled, a mean over the algorithms (measured: nine
runs of 6 epochs, 97 CPU seconds), for the estimate before a search."""


def _todo(tried: int, algorithms: int, finals: int, epochs: int, experiment: str, workers: int) -> str:
    """Say what there is to do, and of `EXPERIMENT` about how long it takes."""
    short = max(1, epochs // 2)
    said = (
        f"{tried} settings of {algorithms} algorithms, epochs: {short} each; then {finals} runs, epochs: {epochs} each"
    )
    if experiment != EXPERIMENT:
        return said
    minutes = (tried * short + finals * epochs) * SECONDS_AN_EPOCH / max(workers, 1) / 60
    return f"{said}; about {max(1, round(minutes))} min, the first time some more to compile loops"


def learn(
    device: Any,
    folder: Path,
    save: Save,
    *,
    experiment: str = EXPERIMENT,
    algorithms: str | None = None,
    seeds: int = SEEDS,
    epochs: int = EPOCHS,
    quick: bool = False,
    changes: dict[str, Any] | None = None,
    workers: int = 2,
    watch: Watch = lambda state: None,
    told: Callable[[str], None] = lambda words: None,
    command: str = "",
) -> dict[str, Any]:
    """Find out which algorithms learn on a device.

    device:      a preset, a file, ``mine.py:Device``, a class or an object.
    folder:      where the two studies are kept; what is there is used.
    save:        writes the run folder of a result.
    experiment:  what is learned: of its network, data, chip and recipe.
    algorithms:  names with commas between; None: all of `rpusim.workloads.learn.algorithms`.
    seeds, epochs: of the final runs.
    quick:       a third of the search, and half the epochs of the final runs.
    changes:     other fields of the experiment, by dotted path.
    workers:     processes. watch: told how far it is. command: makes it again.
    told:        told before it begins what there is to do, and about how long that takes.

    Returns the document (schema ``rpusim-learn-1``). Raises InputError on what cannot be used.
    """
    began = time.perf_counter()
    named, pulsed, title = _named(device, settings.load(experiment))
    base = settings.changed(settings.load(experiment), changes or {})
    pairs = calibration.pairs_of(pulsed)
    wanted = chosen(algorithms)
    epochs = max(1, epochs // 2) if quick else epochs
    tried = [c for each in wanted for c in candidates(each, named, pairs, pulsed.granularity, quick)]
    common = {"recipe.epochs": epochs, "timing": {"sampled": 20}, **(changes or {})}
    told(_todo(len(tried), len(wanted), len(wanted) * seeds, epochs, experiment, workers))
    whole = _Whole(watch, len(tried), len(wanted) * seeds)
    shortly = {**common, "recipe.epochs": max(1, epochs // 2)}
    searched = search(tried, title, experiment, shortly, folder / "search", save, workers, whole.search)
    best = best_settings(wanted, tried, searched)
    final = explore(
        made(
            {
                "name": "learn",
                "title": f"Training algorithms on {title}",
                "question": f"Which training algorithms learn on {title}?",
                "run": experiment,
                "set": common,
                "vary": {"algorithm": {name: dict(each.fields) for name, each in best.items()}},
                "seeds": seeds,
                "goals": ["error", "training_energy", "training_time", "pulses"],
            }
        ),
        folder,
        save,
        workers,
        watch=whole.final,
        command=command,
    )
    rows = _rows(wanted, best, searched, final)
    floating = _floating_point(final)
    guessing = 1.0 - 1.0 / classes(base)
    for row in rows:
        row["verdict"] = _verdict(row, floating, guessing)
    ranked = sorted(rows, key=lambda row: row.get("error", {"mean": 2.0})["mean"])
    return {
        "schema": SCHEMA,
        "device": title,
        "title": own_devices.title(device) if isinstance(device, str) else "",
        "model": pulsed.kind,
        "experiment": experiment,
        "network": base.network,
        "data": base.data,
        "chip": load_chip(base.chip).name,
        "floating_point_error": floating,
        "guessing_error": guessing,
        "sentence": sentence(title, ranked, floating),
        "algorithms": ranked,
        "search": {
            "candidates": len(tried),
            "seed": SEARCHED_BY,
            "epochs": max(1, epochs // 2),
            "sentence": _search_words(wanted, tried, epochs, quick),
        },
        "calibration": {
            "pairs": pairs,
            "left": calibration.LEFT,
            "sentence": (
                f"{pairs:,} pairs of pulses find the symmetry points of array A to within {calibration.LEFT:.0%} of "
                "the way; their pulses, time and energy, and those of reading A and writing its reference, are in the "
                "table."
            ),
        },
        "seeds": seeds,
        "epochs": epochs,
        "version": package_version(),
        "command": text(command),
        "wall": {"seconds": time.perf_counter() - began},
    }


class _Whole:
    """Tells who watches how far both studies are together."""

    def __init__(self, watch: Watch, searched: int, finals: int) -> None:
        self._watch, self._searched, self._finals = watch, searched, finals

    def search(self, state: State) -> None:
        """Tell of the search; a final run takes twice as long as one of it."""
        self._watch(replace(state, known=self._searched + 2 * self._finals))

    def final(self, state: State) -> None:
        """Tell of the final runs."""
        self._watch(state)


def _named(device: Any, experiment: Experiment) -> tuple[Any, PulsedDevice, str]:
    """Return a device as an experiment names it, as an object, and its name."""
    given = own_devices.described(device)
    if isinstance(given, dict):
        fields = {key: value for key, value in given.items() if key != "cell"}
    else:
        fields = {"model": given}
    found = training_cells.build(fields, load_chip(experiment.chip)).device
    if not isinstance(found, PulsedDevice):
        raise InputError(f"--device: {shown(str(device))} takes exact updates; accepted: a device that pulses move")
    return fields, found, str(fields.get("model", fields.get("like")))


def _rows(
    wanted: Sequence[Algorithm],
    best: dict[str, Candidate],
    searched: dict[str, Any],
    final: dict[str, Any],
) -> list[dict[str, Any]]:
    """Make a row for each algorithm: its setting, its figures with intervals, and its calibration."""
    groups = {group["settings"]["algorithm"]: group for group in final["groups"]}
    rows = []
    for algorithm in wanted:
        row: dict[str, Any] = {"algorithm": algorithm.name, "title": algorithm.title}
        rows.append(row)
        if algorithm.name not in best:
            row["why"] = next(
                str(point["why"])
                for point in searched["points"]
                if point["settings"]["candidate"].startswith(f"{algorithm.name},")
            )
            continue
        candidate, group = best[algorithm.name], groups[algorithm.name]
        row |= {"setting": candidate.label.partition(", ")[2], "seeds": group["seeds"]}
        row["cell"] = candidate.fields["device"]["cell"]
        if not group["seeds"]:
            ids = group["points"]
            row["why"] = next(str(point["why"]) for point in final["points"] if point["id"] in ids and "why" in point)
            continue
        device = candidate.fields["device"]
        metrics = group["metrics"]
        row["calibration"] = {
            "pulses": 2.0 * device["cell"].get("zero_shift_pairs", 0),
            **{
                name: metrics[figure]["mean"] if figure in metrics else 0.0
                for name, figure in (("seconds", "calibration_time"), ("joules", "calibration_energy"))
            },
        }
        for figure, calibrated in _COUNTED.items():
            if figure in metrics:
                found = metrics.get(calibrated, metrics[figure])
                row[figure] = {end: found[end] for end in ("mean", "low", "high")}
    return rows


def _floating_point(final: dict[str, Any]) -> float | None:
    """Return the lowest mean error that floating point came to with one of the recipes."""
    name = "error_floating_point"
    found = [group["metrics"][name]["mean"] for group in final["groups"] if name in group["metrics"]]
    return min(found) if found else None


def classes(base: Experiment) -> int:
    """Count the kinds of things that the data of an experiment hold."""
    from rpusim.workloads.data import kinds
    from rpusim.workloads.zoo import networks

    _, shape = networks.build(base.network)
    samples = kinds.load(base.data).shaped(tuple(shape))
    return int(samples.train_y.max()) + 1


def _verdict(row: dict[str, Any], floating: float | None, guessing: float) -> str:
    """Say whether an algorithm learns: "learns", "partly", "does not learn", or "cannot run"."""
    if "error" not in row:
        return "cannot run"
    error, base = row["error"]["mean"], floating or 0.0
    if error <= base + NEAR:
        return "learns"
    return "partly" if error < (base + guessing) / 2 else "does not learn"


def sentence(title: str, rows: Sequence[dict[str, Any]], floating: float | None) -> str:
    """Say which algorithms learn and which do not, with their errors."""

    def listed(verdict: str) -> str:
        return ", ".join(
            f"{row['title']} ({100 * row['error']['mean']:.1f} %)" for row in rows if row["verdict"] == verdict
        )

    parts = []
    if learns := listed("learns"):
        number = sum(row["verdict"] == "learns" for row in rows)
        parts.append(f"on {title}, {learns} learn{'s' if number == 1 else ''}")
    else:
        parts.append(f"on {title} no algorithm learns")
    if floating is not None:
        parts[-1] += f" (floating point: {100 * floating:.1f} %)"
    if partly := listed("partly"):
        parts.append(f"in part {partly}")
    if fails := listed("does not learn"):
        parts.append(f"not {fails}")
    said = "; ".join(parts)
    cannot = [row["title"] for row in rows if row["verdict"] == "cannot run"]
    if cannot:
        said += f"; cannot be run: {', '.join(cannot)}"
    return said[0].upper() + said[1:] + "."


def _search_words(wanted: Sequence[Algorithm], tried: Sequence[Candidate], epochs: int, quick: bool) -> str:
    number = len(tried)
    values = "one setting of each algorithm" + (" at one value" if quick else "")
    return (
        f"{number} settings of {len(wanted)} algorithms (learning rates and {values}), each "
        f"for {max(1, epochs // 2)} epochs with seed {SEARCHED_BY}; the lowest test error counts, so that errors are a "
        "little too good."
    )
