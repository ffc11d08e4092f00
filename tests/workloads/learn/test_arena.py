"""The arena: one list of algorithms, a league that follows from what every row came to, calibration counted once."""

from types import SimpleNamespace

import pytest

from rpusim.kernels.cells import CELLS
from rpusim.workloads.cells import training_cells
from rpusim.workloads.clock import calibration as clocked
from rpusim.workloads.learn import arena, calibration, league
from rpusim.workloads.learn.algorithms import ALGORITHMS, Algorithm, candidates, fields

# Cells that only chips have whose arrays cut a weight over several cells.
APART = {"bit-sliced"}


def test_every_kind_of_cell_is_some_algorithm_of_the_list():
    kinds = {algorithm.cell(algorithm.own[1][0], 10, 0.1)["kind"] for algorithm in ALGORITHMS.values()}
    assert set(CELLS) - kinds <= APART


@pytest.mark.parametrize("states", arena.STATES)
def test_every_row_names_cells_that_there_are_with_as_many_states_and_who_is_calibrated(states):
    named = arena.device(states, (0.4, 0.05))
    step = training_cells.build(named).device.granularity
    for row in arena.entries(list(ALGORITHMS.values())):
        algorithm = ALGORITHMS[row.algorithm]
        pairs = 50 if row.calibrated else 0
        set_by = fields(algorithm, named, algorithm.own[1][0], 0.1, pairs, step)
        cells = training_cells.build(set_by["device"])
        assert round(cells.device.num_states) == states
        assert (cells.device.reference_mean, cells.device.reference_std) == (0.4, 0.05)
        assert bool(clocked.pairs(cells)) == row.calibrated


def test_an_algorithm_that_is_added_adds_its_rows(monkeypatch):
    before = {row.name for row in arena.entries(list(ALGORITHMS.values()))}
    mine = Algorithm("mine", "an algorithm of mine", True, ALGORITHMS["ttv2"].own, ALGORITHMS["ttv2"].cell)
    monkeypatch.setitem(ALGORITHMS, "mine", mine)
    after = {row.name for row in arena.entries(list(ALGORITHMS.values()))}
    assert after - before == {"an algorithm of mine, calibrated", "an algorithm of mine"} and before < after


def _group(row, reference, error, joules, calibrated=None):
    def ends(mean):
        return {"mean": mean, "low": mean, "high": mean}

    metrics = {"error": ends(error), "training_energy": ends(joules)}
    if calibrated:
        metrics["calibrated_energy"] = ends(calibrated)
    return {"settings": {"algorithm": row, "reference": reference}, "metrics": metrics, "seeds": 3}


def test_the_league_ranks_by_error_and_by_cost_with_and_without_calibration():
    """a is best, b within 5 points of it, c is not. b costs less than a unless its calibration counts."""
    rows = [league.Entry("c", "sgd", False), league.Entry("b", "ttv2", True), league.Entry("a", "agad", False)]
    groups = [_group("a", "on 0", 0.10, 2.0), _group("b", "on 0", 0.14, 1.0, 3.0), _group("c", "on 0", 0.30, 0.1)]
    found = league.of({10: groups}, rows)
    assert [row["row"] for row in found["league"]] == ["a", "b", "c"]
    assert {place["row"]: (place["rank"], place["learns"]) for place in found["places"]} == {
        "a": (1, True),
        "b": (2, True),
        "c": (3, False),
    }
    by_row = {row["row"]: row for row in found["league"]}
    assert (by_row["a"]["joules_rank"], by_row["b"]["joules_rank"], by_row["c"]["joules_rank"]) == (2.0, 1.0, None)
    assert (by_row["a"]["joules_rank_calibrated"], by_row["b"]["joules_rank_calibrated"]) == (1.0, 2.0)
    assert set(found["changes"]) == {"a", "b"}


def test_a_row_that_cannot_run_is_last_and_has_no_rank():
    rows = [league.Entry("a", "agad", False), league.Entry("b", "ttv2", False)]
    failed = {"settings": {"algorithm": "a", "reference": "on 0"}, "metrics": {}, "seeds": 0}
    found = league.of({10: [failed, _group("b", "on 0", 0.2, 1.0)]}, rows)
    assert [(row["row"], row["rank"]) for row in found["league"]] == [("b", 1.0), ("a", None)]


def test_candidates_are_calibrated_where_the_algorithm_counts_on_symmetry_points():
    device = arena.device(10, arena.SEARCHED_AT)
    pulsed = training_cells.build(device).device
    pairs = calibration.pairs_of(pulsed)
    for name, shifted in (("ttv2", True), ("agad", False), ("rl", True), ("e-rider", False)):
        for each in candidates(ALGORITHMS[name], device, pairs, pulsed.granularity, quick=False):
            assert each.fields["device"]["cell"].get("zero_shift_pairs", 0) == (pairs if shifted else 0)
            assert SimpleNamespace(**each.fields["device"]).model == "soft-bounds-reference"
