"""The main flow of `rpusim arena`: every algorithm on devices of few and many states whose references are off.

The device is `DEVICE`, with steps of 2 / states and a reference that misses the symmetry points. For each number of
states the settings of all algorithms are searched as in `rpusim learn`, with references that are nearly right
(`SEARCHED_AT`), and then every algorithm meets every reference, with several seeds. What counts on symmetry points runs
twice: with pulses that find them first, which its figures contain ("calibrated"), and as it is. The folder holds a
study (`rpusim.workloads.explore`) for each number of states and one for each search; all go on where they were killed.

Whoever adds an algorithm to `rpusim.workloads.learn.algorithms` adds its rows here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rpusim.arch.chips.chip import load_chip
from rpusim.errors import InputError, nearest
from rpusim.kernels.devices import PulsedDevice
from rpusim.workloads.cells import training_cells
from rpusim.workloads.explore.evaluate import Save
from rpusim.workloads.explore.explore import State, Watch, explore
from rpusim.workloads.explore.study import made
from rpusim.workloads.learn import calibration, league
from rpusim.workloads.learn.algorithms import ALGORITHMS, Algorithm, Candidate, candidates, chosen, fields
from rpusim.workloads.learn.league import Entry
from rpusim.workloads.learn.learn import classes
from rpusim.workloads.learn.search import SEARCHED_BY, best_settings, search
from rpusim.workloads.results.document import package_version
from rpusim.workloads.results.result import text
from rpusim.workloads.runs import settings

SCHEMA = "rpusim-arena-1"
EXPERIMENT = "fcn-digits"
EPOCHS, SEEDS = 6, 3
"""Epochs of a run, and seeds."""
DEVICE: dict[str, Any] = {
    "model": "soft-bounds-reference",
    "dw_min_dtod": 0.3,
    "dw_min_std": 0.3,
    "up_down_dtod": 0.1,
    "w_max": 1.0,
    "w_min": -1.0,
    "w_max_dtod": 0.3,
    "w_min_dtod": 0.3,
    "mult_noise": True,
}
"""Soft bounds with the spreads of `rpusim.workloads.studies.algorithms` (an assumption): their symmetry points spread
about the state 0, and weight 0 is off by the reference."""
STATES = (4, 10, 20, 100, 1200)
"""Mean steps from bound to bound."""
REFERENCES: dict[str, tuple[float, float]] = {
    "on 0": (0.0, 0.0),
    "spread 0.1": (0.0, 0.1),
    "mean 0.4, spread 0.05": (0.4, 0.05),
    "spread 1": (0.0, 1.0),
}
"""Mean and spread of what references miss, in weight; the last two are those of Xiao et al. (2026)."""
SEARCHED_AT = (0.0, 0.05)
"""Reference under which settings are searched."""


def entries(wanted: Sequence[Algorithm]) -> list[Entry]:
    """List the rows of some algorithms.

    What counts on symmetry points has two, but for zero-shift: without its pulses it is plain SGD.
    """
    found = []
    for each in wanted:
        if each.shifted:
            found.append(Entry(f"{each.title}, calibrated", each.name, True))
        if each.name != "zero-shift":
            found.append(Entry(each.title, each.name, False))
    return found


def device(states: int, reference: tuple[float, float]) -> dict[str, Any]:
    """Return the device as an experiment has it. states: of the mean cell. reference: its mean and spread."""
    mean, spread = reference
    return {**DEVICE, "dw_min": 2.0 / states, "reference_mean": mean, "reference_std": spread}


def arena(
    folder: Path,
    save: Save,
    *,
    experiment: str = EXPERIMENT,
    algorithms: str | None = None,
    states: Sequence[int] = STATES,
    references: Sequence[str] = tuple(REFERENCES),
    seeds: int = SEEDS,
    epochs: int = EPOCHS,
    quick: bool = False,
    changes: Mapping[str, Any] | None = None,
    workers: int = 2,
    watch: Watch = lambda state: None,
    told: Callable[[str], None] = lambda words: None,
    command: str = "",
) -> dict[str, Any]:
    """Let every algorithm learn on every device, and make the league.

    folder:      where everything is kept; what is there is used.
    save:        writes the run folder of a result.
    experiment:  what is learned: of its network, data, chip and recipe.
    algorithms:  names with commas between; None: all.
    states, references: numbers of states of at least 2, and names out of `REFERENCES`.
    seeds, epochs: of the judged runs; the search has half the epochs.
    quick:       search learning rates alone.
    changes:     other fields of the experiment, by dotted path.
    workers:     processes. watch: told how far it is. told: told before it begins what there is to do.
    command:     makes it again.

    Returns the document (schema ``rpusim-arena-1``). Raises InputError on what cannot be used.
    """
    began, wanted = time.perf_counter(), chosen(algorithms)
    _check(states, references)
    base = settings.changed(settings.load(experiment), dict(changes or {}))
    rows = entries(wanted)
    common = {"recipe.epochs": epochs, "timing": {"sampled": 20}, **(changes or {})}
    shortly = {**common, "recipe.epochs": max(1, epochs // 2)}
    tried = {number: _tried(wanted, experiment, number, quick) for number in states}
    runs = len(rows) * len(references) * seeds
    told(
        f"{sum(map(len, tried.values()))} settings of {len(wanted)} algorithms on devices of "
        f"{', '.join(map(str, states))} states, epochs: {max(1, epochs // 2)} each; then {runs * len(states)} runs, "
        f"epochs: {epochs} each"
    )
    whole = _Whole(watch, sum(map(len, tried.values())) + runs * len(states))
    found: dict[int, dict[str, Candidate]] = {}
    for number in states:
        words = f"devices of {number} states"
        beside = folder / f"states-{number}" / "search"
        searched = search(tried[number], words, experiment, shortly, beside, save, workers, whole.next())
        found[number] = best_settings(wanted, tried[number], searched)
    studies = {
        number: explore(
            _study(number, rows, found[number], references, experiment, common, seeds),
            folder / f"states-{number}",
            save,
            workers,
            watch=whole.next(),
        )
        for number in states
    }
    return {
        "schema": SCHEMA,
        "experiment": experiment,
        "network": base.network,
        "data": base.data,
        "chip": base.chip if isinstance(base.chip, str) else "",
        "seeds": seeds,
        "epochs": epochs,
        "search": {
            "seed": SEARCHED_BY,
            "epochs": max(1, epochs // 2),
            "candidates": {str(number): len(of) for number, of in tried.items()},
            "settings": {str(n): {name: each.label for name, each in of.items()} for n, of in found.items()},
        },
        "calibration": {str(number): _pairs(number, experiment) for number in states},
        "guessing_error": 1.0 - 1.0 / classes(base),
        "references": {name: dict(zip(("mean", "std"), REFERENCES[name], strict=True)) for name in references},
        "states": list(states),
        **league.of({number: study["groups"] for number, study in studies.items()}, rows),
        "version": package_version(),
        "command": text(command),
        "wall": {"seconds": time.perf_counter() - began},
    }


def numbers(given: str) -> list[int]:
    """Read numbers of states: "4,10". InputError: it is none."""
    try:
        return [int(each) for each in given.split(",")]
    except ValueError:
        raise InputError(
            f"--states: got {given!r}; accepted: whole numbers of at least 2 with commas between"
        ) from None


def _check(states: Sequence[int], references: Sequence[str]) -> None:
    if not states or any(number < 2 for number in states):
        raise InputError(f"--states: got {', '.join(map(str, states))}; accepted: whole numbers of at least 2")
    for name in references:
        if name not in REFERENCES:
            raise InputError(f"--references: {name!r} is unknown{nearest(name, REFERENCES)}")


def _pulsed(states: int, experiment: str) -> PulsedDevice:
    built = training_cells.build(device(states, SEARCHED_AT), load_chip(settings.load(experiment).chip)).device
    assert isinstance(built, PulsedDevice)
    return built


def _pairs(states: int, experiment: str) -> int:
    return calibration.pairs_of(_pulsed(states, experiment))


def _tried(wanted: Sequence[Algorithm], experiment: str, states: int, quick: bool) -> list[Candidate]:
    """List what is tried on devices of so many states; those that count on symmetry points find them first."""
    pulsed = _pulsed(states, experiment)
    pairs = calibration.pairs_of(pulsed)
    named = device(states, SEARCHED_AT)
    return [c for each in wanted for c in candidates(each, named, pairs, pulsed.granularity, quick)]


def _study(
    states: int,
    rows: Sequence[Entry],
    found: Mapping[str, Candidate],
    references: Sequence[str],
    experiment: str,
    common: Mapping[str, Any],
    seeds: int,
) -> Any:
    """Make the study of one number of states: rows by references."""
    pulsed = _pulsed(states, experiment)
    pairs = calibration.pairs_of(pulsed)
    ways = {}
    for row in rows:
        if row.algorithm in found:
            best, algorithm = found[row.algorithm], ALGORITHMS[row.algorithm]
            number = pairs if row.calibrated else 0
            named = device(states, (0.0, 0.0))
            ways[row.name] = fields(algorithm, named, best.own, best.rate, number, pulsed.granularity)
    return made(
        {
            "name": f"states-{states}",
            "title": f"Every algorithm on devices of {states} states",
            "question": f"Which algorithm learns on devices of {states} states, and at what cost with calibration?",
            "run": experiment,
            "set": dict(common),
            "vary": {
                "algorithm": ways,
                "reference": {
                    name: {
                        "device.reference_mean": REFERENCES[name][0],
                        "device.reference_std": REFERENCES[name][1],
                    }
                    for name in references
                },
            },
            "seeds": seeds,
            "goals": ["error", "training_energy", "training_time", "pulses"],
        }
    )


class _Whole:
    """Tells who watches how far all studies are together."""

    def __init__(self, watch: Watch, known: int) -> None:
        self._watch, self._known, self._before = watch, known, 0
        self._last = State()

    def next(self) -> Watch:
        """Return what watches the next study."""
        self._before += self._last.ended
        self._last, before = State(), self._before

        def tell(state: State) -> None:
            self._last = state
            self._watch(replace(state, known=self._known, done=state.done + before))

        return tell
