"""The coupling: what the numbers did takes the time that the engine finds, and that time passes in the arrays.

    numbers -> clock    activity of each mini-batch (pulse slots, retries, skipped vectors, transfers) is timed
    clock -> numbers    that many seconds later charge has leaked and conductance has drifted, in every cell

An array's clock shows the chip's time whether the array is at work, waits for others, or the chip stands still.

``elapse: mini-batch``. What a mini-batch took passes after it, before the next one is computed. As the engine times
many mini-batches in one call far faster than one by one, each first lets the mean of the piece before pass; when the
piece has been timed, the difference to what the engine found passes too, be it more or less. So after each piece, and
at the end, the arrays' clocks show the engine's time to the picosecond, and in between no more than the spread of one
piece is missing. The first mini-batch is a piece by itself.

``elapse: vector``. Each vector of an update finds its array leaked since the vector before it, by the engine's times of
that very array. When pulses come depends on the inputs, errors and random numbers of a mini-batch, not on the weights
that they move: so the update is first done for its activity alone, timed, undone, and done again with the time
between its vectors; it sends the same pulses. Nothing is taken from the future. Reads of a mini-batch find the weights
as they are when it begins. A call of the engine for each mini-batch makes this slow.

``refresh``. Every so many seconds, before a mini-batch: each column of an array is read through its converters, and by
what the mean cell has lost since the last time, as a share of what is read, the column is pulsed. Nobody knows what a
cell held; spread of the retention and noise of pulses remain. Reads and pulses are maintenance, timed and priced.

A mini-batch's updates are off by at most the part T / tau that leaks in its time T if they are taken at its end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, picoseconds
from rpusim.arch.engine.events import Events, Op
from rpusim.errors import InputError
from rpusim.kernels import AnalogTile
from rpusim.kernels.inference import elapse
from rpusim.kernels.step import CompiledStep
from rpusim.workloads.clock import sampling
from rpusim.workloads.clock.loop_activity import LoopActivity
from rpusim.workloads.clock.meter import Meter

MINI_BATCHES_PER_PIECE = 128
"""How many mini-batches the engine times in one call; see `Coupling.piece`."""
ROWS_PER_PIECE, MOST_PIECES = 12_000, 8
"""Rows of activity up to which several of these come in one call, and how many: each call takes some 10 ms."""

Elapse = Literal["mini-batch", "vector"]


class Coupling:
    """Times what a model does, and lets that time pass in its arrays.

    model:    on arrays; those that hold charge or drift notice the time.
    meter:    keeps the account, on the plan of the model's placement.
    take:     returns the model's activity since it was last called, in order.
    elapse:   whether time passes after every mini-batch, or before every vector of an update.
    refresh:  seconds after which capacitors are refreshed; None: never.

    Whoever trains calls `begin` before every mini-batch, `stepped` after it (or `step` in place of the optimizer's),
    `settle` every so many and before an account is read, and `idle` for a time in which nothing is done.

    Raises InputError for what cannot be timed as it is done: see the module.
    """

    def __init__(
        self,
        model: nn.Module,
        meter: Meter,
        take: Callable[[], Activity | LoopActivity],
        elapse: Elapse = "mini-batch",
        refresh: float | None = None,
    ) -> None:
        self._model, self.meter, self._take = model, meter, take
        self._refresh_ps, self._refreshed_ps = refresh and picoseconds(refresh), 0
        """How often capacitors are refreshed, and when they were the last time; None or 0: never."""
        self._tiles = [tile for tile in model.modules() if isinstance(tile, AnalogTile) and tile.volatile]
        self._by_vector = elapse == "vector" and bool(self._tiles)
        self._passed_ps = 0
        """Time that the arrays' clocks show."""
        self._expected_ps = 0
        """How long a mini-batch is taken to last until its piece has been timed; 0: nothing is known yet."""
        self._open = 0
        """Mini-batches since the engine was last called."""
        if self._by_vector:
            _check_vectors(self._tiles, meter)
        if self._refresh_ps:
            _check_refresh(self._tiles, meter)

    def begin(self) -> None:
        """Do what is due before a mini-batch: refresh capacitors, if it is time."""
        since = self._passed_ps - self._refreshed_ps
        if self._refresh_ps and since >= self._refresh_ps:
            for tile in self._tiles:
                tile.refresh(since / PICOSECONDS_PER_SECOND)
            self._refreshed_ps = self._passed_ps

    def step(self, learn: Callable[[], Any]) -> None:
        """Learn from a mini-batch, and let the time pass that it takes. learn: the optimizer's step."""
        if self._by_vector:
            self._step_by_vector(learn)
        else:
            learn()
            self.stepped()

    def piece(self, batch: int) -> int:
        """Say how many mini-batches of ``batch`` samples are timed in one call.

        More of small ones, but where their number means something: to weights that notice the time, as the mean of a
        piece passes in the next one, and to schedules that let mini-batches overlap.
        """
        if self._tiles or self.meter.schedule != "sequential":
            return MINI_BATCHES_PER_PIECE
        blocks = sum(each.placed.grid * each.placed.layer.vectors for each in self.meter.plan.layers)
        rows = batch * blocks * MINI_BATCHES_PER_PIECE * 3  # forward, backward and update
        return MINI_BATCHES_PER_PIECE * max(1, min(MOST_PIECES, ROWS_PER_PIECE // rows))

    def learn(self, step: CompiledStep, x: torch.Tensor, y: torch.Tensor, batch: int, rate: float) -> list[float]:
        """Learn mini-batches that end within a piece in compiled steps, and let their time pass.

        step: of the model. x, y, batch, rate: as for `CompiledStep.train`. Returns the mean loss of each.
        """
        losses, whole = list[float](), len(y) // batch
        while len(losses) < whole:
            self.begin()
            between = self._expected_ps / PICOSECONDS_PER_SECOND
            most = self._ahead() if not self._tiles or step.rests(between) else 1
            part = slice(len(losses) * batch, min(len(losses) + most, whole) * batch)
            found = step.train(x[part], y[part], batch, rate, between if self._tiles else 0.0)
            self.stepped(len(found))
            losses += found
        return losses

    def _ahead(self) -> int:
        """How many mini-batches may be learned before anything is due but that the time of each passes."""
        if not self._tiles:
            return sys.maxsize
        if not self._expected_ps or self._by_vector:
            return 1
        most = MINI_BATCHES_PER_PIECE - self._open
        if self._refresh_ps:
            before = self._refresh_ps - (self._passed_ps - self._refreshed_ps)
            most = min(most, -(-before // self._expected_ps))
        return max(1, most)

    @property
    def follows_vectors(self) -> bool:
        """Whether time passes between the vectors of a mini-batch, so that `step` has to be told how it learns."""
        return self._by_vector

    def stepped(self, mini_batches: int = 1) -> None:
        """Let the time of a mini-batch pass that is over, or of the last of several, between which it has passed."""
        self._open += mini_batches
        self._passed_ps += (mini_batches - 1) * self._expected_ps if self._tiles else 0
        if self._tiles and (not self._expected_ps or self._open >= MINI_BATCHES_PER_PIECE):
            self.settle()
        else:
            self._pass_time(self._expected_ps)

    def settle(self) -> None:
        """Have everything timed that was done; afterwards the arrays' clocks show the engine's time."""
        before = self.meter.ledger().time_ps
        self.meter.add(self._take())
        after = self.meter.ledger().time_ps
        if self._open:
            self._expected_ps, self._open = (after - before) // self._open, 0
        self._pass_time(after - self._passed_ps)

    def idle(self, seconds: float) -> None:
        """Let the chip stand still for so many seconds; weights go on leaking and drifting, standby is drawn.

        Raises InputError unless ``seconds`` is a finite number of at least 0.
        """
        checks.number("seconds", seconds, low=0.0)
        elapse(self._model, seconds)
        self.meter.idle(picoseconds(seconds))
        self._pass_time(picoseconds(seconds))

    def _pass_time(self, time_ps: int) -> None:
        self._passed_ps += time_ps
        for tile in self._tiles:
            tile.elapse(time_ps / PICOSECONDS_PER_SECOND)

    def state_dict(self) -> dict[str, Any]:
        """Return what it takes to go on, besides the model's own state; everything has been settled by then."""
        assert not self._open, "activity that nobody has accounted for"
        kept = {"expected_ps": self._expected_ps, "refreshed_ps": self._refreshed_ps}
        return {"meter": self.meter.state_dict(), **kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.meter.load_state_dict(state["meter"])
        self._expected_ps, self._refreshed_ps = state["expected_ps"], state["refreshed_ps"]
        self._passed_ps = self.meter.ledger().time_ps

    def _step_by_vector(self, learn: Callable[[], Any]) -> None:
        """Do the update, time it, undo it, and do it again with the time between its vectors."""
        before = self.meter.ledger().time_ps
        undone = [_copied(tile.cell.state_dict()) for tile in self._tiles]
        for tile in self._tiles:
            tile.history = []
        learn()
        timed = self.meter.add(self._take())
        self._passed_ps += (took := self.meter.ledger().time_ps - before)
        for tile, state in zip(self._tiles, undone, strict=True):
            tile.cell.load_state_dict(state)
            (history, tile.history), (log, tile.log) = (tile.history, None), (tile.log, None)
            left = took
            for x, d, rate, operations in history or ():
                assert timed is not None
                for vector, gap in enumerate(_gaps(*timed, tile, len(x))):
                    left -= gap
                    tile.elapse(gap / PICOSECONDS_PER_SECOND)
                    tile.update(x[vector : vector + 1], d[vector : vector + 1], rate, operations)
            tile.end_mini_batch()
            tile.log = log
            tile.elapse(left / PICOSECONDS_PER_SECOND)


def _gaps(activity: Activity, events: Events, tile: AnalogTile, vectors: int) -> list[int]:
    """Find how long (ps) a tile waits before each vector of an update.

    From the beginning of the mini-batch to the end of the first vector's pulses, and from there to the end of the next
    one's; 0 before a vector that sent none.
    """
    pulsed = (events.op == Op.PULSE) & (events.phase == Phase.UPDATE)
    pulsed &= (events.layer == tile.layer) & (events.tile == tile.tile)
    ended = np.zeros(vectors, np.int64)
    np.maximum.at(ended, activity.vector[events.row[pulsed]], events.end[pulsed])
    gaps: list[int] = np.diff(np.maximum.accumulate(ended), prepend=0).tolist()
    return gaps


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in state.items()}


def _check_refresh(tiles: Iterable[AnalogTile], meter: Meter) -> None:
    """Refuse what would not be timed as often as it is done, and cells with several arrays or nothing that leaks."""
    if meter.timing != "every":
        raise InputError(f"refresh: given with timing: {sampling.name(meter.timing)}; it needs timing: every")
    if not tiles or not all(tile.can_refresh for tile in tiles):
        raise InputError(
            "refresh: the arrays hold nothing that it would bring back; it is for single devices that leak"
        )


def _check_vectors(tiles: Iterable[AnalogTile], meter: Meter) -> None:
    """Refuse what is not timed, and cells in which a mini-batch is more than its vectors one after the other."""
    placement = meter.plan.placement
    if len(placement.holders) < len(placement.layers):
        raise InputError(
            "elapse: got 'vector' for a network that uses a weight more than once, whose vectors it cannot follow; "
            "accepted: mini-batch, or every layer with a weight of its own"
        )
    if any(placed.joined > 1 for placed in placement.layers):
        raise InputError(
            "elapse: got 'vector' where groups of a convolution lie on one array and learn in turn (mapping.fit: "
            "pack); accepted: mini-batch, or fit as-is for these layers"
        )
    if meter.timing != "every":
        raise InputError(f"elapse: got 'vector' with timing: {sampling.name(meter.timing)}; it needs timing: every")
    for tile in tiles:
        cell = tile.cell.parameters_of_cell
        if not cell.only_learns:
            raise InputError(
                f"elapse: got 'vector', but cells of kind {cell.kind} do more with a mini-batch than learn from one "
                "vector after the other; accepted: mini-batch, or cells of kind single or vector"
            )
