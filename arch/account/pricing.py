"""Price all events of a piece of work and write its ledger.

`prices` says what each operation takes. Support circuits of the tiles are added for as long as the operations that they
work for take. `rest` says what is drawn besides: leakage and circuits that are always on, as the phase ``standby``, and
parts that are on and wait, as the phase ``idle``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.exact_sums import exact_sums
from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.overlap import busy_together
from rpusim.arch.account.pauses import Pauses, wakings
from rpusim.arch.account.prices import Batch, priced
from rpusim.arch.account.rest import ZJ_PER_PS, Rest
from rpusim.arch.account.tally import Tally
from rpusim.arch.account.timeline import Timeline
from rpusim.arch.chips.bill_of_parts import BillOfParts
from rpusim.arch.contract.activity import COLUMNS, Activity, Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.schedule.plan import Plan
from rpusim.errors import InputError

_LAST = 1 << 62
_PW = 1000
"""One zeptojoule per picosecond in picowatts."""


_WITHOUT_SUPPORT = ("row drivers", "column drivers", "link", "chip link", "global buffer", "DRAM", "host link")
"""Units whose events no support circuit of a tile works for: drivers, as it already works for their array, and units
outside the tiles."""


class Pricer:
    """Price events on the chip of one plan; made once, called for every piece of a run.

    Args:
        plan: of the chip and network.
        bill: with other prices than those of the plan's chip; None: with those.
    """

    def __init__(self, plan: Plan, bill: BillOfParts | None = None) -> None:
        self._plan = plan
        self._chip = plan.placement.chip
        self._bill = plan.placement.bill if bill is None else bill
        self._layers = [layer.placed.layer.name for layer in plan.layers]
        self._kinds = np.array([block.kind for block in plan.placement.blocks()])
        self._unit_kinds = sorted(set(plan.station_parts))
        self._station_tile_kinds = np.array(plan.station_kinds)
        self._station_unit = np.array([self._unit_kinds.index(part) for part in plan.station_parts])
        groups = len(self._chip.tiles) * len(Op) * len(self._unit_kinds)
        self._group_type: type[np.integer[Any]] = np.int16 if groups < 1 << 15 else np.int64  # 16 bits sort quickly
        self.rest = Rest(plan, self._bill)
        """What is drawn besides operations."""

    @property
    def standby(self) -> dict[str, int]:
        """Power (zJ/ps) by part that leaks, or is drawn by circuits which are always on."""
        return self.rest.standby

    def __call__(self, events: Events, activity: Activity) -> Ledger:
        """Account for a piece of work.

        Args:
            events: of the work; the last end is the account's time.
            activity: the rows that the events come from.

        Returns:
            Its ledger.
        """
        return self.piece(events, activity, None)[0]

    def piece(
        self, events: Events, activity: Activity, rested: Integers | None, until: int | None = None
    ) -> tuple[Ledger, Integers]:
        """Account for a piece of work that goes on from another.

        Args:
            events: of the work; the last end is the account's time.
            activity: the rows that the events come from.
            rested: for how long what is gated had not worked before, as it was returned for the other; None: it is the
                first one.
            until: when what comes after it begins (ps); None: when its last event has ended.

        Returns:
            Its ledger, and for how long what is gated has not worked at its end.
        """
        ledger = Ledger(time_ps=events.makespan_ps if until is None else until)
        power = self._add(ledger, events, activity, np.ones(len(events), np.int64))
        timeline = Timeline.of(events)
        pauses = self._pauses(timeline, rested)
        self.rest.book(ledger, list(ledger.busy_ps.values()), pauses)
        covered = timeline.covered_ps(self._station_unit, len(self._unit_kinds)).tolist()
        ledger.occupied_ps = dict(zip(self._unit_kinds, covered, strict=True))
        ledger.peak_w = self._watts(timeline.peak(self._picowatts(power, events) + pauses.woken_pw) / _PW)
        return ledger, pauses.rested_ps(ledger.time_ps, rested)

    def tallied(self, tally: Tally, activity: Activity) -> Ledger:
        """Account for a piece of work from the tally of its times, with what is repeated of them.

        Args:
            tally: groups of events, and how often each happens.
            activity: the rows that the events come from.

        Returns:
            Its ledger, equal to that of all events one by one.
        """
        ledger = Ledger(time_ps=tally.makespan_ps)
        power = self._add(ledger, tally.events, activity, tally.count)
        pauses = tally.pauses(self.rest.groups)
        self.rest.book(ledger, list(ledger.busy_ps.values()), pauses)
        drawn = self._picowatts(power, tally.events)
        lanes = tally.lanes(drawn, self._station_unit, pauses.woken_pw)
        covered, peak = busy_together(lanes, tally.repeats)
        ledger.occupied_ps = {unit: int(covered[number]) for number, unit in enumerate(self._unit_kinds)}
        ledger.peak_w = self._watts(peak / _PW)
        return ledger

    def _add(self, ledger: Ledger, events: Events, activity: Activity, count: Integers) -> NDArray[np.float64]:
        """Book energy and busy time of events that each stand for ``count``; returns the power of each (zJ/ps)."""
        power, duration = np.zeros(len(events)), events.duration
        layers, groups = len(self._layers), events.phase * len(self._layers) + events.layer
        for part, members, zeptojoules in self.priced(events, activity):
            for group, energy in exact_sums(zeptojoules, members, groups, count, len(Phase) * layers):
                phase, layer = divmod(group, layers)
                ledger.add(part, Phase(phase).name.lower(), self._layers[layer], energy)
            _draw(zeptojoules.astype(np.float64), members, duration, power)
        power -= self.rest.relieved(events.station)
        lasting = _unwrapped(duration, int(count.max(initial=0)) * len(events)) * count
        busy_ps = np.zeros(len(self._plan.stations), lasting.dtype)
        np.add.at(busy_ps, events.station, lasting)
        ledger.busy_ps = dict(zip(self._plan.stations, busy_ps.tolist(), strict=True))
        return power

    def seam(self, tally: Tally) -> Ledger:
        """Account for what it takes to do a piece of work right after the same, besides what both take alone."""
        ledger, pauses = Ledger(), tally.pauses(self.rest.groups)
        self.rest.book(ledger, [0] * len(self._plan.stations), pauses.seam(tally.makespan_ps))
        return ledger

    def _pauses(self, timeline: Timeline, rested: Integers | None) -> Pauses:
        """Find the pauses of what is gated."""
        if not self.rest.groups:
            return replace(Pauses.none(0), woken_pw=np.zeros(len(timeline.events), np.int64))
        return Pauses.of(timeline.events, self.rest.groups, rested=rested, by_start=timeline.by_start)

    def woken(self, events: Events) -> NDArray[np.float64]:
        """(events,) power (zJ/ps) that waking what each alone needs takes, spread evenly over it."""
        groups = self.rest.groups
        return Pauses.of(events, groups, first_whole=False).woken_pw / _PW if groups else np.zeros(len(events))

    def waking(self, events: Events) -> tuple[Integers, Integers, Integers]:
        """Find when what serves several vectors is woken: (wakings,) begin and end (ps), and power (zJ/ps)."""
        found = [(np.zeros(0, np.int64),) * 3]
        for (stations, wake_ps, more), (_, _, spread) in zip(self.rest.waking_groups, self.rest.groups, strict=True):
            if more > spread:
                begin, end = wakings(events, stations, wake_ps)
                found.append((begin, end, np.full(len(begin), more - spread)))
        begin, end, power = map(np.concatenate, zip(*found, strict=True))
        return begin, end, power

    def _watts(self, peak: float) -> float:
        """Convert a peak of the events' power (zJ/ps) to watts, with all that is drawn besides."""
        return (peak + self.rest.most) / ZJ_PER_PS

    def _picowatts(self, power: NDArray[np.float64], events: Events) -> Integers:
        """Round the power of events (zJ/ps) to whole picowatts.

        Raises InputError if what all units may draw at the same time is more than can be counted.
        """
        most = np.zeros(len(self._plan.stations))
        np.maximum.at(most, events.station, np.abs(power))
        together = float(most @ np.array(self._plan.station_capacity, np.float64))
        if together * _PW > _LAST:
            raise InputError(
                f"chip: its units would draw up to {float(power.max()) / ZJ_PER_PS:.3g} W each, but at most "
                f"{_LAST / _PW / ZJ_PER_PS:.3g} W together can be accounted for; lower powers or voltages are needed"
            )
        return np.rint(power * _PW).astype(np.int64)

    def priced(self, events: Events, activity: Activity) -> Iterator[tuple[str, NDArray[np.intp], Integers]]:
        """Price events.

        Args:
            events: what was done.
            activity: the rows that the events come from.

        Yields:
            (part, (n,) indices of events, (n,) zJ that it took for each), for every part that took energy.
        """
        block = self._plan.first_block[events.layer] + events.tile
        rows, columns = self._plan.block_sizes
        units = self._station_unit[events.station]
        of_station = self._station_tile_kinds[events.station]
        kinds = np.where(of_station >= 0, of_station, self._kinds[block])
        most = {name: int(getattr(activity, name).max(initial=0)) for name in COLUMNS}
        group = ((kinds * len(Op) + events.op) * len(self._unit_kinds) + units).astype(self._group_type)
        order = np.argsort(group, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else ():
            rest, unit = divmod(int(group[members[0]]), len(self._unit_kinds))
            k, op = divmod(rest, len(Op))
            batch = Batch(
                members,
                events,
                activity,
                rows[block[members]],
                columns[block[members]],
                self._plan.turned[block[members]],
                self._plan.joined[block[members]],
                self._chip.tiles[k],
                self._bill.tiles[k],
                self._bill.chip_wide,
                self._plan.placement.cell,
            )
            for part, zeptojoules in priced(Op(op), self._unit_kinds[unit], batch, most):
                yield part, members, zeptojoules
            if self._unit_kinds[unit] not in _WITHOUT_SUPPORT:
                yield from self._support(Op(op), batch)

    def _support(self, op: Op, batch: Batch) -> Iterator[tuple[str, NDArray[np.intp], Integers]]:
        """Price support circuits, which draw power for as long as the operation takes, waits for other units aside."""
        duration = batch.event("end") - batch.event("start")
        if op == Op.DRIVE:
            duration = batch.reads * batch.parts["array"].actions["read"].latency_ps
        for support in batch.kind.support:
            if support.busy_during == op.name.lower():
                part = batch.parts[support.name]
                sharing = batch.kind.array.arrays if op in (Op.DRIVE, Op.CONVERT, Op.PULSE) else 1
                zj_per_ps = part.units * (part.card.power or 0.0) / sharing * ZJ_PER_PS
                rate = round(zj_per_ps)
                yield part.name, batch.members, _unwrapped(duration, rate) * rate


def _unwrapped(values: Integers, most: int) -> Integers:
    """Return integers that may be multiplied by up to ``most``: as they are, or of any size if 64 bits may not do."""
    return values.astype(object) if int(values.max(initial=0)) * max(most, 1) > _LAST else values


@compiled
def _draw(
    zeptojoules: NDArray[np.float64], members: NDArray[np.intp], duration: Integers, power: NDArray[np.float64]
) -> None:
    """Add to the power (zJ/ps) of some events what they took, spread over their duration (ps)."""
    for k in range(len(members)):
        power[members[k]] += zeptojoules[k] / max(duration[members[k]], 1)
