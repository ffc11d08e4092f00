"""Every pulse with its time: as many as activity counts, where the engine says, and enough to repeat the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rpusim
from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import Op
from rpusim.errors import InputError
from rpusim.kernels import AnalogTile
from rpusim.kernels.pulses.recorder import replay
from rpusim.workloads.runs import settings
from rpusim.workloads.runs.pulse_trace import PulseTrace, trace_pulses

QUIET = {"model": "soft-bounds", "dw_min": 0.01, "dw_min_std": 0.0}
CELLS: dict[str, dict[str, Any]] = {
    "single": {},
    "all together": {"kind": "vector", "number": 2},
    "in turn": {"kind": "vector", "number": 3, "policy": "single_sequential"},
    "at random": {"kind": "vector", "number": 3, "policy": "single_random"},
    "one-sided": {"kind": "one-sided"},
    "tiki-taka": {"kind": "transfer", "transfer_every": 2.0},
    "by rows": {"kind": "transfer", "transfer_every": 1.0, "transfer_columns": False},
    "calibrated": {"kind": "transfer", "transfer_every": 1.0, "zero_shift_pairs": 20},
    "ttv2": {"kind": "buffered-transfer", "transfer_every": 1.0},
    "agad": {"kind": "dynamic-transfer", "transfer_every": 1.0, "in_chop_prob": 0.2},
    "hamiltonian": {"kind": "hamiltonian", "transfer_every": 2},
    "mixed": {"kind": "mixed-precision"},
    "selective": {"kind": "selective"},
    "rl": {"kind": "residual-learning"},
    "e-rider": {"kind": "e-rider"},
    "multi-tile": {"kind": "multi-tile", "number": 3, "patience": 1},
}


def traced(data: Path, samples: int = 12, batch: int = 4, **changes: Any) -> PulseTrace:
    own = {"data": str(data), "chip": "reram-512", "device": QUIET, "batch": batch, "network": "fcn-digits"}
    return trace_pulses(settings.changed(settings.load("fcn-digits"), own | changes), samples)


def arrays(trace: PulseTrace) -> Any:
    """Every array with the choice of its pulses, and its weights before and after the run."""
    for name, tile in trace.model.named_modules():
        if isinstance(tile, AnalogTile):
            for k, each in enumerate(tile.cell._arrays):
                array, inside = (each.array, ".array") if hasattr(each, "array") else (each, "")
                columns = trace.columns
                mine = (columns["layer"] == tile.layer) & (columns["tile"] == tile.tile) & (columns["array"] == k)
                yield array, mine, trace.before[f"{name}.cell.arrays.{k}{inside}.weights"], array.weights


@pytest.fixture(scope="module", params=CELLS)
def trace(request: pytest.FixtureRequest, few_digits: Path) -> PulseTrace:
    return traced(few_digits, device=QUIET | ({"cell": CELLS[request.param]} if CELLS[request.param] else {}))


class TestOfEveryCell:
    def test_there_are_as_many_pulses_as_each_row_of_activity_counts(self, trace: PulseTrace) -> None:
        first = 0
        for piece in trace.pieces:
            number = np.zeros((2, len(piece.activity)), np.int64)
            last = piece.begun_ps + piece.events.makespan_ps
            mine = (trace.columns["time_ps"] >= piece.begun_ps) & (trace.columns["time_ps"] < last)
            np.add.at(number, (trace.columns["up"][mine], trace.columns["activity"][mine]), 1)
            assert number[1].tolist() == piece.activity.coincidences_up.tolist()
            assert number[0].tolist() == piece.activity.coincidences_down.tolist()
            first += number.sum()
        assert first == len(trace) > 0

    def test_each_lies_in_the_time_of_its_train_in_a_slot_of_its_own(self, trace: PulseTrace) -> None:
        (piece,) = trace.pieces
        events, columns = piece.events, trace.columns
        pulsed = (events.op == Op.PULSE) & (events.amount > 0)
        begin, end = np.zeros((2, len(piece.activity)), np.int64)
        begin[events.row[pulsed]], end[events.row[pulsed]] = events.start[pulsed], events.end[pulsed]
        of = columns["activity"]
        slot_ps = (end[of] - begin[of]) // piece.activity.slots[of]
        assert (columns["time_ps"] == begin[of] + columns["slot"] * slot_ps).all()
        assert (columns["time_ps"] + slot_ps <= end[of]).all()

    def test_no_line_fires_twice_in_a_slot(self, trace: PulseTrace) -> None:
        names = ("layer", "tile", "array", "row", "column", "time_ps")
        cells = np.stack([trace.columns[name] for name in names])
        assert len(np.unique(cells, axis=1).T) == len(trace)

    def test_replayed_on_the_first_weights_they_give_the_last_ones(self, trace: PulseTrace) -> None:
        moved = 0
        for array, mine, weights, after in arrays(trace):
            chosen = [trace.columns[name][mine] for name in ("row", "column", "up")]
            found = weights.clone()
            replay(found, array.cells, array.device, *chosen)
            assert torch.equal(found, after)
            moved += int((weights != after).sum())
        assert moved

    def test_samples_and_causes_are_those_of_the_rows(self, trace: PulseTrace) -> None:
        (piece,) = trace.pieces
        of, columns = trace.columns["activity"], trace.columns
        assert (columns["cause"] == piece.activity.phase[of]).all()
        assert (columns["sample"] == piece.activity.vector[of]).all()  # of linear layers, one vector each
        assert (columns["mini_batch"] == piece.activity.step[of]).all()


@pytest.mark.parametrize("device", ["reram-sb", "agad-reram-sb"])
def test_the_compiled_run_counts_the_same_pulses_in_the_same_time(few_digits: Path, device: str) -> None:
    """What is traced is what `rpusim run` does: its compiled loops find as many pulses, and as long a time."""
    changes = {"chip": "reram-512", "device": device, "batch": 10, "execution": "exact"}
    run = rpusim.simulate("fcn-digits", data=str(few_digits), epochs=1, **changes)
    assert run["steps"]["analog"] == "compiled"
    found = traced(few_digits, samples=60, **changes)
    counted = run["activity"]
    assert found.samples == counted["samples"] == 60
    assert np.sum(found.columns["cause"] == Phase.UPDATE) == counted["coincidences"]
    assert np.sum(found.columns["cause"] == Phase.TRANSFER) == counted.get("transfer", {}).get("coincidences", 0)
    assert found.time_ps == round(run["time"]["total_s"] * 1e12)


def test_a_convolution_has_vectors_in_every_sample(few_digits: Path) -> None:
    found = traced(few_digits, samples=2, batch=2, network="lenet-digits")
    first = found.columns["layer"] == 0
    vectors = found.plan.layers[0].placed.layer.vectors
    assert set(found.columns["sample"][first]) == {0, 1}
    assert vectors > 1 and found.columns["vector"][first].max() < vectors


def test_rows_that_are_written_in_turn_follow_each_other(few_digits: Path) -> None:
    """A tile that is written row by row sends the train of each vector once for every row: row r in the r-th turn."""
    changes = {"tiles.0.pulses.access": "row-by-row"}
    found = traced(few_digits, samples=4, **changes)
    (piece,) = found.pieces
    events, columns = piece.events, found.columns
    start = np.zeros(len(piece.activity), np.int64)
    pulsed = (events.op == Op.PULSE) & (events.amount > 0)
    start[events.row[pulsed]] = events.start[pulsed]
    slots = piece.activity.slots[columns["activity"]]
    turn = (columns["time_ps"] - start[columns["activity"]]) // (slots * found.plan.layers[0].blocks[0].slot_ps)
    assert (turn == columns["row"]).all() and turn.max() > 0


def test_refreshes_are_maintenance(few_digits: Path) -> None:
    found = traced(
        few_digits, samples=12, device=QUIET | {"retention": 1e-3}, refresh={"every": "1 us", "source": "a test"}
    )
    assert (found.columns["cause"] == Phase.MAINTENANCE).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "asynchronous"}, "schedule: got 'asynchronous', where"),
        ({"elapse": "vector", "device": "capacitor"}, "elapse: got 'vector', where"),
        ({"replicas": {"conv1": 2}, "network": "lenet-digits"}, "replicas: got copies"),
        ({"device": "inference-pcm", "inference": {"times": ["1 s"], "source": "a test"}}, "inference: its cells"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_sentence(few_digits: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        traced(few_digits, **changes)
