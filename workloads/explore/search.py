"""Which points to evaluate next: all at once where they are known, or in batches that Optuna chooses.

Optuna is asked for a batch and told its results in the order of the batch, whatever order they came in. So the points
depend on the study alone, and a study that goes on after it was killed asks for the same ones again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rpusim.errors import InputError
from rpusim.workloads.explore.points import chosen
from rpusim.workloads.explore.study import Optimised, Range, Study
from rpusim.workloads.explore.workers import missing
from rpusim.workloads.results.measures import MEASURES


class Search:
    """Chooses settings, batch by batch.

    Iterate over it; before the next batch is asked for, `tell` it what came of the one before.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._told: list[list[float] | None] = []

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Yield settings, seeds aside, that can be evaluated at the same time."""
        known = chosen(self._study)
        if known is not None:
            yield known
            return
        yield from self._asked()

    def tell(self, figures: list[dict[str, float] | None]) -> None:
        """Say what each of the last batch came to: the means of its goals; None if it failed."""
        for found in figures:
            goals = self._study.wanted
            usable = found is not None and all(goal in found for goal in goals)
            self._told.append([found[goal] for goal in goals] if found is not None and usable else None)

    def _asked(self) -> Iterator[list[dict[str, Any]]]:
        try:
            import optuna
        except ImportError:
            raise missing("study", "optuna") from None
        study, search = self._study, self._study.search
        assert isinstance(search, Optimised)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if search.optuna == "nsga2":
            sampler: Any = optuna.samplers.NSGAIISampler(population_size=search.batch, seed=study.seed)
        else:
            sampler = optuna.samplers.TPESampler(n_startup_trials=search.batch, seed=study.seed)
        directions: list[Any] = [
            "minimize" if MEASURES[goal].better == "lower" else "maximize" for goal in study.wanted
        ]
        asked = optuna.create_study(directions=directions, sampler=sampler)
        left = search.points
        while left:
            trials = [asked.ask() for _ in range(min(search.batch, left))]
            left -= len(trials)
            self._told = []
            yield [{name: _suggested(trial, name, values) for name, values in study.vary.items()} for trial in trials]
            if len(self._told) != len(trials):
                raise InputError("search: a batch was asked for before the last one was told")
            for trial, told in zip(trials, self._told, strict=True):
                if told is None:
                    asked.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    asked.tell(trial, told)


def _suggested(trial: Any, name: str, values: Any) -> Any:
    """Have Optuna choose one of the values of a field."""
    if isinstance(values, Range):
        if isinstance(values.low, int) and isinstance(values.high, int):
            return trial.suggest_int(name, values.low, values.high, log=values.log)
        return trial.suggest_float(name, values.low, values.high, log=values.log)
    listed = list(values)
    return listed[trial.suggest_categorical(name, list(range(len(listed))))]
