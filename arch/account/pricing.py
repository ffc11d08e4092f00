"""Price events: how much energy each operation of a unit takes, and the account of all of them.

Each event is priced from its row of activity (how many lines, passes, coincidences) and the actions of the parts that
do it; `PRICES` says which function prices which operation of which unit. Leakage and circuits that are always on are
added for the whole time as the phase ``standby``; tiles that hold no weights are taken to be switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.ledger import CHIP, STANDBY, Ledger
from rpusim.arch.account.tally import Tally, busy_together
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events, Op, covered_ps
from rpusim.arch.parts.part import Part
from rpusim.arch.schedule.plan import Plan

_ZJ_PER_PS = 10**9
"""One watt in zeptojoules per picosecond."""
_PW = 1000
"""One zeptojoule per picosecond in picowatts."""


@dataclass(frozen=True)
class _Batch:
    """Hold events of one operation by one kind of unit on one kind of tile, with what their rows of activity say.

    members:    (n,) which of ``events`` these are.
    events:     of the whole piece of work.
    activity:   of the whole piece of work.
    rows:       (n,) rows of weights (not of cells) of each event's block.
    columns:    (n,) columns of weights of each event's block.
    kind:       of the tiles.
    parts:      of a tile, by name.
    chip_wide:  parts that the chip has once, by name.
    cell:       the unit cell's layout.
    """

    members: NDArray[np.intp]
    events: Events
    activity: Activity
    rows: Integers
    columns: Integers
    kind: TileKind
    parts: dict[str, Part]
    chip_wide: dict[str, Part]
    cell: CellLayout

    def event(self, column: str) -> Integers:
        """(n,) a column of these events."""
        values: Integers = getattr(self.events, column)[self.members]
        return values

    def of(self, column: str) -> Integers:
        """(n,) a column of the rows of activity that these events come from."""
        values: Integers = getattr(self.activity, column)[self.event("row")].astype(np.int64)
        return values

    def cost(self, part: str, action: str) -> int:
        """Energy (zJ) of one action of one unit; 0 where a card lumps that action into another one."""
        action_cost = self.parts[part].actions.get(action)
        return action_cost.energy_zj if action_cost else 0

    def chip_cost(self, part: str, action: str) -> int:
        """Energy (zJ) of one action of a part that the chip has once."""
        return self.chip_wide[part].actions[action].energy_zj

    @property
    def slices(self) -> int:
        """How many rows of cells hold a row of weights."""
        return self.kind.array.cells_per_weight

    @property
    def drives_columns(self) -> NDArray[np.bool_]:
        """(n,) whether a read drives the array's columns (forward, and slices that are columns) or its rows."""
        phase, by_row = self.event("phase"), self.cell.slices == "row"
        driven: NDArray[np.bool_] = (phase == Phase.FORWARD) | (phase == Phase.MAINTENANCE)
        return driven | ((phase == Phase.TRANSFER) & (not by_row))

    @property
    def driven(self) -> Integers:
        """(n,) lines driven by a read: the inputs that are not zero; the one of a transfer, or all if it reads all."""
        phase = self.event("phase")
        inputs = np.where(self.drives_columns, self.of("active_columns"), self.of("active_rows"))
        of_slice = np.where((phase == Phase.TRANSFER) & (self.cell.slices == "all"), self.columns, 1)
        return np.where(phase > Phase.UPDATE, of_slice, inputs) * np.where(self.drives_columns, 1, self.slices)


Priced = Iterator[tuple[str, Integers]]
"""(part, (n,) zJ that it took for each event of a batch), for every part that took any."""


def _by_amount(part: str, action: str, once: bool = False) -> Callable[[_Batch], Priced]:
    """Price as many actions as an event's amount says; ``once``: of a part that the chip has once."""

    def priced(batch: _Batch) -> Priced:
        cost = batch.chip_cost(part, action) if once else batch.cost(part, action)
        yield part, batch.event("amount") * cost

    return priced


def _drive_array(batch: _Batch) -> Priced:
    """Price a read: cells that conduct (only those with a weight), lines that are charged, outputs that are held."""
    array = batch.kind.array
    reads = batch.of("passes") * batch.kind.inputs.cycles
    driven, by_columns = batch.driven, batch.drives_columns
    outputs = np.where(by_columns, batch.rows * batch.slices, batch.columns)
    card = batch.parts["array"].card
    if card.electrical is None and card.cmos is None:
        yield "array", reads * batch.cost("array", "read")
    else:
        crossed = np.where(by_columns, array.rows, array.columns)
        per_line = outputs * batch.cost("array", "read") + crossed * batch.cost("array", "read_line_per_cell")
        yield "array", reads * driven * per_line
    if "sample-and-hold" in batch.parts:
        yield "sample-and-hold", reads * outputs * batch.cost("sample-and-hold", "hold")


def _convert(batch: _Batch) -> Priced:
    """Price conversions; each first switches its line to the converter, if the chip has a part for the switches."""
    yield "ADC", batch.event("amount") * batch.cost("ADC", "convert")
    if "multiplexer" in batch.parts:
        yield "multiplexer", batch.event("amount") * batch.cost("multiplexer", "select")


def _drive_lines(batch: _Batch) -> Priced:
    """Price the drivers of the lines that a read drives."""
    drives = batch.of("passes") * batch.kind.inputs.cycles * batch.driven
    yield "input drivers", drives * batch.cost("input drivers", "drive")


def _turns(batch: _Batch) -> tuple[Integers | int, Integers]:
    """Count how often the columns send their trains, and how many rows of cells have generators at work meanwhile.

    All rows are pulsed at once; or where rows are addressed one by one, the columns send again for every row: for all
    of them, or for the one row of weights that a transfer writes.
    """
    pulses = batch.kind.pulses
    assert pulses is not None, "an update on a tile without pulses"
    one_row = (batch.event("phase") == Phase.TRANSFER) & (batch.cell.slices == "row") & (pulses.access == "row-by-row")
    rows = np.where(one_row, 1, batch.rows) * batch.slices
    return pulses.turns(rows), rows


def _pulse_array(batch: _Batch) -> Priced:
    """Price the cells and lines of an update: coincidences at full voltage, half-selected cells at half, lines charged.

    Arrays that take the same trains share a row of activity: its coincidences are counted with the first of them, whose
    event has an amount. All cells of a sliced weight take part.
    """
    array, (turns, rows) = batch.kind.array, _turns(batch)
    met = np.where(batch.event("amount") > 0, batch.of("coincidences_up") + batch.of("coincidences_down"), 0)
    met, row_pulses = met * batch.slices, batch.of("row_pulses") * batch.slices
    half_selected = row_pulses * batch.columns + batch.of("column_pulses") * rows - 2 * met
    charged = row_pulses * array.columns + turns * batch.of("column_pulses") * array.rows
    yield (
        "array",
        met * batch.cost("array", "coincidence")
        + half_selected * batch.cost("array", "half_select")
        + charged * batch.cost("array", "pulse_line_per_cell"),
    )


def _pulse_rows(batch: _Batch) -> Priced:
    """Price the pulse generators and drivers of an update's rows."""
    _, rows = _turns(batch)
    generated = batch.of("slots") * rows * batch.cost("pulse drivers", "slot")
    fired = batch.of("row_pulses") * batch.slices * batch.cost("pulse drivers", "pulse")
    yield "pulse drivers", generated + fired


def _pulse_columns(batch: _Batch) -> Priced:
    """Price the pulse generators and drivers of an update's columns."""
    generated = batch.of("slots") * batch.columns * batch.cost("pulse drivers", "slot")
    fired = batch.of("column_pulses") * batch.cost("pulse drivers", "pulse")
    turns, _ = _turns(batch)
    yield "pulse drivers", turns * (generated + fired)


def _write(batch: _Batch) -> Priced:
    """Price programming. An event's amount is the rows it wrote, each as often as it was pulsed; its row of activity
    says how many weights."""
    array, programming = batch.kind.array, batch.kind.programming
    assert programming is not None, "a tile without programming was written to"
    row_pulses = batch.event("amount")
    cell_pulses = np.rint(batch.of("writes") * batch.slices * programming.iterations).astype(np.int64)
    charged = row_pulses * array.columns + cell_pulses * array.rows
    yield "array", cell_pulses * batch.cost("array", "write") + charged * batch.cost("array", "write_line_per_cell")
    yield "pulse drivers", (row_pulses + cell_pulses) * batch.cost("pulse drivers", "write")


def _with_the_array(batch: _Batch) -> Priced:
    """Price drivers that are held while the array is written at nothing: their energy is counted with the array."""
    return iter(())


PRICES: dict[tuple[Op, str], Callable[[_Batch], Priced]] = {
    (Op.FETCH, "buffer"): _by_amount("buffer", "read"),
    (Op.STORE, "buffer"): _by_amount("buffer", "write"),
    (Op.DIGITAL, "digital unit"): _by_amount("digital unit", "operation"),
    (Op.SEND, "port"): _by_amount("links", "bit", once=True),
    (Op.SEND, "link"): _by_amount("links", "bit", once=True),
    (Op.FETCH, "global buffer"): _by_amount("global buffer", "read", once=True),
    (Op.STORE, "global buffer"): _by_amount("global buffer", "write", once=True),
    (Op.FETCH, "DRAM"): _by_amount("DRAM", "read", once=True),
    (Op.STORE, "DRAM"): _by_amount("DRAM", "write", once=True),
    (Op.HOST, "host link"): _by_amount("host link", "bit", once=True),
    (Op.DRIVE, "array"): _drive_array,
    (Op.DRIVE, "row drivers"): _drive_lines,
    (Op.DRIVE, "column drivers"): _drive_lines,
    (Op.CONVERT, "ADC"): _convert,
    (Op.PULSE, "array"): _pulse_array,
    (Op.PULSE, "row drivers"): _pulse_rows,
    (Op.PULSE, "column drivers"): _pulse_columns,
    (Op.WRITE, "array"): _write,
    (Op.WRITE, "row drivers"): _with_the_array,
    (Op.WRITE, "column drivers"): _with_the_array,
}
"""What prices each operation of each kind of unit; an event without a price is an error."""

_WITHOUT_SUPPORT = ("row drivers", "column drivers", "link", "global buffer", "DRAM", "host link")
"""Units whose events no support circuit of a tile works for: drivers, as it already works for their array, and units
outside the tiles."""


class Pricer:
    """Price events on the chip of one plan; made once, called for every piece of a run."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chip = plan.placement.chip
        self._bill = bill_of_parts(self._chip)
        self._layers = [layer.placed.layer.name for layer in plan.layers]
        self._kinds = np.array([block.kind for block in plan.placement.blocks()])
        self._unit_kinds = sorted(set(plan.station_parts))
        self._station_tile_kinds = np.array(plan.station_kinds)
        self._station_unit = np.array([self._unit_kinds.index(part) for part in plan.station_parts])
        self.standby = {part: round(watts * _ZJ_PER_PS) for part, watts in self._standby()}
        """Power (zJ/ps, that is nW) that is drawn whatever happens, by part: leakage, and circuits always on."""

    def __call__(self, events: Events, activity: Activity) -> Ledger:
        """Account for a piece of work.

        Args:
            events: of the work; the last end is the account's time.
            activity: the rows that the events come from.

        Returns:
            Its ledger.
        """
        ledger = Ledger(time_ps=events.makespan_ps)
        power = self._add(ledger, events, activity, np.ones(len(events), np.int64))
        self._stand_by(ledger)
        units = self._station_unit[events.station]
        for number, unit in enumerate(self._unit_kinds):
            members = units == number
            ledger.occupied_ps[unit] = covered_ps(events.start[members], events.end[members])
        ledger.peak_w = self._watts(_peak(events, power))
        return ledger

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
        self._stand_by(ledger)
        covered, peak = busy_together(tally.lanes(_picowatts(power), self._station_unit), tally.repeats)
        ledger.occupied_ps = {unit: int(covered[number]) for number, unit in enumerate(self._unit_kinds)}
        ledger.peak_w = self._watts(peak / _PW)
        return ledger

    def _add(self, ledger: Ledger, events: Events, activity: Activity, count: Integers) -> NDArray[np.float64]:
        """Book energy and busy time of events that each stand for ``count``; returns the power of each (zJ/ps)."""
        power = np.zeros(len(events))
        for part, members, zeptojoules in self.priced(events, activity):
            power[members] += zeptojoules / np.maximum(events.duration[members], 1)
            groups = events.phase[members] * len(self._layers) + events.layer[members]
            for group in np.unique(groups):
                phase, layer = divmod(int(group), len(self._layers))
                chosen = groups == group
                energy = _exact_sum(zeptojoules[chosen], count[members[chosen]])
                ledger.add(part, Phase(phase).name.lower(), self._layers[layer], energy)
        busy_ps = np.zeros(len(self._plan.stations), np.int64)
        np.add.at(busy_ps, events.station, events.duration * count)
        ledger.busy_ps = dict(zip(self._plan.stations, busy_ps.tolist(), strict=True))
        return power

    def _stand_by(self, ledger: Ledger) -> None:
        """Book what is drawn whatever happens, for the ledger's time."""
        for part, zj_per_ps in self.standby.items():
            ledger.add(part, STANDBY, CHIP, zj_per_ps * ledger.time_ps)

    def _watts(self, peak: float) -> float:
        """Convert a peak of the events' power (zJ/ps) to watts, standby included."""
        return (peak + sum(self.standby.values())) / _ZJ_PER_PS

    def _standby(self) -> Iterator[tuple[str, float]]:
        """Find the standby power (W) of each part that has any.

        Tiles without weights are switched off; a digital unit or router is on if any of its tiles is.
        """
        watts: dict[str, float] = {}
        used = {tile: block.kind for block in self._plan.placement.blocks() for tile, _ in block.slots}
        always = [{s.name for s in kind.support if s.busy_during == "always"} for kind in self._chip.tiles]
        for k, parts in enumerate(self._bill.tiles):
            first = sum(kind.count for kind in self._chip.tiles[:k])
            tiles = [tile - first for tile, kind in used.items() if kind == k]
            for name, part in parts.items():
                sharing = self._chip.tiles[k].tiles_sharing(name)
                units = len({tile // sharing for tile in tiles})
                running = part.full_power_w if name in always[k] else part.leakage_w
                watts[name] = watts.get(name, 0.0) + units * running
        nodes = len({tile // self._chip.mesh.tiles_per_router for tile in used})
        watts["links"] = nodes * self._chip.mesh.lanes * self._bill.chip_wide["links"].card.leakage
        for name in ("global buffer", "DRAM", "host link"):
            if name in self._bill.chip_wide:
                watts[name] = self._bill.chip_wide[name].leakage_w
        for support in self._chip.support:
            watts[support.name] = self._bill.chip_wide[support.name].full_power_w
        yield from ((name, w) for name, w in watts.items() if w)

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
        group = (kinds * len(Op) + events.op) * len(self._unit_kinds) + units
        for which in np.unique(group):
            rest, unit = divmod(int(which), len(self._unit_kinds))
            k, op = divmod(rest, len(Op))
            members = np.flatnonzero(group == which)
            batch = _Batch(
                members,
                events,
                activity,
                rows[block[members]],
                columns[block[members]],
                self._chip.tiles[k],
                self._bill.tiles[k],
                self._bill.chip_wide,
                self._plan.placement.cell,
            )
            for part, zeptojoules in PRICES[Op(op), self._unit_kinds[unit]](batch):
                yield part, members, zeptojoules
            if self._unit_kinds[unit] not in _WITHOUT_SUPPORT:
                yield from self._support(Op(op), batch)

    def _support(self, op: Op, batch: _Batch) -> Iterator[tuple[str, NDArray[np.intp], Integers]]:
        """Price support circuits, which draw power for as long as the operation takes, waits for other units aside."""
        duration = batch.event("end") - batch.event("start")
        if op == Op.DRIVE:
            duration = batch.of("passes") * batch.kind.inputs.cycles * batch.parts["array"].actions["read"].latency_ps
        for support in batch.kind.support:
            if support.busy_during == op.name.lower():
                part = batch.parts[support.name]
                sharing = batch.kind.array.arrays if op in (Op.DRIVE, Op.CONVERT, Op.PULSE) else 1
                zj_per_ps = part.units * (part.card.power or 0.0) / sharing * _ZJ_PER_PS
                yield part.name, batch.members, duration * round(zj_per_ps)


def _exact_sum(values: Integers, count: Integers) -> int:
    """Sum non-negative values, each counted so many times, where the sum may exceed 64 bits."""
    total = 0
    for much, values_shift in ((values >> 32, 32), (values & 0xFFFFFFFF, 0)):
        for many, count_shift in ((count >> 24, 24), (count & 0xFFFFFF, 0)):
            products = much * many  # below 2**56 where counts are below 2**48
            total += (
                (int((products >> 24).sum()) << 24) + int((products & 0xFFFFFF).sum())
            ) << values_shift + count_shift
    return total


def _peak(events: Events, power: NDArray[np.float64]) -> float:
    """Find the largest sum of the power of simultaneous events (zJ/ps); each counts from its start up to its end.

    It is summed in whole picowatts, so that it does not depend on the order of the events.
    """
    if not len(events):
        return 0.0
    times, whole = np.concatenate([events.end, events.start]), _picowatts(power)
    change = np.concatenate([-whole, whole])
    order = np.argsort(times, kind="stable")  # at equal times what ends is taken away first
    return int(np.cumsum(change[order]).max()) / _PW


def _picowatts(power: NDArray[np.float64]) -> Integers:
    """Round power (zJ/ps) to whole picowatts."""
    return np.rint(power * _PW).astype(np.int64)
