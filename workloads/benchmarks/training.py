"""How fast training is on this machine: whole steps (forward, backward, update) beside plain torch and AIHWKit.

Every case is one network, preset, regime (`cases`), batch size and number of threads. Its competitors are our ways to
train (`ways`), each with pulses merged and one by one, plain torch without any array, and AIHWKit (`peer`), which gets
the same network, preset, samples, rate and threads. They take turns within one run, several times over, and train the
same mini-batches in a turn: pulses become fewer as a network learns, so that nobody may be further than the others.
Counted is the CPU time of one thread, or the time on the clock for several; the median of the turns counts.
"""

from __future__ import annotations

import importlib.util
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numba
import torch

from rpusim.errors import InputError, nearest
from rpusim.kernels.pulses.trains import Execution
from rpusim.kernels.tiles.presets import configuration
from rpusim.workloads.benchmarks import aihwkit_peer, cases, ways
from rpusim.workloads.benchmarks.cases import REGIMES, Case
from rpusim.workloads.benchmarks.peer import Peer
from rpusim.workloads.benchmarks.stream import ceiling
from rpusim.workloads.benchmarks.ways import WAYS

Row = dict[str, Any]
"""One figure beside a peer's: name, value and unit, peer, peer_value, and ratio = value over peer_value; of training
also ``slots`` of a vector's update and ``pulses`` of a cell per vector, at the beginning of training."""

_COUNTED = 20
"""Mini-batches whose pulses are counted."""


def run(
    networks: tuple[str, ...] = ("fcn", "lenet-2017", "lstm2-64"),
    presets: tuple[str, ...] = ("gokmen-vlasov", "ecram", "reram-sb"),
    batches: tuple[int, ...] = (1, 10, 100),
    threads: tuple[int, ...] = (1, 2),
    executions: tuple[str, ...] = ("exact", "merged"),
    regimes: tuple[str, ...] = tuple(REGIMES),
    chosen: tuple[str, ...] = tuple(WAYS),
    peer_python: str | None = None,
    repeats: int = 5,
    seconds: float = 0.25,
    watch: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Time all cases of these networks, presets, regimes, mini-batches and numbers of threads.

    networks:     of the zoo, or lstm2-64.
    presets:      of the kernel.
    batches:      samples of a step.
    threads:      of torch and numba, and of the peer.
    executions:   how pulses are computed: exact, merged.
    regimes:      what is learned, and by how many pulses: `cases.REGIMES`.
    chosen:       our ways to train, of `ways.WAYS`.
    peer_python:  an interpreter that has aihwkit; None: this one, if it has.
    repeats:      turns of every competitor; the median counts.
    seconds:      of a turn, by the geometric mean of the fastest and the slowest competitor.
    watch:        called with each row as it comes.

    Returns one row per way, execution and peer (AIHWKit, and plain torch), and one for the merged update by itself.
    Raises InputError for what is unknown or out of range, and for what the peer cannot do.
    """
    _check(networks, presets, batches, threads, repeats)
    for name, given, accepted in (
        ("regime", regimes, REGIMES),
        ("way", chosen, WAYS),
        ("execution", executions, Execution),
    ):
        for one in given:
            if one not in list(accepted):
                raise InputError(f"{name}: {one!r} is unknown{nearest(one, map(str, accepted))}")
    python = peer_python or (sys.executable if importlib.util.find_spec("aihwkit") else None)
    if python is not None and not os.access(python, os.X_OK):
        raise InputError(f"peer_python: {python!r} cannot be run; accepted is the path of a Python interpreter")
    rows: list[Row] = []

    def keep(row: Row) -> None:
        rows.append(row)
        watch(row)

    for number in threads:
        with _threads(number), Peer(python, number) if python is not None else nullcontext() as peer:
            for case in (Case(n, p, b, number, r) for n in networks for p in presets for r in regimes for b in batches):
                for row in _case(case, executions, chosen, peer, repeats, seconds):
                    keep(row)
            keep(ceiling(number))
    return rows


Seconds = Callable[[int], float]
"""Trains so many mini-batches and returns the seconds that it took."""


def _case(
    case: Case, executions: tuple[str, ...], chosen: tuple[str, ...], peer: Peer | None, repeats: int, seconds: float
) -> Iterator[Row]:
    """Time a case; yields its rows."""
    now = aihwkit_peer.clock(case.threads)
    made = {f"{execution}, {way}": WAYS[way](case, execution) for way in chosen for execution in executions}
    ours = {name: train for name, train in made.items() if train is not None}
    trains = ours | {"torch floating-point": ways.floating_point(case)}
    competitors: dict[str, Seconds] = {
        name: partial(aihwkit_peer.measure, train, now=now) for name, train in trains.items()
    }
    if peer is not None:
        competitors["aihwkit"] = partial(peer.train, case)
    medians = _take_turns(competitors, repeats, seconds)
    slots, pulses = ways.pulses(case, _COUNTED)
    for name in ours:
        value = case.batch / medians[name]
        for other in ("aihwkit", "torch floating-point"):
            if other in medians:
                peer_value = case.batch / medians[other]
                yield {
                    "name": f"train {case} {name}",
                    "value": value,
                    "unit": "samples/s",
                    "peer": other,
                    "peer_value": peer_value,
                    "ratio": value / peer_value,
                    "slots": slots,
                    "pulses": pulses,
                }


def _take_turns(competitors: dict[str, Seconds], repeats: int, seconds: float) -> dict[str, float]:
    """Let all train the same mini-batches in turns; returns the median seconds of a mini-batch of each."""
    for train in competitors.values():
        train(2)  # compiles, or reads what was compiled before
    took = [max(train(2) / 2, 1e-6) for train in competitors.values()]
    steps = max(1, round(seconds / math.sqrt(min(took) * max(took))))
    found: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(repeats):
        for name, train in competitors.items():
            found[name].append(max(train(steps) / steps, 1e-9))
    return {name: statistics.median(values) for name, values in found.items()}


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch and numba use this many threads, for a while."""
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(number)
    numba.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


def _check(
    networks: tuple[str, ...],
    presets: tuple[str, ...],
    batches: tuple[int, ...],
    threads: tuple[int, ...],
    repeats: int,
) -> None:
    for name in networks:
        cases.module(name)
    for name in presets:
        configuration(name)
    for field, numbers in (("batch", batches), ("threads", threads), ("repeats", (repeats,))):
        for number in numbers:
            if number < 1:
                raise InputError(f"{field}: {number} was given; accepted is an integer >= 1")
    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if max(threads) > most:
        raise InputError(f"threads: {max(threads)} was given; accepted are 1 to {most} on this machine")
