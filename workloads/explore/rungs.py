"""Stop hopeless points early: all points train to a rung, then Optuna's Hyperband says which of them go on.

Rungs are taken one after the other, and points are judged in their order, so that what is stopped depends on the study
alone, not on which worker was the quickest.
"""

from __future__ import annotations

from typing import Any

from rpusim.workloads.explore.study import Rungs
from rpusim.workloads.explore.workers import missing


class Judge:
    """Says after each rung which points are stopped.

    rungs:   the study's. epochs: of a whole training. points: how many there are.
    """

    def __init__(self, rungs: Rungs, epochs: int, points: int) -> None:
        try:
            import optuna
        except ImportError:
            raise missing("study", "optuna") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.HyperbandPruner(
            min_resource=rungs.first, max_resource=epochs, reduction_factor=rungs.factor
        )
        study = optuna.create_study(study_name="rpusim", direction="minimize", pruner=pruner)
        self.epochs = []
        """After how many epochs each rung is, the last one short of the end."""
        at = rungs.first
        while at < epochs:
            self.epochs.append(at)
            at *= rungs.factor
        self._trials: list[Any] = [study.ask() for _ in range(points)]

    def stops(self, rung: int, errors: dict[int, dict[str, float]]) -> list[int]:
        """Return which of the points that have reached a rung are stopped there.

        rung:    epochs of the rung.
        errors:  by number of the point, the test error after each epoch so far.
        """
        for i in sorted(errors):
            self._trials[i].report(errors[i][str(rung)], rung)
        return [i for i in sorted(errors) if self._trials[i].should_prune()]
