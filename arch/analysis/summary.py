"""Show what a piece of work spent its time and energy on: power, utilisation, critical path, rooflines.

Everything is counted from what the engine logged and the pricer priced; nothing is estimated. The roofline of a
layer, over all phases of the piece:

    operations         2 for every weight of an array and vector that met (a multiply-accumulate, or an update of it)
    moved              bits that its vectors took out of and put into buffers and DRAM, and sent over ports and links
    intensity          operations / moved
    array roof         operations / time that the layer held its busiest array, or the converters of one: its speed if
                       these never waited
    movement roof      intensity x (moved / time that the layer held its busiest memory, port or link), so its speed if
                       nothing but movement took time
    reached            operations / time during which any unit worked for the layer

``reached`` is below both roofs; the lower one says what the layer is bound by.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.analysis.critical_path import WAITING, CriticalPath, critical_path
from rpusim.arch.analysis.occupancy import converters, kept_bits
from rpusim.arch.analysis.profile import Profile
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND
from rpusim.arch.engine.events import Events, Op, covered_ps
from rpusim.arch.schedule.plan import Plan

MOST_UNITS = 100
"""How many units a document names, the busiest."""
POWER_BINS = 120
"""In how many parts of the time a document gives the mean power."""
MOST_AT_PEAK = 8
"""How many groups of units a document names that work when most power is drawn."""
_WATTS = 1e-9
"""One zeptojoule per picosecond in watts."""
_MOVES = (Op.FETCH, Op.STORE, Op.SEND)


@dataclass(frozen=True)
class Analysis:
    """Analyse a piece of work.

    plan:      of the chip and network.
    pricer:    of that plan.
    events:    of the work.
    activity:  the rows that the events come from.
    """

    plan: Plan
    pricer: Pricer
    events: Events
    activity: Activity

    @cached_property
    def energy(self) -> Integers:
        """(events,) energy of each, all parts together (zJ); integers of any size where 64 bits do not do."""
        total = np.zeros(len(self.events), np.int64)
        for _, members, zeptojoules in self.pricer.priced(self.events, self.activity):
            if zeptojoules.dtype == object:
                total = total.astype(object)
            total[members] += zeptojoules
        return total

    @property
    def zeptojoules(self) -> NDArray[np.float64]:
        """(events,) energy of each, as floats (zJ)."""
        return self.energy.astype(np.float64)

    @cached_property
    def watts(self) -> NDArray[np.float64]:
        """(events,) power of each while it lasts, less what its unit draws while it waits, and what waking it took.

        What serves several vectors, such as a pool of converters, is not woken for one event: see `power`.
        """
        rest, lasted = self.pricer.rest, np.maximum(self.events.duration, 1)
        net = self.zeptojoules / lasted - rest.relieved(self.events.station) + self.pricer.woken(self.events)
        watts: NDArray[np.float64] = net * _WATTS
        return watts

    @cached_property
    def power(self) -> Profile:
        """Watts over time: what is drawn while nothing works (as if no tile were cut off), what events draw, and what
        is drawn while pools are woken."""
        events = self.events
        begin, end, woken = self.pricer.waking(events)
        start = np.concatenate([events.start, begin])
        until = np.concatenate([events.start + np.maximum(events.duration, 1), end])
        watts = np.concatenate([self.watts, woken * _WATTS])
        return Profile.of_intervals(start, until, watts, events.makespan_ps, self.pricer.rest.drawn * _WATTS)

    def details(self) -> dict[str, Integers]:
        """Return columns of every event beside those of `Events`.

        Returns:
            "energy" (zJ), "kept" (bits by which it changes what is kept in its tile's buffer when it ends) and
            "converters" (how many it uses), each (events,). Energy is left out where 64 bits do not hold it.
        """
        return {
            **({} if self.energy.dtype == object else {"energy": self.energy}),
            "kept": kept_bits(self.plan, self.activity, self.events),
            "converters": converters(self.plan, self.activity, self.events),
        }

    @cached_property
    def path(self) -> CriticalPath:
        """The critical path of the work."""
        return critical_path(self.events, self.plan.station_latency)

    def at_work(self, tick: int) -> list[tuple[str, str, str, int, float]]:
        """Return what is at work at a time.

        Args:
            tick: ps.

        Returns:
            (kind of unit, phase, layer, number of units, power in W), most power first.
        """
        events, plan = self.events, self.plan
        on = np.flatnonzero((events.start <= tick) & (tick < events.end))
        watts = self.watts[on]
        found: dict[tuple[str, str, str], list[float]] = {}
        for event, power in zip(on.tolist(), watts.tolist(), strict=True):
            part = plan.station_parts[events.station[event]]
            layer = plan.layers[events.layer[event]].placed.layer.name
            found.setdefault((part, Phase(events.phase[event]).name.lower(), layer), []).append(power)
        rows = [(*key, len(powers), sum(powers)) for key, powers in found.items()]
        return sorted(rows, key=lambda row: -row[-1])

    @cached_property
    def utilisation(self) -> dict[str, float]:
        """Share of the time that each unit works, by its name, busiest first; units that never do are left out."""
        plan, whole = self.plan, max(self.events.makespan_ps, 1)
        busy = self.events.busy_ps(len(plan.stations)) // np.array(plan.station_capacity)
        order = np.argsort(-busy, kind="stable")
        return {plan.stations[i]: int(busy[i]) / whole for i in order.tolist() if busy[i]}

    def rooflines(self) -> list[Roofline]:
        """Return the roofline of every layer that did something."""
        events = self.events
        rows, columns = self.plan.block_sizes
        activity = self.activity
        on_array = np.array([part in ("array", "ADC") for part in self.plan.station_parts])[events.station]
        seen = np.zeros(
            len(activity.phase) + 1, np.bool_
        )  # of a long piece, only the events that ended first are known
        seen[events.row[on_array]] = True
        worked = (activity.phase <= Phase.UPDATE) & ((activity.passes > 0) | (activity.slots > 0)) & seen[:-1]
        operations = np.zeros(len(self.plan.layers), np.int64)
        block = self.plan.first_block[activity.layer] + activity.tile
        np.add.at(operations, activity.layer, np.where(worked, 2 * rows[block] * columns[block] * activity.count, 0))
        moves = np.isin(events.op, _MOVES)
        found = []
        for layer in self.plan.layers:
            mine = events.layer == layer.index
            if operations[layer.index] and np.any(mine & moves):
                times = (
                    self._busiest(mine & on_array),
                    self._busiest(mine & moves),
                    covered_ps(events.start[mine], events.end[mine]),
                )
                moved = int(events.amount[mine & moves].sum())
                found.append(Roofline(layer.placed.layer.name, int(operations[layer.index]), moved, *times))
        return found

    def _busiest(self, chosen: NDArray[np.bool_]) -> int:
        """Return the time (ps) that the busiest unit spent with these events; ``chosen``: (events,)."""
        busy = np.zeros(len(self.plan.stations), np.int64)
        np.add.at(busy, self.events.station[chosen], self.events.duration[chosen])
        return int((busy // np.array(self.plan.station_capacity)).max())

    def document(self) -> dict[str, Any]:
        """Return the analysis as a part of a result document, in SI units."""
        return {
            "time_s": _seconds(self.events.makespan_ps),
            "events": len(self.events),
            "power": self._power_document(),
            "critical_path": self._path_document(),
            "utilisation": self._utilisation_document(),
            "roofline": [roofline.document() for roofline in self.rooflines()],
        }

    def _power_document(self) -> dict[str, Any]:
        tick, watts = self.power.peak
        names = ("unit", "phase", "layer", "units", "power_W")
        return {
            "peak_W": watts,
            "peak_at_s": _seconds(tick),
            "at_peak": [dict(zip(names, row, strict=True)) for row in self.at_work(tick)[:MOST_AT_PEAK]],
            "standby_W": self.pricer.rest.drawn * _WATTS,
            "over_time_W": self.power.binned(POWER_BINS).tolist(),
        }

    def _path_document(self) -> dict[str, Any]:
        path, plan, events = self.path, self.plan, self.events
        parts = path.by_part(plan, events)
        return {
            "total_s": _seconds(int(path.duration.sum())),
            "waiting_s": _seconds(parts.get(WAITING, 0)),
            "steps": len(path),
            "by_part": _all_seconds(parts),
            "by_phase": _all_seconds(path.by_phase(events)),
            "by_layer": _all_seconds(path.by_layer(plan, events)),
        }

    def _utilisation_document(self) -> dict[str, Any]:
        kind_of = dict(zip(self.plan.stations, self.plan.station_parts, strict=True))
        kinds: dict[str, list[float]] = {}
        for unit, share in self.utilisation.items():
            kinds.setdefault(kind_of[unit], []).append(share)
        return {
            "by_kind": {
                kind: {"units": len(shares), "mean": sum(shares) / len(shares), "busiest": shares[0]}
                for kind, shares in kinds.items()
            },
            "busiest_units": dict(list(self.utilisation.items())[:MOST_UNITS]),
        }


@dataclass(frozen=True)
class Roofline:
    """Hold the roofline of one layer; see the module.

    layer:        its name.
    operations:   2 for every weight and vector that met.
    moved_bits:   out of and into memories, and over ports and links.
    array_ps:     time that it held its busiest array, or the converters of one.
    movement_ps:  time that it held its busiest memory, port or link.
    active_ps:    time during which any unit worked for it.
    """

    layer: str
    operations: int
    moved_bits: int
    array_ps: int
    movement_ps: int
    active_ps: int

    @property
    def bound_by(self) -> str:
        """Which of the two roofs is lower: "arrays" or "movement"."""
        return "arrays" if self.array_ps >= self.movement_ps else "movement"

    def document(self) -> dict[str, Any]:
        """Return the roofline as a part of a result document, in SI units."""
        return {
            "layer": self.layer,
            "operations": self.operations,
            "moved_b": self.moved_bits,
            "ops_per_bit": self.operations / self.moved_bits,
            "array_ops_per_s": _rate(self.operations, self.array_ps),
            "movement_ops_per_s": _rate(self.operations, self.movement_ps),
            "reached_ops_per_s": _rate(self.operations, self.active_ps),
            "bound_by": self.bound_by,
        }


def _seconds(picoseconds: int) -> float:
    return picoseconds / PICOSECONDS_PER_SECOND


def _all_seconds(times: dict[str, int]) -> dict[str, float]:
    return {name: _seconds(time) for name, time in times.items()}


def _rate(operations: int, picoseconds: int) -> float:
    return operations / _seconds(picoseconds)
