"""Say what every operation of every kind of unit takes from the supply, in zeptojoules.

An event is priced from its row of activity (how many lines, passes, coincidences) and the actions of the parts that do
it. `PRICES` is the table: one function for each operation and kind of unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.digital_work import CLASSES
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.parts.part import Part
from rpusim.arch.parts.registers import READ


def drives_columns(phase: Integers, turned: NDArray[np.bool_], cell: CellLayout) -> NDArray[np.bool_]:
    """Tell whether reads drive the columns of an array (forward, and slices that are columns) or its rows.

    Args:
        phase: (n,) of each read.
        turned: (n,) whether it is of a use of a weight transposed, which goes forward from rows to columns.
        cell: the unit cell's layout.

    Returns:
        (n,) true for columns.
    """
    driven: NDArray[np.bool_] = np.where(turned, phase == Phase.BACKWARD, phase == Phase.FORWARD)
    driven |= phase == Phase.MAINTENANCE
    driven |= (phase == Phase.TRANSFER) & (cell.slices != "row")
    return driven


@dataclass(frozen=True)
class Batch:
    """Hold events of one operation by one kind of unit on one kind of tile, with what their rows of activity say.

    members:    (n,) which of ``events`` these are.
    events:     of the whole piece of work.
    activity:   of the whole piece of work.
    rows:       (n,) rows of weights (not of cells) of each event's block.
    columns:    (n,) columns of weights of each event's block.
    turned:     (n,) whether the block is of a use of a weight transposed, which goes forward from rows to columns.
    joined:     (n,) groups of a convolution along the diagonal of the block, each with lines of its own.
    kind:       of the tiles.
    parts:      of a tile, by name.
    chip_wide:  parts that the chip has once, by name.
    cell:       the unit cell's layout.
    wide:       whether columns hold integers of any size, which takes longer; else int64, whose products may wrap.
    """

    members: NDArray[np.intp]
    events: Events
    activity: Activity
    rows: Integers
    columns: Integers
    turned: NDArray[np.bool_]
    joined: Integers
    kind: TileKind
    parts: dict[str, Part]
    chip_wide: dict[str, Part]
    cell: CellLayout
    wide: bool = False

    def event(self, column: str) -> Integers:
        """(n,) a column of these events."""
        values: Integers = getattr(self.events, column)[self.members]
        return values.astype(object) if self.wide and column == "amount" else values

    def of(self, column: str) -> Integers:
        """(n,) a column of the rows of activity that these events come from."""
        values: Integers = getattr(self.activity, column)[self.event("row")].astype(object if self.wide else np.int64)
        return values

    def whole(self, values: Any) -> Integers:
        """(n,) the nearest integers."""
        if self.wide:
            return np.array([round(value) for value in values], object)
        rounded: Integers = np.rint(values).astype(np.int64)
        return rounded

    def cost(self, part: str, action: str) -> int:
        """Energy (zJ) of one action of one unit; 0 where a card lumps that action into another one."""
        action_cost = self.parts[part].actions.get(action)
        return action_cost.energy_zj if action_cost else 0

    def chip_cost(self, part: str, action: str) -> int:
        """Energy (zJ) of one action of a part that the chip has once."""
        return self.chip_wide[part].actions[action].energy_zj

    @property
    def works(self) -> Any:
        """(n, classes) digital operations of these events."""
        assert self.events.work is not None and self.events.works is not None, "digital events that say no work"
        works = self.events.works[self.events.work[self.members]]
        return works.astype(object) if self.wide else works

    @property
    def slices(self) -> int:
        """How many rows of cells hold a row of weights."""
        return self.kind.array.cells_per_weight

    @property
    def drives_columns(self) -> NDArray[np.bool_]:
        """(n,) whether a read drives the array's columns or its rows, see the function of this name."""
        return drives_columns(self.event("phase"), self.turned, self.cell)

    @property
    def driven(self) -> Integers:
        """(n,) lines driven by a read: the inputs that are not zero; the one of a transfer, or all if it reads all."""
        phase = self.event("phase")
        inputs = np.where(self.drives_columns, self.of("active_columns"), self.of("active_rows"))
        of_slice = np.where((phase == Phase.TRANSFER) & (self.cell.slices == "all"), self.columns, 1)
        return np.where(phase > Phase.UPDATE, of_slice, inputs) * np.where(self.drives_columns, 1, self.slices)

    @property
    def reads(self) -> Integers:
        """(n,) how often lines are driven and read: in each pass once, or by every digit of bit-serial inputs.

        Where rows are driven, those of each slice of weights are driven for themselves, if slices share columns.
        """
        turns = np.where(self.drives_columns, 1, self.kind.array.slice_turns)
        reads: Integers = self.of("passes") * self.kind.inputs.cycles * turns
        return reads

    @property
    def drives(self) -> Integers:
        """(n,) how often a line is driven, over all passes: once, or if inputs are bit-serial by every digit.

        Bits that are not set, and digits of 0, drive nothing where the numbers counted the others; else they count as
        if they were. A digit that is not 0 counts as the highest one.
        """
        every: Integers = self.of("passes") * self.kind.inputs.cycles * self.driven
        bits = self.of("set_bits")
        return np.where(bits > 0, bits * np.where(self.drives_columns, 1, self.slices), every)


Priced = Iterator[tuple[str, Integers]]
"""(part, (n,) zJ that it took for each event of a batch), for every part that took any."""


def _by_amount(part: str, action: str, once: bool = False) -> Callable[[Batch], Priced]:
    """Price as many actions as an event's amount says; ``once``: of a part that the chip has once."""

    def priced(batch: Batch) -> Priced:
        cost = batch.chip_cost(part, action) if once else batch.cost(part, action)
        yield part, batch.event("amount") * cost

    return priced


def _over_a_link(batch: Batch) -> Priced:
    """Price bits that pass a router and the wire to the next one."""
    yield "links", batch.event("amount") * (batch.chip_cost("links", "bit") + batch.chip_cost("links", "wire"))


def _drive_array(batch: Batch) -> Priced:
    """Price a read: cells that conduct (only those with a weight), lines that are charged, outputs that are held."""
    array, reads = batch.kind.array, batch.reads
    by_columns = batch.drives_columns
    outputs = np.where(by_columns, batch.rows * batch.slices + array.unit_lines, batch.columns)
    rows, columns = batch.rows // batch.joined, batch.columns // batch.joined
    own = np.where(by_columns, rows * batch.slices + array.unit_lines, columns)
    card = batch.parts["array"].card
    if card.electrical is None and card.cmos is None:
        yield "array", reads * batch.cost("array", "read")
    else:
        crossed = np.where(by_columns, array.rows + array.unit_lines, array.columns).astype(outputs.dtype)
        per_line = own * batch.cost("array", "read") + crossed * batch.cost("array", "read_line_per_cell")
        yield "array", batch.drives * per_line
    if "sample-and-hold" in batch.parts:
        held = outputs * np.where(by_columns, 1, array.lines_of_a_column)
        yield "sample-and-hold", reads * held * batch.cost("sample-and-hold", "hold")


def _convert(batch: Batch) -> Priced:
    """Price conversions; each first switches its line to the converter, if the chip has a part for the switches."""
    yield "ADC", batch.event("amount") * batch.cost("ADC", "convert")
    if "multiplexer" in batch.parts:
        yield "multiplexer", batch.event("amount") * batch.cost("multiplexer", "select")


def _drive_lines(batch: Batch) -> Priced:
    """Price the drivers of the lines that a read drives."""
    yield "input drivers", batch.drives * batch.cost("input drivers", "drive")


def _compute(batch: Batch) -> Priced:
    """Price digital work, class by class, and the words that it reads from registers and writes.

    Outer products that are summed up digitally move a word for every weight.

    These sums lie in a memory like the tile's buffer that is as fast as the digital unit. They are the operations of an
    update that are at least a multiplication and an addition for every weight, where no array is pulsed.
    """
    works, costs = batch.works, [batch.cost("digital unit", name) for name in CLASSES]
    yield "digital unit", sum(works[:, number] * cost for number, cost in enumerate(costs))
    if "registers" in batch.parts:
        read, write = (batch.cost("registers", action) for action in ("read", "write"))
        each = [(READ[name] * read + write) * batch.kind.digital.word_bits for name in CLASSES]
        yield "registers", sum(works[:, number] * cost for number, cost in enumerate(each))
    if not batch.cell.learning:
        weights = batch.rows * batch.columns
        summed = (batch.event("phase") == Phase.UPDATE) & (works.sum(axis=1) >= 2 * weights)
        word = batch.kind.digital.word_bits * (batch.cost("buffer", "read") + batch.cost("buffer", "write"))
        yield "buffer", np.where(summed, weights, 0) * word


def _turns(batch: Batch) -> tuple[Integers | int, Integers]:
    """Count how often the columns send their trains, and how many rows of cells have generators at work meanwhile.

    All rows are pulsed at once; or where rows are addressed one by one, the columns send again for every row: for all
    of them, or for the one row of weights that a transfer writes.
    """
    pulses = batch.kind.pulses
    assert pulses is not None, "an update on a tile without pulses"
    one_row = (batch.event("phase") == Phase.TRANSFER) & (batch.cell.slices == "row") & (pulses.access == "row-by-row")
    rows = np.where(one_row, 1, batch.rows // batch.joined) * batch.slices
    return pulses.turns(rows), rows


def _pulse_array(batch: Batch) -> Priced:
    """Price the cells and lines of an update: coincidences at full voltage, half-selected cells at half, lines charged.

    Arrays that take the same trains share a row of activity: its coincidences are counted with the first of them, whose
    event has an amount. Of weights that are cut over cells, the row of activity counts all cells and their rows.
    """
    array, (turns, rows) = batch.kind.array, _turns(batch)
    met = np.where(batch.event("amount") > 0, batch.of("coincidences_up") + batch.of("coincidences_down"), 0)
    row_pulses = batch.of("row_pulses")
    columns: Integers = batch.columns // batch.joined
    half_selected = row_pulses * columns + batch.of("column_pulses") * rows - 2 * met
    charged = row_pulses * array.columns + turns * batch.of("column_pulses") * array.rows
    yield (
        "array",
        met * batch.cost("array", "coincidence")
        + half_selected * batch.cost("array", "half_select")
        + charged * batch.cost("array", "pulse_line_per_cell"),
    )


def _pulse_rows(batch: Batch) -> Priced:
    """Price the pulse generators and drivers of an update's rows."""
    _, rows = _turns(batch)
    generated = batch.of("slots") * rows * batch.cost("pulse drivers", "slot")
    fired = batch.of("row_pulses") * batch.cost("pulse drivers", "pulse")
    yield "pulse drivers", generated + fired


def _pulse_columns(batch: Batch) -> Priced:
    """Price the pulse generators and drivers of an update's columns."""
    columns: Integers = batch.columns // batch.joined
    generated = batch.of("slots") * columns * batch.cost("pulse drivers", "slot")
    fired = batch.of("column_pulses") * batch.cost("pulse drivers", "pulse")
    turns, _ = _turns(batch)
    yield "pulse drivers", turns * (generated + fired)


def _write(batch: Batch) -> Priced:
    """Price programming. An event's amount is the rows it wrote, each as often as it was pulsed; its row of activity
    says how many weights."""
    array, programming = batch.kind.array, batch.kind.programming
    assert programming is not None, "a tile without programming was written to"
    row_pulses = batch.event("amount")
    cell_pulses = batch.whole(batch.of("writes") * batch.slices * programming.iterations)
    charged = row_pulses * array.columns + cell_pulses * array.rows
    yield "array", cell_pulses * batch.cost("array", "write") + charged * batch.cost("array", "write_line_per_cell")
    yield "pulse drivers", (row_pulses + cell_pulses) * batch.cost("pulse drivers", "write")


def _with_the_array(batch: Batch) -> Priced:
    """Price drivers that are held while the array is written at nothing: their energy is counted with the array."""
    return iter(())


PRICES: dict[tuple[Op, str], Callable[[Batch], Priced]] = {
    (Op.FETCH, "buffer"): _by_amount("buffer", "read"),
    (Op.STORE, "buffer"): _by_amount("buffer", "write"),
    (Op.DIGITAL, "digital unit"): _compute,
    (Op.MULTIPLY, "matrix unit"): _by_amount("matrix unit", "mac"),
    (Op.SEND, "port"): _by_amount("links", "bit", once=True),
    (Op.SEND, "link"): _over_a_link,
    (Op.SEND, "chip link"): _by_amount("chip link", "bit", once=True),
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

_EXACT = 2.0**62
"""Energies (zJ) up to here are computed in 64 bits."""
_PHASES = np.repeat(np.array(list(Phase), np.int64), 2)


@dataclass(frozen=True)
class _Largest(Batch):
    """Stand for a batch by the largest value of each column, in floats, which do not wrap.

    There is one event of each phase with the most coincidences and one with none, as these are taken away from the
    half-selected cells; no real event costs more than the most expensive one of these.

    most: the largest values, by column of activity, and of the amounts.
    """

    most: Mapping[str, int] = field(default_factory=dict)

    def event(self, column: str) -> Any:
        return _PHASES if column == "phase" else np.full(len(_PHASES), float(self.most[column]))

    @property
    def works(self) -> Any:
        most = np.zeros(len(CLASSES)) if self.events.works is None else self.events.works.max(0).astype(float)
        return np.tile(most, (len(_PHASES), 1))

    def of(self, column: str) -> Any:
        values = np.full(len(_PHASES), float(self.most[column]))
        if column.startswith("coincidences"):
            values[::2] = 0.0
        if column == "set_bits":  # at most as many as all bits of all lines
            values[:] = 0.0
        return values

    def whole(self, values: Any) -> Any:
        return values


def priced(op: Op, unit: str, batch: Batch, most: Mapping[str, int]) -> Priced:
    """Price a batch of events of one operation by one kind of unit, exactly, however much it is.

    most: the largest value of each column of the activity, by name.
    """
    amount = int(batch.event("amount").max(initial=0))
    largest = _Largest(**{**vars(batch), "most": {**most, "amount": amount}})
    largest = replace(
        largest,
        rows=np.array([batch.rows.max(initial=0)], float),
        columns=np.array([batch.columns.max(initial=0)], float),
        turned=np.zeros(1, np.bool_),
        joined=np.ones(1, np.int64),
    )
    with np.errstate(over="ignore"):
        fits = all(np.max(energy, initial=0) < _EXACT for _, energy in PRICES[op, unit](largest))
    if not fits:
        batch = replace(batch, wide=True, rows=batch.rows.astype(object), columns=batch.columns.astype(object))
    yield from PRICES[op, unit](batch)
