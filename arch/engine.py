"""The event engine: simpy processes that hold arrays, drivers, ADCs, digital units, buffer ports and links.

This engine is the definition of correct timing. Each unit is a `Station` that serves one request at a time. Of the
requests that wait when it becomes free, the one made at the earlier simulated time is next; among equal times the order
is phase, then layer, then vector, then tile. To make that hold whatever the order in which simpy happens to run
processes within one tick, stations hand out grants only after everything else at that tick has run (`Clock`).

What one vector does is told by `Engine.forward`, `backward` and `update`, in the order in which it happens.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

import simpy

from rpusim.arch.activity import Activity, Phase
from rpusim.arch.events import EventLog, Op
from rpusim.arch.plan import BlockPlan, LayerPlan, Message, Multiply, Plan
from rpusim.arch.quantity import PICOSECONDS_PER_SECOND, transfer_picoseconds

Steps = Generator[simpy.Event, Any, None]
Key = tuple[int, int, int, int]
"""Phase, layer, vector, tile: the order of requests made at the same time."""

NO_ROW = -1
"""Stands in the row column of events that do not come from one row of activity."""

_AFTER_EVERYTHING = 2
"""A simpy priority below NORMAL: runs when the tick has nothing else left."""


class Clock(simpy.Environment):
    """Simulated time in integer picoseconds; settles the stations at the end of each tick in which one was touched."""

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self._unsettled: list[Station] = []

    @property
    def now(self) -> int:
        return self._now  # type: ignore[return-value]  # an integer, since every delay is one

    def unsettle(self, station: Station) -> None:
        if not self._unsettled:
            event = self.event()
            event._ok, event._value = True, None  # as simpy's own Timeout does: triggered, to be processed this tick
            event.callbacks.append(self._settle)
            self.schedule(event, priority=_AFTER_EVERYTHING)  # type: ignore[arg-type]  # any integer orders
        self._unsettled.append(station)

    def _settle(self, _: simpy.Event) -> None:
        stations, self._unsettled = self._unsettled, []
        for station in stations:
            station.grant()


class Station:
    """A unit that serves one request at a time, first come first served with the stated tie-break."""

    __slots__ = ("_clock", "_free", "_requests", "_unsettled", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[int, Key, int, simpy.Event]] = []
        self._requests = 0
        self._free = True
        self._unsettled = False

    def request(self, key: Key) -> simpy.Event:
        """An event that fires when the station is held by the caller."""
        event = self._clock.event()
        self._requests += 1
        heappush(self._waiting, (self._clock.now, key, self._requests, event))
        self._touch()
        return event

    def release(self) -> None:
        self._free = True
        self._touch()

    def _touch(self) -> None:
        if self._free and self._waiting and not self._unsettled:
            self._unsettled = True
            self._clock.unsettle(self)

    def grant(self) -> None:
        self._unsettled = False
        if self._free and self._waiting:
            self._free = False
            heappop(self._waiting)[-1].succeed()


class Engine:
    """Runs the operations of one chip; schedules (see `schedule`) decide which, and what waits for what."""

    def __init__(self, plan: Plan, activity: Activity) -> None:
        self.plan = plan
        self.clock = Clock()
        self.log = EventLog()
        self._stations = [Station(self.clock) for _ in plan.stations]
        self._passes = activity.passes.tolist()
        self._slots = activity.slots.tolist()
        self._algorithm_ops = activity.digital_ops.tolist()
        self._operation_rate = [round(kind.digital.rate) for kind in plan.placement.chip.tiles]
        self._operations_per_output = [kind.digital.operations_per_output for kind in plan.placement.chip.tiles]

    def forward(
        self, layer: LayerPlan, vector: int, rows: Sequence[int], before_following: Sequence[simpy.Event] = ()
    ) -> Steps:
        """One vector through a layer: all blocks, digital operations at each home, results on their way.

        ``before_following``: other branches that have to be there before the operations that follow (their sum).
        """
        position, vectors = vector % layer.placed.layer.vectors, layer.placed.layer.vectors
        yield from self._at_homes(layer, Phase.FORWARD, vector, share(layer.input_ops, position, vectors))
        yield from self._all(
            self._multiply(b, b.forward, b.partial_forward, b.row_home, Phase.FORWARD, vector, row)
            for b, row in zip(layer.blocks, rows, strict=True)
        )
        yield from before_following
        messages = [
            [
                (m, m.bits * emits[position])
                for way, emits in zip(layer.outputs, layer.emits, strict=True)
                for m in way[h]
            ]
            for h in range(len(layer.placed.row_homes))
        ]
        operations = share(layer.forward_ops, position, vectors)
        yield from self._at_homes(layer, Phase.FORWARD, vector, operations, messages)

    def error(self, layer: LayerPlan, vector: int) -> Steps:
        """What arrived as gradient becomes the layer's error: sums of branches, derivatives of what follows it."""
        operations = share(layer.derivative_ops, vector % layer.placed.layer.vectors, layer.placed.layer.vectors)
        yield from self._at_homes(layer, Phase.BACKWARD, vector, operations)

    def backward(self, layer: LayerPlan, vector: int, rows: Sequence[int]) -> Steps:
        """One error vector back through a layer; overlapping windows are summed, gradients go on their way."""
        ways = [b.backward for b in layer.blocks if b.backward]
        yield from self._all(
            self._multiply(b, way, b.partial_backward, b.column_home, Phase.BACKWARD, vector, row)
            for b, way, row in zip(layer.blocks, ways, rows, strict=True)
        )
        position, vectors = vector % layer.placed.layer.vectors, layer.placed.layer.vectors
        yield from self._all(
            self._finish(
                layer.blocks[home.tile],
                (Phase.BACKWARD, home.layer, vector, home.tile),
                layer.overlap_ops[h],
                [(m, m.bits * share(positions, position, vectors)) for m, positions in layer.gradients[h]],
            )
            for h, home in enumerate(layer.placed.column_homes)
        )

    def update(self, layer: LayerPlan, vector: int, rows: Sequence[int]) -> Steps:
        """One vector pair of an update on all blocks of a layer, and on a digital bias."""
        yield from self._all(self._pulse(b, vector, row) for b, row in zip(layer.blocks, rows, strict=True))
        yield from self._at_homes(layer, Phase.UPDATE, vector, layer.bias_ops)

    def _at_homes(
        self,
        layer: LayerPlan,
        phase: Phase,
        vector: int,
        operations: int,
        messages: Sequence[list[tuple[Message, int]]] | None = None,
    ) -> Steps:
        """Digital operations, shared among the row homes of a layer, then each home's messages."""
        homes = layer.placed.row_homes
        if operations or messages:
            yield from self._all(
                self._finish(
                    layer.blocks[home.tile],
                    (phase, home.layer, vector, home.tile),
                    share(operations, h, len(homes)),
                    messages[h] if messages else [],
                )
                for h, home in enumerate(homes)
            )

    def _all(self, several: Iterable[Steps]) -> Steps:
        """Run all to the end at the same time."""
        steps = list(several)
        if len(steps) == 1:
            yield from steps[0]
        elif steps:
            yield self.clock.all_of([self.clock.process(s) for s in steps])

    def _multiply(
        self, plan: BlockPlan, way: Multiply, partial: Message | None, home: int, phase: Phase, vector: int, row: int
    ) -> Steps:
        """One vector through one block: manage, fetch, drive, convert, scale, and the partial sum to its home."""
        clock, log = self.clock, self.log.append
        layer, tile, passes = plan.block.layer, plan.block.tile, self._passes[row]
        key = (phase, layer, vector, tile)
        place = (row, layer, tile, phase, vector)
        yield from self._compute(plan, key, self._algorithm_ops[row], place)
        if passes:
            yield from self._use(plan.buffer, key, way.fetch_ps, Op.FETCH, place, way.fetch_bits)

            array, drivers, adcs = self._stations[plan.array], self._stations[way.drivers], self._stations[way.adcs]
            yield array.request(key)
            yield drivers.request(key)
            driven = clock.now
            yield self.clock.timeout(way.lead_ps)
            yield adcs.request(key)
            converting = clock.now
            held = (passes - 1) * way.pass_ps + way.overlap_ps + (0 if plan.sample_and_hold else way.tail_ps)
            if held:
                yield self.clock.timeout(held)
            array.release()
            drivers.release()
            log((Op.DRIVE, plan.array, *place, driven, clock.now, passes))
            log((Op.DRIVE, way.drivers, *place, driven, clock.now, 0))
            if plan.sample_and_hold:
                yield self.clock.timeout(way.tail_ps)
            adcs.release()
            log((Op.CONVERT, way.adcs, *place, converting, clock.now, passes * way.conversions))

        operations = way.outputs * self._operations_per_output[plan.block.kind]
        yield from self._compute(plan, key, operations, place)
        if partial is not None:
            yield from self._deliver(partial, partial.bits, key, place)
            yield from self._compute(self.plan.layers[layer].blocks[home], key, way.outputs, place)

    def _pulse(self, plan: BlockPlan, vector: int, row: int) -> Steps:
        """One vector pair of an update: load both sides' registers, then all pulse slots at once over the array."""
        layer, tile, slots = plan.block.layer, plan.block.tile, self._slots[row]
        key = (Phase.UPDATE, layer, vector, tile)
        place = (row, layer, tile, Phase.UPDATE, vector)
        yield from self._compute(plan, key, self._algorithm_ops[row], place)
        if not slots:
            return
        yield from self._use(plan.buffer, key, plan.update_fetch_ps, Op.FETCH, place, plan.update_fetch_bits)
        held = [self._stations[i] for i in (plan.array, plan.row_drivers, plan.column_drivers)]
        for station in held:
            yield station.request(key)
        start = self.clock.now
        yield self.clock.timeout(slots * plan.slot_ps)
        for station in held:
            station.release()
        self.log.append((Op.PULSE, plan.array, *place, start, self.clock.now, slots))
        for drivers in (plan.row_drivers, plan.column_drivers):
            self.log.append((Op.PULSE, drivers, *place, start, self.clock.now, 0))

    def _finish(self, plan: BlockPlan, key: Key, operations: int, messages: list[tuple[Message, int]]) -> Steps:
        """What is done at one home: digital operations, then the messages."""
        phase, layer, vector, tile = key
        place = (NO_ROW, layer, tile, phase, vector)
        yield from self._compute(plan, key, operations, place)
        for message, bits in messages:
            yield from self._deliver(message, bits, key, place)

    def _compute(self, plan: BlockPlan, key: Key, operations: int, place: tuple[int, ...]) -> Steps:
        """Element operations in the block's digital unit."""
        if operations:
            rate = self._operation_rate[plan.block.kind]
            duration = -(-operations * PICOSECONDS_PER_SECOND // rate)
            yield from self._use(plan.digital, key, duration, Op.DIGITAL, place, operations)

    def _deliver(self, message: Message, bits: int, key: Key, place: tuple[int, ...]) -> Steps:
        """A message over each link of its route in turn, then into the buffer at its end."""
        if not bits:
            return
        time_on_link = transfer_picoseconds(bits, self.plan.link_bandwidth)
        for hop in message.route:
            yield from self._use(hop.station, key, time_on_link + hop.latency_ps, Op.SEND, place, bits)
        time_to_store = transfer_picoseconds(bits, self.plan.bandwidth[message.kind])
        yield from self._use(message.buffer, key, time_to_store, Op.STORE, place, bits)

    def _use(self, station: int, key: Key, duration: int, op: Op, place: tuple[int, ...], amount: int) -> Steps:
        """Wait for a station, hold it for a time, give it back."""
        unit = self._stations[station]
        yield unit.request(key)
        start = self.clock.now
        yield self.clock.timeout(duration)
        unit.release()
        self.log.append((op, station, *place, start, self.clock.now, amount))


def share(total: int, index: int, parts: int) -> int:
    """The ``index``-th of ``parts`` integer shares of ``total``; the shares add up to it exactly."""
    return total * (index + 1) // parts - total * index // parts
