"""Account for a large network layer by layer, and for layers that do the very same only once.

Sequential inference of one sample is one layer after the other: nothing of a layer begins before all of the one before
it is done. So each layer, with the sums at its homes, is a program of its own, begun at 0; times add up, and so does
energy. Of two layers whose programs are equal but for which stations they use, and for which what rested before is as
long awake, the second is not run: its account is that of the first under other names. Programs hold durations, routes,
amounts and what waits for what, so nothing has to be said about which layers these are: blocks of a transformer whose
tiles lie alike on the mesh repeat each other, and blocks that lie otherwise do not.

The account is the one of the whole program, to the picosecond and zeptojoule. Where a layer cannot be cut off
(`_apart`; or something of it does not wait for the one before it, or is still on its way when the next one begins),
there is none, and the whole program is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.contract.activity import COLUMNS, Activity
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import NEVER, Events
from rpusim.arch.engine.program import HEAD, INSTRUCTION, LOGGED, Do, Program
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import of_layer, times

EARLY_PS = 1_000_000
"""How long before a layer begins what does not wait for it would begin, where that is looked for (ps)."""
_STATION, _LAYER = LOGGED.index("station"), HEAD.index("layer")


@dataclass(frozen=True)
class Layers:
    """Hold the account of a sample that went through all layers.

    ledger:    of the sample.
    activity:  the rows of the first layers.
    events:    of these rows, at least as many as were asked for if there are so many.
    run:       how many layers were run; the others did the same.
    """

    ledger: Ledger
    activity: Activity
    events: Events
    run: int


@dataclass(frozen=True)
class _Done:
    """Hold what one layer did, by the numbers that its own stations and groups have in it.

    ledger: its account, without busy times. layer: its name. busy: (stations,) ps. worked: (groups,) whether each
    worked. rested: (groups,) for how long it had not at the end. time_ps: when the next layer begins.
    """

    ledger: Ledger
    layer: str
    busy: Integers
    worked: NDArray[np.bool_]
    rested: Integers
    time_ps: int


def account(plan: Plan, price: Pricer, work: Callable[[int], Activity], most: int) -> Layers | None:
    """Account for one sample of sequential inference.

    Args:
        plan: of the chip and network.
        price: prices the events of the plan.
        work: gives the rows of a layer by its number; asked for every layer once, in order.
        most: how many events of the beginning are wanted.

    Returns:
        The account; None: layers cannot be cut off.
    """
    return _ByLayer(plan, price, work, most).account() if _apart(plan) else None


def _apart(plan: Plan) -> bool:
    """Tell whether no layer but the first fetches the network's input from outside, and no block takes turns."""
    fetched = {"DRAM", "host link"} & set(plan.outside)
    beside = any((layer.index and layer.inputs) or any(made.inputs for made in layer.sums) for layer in plan.layers)
    return not (fetched and beside) and not plan.placement.reloads


@dataclass
class _ByLayer:
    """Account for layers in order; see `account`."""

    plan: Plan
    price: Pricer
    work: Callable[[int], Activity]
    most: int
    _known: dict[bytes, _Done] = field(default_factory=dict)
    _kept: list[tuple[Activity, Events]] = field(default_factory=list)
    _now: int = 0
    """When the layer begins (ps)."""

    def __post_init__(self) -> None:
        groups = self.price.rest.groups
        self._wake = np.array([wake for _, wake, _ in groups], np.int64)
        self._rested = np.zeros(len(groups), np.int64)
        """(groups,) for how long each has not worked, or since when all began."""
        self._busy = np.zeros(len(self.plan.stations), np.int64)
        self._likeness = _Likeness(self.plan, self.price)

    def account(self) -> Layers | None:
        """Do all layers; None if one cannot be cut off."""
        ledgers, last = [], self.plan.layers[-1].index
        for layer in self.plan.layers:
            name, activity = layer.placed.layer.name, self.work(layer.index)
            program = of_layer(self.plan, activity, EARLY_PS if self._now else 0)
            works = program.heads[program.logged[:, LOGGED.index("task")], _LAYER]
            if len(program.stations) > len(self.plan.stations) or np.any(works != layer.index):
                return None
            ends = layer.index == last
            waited = np.minimum(self._rested, self._wake) if layer.index else None
            found, stations, groups = self._likeness.of(program, activity, layer.index, waited, ends)
            if (done := self._known.get(found)) is None or self._wanted:
                new = self._run(program, activity, stations, groups, name, ends)
                if new is None:
                    return None
                done = self._known[found] = new
            ledgers.append((1, _renamed(done, name)))
            self._busy[stations] += done.busy
            self._rested += done.time_ps
            self._rested[groups[done.worked]] = done.rested[done.worked]
            self._now += done.time_ps
        total = Ledger.total(ledgers)
        total.busy_ps = dict(zip(self.plan.stations, self._busy.tolist(), strict=True))
        return Layers(total, *self._beginning(), run=len(self._known))

    @property
    def _wanted(self) -> bool:
        """Whether events of the beginning are wanted still."""
        return sum(len(events) for _, events in self._kept) < self.most

    def _run(
        self, program: Program, activity: Activity, stations: Integers, groups: Integers, name: str, ends: bool
    ) -> _Done | None:
        """Run a layer; None if something of it does not wait for its beginning, or goes on when the next one begins."""
        first = not self._now
        start, end = times(self.plan, program)
        if not first:
            done = start != NEVER
            start[done], end[done] = start[done] - EARLY_PS, end[done] - EARLY_PS
            if np.any(start[done][:-1] < 0):
                return None
        until, events = int(end[program.slots - 1]), program.events(start, end)
        arrived = int((events.end + program.latency[events.station]).max(initial=0))
        if not ends and (arrived > until or (first and until < self._wake.max(initial=0))):
            return None
        ledger, rested = self.price.piece(events, activity, None if first else self._rested, None if ends else until)
        if self._wanted:
            self._kept.append((activity, _later(events, self._now)))
        busy = np.array([ledger.busy_ps[self.plan.stations[station]] for station in stations.tolist()], np.int64)
        worked = np.isin(groups, self._likeness.of_stations(events.station[events.duration > 0]))
        return _Done(replace(ledger, busy_ps={}), name, busy, worked, rested[groups], ledger.time_ps)

    def _beginning(self) -> tuple[Activity, Events]:
        """Put the rows and events of the first layers together."""
        rows, parts = 0, []
        for activity, events in self._kept:
            parts.append(replace(events, row=np.where(events.row >= 0, events.row + rows, events.row)))
            rows += len(activity)
        return Activity.concatenate(activity for activity, _ in self._kept), _joined(parts)


def _renamed(done: _Done, layer: str) -> Ledger:
    """Give a layer's account to another layer."""
    ledger = done.ledger
    if layer == done.layer:
        return ledger
    energy = {(part, phase, layer if of == done.layer else of): zj for (part, phase, of), zj in ledger.energy.items()}
    return replace(ledger, energy=energy)


def _later(events: Events, by: int) -> Events:
    return replace(events, start=events.start + by, end=events.end + by)


def _joined(parts: list[Events]) -> Events:
    """Put events of layers together, of which each numbers its works from 0."""
    tables = [part.works for part in parts if part.works is not None]
    before = np.cumsum([0, *(len(table) for table in tables)])
    works = [
        np.where(part.work > 0, part.work + first, 0)
        for part, first in zip(parts, before.tolist(), strict=False)
        if part.work is not None
    ]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].columns()}
    return Events(**columns, work=np.concatenate(works), works=np.concatenate(tables))


class _Likeness:
    """Say in few bytes what decides a layer's account, whichever stations it uses.

    plan, price: as of `account`.
    """

    def __init__(self, plan: Plan, price: Pricer) -> None:
        self._plan, rest = plan, price.rest
        units = sorted(set(plan.station_parts))
        number = {unit: place for place, unit in enumerate(units)}
        self._station = np.stack(
            [
                np.array([number[part] for part in plan.station_parts], np.int64),
                np.array(plan.station_kinds, np.int64),
                rest.relief,
            ],
            axis=1,
        )
        self._waiting: dict[int, list[tuple[str, int]]] = {}
        for part, station, power in rest.at_station:
            self._waiting.setdefault(station, []).append((part, power))
        self._groups: list[list[int]] = [[] for _ in plan.stations]
        for group, (stations, _, _) in enumerate(rest.groups):
            for station in stations:
                self._groups[station].append(group)
        self._drawn: dict[int, list[tuple[str, int]]] = {}
        for wait in rest.waiting:
            self._drawn.setdefault(wait.group, []).append((wait.part, wait.zj_per_ps))
        self._rest = rest

    def of(
        self, program: Program, activity: Activity, layer: int, waited: Integers | None, ends: bool
    ) -> tuple[bytes, Integers, Integers]:
        """Describe a layer.

        Args:
            program: of the layer.
            activity: its rows.
            layer: its number.
            waited: (groups,) for how long each has not worked, up to its wake time; None before the first layer.
            ends: whether no layer follows.

        Returns:
            What decides its account, (stations,) the stations that it uses, and (groups,) their groups.
        """
        code, logged, heads = program.code.copy(), program.logged.copy(), program.heads.copy()
        do, place = code[:, 0], INSTRUCTION.index("a")
        takes = np.isin(do, (Do.TAKE, Do.GIVE, Do.USE))
        used, first = np.unique(np.concatenate([code[takes, place], logged[:, _STATION]]), return_index=True)
        stations = used[np.argsort(first)]
        number = np.zeros(len(self._plan.stations), np.int64)
        number[stations] = np.arange(len(stations))
        code[takes, place], logged[:, _STATION] = number[code[takes, place]], number[logged[:, _STATION]]
        heads[:, _LAYER] = 0
        groups, kept_awake = self._of_groups(stations, number, waited)
        block = slice(*self._plan.first_block[layer : layer + 2].tolist())
        rows, columns = self._plan.block_sizes
        facts = (program.capacity, program.latency, program.in_flight)
        told: list[Any] = [code, program.data, program.tasks, heads, logged, program.raises, program.works]
        told += [*(fact[stations] for fact in facts), self._station[stations]]
        told += [rows[block], columns[block], self._plan.turned[block], self._plan.joined[block]]
        told += [getattr(activity, name) for name in COLUMNS if name != "layer"]
        digest = blake2b(digest_size=32)
        for array in told:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        at = [self._waiting.get(station) for station in stations.tolist()]
        kinds = [block.block.kind for block in self._plan.layers[layer].blocks]
        digest.update(repr((program.slots, ends, waited is None, kept_awake, at, kinds)).encode())
        return digest.digest(), stations, groups

    def of_stations(self, stations: Integers) -> list[int]:
        """Return the groups of stations."""
        return [group for station in np.unique(stations).tolist() for group in self._groups[station]]

    def _of_groups(
        self, stations: Integers, number: Integers, waited: Integers | None
    ) -> tuple[Integers, list[tuple[Any, ...]]]:
        """Find the groups of stations in order, what each draws and for how long it waited."""
        found: dict[int, list[int]] = {}
        for station in stations.tolist():
            for group in self._groups[station]:
                found.setdefault(group, []).append(int(number[station]))
        kept_awake = [
            (
                here,
                self._rest.groups[group][1:],
                sorted(self._drawn.get(group, ())),
                None if waited is None else int(waited[group]),
            )
            for group, here in found.items()
        ]
        return np.array(list(found), np.int64), kept_awake
