"""The arena that ships: every point of it can be run, and calibrated devices alone pay for calibration."""

from itertools import product

from rpusim.workloads.cells.training_cells import build
from rpusim.workloads.clock import calibration
from rpusim.workloads.explore import study
from rpusim.workloads.runs import settings


def test_every_point_names_cells_that_there_are_and_who_is_calibrated():
    arena = study.load("arena")
    base = settings.load(arena.run)
    for algorithm, states, reference in product(*(arena.vary[name] for name in ("algorithm", "states", "reference"))):
        changes = dict(arena.set)
        for label, chosen in (("algorithm", algorithm), ("states", states), ("reference", reference)):
            changes |= arena.vary[label][chosen]
        cells = build(settings.changed(base, changes).device)
        assert round(cells.device.num_states) == int(states)
        assert bool(calibration.pairs(cells)) == algorithm.endswith("calibrated")
