"""The small search that every algorithm gets before it is judged: one setting of its own, and a learning rate.

A study (`rpusim.workloads.explore`) runs all candidates once, with a seed that no judged run has; of each algorithm the
one with the lowest test error is kept. It goes on where it was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rpusim.errors import InputError
from rpusim.workloads.explore.evaluate import Save
from rpusim.workloads.explore.explore import State, explore
from rpusim.workloads.explore.study import made
from rpusim.workloads.learn.algorithms import Algorithm, Candidate

SEARCHED_BY = 100
"""The seed of the search, which none of the judged runs has."""


def search(
    tried: Sequence[Candidate],
    title: str,
    experiment: str,
    common: dict[str, Any],
    folder: Path,
    save: Save,
    workers: int,
    watch: Callable[[State], None],
) -> dict[str, Any]:
    """Run every candidate once.

    tried:      the candidates. title: of what they are tried on. experiment: which they change.
    common:     fields that all of them set. folder: where records are kept; what is there is used.
    save:       writes the run folder of a result. workers: processes. watch: told how far it is.

    Returns the document of the study.
    """
    return explore(
        made(
            {
                "name": "search",
                "title": f"Settings of each algorithm on {title}",
                "run": experiment,
                "set": {**common, "seed": SEARCHED_BY},
                "vary": {"candidate": {each.label: dict(each.fields) for each in tried}},
                "goals": ["error", "training_energy"],
            }
        ),
        folder,
        save,
        workers,
        watch=watch,
    )


def best_settings(
    wanted: Sequence[Algorithm], tried: Sequence[Candidate], searched: dict[str, Any]
) -> dict[str, Candidate]:
    """Choose of each algorithm the candidate with the lowest error; none where all of them failed.

    InputError: no algorithm can be run.
    """
    errors = {
        group["settings"]["candidate"]: group["metrics"]["error"]["mean"]
        for group in searched["groups"]
        if "error" in group["metrics"]
    }
    found = {}
    for algorithm in wanted:
        usable = [each for each in tried if each.algorithm == algorithm.name and each.label in errors]
        if usable:
            found[algorithm.name] = min(usable, key=lambda each: errors[each.label])
    if not found:
        why = next((str(point["why"]) for point in searched["points"] if point.get("why")), "nothing was tried")
        raise InputError(f"learn: no algorithm can be run: {why}")
    return found
